// The chain from source to readout, and the broadcasts.
#include "nodes/experiment/topology.hpp"

#include "nodes/process/process.hpp"

namespace lateral {

std::vector<NodeSpec> network_nodes(const Experiment& experiment) {
  std::vector<NodeSpec> nodes{{source_name, "source"}};
  for (const LayerSpec& layer : experiment.layers) nodes.push_back({layer.name, "layer"});
  nodes.push_back({readout_name, "readout"});
  return nodes;
}

std::vector<std::pair<std::string, std::string>> network_links(const Experiment& experiment) {
  const std::vector<NodeSpec> nodes = network_nodes(experiment);
  std::vector<std::pair<std::string, std::string>> links;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i)
    links.emplace_back(nodes[i].name, nodes[i + 1].name);
  links.emplace_back(source_name, readout_name);
  if (experiment.signal != Signal::error)
    for (std::size_t i = 0; i + 1 < experiment.layers.size(); ++i)
      links.emplace_back(experiment.layers[i].name, readout_name);
  return links;
}

}  // namespace lateral
