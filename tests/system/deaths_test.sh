# When a node or the coordinator dies or falls silent, the run ends within two seconds, says why, and leaves no process.
. tests/system/support.sh
err=$work/err

start() {
  fresh
  $lateral run $long --out "$dir" 2>"$err" & pid=$!
  wait_for 20 test -s "$dir/metrics.csv" && wait_for 20 test "$(wc -l <"$dir/metrics.csv")" -ge 1
  sleep 0.3
  kids=$(pgrep -P $pid | tr '\n' ' ')
}
pid_of() { for k in $kids; do tr '\0' ' ' <"/proc/$k/cmdline" | grep -q -- "--name $1 " && echo "$k"; done; }
milliseconds() { echo $(( ($(date +%s%N) - t0) / 1000000 )); }

start
check "a process a node" test "$(echo $kids | wc -w)" = 5
secret_free() { for k in $kids; do tr '\0' '\n' <"/proc/$k/environ" "/proc/$k/cmdline" | grep -qE '[0-9a-f]{64}' && ! tr '\0' '\n' <"/proc/$k/cmdline" | grep -qx -- '--digest' && return 1; done; return 0; }
check "the secret is in no environment and no command line" secret_free
for node in source hidden1 hidden2 output readout; do
  victim=$(pid_of $node); t0=$(date +%s%N); kill -KILL "$victim"; wait $pid; rc=$?; ms=$(milliseconds)
  check "$node killed: exit 3 (is $rc) in $ms ms" test $rc = 3 -a "$ms" -le 2000
  check "$node killed: one line that names it and the signal: $(cat "$err")" has_line "$err" "'$node' (pid $victim) was killed by signal 9"
  check "$node killed: no orphan" none_alive $kids
  start
done
victim=$(pid_of hidden1); t0=$(date +%s%N); kill -STOP "$victim"; wait $pid; rc=$?; ms=$(milliseconds)
check "hidden1 stopped: exit 3 (is $rc) in $ms ms" test $rc = 3 -a "$ms" -le 2000
check "hidden1 stopped: one line that names it: $(cat "$err")" has_line "$err" "'hidden1' has been silent"
check "hidden1 stopped: no orphan" none_alive $kids

start; kill -KILL $pid; wait $pid 2>/dev/null
check "coordinator killed: no orphan after a second" wait_for 1 none_alive $kids
check "coordinator killed: what was written can be read" $lateral evaluate "$dir" >/dev/null

start; t0=$(date +%s%N); kill -INT $pid; wait $pid; rc=$?; ms=$(milliseconds)
check "Ctrl-C: exit 130 (is $rc) in $ms ms" test $rc = 130 -a "$ms" -le 3000
check "Ctrl-C: no process left" none_alive $kids
start; kill -STOP $pid $kids; sleep 2.5; kill -CONT $kids $pid; sleep 0.5
check "a run suspended as a whole goes on" alive $pid
kill -TERM $pid; wait $pid; rc=$?
check "SIGTERM: exit 143 (is $rc)" test $rc = 143
check "no folder of sockets is left" test -z "$(find /tmp -maxdepth 1 -name 'lateral-??????' -newer "$0" -type d 2>/dev/null)"
finish
