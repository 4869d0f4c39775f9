// Mistakes in an experiment are refused with file, line and the expected value; defaults are filled
// in.
#include "nodes/experiment/experiment.hpp"

#include <doctest/doctest.h>

#include "nodes/base/failure.hpp"

namespace lateral {
namespace {

const std::string base = R"(name: "test"
data { format: "mnist" }
layer { name: "hidden1" units: 20 }
layer { name: "output" units: 10 activation: "identity" }
learning { batch_size: 64 }
)";

std::string refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    parse_experiment(text, "x.textproto", sets);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}
bool contains_all(const std::string& message, const std::vector<std::string>& words) {
  INFO(message);
  for (const std::string& word : words)
    if (message.find(word) == std::string::npos) {
      MESSAGE("'" << message << "' does not contain '" << word << "'");
      return false;
    }
  return message.find('\n') == std::string::npos;
}

TEST_CASE("an experiment is completed with the defaults of the schema") {
  const Experiment e = parse_experiment(base, "x", {});
  CHECK(e.name == "test");
  CHECK(e.seed == 0);
  CHECK(e.batches.batch_size == 64);
  CHECK(e.batches.shuffle);
  CHECK(e.image.pixels() == 784);
  REQUIRE(e.layers.size() == 2);
  CHECK(e.layers[0].params.inputs() == 784);
  CHECK(e.layers[1].params.inputs() == 20);
  CHECK(e.layers[1].params.is_output);
  CHECK_FALSE(e.layers[0].params.is_output);
  CHECK(e.layers[0].params.optimizer_params.beta2 == 0.9999);
  CHECK(e.layers[0].params.decorrelator.demean == Demean::none);  // with rule none
  for (const char* word :
       {"learning_rate: 0.001", "tolerance: 0.0001", "seed: 0", "shuffle: true", "demean: none"})
    CHECK(e.text.find(word) != std::string::npos);
}

TEST_CASE(
    "the effective configuration is parsed to itself, and another seed gives another digest") {
  const Experiment e =
      parse_experiment(base, "x", {"decorrelation.rule=ahmad2024", "learning.epochs=3"});
  const Experiment again = parse_experiment(e.text, "y", {});
  CHECK(again.text == e.text);
  CHECK(again.digest == e.digest);
  CHECK(parse_experiment(base, "x", {"seed=2"}).digest != e.digest);
}

TEST_CASE("demeaning defaults to the batch with a rule, and can be chosen without one") {
  CHECK(parse_experiment(base, "x", {"decorrelation.rule=ahmad2024"})
            .layers[0]
            .params.decorrelator.demean == Demean::batch);
  CHECK(parse_experiment(base, "x", {"decorrelation.demean=batch"})
            .layers[0]
            .params.decorrelator.demean == Demean::batch);
}

TEST_CASE("--set reaches every kind of field") {
  const Experiment e = parse_experiment(
      base, "x",
      {"layer.hidden1.units=7", "learning.shuffle=false", "learning.learning_rate=2.5e-2", "seed=9",
       "decorrelation.mode=settled", "decorrelation.rule=ahmad2024", "learning.optimizer=sgd",
       "name=other", "decorrelation.integrator=chebyshev", "data.train_limit=100"});
  CHECK(e.layers[0].params.units == 7);
  CHECK(e.layers[1].params.inputs() == 7);
  CHECK_FALSE(e.batches.shuffle);
  CHECK(e.layers[0].params.optimizer_params.learning_rate == 0.025);
  CHECK(e.seed == 9);
  CHECK(e.layers[0].params.decorrelator.rule_params.mode == DecorrelationMode::settled);
  CHECK(e.name == "other");
  CHECK(e.batches.train_limit == 100);
}

TEST_CASE("mistakes in the file are refused with their line") {
  CHECK(contains_all(refusal(base + "nonsense: 3\n"), {"x.textproto:6:", "nonsense"}));
  CHECK(contains_all(refusal(base + "learning { epochs: 1 }\nseed: \"a\"\n"),
                     {"x.textproto:6"}));  // a second learning
  CHECK(contains_all(refusal(base + "decorrelation { learning_rate: -1 }\n"),
                     {"x.textproto:6", "decorrelation.learning_rate is -1", ">= 0"}));
  CHECK(contains_all(refusal(base + "decorrelation { rule: \"magic\" }\n"),
                     {"x.textproto:6", "'magic'", "ahmad2024", "none"}));
  CHECK(
      contains_all(refusal(base + "decorrelation { mode: other }\n"), {"x.textproto:6", "other"}));
  CHECK(contains_all(refusal(base + "recording { probe_interval: -3 }\n"), {"x.textproto:6"}));
  CHECK(contains_all(refusal("layer { name: \"output\" units: 9 }\ndata { format: \"mnist\" }"),
                     {"x.textproto:1", "'output' has 9 units", "expected 10", "mnist"}));
  CHECK(contains_all(refusal("layer { name: \"a b\" units: 10 }"),
                     {"x.textproto:1", "'a b'", "expected a name"}));
  CHECK(contains_all(refusal("layer { name: \"source\" units: 10 }"), {"'source' is taken"}));
  CHECK(contains_all(refusal("layer { name: \"a\" units: 10 }\nlayer { name: \"a\" units: 10 }"),
                     {"x.textproto:2", "taken"}));
  CHECK(contains_all(refusal("layer { name: \"a\" }\nlayer { name: \"b\" }"), {"no units"}));
  CHECK(contains_all(refusal("seed: 1"), {"no layer"}));
  CHECK(
      contains_all(refusal("name: \"../x\" layer { name: \"a\" units: 10 }"), {"name is '../x'"}));
  CHECK(contains_all(refusal(std::string("a\0b", 3)), {"x.textproto: binary"}));
  CHECK(contains_all(refusal("seed: 99999999999999999999999"), {"x.textproto:1"}));
  CHECK(contains_all(refusal(base + "learning { beta1: 1 }"), {"x.textproto:6"}));
}

TEST_CASE("mistakes in --set are refused with the flag") {
  CHECK(contains_all(refusal(base, {"learning.learnig_rate=1"}),
                     {"--set learning.learnig_rate=1", "learning_rate"}));
  CHECK(contains_all(refusal(base, {"learning.epochs=many"}), {"--set", "'many'", "whole number"}));
  CHECK(contains_all(refusal(base, {"learning.epochs=-1"}), {"--set", "'-1'"}));
  CHECK(contains_all(refusal(base, {"learning.epochs=0"}), {"--set learning.epochs=0", ">= 1"}));
  CHECK(contains_all(refusal(base, {"learning.learning_rate=nan"}),
                     {"--set", "learning.learning_rate is nan"}));
  CHECK(contains_all(refusal(base, {"learning.learning_rate=inf"}), {"--set", "inf"}));
  CHECK(contains_all(refusal(base, {"learning.shuffle=perhaps"}), {"--set", "true or false"}));
  CHECK(
      contains_all(refusal(base, {"decorrelation.mode=wrong"}), {"--set", "closed_form, settled"}));
  CHECK(contains_all(refusal(base, {"layer.hidden9.units=3"}),
                     {"no layer 'hidden9'", "hidden1, output"}));
  CHECK(contains_all(refusal(base, {"layer.hidden1=3"}), {"expected layer.NAME.FIELD=VALUE"}));
  CHECK(contains_all(refusal(base, {"recording.record=3"}),
                     {"expected recording.record.NAME.FIELD=VALUE"}));
  CHECK(contains_all(refusal(base, {"learning.preconditioner=kfac",
                                    "learning.preconditioner_parameter.interval=1.5"}),
                     {"interval is 1.5", "a whole number"}));
  CHECK(contains_all(refusal(base, {"learning=3"}), {"--set learning=3"}));
  CHECK(contains_all(refusal(base, {"seed.x=3"}), {"'seed' has no fields"}));
  CHECK(contains_all(refusal(base, {"seed"}), {"PATH=VALUE"}));
  CHECK(contains_all(refusal(base, {"=3"}), {"PATH=VALUE"}));
  CHECK(contains_all(refusal(base, {"data.train_limit=3000000000"}),
                     {"data.train_limit is 3e+09", "<= 1e+09"}));
  CHECK(contains_all(refusal(base, {"seed="}), {"--set seed=", "whole number"}));
  CHECK(contains_all(refusal(base, {"layer.hidden1.activation=step"}), {"'step'", "leaky_relu"}));
}

TEST_CASE("incompatible settings are refused") {
  CHECK(contains_all(refusal(base, {"learning.batch_size=1", "decorrelation.rule=ahmad2024"}),
                     {"demean", "running"}));
  CHECK(refusal(base, {"learning.batch_size=1", "decorrelation.rule=ahmad2024",
                       "decorrelation.demean=running"}) == "accepted");
  CHECK(
      contains_all(refusal(base, {"decorrelation.integrator=chebyshev", "decorrelation.step=0.5"}),
                   {"chebyshev"}));
  const auto with_base = [](std::vector<std::string> sets) { return refusal(base, sets); };
  const std::string exact = "learning.preconditioner=exact_natural_gradient";
  CHECK(contains_all(with_base({exact}), {exact, "layer 'hidden1' has activation leaky_relu"}));
  CHECK(contains_all(with_base({exact, "layer.hidden1.activation=identity"}), {"squared_error"}));
  CHECK(contains_all(with_base({exact, "layer.hidden1.activation=identity",
                                "learning.loss=squared_error", "decorrelation.demean=batch"}),
                     {"running or none"}));
  CHECK(with_base({exact, "layer.hidden1.activation=identity", "learning.loss=squared_error"}) ==
        "accepted");
  CHECK(
      contains_all(with_base({"learning.preconditioner=kfac", "learning.credit=weight_perturbation",
                              "learning.preconditioner_parameter.sampled=0"}),
                   {"learning.preconditioner=kfac", "weight_perturbation"}));
  CHECK(
      contains_all(with_base({"learning.preconditioner_parameter.damping=1"}), {"expected none"}));
  CHECK(contains_all(
      with_base({"data.format=gaussian", "layer.output.units=2", "data.crop_padding=1"}),
      {"--set data.crop_padding=1", "gaussian has none"}));
  CHECK(contains_all(with_base({"data.target=input"}), {"expected 784, the inputs of mnist"}));
  CHECK(contains_all(with_base({"data.target=teacher", "learning.loss=cross_entropy"}),
                     {"cross_entropy", "squared_error"}));
  CHECK(with_base({"data.target=teacher", "learning.loss=squared_error", "layer.output.units=3"}) ==
        "accepted");
}

TEST_CASE("every file of a folder of rules is a value of its field") {
  for (const auto& entry : credit_table())
    CHECK(refusal(base, {"learning.credit=" + std::string(entry.name)}) == "accepted");
  for (const auto& entry : integrator_table())
    CHECK(refusal(base, {"decorrelation.integrator=" + std::string(entry.name)}) == "accepted");
  for (const auto& entry : preconditioner_table())
    if (entry.name != "exact_natural_gradient")
      CHECK(refusal(base, {"learning.preconditioner=" + std::string(entry.name)}) == "accepted");
  CHECK(credit_table().size() >= 4);
  CHECK(integrator_table().size() >= 4);
  CHECK(decorrelation_table().size() >= 2);
  CHECK(data_format_table().size() >= 4);
}

TEST_CASE("a missing plug-in of an experiment is refused") {
  CHECK(contains_all(refusal(base + "execution { plugin { file: \"/none.so\" } }"),
                     {"plug-in /none.so", "no such shared library"}));
  CHECK(contains_all(refusal(base + "execution { plugin {} }"), {"x.textproto", "no file"}));
  CHECK(contains_all(refusal(base, {"execution.plugin=/none.so"}), {"expected --plugin FILE"}));
}

TEST_CASE("by default the checkpoint interval bounds the bytes that a layer sends to 128 MB") {
  const auto interval = [](std::vector<std::string> sets) {
    for (const char* set : {"layer.hidden1.units=1000", "layer.hidden2.units=1000",
                            "learning.batch_size=1000", "recording.probe_interval=0"})
      sets.insert(sets.begin(), set);
    return parse_experiment(R"(
        layer { name: "hidden1" } layer { name: "hidden2" }
        layer { name: "output" units: 10 activation: "identity" }
        data { format: "mnist" } learning {} recording {} execution {} decorrelation {}
      )",
                            "x", sets)
        .checkpoint_interval;
  };
  CHECK(interval({}) == 16);  // hidden2: 1000 up, 1000 down; 8 MB a step
  CHECK(interval({"learning.credit=direct_feedback_alignment"}) == 32);
  CHECK(interval({"learning.credit=direct_feedback_alignment", "recording.probe_interval=2"}) ==
        21);
  CHECK(interval({"learning.credit=node_perturbation"}) == 16);
  CHECK(interval({"learning.credit=backpropagation", "learning.preconditioner=kfac"}) == 10);
  CHECK(interval({"learning.batch_size=1"}) == 1000);
  CHECK(interval({"execution.restarts_max=0"}) == 0);
  CHECK(interval({"execution.schedule=asynchronous", "execution.staleness=1"}) == 0);
  CHECK(interval({"recording.checkpoint_interval=3"}) == 3);
}

TEST_CASE("experiments that differ only in epochs are recognised") {
  const std::string a = parse_experiment(base, "x", {"learning.epochs=2"}).text;
  CHECK(differs_only_in_epochs(a, parse_experiment(base, "x", {"learning.epochs=7"}).text, "y"));
  CHECK_FALSE(differs_only_in_epochs(a, parse_experiment(base, "x", {"seed=7"}).text, "y"));
}

}  // namespace
}  // namespace lateral
