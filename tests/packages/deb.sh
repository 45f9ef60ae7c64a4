#!/bin/sh
# SPDX-License-Identifier: MIT
# The Debian packages: built from a copy of the tree, without a complaint of lintian's, and put with dpkg into a fresh
# root that has nothing but what they ask for (debootstrap, from the mirror of this system); there the program makes and
# runs a model, a program links with the library by pkg-config, and removing them leaves nothing.
# usage: deb.sh
cd "$(dirname "$0")/../.." || exit 1
. tests/packages/lib.sh
for tool in dpkg-buildpackage dh; do
  command -v $tool >/dev/null || { skip deb "$tool is not here (packages dpkg-dev, debhelper)"; end; }
done
dpkg-checkbuilddeps debian/control >"$dir/log" 2>&1 || { skip deb "$(tail -n 1 "$dir/log")"; end; }
arch=$(dpkg --print-architecture)
version=$(dpkg-parsechangelog -S Version)

build() {
  mkdir "$dir/nibble" && git ls-files -co --exclude-standard | tar cf - -T - | tar xf - -C "$dir/nibble" &&
    (cd "$dir/nibble" && DEB_BUILD_OPTIONS="parallel=${JOBS:-2} nocheck noautodbgsym" dpkg-buildpackage -us -uc -b)
}
same_version() { [ "$version" = "$(sed -n 's/^VERSION := //p' Makefile)" ]; }
clean() { lintian --allow-root --fail-on error,warning --pedantic -i "$dir"/*.changes; }
contents() { # of each package: that and nothing else
  for package in nibble libnibble0 libnibble-dev; do
    dpkg-deb -c "$dir/${package}_${version}_$arch.deb" | awk '$1 !~ /^d/ {print "'$package' " $6}' | sed "s|/usr/lib/[a-z0-9_]*-[a-z0-9-]*/|/usr/lib/ARCH/|"
  done | grep -v /usr/share/doc/ | LC_ALL=C sort >"$dir/have"
  LC_ALL=C sort >"$dir/want" <<END
nibble ./usr/bin/nibble
nibble ./usr/share/bash-completion/completions/nibble
nibble ./usr/share/fish/vendor_completions.d/nibble.fish
nibble ./usr/share/man/man1/nibble.1.gz
nibble ./usr/share/zsh/vendor-completions/_nibble
libnibble0 ./usr/lib/ARCH/libnibble.so.0
libnibble-dev ./usr/include/nibble.h
libnibble-dev ./usr/lib/ARCH/libnibble.a
libnibble-dev ./usr/lib/ARCH/libnibble.so
libnibble-dev ./usr/lib/ARCH/pkgconfig/nibble.pc
END
  diff "$dir/want" "$dir/have"
}
depends() { dpkg-deb -f "$dir/${1}_${version}_$arch.deb" Depends | sed 's/([^)]*)//g; s/|[^,]*//g' | tr ',' '\n' | tr -d ' ' | grep -v nibble; }
runtime_only() { ! { depends nibble && depends libnibble0; } | grep -e '-dev$' -e gcc-; }

fresh() { # a root with what the packages name, which apt brings in with the base system
  list=$(for package in nibble libnibble0; do depends $package; done | sort -u | tr '\n' ',')
  mirror=$(sed -n -e 's|^deb [^h]*\(http[^ ]*\) .*|\1|p' -e 's|^URIs: *\(http[^ ]*\).*|\1|p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v -i security | head -n 1)
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  debootstrap --variant=minbase --include="${list%,}" "$suite" "$dir/root" "$mirror"
}
inside() { chroot "$dir/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C sh -ec "$1"; }
installs() {
  mkdir "$dir/root/work" &&
    cp "$dir"/*.deb tests/golden/model/gqa_f16/config.json tests/golden/model/gqa_f16/model.safetensors tests/cli/toy/*.json \
      "$dir/root/work" && inside 'dpkg -l | sort >/work/before; cd /work && dpkg -i libnibble0_*.deb nibble_*.deb'
}
runs() {
  inside 'cd /work && [ "$(nibble --version)" = "nibble '"$version"'" ] && mkdir toy && mv *.json *.safetensors toy
    nibble quantize -q toy -o toy.nbl && nibble verify -q toy.nbl && nibble generate toy.nbl -p the -n 8 >text && [ -s text ]
    ! command -v cc && ! command -v gcc && [ -f /usr/share/bash-completion/completions/nibble ]'
}
removes() { inside 'dpkg -P nibble libnibble0; dpkg -l | sort | cmp - /work/before; ! ls /usr/bin/nibble /usr/lib/*/libnibble* 2>/dev/null'; }
links() { # by the files of -dev, unpacked here, where the compiler is
  for package in libnibble0 libnibble-dev; do dpkg-deb -x "$dir/${package}_${version}_$arch.deb" "$dir/dev" || return 1; done
  pc=$(ls -d "$dir"/dev/usr/lib/*/pkgconfig) && PKG_CONFIG_PATH=$pc && export PKG_CONFIG_PATH
  # shellcheck disable=SC2046
  cc tests/install/example.c $(pkg-config --define-variable=prefix="$dir/dev/usr" --cflags --libs nibble) -o "$dir/example" &&
    LD_LIBRARY_PATH=$(dirname "$pc") "$dir/example" nowhere x 2>&1 | grep -q '^example: .*nowhere'
}

check "version of debian/changelog" same_version
check "dpkg-buildpackage" build || end
check "contents" contents
check "libraries of run time only" runtime_only
check "linking with -dev" links
if command -v lintian >/dev/null; then check "lintian" clean; else skip lintian "lintian is not here"; fi
if ! command -v debootstrap >/dev/null; then skip "fresh root" "debootstrap is not here"
elif [ "$(id -u)" != 0 ]; then skip "fresh root" "only root makes one"
elif ! fresh >"$dir/log" 2>&1; then skip "fresh root" "debootstrap: $(tail -n 1 "$dir/log")"
else
  check "dpkg -i in a fresh root" installs && check "the program there" runs && check "dpkg -P leaves nothing" removes
fi
end
