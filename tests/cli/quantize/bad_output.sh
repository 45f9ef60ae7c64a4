. "$LIB"
fails 1 '*no/such*' nibble quantize "$TOY" -o no/such/x.nbl
mkdir dir
fails 1 '*dir*' nibble quantize "$TOY" -o dir
# The checkpoint itself is never written over.
toy a
cp a/model.safetensors kept
fails '[12]' '*' nibble quantize a -o a/model.safetensors
cmp kept a/model.safetensors
