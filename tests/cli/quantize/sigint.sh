# Ctrl-C itself (a shell without job control hides it from background jobs, so `timeout` sends it).
. "$LIB"
command -v timeout >/dev/null || skip "no timeout command"
big m 6
code=0
timeout --preserve-status -s INT 0.2 nibble quantize m -o x.nbl --fast -t 1 >out 2>err || code=$?
[ "$code" != 0 ] || skip "converting ended before it could be stopped"
# Before main has run, the default action ends the process (130).
[ "$code" = 1 ] || [ "$code" = 130 ]
[ "$code" = 130 ] || grep -q '^nibble: .*interrupted' err
rm -f out err
only m
