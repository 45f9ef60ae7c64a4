. "$LIB"
[ "$(nibble tokenize "$NBL" -p 'the ant')" = "$(nibble tokenize "$TOY" -p 'the ant')" ]
nibble tokenize "$TOY" -p 'the ant in a thing, & more' >ids
[ "$(nibble tokenize "$NBL" -d -f ids)" = 'the ant in a thing, & more' ]
[ "$(nibble tokenize "$NBL" -s -p the)" = '1 108' ]
printf 'the' | nibble tokenize "$NBL" | grep -qx 108
nibble tokenize "$NBL" -p the --json | jsonq
fails 1 '*nowhere*' nibble tokenize nowhere -p x
fails 1 '*nofile*' nibble tokenize "$NBL" -f nofile
fails 2 '*either -p or --file*' nibble tokenize "$NBL" -p the -f ids
# What cannot be read is not taken for an empty text.
code=0
nibble tokenize "$NBL" <. >out 2>err || code=$?
[ "$code" = 1 ]
[ ! -s out ]
grep -q '^nibble: standard input: cannot read' err
