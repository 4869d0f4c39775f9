// Schedules and micro-batches: which of them change no bit, and the result of the asynchronous
// schedule.
#include <doctest/doctest.h>

#include "nodes/base/failure.hpp"
#include "tests/support/network.hpp"

namespace lateral {
namespace {

NetworkState state_after(const std::vector<std::string>& sets, std::uint64_t order = 1) {
  return state_after(small_experiment(sets), order);
}

std::vector<std::string> with(std::vector<std::string> sets, const std::string& more) {
  sets.push_back(more);
  return sets;
}

TEST_CASE("lockstep, overlapped and asynchronous without staleness end with the same bits") {
  for (const auto& rule : credit_table()) {
    CAPTURE(rule.name);
    const std::vector<std::string> sets{"learning.credit=" + std::string(rule.name)};
    const NetworkState overlapped = state_after(sets);
    CHECK(state_after(with(sets, "execution.schedule=lockstep")) == overlapped);
    CHECK(state_after({sets[0], "execution.schedule=asynchronous", "execution.staleness=0"}) ==
          overlapped);
  }
}

TEST_CASE("a last micro-batch of a single sample ends with the same bits too") {
  for (const char* product : {"eigen", "onednn"})
    for (const char* precision : {"float32", "bf16"})
      for (const char* credit : {"backpropagation", "node_perturbation"}) {
        if (find_entry(product_table(), product) == nullptr) continue;
        if (!find_entry(product_table(), product)()->multiplies_bf16()) continue;
        CAPTURE(product);
        CAPTURE(precision);
        CAPTURE(credit);
        const std::vector<std::string> sets{std::string("learning.credit=") + credit,
                                            std::string("execution.product=") + product,
                                            std::string("execution.precision=") + precision,
                                            "data.generated.train_samples=66",
                                            "decorrelation.demean=running",
                                            "learning.batch_size=33"};
        CHECK(state_after(with(sets, "execution.micro_batches=2")) == state_after(sets));
      }
}

TEST_CASE("any number of micro-batches ends with the same bits, where samples are independent") {
  for (const auto& rule : credit_table())
    for (const char* mode : {"closed_form", "settled"})
      for (const char* demean : {"running", "none"}) {
        CAPTURE(rule.name);
        CAPTURE(mode);
        CAPTURE(demean);
        // Batches of 256 and a last one of 44: 8 micro-batches and 2, the last one smaller.
        const std::vector<std::string> sets{"learning.credit=" + std::string(rule.name),
                                            std::string("decorrelation.mode=") + mode,
                                            std::string("decorrelation.demean=") + demean,
                                            "decorrelation.warm_start=true",
                                            "data.generated.train_samples=300",
                                            "learning.batch_size=256",
                                            "recording.probe_interval=1"};
        const NetworkState whole = state_after(sets);
        for (const char* pieces : {"2", "4", "8", "64"})
          for (const std::uint64_t order : {1u, 2u}) {
            CAPTURE(pieces);
            CHECK(state_after(with(sets, std::string("execution.micro_batches=") + pieces),
                              order) == whole);
          }
      }
}

TEST_CASE(
    "Fisher errors are the same bits for all schedules, micro-batches and orders of execution") {
  for (const char* preconditioner : {"kfac", "exact_natural_gradient"}) {
    CAPTURE(preconditioner);
    std::vector<std::string> sets{std::string("learning.preconditioner=") + preconditioner,
                                  "learning.optimizer=sgd",
                                  "learning.loss=squared_error",
                                  "decorrelation.demean=running",
                                  "data.generated.train_samples=300",
                                  "learning.batch_size=256",
                                  "learning.learning_rate=0.01",
                                  "learning.credit=sign_symmetry",
                                  "recording.probe_interval=1"};
    if (std::string_view(preconditioner) == "kfac")
      sets.emplace_back("learning.preconditioner_parameter.interval=2");
    else
      for (const char* layer : {"hidden1", "hidden2"})
        sets.push_back(std::string("layer.") + layer + ".activation=identity");
    const NetworkState whole = state_after(sets);
    sets[0] = "learning.preconditioner=none";
    std::erase_if(sets, [](const std::string& set) {
      return set.starts_with("learning.preconditioner_parameter");
    });
    CHECK(state_after(sets) != whole);
    sets[0] = std::string("learning.preconditioner=") + preconditioner;
    if (std::string_view(preconditioner) == "kfac")
      sets.emplace_back("learning.preconditioner_parameter.interval=2");
    for (const char* other : {"execution.schedule=lockstep", "execution.micro_batches=4",
                              "execution.micro_batches=64", "recording.checkpoint_interval=1"})
      for (const std::uint64_t order : {1u, 2u}) {
        CAPTURE(other);
        CHECK(state_after(with(sets, other), order) == whole);
      }
  }
}

TEST_CASE("Fisher errors are sent with every kind of signal, and stale ones are not read") {
  for (const char* credit :
       {"direct_feedback_alignment", "node_perturbation", "weight_perturbation"})
    for (const char* staleness : {"0", "2"}) {
      CAPTURE(credit);
      CAPTURE(staleness);
      const std::vector<std::string> sets{std::string("learning.credit=") + credit,
                                          "learning.preconditioner=kfac",
                                          "learning.preconditioner_parameter.interval=3",
                                          "learning.optimizer=sgd",
                                          "execution.schedule=asynchronous",
                                          std::string("execution.staleness=") + staleness};
      CHECK(state_after(sets, 1) == state_after(sets, 5));
    }
}

TEST_CASE("a teacher's outputs do not depend on the number of micro-batches") {
  const std::vector<std::string> sets{
      "data.format=gaussian",         "data.target=teacher",
      "learning.loss=squared_error",  "data.generated.train_samples=99",
      "decorrelation.demean=running", "learning.batch_size=33"};
  CHECK(state_after(with(sets, "execution.micro_batches=2")) == state_after(sets));
}

TEST_CASE("micro-batches with demean: batch are refused") {
  CHECK_THROWS_AS(small_experiment({"execution.micro_batches=2"}), UserError);
  small_experiment({"execution.micro_batches=2", "decorrelation.demean=running"});
}

/// A network without processes or messages, whose layers all respond to step t and then all learn
/// from step t − staleness; layers read each other as the topology says.
NetworkState sequential(const Experiment& experiment, std::size_t staleness) {
  const DataSet data = data_of(experiment);
  Batches batches{data, experiment.batches};
  const Topology& topology = experiment.topology;
  const Compute compute{experiment.compute};
  std::map<std::string, std::unique_ptr<Layer>> layers;
  std::uint32_t number = 0;
  for (const LayerSpec& spec : experiment.layers) {
    LayerParams params = spec.params;
    params.decorrelator.compute = &compute;
    layers[spec.name] = spec.kind().make(params, experiment.seed, ++number);
  }
  const std::unique_ptr<Loss> loss = experiment.make_loss();
  struct InFlight {
    std::map<std::string, std::unique_ptr<LayerStep>> steps;
    Matrix output_error;
  };
  std::deque<InFlight> in_flight;
  const auto learn_from_first = [&] {
    InFlight now = std::move(in_flight.front());
    in_flight.pop_front();
    // What each layer has been sent, by who reads it.
    std::map<std::string, std::map<std::string, Matrix>> errors;
    errors[topology.output()][readout_name] = now.output_error;
    for (auto name = topology.layers().rbegin(); name != topology.layers().rend(); ++name) {
      LayerStep& step = *now.steps.at(*name);
      Layer& layer = *layers.at(*name);
      Matrix error;
      for (const Connection& reader : topology.out_of(*name)) {
        const Matrix& part = errors.at(*name).at(reader.to);
        error = error.size() == 0 ? part : Matrix(error + part);
      }
      layer.receive(step, 0, Signal::error, error);
      const LayerSpec& spec = experiment.layer(*name);
      Matrix at_input(spec.params.inputs(), step.batch), at_added(spec.output.size(), step.batch);
      layer.send_back(step, {0, step.batch}, Signal::error, at_input, at_added);
      for (const Connection& from : topology.into(*name)) {
        Matrix& sent = errors[from.from][*name];
        if (from.input_row) sent = at_input.middleRows(*from.input_row, from.rows);
        if (from.is_added) sent = from.input_row ? Matrix(sent + at_added) : at_added;
      }
      layer.learn(step, false);
    }
  };
  std::uint64_t number_of_step = 0;
  std::vector<std::uint32_t> labels;
  for (int epoch = 1; epoch <= experiment.epochs; ++epoch) {
    for (int i = 0; i < batches.train_steps_per_epoch(); ++i) {
      Matrix values(experiment.image.pixels(), batches.train_samples(i));
      batches.train(static_cast<std::uint64_t>(epoch), i, values, labels);
      ++number_of_step;
      std::map<std::string, Matrix> activity{{source_name, values}};
      InFlight now;
      for (const LayerSpec& spec : experiment.layers) {
        Layer& layer = *layers.at(spec.name);
        LayerStep& step = *(now.steps[spec.name] = layer.make_step());
        layer.begin(step, number_of_step, values.cols());
        Matrix z(spec.params.inputs(), values.cols()), added;
        for (const Connection& from : topology.into(spec.name)) {
          const Matrix& y = activity.at(from.from);
          if (from.input_row) z.middleRows(*from.input_row, from.rows) = y;
          if (from.is_added) added = added.size() == 0 ? y : Matrix(added + y);
        }
        Matrix& y = activity[spec.name];
        y.resize(spec.output.size(), values.cols());
        layer.forward(step, 0, z, added, y);
        if (staleness > 0) layer.learn_decorrelation(step);  // needs no signal
      }
      const Matrix& y = activity.at(topology.output());
      std::vector<double> losses(labels.size());
      now.output_error.resize(y.rows(), y.cols());
      loss->evaluate(y, onehot(labels, y.rows()), losses, now.output_error);
      in_flight.push_back(std::move(now));
      if (in_flight.size() == staleness + 1) learn_from_first();
    }
    while (!in_flight.empty()) learn_from_first();  // no step is in flight at the end of an epoch
  }
  NetworkState state;
  for (const auto& [name, layer] : layers)
    layer->visit_state([&, layer_name = name](const TensorView& tensor) {
      const Eigen::Map<const Matrix> columns(tensor.data, tensor.rows, tensor.cols);
      const Matrix rows = columns.transpose();
      state[layer_name + "/" + tensor.name] = {rows.data(), rows.data() + rows.size()};
    });
  return state;
}

TEST_CASE("a graph computes what a sequential trainer with the same connections computes") {
  for (const char* credit : {"backpropagation", "feedback_alignment"})
    for (const char* staleness : {"0", "2"})
      for (const char* mode : {"closed_form", "settled"}) {
        CAPTURE(credit);
        CAPTURE(staleness);
        CAPTURE(mode);
        const Experiment graph = small_graph(
            {std::string("learning.credit=") + credit, std::string("decorrelation.mode=") + mode,
             "execution.schedule=asynchronous", std::string("execution.staleness=") + staleness,
             "execution.product=eigen"});
        const NetworkState state = state_after(graph, 1);
        CHECK(state_after(graph, 7) == state);
        CHECK(sequential(graph, static_cast<std::size_t>(std::stoi(staleness))) == state);
      }
}

TEST_CASE("the asynchronous schedule computes the same as a sequential trainer with its delays") {
  for (const char* credit : {"backpropagation", "feedback_alignment"})
    for (const char* demean : {"batch", "running"}) {
      NetworkState previous;
      for (const std::size_t staleness : {0u, 1u, 2u, 5u}) {
        CAPTURE(credit);
        CAPTURE(demean);
        CAPTURE(staleness);
        const std::vector<std::string> sets{
            std::string("learning.credit=") + credit, std::string("decorrelation.demean=") + demean,
            "execution.schedule=asynchronous", "execution.staleness=" + std::to_string(staleness),
            "execution.product=eigen"};
        const NetworkState state = state_after(sets, 1);
        CHECK(state_after(sets, 7) == state);
        CHECK(sequential(small_experiment(sets), staleness) == state);
        CHECK(state != previous);  // the delay matters (four steps an epoch: up to three do)
        if (staleness < 3) previous = state;
      }
    }
}

}  // namespace
}  // namespace lateral
