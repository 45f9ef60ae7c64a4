. "$LIB"
fails 2 '*-o FILE*' nibble quantize "$TOY"
fails 2 '*missing*' nibble quantize -o x.nbl
fails 2 '*unexpected argument*' nibble quantize "$TOY" "$TOY" -o x.nbl
fails 2 '*--group*' nibble quantize "$TOY" -o x.nbl --group 48
fails 2 '*--group*' nibble quantize "$TOY" -o x.nbl --group 64x
fails 2 '*--bits*' nibble quantize "$TOY" -o x.nbl -b 9
fails 2 '*--codes*trellis|table|uniform*' nibble quantize "$TOY" -o x.nbl --codes zig
fails 2 '*did you mean --group*' nibble quantize "$TOY" -o x.nbl --gruop 64
fails 2 '*needs a value*' nibble quantize "$TOY" -o
fails 2 '*--threads*' nibble quantize "$TOY" -o x.nbl -t 0
fails 2 '*--cpu*' nibble quantize "$TOY" -o x.nbl --cpu pdp11
only
# Nothing that is given is left unused: a text with --fast serves a budget only.
calibration_text 300 >text
fails 2 '*--fast makes no use of --calib*' nibble quantize "$TOY" -o x.nbl --fast --calib text
fails 2 '*--fast makes no use of --stats*' nibble quantize "$TOY" -o x.nbl --fast --stats text
fails 2 '*--budget, --preset and --linear-bpw exclude each other*' nibble quantize "$TOY" -o x.nbl --calib text --preset phone --budget 1GB
