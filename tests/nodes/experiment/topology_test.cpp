// Networks as graphs: the connections by names, the errors, and the protocol of each node.
#include "nodes/experiment/topology.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "nodes/base/failure.hpp"
#include "nodes/base/name.hpp"
#include "nodes/experiment/plan.hpp"
#include "tests/support/network.hpp"

namespace lateral {
namespace {

using Names = std::vector<std::string>;

Names peers(const std::vector<Transfer>& transfers) {
  Names names;
  for (const Transfer& transfer : transfers) names.push_back(transfer.peer);
  return names;
}

std::string refusal(const std::string& layers, const std::vector<std::string>& sets = {}) {
  try {
    small_experiment_of(layers, sets);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

bool contains_all(const std::string& message, const Names& words) {
  INFO(message);
  return std::all_of(words.begin(), words.end(), [&](const std::string& word) {
    return message.find(word) != std::string::npos;
  });
}

TEST_CASE("a file without input and add is a chain") {
  const Experiment chain = small_experiment();
  const Experiment named = small_experiment(
      {"layer.hidden1.input=source", "layer.hidden2.input=hidden1", "layer.output.input=hidden2"});
  CHECK(named.text == chain.text);
  CHECK(chain.topology.links() ==
        std::vector<std::pair<std::string, std::string>>{{"source", "hidden1"},
                                                         {"hidden1", "hidden2"},
                                                         {"hidden2", "output"},
                                                         {"output", "readout"},
                                                         {"source", "readout"}});
}

TEST_CASE("connections of a graph: order, rows, and reachable layers") {
  const Experiment graph = small_graph();
  const Topology& topology = graph.topology;
  const std::vector<Connection> into = topology.into("hidden3");
  REQUIRE(into.size() == 3);
  CHECK(into[0].from == "source");
  CHECK(into[0].input_row == 0);
  CHECK(into[1].from == "hidden2");
  CHECK(into[1].input_row == 36);
  CHECK_FALSE(into[1].is_added);
  CHECK(into[2].from == "hidden1");
  CHECK_FALSE(into[2].input_row.has_value());
  CHECK(into[2].is_added);
  const std::vector<Connection> both = topology.into("hidden2");
  REQUIRE(both.size() == 1);
  CHECK((both[0].input_row.has_value() && both[0].is_added));
  Names readers;
  for (const Connection& connection : topology.out_of("hidden1")) readers.push_back(connection.to);
  CHECK(readers == Names{"hidden2", "hidden3", "output"});
  CHECK(graph.layer("hidden3").params.inputs() == 36 + 12);
  CHECK(topology.reaches("hidden2", "output"));
  CHECK_FALSE(topology.reaches("hidden3", "hidden2"));
  CHECK_FALSE(topology.reaches("hidden1", "hidden1"));
}

TEST_CASE("the effective configuration of a graph is parsed to itself") {
  const Experiment graph = small_graph();
  CHECK(parse_experiment(graph.text, "again", {}).text == graph.text);
  CHECK(graph.text.find("add: \"hidden1\"") != std::string::npos);
}

TEST_CASE("each mistake in a graph has an error message of its own") {
  const std::string first = "layer { name: \"a\" units: 12 }\n";
  const std::string last = "\nlayer { name: \"z\" units: 10 }";
  const struct {
    std::string layer;
    Names words;
  } cases[] = {
      {"layer { name: \"b\" units: 12 input: \"z\" }",
       {"'b' has input 'z', which is a later layer"}},
      {"layer { name: \"b\" units: 12 add: \"z\" }", {"'b' has add 'z', which is a later layer"}},
      {"layer { name: \"b\" units: 12 input: \"unknown\" }",
       {"'b' has input 'unknown'", "expected source or the name of a layer before it"}},
      {"layer { name: \"b\" units: 12 input: \"b\" }", {"'b' has itself as input"}},
      {"layer { name: \"b\" units: 12 input: \"readout\" }", {"'b' has input 'readout'"}},
      {"layer { name: \"b\" units: 12 input: \"a\" input: \"a\" }", {"'b' has input 'a' twice"}},
      {"layer { name: \"b\" units: 12 add: \"a\" add: \"a\" }", {"'b' has add 'a' twice"}},
      {"layer { name: \"b\" units: 11 add: \"a\" }", {"'b' of 11 units adds 'a' of 12"}},
      {"layer { name: \"b\" units: 12 add: \"source\" }", {"adds 'source' of 36"}},
      {"layer { name: \"b\" units: 12 input: \"source\" }", {"no layer reads 'a'"}},
  };
  for (const auto& [layer, words] : cases) {
    const std::string message = refusal(first + layer + last);
    CHECK(contains_all(message, words));
    CHECK(contains_all(message, {"small.textproto:"}));
  }
  CHECK(refusal(first + last) == "accepted");
}

TEST_CASE("a rule that is not defined on a graph is refused with the reason") {
  const std::string layers =
      "layer { name: \"a\" units: 10 activation: \"identity\" }\n"
      "layer { name: \"z\" units: 10 activation: \"identity\" ";
  const std::vector<std::string> sets{"learning.preconditioner=exact_natural_gradient",
                                      "learning.loss=squared_error",
                                      "decorrelation.demean=running"};
  CHECK(refusal(layers + "}", sets) == "accepted");
  CHECK(contains_all(
      refusal(layers + "add: \"a\" }", sets),
      {"exact_natural_gradient", "layers of a chain", "layer 'z' reads others than 'a'"}));
}

TEST_CASE(
    "the protocol of a layer: errors are read from its successors, in the order of the file") {
  const Experiment graph = small_graph({"learning.credit=feedback_alignment"});
  const Protocol protocol = protocol_of(graph, "hidden1");
  REQUIRE(protocol.training.size() == 3);  // forward, error, true error on probed steps
  const Exchange& error = protocol.training[1].exchanges.at(0);
  CHECK(peers(error.reads) == Names{"hidden2", "hidden3", "output"});
  CHECK(error.sends.empty());  // not to the source
  CHECK(peers(protocol_of(graph, "hidden3").training[1].exchanges[0].sends) ==
        Names{"hidden2", "hidden1"});
  CHECK(protocol.training[2].interval == 2);
  CHECK(peers(protocol.marker.sends) == Names{"hidden2", "hidden3", "output"});
  CHECK(protocol_of(graph, "output").marker.sends.empty());
}

TEST_CASE("perturbed passes are sent only between layers that they change") {
  const Experiment graph = small_graph({"learning.credit=iterative_perturbation"});
  const Protocol protocol = protocol_of(graph, "hidden3");
  const Stage& forward = protocol.training[0];
  REQUIRE(forward.exchanges.size() == 4);  // activity, noise in hidden1, in hidden2, its own
  CHECK(peers(forward.exchanges[1].reads) == Names{"hidden2", "hidden1"});
  CHECK(peers(forward.exchanges[2].reads) == Names{"hidden2"});
  CHECK(forward.exchanges[3].reads.empty());
}

/// How many messages nodes send (or read) in a training step, by sender, reader and values.
std::map<std::tuple<std::string, std::string, Index>, int> traffic(const Experiment& experiment,
                                                                   bool is_sent) {
  std::map<std::tuple<std::string, std::string, Index>, int> found;
  for (const NodeSpec& node : experiment.topology.nodes())
    for (const Stage& stage : protocol_of(experiment, node.name).training)
      for (const Exchange& exchange : stage.exchanges)
        for (const Transfer& transfer : is_sent ? exchange.sends : exchange.reads) {
          const auto& from = is_sent ? node.name : transfer.peer;
          const auto& to = is_sent ? transfer.peer : node.name;
          ++found[{from, to, transfer.rows}];
        }
  return found;
}

TEST_CASE("each message that a node sends is one that its peer reads") {
  for (const auto& [name, make] : credit_table())
    for (const char* preconditioner : {"none", "kfac"}) {
      CAPTURE(name);
      std::vector<std::string> sets{"learning.credit=" + std::string(name),
                                    "learning.preconditioner=" + std::string(preconditioner),
                                    "learning.optimizer=sgd"};
      if (preconditioner != std::string("none") && make({})->signal() != Signal::error) continue;
      const Experiment graph = small_graph(sets);
      CHECK(traffic(graph, true) == traffic(graph, false));
    }
}

TEST_CASE("bounds of queues and bytes follow from the protocol") {
  const Experiment chain = small_experiment();
  CHECK(messages_in_flight(chain, "hidden2") == 1);
  CHECK(bytes_sent(chain, "hidden2") == 4.0 * 32 * (8 + 12));
  CHECK(bytes_sent(chain, "hidden1") == 4.0 * 32 * 12);  // no error to the source
  CHECK(message_bytes_max(chain, "hidden1") == 4 * 32 * 36);
  CHECK(message_bytes_max(chain, "readout") == 4 * 32 * 10);
  const Experiment pieces =
      small_experiment({"execution.micro_batches=4", "decorrelation.demean=running",
                        "learning.credit=node_perturbation"});
  CHECK(messages_in_flight(pieces, "hidden2") == 8);
  const Experiment delayed =
      small_experiment({"execution.schedule=asynchronous", "execution.staleness=2"});
  CHECK(messages_in_flight(delayed, "hidden2") == 3);
  const Experiment basis = small_experiment(
      {"learning.preconditioner=exact_natural_gradient", "learning.loss=squared_error",
       "decorrelation.demean=running", "learning.batch_size=4", "layer.hidden1.activation=identity",
       "layer.hidden2.activation=identity"});
  CHECK(message_bytes_max(basis, "hidden1") == 4 * std::max(4 * 36, 10 * 12));
}

}  // namespace
}  // namespace lateral
