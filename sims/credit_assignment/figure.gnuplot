# MNIST: test loss and accuracy against epochs, a column for each credit rule, mean and band from smallest to largest seed.
# Variables: folder (of the sweep), kind (png or svg); Okabe and Ito's colours.
set terminal pngcairo size 1300,760 font "sans,11"
if (kind eq "svg") { set terminal svg size 1300,760 font "sans,11" background "white" }
set output folder."/figure.".kind
seeds = 3  # of mnist.textproto, as the order of its arms
array rules[3] = ["backpropagation (BP)", "feedback alignment (FA)", "node perturbation (NP)"]
array variants[5] = ["plain", "demeaned only", "images whitened", "decorrelated, not demeaned", "decorrelated"]
array colours[5] = ["#000000", "#E69F00", "#009E73", "#56B4E9", "#D55E00"]
# The arm of a rule and a variant; NP has only the first and the last variant.
arm(r, v) = r < 3 ? 5 * (r - 1) + v - 1 : v == 1 ? 10 : 11
member(a, s) = sprintf("%s/members/%05d/metrics.csv ", folder, seeds * a + s)
# Epoch, and mean, smallest and largest over the seeds of a column of metrics.csv.
curve(r, v, column) = sprintf("< awk -F, 'FNR > 1 { v = $%d; s[$1] += v; n[$1]++; \
  if (n[$1] == 1 || v < low[$1]) low[$1] = v; if (n[$1] == 1 || v > high[$1]) high[$1] = v } \
  END { for (e = 1; e in n; e++) print e, s[e] / n[e], low[e], high[e] }' ", column) \
  .member(arm(r, v), 0).member(arm(r, v), 1).member(arm(r, v), 2)
set grid lc rgb "#dddddd"
set style fill transparent solid 0.18 noborder
set xlabel "epoch"
set xtics 1
set xrange [0.9:3.1]
set logscale y
set multiplot layout 2,3 margins 0.06,0.985,0.07,0.95 spacing 0.06,0.13
do for [row = 1:2] {
  column = row == 1 ? 4 : 5
  do for [r = 1:3] {
    set title rules[r]
    unset ylabel
    if (r == 1) { set ylabel (row == 1 ? "test loss" : "test error [%]") }
    if (r == 3 && row == 1) { set key at graph 0.04,0.46 left top Left reverse } else { unset key }
    if (row == 1) { set yrange [0.06:1.2]; set ytics (0.1, 0.2, 0.5, 1) }
    if (row == 2) { set yrange [1.8:40]; set ytics (2, 5, 10, 20, 40) }
    scale(y) = row == 1 ? y : 100 * (1 - y)
    step = r < 3 ? 1 : 4
    plot for [v = 1:5:step] curve(r, v, column) using 1:(scale($3)):(scale($4)) with filledcurves \
           fc rgb colours[v] notitle, \
         for [v = 1:5:step] curve(r, v, column) using 1:(scale($2)) with linespoints lw 2 pt 7 ps 0.8 \
           lc rgb colours[v] notitle, \
         for [v = 1:5] NaN with linespoints lw 2 pt 7 ps 0.8 lc rgb colours[v] title variants[v]
  }
}
unset multiplot
