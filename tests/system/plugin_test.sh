# Plug-ins: rules built outside of the tree against an installed lateral run in every node like built-in
# ones.
. tests/system/support.sh
build=$(cd "$(dirname "$lateral")" && pwd)

cmake --install "$build" --prefix "$work/prefix" >"$work/install" 2>&1; rc=$?
check "lateral installs: exit 0 (is $rc)" test $rc = 0
cp -r sims/plugin "$work/source"
{ cmake -S "$work/source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" &&
  cmake --build "$work/build"; } >"$work/built" 2>&1; rc=$?
check "the example builds outside of the tree: exit 0 (is $rc)" test $rc = 0
[ $rc = 0 ] || { cat "$work/built"; finish; }
lateral=$work/prefix/bin/lateral
version=$($lateral --version | sed 's/lateral \([0-9.]*\).*/\1/')
rule=$work/build/silva_almeida1991.so
credit=$work/build/sign_direct_feedback_alignment.so
kind=$work/build/random_projection.so
data=$work/build/spirals.so

$lateral rules silva_almeida1991 --plugin "$rule" >"$work/rules"; rc=$?
check "rules: exit 0 (is $rc)" test $rc = 0
for text in "source: Silva & Almeida 1991" "decorrelation.parameter.variance = 1" "x_j of the lateral inputs"; do
  check "rules: $text" grep -q "$text" "$work/rules"
done
check "rules: plug-ins are listed together with built-in rules" \
  test "$($lateral rules --plugin "$rule" --plugin "$credit" | grep -c "^  silva_\|^  ahmad2024\|^  sign_direct_feedback")" = 3
for plugin in "$rule" "$credit" "$kind"; do
  "$work/prefix/bin/lateral-rule-test" --plugin "$plugin" >"$work/contract"; rc=$?
  check "the contract of rules holds for $(basename "$plugin"): exit 0 (is $rc)" test $rc = 0
done
check "the contract has test cases" grep -Eq "test cases: +[1-9][0-9]? " "$work/contract"

# A rule that violates the contract, and an activation, in a folder of their own.
mkdir "$work/other"
cat >"$work/other/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(other LANGUAGES CXX)
find_package(lateral $version EXACT REQUIRED)
add_library(other MODULE other.cpp)
target_link_libraries(other PRIVATE lateral::lateral)
END
sed -e '/^LATERAL_PLUGIN/d' -e 's/begin_scaled_identity(n, params_, state);/& state.R *= 2;/' \
  sims/plugin/silva_almeida1991.cpp >"$work/other/other.cpp"
cat >>"$work/other/other.cpp" <<END
struct Square {
  using Scalar = lateral::Scalar;
  static Scalar value(Scalar a) { return a * a; }
  static Scalar slope(Scalar a) { return 2 * a; }
  static Scalar difference(Scalar a, Scalar d) { return d * (2 * a + d); }
};
static std::unique_ptr<lateral::Activation> square() {
  return std::make_unique<lateral::Elementwise<Square>>();
}
LATERAL_PLUGIN({"other", lateral::decorrelation::silva_almeida1991}, {"square", square})
END
{ cmake -S "$work/other" -B "$work/other/build" -DCMAKE_PREFIX_PATH="$work/prefix" &&
  cmake --build "$work/other/build"; } >"$work/built" 2>&1 || cat "$work/built"
other=$work/other/build/libother.so
"$work/prefix/bin/lateral-rule-test" --plugin "$other" >"$work/contract"; rc=$?
check "a rule with a wrong initial state violates the contract: exit 1 (is $rc)" test $rc = 1
check "the violation names the rule" grep -q "name := other" "$work/contract"
fresh; $lateral run $small --set learning.epochs=1 --plugin "$other" --set layer.hidden1.activation=square --out "$dir"; rc=$?
check "an activation from a plug-in: exit 0 (is $rc)" test $rc = 0

# A data format.
spirals="--plugin $data --set data.format=spirals --set layer.output.units=2 --set learning.epochs=40"
fresh; $lateral run $small $spirals --out "$dir"; rc=$?; digest=$(value "$dir" state_sha256)
check "a data format of one's own: exit 0 (is $rc)" test $rc = 0
check "its data are learned ($(value "$dir" final.test_accuracy))" at_least "$(value "$dir" final.test_accuracy)" 0.9
fresh; $lateral run $small $spirals --in-process --out "$dir"
check "in one process: the same bits" equal "$(value "$dir" state_sha256)" "$digest"

# A kind of layer.
check "rules: the kind of layer" grep -q "it learns nothing" <($lateral rules random_projection --plugin "$kind")
projected="--set learning.epochs=1 --set layer.hidden1.kind=random_projection --plugin $kind"
fresh; $lateral run $small $projected --out "$dir"; rc=$?; digest=$(value "$dir" state_sha256)
check "a kind of layer of one's own: exit 0 (is $rc)" test $rc = 0
fresh; $lateral run $small $projected --set layer.hidden2.input=source,hidden1 \
  --set execution.schedule=asynchronous --set learning.credit=direct_feedback_alignment --in-process --out "$dir"; rc=$?
check "on a graph, asynchronously: exit 0 (is $rc)" test $rc = 0
fresh; $lateral run $small $projected --in-process --out "$dir"
check "in one process: the same bits" equal "$(value "$dir" state_sha256)" "$digest"
$lateral check sims/quickstart.textproto $projected --set decorrelation.rule=ahmad2024 2>"$work/err"; rc=$?
check "what its kind refuses: exit 2 (is $rc)" test $rc = 2
check "and it says which layer, and why" has_line "$work/err" "layer 'hidden1' of kind random_projection: it does not decorrelate"
sed -i 's/at_input.noalias() = weight_/at_input.noalias() = 2 * weight_/' "$work/source/random_projection.cpp"
cmake --build "$work/build" >"$work/built" 2>&1 || cat "$work/built"
"$work/prefix/bin/lateral-rule-test" --plugin "$kind" >"$work/contract"; rc=$?
check "errors that are no gradient break the contract: exit 1 (is $rc)" test $rc = 1
sed -i 's/visit_vector(visit, "bias"/visit_vector(visit, "weight"/' "$work/source/random_projection.cpp"
cmake --build "$work/build" >"$work/built" 2>&1 || cat "$work/built"
fresh; $lateral run $small $projected --out "$dir" 2>"$work/err"; rc=$?
check "a layer with two tensors of one name: exit 1 (is $rc)" test $rc = 1
check "and it says which layer and tensor" grep -q "layer 'hidden1': .* 'weight' twice" "$work/err"

own="--plugin $rule --set decorrelation.rule=silva_almeida1991 --set decorrelation.learning_rate=1e-3 \
  --plugin $credit --set learning.credit=sign_direct_feedback_alignment"
fresh; whole=$dir
(cd "$work/build" && $lateral run "$OLDPWD"/$small ${own//$work\/build\//} --out "$whole"); rc=$?
check "a network of processes with rules from plug-ins: exit 0 (is $rc)" test $rc = 0
digest=$(value "$whole" state_sha256)
check "the run records the digests of the plug-ins" grep -q "sha256: \"$(sha256sum "$rule" | cut -c1-64)\"" "$whole/experiment.textproto"
check "the run records the paths of the plug-ins" grep -q "file: \"$rule\"" "$whole/experiment.textproto"
fresh; $lateral run $small --in-process $own --out "$dir"
check "in one process: the same bits" equal "$(value "$dir" state_sha256)" "$digest"
fresh; $lateral run "$whole/experiment.textproto" --quiet --out "$dir"
check "its experiment run again loads the plug-ins: the same bits" equal "$(value "$dir" state_sha256)" "$digest"
fresh; $lateral run $small $own --set decorrelation.rule=none --out "$dir"
check "the rule has an effect" test "$(value "$dir" state_sha256)" != "$digest"
fresh; part=$dir
$lateral run $small $own --set learning.epochs=1 --out "$part"
$lateral run --resume "$part" --quiet --set learning.epochs=2
check "resumed with the plug-ins: the same bits" equal "$(value "$part" state_sha256)" "$digest"
accuracy=$($lateral evaluate "$part" | sed 's/.*accuracy //')
check "evaluate loads the plug-ins: $accuracy" test "$accuracy" = "$($python -c "print('%.2f %%' % (100 * $(value "$part" final.test_accuracy)))")"

cat >"$work/sweep.textproto" <<END
name: "sweep"
experiment: "$PWD/sims/quickstart.textproto"
set: "learning.epochs=1"
set: "data.generated.train_samples=1000"
validation_samples: 500
axis { path: "decorrelation.rule" value: "none" value: "silva_almeida1991" }
END
$lateral sweep "$work/sweep.textproto" --plugin "$rule" --quiet --out "$work/sweep"; rc=$?
check "a sweep over a rule from a plug-in: exit 0 (is $rc)" test $rc = 0
check "every member is done" test "$(grep -c ",done," "$work/sweep/sweep.csv")" = 2

# refuses NAME TEXT ARGUMENTS...: exit 2, one line with TEXT
refuses() {
  local name=$1 text=$2; shift 2
  $lateral "$@" >/dev/null 2>"$work/err"; rc=$?
  check "$name: exit 2 (is $rc), one line: $(head -c 300 "$work/err")" sh -c "[ $rc = 2 ] && [ \$(grep -c . '$work/err') = 1 ]"
  check "$name: the message contains '$text'" grep -q -- "$text" "$work/err"
}
bad=$work/bad.so
refuses "no such file" "no such shared library" rules --plugin "$work/none.so"
refuses "a folder" "not a regular file" rules --plugin "$work"
echo text >"$bad"
refuses "a file that is not a library" "no shared library" rules --plugin "$bad"
echo "int nothing;" | gcc -shared -x c - -o "$bad"
refuses "a library that is not a plug-in" "LATERAL_PLUGIN" rules --plugin "$bad"
head -c 20000 "$rule" >"$bad"
refuses "a truncated plug-in" "plug-in $bad" rules --plugin "$bad"
other=${version//[0-9]/9}
sed "s/plug-in for: lateral $version/plug-in for: lateral $other/" "$rule" >"$bad"
refuses "another version" "was built for lateral $other .*; this is lateral $version .*build it again" rules --plugin "$bad"
sed "s/aligned to [0-9]/aligned to 9/" "$rule" >"$bad"
refuses "another alignment" "aligned to 9.*; this is .*aligned to" rules --plugin "$bad"
sed "s/add_outer_product/add_outer_produce/" "$rule" >"$bad"
refuses "a symbol that the program does not have" "undefined symbol" rules --plugin "$bad"
{ cat "$rule"; echo; } >"$bad"
refuses "a name that is taken" "silva_almeida1991, which is taken" rules --plugin "$rule" --plugin "$bad"
check "the same file twice is loaded once" $lateral rules silva_almeida1991 --plugin "$rule" --plugin "$rule" >"$work/rules"
refuses "a rule without its plug-in" "expected one of" check sims/quickstart.textproto --set decorrelation.rule=silva_almeida1991
refuses "a resumed sweep with other plug-ins" "expected no --plugin" sweep --resume "$work/sweep" --plugin "$rule"

mv "$rule" "$work/moved.so"
refuses "a plug-in that was removed" "plug-in $rule: no such shared library" run --resume "$part"
refuses "the same in evaluation" "plug-in $rule: no such shared library" evaluate "$part"
$lateral run --resume "$part" --quiet --plugin "$work/moved.so"; rc=$?
check "a plug-in that was moved, with its new path: exit 0 (is $rc)" test $rc = 0
check "a moved plug-in: the same bits" equal "$(value "$part" state_sha256)" "$digest"
{ cat "$work/moved.so"; echo; } >"$rule"
refuses "a plug-in that has changed" "its SHA-256 is .*, expected $(sha256sum "$work/moved.so" | cut -c1-64)" run --resume "$whole"
refuses "the same in evaluation" "its SHA-256 is" evaluate "$whole"
finish
