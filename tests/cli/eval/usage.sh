. "$LIB"
fails 2 '*--data*' nibble eval "$NBL"
fails 2 '*missing*' nibble eval --data x
fails 2 '*--kv*' nibble eval "$NBL" --data x --kv f8
fails 2 '*--shots*' nibble eval "$NBL" --data x --shots many
fails 2 '*did you mean --subjects*' nibble eval "$NBL" --data x --subject y
