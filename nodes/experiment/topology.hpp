// The nodes of a network and the links between them, as an experiment implies them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nodes/experiment/experiment.hpp"

namespace lateral {

struct NodeSpec {
  std::string name;
  std::string role;  // "source", "layer", "readout"
};

/// Source, layers from the input to the output, readout: the order used everywhere.
std::vector<NodeSpec> network_nodes(const Experiment& experiment);

/// Pairs (a, b) of nodes that talk to each other, a before b in network_nodes(). b dials a.
/// Neighbours; source and readout; and under a broadcast signal, every layer and the readout.
std::vector<std::pair<std::string, std::string>> network_links(const Experiment& experiment);

}  // namespace lateral
