# SPDX-License-Identifier: MIT
# Sourced by run.sh. Makes what several cases share: TOY, a tiny checkpoint with random weights and a 109-token
# tokenizer; NBL, its 4-bit file. And the file lib.sh with functions for cases: `. "$LIB"`.
TOY=$WORK/toy NBL=$WORK/toy.nbl LIB=$here/lib.sh
export TOY NBL LIB
for helper in jsonq damage_nbl mutate_nbl; do ln -s "$(dirname "$program")/$helper" "$WORK/bin/$helper"; done
mkdir "$TOY"
cp "$TESTS"/golden/model/gqa_f16/config.json "$TESTS"/golden/model/gqa_f16/model.safetensors "$here"/toy/*.json "$TOY"
nibble quantize -q "$TOY" -o "$NBL" --fast >/dev/null || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
