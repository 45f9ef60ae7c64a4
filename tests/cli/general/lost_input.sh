# A file that another program cuts short or writes to while it is in use: an error that names it, nothing half written,
# and what was done is kept for the next run.
. "$LIB"
begun() { until ls -A | grep -q nibble- || ! kill -0 "$pid" 2>/dev/null; do sleep 0.01; done; }
stopped() { # PATTERN: the run in the background must have failed so
  code=0
  wait "$pid" || code=$?
  [ "$code" != 0 ] || skip "it ended before the file was touched"
  [ "$code" = 1 ]
  # shellcheck disable=SC2254
  case $(grep '^nibble: ' err | grep -v ': note:') in $1) ;; *) cat err >&2; exit 1 ;; esac
}
big m 8
nibble quantize m -o x.nbl --fast -t 1 >out 2>err & pid=$!
begun
dd if=/dev/zero of=m/model.safetensors bs=1 count=0 seek=5000 2>/dev/null # now as long as that
stopped 'nibble: *m/model.safetensors: another program made it shorter*'
rm -f out err
only m
rm -r m

big m 8
nibble quantize m -o x.nbl --fast -t 1 >out 2>err & pid=$!
begun
printf x | dd of=m/model.safetensors bs=1 seek=$(($(size_of m/model.safetensors) - 1)) conv=notrunc 2>/dev/null
stopped 'nibble: *m/model.safetensors: another program wrote to it*'
rm -f out err
only m

questions q.jsonl 1500
cp "$NBL" m.nbl
run() { nibble eval m.nbl --task custom --data q.jsonl -q -t 1 "$@"; }
run --out whole.json >/dev/null
run --journal j --out out.json >out 2>err & pid=$!
grown j 5000 $pid
: >m.nbl
stopped 'nibble: *m.nbl: another program made it shorter*'
[ -s j ]
[ ! -e out.json ]
cat "$NBL" >m.nbl
run --journal j --out out.json >/dev/null
answers whole.json >a
answers out.json | cmp a -
