# Checkpoints that other tools packed are checkpoints: every command takes them. The vocabularies are tiny, so that a
# tokenizer of three tokens must do.
. "$LIB"
cat >tokenizer.json <<'J'
{"added_tokens":[],"normalizer":null,"post_processor":null,"decoder":{"type":"ByteLevel"},
 "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
 "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}
J
i=0
while [ $i -lt 40 ]; do i=$((i + 1)); printf 'abbaaab'; done >text
for kind in gptq4_sym gptq3 awq4 ct4_zeros ct_int8 mlx4; do
  cp -R "$TESTS/golden/packed/$kind" "$kind"
  cp tokenizer.json "$kind"
  nibble inspect "$kind" >report 2>notes
  grep -q '^q, k, v' report
  grep -q 'rounded already' notes
  nibble export "$kind" --hf dense -q --tokenizer "$kind" 2>/dev/null
  nibble diff "$kind" dense --json -q | tr -d ' \t' | grep '"relative_error"' | sed 's/,$//' | sort -u >errors
  [ "$(cat errors)" = '"relative_error":0' ]
  nibble kld dense "$kind" --text text --ctx 32 --json -q >k.json
  [ "$(jsonq kl_max <k.json)" = 0 ]
  nibble generate "$kind" -p ab -n 4 -q >/dev/null 2>&1
  nibble quantize "$kind" -o "$kind.nbl" --tokens 2048 -q 2>/dev/null
  nibble kld "$kind" "$kind.nbl" --text text --ctx 32 --json -q >/dev/null
  rm -r dense
done
# Other tools' are refused by name, with what to do.
edit gptq4_sym/config.json 's/"quant_method": "gptq"/"quant_method": "bitsandbytes", "load_in_8bit": true/'
fails 1 '*bitsandbytes (int8)*dequantize()*' nibble inspect gptq4_sym
edit awq4/config.json 's/"gemm"/"gemv"/'
fails 1 '*AWQ in the layout "gemv"*' nibble inspect awq4
# Where earlier versions left what config.json says now.
sed 's/.*"quantization_config": \(.*\)}$/\1/' gptq3/config.json >gptq3/quantize_config.json
edit gptq3/config.json 's/, "quantization_config".*/}/'
nibble inspect gptq3 2>/dev/null | grep -q '^down'
