// The states of joining, and the numbers of the reports.
#include "nodes/coordinator/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "transport/error.hpp"

namespace lateral {

Membership::Membership(const Experiment& experiment) : topology_{experiment.topology} {
  for (const NodeSpec& node : nodes()) members_[node.name];
}

void Membership::registered(const std::string& node, const std::string& address) {
  members_.at(node).address = address;
  members_.at(node).registered = true;
}

Membership::Stage Membership::stage(const std::string& node) const {
  const Member& member = members_.at(node);
  if (member.begun) return Stage::begun;
  if (member.ready) return Stage::ready;
  if (member.connected) return Stage::connected;
  if (member.prepared) return Stage::prepared;
  if (member.assigned) return Stage::assigned;
  return member.registered ? Stage::registered : Stage::started;
}

std::vector<std::string> Membership::assignable() const {
  const auto is_registered = [&](const std::string& name) { return members_.at(name).registered; };
  std::vector<std::string> names;
  for (const NodeSpec& node : nodes()) {
    const std::vector<std::string> peers = topology_.peers(node.name);
    if (!is_assigned(node.name) && is_registered(node.name) &&
        std::all_of(peers.begin(), peers.end(), is_registered))
      names.push_back(node.name);
  }
  return names;
}

std::vector<wire::Peer> Membership::peers(const std::string& node) const {
  std::vector<wire::Peer> peers;
  for (const std::string& peer : topology_.peers(node))
    peers.push_back(peer_as_seen_by(node, peer));
  return peers;
}

wire::Peer Membership::peer_as_seen_by(const std::string& node, const std::string& peer) const {
  const Member& member = members_.at(peer);
  wire::Peer seen;
  seen.set_name(peer);
  seen.set_address(member.address);
  seen.set_generation(member.generation);
  seen.set_dial(std::find(links().begin(), links().end(), std::pair(peer, node)) != links().end());
  return seen;
}

void Membership::prepared(const std::string& node, Outbox& out) {
  Member& member = members_.at(node);
  member.prepared = true;
  if (member.generation > 0)
    for (const std::string& peer : topology_.peers(node)) {
      if (!is_assigned(peer)) continue;  // its assignment will name this generation
      Message replaced;
      *replaced.header.mutable_replaced()->mutable_peer() = peer_as_seen_by(peer, node);
      out.send(peer, std::move(replaced));
    }
  if (!all(&Member::prepared)) return;
  for (const NodeSpec& spec : nodes()) {
    if (std::exchange(members_.at(spec.name).connected, true)) continue;
    Message connect;
    connect.header.mutable_connect();
    out.send(spec.name, std::move(connect));
  }
}

void Membership::begin(Outbox& out) {
  for (const NodeSpec& spec : nodes()) {
    Member& member = members_.at(spec.name);
    if (!member.ready || std::exchange(member.begun, true)) continue;
    Message begin;
    begin.header.mutable_begin();
    out.send(spec.name, std::move(begin));
  }
}

void Membership::dismiss(Outbox& out) const {
  for (const NodeSpec& spec : nodes()) {
    Message leave;
    leave.header.mutable_leave();
    out.send(spec.name, std::move(leave));
  }
}

bool Membership::all(bool Member::*flag) const {
  return std::all_of(members_.begin(), members_.end(),
                     [flag](const auto& entry) { return entry.second.*flag; });
}

bool Membership::accept_report(const std::string& node, std::uint64_t number) {
  Member& member = members_.at(node);
  member.position = number;
  if (number <= member.reports) return false;
  if (number != member.reports + 1)
    throw_transport(TransportError::out_of_sequence,
                    fmt::format("report {} of {} was received where {} was expected", number, node,
                                member.reports + 1));
  member.reports = number;
  return true;
}

bool Membership::all_up_to_date() const {
  return std::all_of(members_.begin(), members_.end(), [](const auto& entry) {
    return entry.second.begun && entry.second.position >= entry.second.reports;
  });
}

void Membership::replace(const std::string& node, std::uint64_t position) {
  Member& member = members_.at(node);
  Member next;
  next.generation = member.generation + 1;
  next.replacements = member.replacements + 1;
  next.reports = member.reports;
  next.position = position;
  member = std::move(next);
}

void Membership::reset_replacements() {
  for (auto& [node, member] : members_) member.replacements = 0;
}

}  // namespace lateral
