# The same experiment ends in the same bits however its nodes are placed, stopped and resumed.
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
check "without decorrelation the bits are others (the digest tells networks apart)" test "$other" != "$reference"

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

# Epochs of one step: snapshots follow each other as closely as they can.
tiny="$small --set data.generated.train_samples=200 --set learning.epochs=60 --set recording.probe_interval=1"
fresh; $lateral run $tiny --out "$dir"; rc=$?; first=$dir
check "sixty epochs of one step end well (exit $rc)" test $rc = 0
check "with sixty rows" test "$(wc -l <"$dir/metrics.csv")" = 61
fresh; $lateral run $tiny --out "$dir"
check "and write the same probes each time" cmp -s "$dir/probes.csv" "$first/probes.csv"
check "in the same bits" equal "$(value "$dir" state_sha256)" "$(value "$first" state_sha256)"

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
check "killed outright and resumed from the last epoch: same bits" equal "$(value "$dir" state_sha256)" "$reference"

$lateral run --resume "$dir" --quiet --set learning.epochs=9
fresh; $lateral run $experiment --set learning.epochs=9 --out "$dir"
check "a finished run goes on for one more epoch in the same bits" \
  equal "$(value "$work/run$((runs - 1))" state_sha256)" "$(value "$dir" state_sha256)"
finish
