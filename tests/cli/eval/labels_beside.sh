# PIQA as its authors distribute it, labels in a file of their own: as a directory, and as one file of it; with the labels in
# the rows; and what is said when there are none, too few, or labels that are no choice.
. "$LIB"
cp -R "$TESTS/golden/mcq/piqa" piqa
nibble quantize -q "$DATA/demo" -o demo.nbl --fast >/dev/null
run="nibble eval demo.nbl --task piqa -q -t 1"
right() { grep -o '"id": "[^"]*"\|"right": \[[^]]*\]' "$1"; }
$run --data piqa --out a.json >/dev/null
$run --data piqa/valid.jsonl --out b.json >/dev/null
right a.json >a
right b.json | cmp a -
[ "$(jsonq answers.1.right.0 <a.json)" = 1 ]
paste -d '\n' piqa/valid.jsonl piqa/valid-labels.lst | awk 'NR % 2 { row = $0; next } { sub(/}$/, ", \"label\": " $0 "}", row); print row }' >rows.jsonl
$run --data rows.jsonl --out c.json >/dev/null
right c.json | cmp a -
printf '0\n1\n' >piqa/valid-labels.lst
fails 1 '*valid*fewer lines*' $run --data piqa
printf '0\n1\n2\n' >piqa/valid-labels.lst
fails 1 '*valid.jsonl:3*outside*' $run --data piqa
rm piqa/valid-labels.lst
fails 1 '*valid.jsonl:1*label*-labels.lst*' $run --data piqa
