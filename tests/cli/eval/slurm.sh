# Shards by a real Slurm: munge, controller and one node, started here and stopped again. As an array of jobs (--shard auto
# takes the task's place in the array) and as the tasks of a step (by rank), one task without a shard being refused.
. "$LIB"
for tool in hostname munged slurmctld slurmd sbatch srun scontrol; do
  PATH=$PATH:/usr/sbin
  command -v $tool >/dev/null || skip "no $tool (Debian: slurm-wlm munge)"
done
[ "$(id -u)" = 0 ] || skip "Slurm's daemons are started by root here"

s=$PWD/slurm host=$(hostname -s) pids=""
mkdir -p "$s/state" "$s/spool"
stop() {
  idle || true # the last step's daemon still has to tell the controller
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  sleep 0.3
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
}
idle() {
  n=0
  until scontrol show node "$host" 2>/dev/null | grep -q 'State=IDLE '; do
    n=$((n + 1))
    [ $n -lt 100 ] || return 1
    sleep 0.1
  done
}
trap stop EXIT
head -c 1024 /dev/urandom >"$s/key"
chmod 400 "$s/key"
munged --foreground --force --key-file="$s/key" --socket="$s/munge" --pid-file="$s/munge.pid" --log-file="$s/munge.log" \
  --seed-file="$s/seed" >/dev/null 2>&1 &
pids="$pids $!"
port=$((20000 + $$ % 20000))
cat >"$s/slurm.conf" <<C
ClusterName=nibble
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthInfo=socket=$s/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$s/state
SlurmdSpoolDir=$s/spool
SlurmctldPidFile=$s/ctld.pid
SlurmdPidFile=$s/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=100000
NodeName=$host NodeAddr=127.0.0.1 CPUs=1 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=10 State=UP
C
export SLURM_CONF="$s/slurm.conf"
slurmctld -D -f "$SLURM_CONF" >"$s/ctld.log" 2>&1 &
pids="$pids $!"
slurmd -D -f "$SLURM_CONF" -N "$host" >"$s/slurmd.log" 2>&1 &
pids="$pids $!"
idle || skip "Slurm does not start here: $(grep -h -m 1 -E 'error|fatal' "$s/slurmd.log" "$s/ctld.log" | head -n 1)"

questions q.jsonl 50
run="nibble eval $NBL --task custom --data $PWD/q.jsonl -q -t 1 --sample 40 --seed 9"
$run --out whole.json >/dev/null
grep -v '^"measured"' whole.json >a
timeout 60 sbatch -Q --wait --array=5-9:2 -o "$s/job.%a" --wrap "$run --shard auto --out $PWD/array\$SLURM_ARRAY_TASK_ID.json" ||
  { cat "$s"/job.* >&2; exit 1; }
[ "$(ls array*.json | tr '\n' ' ')" = "array5.json array7.json array9.json " ]
nibble merge array*.json --out joined.json >/dev/null
grep -v '^"measured"' joined.json | cmp a -
timeout 60 srun -Q -n 4 --overcommit sh -c "$run --shard auto --out step\$SLURM_PROCID.json" >/dev/null
nibble merge step*.json --out joined.json >/dev/null
grep -v '^"measured"' joined.json | cmp a -
[ "$(grep -l '"shards": 4' step*.json | wc -l)" -eq 4 ]
