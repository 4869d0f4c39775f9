// Rows of the tables as text, and the rows that a resumed run preserves.
#include "nodes/results/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "nodes/base/csv.hpp"
#include "nodes/base/failure.hpp"
#include "nodes/base/file.hpp"

namespace lateral {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> metrics_columns{
    "epoch",         "train_loss",   "train_accuracy",          "test_loss",
    "test_accuracy", "wall_seconds", "train_samples_per_second"};
const std::vector<std::string> probes_columns{"step", "epoch", "layer", "probe", "value"};

std::string to_line(const MetricsRow& row) {
  return csv_line({fmt::to_string(row.epoch), fmt::format("{:.9g}", row.train_loss),
                   fmt::format("{:.9g}", row.train_accuracy), fmt::format("{:.9g}", row.test_loss),
                   fmt::format("{:.9g}", row.test_accuracy),
                   fmt::format("{:.3f}", row.wall_seconds),
                   fmt::format("{:.1f}", row.train_samples_per_second)});
}

std::string to_line(const ProbeRow& row) {
  return csv_line({fmt::to_string(row.step), fmt::to_string(row.epoch), row.layer, row.probe,
                   fmt::format("{:.9g}", row.value)});
}

/// Appends the whole `text` or, if the disk is full, nothing: a run may continue without these
/// lines, and later ones must not be appended to an incomplete line.
void append_text(const fs::path& path, const std::string& text) {
  std::error_code ignored;
  const std::uintmax_t size_before = fs::file_size(path, ignored);
  std::ofstream file{path, std::ios::app};
  file << text;
  if (file.flush()) return;
  file.close();
  if (!ignored) fs::resize_file(path, size_before, ignored);
  throw UserError(fmt::format("{}: cannot be written (is the disk full?)", path.string()));
}

}  // namespace

std::string accuracy_text(double accuracy) {
  return std::isnan(accuracy) ? "-" : fmt::format("{:.2f} %", 100 * accuracy);
}

std::vector<MetricsRow> read_metrics(const fs::path& path) {
  std::vector<MetricsRow> rows;
  CsvReader table{path, metrics_columns};
  while (table.next_row())
    rows.push_back({table.integer(0), table.number(1), table.number(2), table.number(3),
                    table.number(4), table.number(5), table.number(6)});
  return rows;
}

std::vector<MetricsRow> read_metrics(const fs::path& path, std::uint64_t epochs) {
  if (epochs == 0) return {};
  std::vector<MetricsRow> rows = read_metrics(path);
  std::erase_if(rows, [&](const MetricsRow& row) { return row.epoch > epochs; });
  if (rows.size() != epochs)
    throw UserError(fmt::format(
        "{}: has {} of the {} epochs of the checkpoint, expected all of them as they were "
        "written",
        path.string(), rows.size(), epochs));
  return rows;
}

void read_probes(const fs::path& path, const std::function<void(const ProbeRow&)>& receive) {
  CsvReader table{path, probes_columns};
  while (table.next_row())
    receive({table.integer(0), table.integer(1), table.text(2), table.text(3), table.number(4)});
}

MetricsFile::MetricsFile(fs::path path, std::uint64_t epochs_kept) : path_{std::move(path)} {
  std::string content = csv_line(metrics_columns);
  for (const MetricsRow& row : read_metrics(path_, epochs_kept)) content += to_line(row);
  write_atomically(path_, content);
}

void MetricsFile::append(const MetricsRow& row) { append_text(path_, to_line(row)); }

ProbesFile::ProbesFile(fs::path path, std::uint64_t steps_kept, std::vector<std::string> layers)
    : path_{std::move(path)}, layers_{std::move(layers)} {
  std::string content = csv_line(probes_columns);
  if (steps_kept > 0 && fs::exists(path_))
    read_probes(path_, [&](const ProbeRow& row) {
      if (row.step <= steps_kept) content += to_line(row);
    });
  write_atomically(path_, content);
}

void ProbesFile::add(ProbeRow row) {
  constexpr std::chrono::seconds interval{1};
  latest_[row.layer] = row.step;
  waiting_.push_back(std::move(row));
  const auto now = std::chrono::steady_clock::now();
  const bool is_full = waiting_.size() >= rows_waiting_max;
  if (now - flushed_ < interval && !is_full) return;
  if (latest_.size() == layers_.size()) {
    const auto slowest =
        std::min_element(latest_.begin(), latest_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (slowest->second > 0) flush(slowest->second - 1);  // more rows of its last step may come
    flushed_ = now;
  }
  if (waiting_.size() >= rows_waiting_max) flush(std::numeric_limits<std::uint64_t>::max());
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
  std::string text;
  for (auto row = waiting_.begin(); row != end; ++row) text += to_line(*row);
  waiting_.erase(waiting_.begin(), end);
  append_text(path_, text);
}

}  // namespace lateral
