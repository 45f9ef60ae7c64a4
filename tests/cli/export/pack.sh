# A packed file expands to the identical one, of any format; a damaged one to nothing.
. "$LIB"
packs || skip "this build has no zstd, and says so"
nibble quantize "$TOY" -o many.nbl -q --fast --set q=3 --set k=c4g32 --set v=5 --set o=6 --set gate=u7g64 --set up=8 --embed dense >/dev/null
for f in "$NBL" many.nbl; do
  nibble pack "$f" -o p.nblz -q --force >/dev/null
  nibble unpack p.nblz -o back.nbl -q >/dev/null
  cmp "$f" back.nbl
  [ "$(size_of p.nblz)" -lt "$(size_of "$f")" ]
done
nibble pack many.nbl -o p.nblz -q --json | jsonq bytes | grep -qx "$(size_of p.nblz)"
rm back.nbl
n=$(size_of p.nblz)
for at in 0 5 9 17 25 65 80 $((n / 4)) $((n / 2)) $((n - 2)); do
  cp p.nblz x.nblz
  old=$(dd if=x.nblz bs=1 skip=$at count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
  poke x.nblz $at "\\$(printf %o $(((old + 1) % 256)))"
  fails 1 '*x.nblz*' nibble unpack x.nblz -o x.nbl
done
head -c $((n - 1)) p.nblz >x.nblz
fails 1 '*x.nblz*damaged*' nibble unpack x.nblz -o x.nbl
{ cat p.nblz; echo; } >x.nblz
fails 1 '*x.nblz*damaged*' nibble unpack x.nblz -o x.nbl
fails 1 '*not a packed*' nibble unpack many.nbl -o x.nbl
fails 1 '*' nibble pack p.nblz -o y.nblz
fails 2 '*would*' nibble pack many.nbl -o many.nbl
fails 2 '*-o FILE*' nibble pack many.nbl
only many.nbl p.nblz x.nblz
