"""Faults, and the properties of runs with these faults; see ./run."""
import argparse
import concurrent.futures
import json
import math
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import network
from network import Run, alive, kill, rss_bytes, state_of
from proxy import Proxy

SMALL = ["data.generated.train_samples=2560", "data.generated.test_samples=256",
         "layer.hidden1.units=64", "layer.hidden2.units=32"]
# Epochs of about 25 ms; metrics.csv gets a row at the end of each.
SHORT_EPOCHS = SMALL + ["learning.epochs=150", "recording.probe_interval=5"]
# Experiments with different kinds of state that a replacement must restore.
VARIANTS = {
    "overlapped": SMALL + ["learning.epochs=120", "decorrelation.rule=ahmad2024"],
    "long epochs": SMALL + ["data.generated.train_samples=20000", "learning.batch_size=64",
                            "learning.epochs=8"],
    "checkpoints": SMALL + ["data.generated.train_samples=20000", "learning.batch_size=64",
                            "learning.epochs=6", "recording.checkpoint_interval=25",
                            "decorrelation.rule=ahmad2024"],
    "asynchronous": SMALL + ["data.generated.train_samples=20000", "learning.batch_size=64",
                             "learning.epochs=6", "execution.schedule=asynchronous",
                             "execution.staleness=3", "recording.checkpoint_interval=40"],
    "micro-batches": SMALL + ["data.generated.train_samples=20000", "learning.epochs=20",
                              "execution.micro_batches=4", "recording.checkpoint_interval=15"],
    "settled": SMALL + ["data.generated.size=8", "learning.epochs=100", "decorrelation.rule=ahmad2024",
                        "decorrelation.mode=settled", "decorrelation.warm_start=true",
                        "recording.checkpoint_interval=4"],
    "perturbed": SMALL + ["data.generated.train_samples=20000", "learning.epochs=15",
                          "learning.credit=node_perturbation", "learning.learning_rate=1e-4",
                          "recording.checkpoint_interval=30"],
    "lockstep": SMALL + ["data.generated.train_samples=20000", "learning.epochs=15",
                         "execution.schedule=lockstep", "learning.credit=feedback_alignment",
                         "learning.optimizer=sgd", "learning.momentum=0.9",
                         "learning.learning_rate=1e-2"],
    "recorded": SMALL + ["data.generated.train_samples=10000", "learning.epochs=30",
                         "data.crop_padding=2", "data.horizontal_flip=true",
                         "data.validation_samples=500", "recording.probe_interval=7",
                         "recording.checkpoint_interval=11", "recording.record.w.what=weight",
                         "recording.record.w.interval=13", "recording.record.a.what=activity",
                         "recording.record.a.interval=9"],
}
# Ends of the links; the source and the readout are linked too.
CHAIN = ["source", "hidden1", "hidden2", "output", "readout"]


class Report:
    """Prints the rows of the table, and counts failed checks."""

    def __init__(self):
        self.failed = 0
        self._lock = threading.Lock()

    def line(self, text):
        with self._lock:
            print(text, flush=True)

    def check(self, sentence, holds):
        with self._lock:
            print(f"{'ok   ' if holds else 'FAIL '} {sentence}", flush=True)
            self.failed += not holds

    def times(self, what, seconds, aims=""):
        """One line of percentiles [ms]."""
        seconds = sorted(seconds)
        if not seconds:
            return self.line(f"      {what}: none")
        at = [seconds[min(len(seconds) - 1, int(len(seconds) * q))] for q in (0.5, 0.9, 0.99)]
        self.line(f"      {what} [ms]: p50 {1e3 * at[0]:.0f}  p90 {1e3 * at[1]:.0f}  "
                  f"p99 {1e3 * at[2]:.0f}  max {1e3 * seconds[-1]:.0f}  of {len(seconds)}  {aims}")


class Setting:
    """Shared by all kinds of faults: folders, seed, references."""

    def __init__(self, options, folder, report):
        self.folder = folder
        self.report = report
        self.seed = options.seed
        self.at_once = options.at_once
        self.references = network.References(folder)
        self._lock = threading.Lock()
        self._made = 0

    def fresh(self):
        with self._lock:
            self._made += 1
            return os.path.join(self.folder, f"run{self._made}")

    def tally(self, what, run, sets, **options):
        """Prints the differences from an undisturbed run; True if there are none."""
        reference, _ = self.references.of(sets, **options)
        differences = run.differences(reference)
        if differences:
            self.report.line(f"      {what}: {'; '.join(differences)} ({run.folder})")
        else:
            shutil.rmtree(run.folder)
        return not differences

    def in_parallel(self, work, items):
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(work, items))


# ---- kills


def kill_one(run, rng):
    nodes = run.nodes()
    if not nodes:
        return []
    name = rng.choice(sorted(nodes))
    return [name] if kill(nodes[name][0]) else []


def kill_neighbours(run, rng):
    nodes = run.nodes()
    at = rng.randrange(len(CHAIN) - 1)
    return [name for name in CHAIN[at:at + 2] if name in nodes and kill(nodes[name][0])]


def kill_in_recovery(run, rng):
    """Kills a node, and then its replacement or a neighbour while the replacement starts."""
    before = run.nodes()
    killed = kill_one(run, rng)
    if not killed:
        return []
    name = killed[0]
    until = time.monotonic() + 1
    while run.alive() and time.monotonic() < until:
        nodes = run.nodes()
        if name in nodes and nodes[name][1] > before[name][1]:
            time.sleep(rng.uniform(0, 0.2))
            second = name if rng.random() < 0.5 else rng.choice(CHAIN)
            nodes = run.nodes()
            return killed + ([second] if second in nodes and kill(nodes[second][0]) else [])
        time.sleep(0.002)
    return killed


def kill_in_checkpoint(run, rng):
    """Kills a node as soon as a checkpoint is being written."""
    def checkpoint_state():
        try:
            names = os.listdir(run.folder)
            written = os.stat(os.path.join(run.folder, "checkpoint.h5")).st_mtime_ns
        except OSError:
            return None
        return written, any(name.startswith("checkpoint") and name.endswith(".tmp") for name in names)
    before = checkpoint_state()
    until = time.monotonic() + 1
    while run.alive() and time.monotonic() < until and checkpoint_state() == before:
        time.sleep(0.0005)
    time.sleep(rng.choice([0, 0, 0.002, 0.01]))
    return kill_one(run, rng)


KILLS = {"one": kill_one, "two neighbours": kill_neighbours, "in a recovery": kill_in_recovery,
         "in a checkpoint": kill_in_checkpoint}
# A run that is killed faster than it recovers would never end.
KILLS_A_RUN = 20


def kills(setting, n):
    """Random kill -9 of all roles at all moments, from the start of the processes to their end."""
    counts, roles, seconds = dict.fromkeys(KILLS, 0), dict.fromkeys(CHAIN, 0), []
    lock = threading.Lock()
    variants = list(VARIANTS)

    def one_run(i):
        rng = random.Random(setting.seed * 1000003 + i)
        variant, transport = variants[i % len(variants)], ["unix", "tcp"][i // 2 % 2]
        sets = VARIANTS[variant]
        setting.references.of(sets)
        run = Run(setting.fresh(), sets, flags=["--transport", transport])
        mine = 0
        while run.alive() and mine < KILLS_A_RUN:
            time.sleep(rng.choice([rng.uniform(0, 0.1), rng.uniform(0.1, 1)]))
            kind = rng.choice(list(KILLS))
            killed = KILLS[kind](run, rng)
            mine += len(killed)
            with lock:
                counts[kind] += len(killed)
                for name in killed:
                    roles[name] += 1
        run.wait()
        restarts = run.restarts()
        same = setting.tally(f"run {i}, {variant}, {transport}, {mine} kills", run, sets)
        with lock:
            seconds.extend(r["seconds"] for r in restarts if r["seconds"] is not None)
        for restart in restarts:
            if "signal 9" not in restart["reason"]:
                setting.report.line(f"      run {i}, not killed by this test: {restart}")
        setting.report.line(f"      run {i}: {variant}, {transport}: {mine} kills, "
                            f"{len(restarts)} restarts, {'same bits' if same else 'DIFFERS'}")
        return same

    same, runs = [], 0
    while sum(counts.values()) < n or runs < n / 10:
        batch = range(runs, runs + max(setting.at_once, 2))
        same += setting.in_parallel(one_run, batch)
        runs += len(batch)
    setting.report.check(f"kills: {sum(counts.values())} kill -9 over {runs} runs: "
                         f"{same.count(False)} of them differ or hang", all(same))
    setting.report.line(f"      {counts} {roles}")
    setting.report.times("from detection until the network continues, also over further kills", seconds)
    kills_apart(setting, max(1, n // 4))


def kills_apart(setting, n):
    """One kill at a time, without other load: the time of a recovery."""
    sets = SHORT_EPOCHS
    setting.references.of(sets)
    seconds, same, made = [], [], 0
    while made < n:
        rng = random.Random(setting.seed * 1000003 + 900 + made)
        run = Run(setting.fresh(), sets)
        run.wait_for_rows(2)
        while run.alive() and made < n:
            made += len(kill_one(run, rng))
            run.wait_for_rows(run.rows() + 2)
            time.sleep(rng.uniform(0, 0.2))
        run.wait()
        seconds += [r["seconds"] for r in run.restarts() if r["seconds"] is not None]
        same.append(setting.tally("apart", run, sets))
    setting.report.check(f"kills apart: {made} over {len(same)} runs: {same.count(False)} of them "
                         f"differ or hang", all(same))
    setting.report.times("from detection until the network continues", seconds,
                         "(aims: p50 500, p99 2000)")


# ---- cuts


def cut_by_ss(rng, _):
    """The kernel resets one connection, or sometimes all; returns the time after which connecting is possible."""
    listed = subprocess.run(["ss", "-tnH", "state", "established"], capture_output=True, text=True,
                            check=True).stdout.split("\n")
    ends = [line.split()[2:4] for line in listed if line]
    if not ends:
        return None
    near, far = (end.rpartition(":")[2] for end in rng.choice(ends))
    which = [] if rng.random() < 0.1 else [f"( sport = :{near} and dport = :{far} )"]
    subprocess.run(["ss", "-K", "-tnH", "state", "established", *which], capture_output=True,
                   check=True)
    return time.monotonic()


def cut_by_reset(rng, proxy):
    connection = proxy.pick(rng)
    if connection is None:
        return None
    connection.order = "reset"
    return time.monotonic()


def cut_by_stall(rng, proxy):
    """No bytes are forwarded for a while, then the connection is closed."""
    connection = proxy.pick(rng)
    if connection is None:
        return None
    connection.stalled = True
    time.sleep(rng.uniform(0.1, 0.8))
    connection.order = "close"
    return time.monotonic()


def link_down(rng, _, least=0.05, most=0.8):
    """The interface under all connections is down for a while."""
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    time.sleep(rng.uniform(least, most))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return time.monotonic()


def link_down_for_long(rng, proxy):
    """Longer than the silence limit: nodes may be replaced."""
    return link_down(rng, proxy, 2, 4)


def no_cut(rng, _):
    return time.monotonic()


CUTS = {"none, for comparison": no_cut, "ss -K": cut_by_ss, "proxy, reset": cut_by_reset,
        "proxy, stall and close": cut_by_stall, "link down": link_down,
        "link down for long": link_down_for_long}
OWN_NAMESPACES = "LATERAL_FAULTS_NAMESPACES"  # set in those


def cuts(setting, n):
    """Interrupted links between running nodes, over TCP, in a separate network namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for kind, cut in CUTS.items():
        wanted = max(1, n // 10) if cut in (no_cut, link_down_for_long) else n
        times, restarts, same, made, i = [], 0, [], 0, 0
        while made < wanted:
            rng = random.Random(setting.seed * 1000003 + i)
            i += 1
            setting.references.of(SHORT_EPOCHS)
            proxied = cut in (cut_by_reset, cut_by_stall)
            proxy = Proxy().__enter__() if proxied else None
            run = Run(setting.fresh(), SHORT_EPOCHS, flags=["--transport", "tcp"])
            run.wait_for_rows(2)
            while run.alive() and made < wanted:
                time.sleep(rng.uniform(0.05, 0.3))
                back = cut(rng, proxy)
                if back is None or not run.alive():
                    continue
                made += 1
                # The next row may be of an epoch that had ended before; the one after it is of a new epoch.
                resumed = run.wait_for_rows(run.rows() + 2)
                if resumed is not None:
                    times.append(resumed - back)
            run.wait()
            if proxy:
                proxy.__exit__()
            restarts += len(run.restarts())
            for restart in run.restarts():
                setting.report.line(f"      {kind}: {restart}")
            same.append(setting.tally(kind, run, SHORT_EPOCHS))
        setting.report.check(f"cuts, {kind}: {made} over {len(same)} runs: {same.count(False)} of "
                             f"them differ or hang", all(same))
        if cut is link_down_for_long:
            setting.report.line(f"      {restarts} nodes were replaced: a node that is silent for 1.5 s is lost")
        else:
            setting.report.check(f"cuts, {kind}: no node is replaced ({restarts} were)", restarts == 0)
        setting.report.times("from the link's return until two epochs later", times, "(aim: 300)")


# ---- stops


def stops(setting, n):
    """SIGSTOP: short stops are tolerated, long ones cause a replacement."""
    sets = SHORT_EPOCHS + ["learning.epochs=250"]

    def short_stops(i):
        rng = random.Random(setting.seed * 1000003 + i)
        setting.references.of(sets)
        run = Run(setting.fresh(), sets)
        run.wait_for_rows(2)
        made = 0
        while run.alive() and made < 10:
            nodes = run.nodes()
            name = rng.choice(CHAIN)
            if name not in nodes or not kill(nodes[name][0], signal.SIGSTOP):
                break
            time.sleep(0.5)
            kill(nodes[name][0], signal.SIGCONT)
            made += 1
            time.sleep(rng.uniform(0.05, 0.2))
        run.wait()
        restarts = run.restarts()
        return made, len(restarts), setting.tally("stop of 0.5 s", run, sets)

    def long_stops(i):
        rng = random.Random(setting.seed * 1000003 + 500 + i)
        setting.references.of(sets)
        run = Run(setting.fresh(), sets)
        run.wait_for_rows(2)
        stopped, gone, fences = [], [], 0
        while run.alive() and len(stopped) < 10:
            nodes = run.nodes()
            name = rng.choice(CHAIN)
            if name not in nodes or not kill(nodes[name][0], signal.SIGSTOP):
                continue
            pid, generation = nodes[name]
            began = time.monotonic()
            stopped.append((pid, began))
            while run.alive() and time.monotonic() - began < 10 and alive(pid):
                time.sleep(0.01)
            if not alive(pid):
                gone.append(time.monotonic() - began)
            until = time.monotonic() + 5
            while run.alive() and time.monotonic() < until:
                now = run.nodes()
                if name in now and now[name][1] == generation + 1 and state_of(now[name][0]) != "T":
                    fences += 1
                    break
                time.sleep(0.01)
            run.wait_for_rows(run.rows() + 2)
        for pid, began in stopped:  # processes that still exist continue after 10 s, and must have no effect
            time.sleep(max(0, began + 10 - time.monotonic()))
            if state_of(pid) == "T" and network.words_of(pid):
                kill(pid, signal.SIGCONT)
        run.wait()
        restarts = run.restarts()
        return (len(stopped), len(restarts), setting.tally("stop of 10 s", run, sets), gone, fences,
                [r["seconds"] for r in restarts if r["seconds"] is not None])

    runs = range(math.ceil(n / 10))
    results = setting.in_parallel(short_stops, runs)
    made, restarts = sum(r[0] for r in results), sum(r[1] for r in results)
    setting.report.check(f"stops of 0.5 s: {made} over {len(results)} runs: {restarts} nodes are "
                         f"replaced, {[r[2] for r in results].count(False)} runs differ or hang",
                         restarts == 0 and all(r[2] for r in results))
    results = setting.in_parallel(long_stops, runs)
    made, restarts = sum(r[0] for r in results), sum(r[1] for r in results)
    gone = [seconds for r in results for seconds in r[3]]
    setting.report.check(f"stops of 10 s: {made} over {len(results)} runs: {restarts} replaced, "
                         f"{len(gone)} stopped processes gone, {sum(r[4] for r in results)} of the "
                         f"next generation seen, "
                         f"{[r[2] for r in results].count(False)} runs differ or hang",
                         made == restarts == len(gone) and all(r[2] for r in results))
    setting.report.times("from the stop until the process is gone", gone)
    setting.report.times("from detection until the network continues", [s for r in results for s in r[5]])


# ---- the launcher


def launcher(setting, n):
    """kill -9 of the launcher: no process is left a second later, and the run can be resumed."""
    sets = SHORT_EPOCHS

    def one_run(i):
        rng = random.Random(setting.seed * 1000003 + i)
        _, seconds = setting.references.of(sets)
        run = Run(setting.fresh(), sets, flags=["--transport", ["unix", "tcp"][i % 2]])
        time.sleep(rng.uniform(0.02, seconds))
        if rng.random() < 0.3:
            kill_one(run, rng)  # during a recovery
            time.sleep(rng.uniform(0, 0.2))
        if not run.alive():
            return None
        kill(run.pid)
        run.wait()
        time.sleep(1)
        orphans = network.members_of_session(run.pid)
        if orphans:
            setting.report.line(f"      left: {[network.words_of(pid) for pid in orphans]}")
            time.sleep(5)
            setting.report.line(f"      5 s later: {network.members_of_session(run.pid)}")
        if not os.path.exists(os.path.join(run.folder, "checkpoint.h5")):
            return not orphans, None
        resumed = Run(run.folder, resume=True).wait()
        return not orphans, setting.tally("resumed", resumed, sets)

    results = []
    while len(results) < n:
        batch = range(len(results), min(n, len(results) + 4 * setting.at_once))
        results += [r for r in setting.in_parallel(one_run, batch) if r is not None]
    resumed = [same for _, same in results if same is not None]
    setting.report.check(f"launcher killed: no orphan after 1 s in {sum(r[0] for r in results)} of "
                         f"{len(results)}", all(r[0] for r in results))
    setting.report.check(f"launcher killed: {resumed.count(True)} of {len(resumed)} end with the same "
                         f"bits after --resume", all(resumed))


# ---- a slow node

SLOW_SECONDS = 40
SLOW_ON, SLOW_OFF = 0.005, 0.495  # a hundredth of the time
SLOW_GROWTH_MB = 8  # growth by the allocator; an unbounded queue would grow by hundreds


def run_for(pid, seconds):
    """Waits until a process has used this much processor time, or is idle."""
    def used():
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9
    try:
        before, until = used(), time.monotonic() + 20 * seconds
        while used() - before < seconds and time.monotonic() < until:
            time.sleep(seconds / 5)
    except (OSError, IndexError):
        pass


def slow(setting, n):
    """A node slowed a hundredfold: the memory of other nodes does not grow, and no node is replaced."""
    sets = SMALL + ["data.generated.train_samples=2560", "learning.epochs=150",
                    "layer.hidden1.units=256", "recording.checkpoint_interval=2"]

    def one_run(name):
        setting.references.of(sets)
        run = Run(setting.fresh(), sets)
        run.wait_for_rows(3)
        nodes = run.nodes()
        samples = {other: [] for other in [*CHAIN, "launcher"]}
        rows = run.rows()
        began = time.monotonic()
        while run.alive() and time.monotonic() - began < SLOW_SECONDS:
            kill(nodes[name][0], signal.SIGSTOP)
            time.sleep(SLOW_OFF)
            kill(nodes[name][0], signal.SIGCONT)
            run_for(nodes[name][0], SLOW_ON)
            for other in CHAIN:
                samples[other].append(rss_bytes(nodes[other][0]))
            samples["launcher"].append(rss_bytes(run.pid))
        rows = run.rows() - rows
        run.wait()
        growth = {}
        for other, sizes in samples.items():
            tenth = max(1, len(sizes) // 10)
            middle = len(sizes) // 2
            growth[other] = (statistics.mean(sizes[-tenth:]) -
                             statistics.mean(sizes[middle:middle + tenth])) / 1e6
        setting.report.line(f"      {name} slow, {rows} epochs in {SLOW_SECONDS} s; in the "
                            f"second half VmRSS grew [MB]: " +
                            ", ".join(f"{o} {g:+.2f} of {samples[o][-1] / 1e6:.0f}"
                                      for o, g in growth.items()))
        flat = all(g < SLOW_GROWTH_MB for g in growth.values())
        restarts = len(run.restarts())
        return flat, restarts, setting.tally(f"{name} slow", run, sets)

    results = setting.in_parallel(one_run, CHAIN * n)
    setting.report.check(f"slow: {len(results)} runs: the memory of every node grows by less than "
                         f"{SLOW_GROWTH_MB} MB",
                         all(r[0] for r in results))
    setting.report.check(f"slow: {sum(r[1] for r in results)} nodes are replaced, "
                         f"{[r[2] for r in results].count(False)} runs differ or hang",
                         all(r[1] == 0 and r[2] for r in results))


# ---- files


def damage_truncate(path):
    os.truncate(path, os.path.getsize(path) // 2)


def damage_flip(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        bytes_here = file.read(4096)
        file.seek(os.path.getsize(path) // 2)
        file.write(bytes(255 - b for b in bytes_here))


def damage_empty(path):
    os.truncate(path, 0)


DAMAGES = {"cut in half": damage_truncate, "flipped": damage_flip, "emptied": damage_empty,
           "removed": os.remove}


def files(setting, n):
    """A checkpoint that is damaged during its run; a disk that is full, or cannot be written."""
    damaged_checkpoints(setting, n)
    bad_disks(setting)


def damaged_checkpoints(setting, n):
    # An epoch takes about a second: the checkpoint is not replaced soon.
    sets = SMALL + ["data.generated.train_samples=100000", "learning.batch_size=32",
                    "learning.epochs=3"]
    for damage, do in DAMAGES.items():
        for _ in range(n):
            setting.references.of(sets)
            run = Run(setting.fresh(), sets)
            run.wait_for_rows(1)
            time.sleep(0.3)
            do(os.path.join(run.folder, "checkpoint.h5"))
            kill(run.nodes()["hidden1"][0])
            began = time.monotonic()
            run.wait()
            seconds = time.monotonic() - began
            left = network.members_of_session(run.pid)
            setting.report.check(f"checkpoint {damage}, a layer killed: exit 3 (is {run.code}) in "
                                 f"{seconds:.1f} s, one line: {run.stderr_text()}",
                                 run.code == 3 and "\n" not in run.stderr_text() and not left)
            resumed = Run(run.folder, resume=True).wait()
            setting.report.check(f"checkpoint {damage}: message of --resume: {resumed.stderr_text()}",
                                 setting.tally("resumed", resumed, sets))
    for name in ("source", "readout"):
        run = Run(setting.fresh(), sets)
        run.wait_for_rows(1)
        time.sleep(0.3)
        damage_truncate(os.path.join(run.folder, "checkpoint.h5"))
        kill(run.nodes()[name][0])
        run.wait()
        setting.report.check(f"checkpoint cut in half, {name} killed, which has no state in it: "
                             f"same bits {run.stderr_text()}", setting.tally(name, run, sets))


def bad_disks(setting):
    sets = SHORT_EPOCHS
    setting.references.of(sets)
    disk = os.path.join(setting.folder, "disk")
    os.makedirs(disk, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    try:
        def fill():
            with open(os.path.join(disk, "filler"), "wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        def forbid(sign):  # even root cannot make a file in it
            subprocess.run(["chattr", sign + "i", run.folder], check=True)

        cases = {"full": (fill, lambda: os.remove(os.path.join(disk, "filler"))),
                 "not writable": (lambda: forbid("+"), lambda: forbid("-"))}
        for case, (do, undo) in cases.items():
            run = Run(os.path.join(disk, case), sets)
            run.wait_for_rows(5)
            do()
            kill(run.nodes()["hidden2"][0])
            run.wait()
            left = network.members_of_session(run.pid)
            setting.report.check(f"disk {case}, a layer killed: exit 2 (is {run.code}), one "
                                 f"line: {run.stderr_text()}",
                                 run.code == 2 and "\n" not in run.stderr_text() and not left)
            undo()
            resumed = Run(run.folder, resume=True).wait()
            setting.report.check(f"disk {case}: after freeing it --resume ends with the same bits "
                                 f"{resumed.stderr_text()}", setting.tally("resumed", resumed, sets))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


# ---- cost

# An epoch of the dense CIFAR-10 network.
COST = ["learning.epochs=1"]
# The defaults, and the same without checkpoints within an epoch and without retained messages.
COST_ARMS = {"with": [], "without": ["recording.checkpoint_interval=0", "execution.restarts_max=0"]}


def cost(setting, n):
    """The cost of recovery: alternating runs with and without, on an idle machine."""
    if not os.environ.get("LATERAL_DATA"):
        setting.report.line("      cost: skipped, LATERAL_DATA is not set")
        return
    summaries = {arm: [] for arm in COST_ARMS}
    for i in range(n):
        for arm in list(COST_ARMS) if i % 2 else reversed(COST_ARMS):
            run = Run(setting.fresh(), COST + COST_ARMS[arm],
                      experiment="sims/cifar10_dense.textproto").wait()
            if run.code != 0:
                raise SystemExit(f"exit {run.code}: {run.stderr_text()}")
            summaries[arm].append(run.summary())
            shutil.rmtree(run.folder)

    def compare(what, of):
        values = {arm: [of(summary) for summary in summaries[arm]] for arm in COST_ARMS}
        ratios = sorted(a / b for a, b in zip(values["with"], values["without"]))
        medians = {arm: statistics.median(values[arm]) for arm in COST_ARMS}
        setting.report.line(
            f"      {what}: with {medians['with']:.5g}, without {medians['without']:.5g} (medians of {n}); ratio "
            f"{medians['with'] / medians['without']:.3f}, of pairs {ratios[0]:.3f} to {ratios[-1]:.3f}, median "
            f"{statistics.median(ratios):.3f}")

    compare("training samples/s (aim: at least 0.97)", lambda s: s["train_samples_per_second"])
    # More significant than the speed on a machine with other load.
    compare("processor seconds of all nodes", lambda s: sum(node["cpu_seconds"] for node in s["nodes"]))
    for name in [node["name"] for node in summaries["with"][0]["nodes"]]:
        compare(f"peak MB of {name}", lambda s, name=name: next(
            node["peak_rss_bytes"] / 1e6 for node in s["nodes"] if node["name"] == name))
    states = {summary["state_sha256"] for arm in COST_ARMS for summary in summaries[arm]}
    setting.report.check(f"cost: all {2 * n} runs end with the same bits", len(states) == 1)


FAULTS = {"kills": (kills, 200), "cuts": (cuts, 100), "stops": (stops, 50),
          "launcher": (launcher, 50), "slow": (slow, 1), "files": (files, 3), "cost": (cost, 5)}


def enter_namespaces():
    """Continues in a new network and mount namespace, so that faults do not affect other processes."""
    if os.environ.get(OWN_NAMESPACES):
        return
    for tool in ("nft", "ss", "ip", "unshare"):
        if shutil.which(tool) is None:
            raise SystemExit(f"tests/faults/run: no {tool}, expected nftables and iproute2 (Debian)")
    os.environ[OWN_NAMESPACES] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def main():
    parser = argparse.ArgumentParser(prog="tests/faults/run")
    parser.add_argument("what", nargs="?", default="all", choices=[*FAULTS, "all"])
    parser.add_argument("n", nargs="?", type=int, help="number (default: see ./run)")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--at-once", type=int, default=2, help="runs at a time, for faults that do not depend on load")
    parser.add_argument("--keep", help="a folder for the runs; runs without differences are removed")
    options = parser.parse_args()
    chosen = list(FAULTS) if options.what == "all" else [options.what]
    if {"cuts", "files"} & set(chosen):
        enter_namespaces()
    report = Report()
    report.line(f"seed {options.seed}")
    folder = options.keep or tempfile.mkdtemp(prefix="lateral-faults-")
    os.makedirs(folder, exist_ok=True)
    for name in chosen:
        function, default = FAULTS[name]
        began = time.monotonic()
        report.line(f"---- {name}: {function.__doc__}")
        function(Setting(options, os.path.join(folder, name), report), options.n or default)
        report.line(f"      {time.monotonic() - began:.0f} s")
    if not report.failed and not options.keep:
        shutil.rmtree(folder)
    elif report.failed:
        report.line(f"the failed runs are in {folder}")
    print("all checks pass" if not report.failed else f"{report.failed} checks fail")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
