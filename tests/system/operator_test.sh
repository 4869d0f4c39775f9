# What an operator expects: signals, locks, full and closed files, limits, paths of any bytes, terminals.
. tests/system/support.sh
tiny="$work/tiny.textproto"
cat >"$tiny" <<'TEXT'
name: "tiny"
data { format: "generated" generated { train_samples: 400 test_samples: 100 size: 8 } }
layer { name: "hidden1" units: 16 }
layer { name: "output" }
learning { epochs: 2 batch_size: 100 }
TEXT
program=$(realpath $lateral)
one_line() { [ "$(grep -c . "$work/err")" = 1 ]; }

# File systems without flock, and with it held by another.
cat >"$work/noflock.c" <<'C'
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { (void)file, (void)operation; errno = atoi(getenv("FLOCK_ERRNO")); return -1; }
C
gcc -shared -fPIC -o "$work/noflock.so" "$work/noflock.c"
for number in 37 38 95; do
  fresh; FLOCK_ERRNO=$number LD_PRELOAD=$work/noflock.so $lateral run "$tiny" --quiet --out "$dir" 2>"$work/err"; rc=$?
  check "no flock (error $number): exit 0 (is $rc), results" test $rc = 0 -a -s "$dir/summary.json"
done
fresh; $lateral run "$tiny" --quiet --out "$dir"; run=$dir
hold() {  # FILE: another program has it open for writing, until the file $work/held is removed
  touch "$work/held"
  $python - "$1" "$work/held" <<'PY' &
import h5py, os, sys, time
f = h5py.File(sys.argv[1], "r+"); open(sys.argv[2] + ".ready", "w").close()
while os.path.exists(sys.argv[2]): time.sleep(0.05)
PY
  wait_for 20 test -e "$work/held.ready"
}
release() { rm -f "$work/held" "$work/held.ready"; wait; }
before=$(sha256sum "$run"/checkpoint*.h5)
hold "$run/checkpoint.h5"
$lateral evaluate "$run" >/dev/null 2>"$work/err"; rc=$?
check "evaluate while the checkpoint is held: exit 2 (is $rc), the reason" test $rc = 2 -a -n "$(grep 'another program has it open for writing' "$work/err")"
$lateral run --resume "$run" --set learning.epochs=3 --quiet 2>"$work/err"; rc=$?
check "resume while it is held: exit 2 (is $rc), one line" test $rc = 2 -a "$(grep -c . "$work/err")" = 1
fresh; $lateral run "$tiny" --init "$run/checkpoint.h5" --quiet --out "$dir" 2>"$work/err"; rc=$?
check "init from it while it is held: exit 2 (is $rc)" test $rc = 2 -a -n "$(grep 'another program' "$work/err")"
release
check "nothing was renamed" test "$before" = "$(sha256sum "$run"/checkpoint*.h5)"

# Signals that were ignored stay ignored; a sweep as well.
long="$tiny --set learning.epochs=100000 --quiet"
fresh; nohup $lateral run $long --out "$dir" >/dev/null 2>&1 & pid=$!
wait_for 20 test -s "$dir/metrics.csv"; kill -HUP $pid; sleep 0.5
check "SIGHUP under nohup: the run goes on" alive $pid
kill -TERM $pid; wait $pid; rc=$?
check "SIGTERM: exit 143 (is $rc)" test $rc = 143
cat >"$work/sweep.textproto" <<TEXT
name: "s" experiment: "tiny.textproto" set: "learning.epochs=100000" validation_samples: 0
axis { path: "learning.batch_size" value: "100" }
TEXT
(trap '' HUP; exec $lateral sweep "$work/sweep.textproto" --quiet --out "$work/sweep") & pid=$!
wait_for 20 test -s "$work/sweep/members/00000/metrics.csv"; kill -HUP $pid; sleep 0.5
check "SIGHUP that a sweep ignores: it goes on" alive $pid
kill -TERM $pid; wait $pid; rc=$?
check "SIGTERM ends the sweep and its runs: exit 143 (is $rc)" test $rc = 143

# Node processes have a title.
fresh; $lateral run $long --out "$dir" & pid=$!
wait_for 20 test -s "$dir/metrics.csv"
check "a node is titled by its name" pgrep -P $pid -f '^lateral: hidden1'
kill -INT $pid; wait $pid

# Output that cannot be written; closed descriptors.
for command in "run $tiny --in-process --out $work/full" "check $tiny" "evaluate $run" "rules" "compare $run $run" "--help" "--version"; do
  rm -rf "$work/full"
  $lateral $command >/dev/full 2>"$work/err"; rc=$?
  check "$command >/dev/full: exit 2 (is $rc), one line" test $rc = 2 -a -n "$(grep 'standard output cannot be written' "$work/err")"
done
$lateral check "$tiny" >&- 2>"$work/err"; rc=$?
check "standard output closed: exit 2 (is $rc)" test $rc = 2
fresh; $lateral run "$tiny" --quiet --out "$dir" <&- >&- 2>&-; rc=$?
check "descriptors 0 to 2 closed: exit 0 (is $rc), the bits of another run" test "$rc:$(value "$dir" state_sha256)" = "0:$(value "$run" state_sha256)"

# Experiments from pipes, with a byte order mark, with CRLF.
for way in "$tiny" /dev/stdin; do
  fresh; printf '\357\273\277%s' "$(sed 's/$/\r/' "$tiny")" >"$work/dos.textproto"
  [ "$way" = /dev/stdin ] || cp "$work/dos.textproto" "$work/way"
  $lateral run "$([ "$way" = /dev/stdin ] && echo /dev/stdin || echo "$work/way")" --quiet --in-process --out "$dir" <"$work/dos.textproto"; rc=$?
  check "experiment with BOM and CRLF from $way: exit 0 (is $rc)" test $rc = 0
done
fresh; $lateral run <(cat "$tiny") --quiet --in-process --out "$dir"; rc=$?
check "experiment from a pipe: exit 0 (is $rc)" test $rc = 0

# Paths of any bytes.
odd=$work/$(printf 'Donn\351es'); mkdir -p "$odd/mnist"
fresh; $lateral run sims/mnist.textproto --data "$odd" --quiet --out "$dir" 2>"$work/err"; rc=$?
check "data in a folder that is not UTF-8: exit 2 (is $rc), one line names the file" test $rc = 2 -a -n "$(grep -a 'train-images-idx3-ubyte: not found' "$work/err")"
$lateral run "$tiny" --quiet --out "$odd/run" 2>"$work/err"; rc=$?
check "results in a folder that is not UTF-8: exit 0 (is $rc)" test $rc = 0
check "its summary is JSON" $python -c 'import json, sys; json.load(open(sys.argv[1]))' "$odd/run/summary.json"

# Limits: file size, a log that cannot be written, a folder for sockets.
fresh; (ulimit -f 8; exec $lateral run "$tiny" --quiet --out "$dir") 2>"$work/err"; rc=$?
check "a limit of file size: exit 2 (is $rc), one line" test $rc = 2 -a "$(grep -c . "$work/err")" = 1
rm -rf "$run/log/source.log"; mkdir "$run/log/source.log"
$lateral run --resume "$run" --set learning.epochs=3 --quiet 2>"$work/err"; rc=$?
check "a log that cannot be written: exit 2 (is $rc), names it" test $rc = 2 -a -n "$(grep 'log/source.log: cannot be written: ' "$work/err")"
fresh; TMPDIR=/nowhere $lateral run "$tiny" --quiet --out "$dir" 2>"$work/err"; rc=$?
check "TMPDIR that does not exist: exit 2 (is $rc), no run directory" test $rc = 2 -a ! -e "$dir"

# Two runs in one second.
(cd "$work" && for i in 1 2 3 4 5 6 7 8; do ("$program" run tiny.textproto --in-process --quiet || echo failed >>failures) & done; wait)
check "eight runs in one second have folders of their own" test ! -e "$work/failures" -a "$(ls "$work/runs" | wc -l)" = 8

# Terminals.
columns_used() {  # COLUMNS TERM
  rm -rf "$work/wide"
  timeout 20 script -qec "stty cols $1; TERM=$2 exec $lateral run $tiny --set data.generated.train_samples=20000 --set learning.epochs=3 --out $work/wide >/dev/null" /dev/null |
    tr '\r' '\n' | sed 's/\x1b\[K//g' | grep -aE '^epoch [0-9]+/3 .*[0-9]+/200' | $python -c 'import sys; print(max([len(l.rstrip("\n")) for l in sys.stdin] or [0]))'
}
if command -v script >/dev/null; then
  for columns in 80 40; do
    used=$(columns_used $columns xterm)
    check "a terminal of $columns columns: the progress line has $used" test "$used" -lt $columns -a "$used" -gt 0
  done
  check "TERM=dumb: no line is drawn again" test "$(columns_used 80 dumb)" = 0
fi

# gnuplot without the settings of the user.
mkdir "$work/home"; echo 'set datafile separator ","' >"$work/home/.gnuplot"
HOME=$work/home $lateral plot "$work/wide" --out "$work/figures" >/dev/null 2>"$work/err"; rc=$?
check "plot with a ~/.gnuplot: exit 0 (is $rc)" test $rc = 0

# Another processor.
fresh; $lateral run "$tiny" --quiet --out "$dir"; sed -i 's/"processor": "/&Other /' "$dir/machine.json"
$lateral run --resume "$dir" --set learning.epochs=3 --quiet 2>"$work/err"; rc=$?
check "resume on another processor: exit 2 (is $rc), one line" test $rc = 2 -a -n "$(grep 'begun on Other ' "$work/err")"
check "and on request" $lateral run --resume "$dir" --set learning.epochs=3 --quiet --other-processor
$lateral evaluate "$dir" >/dev/null 2>"$work/err"
check "its record is that of the last session" test ! -s "$work/err"

# Memory that is not there.
sed 's/^layer { name: "output" }/layer { name: "hidden2" units: 60000 } &/' "$tiny" >"$work/wide.textproto"
$lateral run "$work/wide.textproto" --set layer.hidden1.units=60000 --quiet --out "$work/large" 2>"$work/err"; rc=$?
check "a layer of 60 000 x 60 000: exit 2 (is $rc), one line with its size" test $rc = 2 -a -n "$(grep 'hidden2 [0-9.]* GB' "$work/err")"
check "and nothing is written" test ! -e "$work/large"
(ulimit -n 16; ulimit -Hn 16; exec $lateral run "$tiny" --quiet --out "$work/few") 2>"$work/err"; rc=$?
check "16 open files: exit 2 (is $rc), one line" test $rc = 2 -a -n "$(grep 'open files' "$work/err")"

# Systems without /proc, without a loopback interface, and with a folder that cannot be written.
if unshare -m true 2>/dev/null; then
  fresh; unshare -m sh -c "umount -l /proc && exec $program run $tiny --quiet --out $dir" 2>"$work/err"; rc=$?
  check "without /proc: exit 0 (is $rc), the same bits" test "$rc:$(value "$dir" state_sha256)" = "0:$(value "$run" state_sha256)"
  fresh; unshare -m sh -c "mkdir -p $dir && mount -t tmpfs -o ro none $dir && exec $program run $tiny --quiet --out $dir/x" 2>"$work/err"; rc=$?
  check "a folder that cannot be written: exit 2 (is $rc), one line" test $rc = 2 -a "$(grep -c . "$work/err")" = 1
fi
if unshare -n true 2>/dev/null; then
  fresh; unshare -n $program run "$tiny" --quiet --out "$dir" 2>"$work/err"; rc=$?
  check "without a loopback interface, Unix sockets: exit 0 (is $rc)" test $rc = 0
  fresh; unshare -n $program run "$tiny" --quiet --transport tcp --set execution.restarts_max=0 --out "$dir" 2>"$work/err"; rc=$?
  check "without a loopback interface, TCP: exit 3 (is $rc), the reason" test $rc = 3 -a -n "$(grep 'Network is unreachable' "$work/err")"
fi

# A member of a sweep that cannot be run is refused before the sweep begins.
cat >"$work/stuck.textproto" <<TEXT
name: "s" experiment: "tiny.textproto" validation_samples: 100
axis { path: "learning.batch_size" value: "100" value: "299" value: "50" }
set: "decorrelation.rule=ahmad2024"
TEXT
$lateral sweep "$work/stuck.textproto" --quiet --out "$work/stuck" 2>"$work/err"; rc=$?
check "a batch of one sample in a sweep: exit 2 (is $rc), one line" test $rc = 2 -a "$(grep -c . "$work/err")" = 1
check "and the sweep has not begun" test ! -e "$work/stuck"
finish
