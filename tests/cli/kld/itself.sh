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
fails 1 "*the candidate: the head's logits are not finite*" nibble kld "$TOY" bad --text text --ctx 32
fails 1 "*the reference: the head's logits are not finite*" nibble kld bad "$NBL" --text text --ctx 32
fails 1 "*the head's logits are not finite*" nibble generate bad -p the -n 2
