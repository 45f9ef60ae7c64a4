# Tuning: as many bytes as planned, less divergence on the text that judges, the same bytes for any number of threads.
. "$LIB"
calibrates -o a.nbl -q >/dev/null
calibrates -o j.nbl -t 1 --bits 3 --tune 4steps --tune-rate 0.001 >/dev/null 2>err
calibrates -o k.nbl -q -t 3 --bits 3 --tune 4steps --tune-rate 0.001 >/dev/null
cmp j.nbl k.nbl
cmp -s a.nbl j.nbl && exit 1
[ ! -e j.nbl.untuned ]
grep -q "will have $(size_of j.nbl) bytes" err
nibble verify j.nbl >/dev/null
grep -q 'tuned for 4 steps: .*(step [1-4])' err
fails '[12]' '*--tune*20m*' calibrates -o e.nbl -q --tune often
fails 2 '*--tune*--fast*' nibble quantize "$TOY" -o e.nbl -q --fast --tune 1m
[ ! -e e.nbl ]
[ ! -e e.nbl.part ]
