# Folded scales and rotations: the same bytes for any number of threads; the file is as good as any.
. "$LIB"
calibrates -o a.nbl -q >/dev/null
calibrates -o h.nbl -q -t 1 --rotate >/dev/null
calibrates -o i.nbl -q -t 3 --rotate >/dev/null
cmp h.nbl i.nbl
cmp -s a.nbl h.nbl && exit 1
nibble kld "$TOY" a.nbl --text text --ctx 32 --chunks 20 -q --json >a.kld
nibble kld "$TOY" h.nbl --text text --ctx 32 --chunks 20 -q --json >h.kld
awk -v a="$(jsonq kl_mean <a.kld)" -v h="$(jsonq kl_mean <h.kld)" 'BEGIN { exit !(h < 1.5 * a) }'
