// The tables that are written during a run: metrics.csv with a row for each epoch, and
// probes.csv with a row for each probe of a layer at a step.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lateral {

struct MetricsRow {
  std::uint64_t epoch = 0;
  /// Mean over the epoch's training samples, each evaluated at the state of its training step.
  double train_loss = 0;
  double train_accuracy = 0;
  double test_loss = 0;  ///< after the epoch
  double test_accuracy = 0;
  double wall_seconds = 0;  ///< since the run began, evaluation and earlier sessions included
  double train_samples_per_second = 0;
};

/// "97.31 %", or "-" for NaN (targets without labels).
std::string accuracy_text(double accuracy);

struct ProbeRow {
  std::uint64_t step = 0;
  std::uint64_t epoch = 0;
  std::string layer;
  std::string probe;
  double value = 0;
};

/// All rows of metrics.csv.  Throws UserError if the file cannot be read or is damaged.
std::vector<MetricsRow> read_metrics(const std::filesystem::path& path);
/// The rows of an earlier session up to epoch `epochs`.  Throws UserError also if some are missing.
std::vector<MetricsRow> read_metrics(const std::filesystem::path& path, std::uint64_t epochs);

/// Calls `receive` with each row of probes.csv.  Throws UserError like read_metrics().
void read_probes(const std::filesystem::path& path,
                 const std::function<void(const ProbeRow&)>& receive);

/// metrics.csv. Rows are appended and flushed one by one.
class MetricsFile {
 public:
  /// Creates the file; rows of an earlier session up to epoch `epochs_kept` are preserved.
  MetricsFile(std::filesystem::path path, std::uint64_t epochs_kept);
  void append(const MetricsRow& row);

 private:
  std::filesystem::path path_;
};

/// Rows of probes.csv that wait for those of other layers.
inline constexpr std::size_t rows_waiting_max = std::size_t{1} << 18;

/// probes.csv. Rows arrive from the layers in any order and are written sorted by step and layer,
/// so that the same run writes the same file. A reader of the file is at most about a second
/// behind.
class ProbesFile {
 public:
  /// Creates the file; rows of an earlier session up to step `steps_kept` are preserved.
  ProbesFile(std::filesystem::path path, std::uint64_t steps_kept, std::vector<std::string> layers);
  /// Once a second, and once rows_waiting_max wait, also writes the rows of steps for which all
  /// layers have reported. Where so many are left even then, all are written, and those of layers
  /// that are far behind come later.
  void add(ProbeRow row);
  /// Writes the rows of steps up to `step`. Rows of later steps, from layers that are ahead, are
  /// written by a later call.
  void flush(std::uint64_t step);

 private:
  std::filesystem::path path_;
  std::vector<std::string> layers_;
  std::vector<ProbeRow> waiting_;
  std::map<std::string, std::uint64_t> latest_;  // step of the last row of each layer
  std::chrono::steady_clock::time_point flushed_ = std::chrono::steady_clock::now();
};

}  // namespace lateral
