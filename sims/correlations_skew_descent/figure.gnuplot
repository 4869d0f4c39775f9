# Three paths over the loss of one regression, the same in decorrelated coordinates, and the loss against steps.
# Variables: folder, kind (svg or png); Okabe and Ito's colours.
set terminal pngcairo size 1350,480 font "sans,11"
if (kind eq "svg") { set terminal svg size 1350,480 font "sans,11" background "white" }
set output folder."/figure.".kind
set grid lc rgb "#dddddd"
blue = 0x0072B2; orange = 0xD55E00; green = 0x009E73; pink = 0xCC79A7
set multiplot layout 1,3 margins 0.05,0.98,0.13,0.9 spacing 0.07,0.1
do for [name in "input whitened"] {
  set table $contours
  set contour base
  unset surface
  set cntrparam levels discrete 0.01, 0.05, 0.2, 0.5, 1, 1.7, 2.5, 3.5, 5, 7
  splot folder."/".name.".landscape" using 1:2:3
  unset table
  unset contour
  set size ratio -1
  if (name eq "input") {
    set title "loss of correlated inputs (correlation 0.9)"
    set xlabel "w_1"; set ylabel "w_2"
    unset key
    plot $contours with lines lc rgb "#aaaaaa" notitle, \
      folder."/gradient.path" using 2:3 with linespoints lw 2 pt 7 ps 0.5 lc rgb orange title "gradient descent", \
      folder."/natural.path" using 2:3 with linespoints lw 2 pt 5 ps 0.5 lc rgb blue title "natural gradient", \
      folder."/decorrelated.path" using 2:3 with linespoints lw 2 pt 9 ps 0.6 lc rgb green title "decorrelated (ahmad2024)", \
      folder."/whitened.path" using 2:3 with linespoints lw 2 pt 11 ps 0.6 lc rgb pink title "whitened (zca)"
  } else {
    set title "the same loss, of whitened inputs x = R z"
    set xlabel "w_1 of x"; set ylabel "w_2 of x"
    set key bottom right opaque
    plot $contours with lines lc rgb "#aaaaaa" notitle, \
      folder."/whitened_weights.path" using 2:3 with linespoints lw 2 pt 11 ps 0.6 lc rgb pink title "whitened (zca)"
  }
}
set size noratio
set title "loss above its minimum"
set xlabel "steps"; set ylabel "loss"
set logscale y
set format y "10^{%L}"
set yrange [1e-7:10]
set key at graph 0.98,0.98 right top opaque samplen 2
set xrange [0:150]
plot folder."/gradient.path" using 1:4 with lines lw 2.5 lc rgb orange title "gradient descent", \
  folder."/natural.path" using 1:4 with lines lw 2.5 lc rgb blue title "natural gradient", \
  folder."/decorrelated.path" using 1:4 with lines lw 2.5 lc rgb green title "decorrelated (ahmad2024)", \
  folder."/whitened.path" using 1:4 with lines lw 2.5 dt 2 lc rgb pink title "whitened (zca)"
unset multiplot
