#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the man page: nibble.1.in with the help of every command in it.
# usage: mkman.sh NIBBLE
nibble=$1
dir=$(cd "$(dirname "$0")" && pwd)
version=$("$nibble" --version | sed 's/^nibble //') || exit 1

# Help text to roff: the usage line, paragraphs, then one .TP an option; examples stay as they are.
command_section() {
  "$nibble" "$1" --help | awk '
    function roff(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); if (s ~ /^[.'"'"']/) s = "\\&" s; return s }
    NR == 1 { sub(/^usage: /, ""); print ".SS " roff($0); next }
    /^options:$/ { options = 1; next }
    options && /^ +(-[a-zA-Z], )?--/ {
      line = $0; sub(/^ +/, "", line)
      at = match(line, /  +[^ ]/)
      print ".TP"
      if (at) { print "\\fB" roff(substr(line, 1, at - 1)) "\\fR"; sub(/^ +/, "", line); text = substr(line, at); sub(/^ +/, "", text); print roff(text) }
      else print "\\fB" roff(line) "\\fR"
      next
    }
    options && /^ +[^ ]/ && !rest { sub(/^ +/, ""); print roff($0); next }
    /^$/ { if (options) { if (!rest) print ".PP\n.nf"; else print ""; rest = 1 } else if (NR > 2) print ".PP"; next }
    { print roff($0) }
    END { if (rest) print ".fi" }'
}

while IFS= read -r line; do
  case $line in
  @COMMANDS@)
    for c in $("$nibble" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^help$'); do command_section "$c"; done
    ;;
  *) printf '%s\n' "$line" | sed "s/@VERSION@/$version/" ;;
  esac
done <"$dir/nibble.1.in"
