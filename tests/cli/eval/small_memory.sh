# Under a memory limit below the size of the file the run finishes with the same answers: the file's pages come and go.
# Needs a memory cgroup (version 1 or 2) that this user may make; RLIMIT_AS is no substitute, it counts mapped files whole.
. "$LIB"
group=""
if dir=$(sed -n 's|^[0-9]*:memory:|/sys/fs/cgroup/memory|p' /proc/self/cgroup 2>/dev/null) && [ -n "$dir" ]; then
  for base in "$dir" /sys/fs/cgroup/memory; do
    [ -n "$group" ] || ! mkdir "$base/nibble-$$" 2>/dev/null || group=$base/nibble-$$
  done
  limit_file=memory.limit_in_bytes
elif dir=$(sed -n 's|^0::|/sys/fs/cgroup|p' /proc/self/cgroup 2>/dev/null) && [ -n "$dir" ]; then
  ! mkdir "$dir/nibble-$$" 2>/dev/null || group=$dir/nibble-$$
  limit_file=memory.max
fi
[ -n "$group" ] || skip "no cgroup can be made here"
trap 'rmdir "$group"' EXIT
[ -w "$group/$limit_file" ] || skip "no memory limit can be set here"

# Three layers of 42 million weights each: values that differ and are neither NaN nor infinite.
big checkpoint 3
n=$(size_of checkpoint/model.safetensors) head=$(($(od -An -tu8 -N8 checkpoint/model.safetensors) + 8))
LC_ALL=C tr -cd '\040-\057\240-\257' </dev/urandom | head -c 1000003 >block
head -c $head checkpoint/model.safetensors >whole
i=0
while [ $((i * 1000003)) -lt $((n - head)) ]; do cat block; i=$((i + 1)); done | head -c $((n - head)) >>whole
mv whole checkpoint/model.safetensors
nibble quantize -q checkpoint -o big.nbl --fast >/dev/null
rm -r checkpoint
questions q.jsonl 6
run="nibble eval big.nbl --task custom --data q.jsonl -q -t 1 --batch 16"
$run --out free.json >/dev/null
pages=$(($(size_of big.nbl) * 6 / 10)) # of the file, beside what is the run's own (a sanitizer takes much)
[ "$(jsonq measured.file_backed_bytes <free.json)" -gt $pages ]
limit=$((pages + $(jsonq measured.anonymous_bytes <free.json)))
echo $limit >"$group/$limit_file"
[ ! -w "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
sync
dd of=big.nbl oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null || skip "dd cannot drop a file's pages"
sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" $run --out small.json >/dev/null
# The limit was felt, and fewer of the file's pages were in memory than without one (the program's own pages, of which a
# sanitizer makes many, are in both numbers).
if [ -e "$group/memory.events" ]; then [ "$(sed -n 's/^max //p' "$group/memory.events")" -gt 0 ]
else [ "$(cat "$group/memory.failcnt")" -gt 0 ]; fi
[ "$(jsonq measured.file_backed_bytes <small.json)" -lt "$(jsonq measured.file_backed_bytes <free.json)" ]
answers free.json >a
answers small.json | cmp a -
# The ceiling of --max-memory ends a run, in words and with 3; above what the run takes it does not.
code=0
$run --max-memory 1MB >out 2>err || code=$?
[ $code = 3 ]
grep -q '^nibble: big.nbl: .*memory of the process.s own is .* over the ceiling of 1 MB$' err
$run --max-memory $(($(jsonq measured.anonymous_bytes <free.json) * 2)) >/dev/null
code=0
$run --max-total-memory $limit >out 2>err || code=$?
[ $code = 3 ]
