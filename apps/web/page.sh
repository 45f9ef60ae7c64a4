#!/bin/sh
# SPDX-License-Identifier: MIT
# One file for a browser: the chat's page with its engines (the module and its worker; the second one for large files, with
# addresses of 64 bits) and a model in elements of their own.
# usage: page.sh PAGE MODEL.nbl ENGINE [ENGINE64]     to standard output; MODEL "": none
set -eu
page=$1 model=$2
shift 2
parts=$(mktemp "${TMPDIR:-/tmp}/nibble-page.XXXXXX")
trap 'rm -f "$parts"' EXIT
# What would end a script element early.
! grep -n -i -m 1 -e '</script' -e '<!--' "$@" >&2 || { echo "this cannot stand in a page" >&2; exit 1; }
{
  id=engine
  for engine in "$@"; do
    echo "<script type=\"text/plain\" id=\"$id\">"
    cat "$engine"
    echo '</script>'
    id=engine64
  done
  if [ -n "$model" ]; then
    printf '<script type="text/plain" id="file" data-name="%s">' "$(basename "$model")"
    base64 -w 0 "$model" 2>/dev/null || base64 -i "$model"
    echo '</script>'
  fi
} >"$parts"
sed -e 's|@DATA@|{"model": "nibble", "chat": true, "key": false}|' -e "/id=\"data\"/r $parts" "$page"
