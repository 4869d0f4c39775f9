# The commands rules, compare and plot.
. tests/system/support.sh

$lateral rules >"$work/rules"; rc=$?
check "rules: exit 0 (is $rc)" test $rc = 0
for rule in foldiak1990 oja1989 pehlevan2015 vogels2011 ahmad2022 dalm2024 ahmad2024 lipshutz2024 bell_sejnowski1997 \
  zylberberg2011 zca pca iterative_normalization decorrelated_batch_normalization prong gwnn \
  sign_symmetry weight_perturbation activity_perturbation iterative_perturbation backpropagation; do
  check "rules: $rule" grep -q "^  $rule\b" "$work/rules"
done
check "rules NAME: only that one" test "$($lateral rules dalm2024 | grep -c "source:")" = 1
$lateral rules nonsense 2>"$work/err"; rc=$?
check "rules nonsense: exit 2 (is $rc)" test $rc = 2
check "rules nonsense: one line" has_line "$work/err" "expected one of"

fresh; $lateral run $small --out "$dir"; a=$dir
fresh; $lateral run $small --set learning.learning_rate=2e-3 --set decorrelation.rule=dalm2024 \
  --set decorrelation.parameter.kappa=0.25 --out "$dir"; b=$dir
fresh; $lateral run $small --out "$dir"; again=$dir
$lateral compare "$a" "$b" >"$work/compare"
check "compare: the rate that differs" grep -Eq "learning.learning_rate +0.001 +0.002" "$work/compare"
check "compare: the parameter that only one has" grep -Eq "decorrelation.parameter.kappa +- +0.25" "$work/compare"
check "compare: no equal settings" bash -c "! grep -q learning.epochs '$work/compare'"
check "compare: states differ" grep -q "states differ" "$work/compare"
$lateral compare "$a" "$again" >"$work/compare"
check "compare: the same settings" grep -q "the same settings" "$work/compare"
check "compare: the same bits" grep -q "bit for bit" "$work/compare"
$lateral compare "$a" "$work/nowhere" 2>"$work/err"; rc=$?
check "compare with a missing run: exit 2 (is $rc)" test $rc = 2

$lateral plot "$a" "$b" --out "$work/pictures" >"$work/pictures.txt"; rc=$?
check "plot: exit 0 (is $rc)" test $rc = 0
for picture in learning_curves probes spectrum; do
  check "plot: $picture.svg is a picture" grep -q "</svg>" "$work/pictures/$picture.svg"
  check "plot: $picture.png is a picture" test "$(head -c 8 "$work/pictures/$picture.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a
done
check "plot: both runs are named" bash -c "grep -q '$(basename "$a")' '$work/pictures/learning_curves.svg' && grep -q '$(basename "$b")' '$work/pictures/learning_curves.svg'"
sed 's/,/;/g' -i "$again/metrics.csv"
many=(); for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do many+=("$a"); done
$lateral plot "${many[@]}" --out "$work/many" >/dev/null
named_inside() {  # FILE TITLE COUNT: the title occurs COUNT times within the picture
  awk '/<svg/ { inside = 1 } inside && /width=/ && !width { split($0, word, "\""); width = word[2] }
    /<g transform="translate\(/ { split($0, word, /[(,]/); x = word[2] }
    /<text>/ && index($0, name) && x < width { found++ }
    END { exit found != count }' name="$2" count="$3" "$1"
}
check "plot: the key has room for many runs" named_inside "$work/many/learning_curves.svg" "$(basename "$a")" 14
$lateral plot "$again" --out "$work/bad" 2>"$work/err"; rc=$?
check "plot of a damaged metrics.csv: exit 2 (is $rc)" test $rc = 2
check "plot of a damaged metrics.csv: one line" has_line "$work/err" "metrics.csv"
$lateral run --resume "$again" --set learning.epochs=3 --quiet 2>"$work/err"; rc=$?
check "a run with a damaged metrics.csv is not resumed: exit 2 (is $rc)" test $rc = 2
check "the damaged metrics.csv is unchanged" grep -q ";" "$again/metrics.csv"
mkdir "$work/empty"; $lateral plot "$work/empty" 2>"$work/err"; rc=$?
check "plot of an empty folder: exit 2 (is $rc)" test $rc = 2
check "plot of an empty folder: one line" has_line "$work/err" "neither a run"

# refuses NAME TEXT SETS...: exit 2, one line with TEXT
refuses() {
  local name=$1 text=$2; shift 2
  $lateral check sims/quickstart.textproto "$@" >/dev/null 2>"$work/err"; rc=$?
  check "$name: exit 2 (is $rc): $(head -c 150 "$work/err")" test $rc = 2
  check "$name: one line with '$text'" has_line "$work/err" "$text"
}
refuses "a parameter of another rule" "expected none" --set decorrelation.rule=ahmad2024 --set decorrelation.parameter.kappa=1
refuses "a parameter out of range" "from 0 to 1" --set decorrelation.rule=dalm2024 --set decorrelation.parameter.kappa=2
refuses "a mode that the rule does not have" "expected settled" --set decorrelation.rule=foldiak1990 --set decorrelation.mode=closed_form
refuses "a batch whitener without batch means" "demean: batch" --set decorrelation.rule=iterative_normalization --set decorrelation.demean=running
refuses "a batch whitener with delays" "overlapped" --set decorrelation.rule=iterative_normalization --set execution.schedule=asynchronous
refuses "rules without a mode in common" "a mode in common" --set decorrelation.rule=zca --set layer.hidden2.decorrelation=foldiak1990
refuses "a number that could be octal" "a whole number" --set learning.epochs=010
refuses "a step with an integrator that has none" "gauss_seidel" --set decorrelation.integrator=gauss_seidel --set decorrelation.step=1

# Targets that are not labels have no accuracy.
fresh
$lateral run sims/correlations_skew_descent/experiment.textproto --quiet --set learning.epochs=5 --out "$dir"
check "the accuracy of a regression is nan" test "$(sed -n 2p "$dir/metrics.csv" | cut -d, -f3,5)" = nan,nan
check "a regression can be evaluated" grep -q "accuracy -" <($lateral evaluate "$dir")
$lateral plot "$dir" >"$work/out"
check "a regression is plotted by its losses" grep -q learning_curves.png "$work/out"

# The table in FORMAT.md equals that of the program.
$lateral check sims/residual_dense.textproto --protocol --set learning.credit=feedback_alignment \
  --set learning.preconditioner=kfac --set learning.optimizer=sgd >"$work/protocol"
sed -n '/^<!-- protocol table -->/,/^<!-- end of the protocol table -->/p' proto/FORMAT.md | grep '^|' >"$work/documented"
check "FORMAT.md has the table that lateral check --protocol prints" diff "$work/protocol" "$work/documented"
# Every table is listed; misspelt words get a suggestion.
for name in leaky_relu cross_entropy adam chebyshev npz dense; do
  check "rules lists $name" grep -qw "$name" "$work/rules"
done
$lateral evalute "$a" 2>"$work/err"; rc=$?
check "a misspelt command: exit 2 (is $rc), a suggestion" has_line "$work/err" "did you mean 'evaluate'"
$lateral run $small --trasport tcp 2>"$work/err"; rc=$?
check "a misspelt flag: exit 2 (is $rc), a suggestion" has_line "$work/err" "did you mean '--transport'"

# Folders of runs: one column, and one curve, for runs that differ only in their seeds.
mkdir "$work/folder"
for seed in 1 2; do for rate in 1e-3 3e-3; do
  $lateral run $small --in-process --set learning.epochs=1 --set seed=$seed --set learning.learning_rate=$rate --out "$work/folder/$rate-$seed"
done; done
$lateral compare "$work/folder" >"$work/compare"; rc=$?
check "compare a folder: exit 0 (is $rc), two columns of two seeds" test "$(head -1 "$work/compare" | wc -w)" = 2
check "compare a folder: mean and extremes" grep -Eq "final train_loss .*\([0-9.]+ to [0-9.]+\)" "$work/compare"
check "compare a folder: differences" grep -q "difference to the first" "$work/compare"
$lateral plot "$work/folder" --only learning --format pdf --size 800x600 --out "$work/folder_figures" >"$work/files"; rc=$?
check "plot --only, PDF: exit 0 (is $rc), one figure" test "$(cat "$work/files")" = "$work/folder_figures/learning_curves.pdf"
$lateral plot "$work/folder" --only nothing --out "$work/folder_figures" 2>"$work/err"; rc=$?
check "plot --only of no figure: exit 2 (is $rc)" test $rc = 2
$lateral plot "$work/folder" --format gif --out "$work/folder_figures" 2>"$work/err"; rc=$?
check "plot in an unknown format: exit 2 (is $rc)" test $rc = 2
finish
