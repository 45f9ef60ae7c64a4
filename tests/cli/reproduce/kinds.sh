# A file comes again from its provenance, whatever it was made with, on another instruction set too.
. "$LIB"
mkdir texts
calibration_text 300 >texts/a.txt
sed 's/the/of/' texts/a.txt >texts/b.txt
few="--tokens 256 --seq 32"
# again [OPTIONS of quantize] -- [OPTIONS of reproduce]
again() {
  made=
  while [ $# -gt 0 ] && [ "$1" != -- ]; do made="$made $1" && shift; done
  [ $# = 0 ] || shift
  # shellcheck disable=SC2086
  nibble quantize "$TOY" -o x.nbl -q --force $made >/dev/null
  [ "$(nibble reproduce x.nbl "$TOY" -q --cpu ref -t 1 "$@")" = "x.nbl: equal, byte by byte" ]
}
again --fast --bits 5 --group 32 --codes uniform --set 1.v=u6g64 --set o=3 --embed dense
again $few
again $few --fisher-tokens 100
again $few --seed 7 --fisher-tokens 0 --no-fold --no-tables --sweeps 0 --damp 0.1 --sequential
again $few --no-gptq --no-head
again $few --calib texts -- --calib texts/a.txt --calib texts/b.txt
again $few --calib texts --budget 60kB --probe-tokens 32 --probe-layers 0 -- --calib texts
again $few --linear-bpw 6 --fast --probe-tokens 32
again $few --calib self --seed 5
again $few --bits 3 --tune 2steps
nibble reproduce x.nbl "$TOY" -q -o kept.nbl --json | jsonq equal | grep -qx true
cmp x.nbl kept.nbl
only kept.nbl texts x.nbl
