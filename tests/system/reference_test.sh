# Networks of processes learn the same tensors as a NumPy reference written from the published formulas.
. tests/system/support.sh
$python tests/system/reference.py "$lateral" "$work"
exit
