# Chats go through the model's template; the model can write the text itself, the same for the same seed. A text without
# use is refused.
. "$LIB"
calibrates -o f.nbl -q >/dev/null
echo '{"messages": [{"role": "user"}]}' >bad.jsonl
fails '[12]' '*bad.jsonl:1*' nibble quantize "$TOY" -o e.nbl -q --calib bad.jsonl
fails '[12]' '*no sequence*' nibble quantize "$TOY" -o e.nbl -q --calib text --tokens 10 --seq 64
: >empty
fails '[12]' '*empty*' nibble quantize "$TOY" -o e.nbl -q --calib empty
self="--calib self --tokens 64 --seq 32 --seed 3"
# shellcheck disable=SC2086
nibble quantize "$TOY" -o f.nbl -q $self >/dev/null
# shellcheck disable=SC2086
nibble quantize "$TOY" -o g.nbl -q -t 1 $self >/dev/null
cmp f.nbl g.nbl
[ ! -e e.nbl ] && [ ! -e e.nbl.part ]
