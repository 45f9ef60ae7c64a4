#!/bin/sh
# SPDX-License-Identifier: MIT
# One file for a browser: the chat's page with the engine (the module and its worker) and a model in elements of their own.
# usage: page.sh PAGE ENGINE [MODEL.nbl]     to standard output
set -eu
page=$1 engine=$2 model=${3:-}
parts=$(mktemp "${TMPDIR:-/tmp}/nibble-page.XXXXXX")
trap 'rm -f "$parts"' EXIT
# What would end a script element early.
! grep -n -i -m 1 -e '</script' -e '<!--' "$engine" >&2 || { echo "$engine cannot stand in a page" >&2; exit 1; }
{
  echo '<script type="text/plain" id="engine">'
  cat "$engine"
  echo '</script>'
  if [ -n "$model" ]; then
    printf '<script type="text/plain" id="file" data-name="%s">' "$(basename "$model")"
    base64 -w 0 "$model" 2>/dev/null || base64 -i "$model"
    echo '</script>'
  fi
} >"$parts"
sed -e 's|@DATA@|{"model": "nibble", "chat": true, "key": false}|' -e "/id=\"data\"/r $parts" "$page"
