# Every mistake of a user causes one line, exit code 2, and no files.
. tests/system/support.sh
err=$work/err

# refuse SENTENCE WORDS ARGUMENTS...
refuse() {
  local sentence=$1 words=$2; shift 2; fresh
  timeout 60 $lateral run "$@" --out "$dir" >/dev/null 2>"$err"; local rc=$?
  check "$sentence: exit 2 (is $rc): $(head -c 200 "$err" | head -n 1)" test $rc = 2
  check "$sentence: one line with '$words'" has_line "$err" "$words"
  check "$sentence: no run directory is left" test ! -e "$dir"
}
refuse "no such file" "no such experiment file" /nonexistent.textproto
echo 'name: "x" nonsense: 3' >"$work/a.textproto"; refuse "unknown field" "a.textproto:1:.*nonsense" "$work/a.textproto"
refuse "misspelt --set" "no field 'learnig_rate'" $small --set learning.learnig_rate=1
refuse "word for a number" "expected a whole number" $small --set learning.epochs=many
refuse "unknown rule" "expected one of ahmad2022, ahmad2024" $small --set decorrelation.rule=magic
refuse "no data" "mnist" sims/mnist.textproto --quiet --data "$work/nowhere"
mkdir -p "$work/d/mnist"; head -c 100 /dev/urandom >"$work/d/mnist/train-images-idx3-ubyte"; cp "$work/d/mnist/train-images-idx3-ubyte" "$work/d/mnist/train-labels-idx1-ubyte"
refuse "damaged data" "train-images-idx3-ubyte: at byte 0" sims/mnist.textproto --quiet --data "$work/d"
echo garbage >"$work/c.h5"; refuse "checkpoint of another format" "expected an HDF5 file" $small --init "$work/c.h5"
refuse "no such checkpoint" "no such checkpoint" $small --init "$work/none.h5"
$python - "$work" <<'P'
import h5py, numpy as np, sys
for name, path, value in (('shape', 'layers/hidden1/weight', np.zeros((64, 575))), ('unknown', 'layers/hidden1/wieght', np.zeros(3)),
                          ('layer', 'layers/hidden7/weight', np.zeros(3)), ('nan', 'layers/hidden1/bias', np.full(64, np.nan))):
    h5py.File(f'{sys.argv[1]}/{name}.h5', 'w')[path] = value
P
refuse "misshapen tensor" "hidden1/weight has shape (64, 575), expected (64, 576)" $small --init "$work/shape.h5"
refuse "unknown tensor" "hidden1/wieght is not part" $small --init "$work/unknown.h5"
refuse "tensor of an unknown layer" "hidden7" $small --init "$work/layer.h5"
refuse "tensor with NaN" "not finite" $small --init "$work/nan.h5"
refuse "batch of one left over" "demean" $small --set data.generated.train_samples=2049 --set decorrelation.rule=ahmad2024
refuse "unknown option" "xyz" $small --xyz
refuse "unknown transport" "transport" $small --transport unknown

mkdir "$work/full"; touch "$work/full/x"
$lateral run $small --out "$work/full" 2>"$err"; rc=$?
check "non-empty --out: exit 2 (is $rc), one line" test $rc = 2
check "non-empty --out: untouched" test "$(ls "$work/full")" = x
$lateral run $small --resume "$work/nowhere" 2>"$err"; rc=$?
check "--resume of a folder that does not exist: exit 2 (is $rc), one line" has_line "$err" "not the folder of a run, expected"
fresh; $lateral run $small --out "$dir"
$lateral run $small --set seed=5 --resume "$dir" 2>"$err"; rc=$?
check "--resume with other settings: exit 2 (is $rc), one line: $(cat "$err")" has_line "$err" "seed: 5"
for arguments in "" "unknown" "run" "evaluate" "evaluate $work/nowhere" "check" "check /nonexistent" "node" "run --set"; do
  $lateral $arguments >/dev/null 2>"$err"; rc=$?
  check "lateral $arguments: exit 2 (is $rc), one line: $(cat "$err")" sh -c "[ $rc = 2 ] && [ \$(grep -c . $err) = 1 ]"
done

$python - "$dir/checkpoint.h5" <<'PY'
import h5py, hashlib, numpy as np, sys
with h5py.File(sys.argv[1], 'a') as f:
    def digest_of():  # as in nodes/results/CHECKPOINT.md
        digest = hashlib.sha256()
        for name in ('format_version', 'lateral_version', 'experiment', 'step', 'epoch', 'wall_seconds', 'first_loss',
                     'epoch_loss_sum', 'epoch_correct', 'epoch_samples', 'tensors', 'state_sha256'):
            value = np.asarray(f.attrs[name]).tobytes()
            digest.update(f'{name} {len(value)}\n'.encode() + value)
        return digest.hexdigest()
    assert digest_of() == f.attrs['digest'].decode()
    f.attrs.modify('step', np.uint64(5000))
    f.attrs['digest'] = np.bytes_(digest_of())
PY
$lateral run --resume "$dir" --quiet 2>"$err"; rc=$?
check "a step that does not match its epoch: exit 2 (is $rc): $(cat "$err")" has_line "$err" "step 5000 does not fit 2 epochs"
fresh; $lateral run $long --out "$dir" 2>/dev/null & pid=$!
wait_for 20 test -s "$dir/checkpoint.h5"
$lateral run --resume "$dir" --quiet 2>"$err"; rc=$?
check "two runs in one folder: exit 2 (is $rc): $(cat "$err")" has_line "$err" "another run is writing"
kill -INT $pid; wait $pid

fresh; $lateral run $small --out "$dir"
$lateral run --resume "$dir" --quiet --set learning.epochs=1 2>"$err"; rc=$?
check "--resume with fewer epochs than are done: exit 2 (is $rc): $(cat "$err")" has_line "$err" "has begun epoch 2 already"
fresh; $lateral run --set learning.epochs=1 $small --out "$dir" 2>"$err"; rc=$?
check "--set before the experiment takes one value: exit 0 (is $rc)" test $rc = 0
$lateral node --name a --coordinator tcp:localhost:1 --digest "$(printf %064d 0)" --secret <(printf %064d 0) --listen "unix:$work/s" 2>"$err"; rc=$?
check "an invalid address: exit 2 (is $rc): $(cat "$err")" has_line "$err" "expected unix:PATH or tcp:NUMERIC_HOST:PORT"
$lateral node --name a --coordinator "unix:$work/none" --digest "$(printf %064d 0)" --secret <(printf %064d 0) --listen "unix:$work/s" 2>"$err"; rc=$?
check "no coordinator: exit 3 (is $rc): $(cat "$err")" has_line "$err" "cannot reach coordinator at unix:"
check "a network larger than this machine is checked within seconds" timeout 5 sh -c "$lateral check sims/quickstart.textproto \
  --set layer.hidden1.units=65536 --set layer.hidden2.units=65536 --set decorrelation.rule=ahmad2024 | grep -q 'hidden2 .* 65536 -> 65536'"

# Divergence is a failure of its own, with its own exit code.
fresh; $lateral run $small --set learning.optimizer=sgd --set learning.learning_rate=1e5 --set layer.hidden1.activation=identity \
  --set learning.loss=squared_error --out "$dir" 2>"$err"; rc=$?
check "divergence: exit 4 (is $rc), one line: $(cat "$err")" sh -c "[ $rc = 4 ] && [ \$(grep -c . $err) = 1 ]"
wild="$small --set learning.optimizer=sgd --set learning.learning_rate=10 --set layer.hidden1.activation=identity --set learning.loss=squared_error"
fresh; $lateral run $wild --out "$dir" 2>"$err"; rc=$?
check "divergence: exit 4 (is $rc), layer, quantity and step: $(cat "$err")" \
  sh -c "[ $rc = 4 ] && grep -q '\(hidden[12]\|output\): .* at step [0-9]* is not finite' $err"
refuse "unknown policy" "expected one of stop, skip, shorten" $small --set learning.diverging=ignore
fresh; $lateral run $wild --set learning.diverging=shorten --set learning.change_max=0.1 --out "$dir" 2>"$err"; rc=$?
check "shortened: exit 0 (is $rc): $(cat "$err")" test $rc = 0
check "shortened: probes.csv has a row" grep -q ',hidden1,shortened_step,1$' "$dir/probes.csv"
fresh; $lateral run $small --set decorrelation.rule=ahmad2024 --set decorrelation.mode=settled --set decorrelation.max_steps=1 \
  --set decorrelation.step=0.5 --out "$dir" 2>"$err"; rc=$?
check "unsettled: exit 4 (is $rc), one line: $(cat "$err")" sh -c "[ $rc = 4 ] && grep -q 'hidden1: activity at step 1 has not settled' $err"
# Files are limited to 200 kB: the error of the system is that of a full disk.
$python -c 'import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))
os.execv(sys.argv[1], sys.argv[1:])' $lateral run sims/quickstart.textproto --quiet --out "$work/limited" 2>"$work/err"; rc=$?
check "full disk: exit 2 (is $rc)" test $rc = 2
check "full disk: one line of error: $(head -c 200 "$work/err")" has_line "$work/err" "is the disk full"
check "full disk: no incomplete checkpoint" test ! -e "$work/limited/checkpoint.h5.tmp"
finish
