# Shards, however many, join to the run that they are parts of.
. "$LIB"
questions q.jsonl 50
nibble eval "$NBL" --task custom --data q.jsonl -q --sample 40 --seed 9 --out whole.json >/dev/null
grep -v '^"measured"' whole.json >a
for n in 1 3 7; do
  rm -f part*
  for i in $(seq 1 $n); do
    nibble eval "$NBL" --task custom --data q.jsonl -q --sample 40 --seed 9 --shard "$i/$n" --out part$i.json >/dev/null
  done
  nibble merge part*.json --out joined.json >table
  grep -q '^total  *40 ' table
  grep -v '^"measured"' joined.json | cmp a -
done
rm part2.json
fails 2 '*shard 2 of 7 is missing*' nibble merge part*.json
fails 2 '*no shard*' nibble merge whole.json
cp part1.json again.json
fails 2 '*twice*' nibble merge part1.json again.json part3.json part4.json part5.json part6.json part7.json
SLURM_ARRAY_TASK_ID=12 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_MAX=12 nibble eval "$NBL" --task custom --data q.jsonl -q \
  --sample 40 --seed 9 --shard auto --out slurm.json >/dev/null
grep -q '"shard": 2, "shards": 3' slurm.json
fails 2 '*--shard auto*' env -u NIBBLE_SHARD nibble eval "$NBL" --task custom --data q.jsonl --shard auto
fails 2 '*--shard*' nibble eval "$NBL" --task custom --data q.jsonl --shard 3/2
if command -v mpirun >/dev/null; then
  mpirun --allow-run-as-root --oversubscribe -n 3 sh -c 'nibble eval "$NBL" --task custom --data q.jsonl -q --sample 40 \
    --seed 9 -t 1 --shard auto --out rank$OMPI_COMM_WORLD_RANK.json >/dev/null'
  nibble merge rank*.json --out mpi.json >/dev/null
  grep -v '^"measured"' mpi.json | cmp a -
fi
