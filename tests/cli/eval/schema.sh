# Result files keep to formats/result.schema.json: with texts, of a sample, of shards and joined ones.
. "$LIB"
for python in python3 /usr/bin/python3 ""; do
  [ -n "$python" ] || skip "no Python with jsonschema (Debian: python3-jsonschema)"
  "$python" -c 'import jsonschema' 2>/dev/null && break
done
questions q.jsonl 24
nibble eval "$NBL" --task custom --data q.jsonl -q --texts --out texts.json >/dev/null
nibble eval "$NBL" --task custom --data q.jsonl -q --sample 7 --seed 3 --out sample.json >/dev/null
nibble eval "$TOY" --task custom --data q.jsonl -q --shard 1/2 --out one.json >/dev/null
nibble eval "$TOY" --task custom --data q.jsonl -q --shard 2/2 --journal j --out two.json >/dev/null
nibble merge one.json two.json -o merged.json >/dev/null
sed 's/"total"/"totals"/' texts.json >wrong.json
cat >check.py <<'E2'
import json, sys
import jsonschema
with open(sys.argv[1]) as f:
    schema = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    with open(name) as f:
        errors = list(validator.iter_errors(json.load(f)))
    for e in errors[:3]:
        print(f"{name}: {list(e.path)}: {e.message[:200]}")
    if bool(errors) != name.startswith("wrong"):
        sys.exit(f"{name}: {len(errors)} errors")
E2
"$python" check.py "$ROOT/formats/result.schema.json" texts.json sample.json one.json two.json merged.json wrong.json
