#!/bin/sh
# SPDX-License-Identifier: MIT
# The five libraries that libnibble needs, from their sources, for systems that have no packages of them: phones and cross
# compilers. The archives are those that Debian builds from, each checked by its SHA-256, and kept for the next time.
# usage: sh apps/deps.sh DIR             fetches and unpacks into DIR/src
#        sh apps/deps.sh DIR CC AR       and builds DIR/libdeps.a and DIR/include with that compiler (CFLAGS: its flags)
# Needs curl or wget, tar with gzip and bzip2, sha256sum or shasum. NB_ARCHIVES: a folder where the archives are kept.
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
archives=${NB_ARCHIVES:-$here/../build/archives}
mirror=https://deb.debian.org/debian/pool/main

sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d ' ' -f 1; }

# get NAME PATH SHA256: the folder $dir/src/NAME.
get() {
  archive=$archives/$(basename "$2")
  [ ! -d "$dir/src/$1" ] || return 0
  mkdir -p "$archives" "$dir/src"
  if [ ! -f "$archive" ]; then
    if command -v curl >/dev/null; then curl -fsSL --retry 3 -o "$archive.tmp" "$mirror/$2"
    else wget -q -O "$archive.tmp" "$mirror/$2"; fi
    mv "$archive.tmp" "$archive"
  fi
  [ "$(sum "$archive")" = "$3" ] || { echo "$archive is not what it should be: remove it and try again" >&2; exit 1; }
  rm -rf "$dir/src/$1.tmp"
  mkdir "$dir/src/$1.tmp"
  tar xf "$archive" -C "$dir/src/$1.tmp" --strip-components=1
  mv "$dir/src/$1.tmp" "$dir/src/$1"
}

get cjson c/cjson/cjson_1.7.18.orig.tar.gz 3aa806844a03442c00769b83e99970be70fbef03735ff898f4811dd03b9f5ee5
get zlib z/zlib/zlib_1.2.13.dfsg.orig.tar.bz2 71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1
get pcre2 p/pcre2/pcre2_10.42.orig.tar.gz c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f
get utf8proc u/utf8proc/utf8proc_2.8.0.orig.tar.gz a0a60a79fe6f6d54e7d411facbfcc867a6e198608f2cd992490e46f04b1bcecc
get xxhash x/xxhash/xxhash_0.8.1.orig.tar.gz 3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c

# One folder with the headers, and one with the files to compile, whose names say how (apps/android's CMakeLists.txt
# takes them, too). PCRE2 is 8 bits wide and without its compiler to machine code, which iOS forbids.
if [ ! -d "$dir/include" ]; then
  s=$dir/src
  rm -rf "$dir/include.tmp" "$dir/code"
  mkdir -p "$dir/include.tmp" "$dir/code"
  cp "$s/cjson/cJSON.h" "$s/utf8proc/utf8proc.h" "$s/xxhash/xxhash.h" "$s/zlib/zlib.h" "$s/zlib/zconf.h" "$dir/include.tmp"
  cp "$s/pcre2/src/pcre2.h.generic" "$dir/include.tmp/pcre2.h"
  cp "$s/cjson/cJSON.c" "$s/utf8proc/utf8proc.c" "$s/utf8proc/utf8proc_data.c" "$s/xxhash/xxhash.c" "$dir/code"
  mv "$dir/code/utf8proc_data.c" "$dir/include.tmp/utf8proc_data.c" # utf8proc.c includes it
  for f in adler32 compress crc32 deflate infback inffast inflate inftrees trees uncompr zutil; do
    cp "$s/zlib/$f.c" "$dir/code/z_$f.c"
  done
  cp "$s"/zlib/*.h "$dir/code"
  for f in auto_possess chkdint compile config context convert dfa_match error extuni find_bracket jit_compile maketables match \
    match_data newline ord2utf pattern_info script_run serialize string_utils study substitute substring tables ucd \
    valid_utf xclass; do
    [ ! -f "$s/pcre2/src/pcre2_$f.c" ] || cp "$s/pcre2/src/pcre2_$f.c" "$dir/code"
  done
  cp "$s/pcre2/src/pcre2_chartables.c.dist" "$dir/code/pcre2_chartables.c"
  cp "$s"/pcre2/src/*.h "$s/pcre2/src/pcre2_ucptables.c" "$dir/code"
  mv "$dir/code/pcre2_ucptables.c" "$dir/include.tmp" # pcre2_tables.c includes it, and pcre2_jit_compile.c the next two
  cp "$s/pcre2/src/pcre2_jit_match.c" "$s/pcre2/src/pcre2_jit_misc.c" "$dir/include.tmp"
  cp "$s/pcre2/src/config.h.generic" "$dir/code/config.h"
  mv "$dir/include.tmp" "$dir/include"
fi
[ $# -gt 1 ] || exit 0

# fdopen=fdopen: this zlib takes every macOS for one that has no fdopen, unless it is a macro.
cc=$2 ar=$3
mkdir -p "$dir/obj"
for f in "$dir"/code/*.c; do
  o=$dir/obj/$(basename "$f" .c).o
  # shellcheck disable=SC2086
  [ -f "$o" ] || $cc -O2 -fPIC -w ${CFLAGS:-} -I"$dir/include" -I"$dir/code" -DHAVE_CONFIG_H -DPCRE2_CODE_UNIT_WIDTH=8 \
    -DPCRE2_STATIC -DSUPPORT_UNICODE=1 -DHAVE_UNISTD_H -DUTF8PROC_STATIC -Dfdopen=fdopen -c "$f" -o "$o"
done
rm -f "$dir/libdeps.a"
$ar rcs "$dir/libdeps.a" "$dir"/obj/*.o
