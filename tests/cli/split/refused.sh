# What is no part, or no part of this file, is refused by name; nothing that is read is written over.
. "$LIB"
nibble split "$NBL" --size 3e4 -o p -q >out
n=$(printf %05d "$(wc -l <out | tr -d ' ')")
[ "$n" = 00002 ] || [ "$n" = 00003 ] || exit 1
fails 1 "*p-00002-of-$n.nbl is part 2 of *: give the first" nibble verify p-00002-of-$n.nbl
nibble quantize "$TOY" -o other.nbl --fast --bits 4 --group 32 --head u6g32 -q >/dev/null 2>&1 ||
  nibble quantize "$TOY" -o other.nbl --fast --bits 5 -q >/dev/null
nibble split other.nbl --size 3e4 -o o -q >out
mkdir keep
cp p-* o-* keep
cp "$(ls o-00002-*)" p-00002-of-$n.nbl
fails 1 "*p-00002-of-$n.nbl is a part of another file than p-00001-of-$n.nbl*" nibble generate p-00001-of-$n.nbl -p x
cp keep/p-00001-of-$n.nbl p-00002-of-$n.nbl
fails 1 "*p-00002-of-$n.nbl is part 1 of *, but stands where part 2 should*" nibble inspect p-00001-of-$n.nbl
rm p-00002-of-$n.nbl
fails 1 "*p-00002-of-$n.nbl: cannot open*" nibble generate p-00001-of-$n.nbl -p x
cp keep/p-* .
cp p-00001-of-$n.nbl renamed.nbl
fails [12] "*renamed.nbl is the first of * parts*its name*-00001-of-$n.nbl" nibble verify renamed.nbl
# A flipped byte names the part that it is in.
poke p-00002-of-$n.nbl 5000 '\377\001\377\001'
fails 1 "*p-00002-of-$n.nbl is damaged: the checksum of*" nibble verify p-00001-of-$n.nbl
fails 1 "*p-00002-of-$n.nbl is damaged*" nibble join p-00001-of-$n.nbl -o j.nbl
[ ! -e j.nbl ] || exit 1
fails 1 "*p-00002-of-$n.nbl is damaged*" nibble split p-00001-of-$n.nbl --size 4e4 -o s
cp keep/p-* .
# Outputs.
fails 2 '*--size*' nibble split "$NBL" -o p
fails 2 '*-o PREFIX*' nibble split "$NBL" --size 1G
fails 2 '*stay together: give * at least' nibble split "$NBL" --size 100 -o s
fails 2 '*would write over p-0000*' nibble split p-00001-of-$n.nbl --size 3e4 -o p
fails 2 '*would write over p-00002*' nibble join p-00001-of-$n.nbl -o p-00002-of-$n.nbl
echo mine >s-00001-of-00001.nbl
fails 2 '*s-00001-of-00001.nbl is there already and not a part of a split .nbl file*' nibble split "$NBL" --size 1G -o s
nibble split "$NBL" --size 1G -o s --force -q >/dev/null
nibble verify s-00001-of-00001.nbl >/dev/null
fails 1 '*not a text*' nibble ppl "$NBL" --text p-00001-of-$n.nbl
fails 1 '*p-00001-of-*' nibble eval "$NBL" --task custom --data p-00001-of-$n.nbl
