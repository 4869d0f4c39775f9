# recording.h5: its values, that it does not change results, that it is intact after stops, and its pictures.
. tests/system/support.sh

err=$work/err
base="$small --set data.generated.train_samples=640 --set data.generated.test_samples=100 --set learning.batch_size=64 \
  --set decorrelation.rule=ahmad2024 --set decorrelation.learning_rate=1e-3 --set learning.credit=feedback_alignment"
record() { # NAME WHAT [FIELD=VALUE...]: the --set options of a record
  local name=$1 what=$2; shift 2
  echo "--set recording.record.$name.what=$what"
  for field in "$@"; do echo "--set recording.record.$name.$field"; done
}
records="$(record z input interval=4 samples=0) $(record x decorrelated interval=4 samples=0) \
  $(record y activity interval=4 samples=0 layer=hidden2 units=0-3,20) $(record w weight interval=4 layer=hidden2) \
  $(record l lateral interval=4 layer=hidden2) $(record c correlation interval=4 layer=hidden2 units=0-9,30)"
settling="--set decorrelation.mode=settled $(record s settling interval=4 samples=3 settling_steps=60)"
sha() { value "$1" state_sha256; }
# same_recording A B: the same data sets with the same values.
same_recording() {
  $python - "$1/recording.h5" "$2/recording.h5" <<'PY'
import h5py, numpy as np, sys
a, b = (h5py.File(p) for p in sys.argv[1:])
sets = lambda f: {n: o for n, o in ((n, f[n]) for n in visit(f)) if isinstance(o, h5py.Dataset)}
def visit(f):
    names = []; f.visit(names.append); return names
a, b = sets(a), sets(b)
assert a.keys() == b.keys() and len(a) > 9
for n in a: assert a[n].shape == b[n].shape and np.array_equal(a[n][()], b[n][()], equal_nan=a[n].dtype.kind == 'f'), n
PY
}

fresh; $lateral run $base --out "$dir"; plain=$dir
fresh; $lateral run $base $records --out "$dir"; closed=$dir
check "closed form: the same bits with and without recording" equal "$(sha "$plain")" "$(sha "$closed")"
fresh; $lateral run $base --set decorrelation.mode=settled --out "$dir"; plain=$dir
fresh; $lateral run $base $records $settling --out "$dir"; settled=$dir
check "settled: the same bits with and without recording" equal "$(sha "$plain")" "$(sha "$settled")"
fresh; $lateral run $base $records $settling --in-process --out "$dir"
check "recordings are the same in one process" same_recording "$settled" "$dir"
online="$small --set data.generated.train_samples=60 --set data.generated.test_samples=20 --set learning.batch_size=1 \
  --set decorrelation.rule=ahmad2024 --set decorrelation.demean=running --set learning.credit=feedback_alignment \
  --set decorrelation.learning_rate=1e-5 --set learning.learning_rate=1e-5"
fresh; $lateral run $online --out "$dir"; plain=$dir
fresh; $lateral run $online $(record l lateral interval=1 units=0-3) $(record w weight interval=3) --out "$dir"
check "one sample a step: the same bits with and without recording" equal "$(sha "$plain")" "$(sha "$dir")"
ahead="$base --set decorrelation.demean=running --set execution.schedule=asynchronous --set execution.micro_batches=2"
fresh; $lateral run $ahead --set decorrelation.mode=settled --out "$dir"; plain=$dir
fresh; $lateral run $ahead $records $settling --out "$dir"; asynchronous=$dir
check "asynchronous, with micro-batches: the same bits with and without recording" equal "$(sha "$plain")" "$(sha "$dir")"

cat >"$work/values.py" <<'PY'
import h5py, numpy as np, sys
f = h5py.File(sys.argv[1] + '/recording.h5'); mode = sys.argv[2]
last = h5py.File(sys.argv[1] + '/checkpoint.h5')['layers/hidden2']
assert f.attrs['seed'] == 0 and b'record' in f.attrs['experiment'] and f.attrs['lateral_version']
assert f['w'].attrs['what'] == b'weight' and f['w'].attrs['interval'] == 4
get = lambda n: f[n + '/hidden2/values'][()]
for n in f:
    for layer in f[n].values(): assert list(layer['step']) == [1, 5, 9, 13, 17], n
z, x, y, w, l, c = (get(n) for n in 'zxywlc')
assert set(f['z']) == {'hidden1', 'hidden2', 'output'} and set(f['y']) == {'hidden2'}
assert z.shape == x.shape == (5, 64, 64) and y.shape == (5, 64, 5) and w.shape == (5, 32, 64)
assert l.shape == (5, 64, 64) and c.shape == (5, 2, 11, 11)
assert list(f['y/hidden2/units']) == [0, 1, 2, 3, 20]

for r in range(5):
    # The running mean of the asynchronous run is not recorded: x and z differ by one vector.
    zc = z[r] - z[r].mean(0)
    xc = x[r] - x[r].mean(0)
    if mode == 'closed':
        assert np.abs(zc @ l[r].T - xc).max() < 1e-4 * np.abs(xc).max(), 'x = R (z - mean)'
    else:
        assert np.linalg.norm(xc @ l[r].T - zc) < 3e-4 * np.linalg.norm(z[r] - z[r].mean(0)), 'M x = z - mean'
    # y = f(W x + b): leaky ReLU inverted, the bias is the same for every sample.
    a = np.where(y[r] < 0, y[r] / 0.01, y[r]); b = a - x[r] @ w[r][[0, 1, 2, 3, 20]].T
    assert np.abs(b - b.mean(0)).max() < 2e-3 * np.abs(a).max(), 'y = f(W x + b)'
    u = list(range(10)) + [30]
    with np.errstate(invalid='ignore'):
        for k, v in ((0, z), (1, x)):
            assert np.allclose(c[r, k], np.corrcoef(v[r][:, u].T), atol=1e-4, equal_nan=True), 'correlation'
assert np.abs(w[0]).max() <= 1 / 8 and not np.array_equal(w[0], w[1])
if mode == 'closed': assert np.array_equal(l[0], np.eye(64))
if 's' in f:
    s = get('s'); assert s.shape == (5, 60, 3, 64)
    if mode == 'settled': assert not s[:, 0].any(), 'settling starts at 0'
    assert np.array_equal(s[:, -1], x[:, :3]), 'settling ends at x'
    assert (np.abs(np.diff(s[1], axis=0)).max((1, 2)) > 0).sum() >= 3, 'it takes steps'
    mean = z.mean(1) if mode == 'settled' else None
    if mean is not None:
        drive = (z - mean[:, None])[:, :3]
        residual = [np.linalg.norm(s[r, -1] @ l[r].T - drive[r], axis=1) / np.linalg.norm(drive[r], axis=1) for r in range(5)]
        assert np.max(residual) < 2e-4, residual
        first = [np.linalg.norm(s[r, 1] @ l[r].T - drive[r], axis=1) / np.linalg.norm(drive[r], axis=1) for r in range(1, 5)]
        assert np.min(first) > np.max(residual), 'the trajectory approaches'
PY
check "closed form: recorded values satisfy the layer's equations" $python "$work/values.py" "$closed" closed
check "settled: recorded values satisfy the layer's equations" $python "$work/values.py" "$settled" settled
check "asynchronous: recorded values satisfy the layer's equations" $python "$work/values.py" "$asynchronous" asynchronous
warm="$base --set decorrelation.mode=settled --set decorrelation.warm_start=true $(record s settling interval=1 samples=2 layer=hidden1)"
fresh; $lateral run $warm --out "$dir"
check "warm start: settling starts where the step before ended" $python - "$dir" <<'PY'
import h5py, sys, numpy as np
s = h5py.File(sys.argv[1] + '/recording.h5')['s/hidden1/values']
assert np.array_equal(s[1:, 0], s[:-1, -1]) and s[1, 0].any()
PY
fresh; $lateral run $base --set data.generated.train_samples=100 $(record y activity interval=1 samples=50) --out "$dir"
check "samples that a smaller batch lacks are NaN" $python - "$dir" <<'PY'
import h5py, sys, numpy as np
y = h5py.File(sys.argv[1] + '/recording.h5')['y/output/values'][()]  # batches of 64 and 36
assert y.shape == (4, 50, 10) and not np.isnan(y[::2]).any() and not np.isnan(y[1::2, :36]).any() and np.isnan(y[1::2, 36:]).all()
PY

# Interrupted runs. 10 steps an epoch.
many="--set decorrelation.mode=settled --set learning.epochs=60 $(record z input interval=3 layer=output) \
  $(record w weight interval=40) $(record s settling interval=3 layer=hidden2 settling_steps=20) \
  $(record c correlation interval=7 layer=output) $(record l lateral interval=500)"
lines() { [ "$(wc -l <"$dir/metrics.csv")" -gt 3 ]; }
fresh; $lateral run $base $many --out "$dir"; whole=$dir
fresh; $lateral run $base $many --out "$dir" & pid=$!
wait_for 60 test -s "$dir/metrics.csv"; wait_for 60 lines
kill -INT $pid; wait $pid; rc=$?
check "Ctrl-C: 130 (is $rc)" test $rc = 130
check "Ctrl-C: the recording can be read" $python -c 'import h5py, sys; assert len(h5py.File(sys.argv[1])["w/hidden2/step"])' "$dir/recording.h5"
$lateral run --resume "$dir" --quiet
check "Ctrl-C, resumed: the recording of the undisturbed run" same_recording "$whole" "$dir"
fresh; $lateral run $base $many --out "$dir" & pid=$!
wait_for 60 test -s "$dir/metrics.csv"; wait_for 60 lines
kill -KILL $pid; wait $pid 2>/dev/null
check "killed: the recording can be read" $python -c 'import h5py, sys; assert len(h5py.File(sys.argv[1])["w/hidden2/step"])' "$dir/recording.h5"
$lateral run --resume "$dir" --quiet
check "killed, resumed: the recording of the undisturbed run" same_recording "$whole" "$dir"
echo damaged >"$dir/recording.h5"
$lateral run --resume "$dir" --set learning.epochs=61 --quiet 2>"$err"; rc=$?
check "a damaged recording is not continued: exit 2 (is $rc)" test $rc = 2
check "a damaged recording: one line" has_line "$err" "recording.h5: not a recording"

# Errors before the run starts. refuses NAME TEXT SETS...
refuses() {
  local name=$1 text=$2; shift 2
  $lateral check $(echo $base | sed 's/--quiet//') "$@" >/dev/null 2>"$err"; rc=$?
  check "$name: exit 2 (is $rc): $(head -c 300 "$err")" test $rc = 2
  check "$name: one line with '$text'" has_line "$err" "$text"
}
refuses "units out of range" "expected ascending numbers from 0 to 63" $(record a decorrelated layer=hidden2 units=0-64)
refuses "units that do not ascend" "expected ascending" $(record a weight layer=hidden2 units=4,3)
refuses "settling in closed form" "decorrelation.mode: settled" $(record a settling)
refuses "a layer that does not exist" "expected one of hidden1" $(record a weight layer=hidden9)
refuses "a record without what" "has no \`what\`" --set recording.record.a.interval=3
refuses "a record of an unknown quantity" "one of input, decorrelated" --set recording.record.a.what=everything
refuses "R without a decorrelation rule" "a decorrelation.rule" --set decorrelation.rule=none $(record a lateral)
refuses "more than the limit" "recording.size_limit_mb, 1.0 MB" $records --set recording.size_limit_mb=1
fresh; $lateral run $base $records --set recording.size_limit_mb=1 --out "$dir" 2>"$err"; rc=$?
check "a run over the limit: exit 2 (is $rc) and nothing left" test $rc = 2 -a ! -e "$dir"
size_fits() { # DIR OPTIONS: the size of the file is within the prediction, and not less than a third of it
  local predicted actual
  predicted=$($lateral check $(echo $base | sed 's/--quiet//') $2 | sed -n 's/.*recording.h5 takes at most \([0-9.]*\) MB.*/\1/p')
  actual=$(stat -c %s "$1/recording.h5")
  echo "      $actual bytes, predicted $predicted MB"
  $python -c 'import sys; p, a = float(sys.argv[1]) * 1e6 + 1e5, float(sys.argv[2]); sys.exit(not p / 3 < a <= p)' "$predicted" "$actual"
}
check "the predicted size is an upper bound of the file" size_fits "$whole" "$many"
# Files are limited to 8 MB: the error of the system is that of a full disk.
fresh; (trap '' XFSZ; ulimit -f 8000; exec $lateral run $base $(record l lateral interval=1) --out "$dir") 2>"$err"; rc=$?
check "full disk: exit 2 (is $rc)" test $rc = 2
check "full disk: one line of error: $(head -c 200 "$err")" has_line "$err" "recording.h5: cannot be written (is the disk full?)"

$lateral plot "$settled" --out "$work/pictures" >"$work/pictures.txt"; rc=$?
check "plot: exit 0 (is $rc)" test $rc = 0
for picture in correlation_c settling_s; do
  check "plot: $picture.svg is a picture" grep -q "</svg>" "$work/pictures/$picture.svg"
  check "plot: $picture.png is a picture" test "$(head -c 8 "$work/pictures/$picture.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a
done
check "plot: before and after" bash -c "grep -q 'before decorrelation, step 1<' '$work/pictures/correlation_c.svg' && grep -q 'after decorrelation, step 17<' '$work/pictures/correlation_c.svg'"
finish
