# Remaining correlation and activity norm against updates, a column for each initial scale, a line for each rule.
# Variables: folder (of the sweep), rules (words), scales (words); Okabe and Ito's colours, used twice.
set terminal pngcairo size 1300,760 font "sans,11"
if (kind eq "svg") { set terminal svg size 1300,760 font "sans,11" background "white" }
set output folder."/figure.".kind
array colours[13] = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", \
                     "#7f7f7f", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"]
n = words(rules)
member(r, k) = sprintf("%s/members/%05d/probes.csv", folder, (r - 1) * words(scales) + k - 1)
pick(r, k, probe) = sprintf("< awk -F, '$4 == \"%s\" {print $1, $5}' %s", probe, member(r, k))
set grid lc rgb "#dddddd"
set logscale y
set format y "10^{%L}"
set xlabel "updates"
set multiplot layout 2,3 margins 0.07,0.83,0.08,0.94 spacing 0.05,0.13
do for [row = 1:2] {
  do for [k = 1:words(scales)] {
    set title sprintf("start at %s I", word(scales, k))
    unset ylabel
    probe = row == 1 ? "correlation_after" : "activity_norm"
    if (k == 1 && row == 1) { set ylabel "mean squared correlation" }
    if (k == 1 && row == 2) { set ylabel "activity, norm of x over that of z - mean" }
    if (row == 1) { set yrange [1e-3:1] } else { set yrange [0.03:10] }
    if (row == 1 && k == 3) { set key at screen 0.845,0.94 left top Left reverse noenhanced } else { unset key }
    plot for [r = 1:8] pick(r, k, probe) using 1:2 with lines lw (r == 1 ? 4 : 1.8) \
           lc rgb colours[r] title word(rules, r), \
         for [r = 9:n] pick(r, k, probe) using 1:2 with lines lw 1.8 dt 2 \
           lc rgb colours[r] title word(rules, r)
  }
}
unset multiplot
