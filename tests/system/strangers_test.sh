# Strangers who find the ports of a run are refused and logged, and change nothing: neither bits nor memory.
# HOSTILE_FRAMES says how many come to each kind of port (default: 6000), HOSTILE_EPOCHS how long the run is (default: 40).
. tests/system/support.sh

# Its memory stays the same by itself: small layers, and nodes that are not to be replaced keep nothing of what they sent.
calm="$long --set learning.epochs=${HOSTILE_EPOCHS:-40} --set layer.hidden1.units=16 --set layer.hidden2.units=16 \
  --set learning.batch_size=20 --set data.generated.test_samples=200 --set execution.restarts_max=0"
has_rows() { [ -s "$1" ] && [ "$(wc -l <"$1")" -gt "$2" ]; }

for listen in 127.0.0.1 $(outside_address); do
  options="$calm --transport tcp --listen $listen"
  fresh; $lateral run $options --out "$dir"; reference=$(value "$dir" state_sha256)
  fresh; $lateral run $options --out "$dir" & pid=$!
  wait_for 60 has_rows "$dir/metrics.csv" 12
  check "$listen: memory and descriptors stay" $python tests/system/hostile.py $pid "${HOSTILE_FRAMES:-6000}"
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
