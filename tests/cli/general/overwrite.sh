# No output is written over what is read, over another output, or (without --force) over a file of another kind; a file
# that is replaced keeps its permissions.
. "$LIB"
toy ck
cp "$NBL" m.nbl
calibration_text 400 >c
questions q.jsonl 6
lost() { sum >now; cmp -s before now || { echo "something was written over by: $*" >&2; exit 1; }; }
sum() { find . -type f ! -name before ! -name now ! -name 'fails.*' -exec cksum {} + | sort; }
refuses() { # PATTERN COMMAND...
  refuses_pattern=$1
  shift
  sum >before
  fails 2 "$refuses_pattern" "$@"
  lost "$@"
}
run="nibble eval m.nbl --task custom --data q.jsonl -q"
$run --out r.json >/dev/null
ls ck >ck.files

# What is read.
refuses '*ck/config.json*part of ck*' nibble quantize ck -o ck/config.json
refuses '*ck/tokenizer.json*' nibble quantize ck -o ck/tokenizer.json --force
refuses '*ck/model.safetensors*part of ck*' nibble calibrate ck --calib c -o ck/model.safetensors
refuses '*write over c *' nibble quantize ck --calib c -o c
refuses '*write over c *' nibble calibrate ck --calib c -o ./c --force
refuses '*write over q.jsonl (--data)*' $run --out q.jsonl
refuses '*write over m.nbl (an argument)*' $run --out m.nbl
refuses '*write over m.nbl*' $run --html m.nbl
refuses '*write over m.nbl*' $run --junit "$PWD/m.nbl"
refuses '*write over m.nbl*' $run --journal m.nbl
refuses '*write over m.nbl*' nibble inspect m.nbl --html m.nbl
refuses '*write over r.json (--against)*' $run --against r.json --out r.json
refuses '*write over r.json*' nibble merge r.json -o r.json
refuses '*write over r.json*' nibble compare r.json r.json --html r.json
refuses '*write over c (--text)*' nibble probe m.nbl -f c -o c
refuses '*write over m.nbl*' nibble probe m.nbl -f c -o m.nbl --force
refuses '*write over m.nbl*' nibble export m.nbl --gguf m.nbl --force
refuses '*write over m.nbl*' nibble bench m.nbl --html m.nbl

# What is read along with it, by its name.
echo part >a-00001-of-00002.gguf
cp a-00001-of-00002.gguf a-00002-of-00002.gguf
echo '{}' >results_2026.json
cp results_2026.json samples_t_2026.jsonl
cp q.jsonl v.jsonl
echo 0 >v-labels.lst
ln -s v-labels.lst soft
refuses '*a-00002-of-00002.gguf, which is read with a-00001*' nibble export a-00001-of-00002.gguf --gguf a-00002-of-00002.gguf
refuses '*a-00002-of-00002.gguf, which is read with*' nibble quantize ./a-00001-of-00002.gguf -o a-00002-of-00002.gguf --force
refuses '*samples_t_2026.jsonl, which is read with results_2026.json*' nibble compare r.json results_2026.json --html \
  samples_t_2026.jsonl --force
refuses '*v-labels.lst, which is read with v.jsonl (--data)*' nibble eval m.nbl --task piqa --data v.jsonl --out soft --force
rm a-0000* results_2026.json samples_t_2026.jsonl v.jsonl v-labels.lst soft

# An export over the one that it is made from, or over a tokenizer of elsewhere.
nibble export m.nbl --hf out --tokenizer ck -q
refuses '*out/model.safetensors, a part of out (an argument)*' nibble export out --hf out --dtype f16 --force
refuses '*out/tokenizer.json, a part of out (--tokenizer), which is read*' nibble export m.nbl --tokenizer out --gguf out/tokenizer.json
mkdir theirs
echo '{}' >theirs/tokenizer.json
refuses '*theirs/tokenizer.json is there already*' nibble export m.nbl --hf theirs --tokenizer ck
nibble export m.nbl --hf theirs --tokenizer theirs -q
[ "$(cat theirs/tokenizer.json)" = '{}' ]
rm -r out theirs

# Through links.
ln -s ck/model.safetensors soft
ln m.nbl hard
ln -s ck other
refuses '*part of ck*' nibble quantize ck -o soft
refuses '*part of other*' nibble quantize other -o ck/config.json
refuses '*write over m.nbl*' nibble inspect m.nbl --html hard
ln -s "$PWD/ck/model.safetensors" new.nbl.part
refuses '*part of ck*' nibble quantize ck --calib c -o new.nbl
rm new.nbl.part
echo notes >mine
ln -s mine new.nbl.part
fails 1 '*new.nbl.part*symbolic link*' nibble quantize ck --calib c -o new.nbl --tokens 64 --seq 32 -q --force
[ "$(cat mine)" = notes ]
rm new.nbl.part soft hard other mine

# Each other.
refuses '*--out and --journal would both write x*' $run --out x --journal x
refuses '*--junit and --html would both*' $run --html x --junit ./x
refuses '*would both write x.part*' nibble eval m.nbl m.nbl --task custom --data q.jsonl --out x.part --out ./x.part

# A file of another kind.
echo "my notes" >notes.txt
for option in --out --html --junit --summary --journal --bundle; do
  refuses '*notes.txt is there already and not *--force*' $run $option notes.txt
done
refuses '*notes.txt is there*' nibble quantize ck -o notes.txt
refuses '*r.json is there*a .nbl file*' nibble quantize ck -o r.json
refuses '*m.nbl is there*' nibble calibrate ck --calib c -o m.nbl
refuses '*notes.txt is there already and not questions of nibble probe*' nibble probe m.nbl -f c -o notes.txt
cp notes.txt n.nbl.part
refuses '*n.nbl.part is there already and not finished matrices*' nibble quantize ck -o n.nbl
mv n.nbl.part n.nbl.untuned
refuses '*n.nbl.untuned is there already and not a .nbl file*' nibble quantize ck -o n.nbl
rm n.nbl.untuned
sed 's/"nibble":"[^"]*"/"nobody":"11111"/' ck/model.safetensors >weights
cmp -s weights ck/model.safetensors # made elsewhere
refuses '*ck/model.safetensors is there*' nibble export m.nbl --hf ck
rm weights
chmod 600 notes.txt
nibble quantize ck -o notes.txt --fast --force -q >/dev/null
cmp notes.txt m.nbl
[ "$(ls -l notes.txt | cut -c 1-10)" = -rw------- ]

# One of the same kind, or an empty one, is replaced: each of them, twice.
: >s.md
for time in 1 2; do
  $run --out r.json --html p.html --junit j.xml --summary s.md --journal jl >/dev/null
  nibble inspect m.nbl --html i.html >/dev/null
  nibble quantize ck -o m.nbl --fast -q >/dev/null
  nibble export m.nbl --hf out --tokenizer ck -q
  nibble probe m.nbl -f c --lengths 256 --texts 1 -o probe.jsonl
  (cd ck && nibble quantize . -o in.nbl --fast -q >/dev/null)
done
[ ! -s jl ]
cmp m.nbl ck/in.nbl
$run --bundle b.zip >b.log 2>&1 || grep -q libzip b.log
[ ! -e b.zip ] || $run --bundle b.zip >/dev/null
rm ck/in.nbl
ls ck | cmp - ck.files
