# On a narrow terminal progress keeps to one line, which is rewritten; a wide one has all of it.
. "$LIB"
command -v script >/dev/null && script --version 2>/dev/null | grep -q util-linux || skip "no script of util-linux"
big m 3
at() { # COLUMNS: the lines of a run at that width
  script -q -e -c "stty cols $1; nibble quantize m -o x.nbl --fast -t 1" typescript >/dev/null 2>&1 </dev/null
  tr '\r' '\n' <typescript | sed -e "s/$(printf '\033')\\[K//g" | grep "^quantizing" >lines || skip "it ended before it said anything"
  rm x.nbl
}
at 40
awk 'length($0) >= 40 { exit 1 }' lines
at 200
grep -q '^quantizing: .* of .* weights ([0-9]* %), .*/s, .* left' lines
