. "$LIB"
[ "$(nibble tokenize "$NBL" -p 'the ant')" = "$(nibble tokenize "$TOY" -p 'the ant')" ]
nibble tokenize "$TOY" -p 'the ant in a thing, & more' >ids
[ "$(nibble tokenize "$NBL" -d -f ids)" = 'the ant in a thing, & more' ]
[ "$(nibble tokenize "$NBL" -s -p the)" = '1 108' ]
printf 'the' | nibble tokenize "$NBL" | grep -qx 108
nibble tokenize "$NBL" -p the --json | jsonq
fails 1 '*nowhere*' nibble tokenize nowhere -p x
fails 1 '*nofile*' nibble tokenize "$NBL" -f nofile
