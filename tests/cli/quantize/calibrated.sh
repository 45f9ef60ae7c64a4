# Calibration gives the same bytes for any number of threads and on any instruction set, and a file that verifies.
. "$LIB"
calibrates -o a.nbl -q -t 1 >/dev/null
calibrates -o b.nbl -q -t 3 >/dev/null
cmp a.nbl b.nbl
calibrates -o b.nbl -q --cpu ref >/dev/null
cmp a.nbl b.nbl
nibble verify a.nbl >/dev/null
