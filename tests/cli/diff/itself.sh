# A model does not differ from itself; its 4-bit file does, a little.
. "$LIB"
nibble diff "$TOY" "$TOY" | tail -n 1 | grep -q 'relative error 0$'
nibble diff "$TOY" "$NBL" --json >d.json
error=$(nibble diff "$TOY" "$NBL" | tail -n 1 | sed 's/.*relative error //')
awk -v e="$error" 'BEGIN { exit !(e > 0.001 && e < 0.05) }'
fails 1 '*nowhere*' nibble diff "$TOY" nowhere
# The norms are compared, too: a file keeps them, folded scales (AWQ) change them. They are taken out of the matrices,
# which are about as near as without.
[ "$(jsonq norms.0.relative_error <d.json)" = 0 ]
[ "$(jsonq norms.4.name <d.json)" = norm ]
calibration_text 1024 >text
calibrated() { nibble quantize "$TOY" -o c.nbl --calib text --tokens 1024 --seq 32 --group 64 -q "$@" >/dev/null; }
calibrated --no-fold
unfolded=$(nibble diff "$TOY" c.nbl | tail -n 1 | sed 's/.*relative error //')
calibrated
nibble diff "$TOY" c.nbl --json >d.json
# The head's, too.
[ "$(jsonq matrices.15.name <d.json)" = head ]
awk -v n="$(jsonq norms.4.relative_error <d.json)" -v e="$(jsonq matrices.15.relative_error <d.json)" \
  'BEGIN { exit !(n > 0.002 && e < 0.6 * n) }'
for i in 0 1 2 3; do jsonq norms.$i.relative_error <d.json; done | awk '{ s += $1 } END { exit !(s > 0) }'
nibble diff "$TOY" c.nbl | tail -n 1 | sed 's/.*relative error //' |
  awk -v u="$unfolded" '{ exit !($1 > 0.5 * u && $1 < 2 * u) }'
