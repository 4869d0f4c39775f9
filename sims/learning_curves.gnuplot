# Learning curves of the quickstart's three runs below `folder`, with Okabe and Ito's colour-blind-safe colours.
set datafile separator ","
set terminal pngcairo size 900,540 font "Sans,13"
set output folder."/learning_curves.png"
set title "Three ways to train the same network of layer processes"
set xlabel "epoch"
set ylabel "test accuracy [%]"
set xtics 1
set yrange [0:100]
set grid ytics lc rgb "#dddddd"
set key bottom right
set border 3
set tics nomirror
plot folder."/backpropagation/metrics.csv" using 1:(100*$5) skip 1 with linespoints lw 2.5 pt 7 ps 1.2 lc rgb "#0072B2" title "backpropagation", \
     folder."/feedback_alignment/metrics.csv" using 1:(100*$5) skip 1 with linespoints lw 2.5 pt 5 ps 1.2 lc rgb "#D55E00" title "feedback alignment", \
     folder."/feedback_alignment_decorrelated/metrics.csv" using 1:(100*$5) skip 1 with linespoints lw 2.5 pt 9 ps 1.4 lc rgb "#009E73" title "feedback alignment, decorrelated (ahmad2024)"
