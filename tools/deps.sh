#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what nibble needs to build and test: a C compiler, make, pkg-config and nine libraries.
# usage: sh tools/deps.sh [--check] [--ci]
#   --check   only say what is missing and how to get it; exit 1 if anything is
#   --ci      also what .ci/run uses: clang, clang-format, cross compilers, qemu, a JDK, node, a browser, MPI, Slurm,
#             shells, packagers' tools (missing ones are no failure)
# Does nothing when everything is there. Installs through apt-get; elsewhere it prints the command to run.
set -u
check=0 ci=0
for a in "$@"; do
  case $a in
  --check) check=1 ;;
  --ci) ci=1 ;;
  *) echo "usage: sh tools/deps.sh [--check] [--ci]" >&2; exit 2 ;;
  esac
done

# pkg-config name : Debian package
LIBS="libcjson:libcjson-dev zlib:zlib1g-dev libzip:libzip-dev libpcre2-8:libpcre2-dev libutf8proc:libutf8proc-dev
libxxhash:libxxhash-dev libzstd:libzstd-dev libmicrohttpd:libmicrohttpd-dev libedit:libedit-dev"

missing=""
have() { command -v "$1" >/dev/null 2>&1; }
CC=${CC:-cc}
have "$CC" && echo '#include <stdio.h>' | "$CC" -E - >/dev/null 2>&1 || missing="$missing gcc libc6-dev"
have make || missing="$missing make"
PKG_CONFIG=${PKG_CONFIG:-pkg-config}
have "$PKG_CONFIG" || missing="$missing pkg-config"
for entry in $LIBS; do
  # Without pkg-config nothing can be told: ask for all (installed ones stay as they are).
  { have "$PKG_CONFIG" && "$PKG_CONFIG" --exists "${entry%%:*}"; } || missing="$missing ${entry##*:}"
done
if [ "$ci" = 1 ]; then
  have clang || missing="$missing clang"
  have clang-format || missing="$missing clang-format"
  ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 || missing="$missing libclang-rt-14-dev"
  have aarch64-linux-gnu-gcc || missing="$missing gcc-aarch64-linux-gnu"
  have cmake || missing="$missing cmake"
  have javac || missing="$missing default-jdk-headless"
  have emcc || missing="$missing emscripten"
  have node || missing="$missing nodejs"
  have qemu-aarch64 || have qemu-aarch64-static || missing="$missing qemu-user"
  # What some command-line tests need, which are skipped without.
  have chromium || missing="$missing chromium"
  have mpirun || missing="$missing openmpi-bin"
  have slurmctld || [ -x /usr/sbin/slurmctld ] || missing="$missing slurm-wlm munge"
  have fish || missing="$missing fish"
  have zsh || missing="$missing zsh"
  # What the tests of packages need.
  have ruby || missing="$missing ruby"
  have dh || missing="$missing debhelper dpkg-dev"
  have lintian || missing="$missing lintian"
  have debootstrap || [ -x /usr/sbin/debootstrap ] || missing="$missing debootstrap"
  python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
  python3 -c 'import yaml' 2>/dev/null || /usr/bin/python3 -c 'import yaml' 2>/dev/null || missing="$missing python3-yaml"
  /usr/bin/python3 -c 'import jsonschema' 2>/dev/null || missing="$missing python3-jsonschema"
fi
missing=${missing# }
[ -n "$missing" ] || exit 0

elsewhere() {
  echo "  Debian, Ubuntu:  apt-get install $missing"
  echo "  Fedora:          dnf install gcc make pkgconf cjson-devel zlib-devel libzip-devel pcre2-devel utf8proc-devel xxhash-devel libzstd-devel libmicrohttpd-devel libedit-devel"
  echo "  Arch:            pacman -S base-devel cjson zlib libzip pcre2 utf8proc xxhash zstd libmicrohttpd libedit"
  echo "  Alpine:          apk add build-base pkgconf cjson-dev zlib-dev libzip-dev pcre2-dev utf8proc-dev xxhash-dev zstd-dev libmicrohttpd-dev libedit-dev"
  echo "  macOS:           brew install pkgconf cjson zlib libzip pcre2 utf8proc xxhash zstd libmicrohttpd"
}

if [ "$check" = 1 ] || ! have apt-get; then
  echo "nibble needs packages that are not here: $missing" >&2
  elsewhere >&2
  [ "$check" = 1 ] || echo "This system has no apt-get: install them by the line above, then run make again." >&2
  exit 1
fi

sudo=""
if [ "$(id -u)" != 0 ]; then
  if have sudo; then
    sudo="sudo"
  else
    echo "nibble needs packages that only root can install; as root run: apt-get install $missing" >&2
    exit 1
  fi
fi
echo "nibble: installing through apt-get: $missing"
get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1; }
log=${TMPDIR:-/tmp}/nibble-deps.$$.log
trap 'rm -f "$log"' EXIT
failed() {
  tail -n 20 "$log" >&2
  echo "nibble: apt-get failed; the packages needed are: $missing" >&2
  exit 1
}
get update || failed
if [ "$ci" = 1 ]; then
  # One at a time: the extra ones may be missing on some systems.
  for p in $missing; do get install -y --no-install-recommends "$p" || echo "nibble: $p cannot be installed here"; done
  exec sh "$0"
fi
# shellcheck disable=SC2086
get install -y --no-install-recommends $missing || failed
