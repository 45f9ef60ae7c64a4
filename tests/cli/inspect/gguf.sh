# Every command that takes a checkpoint takes a GGUF file, and says what the checkpoint says; where its tokenizer is not
# known, another is given.
. "$LIB"
questions q.jsonl 12
calibration_text 60 >text
nibble export "$TOY" --gguf "a b.gguf" --type f16 -q
says() { # COMMAND... of the checkpoint and of the file: the same output
  one=$1
  shift
  nibble "$one" "$TOY" "$@" >of_folder 2>/dev/null
  nibble "$one" "a b.gguf" "$@" >of_file 2>/dev/null
  [ -s of_file ]
  cmp of_folder of_file
}
says generate -p "the ant" -n 8
says generate -p "the ant" -n 8 --temperature 1 --seed 3
nibble ppl "$TOY" --text text --ctx 32 --json -q | grep '"nll"' >of_folder
nibble ppl "a b.gguf" --text text --ctx 32 --json -q | grep '"nll"' | cmp - of_folder
nibble eval "$TOY" --task custom --data q.jsonl -q --out folder.json >/dev/null
nibble eval "a b.gguf" --task custom --data q.jsonl -q --out file.json >/dev/null
answers folder.json >of_folder
answers file.json | cmp - of_folder
nibble compare folder.json file.json --any-model --margin 50 >verdict
grep -q 'change +0.00' verdict
nibble bench "a b.gguf" --prefill 8 --decode 0 --json -q 2>/dev/null | jsonq runs.0.decode.0.tokens_per_s >/dev/null
printf 'hello\n' | nibble chat "a b.gguf" -n 4 >chatted 2>/dev/null
[ -s chatted ]
# A source: of floats and Q8_0 without a word, of fewer bits with a warning.
nibble quantize "$TOY" -o folder.nbl --fast -q
nibble quantize "a b.gguf" -o file.nbl --fast 2>notes >/dev/null
nibble kld folder.nbl file.nbl --text text --ctx 32 --json -q | jsonq kl_max | grep -qx 0
grep rounded notes && exit 1
mkdir whole # its rows are whole blocks
cp "$TESTS"/golden/model/sharded/config.json "$TESTS"/golden/model/sharded/*safetensors* "$TOY"/tokenizer*.json whole
for t in q8_0 q4_0; do
  nibble export whole --gguf $t.gguf --type $t -q
  nibble quantize $t.gguf -o $t.nbl --fast 2>$t.notes >/dev/null
done
# Blocks are carried over as they are: all behind the names is the same.
for t in q8_0 q4_0; do
  tail -c 30000 $t.gguf >end
  for as in auto $t; do
    nibble export $t.gguf --gguf again.gguf --type $as -q
    tail -c 30000 again.gguf | cmp - end
    nibble diff $t.gguf again.gguf --json -q | tr -d ' \t,' | grep '"relative_error"' | sort -u >errors
    [ "$(cat errors)" = '"relative_error":0' ]
    rm again.gguf
  done
done
grep rounded q8_0.notes && exit 1
grep -q 'q4_0.gguf: the file holds matrices rounded to Q4_0: what is made of it loses a second time' q4_0.notes

# A tokenizer that is not known is refused with what to do, and that helps every command.
cp "a b.gguf" strange.gguf
at=$(LC_ALL=C grep -abo tokenizer.ggml.model strange.gguf | head -n 1 | cut -d : -f 1)
poke strange.gguf $((at + 32)) x
fails 1 '*strange.gguf*the tokenizer "x*--tokenizer DIR' nibble generate strange.gguf -p the -n 2
mkdir tk
cp "$TOY"/tokenizer*.json tk
nibble generate strange.gguf --tokenizer tk -p "the ant" -n 8 2>/dev/null >of_file
nibble generate "$TOY" -p "the ant" -n 8 2>/dev/null | cmp - of_file
nibble eval strange.gguf --tokenizer tk --task custom --data q.jsonl -q --out strange.json >/dev/null
answers folder.json >of_folder
answers strange.json | cmp - of_folder
nibble kld strange.gguf "$TOY" --tokenizer "$TOY" --text text --ctx 32 --json -q | jsonq kl_max | grep -qx 0
nibble quantize strange.gguf --tokenizer tk -o strange.nbl --fast -q
[ "$(nibble tokenize strange.nbl -f text)" = "$(nibble tokenize "$TOY" -f text)" ]
fails 1 '*nowhere*' nibble generate strange.gguf --tokenizer nowhere -p the
nibble inspect strange.gguf >/dev/null

# Cut short anywhere, and what only looks like one.
n=$(size_of "a b.gguf")
for k in 0 3 4 23 24 100 $((n / 3)) $((n / 2)) $((n - 1)); do
  head -c "$k" "a b.gguf" >short.gguf
  fails 1 '*short.gguf*' nibble inspect short.gguf
  fails 1 '*short.gguf*' nibble generate short.gguf -p the -n 1
done
mkdir empty
fails 1 '*empty*' nibble inspect empty
cp q.jsonl questions.gguf
fails 1 '*questions.gguf*' nibble inspect questions.gguf
