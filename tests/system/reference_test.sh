# Networks of processes learn what a NumPy reference learns that was written from the formulas alone.
. tests/system/support.sh
$python tests/system/reference.py "$lateral" "$work"
exit
