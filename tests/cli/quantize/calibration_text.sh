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
[ ! -e e.nbl ]
[ ! -e e.nbl.part ]
# Several texts and folders, in any form, are drawn from alike; without any, the bundled ones; two draws differ.
mkdir d
calibration_text 300 >d/a.txt
sed 's/the/of/' d/a.txt >d/b.txt
few="--tokens 256 --seq 32"
# shellcheck disable=SC2086
{
  nibble quantize "$TOY" -o one.nbl -q --calib d $few >/dev/null
  nibble quantize "$TOY" -o two.nbl -q --calib d/a.txt --calib d/b.txt $few >/dev/null
  cmp one.nbl two.nbl
  echo "not a text by its name" >d/notes.md
  nibble quantize "$TOY" -o two.nbl --calib d $few >/dev/null 2>err
  grep -q '^nibble: note: 1 file is left out, d/notes.md the first' err && cmp one.nbl two.nbl
  rm d/notes.md
  nibble quantize "$TOY" -o other.nbl -q --calib d --seed 1 $few >/dev/null
  cmp -s one.nbl other.nbl && exit 1
  nibble quantize "$TOY" -o own.nbl -q $few >/dev/null
  nibble inspect own.nbl --json | jsonq metadata.provenance.calibration.kind | grep -qx bundled
  nibble quantize "$TOY" -o own.nbl -q --budget 60kB --probe-tokens 32 $few >/dev/null
  [ "$(size_of own.nbl)" -le 60000 ]
  fails 2 '*--calib self stands alone*' nibble quantize "$TOY" -o x.nbl -q --calib self --calib d $few
}
