// Checks of an experiment that its schema cannot express.
#pragma once

#include "nodes/data/dataset.hpp"
#include "nodes/experiment/experiment.hpp"
#include "nodes/experiment/settings.hpp"

namespace lateral {

// Each throws UserError with file and line, what was found and what was expected.

/// The names of the experiment and of its layers.
///   image: the data's, for an example of what was expected
void check_names(const Settings& settings, const ImageShape& image);
/// Who reads whom: a directed acyclic graph without loose ends.  REQUIRES: complete_graph()
void check_graph(const Settings& settings);
/// Loss, data and execution together.
void check_network(const Settings& settings, const ImageShape& image);
/// Sizes that have to be equal: of layers that are added, of the output and its targets.
void check_shapes(const Settings& settings, const Experiment& experiment);
/// Refuses a network whose curvature the preconditioner cannot see.
void check_preconditioner(const Settings& settings);

}  // namespace lateral
