. "$LIB"
questions q.jsonl 12
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 100 >out 2>err || code=$?
[ "$code" = 3 ]
grep -q '^nibble: ' err
nibble eval "$NBL" --task custom --data q.jsonl -q --min-accuracy 0 >out 2>err
code=0
nibble eval "$NBL" --task custom --data q.jsonl -q --max-memory 1K >out 2>err || code=$?
[ "$code" = 3 ]
