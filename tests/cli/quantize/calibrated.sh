# Calibration: the same bytes for any number of threads, on any instruction set and after kill -9; less loss than without; other settings refused.
. "$LIB"
calibration_text 400 >text
opts="--calib text --tokens 512 --seq 64 --group 32"
# shellcheck disable=SC2086
{
  nibble quantize "$TOY" -o a.nbl -q -t 1 $opts --json >a.json
  nibble quantize "$TOY" -o b.nbl -q -t 3 $opts >/dev/null
  cmp a.nbl b.nbl
  nibble quantize "$TOY" -o b.nbl -q --cpu ref $opts >/dev/null
  cmp a.nbl b.nbl
  nibble verify a.nbl >/dev/null
  for t in 0.02 0.05 0.1; do
    nibble quantize "$TOY" -o c.nbl -q -t 1 $opts >/dev/null 2>&1 & pid=$!
    sleep $t
    kill -9 $pid 2>/dev/null || :
    wait $pid 2>/dev/null || :
  done
  if [ -e c.nbl.part ]; then
    fails '[12]' '*c.nbl.part*' nibble quantize "$TOY" -o c.nbl -q $opts --alpha 0.7
  fi
  nibble quantize "$TOY" -o c.nbl -q $opts >/dev/null
  cmp a.nbl c.nbl
  [ ! -e c.nbl.part ]
  # Folded scales and rotations: for any threads too; the file is as good as any.
  nibble quantize "$TOY" -o h.nbl -q -t 1 $opts --rotate >/dev/null
  nibble quantize "$TOY" -o i.nbl -q -t 3 $opts --rotate >/dev/null
  cmp h.nbl i.nbl
  cmp -s a.nbl h.nbl && exit 1
  nibble kld "$TOY" a.nbl --text text --ctx 32 --chunks 20 -q --json >a.kld
  nibble kld "$TOY" h.nbl --text text --ctx 32 --chunks 20 -q --json >h.kld
  awk -v a="$(jsonq kl_mean <a.kld)" -v h="$(jsonq kl_mean <h.kld)" 'BEGIN { exit !(h < 1.5 * a) }'
  # Tuning: as many bytes as planned, less divergence on the text that judges, for any threads.
  nibble quantize "$TOY" -o j.nbl -t 1 $opts --bits 3 --tune 4steps --tune-rate 0.003 >/dev/null 2>err
  nibble quantize "$TOY" -o k.nbl -q -t 3 $opts --bits 3 --tune 4steps --tune-rate 0.003 >/dev/null
  cmp j.nbl k.nbl
  nibble quantize "$TOY" -o k.nbl -q --cpu ref $opts --bits 3 --tune 4steps --tune-rate 0.003 >/dev/null
  cmp j.nbl k.nbl
  cmp -s a.nbl j.nbl && exit 1
  [ ! -e j.nbl.untuned ]
  grep -q "will have $(wc -c <j.nbl) bytes" err
  nibble verify j.nbl >/dev/null
  grep -q 'tuned for 4 steps: .*(step [1-4])' err
  fails '[12]' '*--tune*20m*' nibble quantize "$TOY" -o e.nbl -q $opts --tune often
  fails 2 '*--tune*--calib*' nibble quantize "$TOY" -o e.nbl -q --tune 1m
  # A budget is met, or refused with the smallest size that is possible.
  nibble quantize "$TOY" -o d.nbl -q $opts --budget 60kB --probe-tokens 64 >/dev/null
  nibble verify d.nbl >/dev/null
  nibble quantize "$TOY" -o b.nbl -q --cpu ref $opts --budget 60kB --probe-tokens 64 >/dev/null
  cmp b.nbl d.nbl
  fails '[12]' '*smallest possible is *' nibble quantize "$TOY" -o e.nbl -q $opts --budget 10KB
  fails '[12]' '*no sequence*' nibble quantize "$TOY" -o e.nbl -q --calib text --tokens 10 --seq 64
  # Chats go through the model's template; the model can write the text itself, the same for the same seed.
  echo '{"messages": [{"role": "user"}]}' >bad.jsonl
  fails '[12]' '*bad.jsonl:1*' nibble quantize "$TOY" -o e.nbl -q --calib bad.jsonl
  self="--calib self --tokens 64 --seq 32 --seed 3"
  nibble quantize "$TOY" -o f.nbl -q $self >/dev/null
  nibble quantize "$TOY" -o g.nbl -q -t 1 $self >/dev/null
  cmp f.nbl g.nbl
  : >empty
  fails '[12]' '*empty*' nibble quantize "$TOY" -o e.nbl -q --calib empty
}
[ ! -e e.nbl ] && [ ! -e e.nbl.part ]
