"""The experiments by which two builds are compared: every value of every setting that the program lists.

Rules, their modes and their parameters are read from `lateral rules`, the values of other settings from the
error message for a wrong one, so that additions to the program are compared without a change here. Data formats
that need files and plug-ins are not included.
"""
import dataclasses
import re
import subprocess

QUICKSTART = "sims/quickstart.textproto"
SMALL = ["data.generated.train_samples=1000", "data.generated.test_samples=200", "data.generated.size=12",
         "layer.hidden1.units=48", "layer.hidden2.units=32", "learning.batch_size=64",
         "recording.probe_interval=5", "recording.checkpoint_interval=7"]
SHORT, LONG = ["learning.epochs=2"], ["learning.epochs=10"]  # long enough to kill a node during the run
AHMAD = ["decorrelation.rule=ahmad2024"]
SETTLED = AHMAD + ["decorrelation.mode=settled"]
SQUARED_ERROR = ["learning.loss=squared_error"]
SGD = ["learning.optimizer=sgd", "learning.learning_rate=1e-2"]
# A deep linear network that learns a linear map, as exact_natural_gradient requires.
LINEAR = SQUARED_ERROR + SGD + ["data.format=gaussian", "data.target=teacher"] + [
    f"layer.{layer}.activation=identity" for layer in ("hidden1", "hidden2")]
# One rule for each kind of signal that a layer may learn from: error, output error, reward.
SIGNALS = {"error": [], "output_error": ["learning.credit=direct_feedback_alignment"],
           "reward": ["learning.credit=node_perturbation"],
           "reward_of_each_layer": ["learning.credit=iterative_perturbation"],
           "reward_over_change": ["learning.credit=activity_perturbation"],
           "reward_of_weights": ["learning.credit=weight_perturbation"]}
BUILT_IN_DATA = ["generated", "gaussian"]


@dataclasses.dataclass
class Experiment:
    """A name, the settings in addition to SMALL, and the ways to run it in addition to "processes"."""
    name: str
    sets: list
    hows: list


@dataclasses.dataclass
class Rule:
    name: str
    modes: list
    parameters: dict  # path: (default, smallest, largest)


# Ways to run an experiment; those in LONG_HOWS need a long run.
HOWS = ["in-process", "tcp", "node killed", "run killed", "resumed by new"]
LONG_HOWS = {"node killed", "run killed", "resumed by new"}


def rules(program):
    """{"decorrelation.rule": [Rule], "learning.credit": …} as `lateral rules` lists them."""
    text = subprocess.run([program, "rules"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        if heading := re.fullmatch(r"([a-z_.]+)\b.*:", line):
            kind = found.setdefault(heading[1], [])
        elif rule := re.fullmatch(r"  (\w+)(?:  \(([\w, ]+)\))?", line):
            kind.append(Rule(rule[1], rule[2].split(", ") if rule[2] else [], {}))
        elif parameter := re.match(r"      ([\w.]+) = (\S+)  \[(\S+), (\S+)\]", line):
            kind[-1].parameters[parameter[1]] = tuple(float(x) for x in parameter.groups()[1:])
    return found


def values(program, path):
    """The values that a setting may have."""
    message = subprocess.run([program, "check", QUICKSTART, "--set", f"{path}=?"], capture_output=True,
                          text=True, check=False).stderr
    choices = re.search(r"expected one of (.*)$", message.strip())
    if not choices:
        raise SystemExit(f"{program}: --set {path}=? is not refused with the values that it may have: {message}")
    return choices[1].split(", ")


def other_value(default, smallest, largest):
    """A value of a parameter that is not its default."""
    if default == 0:
        return 4 if largest >= 1e6 else min(0.1, largest)
    if default == int(default):
        return default + 1 if default + 1 <= largest else max(smallest, 0)
    return max(default / 2, smallest)


def is_switch(limits):
    return limits in ((0, 0, 1), (1, 0, 1))


def with_parameters(kind, rule, sets):
    """(name, settings) with all numbers of a rule changed, and with each of its switches."""
    numbers = {path: other_value(*limits) for path, limits in rule.parameters.items()
               if not is_switch(limits)}
    if numbers:
        yield f"{kind}/{rule.name}/numbers", sets + [f"{p}={v:g}" for p, v in numbers.items()]
    for path, limits in rule.parameters.items():
        if is_switch(limits):
            yield f"{kind}/{rule.name}/{path.rpartition('.')[2]}", sets + [f"{path}={1 - limits[0]:g}"]


def credit_rules(listed):
    for rule in listed:
        sets = [f"learning.credit={rule.name}"]
        yield f"credit/{rule.name}/plain", sets
        yield f"credit/{rule.name}/closed_form", sets + AHMAD
        yield f"credit/{rule.name}/settled", sets + SETTLED
        yield from with_parameters("credit", rule, sets + AHMAD)


def decorrelation_rules(listed):
    for rule in listed:
        sets = [f"decorrelation.rule={rule.name}", "decorrelation.integrator=chebyshev",
                "decorrelation.unsettled=continue", "learning.credit=feedback_alignment"]
        for mode in rule.modes:
            yield f"decorrelation/{rule.name}/{mode}", sets + [f"decorrelation.mode={mode}"]
        yield from with_parameters("decorrelation", rule, sets)


def preconditioners(listed):
    for rule in listed:
        sets = [f"learning.preconditioner={rule.name}"]
        sets += LINEAR if rule.name == "exact_natural_gradient" else SGD
        yield f"preconditioner/{rule.name}/plain", sets
        yield from with_parameters("preconditioner", rule, sets)
    yield "preconditioner/kfac/feedback_alignment", SGD + AHMAD + [
        "learning.preconditioner=kfac", "learning.credit=feedback_alignment"]
    yield "preconditioner/kfac/asynchronous", SGD + [
        "learning.preconditioner=kfac", "execution.schedule=asynchronous"]


def schedules(values_of):
    for schedule in values_of("execution.schedule"):
        for signal, sets in SIGNALS.items():
            yield f"schedule/{schedule}/{signal}", sets + AHMAD + [f"execution.schedule={schedule}"]
    late = ["execution.schedule=asynchronous", "execution.staleness=3"]
    yield "schedule/staleness_3/error", late + SETTLED
    yield "schedule/staleness_3/reward", late + SIGNALS["reward"]
    micro_batches = ["decorrelation.demean=running", "execution.micro_batches=4", "learning.batch_size=128"]
    for signal, sets in SIGNALS.items():
        yield f"micro_batches/{signal}", sets + AHMAD + micro_batches
    yield "micro_batches/settled", SETTLED + micro_batches + ["decorrelation.warm_start=true"]
    yield "micro_batches/asynchronous", micro_batches + late
    yield "micro_batches/kfac", micro_batches + SGD + ["learning.preconditioner=kfac"]


def settings_of_learning(values_of):
    for optimizer in values_of("learning.optimizer"):
        yield f"optimizer/{optimizer}", AHMAD + [f"learning.optimizer={optimizer}"]
    yield "optimizer/momentum", AHMAD + SGD + ["learning.momentum=0.9"]
    for loss in values_of("learning.loss"):
        yield f"loss/{loss}/error", [f"learning.loss={loss}"]
        yield f"loss/{loss}/reward", [f"learning.loss={loss}"] + SIGNALS["reward"]
    for activation in values_of("layer.hidden1.activation"):
        yield f"activation/{activation}", AHMAD + [
            f"layer.{layer}.activation={activation}" for layer in ("hidden1", "hidden2")]
    for diverging in values_of("learning.diverging"):
        if diverging == "stop":
            continue  # the run would end
        # Adam's second moments of the hidden layers overflow in every step, those of the output do not.
        overflow = SQUARED_ERROR + [f"learning.diverging={diverging}", "layer.hidden2.initial_gain=1e5",
                                    "layer.output.initial_gain=1e6"]
        yield f"diverging/{diverging}/overlapped", AHMAD + overflow
        yield f"diverging/{diverging}/asynchronous", overflow + ["execution.schedule=asynchronous"]
    yield "diverging/shorten/large_changes", AHMAD + SQUARED_ERROR + [
        "learning.diverging=shorten", "learning.change_max=0.05", "learning.optimizer=sgd",
        "learning.learning_rate=1e3"]
    yield "batch_of_one/closed_form", AHMAD + ONE
    yield "batch_of_one/settled", SETTLED + ONE
    yield "batch_of_one/direct", ONE + SIGNALS["output_error"]
    yield "feedback_around_decorrelation", AHMAD + ["learning.feedback_through_decorrelation=false"]
    yield "initial_gain", ["layer.hidden1.initial_gain=1.7"]


# Batches of one sample, with about as many steps as other experiments.
ONE = ["learning.batch_size=1", "decorrelation.demean=running", "data.generated.train_samples=60",
       "data.generated.test_samples=20"]


def settings_of_decorrelation(values_of):
    for integrator in values_of("decorrelation.integrator"):
        yield f"integrator/{integrator}", SETTLED + [f"decorrelation.integrator={integrator}"]
    for demean in values_of("decorrelation.demean"):
        yield f"demean/{demean}/closed_form", AHMAD + [f"decorrelation.demean={demean}"]
        yield f"demean/{demean}/settled", SETTLED + [f"decorrelation.demean={demean}"]
        yield f"demean/{demean}/only", [f"decorrelation.demean={demean}"]
    for mode, sets in (("closed_form", AHMAD), ("settled", SETTLED)):
        for update in values_of("decorrelation.update"):
            yield f"update/{update}/{mode}", sets + [f"decorrelation.update={update}"]
        for null in values_of("decorrelation.null_directions"):
            yield f"null_directions/{null}/{mode}", sets + [f"decorrelation.null_directions={null}"]
        for gain in values_of("decorrelation.gain"):
            yield f"gain/{gain}/{mode}", sets + [f"decorrelation.gain={gain}",
                                                 "decorrelation.gain_reference=centred"]
    for reference in values_of("decorrelation.gain_reference"):
        yield f"gain_reference/{reference}", AHMAD + [f"decorrelation.gain_reference={reference}"]
    yield "warm_start/overlapped", SETTLED + ["decorrelation.warm_start=true"]
    yield "warm_start/asynchronous", SETTLED + ["decorrelation.warm_start=true",
                                                "execution.schedule=asynchronous"]
    yield "unsettled/continue", SETTLED + ["decorrelation.unsettled=continue", "decorrelation.max_steps=2"]
    yield "initial_scale", AHMAD + ["decorrelation.initial_scale=0.3"]
    yield "sample_fraction", AHMAD + ["decorrelation.sample_fraction=1"]
    yield "rule_of_one_layer", ["layer.hidden2.decorrelation=zca"]


def other_settings(values_of):
    yield "target/input", SQUARED_ERROR + ["data.target=input", "layer.output.units=144"]
    yield "target/teacher", SQUARED_ERROR + ["data.target=teacher", "layer.output.units=7"]
    yield "target/input_micro_batches", SQUARED_ERROR + [
        "data.target=input", "layer.output.units=144", "execution.micro_batches=2"]
    for data in BUILT_IN_DATA:
        sets = ["layer.output.units=2"] if data == "gaussian" else []
        yield f"data/{data}", AHMAD + sets + [f"data.format={data}"]
    yield "data/altered_images", ["data.crop_padding=2", "data.horizontal_flip=true"]
    yield "data/validation_in_order", ["data.validation_samples=100", "learning.shuffle=false"]
    for precision in values_of("execution.precision"):
        yield f"precision/{precision}/closed_form", AHMAD + [f"execution.precision={precision}"]
        yield f"precision/{precision}/settled", SETTLED + [f"execution.precision={precision}"]
    for product in values_of("execution.product"):
        yield f"product/{product}", AHMAD + [f"execution.product={product}"]
    records = []
    for what in values_of("recording.record.a.what"):
        records += [f"recording.record.{what}.what={what}", f"recording.record.{what}.interval=6"]
    yield "recorded", SETTLED + records + ["recording.record.settling.settling_steps=20"]
    yield "one_layer_wide", ["layer.hidden1.units=200"] + AHMAD
    yield "seed", ["seed=7"] + AHMAD


# Experiments that are run in every way; the others are run in one way in addition to "processes", in turn.
EVERY_WAY = re.compile(r"credit/.*/closed_form|schedule/.*/(error|reward)|preconditioner/.*/plain|"
                       r"micro_batches/error|warm_start/.*|recorded|target/input|batch_of_one/settled|"
                       r"optimizer/.*|decorrelation/ahmad2024/settled")


def experiments(program):
    """All of them, by the settings that a program has."""
    listed = rules(program)

    def values_of(path):
        return values(program, path)
    found = [*credit_rules(listed["learning.credit"]), *decorrelation_rules(listed["decorrelation.rule"]),
             *preconditioners(listed["learning.preconditioner"]), *schedules(values_of),
             *settings_of_learning(values_of), *settings_of_decorrelation(values_of),
             *other_settings(values_of)]
    made = []
    for i, (name, sets) in enumerate(found):
        hows = list(HOWS) if EVERY_WAY.fullmatch(name) else [HOWS[i % len(HOWS)]]
        length = LONG if LONG_HOWS & set(hows) else SHORT
        made.append(Experiment(name, SMALL + length + sets, hows))
    return made
