# Every command that `nibble help` lists explains itself, names its usage, and refuses what it does not know.
nibble help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^help$' >commands || true
while read -r c; do
  nibble "$c" --help >out
  grep -q "^usage: nibble $c" out
  grep -q -- '--help' out
  nibble help "$c" | cmp - out
  code=0
  nibble "$c" --no-such-option 2>err >/dev/null || code=$?
  [ "$code" = 2 ]
  grep -q "^nibble $c: unknown option --no-such-option" err
  # A near miss names the option that was meant.
  code=0
  nibble "$c" --qiet 2>err >/dev/null || code=$?
  [ "$code" = 2 ]
  grep -q 'did you mean --quiet?' err
done <commands
