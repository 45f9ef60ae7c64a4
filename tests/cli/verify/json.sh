nibble verify "$NBL" --json >out
jsonq <out
