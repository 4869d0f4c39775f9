# Without replacement the run ends within two seconds after a node is lost, with one line of reason and without
# orphaned processes; no process remains after the loss of the coordinator either.
. tests/system/support.sh
err=$work/err
export TMPDIR=$(mktemp -d /tmp/node-loss-XXXXXX)  # for sockets; a longer path would not be used
trap 'rm -rf "$work" "$TMPDIR"' EXIT

start() {
  fresh
  $lateral run $long --set execution.restarts_max=0 --out "$dir" 2>"$err" & pid=$!
  wait_for 20 test -s "$dir/metrics.csv" && wait_for 20 test -s "$dir/checkpoint.h5"
  sleep 0.3
  children=$(pgrep -P $pid | tr '\n' ' ')
}
pid_of() { for k in $children; do tr '\0' ' ' <"/proc/$k/cmdline" | grep -q -- "--name $1 " && echo "$k"; done; }
milliseconds() { echo $(( ($(date +%s%N) - t0) / 1000000 )); }

start
check "one process for each node" test "$(echo $children | wc -w)" = 5
# The only 64 hexadecimal digits in arguments and environment are the digest of the configuration.
secret_free() {
  local k
  for k in $children; do
    [ "$(cat "/proc/$k/environ" "/proc/$k/cmdline" | tr '\0' '\n' | grep -cE '^[0-9a-f]{64}$')" = 1 ] || return 1
    [ "$(tr '\0' '\n' <"/proc/$k/cmdline" | grep -A1 -x -- --digest | tail -n 1)" = \
      "$(grep -v '^#' "$dir/experiment.textproto" | sha256sum | cut -d' ' -f1)" ] || return 1
  done
}
check "the secret is in no environment and no command line" secret_free
for node in source hidden1 hidden2 output readout; do
  victim=$(pid_of $node); t0=$(date +%s%N); kill -KILL "$victim"; wait $pid; rc=$?; ms=$(milliseconds)
  check "$node killed: exit 3 (is $rc) in $ms ms" test $rc = 3 -a "$ms" -le 2000
  check "$node killed: one line that names it and the signal: $(cat "$err")" has_line "$err" "'$node' (pid $victim) was killed by signal 9"
  check "$node killed: no orphan" none_alive $children
  start
done
victim=$(pid_of hidden1); t0=$(date +%s%N); kill -STOP "$victim"; wait $pid; rc=$?; ms=$(milliseconds)
check "hidden1 stopped: exit 3 (is $rc) in $ms ms" test $rc = 3 -a "$ms" -le 2000
check "hidden1 stopped: one line that names it: $(cat "$err")" has_line "$err" "'hidden1' has been silent"
check "hidden1 stopped: no orphan" none_alive $children

start; kill -KILL $pid; wait $pid 2>/dev/null
check "coordinator killed: no orphan after a second" wait_for 1 none_alive $children
check "coordinator killed: the checkpoint can be read" sh -c "$lateral evaluate $dir >/dev/null"
check "coordinator killed: the next run removed its folder of sockets $(ls "$TMPDIR")" test -z "$(ls "$TMPDIR")"

start; t0=$(date +%s%N); kill -INT $pid; wait $pid; rc=$?; ms=$(milliseconds)
check "Ctrl-C: exit 130 (is $rc) in $ms ms $(cat "$err")" test $rc = 130 -a "$ms" -le 3000
check "Ctrl-C: no process left" none_alive $children
start; kill -STOP $pid $children; sleep 2.5; kill -CONT $children $pid; sleep 0.5
check "a suspended run continues" alive $pid
kill -TERM $pid $children; wait $pid; rc=$?
check "SIGTERM to all of them, as batch systems send it: exit 143 (is $rc)" test $rc = 143
check "SIGTERM: it can be resumed" test -s "$dir/checkpoint.h5"
finish
