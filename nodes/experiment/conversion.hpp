// Conversion of a checked and completed experiment file to plain structs.
#pragma once

#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

/// Everything except text, digest and records.  Throws UserError for a layer that its kind refuses.
Experiment to_experiment(const Settings& settings);

}  // namespace lateral
