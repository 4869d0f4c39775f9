# A sweep: every member has a result, and the table does not depend on interruptions.
. tests/system/support.sh

cat >"$work/sweep.textproto" <<END
name: "sweep"
experiment: "$PWD/sims/quickstart.textproto"
set: "learning.epochs=6"
set: "data.generated.train_samples=2000"
set: "data.generated.test_samples=500"
validation_samples: 500
seeds: 2
arm { name: "bp" }
arm { name: "fa" set: "learning.credit=feedback_alignment" }
arm {
  name: "fa decorrelated"
  set: "learning.credit=feedback_alignment"
  set: "decorrelation.rule=ahmad2024"
  axis { path: "decorrelation.learning_rate" value: "1e-3" value: "1e-4" }
}
axis { path: "learning.learning_rate" value: "1e-3" value: "1e-2" value: "100" }
END
$lateral sweep "$work/sweep.textproto" --out "$work/whole" --quiet; rc=$?
check "24 members, some of which diverge: exit 0 (is $rc)" test $rc = 0
check "one row for each member" test "$(grep -c "^[0-9]" "$work/whole/sweep.csv")" = 24
check "diverged members are results" test "$(grep -c ",diverged," "$work/whole/sweep.csv")" -ge 2
check "other members are done" test "$(grep -c ",done," "$work/whole/sweep.csv")" -ge 16
check "the best setting is named" grep -q "^best: " "$work/whole/table.txt"
check "the best setting of each arm is named" test "$(grep -c "^best of " "$work/whole/table.txt")" = 3

$lateral sweep "$work/sweep.textproto" --out "$work/killed" --quiet & pid=$!
some_done() { [ "$(ls "$work/killed/members" 2>/dev/null | grep -c result)" -ge 3 ]; }
wait_for 20 some_done
check "a second sweep cannot use the folder at the same time" \
  bash -c "! $lateral sweep --resume '$work/killed' --quiet 2>/dev/null"
kill -KILL $pid; wait $pid 2>/dev/null
left=$((24 - $(ls "$work/killed/members" | grep -c result)))
check "killed with $left members left" test $left -ge 5
$lateral sweep --resume "$work/killed" --quiet & pid=$!
sleep 0.5; kill -INT $pid; wait $pid; rc=$?
check "Ctrl-C: exit 130 (is $rc)" test $rc = 130
$lateral sweep --resume "$work/killed" --quiet; rc=$?
check "resumed to its end: exit 0 (is $rc)" test $rc = 0
check "the same table, bit for bit" cmp -s "$work/whole/table.txt" "$work/killed/table.txt"
check "the same CSV, bit for bit" cmp -s "$work/whole/sweep.csv" "$work/killed/sweep.csv"

# Random search: a pure function of the file.
sed -e 's/^axis.*/axis { path: "learning.learning_rate" from: 1e-4 to: 1e-2 }/' -e 's/^seeds.*/random: 2/' \
  -e '/^  axis/d' "$work/sweep.textproto" >"$work/random.textproto"
for name in r1 r2; do $lateral sweep "$work/random.textproto" --out "$work/$name" --quiet; done
check "a random search draws the same settings again" cmp -s "$work/r1/sweep.csv" "$work/r2/sweep.csv"
check "a random search draws the set number for each arm" test "$(grep -c ",done," "$work/r1/sweep.csv")" = 6

$lateral sweep "$work/sweep.textproto" --out "$work/nodata" --data /nowhere --quiet 2>/dev/null; rc=$?
check "generated data need no folder: exit 0 (is $rc)" test $rc = 0
sed "s/^seeds.*/set: \"data.format=mnist\"/" "$work/sweep.textproto" >"$work/mnist.textproto"
$lateral sweep "$work/mnist.textproto" --out "$work/nodata2" --data /nowhere --quiet 2>"$work/err"; rc=$?
check "no data: the sweep ends with exit 2 (is $rc)" test $rc = 2
check "no data: one line of error" has_line "$work/err" "not found"

# refuses NAME TEXT SED: one line with TEXT, exit 2, nothing left behind
refuses() {
  sed "$3" "$work/sweep.textproto" >"$work/bad.textproto"
  $lateral sweep "$work/bad.textproto" --out "$work/bad" >/dev/null 2>"$work/err"; rc=$?
  check "$1: exit 2 (is $rc): $(head -c 150 "$work/err")" test $rc = 2
  check "$1: one line with '$2'" has_line "$work/err" "$2"
  check "$1: no folder" test ! -e "$work/bad"
}
refuses "unknown field" "no field 'rate'" 's/learning.learning_rate/learning.rate/'
refuses "value out of range" "expected a value" 's/"100"/"-1"/'
refuses "no validation" "validation_samples" '/^validation/d'
refuses "two arms of one name" "two arms" 's/"fa"/"bp"/'
refuses "a range in a grid" "random: N" 's/value: "1e-3" value: "1e-2" value: "100"/from: 1e-3 to: 1/'
refuses "an axis over seeds" "expected seeds: N" 's/^axis.*/axis { path: "seed" value: "1" }/'
refuses "a path twice" "given more than once" 's/"decorrelation.learning_rate"/"learning.learning_rate"/'
refuses "a value twice" "a value twice" 's/value: "1e-2"/value: "1e-3"/'
refuses "a name with a path in it" "letters, digits" 's/^name.*/name: "..\/out"/'
refuses "too many draws" "more than 100000" 's/^seeds.*/random: 1000000000/'
refuses "draws that exceed the memory limit" "would take" \
  "s/^seeds.*/random: 90000 axis { path: \"$(printf 'x%.0s' {1..2000})\" value: \"1\" }/"
sed -i 's/epochs=6/epochs=7/' "$work/r1/sweep.textproto"
$lateral sweep --resume "$work/r1" --quiet 2>"$work/err"; rc=$?
check "an edited sweep is not resumed: exit 2 (is $rc)" test $rc = 2
check "an edited sweep: one line of error" has_line "$work/err" "has changed since the sweep began"
refuses "a typo" "seedz" 's/^seeds/seedz/'
finish
