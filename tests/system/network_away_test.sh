# The network between living nodes is away for a second, in a network of our own.
if [ -z "${LATERAL_OWN_NETWORK:-}" ]; then
  unshare --map-root-user --net ip link set lo up 2>/dev/null ||
    { echo "skipped: no network of our own to be had"; exit 77; }
  LATERAL_OWN_NETWORK=1 exec unshare --map-root-user --net bash "$0"
fi
. tests/system/support.sh
ip link set lo up
experiment="$small --set learning.epochs=100 --transport tcp"
rows() { cat "$dir/metrics.csv" 2>/dev/null | wc -l; }
goes_on() { wait_for 20 eval "[ \$(rows) -ge $(($(rows) + 2)) ]"; }

fresh; $lateral run $experiment --out "$dir"; undisturbed=$dir
fresh; $lateral run $experiment --out "$dir" 2>"$work/err" & pid=$!
goes_on
check "each end of the five edges has logged its connection" test "$(cat "$dir"/log/*.log | grep -c 'Z info linked to')" = 10
ip link set lo down; sleep 1; ip link set lo up
check "the network is back: the run goes on" goes_on
wait $pid; rc=$?
check "exit 0 (is $rc) and nothing on stderr $(cat "$work/err")" test $rc = 0 -a ! -s "$work/err"
check "the same bits" equal "$(value "$dir" state_sha256)" "$(value "$undisturbed" state_sha256)"
check "nobody was replaced" test "$(value "$dir" restarts)" = "[]"
# TCP itself would have tried again when the network had been away for 0.2, 0.6 and 1.4 s.
check "an edge was given a new connection" test "$(cat "$dir"/log/*.log | grep -c 'Z info linked to')" -gt 10
finish
