#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes build/dist/nibble.rb, the Homebrew formula for the archive of `make dist` at a URL.
# usage: formula.sh VERSION URL
version=$1 url=$2
cd "$(dirname "$0")/../.." || exit 1
archive=build/dist/nibble-$version.tar.gz
case $url in
http://*/* | https://*/* | file:///*) ;;
*) echo "make formula: give URL=https://..., where $archive will lie" >&2; exit 2 ;;
esac
case $url in *[\"\\\|\&\#]*) echo "make formula: $url has a character that does not belong there" >&2; exit 2 ;; esac
sum=$( (sha256sum "$archive" 2>/dev/null || shasum -a 256 "$archive") | cut -d' ' -f1)
[ ${#sum} = 64 ] || { echo "make formula: no hash of $archive" >&2; exit 1; }
sed -e "s|@URL@|$url|" -e "s|@HOMEPAGE@|${url%/*}/|" -e "s|@VERSION@|$version|" -e "s|@SHA256@|$sum|" \
  tools/packages/nibble.rb.in >build/dist/nibble.rb && echo build/dist/nibble.rb
