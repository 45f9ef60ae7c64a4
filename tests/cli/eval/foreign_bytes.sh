# What JSON and XML cannot hold is replaced in everything that is written, wherever it came from.
. "$LIB"
python=$(command -v python3) || skip "no python3"
model=$(printf 'to\377y\357\277\276.nbl')
cp "$NBL" "$model" 2>/dev/null || skip "the file system takes no such name"
questions q.jsonl 12
code=0
nibble eval "$model" --task custom --data q.jsonl -q --texts --min-accuracy 100 --out a.json --junit j.xml --summary s.md \
  --html r.html --json >out || code=$?
[ "$code" = 3 ]
nibble compare a.json a.json --margin 60 --json >c.json
nibble inspect "$model" --json >i.json
i=0
while [ $i -lt 60 ]; do echo "the ant in the thing $i"; i=$((i + 1)); done >text
nibble kld "$model" "$model" --text text --ctx 32 --json -q >k.json
cat >check.py <<'P'
import json, sys, xml.dom.minidom
for name in sys.argv[1:]:
    text = open(name, encoding="utf-8").read()  # strict
    if name.endswith("xml"):
        suite = xml.dom.minidom.parseString(text).getElementsByTagName("testsuite")[0]
        assert suite.getAttribute("name") == "to\ufffdy\ufffd.nbl", suite.getAttribute("name")
    elif name != "s.md" and name != "r.html":
        json.loads(text)
assert json.load(open("a.json"))["model"]["name"] == "to\ufffdy\ufffe.nbl"
P
"$python" check.py a.json out c.json i.json k.json j.xml s.md r.html
# A path given as data, in a message and in a gate file's complaint, does no harm either.
bad=$(printf 'q\377.jsonl')
cp q.jsonl "$bad"
nibble eval "$NBL" --task custom --data "$bad" -q --out b.json >/dev/null
"$python" -c 'import json; json.load(open("b.json", encoding="utf-8"))'
