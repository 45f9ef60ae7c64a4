# A file system of 16 KiB: the message says so, nothing is left on it, and an older file stays as it was.
. "$LIB"
[ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || skip "needs root to mount a small tmpfs"
mkdir small
mount -t tmpfs -o size=16k none small 2>/dev/null || skip "may not mount a tmpfs"
trap 'umount small' EXIT
fails 1 '*x.nbl*' nibble quantize "$TOY" -o small/x.nbl --fast --force
[ -z "$(ls -A small)" ]
echo old >small/x.nbl
fails 1 '*x.nbl*' nibble quantize "$TOY" -o small/x.nbl --fast --force
[ "$(cat small/x.nbl)" = old ]
[ "$(ls -A small)" = x.nbl ]
