#!/usr/bin/python3
"""CPU time of a training step by node and kind of work, measured with Linux perf.

    tests/bench/profile.py [--program build/release/lateral] EXPERIMENT [options of lateral run …]

Needs perf (Debian: linux-perf). Prints milliseconds of CPU a training step, all threads of a node
together; start-up and evaluation are spread over the steps.
"""
import argparse
import collections
import csv
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FREQUENCY = 997  # samples per second and thread; a prime number, so that it is not synchronous with training steps

# A sample is of the first kind with a pattern that occurs in its symbol or library.
KINDS = [
    ("optimizer", ["::optimizer::", "Adam"]),
    ("decorrelation", ["add_low_rank", "update_inverse", "update_and_multiply", "update_columns",
                       "Ahmad2024", "Decorrelator", "decorrelation", "update_lateral"]),
    ("products", ["gemm", "gebp", "general_matrix", "jit", "dnnl", "brgemm", "xbyak", "[unknown]",
                  "inner_product", "product_impl"]),
    ("messages", ["asio", "protobuf", "SocketLink", "Frame", "lateral::wire", "Ports"]),
]


def kind_of(symbol, library):
    if "kernel" in library or symbol.startswith("[k]"):
        return "kernel"
    for kind, patterns in KINDS:
        if any(p in symbol or p in library for p in patterns):
            return kind
    return "other"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "release", "lateral"))
    options, run = parser.parse_known_args()
    if not run:
        parser.error("no EXPERIMENT, expected a file")
    with tempfile.TemporaryDirectory() as folder:
        out, record = os.path.join(folder, "run"), os.path.join(folder, "perf.data")
        command = ["perf", "record", "-q", "-F", str(FREQUENCY), "-e", "cpu-clock", "-o", record, "--",
                   options.program, "run", *run, "--quiet", "--out", out]
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            return done.returncode
        with open(os.path.join(out, "summary.json")) as file:
            summary = json.load(file)
        with open(os.path.join(out, "metrics.csv")) as file:
            rate = float(list(csv.DictReader(file))[-1]["train_samples_per_second"])
        script = subprocess.run(["perf", "script", "-i", record, "-F", "pid,ip,sym,dso"], check=True,
                                capture_output=True, text=True).stdout
    names = {node["pid"]: node["name"] for node in summary["nodes"]}
    steps = summary["steps"]
    counts = collections.defaultdict(collections.Counter)
    for line in script.splitlines():
        fields = line.split(maxsplit=2)
        if len(fields) < 3 or int(fields[0]) not in names:
            continue
        symbol, _, library = fields[2].rpartition(" (")
        counts[names[int(fields[0])]][kind_of(symbol, library)] += 1
    kinds = [kind for kind, _ in KINDS] + ["kernel", "other"]
    print(f"{options.program}: {steps} steps, {rate:.0f} samples/s in the last epoch; "
          "CPU time of a step [ms]")
    print(f"{'node':<12}" + "".join(f"{kind:>14}" for kind in [*kinds, "all"]))
    total = collections.Counter()
    for node in [*names.values(), "all"]:
        count = counts[node] if node != "all" else total
        if node != "all":
            total.update(count)
        ms = {kind: 1e3 * count[kind] / FREQUENCY / steps for kind in kinds}
        print(f"{node:<12}" + "".join(f"{ms[kind]:14.2f}" for kind in kinds) +
              f"{sum(ms.values()):14.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
