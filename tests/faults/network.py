"""A run of the program under test: its processes, and its differences from an undisturbed one."""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time

LATERAL = os.environ.get("LATERAL", "build/release/lateral")
QUICKSTART = "sims/quickstart.textproto"
LIMIT_SECONDS = 180.0  # a run that takes longer hangs
# The columns of metrics.csv that do not depend on the clock.
METRICS_COLUMNS = 5


def children(pid):
    """Process ids of the children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def words_of(pid):
    """The command line of a process; [] if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode().split("\0")[:-1]
    except OSError:
        return []


def state_of(pid):
    """The letter of its state (man 5 proc); "" if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pid):
    return state_of(pid) not in ("", "Z", "X")


def members_of_session(session):
    """Running processes of a session, which may outlive its leader."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(entry))
    return found


def rss_bytes(pid):
    """VmRSS; 0 if the process has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def kill(pid, number=signal.SIGKILL):
    """Sends a signal; False if there is no such process."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def recorded(path):
    """The values in a recording, whose bytes depend on when it was written; None without h5py."""
    try:
        import h5py
    except ImportError:
        return None
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()].tobytes()})
                        if isinstance(item, h5py.Dataset) else None)
    return found


class Run:
    """One `lateral run`, in a session of its own."""

    def __init__(self, folder, sets=(), experiment=QUICKSTART, flags=(), resume=False, before=(),
                 program=LATERAL):
        self.folder = folder
        what = ["--resume", folder] if resume else [experiment, "--out", folder]
        for value in sets:
            what += ["--set", value]
        self._stderr = tempfile.TemporaryFile(mode="w+")
        self._process = subprocess.Popen([*before, program, "run", *what, "--quiet", *flags],
                                         stderr=self._stderr, stdout=subprocess.DEVNULL,
                                         start_new_session=True)
        self.pid = self._process.pid
        self.began = time.monotonic()
        self.hung = False

    def alive(self):
        """Whether the run has not ended; a run that hangs is killed first."""
        if self._process.poll() is not None:
            return False
        if time.monotonic() - self.began < LIMIT_SECONDS:
            return True
        self.hung = True
        self._process.kill()
        self._process.wait()
        return False

    def wait(self):
        while self.alive():
            time.sleep(0.01)
        return self

    @property
    def code(self):
        return self._process.returncode

    def stderr_text(self):
        self._stderr.seek(0)
        return self._stderr.read().strip()

    def nodes(self):
        """(pid, generation) of each node that has a process, by name."""
        found = {}
        for pid in children(self.pid):
            words = words_of(pid)
            if "--name" not in words:
                continue
            name = words[words.index("--name") + 1]
            generation = int(words[words.index("--generation") + 1])
            if name not in found or generation > found[name][1]:
                found[name] = (pid, generation)
        return found

    def rows(self):
        """Epochs in metrics.csv."""
        try:
            with open(os.path.join(self.folder, "metrics.csv"), "rb") as file:
                return max(0, file.read().count(b"\n") - 1)
        except OSError:
            return 0

    def wait_for_rows(self, rows):
        """The time when metrics.csv has this number of rows; None if the run ends before."""
        while self.alive():
            if self.rows() >= rows:
                return time.monotonic()
            time.sleep(0.004)
        return None

    def summary(self):
        try:
            with open(os.path.join(self.folder, "summary.json")) as file:
                return json.load(file)
        except OSError:
            return None

    def restarts(self):
        summary = self.summary()
        return summary["restarts"] if summary else []

    def records(self):
        """The results that must not differ between two runs of one experiment."""
        found = {}
        with open(os.path.join(self.folder, "metrics.csv")) as file:
            found["metrics.csv"] = [line.split(",")[:METRICS_COLUMNS] for line in file]
        with open(os.path.join(self.folder, "probes.csv")) as file:
            found["probes.csv"] = file.read()
        recording = os.path.join(self.folder, "recording.h5")
        if os.path.exists(recording):
            found["recording.h5"] = recorded(recording)
        found["state_sha256"] = self.summary()["state_sha256"]
        return found

    def differences(self, reference):
        """The names of the results that differ from those of an undisturbed run."""
        if self.hung:
            return [f"HANG after {LIMIT_SECONDS:.0f} s"]
        if self.code != 0:
            return [f"exit {self.code}: {self.stderr_text()}"]
        ours, theirs = self.records(), reference
        return [f"{what} differs" for what in theirs if ours.get(what) != theirs[what]]


class References:
    """The results of undisturbed runs; each experiment is run once."""

    def __init__(self, folder):
        self._folder = folder
        self._lock = threading.Lock()
        self._found = {}

    def of(self, sets, **options):
        with self._lock:
            key = repr((tuple(sets), sorted(options.items())))
            if key not in self._found:
                folder = os.path.join(self._folder, f"reference{len(self._found)}")
                run = Run(folder, sets, **options).wait()
                if run.code != 0 or run.restarts():
                    raise SystemExit(f"the undisturbed run {sets} ended with {run.code}: "
                                     f"{run.stderr_text()} {run.restarts()}")
                self._found[key] = (run.records(), run.summary()["wall_seconds"])
            return self._found[key]
