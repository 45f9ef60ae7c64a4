# A GGUF file is the model that it was made of: the same logits, ids and, when it is coded, bytes; and damage is refused.
. "$LIB"
nibble export "$TOY" --gguf toy.gguf --type f16 2>/dev/null
i=0
while [ $i -lt 60 ]; do echo "the ant in the thing $i"; i=$((i + 1)); done >text
nibble kld "$TOY" toy.gguf --text text --ctx 32 --json -q >k.json
[ "$(jsonq kl_max <k.json)" = 0 ]
[ "$(jsonq top1 <k.json)" = 1 ]
[ "$(nibble tokenize "$TOY" -f text)" = "$(nibble tokenize toy.gguf -f text)" ]
nibble inspect toy.gguf | grep -q "$(size_of toy.gguf)"

# rounded, from a .nbl file too, and read as a source again
nibble export "$NBL" --gguf q.gguf --type q8_0 --json 2>/dev/null >q.json
[ "$(jsonq bytes <q.json)" = "$(size_of q.gguf)" ]
nibble kld "$NBL" q.gguf --text text --ctx 32 --json -q >k.json
jsonq kl_mean <k.json | awk '{exit !($1 < 0.01)}'
nibble quantize -q toy.gguf -o again.nbl --fast
nibble kld "$NBL" again.nbl --text text --ctx 32 --json -q | jsonq kl_max | grep -qx 0

fails 2 '*either --hf DIR or --gguf FILE*' nibble export "$TOY"
fails 2 '*either --hf DIR or --gguf FILE*' nibble export "$TOY" --hf a --gguf b
fails [12] '*' nibble export toy.gguf --gguf toy.gguf
head -c 3000 toy.gguf >short.gguf
fails 1 '*short.gguf*' nibble inspect short.gguf
