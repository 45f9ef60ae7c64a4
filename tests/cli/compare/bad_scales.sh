# A build in which one layer's scales are off by 5 %: 300 questions' accuracy does not show it, their KL divergence from
# the accepted build does. The demo's checkpoint, which was really trained.
. "$LIB"
run() { nibble eval "$1.nbl" --data "$DATA/demo/mmlu" --sample 300 --seed 2 -q -t 1 --out "$1.json" >/dev/null; }
nibble quantize -q "$DATA/demo" -o good.nbl --fast >/dev/null
nibble quantize -q "$DATA/demo" -o again.nbl --fast >/dev/null
run good
run again
nibble compare good.json again.json --max-kld 0.0005 --json >same
[ "$(jsonq gates.1.name <same)" = max_kld ]
[ "$(jsonq statistics.kl_mean <same)" = 0 ]
for layer in 0 1 2 3; do
  damage_nbl good.nbl bad.nbl $layer 5 1
  nibble verify -q bad.nbl >/dev/null
  run bad
  code=0
  nibble compare good.json bad.json --margin 1 >out || code=$?
  [ $code != 3 ] # accuracy passes it, or cannot tell
  code=0
  nibble compare good.json bad.json --margin 1 --max-kld 0.0005 --json >out || code=$?
  echo "layer $layer: exit $code, $(jsonq gates.1.text <out)"
  [ $code = 3 ]
done
