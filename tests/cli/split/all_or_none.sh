# A run that fails half-way leaves no part, and the parts of an earlier one as they were.
. "$LIB"
nibble split "$NBL" --size 3e4 -o old -q >/dev/null
least=$(for f in old-*; do size_of "$f"; done | sort -n | head -n 1)
most=$(for f in old-*; do size_of "$f"; done | sort -n | tail -n 1)
blocks=$(((least + 511) / 512)) # a limit that the smallest part stays within, in POSIX's unit
[ $((blocks * 512)) -lt "$most" ]
cksum old-* >before
limited() ( ulimit -f "$1" && shift && "$@" )
for prefix in new old; do
  fails 1 '*'"$prefix"'-0000*-of-0000*.nbl: cannot *' limited $blocks nibble split "$NBL" --size 3e4 -o $prefix -q
done
[ -z "$(ls -A | grep 'new-\|nibble-')" ]
cksum old-* | cmp before -
