// Topology: the nodes of a network, what goes from which to which, and the links that this takes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/credit/credit.hpp"

namespace lateral {

struct NodeSpec {
  std::string name;
  std::string role;  // "source", "layer", "readout"
};

/// The activity of one node as another one uses it: as part of what its W multiplies, added to its
/// pre-activation, or both.
struct Connection {
  std::string from, to;
  Index rows = 0;                  ///< values a sample: the units of `from`
  std::optional<Index> input_row;  ///< where they begin in the concatenated input of `to`
  bool is_added = false;
};

/// What an experiment says about one layer's place in the network.
struct LayerPlace {
  std::string name;
  Index units = 0;
  std::vector<std::string> inputs;  ///< concatenated in this order; at least one
  std::vector<std::string> added;   ///< to the pre-activation
};

/// A directed acyclic graph from the source over the layers, each of which reads only nodes before
/// it, to the readout, which reads the last layer.
class Topology {
 public:
  Topology() = default;
  /// `layers` in the order of the file.  REQUIRES: checked names (see check_graph())
  ///   signal: what reaches the layers; anything but Signal::error links each with the readout
  Topology(Index source_rows, const std::vector<LayerPlace>& layers, Signal signal);

  /// Source, layers in the order of the file, readout: the order used everywhere.
  const std::vector<NodeSpec>& nodes() const { return nodes_; }
  /// Names of the layers alone.
  const std::vector<std::string>& layers() const { return layers_; }
  const std::string& output() const { return layers_.back(); }
  /// What a node reads: inputs in their order, then what is only added.
  std::vector<Connection> into(std::string_view node) const;
  /// Who reads a node, in the order of the file.
  std::vector<Connection> out_of(std::string_view node) const;
  /// Pairs (a, b) of nodes that exchange messages, a before b in nodes(). b dials a.
  const std::vector<std::pair<std::string, std::string>>& links() const { return links_; }
  /// Whether what changes in layer `from` changes what layer `to` reads (never for from == to).
  bool reaches(std::string_view from, std::string_view to) const;

 private:
  void find_reached_layers();

  std::vector<NodeSpec> nodes_;
  std::vector<std::string> layers_;
  std::vector<Connection> connections_;  // in the order of `to`, then as it reads them
  std::vector<std::pair<std::string, std::string>> links_;
  std::map<std::string, std::size_t, std::less<>> position_;  // of a layer in layers_
  std::vector<std::vector<bool>> reached_from_;               // [to][from], by position
};

}  // namespace lateral
