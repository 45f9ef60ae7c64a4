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
# A part of the questions decides nothing, and every report says how large it was.
code=0
nibble compare base.json few.json --common --margin 99 --max-drop 100 --junit j.xml --summary s.md >out || code=$?
[ "$code" = 4 ]
grep -q '^paired  *3 questions; 57 only in the baseline, 0 only in the candidate' out
grep -q '^undecided  *margin: of the questions in both runs: the drop is shown to be below' out
grep -q '^undecided  *min_paired: 3 questions are in both runs.*5.0 %, at least 90 asked for' out
grep -q '^## nibble: UNDECIDED' s.md
grep -q '3 questions in both runs (57 only in the baseline, 0 only in the candidate)' s.md
grep -q 'name="min_paired"' j.xml
[ "$(grep -c '<error ' j.xml)" = 3 ]
code=0
nibble compare base.json few.json --common --margin 99 --github >out || code=$?
[ "$code" = 4 ]
grep -q '^::warning title=nibble min_paired undecided::3 questions are in both runs' out
grep -q '^::notice title=nibble undecided::.* on 3 questions in both runs (57 only' out
nibble compare base.json few.json --common --margin 99 --min-paired 5 >out
grep -q '^pass  *min_paired:' out
# What is held against the run alone still fails.
code=0
nibble compare base.json few.json --common --margin 99 --min-accuracy 100 >out || code=$?
[ "$code" = 3 ]
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --limit 3 --against base.json --margin 99 >out 2>err || code=$?
[ "$code" = 4 ]
grep -q 'warning: 5.0 % of the questions are in both base.json and this run' err
fails 2 '*too few for --sequential*' nibble eval "$NBL" --task custom --data q.jsonl --limit 3 --against base.json --sequential
nibble eval "$NBL" --task custom --preset text --data q.jsonl -q --out text.json >/dev/null
fails 2 '*the preset is "letter"*' nibble compare base.json text.json
head -c 3000 base.json >cut.json
fails 1 '*cut.json*' nibble compare base.json cut.json
fails 1 '*q.jsonl*' nibble compare base.json q.jsonl
