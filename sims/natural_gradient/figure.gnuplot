# Loss of the deep linear network against steps, and of the autoencoder against epochs.
# Variables: folder, kind (svg or png); Okabe and Ito's colours.
set terminal pngcairo size 1250,520 font "sans,11"
if (kind eq "svg") { set terminal svg size 1250,520 font "sans,11" background "white" }
set output folder."/figure.".kind
set grid lc rgb "#dddddd"
array colours[6] = ["#D55E00", "#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7"]
curves(pattern) = system("cd ".folder." && ls ".pattern." 2>/dev/null")
label(file, head) = system("echo '".file."' | sed 's/^".head."//; s/.curve$//; s/_/ /g'")
set multiplot layout 1,2 margins 0.06,0.98,0.12,0.9 spacing 0.09,0.1
set title "deep linear network: a linear teacher of correlated inputs"
set xlabel "steps"; set ylabel "loss relative to the initial loss"
set logscale y
set format y "10^{%L}"
set xrange [0:2600]
set yrange [1e-9:1e5]
set key at graph 0.98,0.97 right top opaque samplen 3
plain = curves("deep_linear_gradient_descent_0.0[123].curve")
exact = curves("deep_linear_exact_natural_gradient_*.curve")
plot for [i = 1:words(plain)] folder."/".word(plain, i) with lines lw 1.5 lc rgb "#D55E00" dt i \
       title label(word(plain, i), "deep_linear_"), \
     for [i = 1:words(exact)] folder."/".word(exact, i) with lines lw 3 lc rgb "#0072B2" dt i \
       title label(word(exact, i), "deep_linear_"), \
     for [k in "2 5 10"] (1 - k / 100.0) ** (2 * x) with lines lw 1 lc rgb "black" title (k eq "2" ? "(1 - rate)^{2 steps}" : "")
unset format; unset logscale y
set title "autoencoder of MNIST, each method at its best rate"
set xlabel "epochs (72 steps each)"; set ylabel "squared error of a validation image"
set xrange [*:*]
set yrange [*:*]
set xtics 1
auto = curves("autoencoder_*.curve")
plot for [i = 1:words(auto)] folder."/".word(auto, i) with linespoints lw 2 pt (4 + i) \
       lc rgb colours[i] title label(word(auto, i), "autoencoder_")
unset multiplot
