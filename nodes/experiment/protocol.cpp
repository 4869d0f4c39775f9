// The protocol of each role, and the bounds, sizes and table that follow from it.
#include "nodes/experiment/protocol.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/check.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/experiment.hpp"

namespace lateral {
namespace {

/// Additional rows of a Perturbation: one for the squared change of all units before it, if the
/// rule uses it.
Index change_rows(const Experiment& experiment) { return experiment.sees_whole_change ? 1 : 0; }

std::vector<Transfer> transfers(const std::vector<Connection>& connections,
                                std::string Connection::*peer, bool with_source,
                                Index more_rows = 0) {
  std::vector<Transfer> found;
  for (const Connection& connection : connections)
    if (with_source || connection.*peer != source_name)
      found.push_back({connection.*peer, connection.rows + more_rows});
  return found;
}

/// Stages of the signals other than that of the credit rule.
std::vector<std::pair<Signal, Stage>> other_signals(const Experiment& experiment) {
  std::vector<std::pair<Signal, Stage>> stages;
  if (experiment.fisher_errors != FisherErrors::none) {
    const bool is_basis = experiment.fisher_errors == FisherErrors::basis;
    stages.push_back({Signal::fisher_error,
                      {{}, is_basis ? experiment.outputs : 0, experiment.fisher_interval}});
  }
  if (experiment.probe_interval > 0 && !experiment.credit_is_exact)
    stages.push_back({Signal::true_error, {{}, 0, experiment.probe_interval}});
  return stages;
}

/// The perturbed passes: for each the layer with noise, empty for noise in all layers.
std::vector<std::string> perturbed_passes(const Experiment& experiment) {
  if (experiment.perturbed_pass == PerturbedPass::none) return {};
  if (experiment.perturbed_pass == PerturbedPass::units_of_one_layer)
    return experiment.topology.layers();
  return {""};
}

/// Whether a perturbed pass changes what a node sends.
bool is_perturbed(const Topology& topology, const std::string& pass, const std::string& node) {
  return node != source_name && (pass.empty() || pass == node || topology.reaches(pass, node));
}

Protocol layer_protocol(const Experiment& experiment, const std::string& name) {
  const Topology& topology = experiment.topology;
  const std::vector<Connection> into = topology.into(name), out_of = topology.out_of(name);
  const auto down = transfers(into, &Connection::from, true);
  const auto up = transfers(out_of, &Connection::to, true);
  Protocol protocol;
  protocol.evaluation = {{Content::activity, {}, {}, down, up}};
  protocol.marker = {Content::marker, {}, {}, down, up};
  for (Transfer& transfer : protocol.marker.reads) transfer.rows = 0;
  for (Transfer& transfer : protocol.marker.sends) transfer.rows = 0;
  // The readout receives markers from the source.
  std::erase_if(protocol.marker.sends,
                [](const Transfer& transfer) { return transfer.peer == readout_name; });

  Stage forward{{{Content::activity, {}, {}, down, up}}};
  const Index change = change_rows(experiment);
  for (const std::string& pass : perturbed_passes(experiment)) {
    if (!is_perturbed(topology, pass, name)) continue;
    Exchange exchange{Content::perturbation, {}, pass, {}, {}};
    if (pass != name)
      for (const Connection& connection : into)
        if (is_perturbed(topology, pass, connection.from))
          exchange.reads.push_back({connection.from, connection.rows + change});
    exchange.sends = transfers(out_of, &Connection::to, true, change);
    forward.exchanges.push_back(std::move(exchange));
  }
  protocol.training.push_back(std::move(forward));

  // Errors are sent to all predecessors except the source.
  const auto errors_from = up;
  const auto errors_to = transfers(into, &Connection::from, false);
  Exchange credit{Content::signal, experiment.signal, {}, {}, {}};
  if (experiment.signal == Signal::error) {
    credit.reads = errors_from;
    credit.sends = errors_to;
  } else {
    credit.reads = {{readout_name, experiment.signal == Signal::reward ? 1 : experiment.outputs}};
  }
  protocol.training.push_back({{std::move(credit)}});
  for (auto& [kind, stage] : other_signals(experiment)) {
    stage.exchanges = {{Content::signal, kind, {}, errors_from, errors_to}};
    protocol.training.push_back(stage);
  }
  return protocol;
}

Protocol source_protocol(const Experiment& experiment) {
  const auto readers = transfers(experiment.topology.out_of(source_name), &Connection::to, true);
  const Index target_rows = experiment.target == Target::label ? 0 : experiment.outputs;
  Exchange target{Content::target, {}, {}, {}, {{readout_name, target_rows}}};
  Exchange activity{Content::activity, {}, {}, {}, readers};
  Protocol protocol;
  protocol.training = {{{target, activity}}};
  protocol.evaluation = {target, activity};
  protocol.marker = {Content::marker, {}, {}, {}, {}};
  for (const Transfer& reader : readers) protocol.marker.sends.push_back({reader.peer});
  protocol.marker.sends.push_back({readout_name});
  return protocol;
}

Protocol readout_protocol(const Experiment& experiment) {
  const Topology& topology = experiment.topology;
  const std::string& output = topology.output();
  const Index rows = experiment.outputs;
  const Index target_rows = experiment.target == Target::label ? 0 : rows;
  const auto every_layer = [&](Index n) {
    std::vector<Transfer> all;
    for (const std::string& layer : topology.layers()) all.push_back({layer, n});
    return all;
  };
  Protocol protocol;
  const Exchange target{Content::target, {}, {}, {{source_name, target_rows}}, {}};
  protocol.evaluation = {target, {Content::activity, {}, {}, {{output, rows}}, {}}};
  protocol.marker = {Content::marker, {}, {}, {{source_name}}, {}};
  Stage forward{{target, {Content::activity, experiment.signal, {}, {{output, rows}}, {}}}};
  std::vector<Transfer>& answers = forward.exchanges.back().sends;
  if (experiment.signal == Signal::error) answers = {{output, rows}};
  if (experiment.signal == Signal::output_error) answers = every_layer(rows);
  for (const std::string& pass : perturbed_passes(experiment))
    forward.exchanges.push_back({Content::perturbation,
                                 Signal::reward,
                                 pass,
                                 {{output, rows + change_rows(experiment)}},
                                 pass.empty() ? every_layer(1) : std::vector<Transfer>{{pass, 1}}});
  protocol.training.push_back(std::move(forward));
  for (auto& [kind, stage] : other_signals(experiment)) {
    stage.exchanges = {{Content::signal, kind, {}, {}, {{output, rows}}}};
    protocol.training.push_back(stage);
  }
  return protocol;
}

std::string name_of(const Exchange& exchange) {
  constexpr std::string_view signals[] = {"error", "output_error", "reward", "true_error",
                                          "fisher_error"};
  switch (exchange.content) {
    case Content::target:
      return "Target";
    case Content::activity:
      return "Activity";
    case Content::perturbation:
      return "Perturbation";
    case Content::signal:
      return fmt::format("Signal {}", signals[static_cast<std::size_t>(exchange.signal)]);
    case Content::marker:
      return "marker";
  }
  LATERAL_CHECK(false);
}

std::string list(const std::vector<Transfer>& transfers, std::string_view what,
                 const std::string& samples) {
  std::string text;
  for (const Transfer& transfer : transfers) {
    if (!text.empty()) text += ", ";
    text += transfer.rows > 0
                ? fmt::format("{} ({}, {}) {}", what, samples, transfer.rows, transfer.peer)
                : fmt::format("{} {}", what, transfer.peer);
  }
  return text.empty() ? "-" : text;
}

std::string row(const std::string& node, const std::string& when, const Exchange& exchange,
                const std::string& samples) {
  const std::string what = name_of(exchange);
  Exchange answer = exchange;
  const bool is_output =
      exchange.content == Content::activity || exchange.content == Content::perturbation;
  if (node == readout_name && is_output) answer.content = Content::signal;
  const std::string pass =
      exchange.perturbed.empty() ? "" : fmt::format("noise in {}; ", exchange.perturbed);
  return fmt::format("| {} | {}{} | {} | {} |\n", node, pass, when,
                     list(exchange.reads, what, samples),
                     list(exchange.sends, name_of(answer), samples));
}

}  // namespace

Protocol protocol_of(const Experiment& experiment, const std::string& node) {
  if (node == source_name) return source_protocol(experiment);
  if (node == readout_name) return readout_protocol(experiment);
  return layer_protocol(experiment, node);
}

std::size_t messages_in_flight(const Experiment& experiment, const std::string& node) {
  std::map<std::string, std::size_t> messages;
  for (const Stage& stage : protocol_of(experiment, node).training)
    for (const Exchange& exchange : stage.exchanges)
      for (const Transfer& read : exchange.reads)
        messages[read.peer] +=
            stage.columns > 0 ? 1 : static_cast<std::size_t>(experiment.micro_batches);
  std::size_t most = 0;
  for (const auto& [peer, count] : messages) most = std::max(most, count);
  return most * static_cast<std::size_t>(experiment.steps_in_flight);
}

double bytes_sent(const Experiment& experiment, const std::string& node) {
  double values = 0;
  for (const Stage& stage : protocol_of(experiment, node).training)
    for (const Exchange& exchange : stage.exchanges)
      for (const Transfer& sent : exchange.sends) {
        const Index columns = stage.columns > 0 ? stage.columns : experiment.batches.batch_size;
        values += static_cast<double>(sent.rows * columns) / static_cast<double>(stage.interval);
      }
  return values * sizeof(float);
}

std::size_t message_bytes_max(const Experiment& experiment, const std::string& node) {
  Index most = 0;
  for (const Stage& stage : protocol_of(experiment, node).training)
    for (const Exchange& exchange : stage.exchanges)
      for (const std::vector<Transfer>* transfers : {&exchange.reads, &exchange.sends})
        for (const Transfer& transfer : *transfers)
          most = std::max(
              most, transfer.rows * std::max<Index>(stage.columns, experiment.batches.batch_size));
  return static_cast<std::size_t>(most) * sizeof(float);
}

std::string protocol_table(const Experiment& experiment) {
  std::string table = "| node | when | reads, in this order | sends |\n|---|---|---|---|\n";
  for (const NodeSpec& node : experiment.topology.nodes()) {
    const Protocol protocol = protocol_of(experiment, node.name);
    for (const Stage& stage : protocol.training) {
      const bool is_first = &stage == &protocol.training.front();
      std::string when = is_first ? "receiving a batch: " : "learning from it: ";
      when += stage.columns > 0 ? "once" : "each micro-batch";
      if (stage.interval > 1) when += fmt::format(", every {} steps", stage.interval);
      for (const Exchange& exchange : stage.exchanges)
        table += row(node.name, when, exchange,
                     stage.columns > 0 ? fmt::format("{}", stage.columns) : "b");
    }
    for (const Exchange& exchange : protocol.evaluation)
      table += row(node.name, "evaluation", exchange, "b");
    table += row(node.name, "between batches", protocol.marker, "");
  }
  return table;
}

}  // namespace lateral
