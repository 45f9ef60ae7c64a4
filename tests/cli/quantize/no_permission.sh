. "$LIB"
[ "$(id -u)" != 0 ] || skip "root may write anywhere"
mkdir ro
chmod a-w ro
fails 1 '*ro*' nibble quantize "$TOY" -o ro/x.nbl --fast
