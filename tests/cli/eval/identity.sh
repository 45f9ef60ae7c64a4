# A .nbl file descends from its checkpoint; what it is called does not matter, what is in it does.
. "$LIB"
questions q.jsonl 3
run() { nibble eval "$1" --task custom --data q.jsonl -q --out "$2.json" >/dev/null; }
run "$TOY" toy
run "$NBL" nbl
cp "$NBL" other-name.nbl
run other-name.nbl copy
of() { jsonq "model.$2" <"$1.json"; }
[ "$(of toy lineage_xxh3)" = "$(of toy weights_xxh3)" ]
[ "$(of nbl lineage_xxh3)" = "$(of toy lineage_xxh3)" ]
[ "$(of nbl weights_xxh3)" != "$(of toy weights_xxh3)" ]
[ "$(of copy weights_xxh3)" = "$(of nbl weights_xxh3)" ]
nibble quantize -q "$TOY" --fast --bits 3 -o three.nbl >/dev/null
run three.nbl three
[ "$(of three weights_xxh3)" != "$(of nbl weights_xxh3)" ]
[ "$(of three lineage_xxh3)" = "$(of toy lineage_xxh3)" ]
