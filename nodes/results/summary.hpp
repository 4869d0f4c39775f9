// Summary: the results of a run, as a table for users and as summary.json for programs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nodes/results/metrics.hpp"

namespace lateral {

struct NodeSummary {
  std::string name;
  std::string role;
  std::int64_t pid = 0;
  std::uint64_t peak_rss_bytes =
      0;                   ///< of its process, which is the same for all nodes with --in-process
  double cpu_seconds = 0;  ///< of its process
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;
};

/// A node that was lost and replaced.
struct Restart {
  std::string node;
  std::uint32_t generation = 0;  ///< of its replacement
  std::uint64_t step = 0;        ///< the last completed step
  std::string reason;
  std::optional<double> seconds;  ///< from the detection of the loss until training continued
};

struct Summary {
  std::string name;
  std::uint64_t seed = 0;
  std::string product;    ///< the matrix product: library, version, instruction set
  bool complete = false;  ///< false: stopped early, can be resumed
  std::uint64_t step = 0;
  std::string evaluated_on;  ///< "test" or "validation"
  std::string state_sha256;
  std::string data_sha256;
  double wall_seconds = 0;
  double train_samples_per_second = 0;
  std::vector<MetricsRow> epochs;
  std::vector<NodeSummary> nodes;
  std::vector<Restart> restarts;
};

/// An object with the fields that RUN_DIRECTORY.md lists.
std::string to_json(const Summary& summary);
/// A table of the epochs and one of the nodes.
std::string to_table(const Summary& summary);

}  // namespace lateral
