# NaN in rows of the embedding: zeros where no token has the id, refused where one has, or where the head is tied to it.
. "$LIB"
# The toy's embedding is 128 rows of 80 f16; its tokenizer has ids up to 108.
data=$(($(od -An -tu4 -N4 "$TOY/model.safetensors") + 8))
embed=$(($(head -c "$data" "$TOY/model.safetensors" |
  sed 's/.*"model.embed_tokens.weight":{[^}]*"data_offsets":\[\([0-9]*\),.*/\1/' | tail -n 1) + data))
row() { echo $((embed + $1 * 160)); }
expected='nibble: note: a: the embedding has 2 rows with*the first for id 110, that no token uses: zeros stand for them'
said() {
  case $(grep 'no token' "$1") in
  $2) ;;
  *) cat "$1" >&2; exit 1 ;;
  esac
}

toy a
poke a/model.safetensors "$(($(row 110) + 6))" '\000\176'
poke a/model.safetensors "$(row 127)" '\000\374'
toy zero
for n in 110 127; do dd if=/dev/zero of=zero/model.safetensors bs=1 seek="$(row $n)" count=160 conv=notrunc 2>/dev/null; done

# Fast, dense and calibrated: the same matrices as of the checkpoint that has zeros there.
calibration_text 400 >text
for how in "--fast" "--fast --embed dense" "--calib text --tokens 512 --seq 64 --group 32"; do
  for c in a zero; do nibble quantize $how $c -o $c.nbl 2>$c.err >/dev/null; done
  said a.err "$expected"
  grep 'no token' zero.err && exit 1
  nibble diff a.nbl zero.nbl >diff.out
  tail -n 1 diff.out | grep 'relative error 0$' || { cat diff.out >&2; exit 1; }
  # What each command reads of the checkpoint is what was quantized, also where it needs no tokenizer.
  for c in a zero; do nibble diff $c zero.nbl 2>>a.err >$c.diff; done
  cmp a.diff zero.diff
  rm a.nbl zero.nbl
done

for c in a zero; do
  nibble export $c --hf $c.hf 2>$c.err
  nibble export $c --gguf $c.gguf --type q8_0 --tokenizer $c -q
  nibble inspect $c >$c.inspect 2>>$c.err
  nibble kld $c $c --text text --chunks 1 --ctx 64 --json 2>>$c.err | jsonq ref_ppl >$c.kld
  nibble ppl $c --text text --windows 1 --ctx 64 2>>$c.err >$c.ppl
  nibble generate $c -p 'the ant' -n 3 2>>$c.err >$c.text
done
for output in hf/model.safetensors hf/config.json gguf kld text; do cmp a.$output zero.$output; done
said a.err "$expected"
nibble diff a.gguf zero.hf -n 1 >/dev/null

# A row that a token has.
toy b
poke b/model.safetensors "$(row 108)" '\000\176'
fails 1 '*embed_tokens*NaN*row 108*' nibble quantize b -o x.nbl --fast
fails 1 'nibble: b: embed: a weight in row 108 is NaN or infinite' nibble diff "$NBL" b

# A tied head multiplies by the row.
toy c
edit c/config.json 's/"tie_word_embeddings": false/"tie_word_embeddings": true/'
poke c/model.safetensors "$(row 127)" '\000\374'
dd if=c/model.safetensors bs=1 skip="$(row 0)" count=20480 2>/dev/null |
  dd of=c/model.safetensors bs=1 seek="$data" conv=notrunc 2>/dev/null
fails 1 '*lm_head*NaN*row 127*' nibble quantize c -o x.nbl --fast
nibble quantize c -o x.nbl --fast 2>c.err || :
said c.err '*1 row with*id 127*the head multiplies by them too*'
[ ! -e x.nbl ]
[ ! -e x.nbl.part ]
