# The same text for any number of threads and instruction set; a seed fixes a sampled one; JSON says the same.
. "$LIB"
nibble generate "$NBL" -q -p 'the ant' -n 12 --ignore-eos >one
[ -s one ]
for how in "-t 1" "-t 2" "--cpu ref"; do
  # shellcheck disable=SC2086
  nibble generate "$NBL" -q -p 'the ant' -n 12 --ignore-eos $how >two
  cmp one two
done
nibble generate "$NBL" -q -p 'the ant' -n 12 --ignore-eos --json >j
[ "$(jsonq text <j)" = "$(cat one)" ]
[ "$(jsonq new_tokens <j)" = 12 ]
nibble generate "$TOY" -q -p 'the ant' -n 12 --ignore-eos --temperature 1 --seed 7 >a
nibble generate "$TOY" -q -p 'the ant' -n 12 --ignore-eos --temperature 1 --seed 7 >b
nibble generate "$TOY" -q -p 'the ant' -n 12 --ignore-eos --temperature 1 --seed 8 >c
cmp a b
cmp -s a c && exit 1
printf 'the ant' >prompt
nibble generate "$NBL" -q -f prompt -n 12 --ignore-eos >three
cmp one three
