# A checkpoint against itself: no divergence, always the same top token.
. "$LIB"
i=0
while [ $i -lt 60 ]; do echo "the ant in the thing $i"; i=$((i + 1)); done >text
nibble kld "$TOY" "$TOY" --text text --ctx 32 --json >out 2>/dev/null
[ "$(jsonq kl_max <out | cut -c 1-3)" = 0 ] || [ "$(jsonq kl_max <out)" = 0 ]
[ "$(jsonq top1 <out)" = 1 ]
[ "$(jsonq ref_ppl <out)" = "$(jsonq cand_ppl <out)" ]
nibble kld "$TOY" "$NBL" --text text --ctx 32 -t 1 --json 2>/dev/null | grep -v seconds >one
nibble kld "$TOY" "$NBL" --text text --ctx 32 -t 2 --json 2>/dev/null | grep -v seconds >two
cmp one two
# Several candidates at once: each as it is alone, in the order given, one row each.
nibble quantize -q "$TOY" -o eight.nbl --fast --bits 8 --codes uniform >/dev/null
nibble export "$TOY" --gguf four.gguf --type q4_0 -q
nibble kld "$TOY" eight.nbl "$NBL" four.gguf --text text --ctx 32 --json -q | tr -d ' \t\n' >many
for m in eight.nbl "$NBL" four.gguf; do
  nibble kld "$TOY" "$m" --text text --ctx 32 --json -q | tr -d ' \t\n' | grep -o '"kl_mean":[^,]*'
done >alone
[ "$(sort -u alone | wc -l)" = 3 ]
grep -o '"kl_mean":[^,]*' many | cmp - alone
nibble kld "$TOY" eight.nbl "$NBL" four.gguf --text text --ctx 32 -q >table
[ "$(wc -l <table)" = 8 ]
sed -n 5p table | grep -q 'toy .*reference'
sed -n 8p table | grep -q '^four.gguf '
fails 1 '*missing.gguf*' nibble kld "$TOY" "$NBL" missing.gguf --text text --ctx 32
fails 1 '*nowhere*' nibble kld "$TOY" "$NBL" --text nowhere
fails 2 '*--text*' nibble kld "$TOY" "$NBL"
echo short >short
fails '[12]' '*' nibble kld "$TOY" "$NBL" --text short
# One window has no error; a NaN in the candidate's head (the first tensor) is no divergence of 0.
nibble kld "$TOY" "$NBL" --text text --ctx 32 --chunks 1 2>/dev/null >one
grep -q '^1 window of' one
grep -q nan one && exit 1
toy bad
poke bad/model.safetensors $((8 + $(od -An -tu4 -N4 bad/model.safetensors))) '\000\176'
fails 1 "*bad: the head's logits are not finite*" nibble kld "$TOY" bad --text text --ctx 32
fails 1 "*bad: the head's logits are not finite*" nibble kld bad "$NBL" --text text --ctx 32
fails 1 "*the head's logits are not finite*" nibble generate bad -p the -n 2
# Names of special tokens are text unless asked for as tokens, and the output says which; too long windows are warned of.
i=0
while [ $i -lt 60 ]; do echo "the ant<|end|> in the thing $i"; i=$((i + 1)); done >special
nibble kld "$TOY" "$NBL" --text special --ctx 32 >out 2>/dev/null
grep -q '^60 names of special tokens in the text, read as text' out
nibble kld "$TOY" "$NBL" --text special --ctx 32 --special >parsed 2>/dev/null
grep -q '^60 names of special tokens in the text, read as those tokens' parsed
[ "$(grep -o '^[0-9]* windows' out)" != "$(grep -o '^[0-9]* windows' parsed)" ]
nibble kld "$TOY" "$NBL" --text special --ctx 32 --special --json 2>/dev/null >j
[ "$(jsonq special_names_as <j)" = tokens ]
[ "$(jsonq special_names <j)" = 60 ]
nibble kld "$TOY" "$NBL" --text text --ctx 65 >out 2>err
grep -q "warning: windows of 65 tokens are longer than the 64 that $TOY takes" err
nibble kld "$TOY" "$NBL" --text text --ctx 64 >out 2>err
grep -q longer err && exit 1
grep -q vocabulary err && exit 1
# A candidate with another vocabulary is told by its tokens; one without a tokenizer needs none.
toy other
edit other/tokenizer.json 's/"ing": \([0-9]*\)/"xing": \1/; s/"th": \([0-9]*\)/"ing": \1/; s/"xing"/"th"/' # two change places
nibble kld "$TOY" other --text text --ctx 64 >out 2>err
grep -q 'warning: other has another vocabulary: of [0-9]* of the [0-9]* tokens' err
rm other/tokenizer.json
nibble kld "$TOY" other --text text --ctx 64 2>&1 >out | grep -q vocabulary && exit 1
true
