# Settling, stability and accuracy of local dynamics: six panels from settling.csv, unsettled.csv and stale.csv.
# Variables: folder (of those), kind (png or svg); Okabe and Ito's colours.
set terminal pngcairo size 1400,820 font "sans,11"
if (kind eq "svg") { set terminal svg size 1400,820 font "sans,11" background "white" }
set output folder."/figure.".kind
integrators = "euler exponential_euler runge_kutta4 chebyshev gauss_seidel"
layers = "hidden1 hidden2 output"
tolerances = "1e-1 1e-2 1e-3 1e-4"
array colours[5] = ["#000000", "#E69F00", "#CC79A7", "#0072B2", "#D55E00"]
# Columns of settling.csv: integrator, learning_rate, tolerance, layer, steps, residual, stability_margin, accuracy.
pick(columns, where) = sprintf("< awk -F, '%s {print %s}' %s/settling.csv", where, columns, folder)
steps(integrator) = pick("$2, $5", sprintf("$1 == \"%s\" && $3 == \"1e-4\" && $4 == \"hidden1\"", integrator))
steps_by_tolerance(integrator) = \
  pick("$3, $5", sprintf("$1 == \"%s\" && $2 == \"1e-3\" && $4 == \"hidden1\"", integrator))
margin(layer) = pick("$2, $7", sprintf("$1 == \"euler\" && $3 == \"1e-4\" && $4 == \"%s\"", layer))
accuracy(tolerance) = pick("$2, 100 * $8", sprintf("$1 == \"euler\" && $3 == \"%s\" && $4 == \"hidden1\"", tolerance))
# Mean, smallest and largest over the seeds.
band(file, arm) = sprintf("< awk -F, '$1 == \"%s\" {print $2, 100 * $3, 100 * $4, 100 * $5}' %s/%s.csv", arm, folder, file)
set grid lc rgb "#dddddd"
set key noenhanced
set style data linespoints
set style fill transparent solid 0.15 noborder
set pointsize 0.8
set multiplot layout 2,3 margins 0.055,0.985,0.075,0.95 spacing 0.075,0.14

set logscale xy
set xlabel "rate of decorrelation"
set format x "10^{%L}"
set xrange [7e-5:1.4e-2]
set title "Steps to settle, tolerance 10^{-4}"
set ylabel "steps, mean over samples, hidden1"
set yrange [3:300]
set key top left Left reverse
plot for [i = 1:5] steps(word(integrators, i)) lw 2 pt 7 lc rgb colours[i] title word(integrators, i), \
  steps("euler_warm_start") with lines lw 2 dt 2 lc rgb "#7f7f7f" title "euler, warm start"

set title "Stability margin of M"
set ylabel "{/Symbol l}_{min} / {/Symbol l}_{max}"
set yrange [0.01:1]
set key bottom left
plot for [l = 1:3] margin(word(layers, l)) lw 2 pt 7 lc rgb colours[2 + l] title word(layers, l)

unset logscale y
set title "Accuracy by tolerance, euler"
set ylabel "test accuracy [%]"
set yrange [20:80]
set key bottom right noreverse Right title "tolerance"
plot for [t = 1:4] accuracy(word(tolerances, t)) lw 2 pt 7 lc rgb colours[6 - t] title word(tolerances, t)

set title "Steps to settle, rate of decorrelation 10^{-3}"
set xlabel "tolerance, relative residual"
set xrange [2e-1:5e-5] reverse
set ylabel "steps, mean over samples, hidden1"
set yrange [0:22]
set key top left Left reverse title ""
plot for [i = 1:5] steps_by_tolerance(word(integrators, i)) lw 2 pt 7 lc rgb colours[i] title word(integrators, i), \
  steps_by_tolerance("euler_warm_start") with lines lw 2 dt 2 lc rgb "#7f7f7f" title "euler, warm start"

set title "Unsettled: limited number of steps"
set xlabel "maximum steps"
set format x "%g"
set xrange [0.9:60] noreverse
set xtics (1, 2, 3, 5, 10, 20, 50)
set ylabel "test accuracy [%]"
set yrange [0:80]
set key bottom right noreverse Right
plot band("unsettled", "euler") using 1:3:4 with filledcurves fc rgb colours[1] notitle, \
  band("unsettled", "chebyshev") using 1:3:4 with filledcurves fc rgb colours[4] notitle, \
  band("unsettled", "gauss_seidel") using 1:3:4 with filledcurves fc rgb colours[5] notitle, \
  band("unsettled", "euler") lw 2 pt 7 lc rgb colours[1] title "euler", \
  band("unsettled", "chebyshev") lw 2 pt 7 lc rgb colours[4] title "chebyshev", \
  band("unsettled", "gauss_seidel") lw 2 pt 7 lc rgb colours[5] title "gauss_seidel"

unset logscale x
set title "Stale errors: asynchronous schedule"
set xlabel "staleness [batches]"
set xrange [-0.5:20.5]
set xtics autofreq
set key at graph 0.97, 0.65
plot band("stale", "decorrelated") using 1:3:4 with filledcurves fc rgb colours[4] notitle, \
  band("stale", "plain") using 1:3:4 with filledcurves fc rgb colours[5] notitle, \
  band("stale", "decorrelated") lw 2 pt 7 lc rgb colours[4] title "decorrelated", \
  band("stale", "plain") lw 2 pt 7 lc rgb colours[5] title "no decorrelation"
unset multiplot
