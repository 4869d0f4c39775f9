# Shared by the system tests: the path of the program, checks, cleaning up.
set -u
lateral=${LATERAL:-build/release/lateral}
python=/usr/bin/python3
work=$(mktemp -d /tmp/lateral-system-XXXXXX)
trap 'rm -rf "$work"' EXIT
failed=0
checks=0
runs=0

# check SENTENCE COMMAND...: counts and prints.
check() {
  local sentence=$1; shift
  checks=$((checks + 1))
  if "$@"; then echo "ok    $sentence"; else echo "FAIL  $sentence"; failed=$((failed + 1)); fi
}
# fresh: sets $dir to a run directory that does not exist yet.
fresh() { runs=$((runs + 1)); dir=$work/run$runs; }
# value DIR KEY.KEY: a field of summary.json.
value() {
  $python -c 'import json, sys
v = json.load(open(sys.argv[1] + "/summary.json"))
for k in sys.argv[2].split("."): v = v[k]
print(v)' "$1" "$2"
}
equal() { [ -n "$1" ] && [ "$1" = "$2" ]; }
at_least() { $python -c 'import sys; sys.exit(not float(sys.argv[1]) >= float(sys.argv[2]))' "$1" "$2"; }
has_line() { [ "$(grep -c . "$1")" = 1 ] && grep -q -- "$2" "$1"; }
alive() { [ -r "/proc/$1/stat" ] && ! grep -q ") Z " "/proc/$1/stat"; }
none_alive() { local pid; for pid in "$@"; do alive "$pid" && return 1; done; return 0; }
# wait_for SECONDS COMMAND...: waits until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
# The first IPv4 address of this machine that is not loopback; empty if it has none.
outside_address() { hostname -I 2>/dev/null | tr ' ' '\n' | grep -m1 -E '^[0-9]+\.'; }
finish() { echo "$((checks - failed)) of $checks checks pass"; [ "$failed" = 0 ]; exit; }

# A small experiment on built-in data, seconds long.
small="sims/quickstart.textproto --quiet --set data.generated.train_samples=2000 --set data.generated.test_samples=500 \
  --set learning.epochs=2 --set layer.hidden1.units=64 --set layer.hidden2.units=32"
# The same, but long enough to disturb it.
long="sims/quickstart.textproto --quiet --set learning.epochs=200"
