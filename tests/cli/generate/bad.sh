. "$LIB"
fails 2 '*' nibble generate "$NBL"
fails 2 '*--temperature*' nibble generate "$NBL" -p x --temperature hot
fails 2 '*--top-p*' nibble generate "$NBL" -p x --top-p 1.5
fails 1 '*nowhere*' nibble generate nowhere.nbl -p x
fails 1 '*nofile*' nibble generate "$NBL" -f nofile
# 64 positions.
fails '[12]' '*64*' nibble generate "$NBL" -p x -n 1000
cp "$NBL" bad.nbl
poke bad.nbl $(($(size_of bad.nbl) - 200)) '\001\002\003\004\005\006'
fails 1 '*bad.nbl*' nibble generate bad.nbl -p x --verify
printf 'the\0ant' >zero
fails 2 '*zero: holds a zero byte*' nibble generate "$NBL" -f zero
# Without a template there is no place for a system message, and it is said that the text goes on as it is.
toy plain
edit plain/tokenizer_config.json 's/"chat_template"/"no_template"/'
fails 2 '*plain has no chat template for --system*' nibble generate plain -p x --system y
nibble generate plain -p the -n 4 >out 2>err
grep -q 'note: plain has no chat template' err
nibble generate plain -p the -n 4 --raw 2>err | cmp out -
grep -q template err && exit 1
fails 2 '*--system*--raw*' nibble generate "$NBL" -p x --raw --system y

# A prompt that begins with the begin token gets no second one.
nibble generate "$NBL" -p 'the ant' -n 1 --raw --json >one
nibble generate "$NBL" -p '<s>the ant' -n 1 --raw --json >two
[ "$(jsonq prompt_tokens <one)" = "$(jsonq prompt_tokens <two)" ]
