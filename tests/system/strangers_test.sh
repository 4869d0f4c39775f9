# Strangers who find the ports of a run are refused and logged, and change nothing: neither bits nor memory.
# HOSTILE_FRAMES says how many come (default: 3000).
. tests/system/support.sh

for listen in 127.0.0.1 $(outside_address); do
  options="$long --set learning.epochs=${HOSTILE_EPOCHS:-15} --transport tcp --listen $listen"
  fresh; $lateral run $options --out "$dir"; reference=$(value "$dir" state_sha256)
  fresh; $lateral run $options --out "$dir" & pid=$!
  wait_for 20 test -s "$dir/metrics.csv"
  check "$listen: memory and descriptors stay" $python tests/system/hostile.py $pid "${HOSTILE_FRAMES:-3000}"
  check "$listen: the run was there all the time" alive $pid
  wait $pid; rc=$?
  check "$listen: the run ends well (exit $rc)" test $rc = 0
  check "$listen: with the bits of a run that nobody disturbed" equal "$(value "$dir" state_sha256)" "$reference"
  for node in coordinator source hidden1 readout; do
    check "$listen: $node logged them: $(grep -m1 refused "$dir/log/$node.log")" test "$(grep -c refused "$dir/log/$node.log")" -ge 9
    check "$listen: but not without bound" test "$(stat -c %s "$dir/log/$node.log")" -le 200000
  done
done
[ -n "$(outside_address)" ] || echo "SKIPPED beyond loopback: this machine has no other address"
finish
