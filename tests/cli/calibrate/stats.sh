# What was measured once serves any budget: the same bytes as without, and never for another model, text or version.
. "$LIB"
calibration_text 400 >text
sed 's/text/hill/' text >other
opts="--tokens 512 --seq 64"
probe="--probe-tokens 64 --probe-layers 0"
# shellcheck disable=SC2086
{
  nibble calibrate "$TOY" --calib text $opts $probe -o stats -q --json >c.json
  [ "$(jsonq tokens <c.json)" = 512 ]
  nibble calibrate "$TOY" --calib text $opts $probe -o again -q -t 3 >/dev/null
  cmp stats again
  nibble quantize "$TOY" -o a.nbl -q --calib text $opts --group 32 >/dev/null
  nibble quantize "$TOY" -o b.nbl -q --stats stats --group 32 >/dev/null
  cmp a.nbl b.nbl
  for budget in 60kB 70kB; do
    nibble quantize "$TOY" -o a.nbl -q --calib text $opts $probe --budget $budget >/dev/null
    nibble quantize "$TOY" -o b.nbl -q --stats stats --budget $budget >/dev/null
    cmp a.nbl b.nbl
    nibble quantize "$TOY" -o b.nbl -q --stats stats --calib text $opts $probe --budget $budget >/dev/null
    cmp a.nbl b.nbl
  done
  nibble quantize "$TOY" -o a.nbl -q --fast --calib text $opts $probe --budget 70kB >/dev/null
  nibble quantize "$TOY" -o b.nbl -q --fast --stats stats --budget 70kB >/dev/null
  cmp a.nbl b.nbl
  fails '[12]' '*stats*another text*' nibble quantize "$TOY" -o x.nbl --stats stats --calib other
  fails '[12]' '*stats*--seq 64, not 32*' nibble quantize "$TOY" -o x.nbl --stats stats --seq 32
  fails '[12]' '*stats*--probe-tokens 64, not 128*' nibble quantize "$TOY" -o x.nbl --stats stats --probe-tokens 128
}
toy m
poke m/model.safetensors $(($(size_of m/model.safetensors) - 9)) '\1'
fails '[12]' '*stats*another checkpoint*' nibble quantize m -o x.nbl --stats stats
fails '[12]' '*stats*another model*' nibble quantize "$TESTS/../data/demo" -o x.nbl --stats stats
fails '[12]' '*already*' nibble calibrate a.nbl --calib text -o x
# On the bundled texts likewise.
# shellcheck disable=SC2086
nibble calibrate "$TOY" $opts $probe -o own -q >/dev/null
# shellcheck disable=SC2086
nibble quantize "$TOY" -o a.nbl -q $opts $probe --budget 60kB >/dev/null
nibble quantize "$TOY" -o b.nbl -q --stats own --budget 60kB >/dev/null
cmp a.nbl b.nbl
fails '[12]' '*nowhere*' nibble calibrate "$TOY" --calib nowhere -o x
fails '[12]' '*no/such*' nibble calibrate "$TOY" --calib text $opts -o no/such/x
# Damage anywhere is noticed.
n=$(size_of stats)
for at in 0 9 20 47 60 $((n / 3)) $((n / 2)) $((n - 9)) $((n - 1)); do
  cp stats bad
  printf '\252' | dd of=bad bs=1 seek="$at" conv=notrunc 2>/dev/null
  cmp -s stats bad && continue
  fails '[12]' '*bad*' nibble quantize "$TOY" -o x.nbl --stats bad
done
head -c $((n / 2)) stats >bad
fails '[12]' '*bad*' nibble quantize "$TOY" -o x.nbl --stats bad
fails '[12]' '*text*calibrate*' nibble quantize "$TOY" -o x.nbl --stats text
[ ! -e x.nbl ]
[ ! -e x.nbl.part ]
[ ! -e x ]
fails 1 '*is a .nbl file, not a file of nibble calibrate*' nibble quantize "$TOY" --stats "$NBL" -o x.nbl
