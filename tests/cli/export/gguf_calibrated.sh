# Blocks by calibration: the same bytes for any threads, less lost than by rounding each weight, and what is asked for.
. "$LIB"
# One whose rows are whole blocks.
mkdir whole
cp "$TESTS"/golden/model/sharded/config.json "$TESTS"/golden/model/sharded/*safetensors* "$TOY"/tokenizer*.json whole
calibration_text 400 >text
calibration_text 60 | sed 's/a text/the text/' >held
for t in q4_0 iq4_nl; do
  nibble export whole --gguf plain.gguf --type $t -q
  nibble export whole --gguf a.gguf --type $t --calib text --tokens 512 --seq 64 -q -t 1
  nibble export whole --gguf b.gguf --type $t --calib text --tokens 512 --seq 64 -q -t 2
  cmp a.gguf b.gguf
  [ "$(size_of a.gguf)" = "$(size_of plain.gguf)" ]
  cmp -s a.gguf plain.gguf && exit 1
  rm a.gguf b.gguf plain.gguf
done
nibble export whole --gguf wide.gguf --type q4_0 --embed q8_0 --head f16 --calib text --tokens 512 --seq 64 2>notes
grep -q 'calibrated on 512 tokens' notes
nibble inspect wide.gguf >report
# A solved head, whose inputs' scales are in the final norm, loses less than one rounded weight by weight.
nibble export whole --gguf plain.gguf --type q4_0 --head q4_0 -q
nibble export whole --gguf solved.gguf --type q4_0 --head q4_0 --calib text --tokens 1024 --seq 64 -q
nibble kld whole plain.gguf solved.gguf --text held --ctx 64 --json -q >k.json
awk -v p="$(jsonq 0.kl_mean <k.json)" -v s="$(jsonq 1.kl_mean <k.json)" 'BEGIN { exit !(s > 0 && s < p) }'
nibble kld whole wide.gguf --text held --ctx 64 --json -q >/dev/null
fails 2 '*--type*' nibble export whole --gguf x.gguf --calib text
fails [12] '*.nbl file is rounded already*' nibble export "$NBL" --gguf x.gguf --type q4_0 --calib text
[ ! -e x.gguf ]
