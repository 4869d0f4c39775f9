# Unauthenticated callers at the ports of a run are refused and logged, and change neither bits nor memory.
# MALFORMED_FRAMES: number of frames (default: 6000); MALFORMED_EPOCHS: epochs of the run (default: 40).
. tests/system/support.sh

# A run of constant memory: small layers, and without replacement nodes retain no sent messages.
constant="$long --set learning.epochs=${MALFORMED_EPOCHS:-40} --set layer.hidden1.units=16 --set layer.hidden2.units=16 \
  --set learning.batch_size=20 --set data.generated.test_samples=200 --set execution.restarts_max=0"
has_rows() { [ -s "$1" ] && [ "$(wc -l <"$1")" -gt "$2" ]; }

for listen in 127.0.0.1 $(outside_address); do
  options="$constant --transport tcp --listen $listen"
  fresh; $lateral run $options --out "$dir"; reference=$(value "$dir" state_sha256)
  fresh; $lateral run $options --out "$dir" & pid=$!
  wait_for 60 has_rows "$dir/metrics.csv" 12
  check "$listen: memory and descriptors do not grow" $python tests/system/malformed_frames.py $pid "${MALFORMED_FRAMES:-6000}"
  check "$listen: the run is still running" alive $pid
  wait $pid; rc=$?
  check "$listen: exit 0 (is $rc)" test $rc = 0
  check "$listen: the same bits as an undisturbed run" equal "$(value "$dir" state_sha256)" "$reference"
  for node in coordinator source hidden1 readout; do
    check "$listen: $node logged refusals: $(grep -m1 refused "$dir/log/$node.log")" test "$(grep -c refused "$dir/log/$node.log")" -ge 9
    check "$listen: the log of $node is bounded" test "$(stat -c %s "$dir/log/$node.log")" -le 200000
  done
done
[ -n "$(outside_address)" ] || echo "SKIPPED beyond loopback: this machine has no other address"
finish
