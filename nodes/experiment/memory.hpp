// The memory that the nodes of an experiment need, estimated before they are started.
#pragma once

#include <string>
#include <vector>

#include "nodes/experiment/experiment.hpp"

namespace lateral {

/// Bytes of one process, or of the data of one node if all share a process.
struct NodeMemory {
  std::string node;
  double program = 0;   ///< of the program itself
  double state = 0;     ///< tensors that are learned, and their copies
  double samples = 0;   ///< the data set
  double batches = 0;   ///< activities and errors of the batches in flight
  double messages = 0;  ///< kept for peers that may be replaced
  double total() const { return program + state + samples + batches + messages; }
};

struct MemoryOptions {
  bool in_process = false;
  bool is_recoverable = true;  ///< messages are kept for peers that may be replaced
};

/// Every node, and the coordinator last. The coordinator holds a snapshot of all tensors while it
/// writes a checkpoint.
std::vector<NodeMemory> memory_of(const Experiment& experiment, const MemoryOptions& options);
double total_bytes(const std::vector<NodeMemory>& memory);

/// "12.3 MB", "4.56 GB".
std::string bytes_text(double bytes);

}  // namespace lateral
