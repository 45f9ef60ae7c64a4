# Errors weighed by the inputs' importance, by matrix and by layer; checkpoints and files on either side.
. "$LIB"
calibration_text 100 >text
nibble calibrate "$TOY" --calib text --tokens 256 --seq 32 --probe-tokens 16 --probe-layers 0 -o stats -q >/dev/null
nibble quantize "$TOY" -o worse.nbl -q --fast -b 3 --set 1.down=6 --embed 8 >/dev/null
for a in "$TOY" "$NBL" worse.nbl; do
  for b in "$TOY" "$NBL" worse.nbl; do
    nibble diff "$a" "$b" --json --stats stats -t 1 >one
    nibble diff "$a" "$b" --json --stats stats -t 2 | cmp one -
    [ "$a" != "$b" ] || [ "$(jsonq layers.1.weighted_error <one)" = 0 ]
    [ "$a" = "$b" ] || awk -v e="$(jsonq layers.1.weighted_error <one)" 'BEGIN { exit !(e > 0.0001 && e < 1) }'
  done
done
nibble diff "$TOY" worse.nbl --json --stats stats >d
# Every weighted error but the embedding's; the 6-bit matrix is the best of its layer.
[ "$(grep -c weighted_error d)" = $((2 + 2 * 7 + 1)) ]
e() { jsonq "matrices.$1.$2" <d; }
[ "$(e 0 name)" = embed ]
[ "$(e 14 name)" = down ]
[ "$(e 14 b | cut -c 1-2)" = u6 ]
awk -v a="$(e 14 weighted_error)" -v b="$(e 13 weighted_error)" 'BEGIN { exit !(a < b / 10) }'
# The layer's is the mean of its seven.
for i in 8 9 10 11 12 13 14; do e $i weighted_error; done |
  awk -v want="$(jsonq layers.1.weighted_error <d)" '{ s += $1 / 7 } END { d = s / want - 1; exit !(d * d < 1e-12) }'
# The rows of the table fall.
nibble diff "$TOY" worse.nbl --stats stats -n 3 >t
grep -q '^and 18 more' t
grep -q '^layer  *mean relative error  *weighted' t
nibble diff "$TOY" worse.nbl --stats stats | awk '/^(-|[0-9]+) / && NF == 7 && $6 != "-" { bad += n++ && $6 > last; last = $6 } END { exit bad || n != 15 }'
fails '[12]' '*text*calibrate*' nibble diff "$TOY" "$NBL" --stats text
fails '[12]' '*another model*' nibble diff "$DATA/demo" "$DATA/demo" --stats stats
