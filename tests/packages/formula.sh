#!/bin/sh
# SPDX-License-Identifier: MIT
# The Homebrew formula without Homebrew: its syntax by Ruby, then its own `install` and `test do` are run on the archive
# of `make dist` by formula.rb, which plays the few words of Homebrew that it uses. (`brew style` and a bottle need brew.)
# usage: formula.sh MAKE
make=${1:-make}
cd "$(dirname "$0")/../.." || exit 1
. tests/packages/lib.sh
command -v ruby >/dev/null || { skip formula "ruby is not here"; end; }
git rev-parse HEAD >/dev/null 2>&1 || { skip formula "no repository: make dist needs one"; end; }
archive() { $make dist; }
made() { $make formula URL="file://$PWD/build/dist/$(basename "$(ls build/dist/nibble-*.tar.gz)")"; }
refused() { ! $make formula URL=nowhere; }
style() { # what brew style asks first
  ruby -wc build/dist/nibble.rb && ! grep -n -E '@[A-Z]+@|	| +$' build/dist/nibble.rb
}
runs() { ruby tests/packages/formula.rb build/dist/nibble.rb "$dir"; }
check "make dist" archive && check "make formula" made || end
check "a URL is needed" refused
check "ruby -wc" style
check "install and test" runs
end
