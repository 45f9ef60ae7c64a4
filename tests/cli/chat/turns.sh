# Turns on one cache are those of a fresh run of the whole conversation, and less is run; the context that fills up loses
# its oldest turns; without a template the turns make one text, which is said.
. "$LIB"
printf 'the ant\n/stats\nan ant\n\n/stats\n' | nibble chat "$NBL" -q -n 4 >out
[ "$(sed -n 1p out)" = "$(nibble generate "$NBL" -q -p 'the ant' -n 4)" ]
grep -q '^last answer: .* (0 from the cache' out
grep -q '^last answer: .* ([1-9][0-9]* from the cache, [0-9]* run' out
grep -q '^2 turns, 2 of them seen' out
# The second answer, by a program that begins with the first turn loaded.
printf 'the ant\n/save one.json\nan ant\n/save two.json\n' | nibble chat "$NBL" -q -n 4 >whole
printf 'an ant\n/save again.json\n' | nibble chat "$NBL" -q -n 4 --load one.json >part
[ "$(sed -n 2p whole)" = "$(cat part)" ]
cmp two.json again.json
# Sampling, threads and instruction sets.
printf 'the ant\nan ant\n' | nibble chat "$NBL" -q -n 4 --temperature 1 --seed 5 >a
for how in "-t 1" "-t 2" "--cpu ref"; do
  # shellcheck disable=SC2086
  printf 'the ant\nan ant\n' | nibble chat "$NBL" -q -n 4 --temperature 1 --seed 5 $how | cmp a -
done
# 64 positions: six turns do not fit, and it goes on.
i=0
while [ $i -lt 6 ]; do echo "the ant and the $i"; i=$((i + 1)); done >lines
echo /stats >>lines
nibble chat "$NBL" -n 4 <lines >out 2>err
grep -q 'the context of 64 tokens is nearly full: the oldest [0-9]* turns are no longer seen' err
grep -q '^6 turns, [1-5] of them seen' out
# A turn that cannot fit at all.
code=0
awk 'BEGIN { for (i = 0; i < 100; i++) printf "the ant "; print "" }' >long_line
nibble chat "$NBL" -q <long_line >out 2>err || code=$?
[ "$code" = 2 ]
[ ! -s out ]
grep -q 'this turn makes [0-9]* tokens, and the context has 64' err
# Also behind another turn, which is not said to be forgotten: that one is taken back.
{ echo the; cat long_line; } | nibble chat "$NBL" -n 4 >out 2>err || code=$?
[ "$(wc -l <out)" = 1 ]
grep -q 'this turn makes' err
grep -q 'no longer seen' err && exit 1
# No template.
toy plain
edit plain/tokenizer_config.json 's/"chat_template"/"no_template"/'
printf 'the\nant\n' | nibble chat plain -n 3 >out 2>err
grep -q 'note: plain has no chat template' err
[ "$(sed -n 1p out)" = "$(nibble generate plain --raw -q -p the -n 3)" ]
fails 2 '*plain has no chat template for --system*' nibble chat plain --system x
fails 2 '*--system*--raw*' nibble chat "$NBL" --system x --raw
