# Killed at any moment, a calibrated run given again ends with the same bytes; with other settings it is refused.
. "$LIB"
calibrates -o a.nbl -q -t 1 >/dev/null
for t in 0.02 0.05 0.1; do
  nibble quantize "$TOY" -o c.nbl -q -t 1 --calib text --tokens 512 --seq 64 --group 32 >/dev/null 2>&1 & pid=$!
  sleep $t
  kill -9 $pid 2>/dev/null || :
  wait $pid 2>/dev/null || :
done
# An empty one was not begun.
[ ! -s c.nbl.part ] || fails '[12]' '*c.nbl.part*' calibrates -o c.nbl -q --damp 0.7
calibrates -o c.nbl -q >/dev/null
cmp a.nbl c.nbl
[ ! -e c.nbl.part ]
