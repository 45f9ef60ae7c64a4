# Options that nothing runs without: each is named as the usage line spells it, and marked in the help.
. "$LIB"
while IFS=: read -r command missing; do
  missing=${missing# }
  # shellcheck disable=SC2086 # words
  fails 2 "nibble ${command%% *}: $missing is missing" nibble $command
  nibble "${command%% *}" --help | tr -s ' \n' ' ' | grep -q '(required)'
done <<END
quantize toy: -o FILE
calibrate toy: -o FILE
pack a.nbl: -o FILE
unpack x.nblz: -o FILE
join x.nbl: -o FILE
split a.nbl -o x: --size BYTES
split a.nbl --size 1MB: -o PREFIX
kld a.nbl b.nbl: --text FILE
ppl a.nbl: --text FILE
probe a.nbl --out x: --text FILE
probe a.nbl --text x: --out FILE
eval a.nbl: --data PATH
gate a.nbl --data x: --against RUN
gate a.nbl --against x: --data PATH
END
[ ! -e x ]
