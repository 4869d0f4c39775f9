// Membership: the state of each node in joining the run, and the control messages that follow from
// it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "nodes/experiment/experiment.hpp"
#include "nodes/process/process.hpp"

namespace lateral {

/// Every node registers its address (Listening), is assigned its part once its peers have
/// registered, reports that it is prepared, connects to its peers once all nodes are prepared,
/// reports that it is ready, and begins once all are ready. A node that replaces a lost one goes
/// through the same steps alone.
///
/// What a node reports is numbered over all its generations. A replacement repeats the reports made
/// since the recovery point from which it begins; until it has repeated all of them it is
/// replaying.
class Membership {
 public:
  /// `experiment` must outlive it.
  explicit Membership(const Experiment& experiment);

  const std::vector<NodeSpec>& nodes() const { return topology_.nodes(); }
  /// Pairs of nodes that exchange messages; the second dials the first.
  const std::vector<std::pair<std::string, std::string>>& links() const {
    return topology_.links();
  }
  /// Number of processes of this node before the present one.
  std::uint32_t generation(const std::string& node) const { return members_.at(node).generation; }
  bool is_assigned(const std::string& node) const { return members_.at(node).assigned; }
  bool has_begun(const std::string& node) const { return members_.at(node).begun; }

  /// How far a node has come in joining.
  enum class Stage { started, registered, assigned, prepared, connected, ready, begun };
  Stage stage(const std::string& node) const;

  // ---- Joining
  void registered(const std::string& node, const std::string& address);
  /// The nodes that can be assigned their part now and have not been.
  std::vector<std::string> assignable() const;
  void assigned(const std::string& node) { members_.at(node).assigned = true; }
  /// The peers of a node, with their addresses as the node uses them.
  std::vector<wire::Peer> peers(const std::string& node) const;
  /// Sends Replaced to the peers of a replacement, which can be dialled from now on, and Connect to
  /// all nodes that may connect now.
  void prepared(const std::string& node, Outbox& out);
  void ready(const std::string& node) { members_.at(node).ready = true; }
  bool all_ready() const { return all(&Member::ready); }
  /// Sends Begin to all that are ready and have not begun.
  void begin(Outbox& out);
  void dismiss(Outbox& out) const;

  // ---- Reports
  /// Counts a report.  Returns false if it repeats one of an earlier generation.
  /// Throws TransportError::out_of_sequence if one before it is missing.
  bool accept_report(const std::string& node, std::uint64_t number);
  /// The number of the last report of a node, of all its generations.
  std::uint64_t reports(const std::string& node) const { return members_.at(node).reports; }
  /// The number of the last report that its present generation has repeated or made, or begins
  /// after.
  std::uint64_t position(const std::string& node) const { return members_.at(node).position; }
  /// Every node has begun, and none is replaying.
  bool all_up_to_date() const;

  // ---- Replacement
  /// Number of replacements of the node since the last recovery point.
  int replacements(const std::string& node) const { return members_.at(node).replacements; }
  /// The node is lost: its next generation joins, and repeats the reports after this one.
  void replace(const std::string& node, std::uint64_t position);
  void reset_replacements();

 private:
  struct Member {
    std::string address;  // empty within one process
    std::uint32_t generation = 0;
    int replacements = 0;
    std::uint64_t reports = 0;
    std::uint64_t position = 0;
    bool registered = false, assigned = false, prepared = false, connected = false, ready = false,
         begun = false;
  };
  bool all(bool Member::*flag) const;
  wire::Peer peer_as_seen_by(const std::string& node, const std::string& peer) const;

  const Topology& topology_;
  std::map<std::string, Member> members_;
};

}  // namespace lateral
