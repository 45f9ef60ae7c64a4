# A model does not differ from itself; its 4-bit file does, a little.
. "$LIB"
nibble diff "$TOY" "$TOY" | tail -n 1 | grep -q 'relative error 0$'
nibble diff "$TOY" "$NBL" --json >d.json
error=$(nibble diff "$TOY" "$NBL" | tail -n 1 | sed 's/.*relative error //')
awk -v e="$error" 'BEGIN { exit !(e > 0.001 && e < 0.05) }'
fails 1 '*nowhere*' nibble diff "$TOY" nowhere
