#!/usr/bin/python3
"""The benchmark: this program and its peers in alternation on the same cores, one table at the end.

Every figure is the median of the repetitions; every target is a ratio taken within this run.
"""
import argparse
import csv
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RELEASE = os.path.join(ROOT, "build", "release")
LATERAL = os.path.join(RELEASE, "lateral")
CORE_BENCH = os.path.join(RELEASE, "tests", "bench", "core_bench")
TRANSPORT_BENCH = os.path.join(RELEASE, "tests", "bench", "transport_bench")
PYTHON = "/usr/bin/python3"  # the one that Debian's python3-torch is for
SECONDS_MAX = 600  # of one command

PAPER = [("hidden1", 1000), ("hidden2", 1000), ("hidden3", 1000), ("hidden4", 1000), ("output", 10)]
DECORRELATED = ["decorrelation.rule=ahmad2024"]


class Failed(Exception):
    """A measured program failed."""


class Table:
    """Rows of the result, printed, and written as CSV and as a picture."""

    COLUMNS = ["section", "what", "ours", "peer", "unit", "ratio", "target", "verdict"]

    def __init__(self):
        self.rows = []

    def add(self, section, what, ours, peer=None, unit="", ratio=None, target=None, at_most=False):
        """`ratio` defaults to ours / peer; a target is a lower bound of it, or an upper one."""
        if ratio is None and peer:
            ratio = ours / peer
        verdict = ""
        if target is not None:
            met = ratio <= target if at_most else ratio >= target
            verdict = "met" if met else "short"
        self.rows.append({
            "section": section, "what": what, "ours": ours, "peer": peer, "unit": unit,
            "ratio": ratio, "target": ("<= " if at_most else ">= ") + f"{target:g}"
            if target is not None else "", "verdict": verdict, "bound": target})
        print("  " + self.line(self.rows[-1]), flush=True)

    @staticmethod
    def number(value):
        if value is None:
            return ""
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

    def line(self, row):
        return (f"{row['section']:<10} {row['what']:<58} {self.number(row['ours']):>9} "
                f"{self.number(row['peer']):>9} {row['unit']:<12} {self.number(row['ratio']):>7} "
                f"{row['target']:>8}  {row['verdict']}")

    def print(self):
        head = dict(zip(self.COLUMNS, self.COLUMNS))
        print(f"\n{'section':<10} {'what':<58} {'ours':>9} {'peer':>9} {'unit':<12} {'ratio':>7} "
              f"{'target':>8}  verdict")
        for row in self.rows:
            print(self.line(row))

    def write(self, folder, about):
        with open(os.path.join(folder, "bench.csv"), "w", newline="") as file:
            for key, value in about.items():
                file.write(f"# {key}: {value}\n")
            writer = csv.writer(file)
            writer.writerow(self.COLUMNS)
            for row in self.rows:
                writer.writerow([row[c] if row[c] is not None else "" for c in self.COLUMNS])
        self.draw(folder, about)

    def draw(self, folder, about):
        """Ratios with a lower target, as a share of it."""
        rows = [r for r in self.rows if r["bound"] and r["target"].startswith(">=")]
        if not rows or not shutil.which("gnuplot"):
            return
        data = os.path.join(folder, "bench.dat")
        with open(data, "w") as file:
            for row in rows:
                label = row["what"].replace("_", " ").replace('"', "")
                file.write(f"\"{label}\" {row['ratio'] / row['bound']} {row['ratio']}\n")
        script = f"""
set terminal svg size 1200,{150 + 34 * len(rows)} font "sans,13" background "white"
set output "{os.path.join(folder, 'bench.svg')}"
set label 1 "Ratio to the peer as a share of the target, {about['machine']}" at screen 0.5,0.97 center
set xlabel "ratio / target (the line: reached); bars end at 2"
set xrange [0:2.4]
set yrange [{len(rows)}:-1]
set style fill solid 0.8
set grid x
unset key
set tmargin 4
set lmargin 62
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb "black" front
short(x) = x > 2 ? 2 : x
plot "{data}" using (0):0:(0):(short($2)):($0-0.35):($0+0.35):ytic(1) with boxxyerror \\
        lc rgb "#4477aa", \\
     "" using (short($2) < 1 ? 1 : short($2)):0:(sprintf("  %.3g x", $3)) with labels left noenhanced
"""
        subprocess.run(["gnuplot", "-d"], input=script, text=True, check=False, timeout=60)


def run(command, **more):
    """Output, wall time and CPU time of a command with all of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, **more)
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, wall, cpu


def values_of(text):
    """{name: number} of lines "name,number"."""
    return {name: float(value) for name, value in
            (line.split(",") for line in text.splitlines() if line.count(",") == 1)}


def experiment(layers, data, learning):
    text = f'name: "bench"\ndata {{ {data} }}\nlearning {{ {learning} }}\n'
    for name, units in layers:
        identity = ' activation: "identity"' if name == "output" else ""
        text += f'layer {{ name: "{name}" units: {units}{identity} }}\n'
    return text + "recording { probe_interval: 0 }\n"


def paper_data(steps):
    """Data of the paper's network, and its number of inputs: CIFAR-10 if available, otherwise generated
    images of about that size (the peer's network has the same number of inputs)."""
    samples = 256 * steps
    folder = os.environ.get("LATERAL_DATA", "")
    if os.path.isdir(os.path.join(folder, "cifar-10-batches-bin")):
        return f'format: "cifar10" train_limit: {samples} test_limit: 256', 3072
    return f'generated {{ size: 55 train_samples: {samples} test_samples: 256 }}', 55 * 55


class Ours:
    """Runs of the program in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def train(self, text, sets=(), options=()):
        """The metrics of the last epoch, and summary.json."""
        self.count += 1
        out = os.path.join(self.folder, f"run{self.count}")
        path = out + ".textproto"
        with open(path, "w") as file:
            file.write(text)
        command = [LATERAL, "run", path, "--quiet", "--out", out, *options]
        for one in sets:
            command += ["--set", one]
        _, wall, cpu = run(command)
        with open(os.path.join(out, "metrics.csv")) as file:
            last = list(csv.DictReader(file))[-1]
        with open(os.path.join(out, "summary.json")) as file:
            summary = json.load(file)
        shutil.rmtree(out)
        return {"rate": float(last["train_samples_per_second"]), "wall": wall, "cpu": cpu,
                "samples": None, "summary": summary,
                "rss": sum(n["peak_rss_bytes"] for n in summary["nodes"])}


def alternate(repetitions, jobs):
    """{name: [result]} of the jobs, in turn, so that a disturbance affects all of them."""
    results = {name: [] for name in jobs}
    for _ in range(repetitions):
        for name, job in jobs.items():
            results[name].append(job())
    return results


def median(results, key=None):
    return statistics.median(r[key] if key else r for r in results)


def training(bench):
    """Samples/s at batch 256 of the paper's dense network, second epoch."""
    steps = 50 if bench.quick else 150  # one snapshot per epoch, as in normal use
    data, inputs = paper_data(steps)
    text = experiment(PAPER, data, "epochs: 2 batch_size: 256 learning_rate: 1e-4")
    methods = {
        "BP": ["learning.credit=backpropagation"],
        "BP + decorrelation": ["learning.credit=backpropagation"] + DECORRELATED,
        "FA + decorrelation": ["learning.credit=feedback_alignment"] + DECORRELATED,
        "NP + decorrelation": ["learning.credit=node_perturbation"] + DECORRELATED,
        "BP + decorrelation, bf16":
            ["learning.credit=backpropagation", "execution.precision=bf16"] + DECORRELATED,
    }
    peers = {
        "BP": ["--credit", "backpropagation"],
        "BP + decorrelation": ["--credit", "backpropagation", "--decorrelation"],
        "FA + decorrelation": ["--credit", "feedback_alignment", "--decorrelation"],
        "NP": ["--credit", "node_perturbation"],
        "BP + decorrelation, low rank":
            ["--credit", "backpropagation", "--decorrelation", "--form", "low_rank"],
    }

    def peer(arguments, environment):
        count = "4" if bench.quick else "8"
        out, wall, cpu = run([PYTHON, os.path.join(HERE, "peer.py"), "--layers",
                              f"{inputs}," + ",".join(str(units) for _, units in PAPER), "--threads",
                              str(os.cpu_count()), "--steps", count, *arguments],
                             env={**os.environ, **environment})
        found = dict(line.split(",") for line in out.splitlines())
        return {"rate": float(found["samples_per_second"]), "wall": wall, "cpu": cpu,
                "cpu_per_sample": float(found["cpu_seconds_per_sample"]),
                "rss": float(found["peak_rss_bytes"])}

    # The fastest settings of the peer differ between methods: the best result is used.
    settings = {"": {}, "bound": {"OMP_PROC_BIND": "true"},
                "kept": {"MALLOC_MMAP_THRESHOLD_": "4294967296",
                         "MALLOC_TRIM_THRESHOLD_": "8589934592"}}
    jobs = {"ours " + m: (lambda sets=s: bench.ours.train(text, sets)) for m, s in methods.items()}
    for name, arguments in peers.items():
        for label, environment in settings.items():
            jobs[f"peer {name} {label}"] = (lambda a=arguments, e=environment: peer(a, e))
    results = alternate(bench.repetitions, jobs)

    def best(name):
        return max((results[f"peer {name} {label}"] for label in settings),
                   key=lambda r: median(r, "rate"))

    for ours, theirs, target in [
            ("BP", "BP", 2.4), ("BP + decorrelation", "BP + decorrelation", 9),
            ("FA + decorrelation", "FA + decorrelation", 9), ("NP + decorrelation", "NP", 1.3),
            ("BP + decorrelation, bf16", "BP + decorrelation", 18),
            ("BP + decorrelation", "BP + decorrelation, low rank", None)]:
        mine = results["ours " + ours]
        bench.table.add("training", f"{ours} against {theirs}", median(mine, "rate"),
                        median(best(theirs), "rate"), "samples/s", target=target)
    for ours, theirs in [("BP", "BP"), ("BP + decorrelation", "BP + decorrelation")]:
        mine, other = results["ours " + ours], best(theirs)
        bench.table.add("training", f"{ours}: peak memory of all processes",
                        median(mine, "rss") / 1e6, median(other, "rss") / 1e6, "MB")
        samples = 2 * 256 * steps
        bench.table.add("training", f"{ours}: CPU time, ours with start and evaluation",
                        1e6 * median(mine, "cpu") / samples,
                        1e6 * median(other, "cpu_per_sample"), "us a sample")


def schedules(bench):
    """Cost of processes, and speed-up by overlap."""
    steps = 30 if bench.quick else 60
    data, _ = paper_data(steps)
    text = experiment(PAPER, data, "epochs: 2 batch_size: 256 learning_rate: 1e-4")
    running = DECORRELATED + ["decorrelation.demean=running"]
    lockstep = ["execution.schedule=lockstep"]
    jobs = {
        "lockstep": lambda: bench.ours.train(text, DECORRELATED + lockstep),
        "in process": lambda: bench.ours.train(text, DECORRELATED + lockstep, ["--in-process"]),
        "overlapped": lambda: bench.ours.train(text, DECORRELATED),
        "lockstep, one thread": lambda: bench.ours.train(
            text, DECORRELATED + lockstep, ["--threads", "1"]),
        "overlapped, one thread": lambda: bench.ours.train(text, DECORRELATED, ["--threads", "1"]),
    }
    # The first three differ little: at least two repetitions.
    results = alternate(max(2, bench.repetitions), jobs)
    pieces = (1, 2, 4, 8)
    results |= alternate(bench.repetitions, {
        f"{count}": (lambda c=count: bench.ours.train(
            text, running + [f"execution.micro_batches={c}"])) for count in pieces})
    results = {name: median(runs, "rate") for name, runs in results.items()}
    bench.table.add("schedule", "lockstep: as processes against in one process",
                    results["lockstep"], results["in process"], "samples/s", target=0.95)
    bench.table.add("schedule", "overlapped against lockstep, a thread a core",
                    results["overlapped"], results["lockstep"], "samples/s", target=1)
    bench.table.add("schedule", "overlapped against lockstep, one thread a layer",
                    results["overlapped, one thread"], results["lockstep, one thread"], "samples/s",
                    target=1)
    for count in pieces[1:]:
        bench.table.add("schedule", f"running mean: {count} micro-batches against one",
                        results[f"{count}"], results["1"], "samples/s")


def online(bench):
    """One sample at a time: decorrelation alone, one thread."""
    for n in (100, 1000, 3072):
        arguments = [] if not bench.quick or n < 3072 else ["--quick"]
        results = alternate(bench.repetitions, {
            "ours": lambda: values_of(run([CORE_BENCH, "online", str(n)])[0]),
            "peer": lambda: values_of(run([PYTHON, os.path.join(HERE, "online_peer.py"), str(n),
                                           *arguments])[0])})
        ours = median(results["ours"], "step_us")
        for key, what, target in [("published_us", "the published form", 30 if n == 1000 else None),
                                  ("rank1_us", "rank one in PyTorch", None)]:
            peer = median(results["peer"], key)
            bench.table.add("online", f"n = {n} against {what}", ours, peer, "us", peer / ours,
                            target)
        limit = median(results["ours"], "bandwidth_us")
        bench.table.add("online", f"n = {n} against memory streaming at "
                        f"{median(results['ours'], 'stream_gb_per_s'):.0f} GB/s", ours, limit, "us",
                        limit / ours, 0.6 if n == 1000 else None)


def settling(bench):
    """Euler settling of 256 samples compared with products of the same shape."""
    for n in (256, 1000, 3072) if bench.quick else (256, 512, 1000, 2048, 3072):
        results = alternate(bench.repetitions, {
            "ours": lambda: values_of(run([CORE_BENCH, "settle", str(n)])[0])})["ours"]
        ratio = statistics.median(r["settle_gflops"] / r["gemm_gflops"] for r in results)
        bench.table.add("settling", f"n = {n}, batch 256, against the plain product",
                        median(results, "settle_gflops"), median(results, "gemm_gflops"), "GFLOP/s",
                        ratio, 0.85 if n >= 1000 else None)


def transport(bench):
    """Messages of 64 B and of 1 MB between two processes."""
    if not os.path.exists(TRANSPORT_BENCH):
        print("  transport: omitted, transport_bench was not built")
        return
    out, _, _ = run([TRANSPORT_BENCH] + (["--quick"] if bench.quick else []))
    rows = {row["transport"]: row for row in csv.DictReader(
        line for line in out.splitlines() if line.count(",") >= 3)}
    for ours, ending in [("lateral_unix", ("_unix", "_ipc")), ("lateral_tcp", ("_tcp",))]:
        for peer in (name for name in rows if name != ours and name.endswith(ending)):
            mine, other = rows[ours], rows[peer]
            bench.table.add("transport", f"{ours} against {peer}: 64 B one way, median",
                            float(mine["p50_us"]), float(other["p50_us"]), "us",
                            float(other["p50_us"]) / float(mine["p50_us"]))
            bench.table.add("transport", f"{ours} against {peer}: messages of 1 MB",
                            float(mine["gb_per_s"]), float(other["gb_per_s"]), "GB/s")


def scaling(bench):
    """Time of a step against the number of layers and their width."""
    steps = 100 if bench.quick else 200
    data = (f'format: "generated" generated {{ size: 8 train_samples: {256 * steps} '
            'test_samples: 256 }')
    sets = DECORRELATED + ["decorrelation.gain_reference=centred"]
    gflops = values_of(run([CORE_BENCH, "product", "64", "64"])[0])["float32_forward_gflops"]
    points = []
    for depth in (2, 8, 64) if bench.quick else (2, 4, 8, 16, 32, 64):
        layers = [(f"hidden{i}", 64) for i in range(1, depth)] + [("output", 10)]
        text = experiment(layers, data.replace("size: 8", "size: 5"),
                          "epochs: 2 batch_size: 256 learning_rate: 1e-4")
        runs = [bench.ours.train(text, sets) for _ in range(bench.repetitions)]
        step = 256e6 / median(runs, "rate")
        # R z, W x, Wᵀ δ, Rᵀ e, δ xᵀ on 64 units and 256 samples, at the rate of such a product.
        arithmetic = 5 * 2 * 64 * 64 * 256 / gflops / 1e3
        points.append((depth, step))
        bench.table.add("depth", f"{depth} layers of 64 units: a node and step beyond arithmetic",
                        step / depth - arithmetic, 300, "us", target=1, at_most=True)
    if len(points) > 2:
        mean_x = statistics.mean(x for x, _ in points)
        mean_y = statistics.mean(y for _, y in points)
        slope = (sum((x - mean_x) * (y - mean_y) for x, y in points) /
                 sum((x - mean_x)**2 for x, _ in points))
        rest = sum((y - mean_y - slope * (x - mean_x))**2 for x, y in points)
        r2 = 1 - rest / sum((y - mean_y)**2 for _, y in points)
        bench.table.add("depth", f"linear in depth: {slope:.0f} us a layer, R squared", r2, 1, "",
                        r2, 0.98)
    for width in (64, 1024) if bench.quick else (64, 256, 1024, 4096):
        text = experiment([("hidden1", width), ("output", 10)], data,
                          "epochs: 2 batch_size: 256 learning_rate: 1e-4")
        runs = [bench.ours.train(text, sets) for _ in range(bench.repetitions)]
        bench.table.add("width", f"64-{width}-10: a step", 256e3 / median(runs, "rate"), None, "ms")


def footprint(bench):
    """Start-up and memory of a node."""
    for depth in (5, 30):
        layers = [(f"hidden{i}", 64) for i in range(1, depth)] + [("output", 10)]
        data = 'format: "generated" generated { size: 5 train_samples: 64 test_samples: 64 }'
        text = experiment(layers, data, "epochs: 1 batch_size: 64 learning_rate: 1e-4")
        runs = [bench.ours.train(text) for _ in range(bench.repetitions)]
        nodes = len(runs[0]["summary"]["nodes"])
        bench.table.add("footprint", f"{depth} layers: start, one step, end; whole run",
                        median(runs, "wall") * 1e3, None, "ms")
        bench.table.add("footprint", f"{depth} layers: the same, a process",
                        median(runs, "wall") * 1e3 / nodes, None, "ms")
        layer = [n for n in runs[0]["summary"]["nodes"] if n["name"] == "hidden2"][0]
        state = 4 * (64 * 64 * 3 + 64 * 3)  # W and Adam's moments
        bench.table.add("footprint", f"{depth} layers: peak RSS of a layer beyond its state",
                        (layer["peak_rss_bytes"] - state) / 1e6, 25, "MB", target=1, at_most=True)


SECTIONS = {"training": training, "schedule": schedules, "online": online, "settling": settling,
            "transport": transport, "scaling": scaling, "footprint": footprint}


class Bench:
    pass


def processor():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter measurements, under 5 minutes")
    parser.add_argument("--only", help="comma-separated: " + ", ".join(SECTIONS))
    parser.add_argument("--repetitions", type=int, help="default: 3, with --quick 1")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "bench"))
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else list(SECTIONS)
    for name in chosen:
        if name not in SECTIONS:
            parser.error(f"--only {name}: expected one of {', '.join(SECTIONS)}")
    if options.repetitions is not None and options.repetitions < 1:
        parser.error(f"--repetitions {options.repetitions}: expected at least 1")

    bench = Bench()
    bench.quick = options.quick
    bench.repetitions = options.repetitions or (1 if options.quick else 3)
    bench.table = Table()
    failures = []
    os.makedirs(options.out, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        bench.ours = Ours(folder)
        for name in chosen:
            print(f"{name}: {SECTIONS[name].__doc__.splitlines()[0]}", flush=True)
            try:
                SECTIONS[name](bench)
            except (Failed, subprocess.TimeoutExpired) as error:
                failures.append(f"{name}: {error}")
                print(f"  {failures[-1]}", file=sys.stderr, flush=True)
        version = run([LATERAL, "--version"])[0].strip()
        about = {"version": version, "machine": f"{processor()}, {os.cpu_count()} cores",
                 "repetitions": bench.repetitions,
                 "load before and during": " ".join(f"{x:.1f}" for x in os.getloadavg())}
    bench.table.print()
    bench.table.write(options.out, about)
    print("\n" + "\n".join(f"{key}: {value}" for key, value in about.items()))
    print(f"{options.out}/bench.csv, {options.out}/bench.svg")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
