# Guesses of the next tokens change no text: greedy and drawn, by cache, checkpoint and file, in generate, chat and serve.
. "$LIB"
text='the ant and the bee and the ant'
guessed=0
for model in "$NBL" "$TOY"; do
  for kv in f32 f16 q16 q8; do
    for how in "" "--temperature 0.2 --seed 3" "--temperature 1 --top-p 0.9 --seed 4"; do
      # shellcheck disable=SC2086
      nibble generate "$model" -q -p "$text" -n 24 --ignore-eos --kv $kv $how --json >with
      # shellcheck disable=SC2086
      nibble generate "$model" -q -p "$text" -n 24 --ignore-eos --kv $kv $how --json --no-speculate >without
      [ "$(jsonq text <with)" = "$(jsonq text <without)" ]
      [ "$(jsonq new_tokens <with)" = 24 ]
      [ "$(jsonq drafted <without)" = 0 ]
      [ "$(jsonq accepted <with)" -le "$(jsonq drafted <with)" ]
      guessed=$((guessed + $(jsonq drafted <with)))
    done
  done
done
[ "$guessed" -gt 0 ]
printf 'the ant\nthe ant\n/stats\n' >turns
nibble chat "$NBL" -q -n 12 <turns >with
nibble chat "$NBL" -q -n 12 --no-speculate <turns >without
grep -v -E '^(last answer|memory|[0-9]+ tokens were guessed)' with >a
grep -v -E '^(last answer|memory)' without >b
cmp a b
