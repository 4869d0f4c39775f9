// MachineRecord: machine.json of a run directory, the processor on which the bits of a run depend.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "nodes/experiment/experiment.hpp"

namespace lateral {

struct MachineRecord {
  std::string processor;  ///< its model, as the kernel names it; empty if it does not
  std::string product;    ///< library of matrix products, with its version and instruction set
};

/// Whether the bits of a run may differ between the two. A processor that is not known is taken for
/// the same.
bool differ(const MachineRecord& a, const MachineRecord& b);

MachineRecord this_machine(const Experiment& experiment);
std::string to_json(const MachineRecord& record);
/// Nothing if the file does not exist, as in runs of earlier versions.  Throws UserError if it is
/// damaged.
std::optional<MachineRecord> read_machine_record(const std::filesystem::path& file);

/// "PROCESSOR, PRODUCT"
std::string describe(const MachineRecord& record);

}  // namespace lateral
