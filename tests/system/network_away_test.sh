# The network between running nodes fails for a second, in a network namespace of this test.
if [ -z "${LATERAL_OWN_NETWORK:-}" ]; then
  unshare --map-root-user --net ip link set lo up 2>/dev/null ||
    { echo "skipped: no network namespace can be created"; exit 77; }
  LATERAL_OWN_NETWORK=1 exec unshare --map-root-user --net bash "$0"
fi
. tests/system/support.sh
ip link set lo up
experiment="$small --set learning.epochs=100 --transport tcp"
rows() { cat "$dir/metrics.csv" 2>/dev/null | wc -l; }
makes_progress() { wait_for 20 eval "[ \$(rows) -ge $(($(rows) + 2)) ]"; }

fresh; $lateral run $experiment --out "$dir"; undisturbed=$dir
fresh; $lateral run $experiment --out "$dir" 2>"$work/err" & pid=$!
makes_progress
check "both ends of the five links have logged the connection" test "$(cat "$dir"/log/*.log | grep -c 'Z info linked to')" = 10
ip link set lo down; sleep 1; ip link set lo up
check "the network works again: the run continues" makes_progress
wait $pid; rc=$?
check "exit 0 (is $rc) and nothing on stderr $(cat "$work/err")" test $rc = 0 -a ! -s "$work/err"
check "the same bits" equal "$(value "$dir" state_sha256)" "$(value "$undisturbed" state_sha256)"
check "no node was replaced" test "$(value "$dir" restarts)" = "[]"
# TCP itself would have retransmitted 0.2, 0.6 and 1.4 s after the failure.
check "a link was reconnected" test "$(cat "$dir"/log/*.log | grep -c 'Z info linked to')" -gt 10
finish
