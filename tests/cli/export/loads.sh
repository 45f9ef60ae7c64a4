# The exported checkpoint is one that nibble reads, and coding it again gives nearly the same model.
. "$LIB"
nibble export "$NBL" --hf out --tokenizer "$TOY" >/dev/null 2>&1
i=0
while [ $i -lt 60 ]; do echo "the ant in the thing $i"; i=$((i + 1)); done >text
nibble kld out "$NBL" --text text --ctx 32 --json >k.json 2>/dev/null
[ "$(jsonq kl_mean <k.json | cut -c 1-4)" = 0.00 ] || jsonq kl_mean <k.json | grep -q 'e-'
fails 2 '*--hf*' nibble export "$NBL"
fails 1 '*nowhere*' nibble export nowhere --hf out2
