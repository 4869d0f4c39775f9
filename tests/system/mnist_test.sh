# The network of processes learns MNIST by every credit rule, equally well in closed form and settled.
. tests/system/support.sh
if [ -z "${LATERAL_DATA:-}" ]; then echo "skipped: LATERAL_DATA is not set"; exit 77; fi

# train ARGUMENTS...: sets $accuracy.
train() { fresh; $lateral run sims/mnist.textproto --quiet --out "$dir" "$@"; accuracy=$(value "$dir" final.test_accuracy); }
decorrelated="--set decorrelation.rule=ahmad2024"

train; check "backpropagation, not decorrelated: $accuracy" at_least "$accuracy" 0.965
train --set learning.credit=backpropagation $decorrelated
check "backpropagation, decorrelated: $accuracy" at_least "$accuracy" 0.972
train --set learning.credit=direct_feedback_alignment $decorrelated
check "direct_feedback_alignment, decorrelated: $accuracy" at_least "$accuracy" 0.96
train --set learning.credit=node_perturbation $decorrelated
check "node_perturbation, decorrelated: $accuracy" at_least "$accuracy" 0.88
train --set learning.credit=feedback_alignment $decorrelated
check "feedback_alignment, decorrelated: $accuracy" at_least "$accuracy" 0.965
closed=$accuracy
train --set learning.credit=feedback_alignment $decorrelated --set decorrelation.mode=settled
check "feedback_alignment: settled $accuracy agrees with closed form $closed within 0.3 points" \
  $python -c "import sys; sys.exit(abs($accuracy - $closed) > 0.003)"
finish
