# Trellis codes, the default: plainly rounded, calibrated, chosen by a budget; the same bytes for any number of threads and on every
# instruction set; read as they were written; nearer to the checkpoint than a table's at equal size.
. "$LIB"
few="--tokens 256 --seq 32 -q"
# error FILE: the mean of its matrices' relative squared errors
error() { nibble diff "$TOY" "$1" --json | jsonq layers.0.relative_error; }
nibble quantize "$TOY" -o table.nbl --fast -b 3 --group 128 --codes table -q >/dev/null
nibble quantize "$TOY" -o plain.nbl --fast -b 3 --group 128 -q >/dev/null
nibble inspect plain.nbl --json | grep -q c3g128
awk -v a="$(error plain.nbl)" -v b="$(error table.nbl)" 'BEGIN { exit !(a > 0 && a < 0.9 * b) }'
nibble quantize "$TOY" -o made.nbl $few >/dev/null
nibble quantize "$TOY" -o again.nbl $few --cpu ref -t 1 >/dev/null
cmp made.nbl again.nbl
nibble verify made.nbl -q
[ "$(nibble reproduce made.nbl "$TOY" -q)" = "made.nbl: equal, byte by byte" ]
nibble generate made.nbl -p "one two" -n 8 -q >native.txt
nibble generate made.nbl -p "one two" -n 8 -q --cpu ref >ref.txt
cmp native.txt ref.txt
nibble quantize "$TOY" -o small.nbl $few --linear-bpw 6 --probe-tokens 32 >/dev/null
nibble inspect small.nbl --json | grep -q '"c[345]g'
nibble quantize "$TOY" -o none.nbl $few --codes table --linear-bpw 6 --probe-tokens 32 >/dev/null
nibble inspect none.nbl --json | grep -q '"c[345]g' && exit 1
fails 2 '*c6g64*' nibble quantize "$TOY" -o bad.nbl --fast --set q=c6g64
only table.nbl plain.nbl made.nbl again.nbl small.nbl none.nbl native.txt ref.txt
