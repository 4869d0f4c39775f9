// Connections from names, links from connections.
#include "nodes/experiment/topology.hpp"

#include <algorithm>
#include <map>

#include "core/check.hpp"
#include "nodes/base/name.hpp"

namespace lateral {

Topology::Topology(Index source_rows, const std::vector<LayerPlace>& layers, Signal signal) {
  std::map<std::string, Index> rows{{source_name, source_rows}};
  nodes_.push_back({source_name, "source"});
  for (const LayerPlace& layer : layers) {
    const std::size_t first = connections_.size();
    Index row = 0;
    for (const std::string& input : layer.inputs) {
      connections_.push_back({input, layer.name, rows.at(input), row, false});
      row += rows.at(input);
    }
    for (const std::string& added : layer.added) {
      const auto input = std::find_if(
          connections_.begin() + static_cast<std::ptrdiff_t>(first), connections_.end(),
          [&](const Connection& connection) { return connection.from == added; });
      if (input != connections_.end())
        input->is_added = true;
      else
        connections_.push_back({added, layer.name, rows.at(added), std::nullopt, true});
    }
    rows[layer.name] = layer.units;
    nodes_.push_back({layer.name, "layer"});
    layers_.push_back(layer.name);
  }
  LATERAL_CHECK(!layers_.empty());
  find_reached_layers();
  connections_.push_back({output(), readout_name, rows.at(output()), 0, false});
  nodes_.push_back({readout_name, "readout"});

  for (const Connection& connection : connections_)
    links_.emplace_back(connection.from, connection.to);
  links_.emplace_back(source_name, readout_name);
  if (signal != Signal::error)
    for (std::size_t i = 0; i + 1 < layers_.size(); ++i)
      links_.emplace_back(layers_[i], readout_name);
}

std::vector<std::string> Topology::peers(std::string_view node) const {
  std::vector<std::string> peers;
  for (const auto& [first, second] : links_) {
    if (first == node) peers.push_back(second);
    if (second == node) peers.push_back(first);
  }
  return peers;
}

std::vector<Connection> Topology::into(std::string_view node) const {
  std::vector<Connection> found;
  for (const Connection& connection : connections_)
    if (connection.to == node) found.push_back(connection);
  return found;
}

std::vector<Connection> Topology::out_of(std::string_view node) const {
  std::vector<Connection> found;
  for (const Connection& connection : connections_)
    if (connection.from == node) found.push_back(connection);
  return found;
}

bool Topology::reaches(std::string_view from, std::string_view to) const {
  return reached_from_[position_.find(to)->second][position_.find(from)->second];
}

void Topology::find_reached_layers() {
  for (std::size_t i = 0; i < layers_.size(); ++i) position_[layers_[i]] = i;
  reached_from_.assign(layers_.size(), std::vector<bool>(layers_.size()));
  // Connections stand in the order of `to`, so what reaches `from` is complete.
  for (const Connection& connection : connections_) {
    const auto from = position_.find(connection.from), to = position_.find(connection.to);
    if (from == position_.end() || to == position_.end()) continue;
    std::vector<bool>& reached = reached_from_[to->second];
    for (std::size_t i = 0; i < from->second; ++i)
      if (reached_from_[from->second][i]) reached[i] = true;
    reached[from->second] = true;
  }
}

}  // namespace lateral
