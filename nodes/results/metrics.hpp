// The tables of a run that grow while it runs: metrics.csv, a row an epoch, and probes.csv.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lateral {

struct MetricsRow {
  std::uint64_t epoch = 0;
  double train_loss =
      0;  ///< mean over the epoch's training samples, each at the state it was trained at
  double train_accuracy = 0;
  double test_loss = 0;  ///< after the epoch
  double test_accuracy = 0;
  double wall_seconds = 0;  ///< since the run began, evaluation and earlier sessions included
  double train_samples_per_second = 0;
};

/// "97.31 %", or "-" where there is none.
std::string accuracy_text(double accuracy);

struct ProbeRow {
  std::uint64_t step = 0;
  std::uint64_t epoch = 0;
  std::string layer;
  std::string probe;
  double value = 0;
};

/// The rows of metrics.csv of an earlier session, up to epoch `epochs`.  Throws UserError if there
/// are not as many.
std::vector<MetricsRow> read_metrics(const std::filesystem::path& path, std::uint64_t epochs);

/// metrics.csv. Rows are appended and flushed one by one.
class MetricsFile {
 public:
  /// Starts the file, keeping the rows of an earlier session up to `epochs_kept`.
  MetricsFile(std::filesystem::path path, std::uint64_t epochs_kept);
  void append(const MetricsRow& row);

 private:
  std::filesystem::path path_;
};

/// probes.csv. Rows come from the layers in any order; they are written sorted by step and layer,
/// so that the same run writes the same file.
class ProbesFile {
 public:
  /// Starts the file, keeping the rows of an earlier session up to `steps_kept`.
  ProbesFile(std::filesystem::path path, std::uint64_t steps_kept, std::vector<std::string> layers);
  void add(ProbeRow row) { waiting_.push_back(std::move(row)); }
  /// Writes the rows of steps up to `step`; later ones, of layers that are ahead, wait.
  void flush(std::uint64_t step);

 private:
  std::filesystem::path path_;
  std::vector<std::string> layers_;
  std::vector<ProbeRow> waiting_;
};

}  // namespace lateral
