# eval and inspect say the same bits a weight, of both forms.
. "$LIB"
questions q.jsonl 3
for model in "$NBL" "$TOY"; do
  nibble eval "$model" --task custom --data q.jsonl -q --out a.json >out
  said=$(jsonq model.bits_a_weight <a.json)
  inspected=$(nibble inspect "$model" | sed -n 's/^file .* //p')
  [ "$said" = "$inspected" ] || { echo "$said is not $inspected" >&2; exit 1; }
  grep -q ", $(printf %.2f "$said") bits a weight\$" out
done
