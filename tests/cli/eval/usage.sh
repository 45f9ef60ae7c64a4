. "$LIB"
fails 2 '*--data*' nibble eval "$NBL"
fails 2 '*missing*' nibble eval --data x
fails 2 '*--kv*' nibble eval "$NBL" --data x --kv f8
fails 2 '*--shots*' nibble eval "$NBL" --data x --shots many
fails 2 '*did you mean --subjects*' nibble eval "$NBL" --data x --subject y
fails 2 '*--shots takes a whole number*' nibble eval "$NBL" --data x --shots 1e300
fails 2 '*--max-memory takes a size*' nibble eval "$NBL" --data x --max-memory 0
# A limit that nothing is held against would pass unseen.
for limit in "--margin 1" "--max-drop 1" "--max-kld 1" "--gate g.json"; do
  fails 2 '*need --against or a second model' nibble eval "$NBL" --data x $limit
done
fails 2 '*--seed*' nibble eval "$NBL" --data x --sample 3 --seed 9007199254740993
