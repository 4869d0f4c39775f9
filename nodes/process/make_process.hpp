// make_process(): the process of a node, from its name.
#pragma once

#include <memory>
#include <string>

#include "nodes/data/dataset.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// The process of the node `name` at the position that the assignment names. `experiment` must
/// outlive it.
///   data: if given, the source uses these data instead of loading them
/// Throws UserError if the experiment has no such node, and what the process throws.
std::unique_ptr<Process> make_process(const std::string& name, const Experiment& experiment,
                                      const wire::Assignment& assignment,
                                      const DataSet* data = nullptr);

}  // namespace lateral
