# What differs is named, and what cannot give the same file is refused before the work.
. "$LIB"
calibration_text 300 >text
few="--tokens 256 --seq 32"
# shellcheck disable=SC2086
nibble quantize "$TOY" -o x.nbl -q --calib text $few >/dev/null
fails '[12]' '*x.nbl*--calib*' nibble reproduce x.nbl "$TOY" -q
fails '[12]' '*not those*' nibble reproduce x.nbl "$TOY" -q --calib text --calib text
awk 'NR % 3' text >third
fails '[12]' '*not those*' nibble reproduce x.nbl "$TOY" -q --calib third
toy m
poke m/model.safetensors $(($(size_of m/model.safetensors) - 9)) '\1'
fails '[12]' '*not the checkpoint*' nibble reproduce x.nbl m -q --calib text
fails '[12]' '*' nibble reproduce x.nbl x.nbl -q --calib text
fails '[12]' '*nowhere*' nibble reproduce nowhere "$TOY" -q
fails '[12]' '*leave --calib out*' nibble reproduce "$NBL" "$TOY" -q --calib text
fails 2 '*missing*' nibble reproduce x.nbl
# A code that somebody changed: the tensor is named.
cp x.nbl y.nbl
poke y.nbl $(($(size_of y.nbl) / 2)) '\252'
code=0
nibble reproduce y.nbl "$TOY" -q --calib text >out || code=$?
[ $code = 3 ]
grep -q 'not equal' out
grep -q '^tensor: [a-z]' out || { cat out >&2; exit 1; }
[ "$(wc -l <out)" -eq 2 ]
code=0
nibble reproduce y.nbl "$TOY" -q --calib text --json >out || code=$?
[ $code = 3 ]
jsonq equal <out | grep -qx false
# A file that has the name of the one that is made and removed is somebody's.
cp x.nbl x.nbl.again.nbl
fails 2 '*x.nbl.again.nbl is there already: remove it, or name*' nibble reproduce x.nbl "$TOY" -q --calib text
cmp x.nbl x.nbl.again.nbl
rm x.nbl.again.nbl
ln -s text x.nbl.again.nbl
fails 2 '*x.nbl.again.nbl is there already*' nibble reproduce x.nbl "$TOY" -q --calib text
rm x.nbl.again.nbl
only m out text third x.nbl y.nbl
