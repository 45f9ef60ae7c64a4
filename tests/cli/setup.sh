# SPDX-License-Identifier: MIT
# Sourced by run.sh: what several cases need. Sets TOY (a tiny checkpoint) and NBL (its 4-bit file).
TOY=$DATA/demo
NBL=$work/toy.nbl
export TOY NBL
