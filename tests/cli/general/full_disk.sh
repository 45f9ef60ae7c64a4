[ -c /dev/full ] || { echo "SKIP: no /dev/full here"; exit 77; }
nibble help >/dev/full
