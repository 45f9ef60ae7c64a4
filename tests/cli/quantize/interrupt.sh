# Stopped in the middle: one line, exit 1, nothing half-written.
. "$LIB"
big m 6
nibble quantize m -o x.nbl --fast -t 1 2>err >out &
pid=$!
n=0
# The temporary file shows that the work has begun.
until [ "$(ls -A | wc -l)" -gt 3 ]; do
  n=$((n + 1))
  kill -0 $pid 2>/dev/null && [ $n -lt 1000 ] || skip "converting ended before it could be stopped"
  sleep 0.01
done
kill -TERM $pid
code=0
wait $pid || code=$?
[ "$code" = 1 ]
grep -q '^nibble: .*interrupted' err
[ ! -s out ]
rm err out
only m
