# Each is refused with one line that names what is wrong, exit 1, and leaves no file.
. "$LIB"
fails 1 '*nowhere*' nibble quantize nowhere -o x.nbl
mkdir empty
fails 1 '*empty*config.json*' nibble quantize empty -o x.nbl
toy a; rm a/model.safetensors
fails 1 '*model.safetensors*' nibble quantize a -o x.nbl
toy b; dd if="$TOY/model.safetensors" of=b/model.safetensors bs=1000 count=100 2>/dev/null
fails 1 '*b/model.safetensors*' nibble quantize b -o x.nbl
toy c; poke c/model.safetensors 6 '\377'
fails 1 '*c/model.safetensors*' nibble quantize c -o x.nbl
toy d; edit d/config.json 's/Phi3ForCausalLM/GPT2LMHeadModel/'
fails 1 '*GPT2LMHeadModel*Phi3ForCausalLM*' nibble quantize d -o x.nbl
toy e; edit e/config.json 's/"hidden_size": 80/"hidden_size": 96/'
fails 1 '*e*' nibble quantize e -o x.nbl
toy f; edit f/config.json 's/"hidden_size": 80/"hidden_size": 99999999999/'
fails 1 '*hidden_size*' nibble quantize f -o x.nbl
toy g; edit g/config.json 's/"hidden_size": 80,/"hidden_size": 80,,/'
fails 1 '*g/config.json*:1[0-9]*' nibble quantize g -o x.nbl
toy h; edit h/config.json 's/"hidden_size": 80,/"hidden_size": 80, "hidden_size": 81,/'
fails 1 '*h/config.json*duplicate*hidden_size*' nibble quantize h -o x.nbl
toy i; edit i/tokenizer.json 's/^"~": *[0-9]*/"~": 77777777/'
fails 1 '*' nibble quantize i -o x.nbl
toy j; rm j/tokenizer.json
fails 1 '*tokenizer.json*' nibble quantize j -o x.nbl
# Tensors that would be left out: config.json has too few layers.
toy k; edit k/config.json 's/"num_hidden_layers": 2/"num_hidden_layers": 1/'
fails 1 '*k/model.safetensors*model.layers.1.*has no place*' nibble quantize k -o x.nbl
# Its last tensor is the final norm: a NaN there.
toy l; poke l/model.safetensors $(($(size_of l/model.safetensors) - 2)) '\000\176'
fails 1 'nibble: l: the final norm is NaN*' nibble quantize l -o x.nbl
only a b c d e empty f g h i j k l
