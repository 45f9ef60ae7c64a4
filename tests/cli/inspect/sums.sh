# The lines add up to the file's size.
. "$LIB"
nibble inspect "$NBL" >out
[ "$(awk '$1 == "file" {print $(NF - 1)}' out)" = "$(size_of "$NBL")" ]

nibble inspect "$NBL" --json | jsonq
nibble inspect "$TOY" --json | jsonq
nibble inspect -a "$NBL" | grep -q embed
fails 1 '*nowhere*' nibble inspect nowhere
fails 1 '*' nibble inspect /dev/null
