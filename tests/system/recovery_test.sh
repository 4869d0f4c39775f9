# Only a lost node is replaced, and the run ends with the same bits as an undisturbed one.
. tests/system/support.sh
err=$work/err
experiment="$small --set learning.epochs=70 --set recording.probe_interval=5"

rows() { cat "$dir/metrics.csv" 2>/dev/null | wc -l; }
makes_progress() { wait_for 20 eval "[ \$(rows) -ge $(($(rows) + 2)) ]"; }
# start [OPTION...]: starts a run and waits until it has trained.
start() { fresh; $lateral run $experiment "$@" --out "$dir" 2>"$err" & pid=$!; makes_progress; }
pid_of() { pgrep -n -P $pid -f -- "--name $1 "; }
replaced() { local now; now=$(pid_of "$1") && [ "$now" != "$2" ]; }
# restarts [WORD]: names and generations of the replaced nodes whose reason contains the word.
restarts() {
  $python -c 'import json, sys
print(*("%(node)s:%(generation)d" % r for r in json.load(open(sys.argv[1] + "/summary.json"))["restarts"]
        if sys.argv[2] in r["reason"]))' "$dir" "${1:-}"
}
same_as_undisturbed() {
  [ "$(value "$dir" state_sha256)" = "$(value "$undisturbed" state_sha256)" ] &&
    cmp "$dir/probes.csv" "$undisturbed/probes.csv" &&
    cmp <(cut -d, -f1-5 "$dir/metrics.csv") <(cut -d, -f1-5 "$undisturbed/metrics.csv")
}

fresh; $lateral run $experiment --out "$dir"; undisturbed=$dir
check "undisturbed: no restarts" test -z "$(restarts)"

ends_as_undisturbed() {  # WHAT RESTARTS
  wait $pid; local rc=$?
  check "$1: exit 0 (is $rc) and nothing on stderr $(cat "$err")" test $rc = 0 -a ! -s "$err"
  check "$1: the same bits, metrics and probes" same_as_undisturbed
  check "$1: summary.json names the nodes: $(restarts)" \
    test "$(restarts 'killed by signal 9' | tr ' ' '\n' | sort | tr '\n' ' ')" = "$2 "
}
start
for node in source hidden1 hidden2 output readout; do
  kill -KILL "$(pid_of $node)"
  check "$node killed: the network continues" makes_progress
done
ends_as_undisturbed "every role killed" "hidden1:1 hidden2:1 output:1 readout:1 source:1"

start --transport tcp
kill -KILL "$(pid_of hidden1)" "$(pid_of hidden2)"
check "two neighbours killed: the network continues" makes_progress
victim=$(pid_of output); kill -KILL "$victim"; wait_for 5 replaced output "$victim"; kill -KILL "$(pid_of output)" "$(pid_of readout)"
check "one killed again during its recovery, with its neighbour: the network continues" makes_progress
ends_as_undisturbed "two at once killed" "hidden1:1 hidden2:1 output:1 output:2 readout:1"

start
victim=$(pid_of hidden2); kill -STOP "$victim"; sleep 0.5; kill -CONT "$victim"
check "stopped for 0.5 s: the network continues" makes_progress
victim=$(pid_of hidden1); kill -STOP "$victim"
check "stopped permanently: its process is gone" wait_for 4 none_alive "$victim"
check "stopped permanently: the network continues" makes_progress
wait $pid; rc=$?
check "stopped: exit 0 (is $rc) $(cat "$err")" test $rc = 0
check "stopped: the same bits, metrics and probes" same_as_undisturbed
check "stopped: only the silent node is replaced: $(restarts)" test "$(restarts silent)" = "hidden1:1" -a "$(restarts)" = "hidden1:1"

epochs="--set data.generated.train_samples=10000 --set learning.epochs=8"
fresh; $lateral run $experiment $epochs --out "$dir"; whole=$(value "$dir" state_sha256)
for i in 1 2 3; do
  start $epochs
  kill -KILL $(pgrep -P $pid); sleep 0.02; kill -INT $pid; wait $pid; rc=$?
  check "all killed, then Ctrl-C: exit 130 or, without its source, 3 (is $rc) $(cat "$err")" test $rc = 130 -o $rc = 3
  check "all killed, then Ctrl-C: at most one line, no internal error" test "$(grep -c . "$err")" -le 1 -a -z "$(grep internal "$err")"
  $lateral run --resume "$dir" --quiet
  check "all killed, then Ctrl-C: resumed with the same bits" equal "$(value "$dir" state_sha256)" "$whole"
done

start --set data.generated.train_samples=50000 --set learning.epochs=3 --set execution.restarts_max=1
victim=$(pid_of hidden1); kill -KILL "$victim"
wait_for 5 replaced hidden1 "$victim"; victim=$(pid_of hidden1); children=$(pgrep -P $pid)
kill -KILL "$victim"; wait $pid; rc=$?
check "lost more often than execution.restarts_max: exit 3 (is $rc)" test $rc = 3
check "lost once more: one line that names the node and the limit: $(cat "$err")" \
  has_line "$err" "'hidden1' (pid $victim) was killed by signal 9.*restarts_max"
check "lost once more: no process is left" none_alive $children
check "lost once more: it can be resumed" $lateral run --resume "$dir" --quiet
finish
