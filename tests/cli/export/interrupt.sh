# An export that fails leaves no folder that looks like a checkpoint.
. "$LIB"
(
  ulimit -f 8
  fails 1 '*model.safetensors*' nibble export "$NBL" --hf made
)
[ ! -e made ]
mkdir there
(
  ulimit -f 8
  fails 1 '*model.safetensors*' nibble export "$NBL" --hf there
)
[ ! -e there/config.json ]
[ ! -e there/model.safetensors ]
nibble export "$NBL" --hf made >/dev/null 2>&1
[ -s made/config.json ]
