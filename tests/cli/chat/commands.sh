# Commands: files that are saved and loaded, also hostile ones; what may be written over; what is none.
. "$LIB"
say() { printf '%s\n' "$@" | nibble chat "$NBL" -q -n 3; }
say '/system the ant' 'the' '/save c.json' >out
[ "$(jsonq system <c.json)" = 'the ant' ]
[ "$(jsonq messages.0.role <c.json)" = user ]
[ "$(jsonq messages.1.content <c.json)" = "$(cat out)" ]
[ "$(cat out)" = "$(nibble generate "$NBL" -q --system 'the ant' -p the -n 3)" ]
say '/load c.json' '/save d.json'
cmp c.json d.json
say '/load c.json' '/reset' '/system' 'the' >out
[ "$(cat out)" = "$(nibble generate "$NBL" -q -p the -n 3)" ]
# As a request of OpenAI's interface has it.
echo '{"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "the"}]}, {"role": "assistant", "content": "ant"}]}' >openai.json
say '/load openai.json' '/save e.json'
[ "$(jsonq messages.0.content <e.json)" = the ]
[ "$(jsonq system <e.json)" = x ]
# A saved file is replaced; nothing else is, and not the model.
say '/save d.json'
echo mine >mine
cp "$NBL" own.nbl
refused() { # PATTERN LINE...
  pattern=$1 code=0
  shift
  printf '%s\n' "$@" | nibble chat own.nbl -q -n 3 >out 2>err || code=$?
  [ "$code" != 0 ]
  [ "$(grep -c ^nibble err)" = 1 ]
  # shellcheck disable=SC2254
  case $(cat err) in $pattern) ;; *) cat err >&2; exit 1 ;; esac
}
refused '*mine is there already and not a conversation*: give another name, or remove it first' '/save mine'
refused '*own.nbl*' '/save own.nbl'
cmp own.nbl "$NBL"
[ "$(cat mine)" = mine ]
refused '*/save wants*' '/save'
refused '*nowhere*' '/load nowhere'
refused '*no command /frob*' '/frob'
echo '{"messages": [{"role": "user", "content": "the"}]}' >half
refused '*half: its last turn has no answer*' '/load half'
echo '{"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}' >twice
refused '*twice: message 1*take turns*' '/load twice'
echo '{"messages": 3}' >number
refused '*number*"messages" is a number*' '/load number'
echo '{"messages": [{"role": "user", "content": 5}]}' >content
refused '*: content*"content" is neither*' '/load content'
head -c 300 "$NBL" >binary
refused '*binary*' '/load binary'
printf 'a\0b\n' >zero
code=0
nibble chat "$NBL" -q <zero 2>err || code=$?
[ "$code" = 1 ]
grep -q 'zero byte' err
# A slash that is text; an empty input; no last newline.
say '//the' '/save s.json' >/dev/null
[ "$(jsonq messages.0.content <s.json)" = /the ]
nibble chat "$NBL" </dev/null >out
[ ! -s out ]
[ "$(printf the | nibble chat "$NBL" -q -n 3)" = "$(nibble generate "$NBL" -q -p the -n 3)" ]
say /help | grep -q '^/system TEXT'
say /exit the >out
[ ! -s out ]
# More context than the model has is refused, as a prompt that does not fit is.
fails 2 '*--context 65: *takes 64 tokens at most' nibble chat "$NBL" -c 65
fails 2 '*--context 65: *takes 64 tokens at most' nibble serve "$NBL" -c 65 -p 0
