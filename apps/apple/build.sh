#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles the library and the five that it needs for arm64 of one of Apple's systems, with any compiler for it.
# VARIABLES: more of make's (zig names processors in its own way).
# usage: build.sh DIR CC AR JOIN     JOIN OUT.a IN.a... makes one archive of several; "": none is made
set -eu
cd "$(dirname "$0")/../.."
dir=$1 cc=$2 ar=$3 join=$4
sh apps/deps.sh "$dir/deps" "$cc" "$ar"
# shellcheck disable=SC2086
make -s "${J:--j2}" "VARIANT=$(basename "$dir")" OS=Darwin ARCH=arm64 PKGS= "CC=$cc" "AR=$ar" \
  "CFLAGS=-I$dir/deps/include -DPCRE2_STATIC -DUTF8PROC_STATIC" "B=$dir" ${VARIABLES:-} "$dir/libnibble.a"
[ -z "$join" ] || $join "$dir/libCNibble.a" "$dir/libnibble.a" "$dir/deps/libdeps.a"
