# A file that verifies, whose size is what quantize says; nothing else is left.
. "$LIB"
nibble quantize "$TOY" -o out.nbl --fast --json >q.json 2>err
jsonq <q.json
nibble verify out.nbl >/dev/null
only err out.nbl q.json
# The same bytes again, for any number of threads, and over an existing file.
cp out.nbl again.nbl
for t in 1 2 3; do
  nibble quantize -q "$TOY" -o again.nbl --fast -t $t >/dev/null
  cmp out.nbl again.nbl
done
