# kill -9 after a finished layer: the run goes on from there with the same bytes and report; never with other settings or
# inputs; damaged remains are not used.
. "$LIB"
cp -R "$DATA/demo" m
cp m/calibrate.txt text
q() { q_out=$1; shift; nibble quantize m -o "$q_out" --calib text --tokens 1024 --seq 128 --fisher-tokens 128 --group 32 -t 1 "$@"; }
q a.nbl --json >a.json 2>err
grep -v '"seconds"\|"file"' a.json >a
part_size() { [ -e c.nbl.part ] && size_of c.nbl.part || echo 0; }

# Killed whenever the file of finished layers has grown once more.
trial=0 killed=0
while [ $trial -lt 3 ]; do
  trial=$((trial + 1))
  before=$(part_size)
  nibble quantize m -o c.nbl -q --calib text --tokens 1024 --seq 128 --fisher-tokens 128 --group 32 -t 1 >/dev/null 2>&1 & pid=$!
  [ "$before" -gt 0 ] || grown c.nbl.part 0 $pid
  first=$(part_size)
  grown c.nbl.part "$first" $pid
  kill -9 $pid 2>/dev/null && killed=$((killed + 1))
  wait $pid 2>/dev/null || :
  [ -e c.nbl.part ] || break
  [ $killed -gt 0 ] && cp c.nbl.part kept.$trial
done
[ -e c.nbl.part ] || [ -e kept.1 ] || skip "quantizing ended before it could be killed"
[ -e c.nbl.part ] || cp kept.1 c.nbl.part
q c.nbl --json >c.json 2>err
grep -q '^nibble: note: going on after [1-9][0-9]* of 28 matrices' err
cmp a.nbl c.nbl
grep -v '"seconds"\|"file"' c.json | cmp a - # with the losses of the layers that the killed runs did
[ ! -e c.nbl.part ]
[ "$(ls -A | grep -c nibble-)" = 0 ] # nor any temporary file of the killed runs

# Other settings, another text, another checkpoint.
cp kept.1 c.nbl.part
fails '[12]' '*c.nbl.part*other settings or inputs*' q c.nbl -q --damp 0.5
fails '[12]' '*c.nbl.part*other settings or inputs*' q c.nbl -q --seq 64
sed 's/the/THE/' text >text2
mv text2 text
fails '[12]' '*c.nbl.part*other settings or inputs*' q c.nbl -q
cp m/calibrate.txt text
cp -p m/model.safetensors m/kept
touch -t 200001010000 m/model.safetensors
fails '[12]' '*c.nbl.part*other settings or inputs*' q c.nbl -q
touch -r m/kept m/model.safetensors
poke m/model.safetensors $(($(od -An -t u8 -N 8 m/model.safetensors) + 40)) '\125' # one byte of a weight, the time kept
touch -r m/kept m/model.safetensors
fails '[12]' '*c.nbl.part*other settings or inputs*' q c.nbl -q
cmp kept.1 c.nbl.part # nothing was lost

# Nor is another file lost that has the name by chance.
echo "my notes" >c.nbl.part
fails 2 '*c.nbl.part is there already and not finished matrices of nibble quantize*' q c.nbl -q
[ "$(cat c.nbl.part)" = "my notes" ]

# A record that is damaged or cut short is done again, a beginning that is torn is not used.
mv m/kept m/model.safetensors
for how in cut damaged torn formats; do
  rm c.nbl
  cp kept.1 c.nbl.part
  case $how in
  cut) head -c $(($(size_of c.nbl.part) - 5)) c.nbl.part >p && mv p c.nbl.part ;;
  damaged) poke c.nbl.part $(($(size_of c.nbl.part) / 2)) '\125\252' ;;
  formats) poke c.nbl.part 32 '\005' ;; # those chosen, at the beginning
  torn) head -c 30 c.nbl.part >p && mv p c.nbl.part ;;
  esac
  q c.nbl -q >/dev/null 2>&1
  cmp a.nbl c.nbl
done

# Never two runs at once with one output, never records of one run in the file of another: the second is told before it works.
rm -f c.nbl c.nbl.part
nibble quantize m -o c.nbl -q --calib text --tokens 1024 --seq 128 --fisher-tokens 128 --group 32 -t 1 >/dev/null 2>&1 & pid=$!
grown c.nbl.part 0 $pid
kill -STOP $pid
if kill -0 $pid 2>/dev/null && [ -e c.nbl.part ]; then
  fails 1 '*c.nbl.part: in use by another*quantize*' q c.nbl -q --damp 0.5
  fails 1 '*c.nbl.part: in use by another*quantize*' q c.nbl -q
fi
kill -CONT $pid
wait $pid
cmp a.nbl c.nbl
cp kept.1 c.nbl.part
q d.nbl -q --damp 0.5 >/dev/null & pid=$!
grown d.nbl.part 20000 $pid
kill -9 $pid 2>/dev/null && wait $pid 2>/dev/null || :
if [ -e d.nbl.part ]; then # the same header, records of another run behind it
  head=$((32 + 30 * 27 + 8))
  { head -c $head kept.1; tail -c +$((head + 1)) d.nbl.part; } >c.nbl.part
  q c.nbl >/dev/null 2>err
  grep -q 'going on after 0 of 28' err
  cmp a.nbl c.nbl
fi
rm -f d.nbl*
