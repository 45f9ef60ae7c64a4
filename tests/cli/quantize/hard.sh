# Texts that say little, budgets that are too small: done as well as can be, and said.
. "$LIB"
i=0
while [ $i -lt 300 ]; do i=$((i + 1)); echo "the the the"; done >constant
opts="--calib constant --tokens 512 --seq 32 -b 3 --codes uniform"
# shellcheck disable=SC2086
{
  # Rows that calibration would make worse keep plain rounding: said in a note, counted in the table and in JSON.
  nibble quantize "$TOY" -o a.nbl $opts --damp 1 --sweeps 0 >table 2>err
  nibble verify a.nbl >/dev/null
  n=$(sed -n 's/^nibble: note: \([0-9]*\) rows kept plain rounding.*/\1/p' err)
  [ "$n" -gt 0 ]
  grep -q 'rows kept plain' table
  nibble quantize "$TOY" -o b.nbl $opts --damp 1 --sweeps 0 -q --json >j 2>err
  [ ! -s err ]
  cmp a.nbl b.nbl
  sum=0
  for k in $(sed -n 's/.*"rows_kept_plain":[[:space:]]*\([0-9]*\).*/\1/p' j); do sum=$((sum + k)); done
  [ "$sum" -le "$n" ]
  [ "$sum" -gt 0 ] # the note counts the head's, too
  ! grep -q 'nan\|inf' j
  # With fewer tokens than inputs a matrix's statistics are singular.
  nibble quantize "$TOY" -o c.nbl --calib constant --tokens 32 --seq 32 >/dev/null 2>err
  grep -q '^nibble: note: 32 tokens for matrices of up to 80 inputs' err
  nibble verify c.nbl >/dev/null
  yes '' | head -n 50 >blank
  nibble quantize "$TOY" -o c.nbl -q --calib blank --tokens 32 --seq 16 >/dev/null
  # Too small a budget is refused before any work, with the smallest that is possible, and that is possible.
  budget="--calib constant --tokens 256 --seq 32 --probe-tokens 32"
  fails '[12]' '*small.nbl*1000 bytes*the smallest possible is [0-9]*' nibble quantize "$TOY" -o small.nbl $budget --budget 1000
  nibble quantize "$TOY" -o small.nbl $budget --budget 1000 2>err >out && exit 1
  least=$(sed -n 's/.*smallest possible is //p' err)
  [ ! -e small.nbl ]
  [ ! -e small.nbl.part ]
  fails '[12]' "*smallest possible is $least" nibble quantize "$TOY" -o small.nbl $budget --budget $((least - 1))
  nibble quantize "$TOY" -o small.nbl -q $budget --budget "$least" >/dev/null
  [ "$(size_of small.nbl)" = "$least" ]
  # The model's own text is not even begun then: so much of it would take minutes.
  own="--calib self --seq 32 --probe-tokens 32"
  fails '[12]' '*small.nbl*1000 bytes*the smallest possible is [0-9]*' nibble quantize "$TOY" -o small.nbl $own --tokens 16000000 --budget 1000
  fails 1 '*no/such*' nibble quantize "$TOY" -o no/such/x.nbl $own --tokens 16000000
  nibble quantize "$TOY" -o x.nbl $own --tokens 256 --budget 1000 2>err >out && exit 1
  least=$(sed -n 's/.*smallest possible is //p' err)
  nibble quantize "$TOY" -o x.nbl -q $own --tokens 256 --budget "$least" >/dev/null
  [ "$(size_of x.nbl)" = "$least" ]
  fails '[12]' '*bpw*not a size*' nibble quantize "$TOY" -o x.nbl $budget --budget 4.05bpws
}
