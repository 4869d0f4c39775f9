"""Compares the results of short experiments with two builds of the program; see ./run."""
import argparse
import concurrent.futures
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "faults"))
from network import Run, kill  # noqa: E402
from experiments import LONG_HOWS, QUICKSTART, experiments  # noqa: E402

NODES = ["source", "hidden1", "hidden2", "output", "readout"]
ATTEMPTS = 5  # to kill a node or a run before its end
ROWS_BEFORE_KILL = 2  # epochs, of ten


class Failed(Exception):
    """A run that failed."""


def finished(run):
    """The records of a run, which must succeed."""
    run.wait()
    if run.hung:
        raise Failed("hangs")
    if run.code != 0:
        raise Failed(f"exit {run.code}: {run.stderr_text()}")
    records = run.records()
    records["probes.csv"] = sorted(records["probes.csv"].splitlines())
    return records


class Comparison:
    """Runs experiments with both programs, and prints a row for each."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.lock = threading.Lock()
        self.made = 0
        self.counts = {"equal": 0, "DIFFERS": 0, "FAILED": 0}
        self.node_kills = self.run_kills = 0

    def fresh(self):
        with self.lock:
            self.made += 1
            return os.path.join(self.folder, f"run{self.made}")

    def run(self, program, sets, *flags, **more):
        return Run(self.fresh(), sets, experiment=QUICKSTART, flags=flags, program=program, **more)

    def row(self, name, how, digest, verdict, remark=""):
        with self.lock:
            self.counts[verdict] += 1
            print(f"{name:<48} {how:<14} {digest[:8]:<8} {verdict}{'  ' + remark if remark else ''}",
                  flush=True)

    # ---- the ways to run an experiment

    def node_killed(self, sets, name):
        """kill -9 of one node, which is replaced."""
        for _ in range(ATTEMPTS):
            run = self.run(self.options.new, sets)
            run.wait_for_rows(ROWS_BEFORE_KILL)
            found = run.nodes().get(name)
            killed = found is not None and kill(found[0])
            records = finished(run)
            if killed and run.restarts():
                with self.lock:
                    self.node_kills += 1
                return records
        raise Failed(f"{name} could not be killed before the end, {ATTEMPTS} times")

    def run_killed(self, sets, first_program):
        """kill -9 of the whole run, which NEW then resumes."""
        for _ in range(ATTEMPTS):
            run = self.run(first_program, sets)
            run.wait_for_rows(ROWS_BEFORE_KILL)
            kill(run.pid)
            if run.wait().code != -signal.SIGKILL:
                finished(run)  # the run ended before it was killed
                continue
            with self.lock:
                self.run_kills += 1
            return finished(Run(run.folder, resume=True, program=self.options.new))
        raise Failed(f"the run could not be killed before its end, {ATTEMPTS} times")

    def with_new(self, how, sets, victim):
        new = self.options.new
        if how == "processes":
            return finished(self.run(new, sets))
        if how == "in-process":
            return finished(self.run(new, sets, "--in-process"))
        if how == "tcp":
            return finished(self.run(new, sets, "--transport", "tcp"))
        if how == "node killed":
            return self.node_killed(sets, victim)
        return self.run_killed(sets, self.options.old if how == "resumed by new" else new)

    # ----

    def compare(self, number, experiment):
        try:
            old = finished(self.run(self.options.old, experiment.sets))
        except Failed as failure:
            return self.row(experiment.name, "OLD", "", "FAILED", str(failure))
        for i, how in enumerate(["processes", *experiment.hows]):
            try:
                new = self.with_new(how, experiment.sets, NODES[(number + i) % len(NODES)])
            except Failed as failure:
                self.row(experiment.name, how, "", "FAILED", str(failure))
                continue
            compared = ["state_sha256"] if self.options.state_only else sorted({*old, *new})
            differs = [what for what in compared if old.get(what) != new.get(what)]
            self.row(experiment.name, how, new["state_sha256"], "DIFFERS" if differs else "equal",
                     ", ".join(differs))
        return None


def main():
    parser = argparse.ArgumentParser(prog="tests/same_bits/run", description=__doc__)
    parser.add_argument("old", metavar="OLD_LATERAL", type=os.path.abspath)
    parser.add_argument("new", metavar="NEW_LATERAL", type=os.path.abspath)
    parser.add_argument("words", metavar="WORD", nargs="*", help="only experiments with one of these in their name")
    parser.add_argument("--state-only", action="store_true", help="compare only state_sha256")
    parser.add_argument("--list", action="store_true", help="print the experiments, run none")
    parser.add_argument("--at-once", type=int, default=2 * (os.cpu_count() or 1),
                        help="runs at a time (default: two a processor, since they often wait)")
    parser.add_argument("--keep", metavar="DIR", help="leave the run directories here")
    options = parser.parse_args()
    for program in (options.old, options.new):
        if not os.access(program, os.X_OK):
            parser.error(f"{program} is not a program")
    os.chdir(ROOT)
    chosen = [(number, experiment) for number, experiment in enumerate(experiments(options.old))
              if not options.words or any(word in experiment.name for word in options.words)]
    if not chosen:
        parser.error(f"no experiment has one of {', '.join(options.words)} in its name")
    if options.list:
        for _, experiment in chosen:
            print(f"{experiment.name}: processes, {', '.join(experiment.hows)}\n   ", *experiment.sets)
        return 0

    folder = options.keep or tempfile.mkdtemp(prefix="lateral-same-bits-")
    os.makedirs(folder, exist_ok=True)
    comparison = Comparison(options, folder)
    began = time.monotonic()
    print(f"{'experiment':<48} {'how':<14} {'state':<8}")
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        list(pool.map(lambda pair: comparison.compare(*pair), chosen))
    if not options.keep:
        shutil.rmtree(folder)
    counts = comparison.counts
    expected_kills = [how for _, experiment in chosen for how in experiment.hows if how in LONG_HOWS]
    print(f"{len(chosen)} experiments, {sum(counts.values())} comparisons in {time.monotonic() - began:.0f} s: "
          f"{counts['equal']} equal, {counts['DIFFERS']} DIFFER, {counts['FAILED']} FAILED; "
          f"{comparison.node_kills} nodes killed and replaced, {comparison.run_kills} runs killed and resumed, "
          f"of {len(expected_kills)}")
    return 1 if counts["DIFFERS"] or counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
