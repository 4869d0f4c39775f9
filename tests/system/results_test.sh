# A run writes the files of RUN_DIRECTORY.md, in formats that other tools read.
. tests/system/support.sh

fresh
$lateral run $small --set learning.credit=feedback_alignment --set decorrelation.rule=ahmad2024 --set recording.probe_interval=5 --out "$dir" 2>"$work/err"
check "a quiet run prints nothing" test ! -s "$work/err"
for file in experiment.textproto metrics.csv probes.csv summary.json checkpoint.h5 log/source.log log/hidden1.log \
  log/readout.log log/coordinator.log; do
  check "the run writes $file" test -e "$dir/$file"
done
check "probes: correlations decrease, gradient angles and norms are recorded" $python - "$dir/probes.csv" <<'P'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
probes = {r['probe'] for r in rows}
assert {'correlation_before', 'correlation_after', 'gain', 'weight_update_norm', 'gradient_angle_degrees'} <= probes, probes
last = max(int(r['step']) for r in rows)
at = {(r['layer'], r['probe']): float(r['value']) for r in rows if int(r['step']) == last}
assert at['hidden1', 'correlation_after'] < at['hidden1', 'correlation_before']
assert at['output', 'gradient_angle_degrees'] < 1e-2, at['output', 'gradient_angle_degrees']
assert 0 < at['hidden1', 'gradient_angle_degrees'] < 180
assert [int(r['step']) for r in rows] == sorted(int(r['step']) for r in rows)
P
check "h5py reads the checkpoint with the layout of CHECKPOINT.md" $python - "$dir" <<'P'
import h5py, json, sys
f = h5py.File(sys.argv[1] + '/checkpoint.h5')
for name, units, inputs in (('hidden1', 64, 576), ('hidden2', 32, 64), ('output', 10, 32)):
    g = f['layers/' + name]
    assert g['weight'].shape == (units, inputs) and g['weight'].dtype == 'f4'
    assert g['bias'].shape == (units,) and g['feedback'].shape == (units, inputs)
    assert g['decorrelation/R'].shape == (inputs, inputs) and g['decorrelation/mean'].shape == (inputs,)
    assert g['optimizer/weight_m'].shape == (units, inputs)
for a in ('format_version', 'lateral_version', 'experiment', 'step', 'epoch'): assert a in f.attrs
assert f.attrs['epoch'] == 2 and f.attrs['step'] == 16
s = json.load(open(sys.argv[1] + '/summary.json'))
assert len({n['pid'] for n in s['nodes']}) == 6 and all(n['peak_rss_bytes'] > 0 for n in s['nodes'])
P
check "the digest is the documented SHA-256" $python - "$dir" <<'P'
import h5py, hashlib, json, sys
f = h5py.File(sys.argv[1] + '/checkpoint.h5')
order = ('weight bias feedback decorrelation/R decorrelation/mean optimizer/weight_m optimizer/weight_v '
         'optimizer/weight_steps optimizer/bias_m optimizer/bias_v optimizer/bias_steps').split()
h = hashlib.sha256()
for layer in ('hidden1', 'hidden2', 'output'):
    names = []; f['layers/' + layer].visititems(lambda n, o: names.append(n) if isinstance(o, h5py.Dataset) else None)
    assert sorted(names) == sorted(order), names
    for name in order:
        h.update(f'{layer}/{name}\n'.encode()); h.update(f['layers/' + layer][name][...].astype('<f4').tobytes())
assert h.hexdigest() == json.load(open(sys.argv[1] + '/summary.json'))['state_sha256']
P
accuracy=$(value "$dir" final.test_accuracy)
printed=$($lateral evaluate "$dir")
check "evaluate prints the final accuracy of the run: $printed" \
  $python -c "import sys; sys.exit('%.2f' % (100 * $accuracy) not in '''$printed''')"
first=$dir; fresh
$lateral run "$first/experiment.textproto" --quiet --out "$dir"
check "the effective configuration run again gives the same bits" \
  equal "$(value "$dir" state_sha256)" "$(value "$first" state_sha256)"

$python - "$work/init.h5" <<'P'
import h5py, numpy as np
f = h5py.File(__import__('sys').argv[1], 'w')
f['layers/hidden1/weight'] = np.zeros((64, 576))           # float64, the default of NumPy
f['layers/hidden1/bias'] = np.full(64, .25, 'f4')
P
fresh; $lateral run $small --init "$work/init.h5" --set learning.learning_rate=0 --out "$dir"
check "--init reads weights from NumPy; all other tensors have their seeded initial values" $python - "$dir" <<'P'
import h5py, numpy as np, sys
g = h5py.File(sys.argv[1] + '/checkpoint.h5')['layers']
assert not g['hidden1/weight'][...].any() and (g['hidden1/bias'][...] == .25).all()
w = g['hidden2/weight'][...]; assert 0 < abs(w).max() <= 64 ** -.5
P
check "check prints the number of parameters" sh -c "$lateral check sims/mnist.textproto | grep -q '784 -> 256 .* 200960'"
# A state that was edited elsewhere, evaluated as it is.
$python - "$first/checkpoint.h5" "$work/edited.h5" "$work/damaged.h5" <<'P'
import h5py, shutil, sys
def edit(f): f['layers/output/weight'][...] = 0; f['layers/output/bias'][...] = [1] + 9 * [0]
with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2], 'w') as g: f.copy('layers', g); edit(g)
shutil.copy(sys.argv[1], sys.argv[3])
with h5py.File(sys.argv[3], 'r+') as f: edit(f)
P
$lateral evaluate "$first" --init "$work/damaged.h5" 2>"$work/err"; rc=$?
check "evaluate --init of a checkpoint that was changed in place: exit 2 (is $rc)" test $rc = 2
check "evaluate --init of a checkpoint that was changed in place: says what to do" has_line "$work/err" "copy /layers into a new file"
edited=$($lateral evaluate "$first" --init "$work/edited.h5")
check "evaluate --init: a constant answer has chance accuracy: $edited" grep -q "accuracy 10.00 %" <<<"$edited"
fresh; $lateral run "$first/experiment.textproto" --init "$first/checkpoint.h5" --freeze --set learning.epochs=1 --quiet --out "$dir"; rc=$?
check "run --freeze: exit 0 (is $rc), the state stays as it is" equal "$(value "$dir" state_sha256)" "$(value "$first" state_sha256)"
check "run --freeze: the loss of that state" equal "$(value "$dir" final.test_loss)" "$(value "$first" final.test_loss)"

# The coordinator's log tells what happened; probes can be read while the run goes on.
for text in "nodes of quickstart" "all nodes are ready: 2000 training samples" "epoch 2 done" "snapshot of step 16" "ended"; do
  check "coordinator.log: $text" grep -q "$text" "$first/log/coordinator.log"
done
fresh; $lateral run $long --set recording.probe_interval=1 --set recording.checkpoint_interval=0 --set data.generated.train_samples=100000 --out "$dir" & pid=$!
check "probes.csv has rows before the first checkpoint" wait_for 20 sh -c "[ \$(grep -c . $dir/probes.csv) -gt 20 ]"
kill -INT $pid; wait $pid
finish
