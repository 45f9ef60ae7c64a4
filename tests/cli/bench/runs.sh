. "$LIB"
nibble bench "$NBL" -q --prefill 16 --decode 0,8 -n 4 --seconds 0.02 --json >j
jsonq <j
nibble bench "$NBL" -q --prefill 16 --decode 0 -n 4 --seconds 0.02 >table
[ -s table ]
nibble bench kernels -q --rows 32 --inputs 64 --seconds 0.001 --json | jsonq
fails 1 '*nowhere*' nibble bench nowhere
fails 2 '*many*' nibble bench "$NBL" --decode many
