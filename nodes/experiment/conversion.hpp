// Conversion of a checked and completed experiment file to plain structs.
#pragma once

#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

/// Everything except text, digest and records.
Experiment to_experiment(const proto::Experiment& settings);
/// The shape of the images in the data of an experiment.
ImageShape image_of(const proto::Experiment& settings);

}  // namespace lateral
