// Checks of an experiment that its schema cannot express.
#pragma once

#include "nodes/data/dataset.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

// Each throws UserError with file and line, what was found and what was expected.

/// The names of the experiment and of its layers.
///   image: of the data, for the example in a message
void check_names(const Settings& settings, const ImageShape& image);
/// The inputs of all layers: they must form a directed acyclic graph, and every layer must be read.
/// REQUIRES: complete_graph()
void check_graph(const Settings& settings);
/// Whether the loss, the data and the execution fit together.
void check_network(const Settings& settings, const ImageShape& image);
/// Sizes that must be equal: of added layers, and of the output and its targets.
void check_shapes(const Settings& settings, const Experiment& experiment);
/// The sizes of batches, by the description of the data.
void check_batches(const Settings& settings, const Experiment& experiment);
/// Refuses a network for which the preconditioner is not defined.
void check_preconditioner(const Settings& settings);

}  // namespace lateral
