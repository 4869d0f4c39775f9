// Writing, and for a resumed run re-reading, the CSV tables.
#include "nodes/results/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "nodes/base/failure.hpp"
#include "nodes/results/run_directory.hpp"

namespace lateral {
namespace {

constexpr const char* metrics_header =
    "epoch,train_loss,train_accuracy,test_loss,test_accuracy,wall_seconds,train_samples_per_"
    "second\n";
constexpr const char* probes_header = "step,epoch,layer,probe,value\n";

std::vector<std::string> lines_after_header(const std::filesystem::path& path) {
  std::ifstream file{path};
  std::vector<std::string> lines;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) lines.push_back(line);
  return lines;
}

std::string to_line(const MetricsRow& row) {
  char line[256];
  std::snprintf(line, sizeof line, "%llu,%.9g,%.9g,%.9g,%.9g,%.3f,%.1f\n",
                static_cast<unsigned long long>(row.epoch), row.train_loss, row.train_accuracy,
                row.test_loss, row.test_accuracy, row.wall_seconds, row.train_samples_per_second);
  return line;
}

void append_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file{path, std::ios::app};
  file << text;
  if (!file.flush()) throw UserError(path.string() + ": cannot be written (is the disk full?)");
}

}  // namespace

std::string accuracy_text(double accuracy) {
  if (std::isnan(accuracy)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * accuracy);
  return text;
}

std::vector<MetricsRow> read_metrics(const std::filesystem::path& path, std::uint64_t epochs) {
  std::vector<MetricsRow> rows;
  for (const std::string& line : lines_after_header(path)) {
    MetricsRow row;
    unsigned long long epoch = 0;
    if (std::sscanf(line.c_str(), "%llu,%lf,%lf,%lf,%lf,%lf,%lf", &epoch, &row.train_loss,
                    &row.train_accuracy, &row.test_loss, &row.test_accuracy, &row.wall_seconds,
                    &row.train_samples_per_second) != 7)
      continue;  // a line that a crash cut off
    row.epoch = epoch;
    if (row.epoch <= epochs) rows.push_back(row);
  }
  if (rows.size() != epochs)
    throw UserError(fmt::format(
        "{}: has {} of the {} epochs that the checkpoint has, expected all of them as they were "
        "written",
        path.string(), rows.size(), epochs));
  return rows;
}

MetricsFile::MetricsFile(std::filesystem::path path, std::uint64_t epochs_kept)
    : path_{std::move(path)} {
  std::string content = metrics_header;
  for (const MetricsRow& row : read_metrics(path_, epochs_kept)) content += to_line(row);
  write_atomically(path_, content);
}

void MetricsFile::append(const MetricsRow& row) { append_text(path_, to_line(row)); }

ProbesFile::ProbesFile(std::filesystem::path path, std::uint64_t steps_kept,
                       std::vector<std::string> layers)
    : path_{std::move(path)}, layers_{std::move(layers)} {
  std::string content = probes_header;
  for (const std::string& line : lines_after_header(path_)) {
    unsigned long long step = 0;
    if (std::count(line.begin(), line.end(), ',') == 4 &&
        std::sscanf(line.c_str(), "%llu,", &step) == 1 && step <= steps_kept)
      content += line + "\n";
  }
  write_atomically(path_, content);
}

void ProbesFile::flush(std::uint64_t step) {
  const auto position = [&](const std::string& layer) {
    return std::find(layers_.begin(), layers_.end(), layer) - layers_.begin();
  };
  std::stable_sort(waiting_.begin(), waiting_.end(), [&](const ProbeRow& a, const ProbeRow& b) {
    if (a.step != b.step) return a.step < b.step;
    return position(a.layer) < position(b.layer);
  });
  const auto end = std::find_if(waiting_.begin(), waiting_.end(),
                                [&](const ProbeRow& row) { return row.step > step; });
  std::ostringstream text;
  text.precision(9);
  for (auto row = waiting_.begin(); row != end; ++row)
    text << row->step << ',' << row->epoch << ',' << row->layer << ',' << row->probe << ','
         << row->value << '\n';
  waiting_.erase(waiting_.begin(), end);
  append_text(path_, text.str());
}

}  // namespace lateral
