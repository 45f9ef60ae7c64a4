# Any flipped byte and any cut is found.
. "$LIB"
n=$(size_of "$NBL")
for at in 0 9 40 $((n / 4)) $((n / 2)) $((n - 1)); do
  cp "$NBL" x.nbl
  old=$(dd if=x.nbl bs=1 skip=$at count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
  poke x.nbl $at "\\$(printf %o $(((old + 1) % 256)))"
  fails 1 '*x.nbl*' nibble verify x.nbl
done
for keep in 0 1 100 $((n - 1)); do
  dd if="$NBL" of=x.nbl bs=$((keep > 0 ? keep : 1)) count=$((keep > 0)) 2>/dev/null
  fails 1 '*x.nbl*' nibble verify x.nbl
  fails 1 '*x.nbl*' nibble inspect x.nbl
done
cp "$NBL" x.nbl
printf x >>x.nbl
fails 1 '*x.nbl*' nibble verify x.nbl
fails 1 '*nowhere.nbl*' nibble verify nowhere.nbl
fails 1 '*' nibble verify "$TOY/config.json"
