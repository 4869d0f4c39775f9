// Topology: the nodes of a network, the connections between them, and the links that these need.
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

/// The use of the activity of one node by another: as part of its input (which W multiplies), added
/// to its pre-activation, or both.
struct Connection {
  std::string from, to;
  Index rows = 0;                  ///< values a sample: the units of `from`
  std::optional<Index> input_row;  ///< their first row in the concatenated input of `to`
  bool is_added = false;
};

/// The position of one layer in the network, as an experiment defines it.
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
  ///   signal: of the credit rule; any other than Signal::error links each layer with the readout
  Topology(Index source_rows, const std::vector<LayerPlace>& layers, Signal signal);

  /// Source, layers in the order of the file, readout: the order used everywhere.
  const std::vector<NodeSpec>& nodes() const { return nodes_; }
  /// Names of the layers alone.
  const std::vector<std::string>& layers() const { return layers_; }
  const std::string& output() const { return layers_.back(); }
  /// The connections to a node: inputs in their order, then those that are only added.
  std::vector<Connection> into(std::string_view node) const;
  /// The connections from a node, in the order of the file.
  std::vector<Connection> out_of(std::string_view node) const;
  /// Pairs (a, b) of nodes that exchange messages, a before b in nodes(). b dials a.
  const std::vector<std::pair<std::string, std::string>>& links() const { return links_; }
  /// The nodes that exchange messages with this one, in the order of links().
  std::vector<std::string> peers(std::string_view node) const;
  /// Whether what changes in layer `from` changes what layer `to` reads (never for from == to).
  bool reaches(std::string_view from, std::string_view to) const;

 private:
  void find_reached_layers();

  std::vector<NodeSpec> nodes_;
  std::vector<std::string> layers_;
  std::vector<Connection> connections_;  // ordered by `to`, then in its order of reading
  std::vector<std::pair<std::string, std::string>> links_;
  std::map<std::string, std::size_t, std::less<>> position_;  // of a layer in layers_
  std::vector<std::vector<bool>> reached_from_;               // [to][from], by position
};

}  // namespace lateral
