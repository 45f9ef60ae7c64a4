# A run against itself passes; against one with every answer wrong it fails; a different set is refused.
. "$LIB"
questions q.jsonl 24
nibble eval "$TOY" --task custom --data q.jsonl -q --out a.json >/dev/null
nibble eval "$NBL" --task custom --data q.jsonl -q --out b.json >/dev/null
nibble compare a.json a.json --margin 60 >out
code=0
nibble compare a.json b.json --json -q >j || code=$?
case $code in 0 | 3 | 4) ;; *) exit 1 ;; esac
jsonq <j
code=0
nibble compare a.json b.json --max-kld 0 >out 2>err || code=$?
[ "$code" = 3 ]
nibble compare a.json a.json --margin 60 --max-kld 0 --html r.html --junit j.xml --summary s.md >/dev/null
grep -q '<html' r.html
grep -q '<testsuite' j.xml
[ -s s.md ]
questions other.jsonl 20
nibble eval "$NBL" --task custom --data other.jsonl -q --out c.json >/dev/null
fails '[12]' '*' nibble compare a.json c.json
fails 1 '*nowhere*' nibble compare a.json nowhere.json
head -c 700 a.json >cut.json
fails 1 '*cut.json*' nibble compare a.json cut.json
echo '{}' >empty.json
fails 1 '*empty.json*' nibble compare empty.json a.json
fails 2 '*--margin*' nibble compare a.json a.json --margin wide
fails 2 '*' nibble compare a.json
