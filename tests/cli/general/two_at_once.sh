# Two runs with one output at once, killed with -9 at any moment and given again: never a file that is half of each, and in
# the end the bytes of a run that was left alone.
. "$LIB"
command -v timeout >/dev/null || skip "no timeout command"
calibration_text 400 >text
questions q.jsonl 400
cp "$NBL" m.nbl

# fight SECONDS OUTPUT COMMAND...: two such runs at once, each killed after a while, until one has ended well; whatever
# has the output's name on the way must be whole.
fight() {
  most=$1 whole=$2 file=$3 round=0
  shift 3
  while :; do
    round=$((round + 1))
    [ "$round" -lt 60 ]
    a=$(awk -v r=$round -v m="$most" 'BEGIN { srand(r); print m * rand() }')
    b=$(awk -v r=$round -v m="$most" 'BEGIN { srand(r + 999); print m * rand() }')
    [ "$round" -lt 15 ] || a=60 # however slow this machine is
    timeout -s KILL "$a" "$@" >/dev/null 2>&1 & one=$!
    timeout -s KILL "$b" "$@" >/dev/null 2>&1 & two=$!
    ended=1
    wait $one && ended=0
    wait $two && ended=0
    [ ! -e "$file" ] || same "$whole" "$file"
    [ $ended = 1 ] || [ $round -lt 8 ] || break
    [ $ended = 1 ] || rm -f "$file" hf/config.json # once more, from nothing
  done
  [ -z "$(ls -A | grep nibble-)" ] || "$@" >/dev/null 2>&1 # the next run removes what killed ones left
  same "$whole" "$file"
  left=$(ls -A | grep -E 'nibble-|[.]part$|[.]untuned$' || :)
  [ -z "$left" ] || { echo "left: $left" >&2; exit 1; }
  echo "$file: $round rounds"
}
same() { cmp "$1" "$2"; }

nibble quantize "$TOY" -o whole.nbl -q --fast -t 1 >/dev/null
fight 0.1 whole.nbl fast.nbl nibble quantize "$TOY" -o fast.nbl -q --fast -t 1
nibble quantize "$TOY" -o calibrated -q -t 1 --calib text --tokens 512 --seq 64 >/dev/null
fight 0.4 calibrated c.nbl nibble quantize "$TOY" -o c.nbl -q -t 1 --calib text --tokens 512 --seq 64
nibble quantize "$TOY" -o tuned -q -t 1 --calib text --tokens 512 --seq 64 --tune 2steps >/dev/null
fight 0.6 tuned t.nbl nibble quantize "$TOY" -o t.nbl -q -t 1 --calib text --tokens 512 --seq 64 --tune 2steps
nibble calibrate "$TOY" -o stats --calib text --tokens 512 --seq 64 --probe-tokens 32 -q >/dev/null
fight 0.4 stats s nibble calibrate "$TOY" -o s --calib text --tokens 512 --seq 64 --probe-tokens 32 -q
nibble export m.nbl --hf whole -q
fight 0.05 whole/model.safetensors hf/model.safetensors nibble export m.nbl --hf hf -q
cmp whole/config.json hf/config.json
nibble export m.nbl --gguf whole.gguf -q
fight 0.05 whole.gguf k.gguf nibble export m.nbl --gguf k.gguf -q
nibble quantize whole.gguf -o of_gguf --fast -q >/dev/null
fight 0.1 of_gguf g.nbl nibble quantize whole.gguf -o g.nbl --fast -q -t 1
if packs; then
  nibble pack m.nbl -o whole.nblz -q >/dev/null
  fight 0.05 whole.nblz z.nblz nibble pack m.nbl -o z.nblz -q
  fight 0.05 m.nbl u.nbl nibble unpack whole.nblz -o u.nbl -q
fi

same() {
  answers "$1" >a
  answers "$2" | cmp a -
}
nibble eval m.nbl --task custom --data q.jsonl -q -t 1 --out whole.json >/dev/null
fight 0.5 whole.json r.json nibble eval m.nbl --task custom --data q.jsonl -q -t 1 --out r.json --journal j
