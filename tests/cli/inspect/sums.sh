# The lines add up to the file's size, in the table and in JSON; so do the listed tensors and what is beside them.
. "$LIB"
size=$(size_of "$NBL")
nibble inspect "$NBL" >out
[ "$(awk '$1 == "file" {print $(NF - 1)}' out)" = "$size" ]
nibble inspect "$NBL" --json >j
[ "$(jsonq file_bytes <j)" = "$size" ]
sum=$(jsonq other_bytes <j)
i=0
while bytes=$(jsonq classes.$i.bytes <j 2>/dev/null); do sum=$((sum + bytes)) i=$((i + 1)); done
[ $i -gt 5 ]
[ "$sum" = "$size" ]
nibble inspect "$TOY" --json | jsonq
nibble inspect -a "$NBL" | grep -q embed
fails 1 '*nowhere*' nibble inspect nowhere
fails 1 '*' nibble inspect /dev/null
