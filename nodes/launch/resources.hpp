// Whether this machine has the memory, processes and descriptors that a run needs.
#pragma once

#include "nodes/experiment/memory.hpp"

namespace lateral {

struct ResourceOptions {
  MemoryOptions memory;
  int threads = 1;  ///< of each layer
};

/// Throws UserError with one line that names what is needed, its largest parts, what there is, and
/// what would make the run fit. Raises the limit of open descriptors of this process.
void check_resources(const Experiment& experiment, const ResourceOptions& options);

}  // namespace lateral
