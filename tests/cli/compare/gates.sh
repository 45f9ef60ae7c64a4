# Verdicts and exit codes, and everything that is written.
. "$LIB"
questions q.jsonl 60
nibble eval "$TOY" --task custom --data q.jsonl -q --texts --out base.json >/dev/null
nibble eval "$NBL" --task custom --data q.jsonl -q --texts --out cand.json >/dev/null
nibble compare base.json base.json --margin 20 >out
grep -q '^pass$' out
code=0
nibble compare base.json cand.json --margin 0.001 --junit j.xml --summary s.md --html r.html >out || code=$?
[ "$code" = 4 ] || [ "$code" = 3 ]
grep -q '<testcase classname="nibble.custom" name="margin">' j.xml
grep -q '^## nibble: ' s.md
grep -q '</html>' r.html
code=0
nibble compare base.json cand.json --margin 90 --max-kld 0 --json >out || code=$?
[ "$code" = 3 ]
[ "$(jsonq verdict <out)" = fail ]
[ "$(jsonq statistics.n <out)" = 60 ]
echo '{"margin": 90, "max_kld": 1000, "min_accuracy": 0}' >nibble-gate.json
nibble compare base.json cand.json --gate nibble-gate.json --github >out
grep -q '^::notice title=nibble pass::' out
code=0
nibble compare base.json cand.json --gate nibble-gate.json --min-accuracy 100 --github >out || code=$?
[ "$code" = 3 ]
grep -q '^::error title=nibble min_accuracy fail::' out
echo '{"margn": 1}' >bad.json
fails 1 '*bad.json: unknown key "margn"*' nibble compare base.json cand.json --gate bad.json
# What cannot be compared is not.
nibble eval "$NBL" --task custom --data q.jsonl -q --limit 3 --out few.json >/dev/null
fails 2 '*different questions*' nibble compare base.json few.json
nibble compare base.json few.json --common --margin 99 >/dev/null
nibble eval "$NBL" --task custom --preset text --data q.jsonl -q --out text.json >/dev/null
fails 2 '*the preset is "letter"*' nibble compare base.json text.json
head -c 3000 base.json >cut.json
fails 1 '*cut.json*' nibble compare base.json cut.json
fails 1 '*q.jsonl*' nibble compare base.json q.jsonl
