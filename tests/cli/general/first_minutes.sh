# What is given by mistake in the first minutes is called by its name, with what to do.
. "$LIB"
is() { # PATTERN MODEL: what is said of it
  fails 1 "nibble: $1" nibble inspect "$2"
  fails 1 "nibble: $1" nibble generate "$2" -p x
}
pointer() { printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 1234\n' 7 >"$1"; }

toy a; pointer a/model.safetensors
is 'a/model.safetensors is a pointer of git-lfs*git lfs pull*' a
toy b; pointer b/tokenizer.json
fails 1 '*b/tokenizer.json is a pointer of git-lfs*' nibble generate b -p x
toy c; ln -sf ../../blobs/0123 c/model.safetensors
is 'c/model.safetensors is a link to a file that is not there*' c
ln -s nothing gone
is 'gone is a link to something that is not there*' gone
mkdir -p models--x--y/blobs models--x--y/refs models--x--y/snapshots/abc123
cp "$TOY"/* models--x--y/snapshots/abc123
is 'models--x--y is a model?s root*give models--x--y/snapshots/abc123' models--x--y
nibble inspect models--x--y/snapshots/abc123 >/dev/null
mkdir -p empty--root/snapshots
is '*cache holds nothing of it' empty--root
mkdir lora; echo '{"base_model_name_or_path": "some/base", "peft_type": "LORA"}' >lora/adapter_config.json
: >lora/adapter_model.safetensors
is '*lora holds an adapter (LoRA), not a whole model: join it with some/base first*merge_and_unload*' lora
is '*microsoft/Phi-3: there is no such folder*downloads nothing*hf download microsoft/Phi-3 --local-dir Phi-3*' microsoft/Phi-3
toy d; mv d/model.safetensors d/pytorch_model.bin
is '*d has its weights in PyTorch?s format (pytorch_model.bin)*save_pretrained*' d
mkdir outer; toy outer/inner
is '*outer has no config.json; did you mean outer/inner?' outer
toy e; rm e/tokenizer.json
fails 1 '*e has no tokenizer.json: download it too' nibble generate e -p x
: >e/tokenizer.model
fails 1 '*e has no tokenizer.json: *or make it of tokenizer.model*save_pretrained*' nibble tokenize e -p x
nibble inspect e >/dev/null # needs none

# Files.
is "*toy/model.safetensors is a .safetensors file, not a .nbl file: give its folder*" "$TOY/model.safetensors"
is '*config.json is the configuration of a checkpoint, not a .nbl file: give its folder' "$TOY/config.json"
printf 'GGUF\3\0\0\0' >m.gguf
is '*m.gguf: it ends within its head: it is truncated*' m.gguf
printf 'PAR1....' >m.parquet
is '*m.parquet is a Parquet file*' m.parquet
printf '<!DOCTYPE html><html>login</html>' >page
is '*page is a web page, not a .nbl file: what should be here was not downloaded' page
pointer lfs.nbl
is '*lfs.nbl is a pointer of git-lfs in place of the file, not a .nbl file: run*' lfs.nbl
echo '{"results": {"mmlu": {"acc,none": 0.5}}}' >harness.json
is '*harness.json is a result of lm-evaluation-harness, not a .nbl file' harness.json
fails 1 '*harness.json is a result of lm-evaluation-harness, not a result of nibble eval: give the file*' nibble compare harness.json harness.json
fails 1 '*toy.nbl is a .nbl file, not a result of nibble eval: run it with*' nibble compare "$NBL" "$NBL"

# Each command that takes one kind of file alone says what it got.
printf 'NBLZ\000\000\000\001%056d' 0 >packed.nblz # its beginning: not every build can pack
questions q.jsonl 6
nibble eval "$NBL" --task custom --data q.jsonl -q --out result.json >/dev/null
for command in verify "pack -o x" "generate -p x" serve; do
  case $command in pack*) packs || continue ;; esac # a build that cannot says that first
  fails 1 '*packed.nblz is a packed .nbl file, not a .nbl file: expand it with `nibble unpack`' nibble $command packed.nblz
  fails 1 '*result.json is a result of nibble eval, not a .nbl file*' nibble $command result.json
done
fails 1 '*packed.nblz is a packed .nbl file*' nibble reproduce packed.nblz "$TOY"
fails 1 '*toy.nbl is a .nbl file, not a packed .nbl file' nibble unpack "$NBL" -o x
fails 1 '*lfs.nbl is a pointer of git-lfs in place of the file, not a packed .nbl file: run*' nibble unpack lfs.nbl -o x
fails 1 '*result.json is a result of nibble eval, not a conversation of nibble chat' nibble chat "$NBL" --load result.json
fails 1 '*result.json is a result of nibble eval, not a file of nibble calibrate' nibble quantize "$TOY" -o x --stats result.json

# What a refusal names is not hidden behind what else is missing.
toy f; rm f/tokenizer.json
edit f/config.json 's/^{$/{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"},/'
fails 1 '*f/config.json: the checkpoint is quantized by bitsandbytes*' nibble quantize f -o x.nbl
rm -r f

# Names of tensors. The prefix takes the place of blanks that pad the header.
renamed() { # DIR SED-SCRIPT: the header rewritten; its length changes
  toy "$1"
  f=$1/model.safetensors
  n=$(od -An -t u8 -N 8 "$f" | tr -d ' ')
  dd if="$f" bs=1 skip=8 count="$n" 2>/dev/null | sed "$2" >header
  tail -c +$((8 + n + 1)) "$f" >data
  { u64le "$(size_of header)"; cat header data; } >"$f"
  cmp -s "$f" "$TOY/model.safetensors" && { echo "nothing was renamed" >&2; exit 1; }
  rm header data
}
renamed f 's/"model\./"_orig_mod.model./g'
is '*begin with "_orig_mod."*save model._orig_mod instead' f
renamed g 's/"model\./"base_model.model.model./g'
is '*begin with "base_model.model."*merge_and_unload*' g
renamed h 's/"model\./"/g'
is '*lack the prefix "model."*' h
renamed i 's/"lm_head.weight"/"model.layers.0.self_attn.o_proj.lora_A.weight"/'
is '*an adapter stands beside the weights*' i

# Buffers and heads that change nothing are left out with a note; what is not known is refused.
nibble generate "$TOY" -p the -n 8 2>/dev/null >want
add() { # DIR NAME SHAPE BYTES: one tensor more, at the end
  toy "$1"
  f=$1/model.safetensors
  n=$(od -An -t u8 -N 8 "$f" | tr -d ' ')
  data=$(($(size_of "$f") - 8 - n))
  dd if="$f" bs=1 skip=8 count="$n" 2>/dev/null | sed 's/} *$//' >header
  printf ',"%s":{"dtype":"F32","shape":%s,"data_offsets":[%s,%s]}}' "$2" "$3" "$data" $((data + $4)) >>header
  { u64le "$(size_of header)"; cat header; tail -c +$((8 + n + 1)) "$f"; head -c "$4" /dev/zero | tr "\\0" "\\1"; } >new
  mv new "$f"
  rm header
}
k=0
while read -r name shape bytes; do
  k=$((k + 1))
  add n$k "$name" "$shape" "$bytes"
  nibble generate n$k -p the -n 8 2>err >have
  cmp want have
  grep -q "^nibble: note: n$k: left out: 1 .*($name)" err || { cat err >&2; exit 1; }
done <<END
model.layers.0.self_attn.rotary_emb.inv_freq [5] 20
model.layers.0.self_attn.rotary_emb.cos_cached [2,5] 40
transformer.h.0.attn.bias [1,1,2,2] 16
model.embed_positions.position_ids [1,4] 16
v_head.summary.weight [1,4] 16
model.layers.0.self_attn.q_norm.weight [0] 0
END
add o model.layers.0.self_attn.o_proj.bias '[4]' 16
is '*o_proj.bias" has no place*' o
toy p
mv p/model.safetensors p/model-1.safetensors
printf '{"weight_map": {"lm_head.weight": "model-1.safetensors", "visual.weight": "model-1.safetensors"}}' >p/model.safetensors.index.json
nibble generate p -p the -n 8 2>err >have
cmp want have
grep -q 'note: p: the index names 1 tensors that no file has.*visual.weight' err

# A model or a table is not a text, whose numbers would mean nothing.
for command in "ppl $NBL --text" "kld $TOY $NBL --text" "probe $NBL -o x.jsonl --text" "generate $NBL -n 1 --file" \
  "quantize $TOY -o x.nbl --calib" "calibrate $TOY -o x.stats --calib"; do
  fails 1 '*m.gguf is a GGUF file, not a text' nibble $command m.gguf
  fails 1 '*m.parquet is a Parquet file of a data set, not a text' nibble $command m.parquet
done
