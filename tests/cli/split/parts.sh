# A file in parts is run as the whole is: every command that opens a model takes the first of them.
. "$LIB"
nibble split "$NBL" --size 3e4 -o p >out
[ "$(wc -l <out)" -ge 2 ] || exit 1
n=$(printf %05d "$(wc -l <out | tr -d ' ')")
first=p-00001-of-$n.nbl
while IFS=: read -r name _; do [ "$(size_of "$name")" -le 30000 ] || exit 1; done <out
nibble split "$NBL" --size 30kB -o p --json | jsonq from_bytes | grep -qx "$(size_of "$NBL")"
for f in "$NBL" "$first"; do
  nibble verify "$f" --json >verify.$(basename "$f") # times differ
  nibble generate "$f" -p "the ant" -n 8 --seed 3 --temperature 1 >>text.$(basename "$f")
  nibble tokenize "$f" -p "the ant" >>text.$(basename "$f")
  nibble diff "$f" "$TOY" | sed "s|$f|X|g" >>text.$(basename "$f")
  nibble inspect "$f" -a | sed -e "s|$f|X|g" >>text.$(basename "$f")
  nibble ppl "$f" --text "$DATA/calibration/stories.txt" --ctx 64 --windows 2 --json | jsonq ppl >>text.$(basename "$f") ||
    exit 1
done
cmp text.toy.nbl "text.$first"
nibble export "$NBL" --gguf whole.gguf -q >/dev/null
nibble export "$first" --gguf parts.gguf -q >/dev/null
cmp whole.gguf parts.gguf
if packs; then
  nibble pack "$NBL" -o whole.nblz -q >/dev/null
  nibble pack "$first" -o parts.nblz -q >/dev/null
  cmp whole.nblz parts.nblz
fi
nibble reproduce "$first" "$TOY" -q | grep -qx "$first: equal, byte by byte"
nibble join "$first" -o back.nbl | grep -q "$(size_of "$NBL") bytes"
cmp back.nbl "$NBL"
# Parts of parts, in another size, are parts of the file.
nibble split "$first" --size 4e4 -o q -q >out
nibble join q-00001-of-00002.nbl -o back.nbl -q --force >/dev/null
cmp back.nbl "$NBL"
