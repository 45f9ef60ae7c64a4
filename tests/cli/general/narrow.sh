# On a narrow terminal the progress stays on its line.
. "$LIB"
command -v script >/dev/null || skip "no script(1)"
questions q.jsonl 3000
script -qec "stty cols 40; nibble eval '$NBL' --task custom --data q.jsonl -t 1 --alone" out.txt >/dev/null </dev/null ||
  skip "script(1) makes no terminal"
tr '\r' '\n' <out.txt | grep 'evaluating' >lines || skip "too quick to show progress"
awk 'length($0) > 39 + length("\033[K") { print "too long: " $0; bad = 1 } END { exit bad }' lines
