# Under a small limit of address space commands finish and end: no library starts threads or takes memory behind them.
. "$LIB"
nibble quantize "$TOY" -o a.nbl -q --fast >/dev/null
(ulimit -v 200000 && nibble --version >/dev/null 2>&1) || skip "this build does not start with so little (a sanitizer's does not)"
calibration_text 400 >text
limited() { (ulimit -v 200000 && exec timeout 120 nibble "$@"); }
limited verify a.nbl >/dev/null
limited quantize "$TOY" -o b.nbl -q --fast -t 2 >/dev/null
cmp a.nbl b.nbl
limited quantize "$TOY" -o c.nbl -q -t 2 --calib text --tokens 512 --seq 64 --group 32 >/dev/null
limited kld "$TOY" c.nbl --text text --ctx 32 --chunks 4 -q >/dev/null
