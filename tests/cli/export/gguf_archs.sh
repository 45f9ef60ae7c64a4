# Every architecture that GGUF files have: a checkpoint written as one is, weight by weight, what llama.cpp's converter
# makes of it. The vocabularies are tiny, so that a tokenizer of three tokens must do.
. "$LIB"
mkdir tk
cat >tk/tokenizer.json <<'J'
{"added_tokens":[],"normalizer":null,"post_processor":null,"decoder":{"type":"ByteLevel"},
 "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
 "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}
J
for a in "$TESTS"/golden/gguf/archs/*.gguf; do
  name=$(basename "$a" .gguf)
  nibble export "${a%.gguf}" --gguf "$name.gguf" --type bf16 --tokenizer tk -q
  nibble diff "$a" "$name.gguf" --json -q | tr -d ' \t' | grep '"relative_error"' | sed 's/,$//' >errors
  [ "$(wc -l <errors)" -ge 12 ]
  [ "$(sort -u errors)" = '"relative_error":0' ]
done
fails 1 '*llama.gguf*tokenizer.ggml.model*' nibble tokenize "$TESTS/golden/gguf/archs/llama.gguf" -p a
# In parts, and as version 2: the same model.
a=$TESTS/golden/gguf/archs/llama.gguf
cp "$a" two.gguf
poke two.gguf 4 '\002'
for m in "$TESTS/golden/gguf/split/llama-00001-of-00004.gguf" two.gguf; do
  nibble diff "$a" "$m" --json -q | tr -d ' \t' | grep '"relative_error"' | sed 's/,$//' >errors
  [ "$(wc -l <errors)" -ge 9 ]
  [ "$(sort -u errors)" = '"relative_error":0' ]
done
fails 2 '*give the first part*' nibble inspect "$TESTS/golden/gguf/split/llama-00002-of-00004.gguf"
mkdir "parts of it"
for i in 1 2 4; do cp "$TESTS/golden/gguf/split/llama-0000$i-of-00004.gguf" "parts of it"; done
fails 1 '*parts of it/llama-00003-of-00004.gguf*' nibble inspect "parts of it/llama-00001-of-00004.gguf"
