#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of packages, one after another; each ends with its own sum, and .ci/run adds them up.
# usage: run.sh MAKE BUILD
cd "$(dirname "$0")" || exit 1
code=0
for test in action formula deb; do
  echo "== $test"
  sh ./$test.sh "$1" "$2" || code=1
done
exit $code
