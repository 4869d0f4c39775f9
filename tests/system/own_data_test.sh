# Users' own data: the same samples in every format, classes and targets, parts, normalisation, buffers, other data.
. tests/system/support.sh

# A table of 20 features in three classes, and one of two targets, in every format that NumPy, h5py and spreadsheets write.
mkdir "$work/data"
$python - "$work/data" <<'PY'
import sys, numpy as np, h5py
folder = sys.argv[1] + "/"
rng = np.random.default_rng(1)
n, features = 3000, 20
y = rng.integers(0, 3, n)
x = (rng.normal(size=(n, features)) + np.eye(3)[y] @ rng.normal(size=(3, features))).astype("f4")
words = np.array(["setosa", "versi, color", "virginica"])[y]
t = (x @ rng.normal(size=(features, 2)) + 0.1 * rng.normal(size=(n, 2))).astype("f4")
np.savez(folder + "a.npz", x=x, y=y, words=words, t=t)
np.savez_compressed(folder + "packed.npz", x=np.asfortranarray(x.astype(">f8")), y=y.astype("u1"), t=t)
np.save(folder + "x.npy", np.asfortranarray(x)); np.save(folder + "y.npy", y.astype(">i8")); np.save(folder + "t.npy", t)
with h5py.File(folder + "a.h5", "w") as f:
    f.create_dataset("x", data=x, chunks=(100, 7), compression="gzip", shuffle=True)
    f["y"] = y; f["words"] = [w.encode() for w in words]; f["t"] = t
number = lambda v: repr(float(v))
with open(folder + "a.csv", "w", newline="") as f:
    f.write("\ufeff" + ",".join(f"f{i}" for i in range(features)) + ",y\r\n")
    for row, label in zip(x, y): f.write(",".join(map(number, row)) + f",{label}\r\n")
with open(folder + "t.csv", "w") as f:
    f.write("t0," + ",".join(f'"f{i}"' for i in range(features)) + ",t1\n")
    for row, target in zip(x, t): f.write(",".join(map(number, [target[0], *row, target[1]])) + "\n")
bad = x.copy(); bad[7, 3] = np.nan
np.savez(folder + "missing.npz", x=bad, y=y)
np.savez(folder + "other.npz", x=x + 1, y=y)
table = ["a,b,c,y"] + [f"{u:.6f},{v:.6f},{w:.6f},{label}" for (u, v, w), label in zip(x[:, :3], y)]
open(folder + "abc.csv", "w").write("\n".join(table) + "\n")
order = [1, 0, 2, 3]  # the same samples with their columns in another order
open(folder + "bac.csv", "w").write("\n".join(",".join(row.split(",")[i] for i in order) for row in table) + "\n")
np.savez(folder + "last.npz", x=rng.integers(0, 256, (200, 8, 8, 3), dtype="u1"), y=np.arange(200) % 5)
with h5py.File(folder + "chunk.h5", "w") as f:  # one chunk, larger than the library's own cache
    f.create_dataset("x", data=np.tile(x, (20, 1)), chunks=(20 * n, features), compression="gzip"); f["y"] = np.tile(y, 20)
np.savez(folder + "images.npz", x=rng.integers(0, 256, (200, 3, 8, 8), dtype="u1"), y=np.arange(200) % 5)
PY

experiment() {  # FILE, text of data
  cat >"$work/data/$1" <<TEXT
name: "own"
data { $2 }
layer { name: "hidden1" units: 24 }
layer { name: "output" }
learning { epochs: 3 batch_size: 50 learning_rate: 0.01 }
decorrelation { rule: "ahmad2024" }
TEXT
}
run() { fresh; $lateral run "$@" --quiet --in-process --out "$dir" 2>"$work/err"; rc=$?; }

# Classes.
experiment npz.textproto 'format: "npz" train: "a.npz" normalize: feature'
experiment packed.textproto 'format: "npz" train: "packed.npz" normalize: feature'
experiment npy.textproto 'format: "npy" train: "x.npy" train_targets: "y.npy" normalize: feature'
experiment hdf5.textproto 'format: "hdf5" train: "a.h5" normalize: feature'
experiment csv.textproto 'format: "csv" train: "a.csv" normalize: feature'
run "$work/data/npz.textproto"; first=$dir
check "npz: exit 0 (is $rc)" test $rc = 0
check "npz: learns ($(value "$dir" final.test_accuracy))" at_least "$(value "$dir" final.test_accuracy)" 0.9
for format in packed npy hdf5 csv; do
  run "$work/data/$format.textproto"
  check "$format: the same network, bit for bit" equal "$(value "$first" state_sha256)" "$(value "$dir" state_sha256)"
  check "$format: the same data" equal "$(value "$first" data_sha256)" "$(value "$dir" data_sha256)"
done
fresh; $lateral run "$work/data/npz.textproto" --quiet --out "$dir"; processes=$dir
check "npz: the same bits in processes" equal "$(value "$first" state_sha256)" "$(value "$dir" state_sha256)"
check "the output has as many units as there are classes" grep -q "units: 3" "$first/experiment.textproto"
check "the activation of the output is identity" grep -q 'activation: "identity"' "$first/experiment.textproto"
check "data.json: classes and constants" $python -c '
import json, sys
data = json.load(open(sys.argv[1]))
assert data["classes"] == ["0", "1", "2"], data
assert len(data["normalization"]["mean"]) == 20
assert len(data["sha256"]) == 64' "$first/data.json"
run "$first/experiment.textproto"
check "the recorded configuration gives the same bits" equal "$(value "$first" state_sha256)" "$(value "$dir" state_sha256)"
run "$work/data/npz.textproto" --set data.target_name=words
check "labels of text: exit 0 (is $rc)" test $rc = 0
check "labels of text are recorded" grep -q '"versi, color"' "$dir/data.json"
run "$work/data/hdf5.textproto" --set data.target_name=words
check "labels of text in HDF5: the same data" grep -q '"versi, color"' "$dir/data.json"

# Evaluate and plot, from another folder.
program=$(realpath $lateral)
accuracy=$(cd / && "$program" evaluate "$processes" 2>"$work/err")
check "evaluate: $accuracy" test -n "$accuracy"
check "evaluate: no warning" test ! -s "$work/err"
check "plot" $lateral plot "$first" --out "$work/figures" >/dev/null
$lateral compare "$first" "$processes" >"$work/compare"
check "compare: the same bits" grep -q "bit for bit" "$work/compare"

# Targets of two numbers.
experiment t_npz.textproto 'format: "npz" train: "a.npz" target: values target_name: "t"'
experiment t_npy.textproto 'format: "npy" train: "x.npy" train_targets: "t.npy" target: values'
experiment t_hdf5.textproto 'format: "hdf5" train: "a.h5" target: values target_name: "t"'
experiment t_csv.textproto 'format: "csv" train: "t.csv" target: values target_name: "t0" target_name: "t1"'
run "$work/data/t_npz.textproto" --set learning.epochs=20; regression=$dir
check "regression: exit 0 (is $rc)" test $rc = 0
check "regression: loss is small ($(value "$dir" final.test_loss))" $python -c '
import sys; sys.exit(not float(sys.argv[1]) < 2)' "$(value "$dir" final.test_loss)"
for format in npy hdf5 csv; do
  run "$work/data/t_$format.textproto" --set learning.epochs=20
  check "regression, $format: the same network, bit for bit" equal "$(value "$regression" state_sha256)" "$(value "$dir" state_sha256)"
done

# Larger than the buffer: the same bits after a kill of the run, and in every format.
buffer="--set data.buffer_samples=320 --set recording.checkpoint_interval=7"
run "$work/data/npy.textproto" $buffer; buffered=$dir
run "$work/data/hdf5.textproto" $buffer
check "buffer: hdf5 as npy" equal "$(value "$buffered" state_sha256)" "$(value "$dir" state_sha256)"
check "buffer: another order than without" test "$(value "$buffered" state_sha256)" != "$(value "$first" state_sha256)"
run "$work/data/npy.textproto" $buffer --set learning.epochs=1
$lateral run --resume "$dir" --set learning.epochs=3 --quiet
check "buffer: resumed, the same bits" equal "$(value "$buffered" state_sha256)" "$(value "$dir" state_sha256)"

# Images as arrays: channels, cropping.
experiment images.textproto 'format: "npz" train: "images.npz" crop_size: 6 horizontal_flip: true'
run "$work/data/images.textproto"
check "images of bytes: exit 0 (is $rc)" test $rc = 0
check "images of bytes: normalised by channel" grep -q "normalize: channel" "$dir/experiment.textproto"

# Other data than those of the run.
run "$work/data/npz.textproto" --set learning.epochs=1; begun=$dir
cp "$work/data/a.npz" "$work/a.npz"; cp "$work/data/other.npz" "$work/data/a.npz"
$lateral run --resume "$begun" --set learning.epochs=2 --quiet 2>"$work/err"; rc=$?
check "resume with other data: exit 2 (is $rc)" test $rc = 2
check "resume with other data: one line" has_line "$work/err" "not those of the run"
$lateral evaluate "$begun" >"$work/out" 2>"$work/err"; rc=$?
check "evaluate on other data: exit 0 (is $rc)" test $rc = 0
check "evaluate on other data: says so" has_line "$work/err" "other data than the run's"
check "resume with other data: on request" $lateral run --resume "$begun" --set learning.epochs=2 --quiet --other-data
cp "$work/a.npz" "$work/data/a.npz"
mkdir "$work/elsewhere"; cp "$work/data/other.npz" "$work/elsewhere/a.npz"
$lateral evaluate "$first" --data "$work/elsewhere" >/dev/null 2>"$work/err"; rc=$?
check "evaluate --data: the file of that name there: exit 0 (is $rc), says so" test $rc = 0 -a -n "$(grep "other data than the run's" "$work/err")"
$lateral evaluate "$first" --data "$work/data" >/dev/null 2>"$work/err"
check "evaluate --data with the same data: says nothing" test ! -s "$work/err"

# Mistakes: one line and exit 2.
refused() {  # SENTENCE, expected text, arguments
  local sentence=$1 expected=$2; shift 2
  run "$@"
  check "$sentence: exit 2 (is $rc)" test $rc = 2
  check "$sentence: one line" has_line "$work/err" "$expected"
  check "$sentence: no run directory" test ! -e "$dir"
}
refused "no file named" "data.train is not set" "$work/data/npz.textproto" --set data.train=
refused "a missing file" "nowhere.npz" "$work/data/npz.textproto" --set data.train=nowhere.npz
refused "a missing array" "x, y" "$work/data/npz.textproto" --set data.input_name=z
refused "a missing column" "species" "$work/data/csv.textproto" --set data.target_name=species
refused "a missing value" "row 7" "$work/data/npz.textproto" --set data.train=missing.npz
refused "numbers as labels" "data.target: values" "$work/data/npz.textproto" --set data.target_name=t
refused "text as targets" "text" "$work/data/npz.textproto" --set data.target_name=words --set data.target=values
refused "a format without files" "expected one of csv" "$work/data/npz.textproto" --set data.format=mnist
experiment abc.textproto 'format: "csv" train: "abc.csv"'
refused "test samples with other columns" "the same columns in the same order" "$work/data/abc.textproto" --set data.test=bac.csv
refused "channels last" "x.transpose(0, 3, 1, 2)" "$work/data/npz.textproto" --set data.train=last.npz
refused "a setting that the format does not use" "data.buffer_samples has no effect" "$work/data/npz.textproto" --set data.buffer_samples=100
refused "a target file that is not used" "data.test_targets has no effect" "$work/data/npy.textproto" --set data.test_targets=y.npy
refused "two ways to choose the test samples" "data.test_fraction has no effect" "$work/data/npz.textproto" --set data.test=a.npz --set data.test_fraction=0.3
refused "constants that are no numbers" "expected numbers, separated by commas" "$work/data/npz.textproto" --set data.mean=x
run "$work/data/npz.textproto" --set data.normalize=constants --set data.mean=0.5 --set data.standard_deviation=2
check "constants on the command line: exit 0 (is $rc)" test $rc = 0
run "$work/data/abc.textproto" --set data.target=input --set learning.loss=squared_error
check "CSV as the input and the target: exit 0 (is $rc)" test $rc = 0
run "$first/experiment.textproto" --set data.train="$work/data/chunk.h5" --set data.format=hdf5 --set learning.epochs=1
check "a configuration of a run with other files: described anew: exit 0 (is $rc)" test $rc = 0
check "a configuration of a run with other files: their samples" grep -q "train_samples: 48000" "$dir/experiment.textproto"
mkdir "$work/data/one" "$work/data/two"; cp "$work/data/a.npz" "$work/data/one/d.npz"; cp "$work/data/other.npz" "$work/data/two/d.npz"
run "$work/data/npz.textproto" --set data.train=one/d.npz --set data.test=two/d.npz; both=$dir
refused "two files of one name with --data" "have the same name" "$both/experiment.textproto" --data "$work/data/one"
refused "labels as values of another width" "expected 2, the values of a target" "$work/data/t_npz.textproto" --set layer.output.units=3
finish
