# The man page has a section for every command and names every option; groff (if here) has nothing to complain of.
sh "$ROOT/tools/mkman.sh" "$(command -v nibble)" >page
for c in $(nibble help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^help$'); do
  grep -q "^.SS nibble $c" page
  for o in $(nibble "$c" --help | sed -n 's/^ *\(-[a-zA-Z], \)\{0,1\}\(--[a-z-]*\).*/\2/p'); do
    grep -q "$(echo "$o" | sed 's/-/\\\\-/g')" page || { echo "no $o of $c" >&2; exit 1; }
  done
done
grep -q '^.SH EXAMPLES' page
if command -v groff >/dev/null; then
  groff -man -Tutf8 -ww page >rendered 2>warnings
  [ ! -s warnings ] || { cat warnings >&2; exit 1; }
fi
