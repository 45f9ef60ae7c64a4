# A snapshot of the hub (Parquet, sharded, a card beside it) and the authors' files are one data set to a run: the same answers, the
# same hash of data and prompts. A file that is cut short ends the run with its name.
. "$LIB"
nibble quantize -q "$DATA/demo" -o demo.nbl --fast >/dev/null
same() { # TASK AUTHORS HUB
  nibble eval demo.nbl --task "$1" -q -t 1 --limit 3 --shots 0 --data "$TESTS/golden/$2" --out a.json >/dev/null
  nibble eval demo.nbl --task "$1" -q -t 1 --limit 3 --shots 0 --data "$TESTS/golden/hub/$3" --out b.json >/dev/null
  sed '/"measured"/,$d' a.json >a
  sed '/"measured"/,$d' b.json | cmp a -
}
same arc_easy mcq/arc_easy ai2_arc
same commonsenseqa mcq/commonsenseqa commonsense_qa
same piqa mcq/piqa piqa
same mmlu mmlu mmlu
same mmlu mmlu mmlu-all
nibble eval demo.nbl --task mmlu --preset redux -q -t 1 --data "$TESTS/golden/hub/mmlu-redux" --out r.json >/dev/null
[ "$(jsonq protocol.questions <r.json)" = 2 ]
mkdir cut
head -c 900 "$TESTS/golden/hub/piqa/plain_text/validation/0000.parquet" >cut/validation.parquet
fails 1 '*cut/validation.parquet*cut short*' nibble eval demo.nbl --task piqa -q --data cut
