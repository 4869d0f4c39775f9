# The estimate of memory against the peak of all processes: within 15 %.
. tests/system/support.sh
experiment="$work/deep.textproto"
{ echo 'name: "deep" data { format: "generated" generated { train_samples: 2000 test_samples: 500 size: 8 } }'
  for i in $(seq 20); do echo "layer { name: \"hidden$i\" units: 32 }"; done
  echo 'layer { name: "output" } learning { epochs: 1 batch_size: 100 }'; } >"$experiment"
estimated() {  # NAME ARGUMENTS...
  local name=$1 estimate measured; shift
  estimate=$($lateral check "$@" | awk '/of memory in all/ { print $2 == "GB" ? 1000 * $1 : $1 }')
  fresh; $lateral run "$@" --quiet --out "$dir"
  measured=$($python -c 'import json, sys
print(sum(n["peak_rss_bytes"] for n in json.load(open(sys.argv[1]))["nodes"]) / 1e6)' "$dir/summary.json")
  check "$name: estimate $estimate MB, measured $measured MB" $python -c '
import sys; sys.exit(not 0.85 <= float(sys.argv[1]) / float(sys.argv[2]) <= 1.15)' "$estimate" "$measured"
}
once="--set learning.epochs=1"
estimated "small" sims/quickstart.textproto $once
estimated "deep" "$experiment"
estimated "wide" sims/quickstart.textproto $once --set layer.hidden1.units=3000 --set layer.hidden2.units=1000
estimated "settled" sims/quickstart.textproto $once --set decorrelation.rule=ahmad2024 --set decorrelation.mode=settled \
  --set layer.hidden1.units=800
estimated "asynchronous" sims/quickstart.textproto $once --set execution.schedule=asynchronous --set execution.staleness=8 \
  --set layer.hidden1.units=2000
estimated "K-FAC" sims/quickstart.textproto $once --set learning.preconditioner=kfac --set learning.optimizer=sgd
finish
