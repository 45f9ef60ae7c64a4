# A NaN (f16 0x7e00) in the middle of the data is named by its tensor.
. "$LIB"
toy a
poke a/model.safetensors $(($(size_of a/model.safetensors) / 2 / 2 * 2)) '\377\377\377\377'
fails 1 '*layer*NaN*' nibble quantize a -o x.nbl --fast
only a
