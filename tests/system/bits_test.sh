# The same experiment ends with the same bits for all placements of its nodes, also after stops and resumptions.
. tests/system/support.sh

for credit in backpropagation feedback_alignment direct_feedback_alignment node_perturbation; do
  for mode in closed_form settled; do
    reference=
    for how in "--transport unix" "--transport tcp" "--in-process" \
               "--set execution.schedule=lockstep" "--threads 1" "--threads 3"; do
      fresh
      $lateral run $small --set learning.credit=$credit --set decorrelation.rule=ahmad2024 \
        --set decorrelation.mode=$mode $how --out "$dir"
      digest=$(value "$dir" state_sha256)
      reference=${reference:-$digest}
      check "$credit, $mode, $how: same bits" equal "$digest" "$reference"
    done
  done
done

fresh; $lateral run $small --out "$dir"; other=$(value "$dir" state_sha256)
check "without decorrelation the digest differs" test "$other" != "$reference"

for demean in running none; do
  reference=
  for how in 1 2 4 8 "8 --in-process" "4 --threads 3"; do
    fresh
    $lateral run $small --set learning.batch_size=256 --set data.generated.train_samples=2000 \
      --set decorrelation.rule=ahmad2024 --set decorrelation.demean=$demean \
      --set execution.micro_batches=$how --out "$dir"
    digest=$(value "$dir" state_sha256)
    reference=${reference:-$digest}
    check "demean $demean, micro-batches $how: same bits" equal "$digest" "$reference"
  done
done

# Which steps are skipped or shortened depends on neither process nor thread.
wild="$small --set learning.optimizer=sgd --set learning.learning_rate=1e3 --set learning.loss=squared_error --set learning.diverging=shorten --set learning.change_max=0.05 --set decorrelation.rule=ahmad2024"
reference=
for how in "" "--in-process" "--threads 3"; do
  fresh; $lateral run $wild $how --out "$dir"
  digest=$(value "$dir" state_sha256)
  reference=${reference:-$digest}
  check "shortened, $how: same bits" equal "$digest" "$reference"
done
check "some steps were shortened and some skipped" \
  sh -c "grep -q ',shortened_step,' $dir/probes.csv && grep -q ',skipped_step,' $dir/probes.csv"

# Epochs of one step: snapshots follow each other without a pause.
tiny="$small --set data.generated.train_samples=200 --set learning.epochs=60 --set recording.probe_interval=1"
fresh; $lateral run $tiny --out "$dir"; rc=$?; first=$dir
check "sixty epochs of one step: exit 0 (is $rc)" test $rc = 0
check "sixty epochs: sixty rows" test "$(wc -l <"$dir/metrics.csv")" = 61
fresh; $lateral run $tiny --out "$dir"
check "sixty epochs again: the same probes" cmp -s "$dir/probes.csv" "$first/probes.csv"
check "sixty epochs again: the same bits" equal "$(value "$dir" state_sha256)" "$(value "$first" state_sha256)"

experiment="$long --set data.generated.train_samples=4000 --set data.generated.size=16 --set learning.epochs=8 --set decorrelation.rule=ahmad2024 --set decorrelation.learning_rate=3e-4 --set decorrelation.mode=settled --set decorrelation.warm_start=true"
fresh; $lateral run $experiment --out "$dir"; whole=$dir; reference=$(value "$dir" state_sha256)
fresh; $lateral run $experiment --out "$dir" & pid=$!
wait_for 20 test -s "$dir/checkpoint.h5"; sleep 0.3; kill -INT $pid; wait $pid; rc=$?
check "Ctrl-C: the exit code is that of an interrupted program ($rc)" test $rc = 130
check "Ctrl-C: it stopped before the end" test "$(value "$dir" complete)" = False
$lateral run --resume "$dir" --quiet
check "resumed: same bits as never interrupted" equal "$(value "$dir" state_sha256)" "$reference"
check "resumed: the same rows of losses and accuracies" \
  test "$(cut -d, -f1-5 "$dir/metrics.csv" | md5sum)" = "$(cut -d, -f1-5 "$whole/metrics.csv" | md5sum)"
check "resumed: the same probes" cmp -s "$dir/probes.csv" "$whole/probes.csv"

fresh; $lateral run $experiment --out "$dir" & pid=$!
wait_for 20 test -s "$dir/checkpoint.h5"; kill -KILL $pid; wait $pid 2>/dev/null
$lateral run --resume "$dir" --quiet
check "killed and resumed from the last epoch: same bits" equal "$(value "$dir" state_sha256)" "$reference"

$lateral run --resume "$dir" --quiet --set learning.epochs=9
fresh; $lateral run $experiment --set learning.epochs=9 --out "$dir"
check "a finished run continues for one more epoch: same bits" \
  equal "$(value "$work/run$((runs - 1))" state_sha256)" "$(value "$dir" state_sha256)"

cp "$dir/summary.json" "$work/summary.json"; $lateral run --resume "$dir" --quiet
check "a finished run that is resumed keeps its summary" cmp "$work/summary.json" "$dir/summary.json"

# Checkpoints within an epoch, and two generations of them.
within="$experiment --set recording.checkpoint_interval=3"
fresh; $lateral run $within --out "$dir"; whole_within=$(value "$dir" state_sha256)
check "checkpoints within epochs change no bit" equal "$whole_within" "$reference"
fresh; $lateral run $within --out "$dir" & pid=$!
wait_for 20 test -s "$dir/checkpoint.previous.h5"; sleep 0.7; kill -KILL $pid; wait $pid 2>/dev/null
step=$($python -c 'import h5py, sys; print(h5py.File(sys.argv[1]).attrs["step"])' "$dir/checkpoint.h5")
check "killed within an epoch, after step $step: the checkpoint is of a multiple of the interval" test $((step % 3)) = 0 -o $((step % 16)) = 0
cp -r "$dir" "$dir.torn"; cp -r "$dir" "$dir.damaged"
$lateral run --resume "$dir" --quiet
check "resumed from there: same bits" equal "$(value "$dir" state_sha256)" "$reference"
truncate -s -20000 "$dir.torn/checkpoint.h5"
$lateral run --resume "$dir.torn" --quiet 2>"$work/err"
check "torn checkpoint: a line names it, and the previous one is used" has_line "$work/err" "checkpoint.previous.h5, of step"
check "torn checkpoint: same bits" equal "$(value "$dir.torn" state_sha256)" "$reference"
$python - "$dir.damaged/checkpoint.h5" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(0, 2)
    file.seek(file.tell() // 2)
    file.write(bytes(64))
END
$lateral run --resume "$dir.damaged" --quiet 2>"$work/err"
check "damaged checkpoint: a line names it, and the previous one is used" has_line "$work/err" "damaged.*checkpoint.previous.h5, of step"
check "damaged checkpoint: same bits" equal "$(value "$dir.damaged" state_sha256)" "$reference"

# Large layers and small batches: the next step is received long before the tensors of a snapshot are sent.
fresh; $lateral run sims/quickstart.textproto --quiet --set layer.hidden1.units=1500 --set layer.hidden2.units=1500 \
  --set decorrelation.rule=ahmad2024 --set learning.batch_size=8 --set data.generated.train_samples=400 \
  --set data.generated.test_samples=40 --set learning.epochs=1 --set recording.checkpoint_interval=8 --out "$dir"
large=$(value "$dir" state_sha256)
rm "$dir/checkpoint.h5"; $lateral run --resume "$dir" --quiet 2>/dev/null
check "a layer does not learn before its snapshot is copied: resumed from step 48 with the same bits" \
  equal "$(value "$dir" state_sha256)" "$large"
finish
