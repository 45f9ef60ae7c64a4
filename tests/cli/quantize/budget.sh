# A budget is met, or refused with the smallest size that is possible.
. "$LIB"
calibrates -o d.nbl -q --budget 60kB --probe-tokens 64 >/dev/null
[ "$(size_of d.nbl)" -le 60000 ]
nibble verify d.nbl >/dev/null
fails '[12]' '*smallest possible is *' calibrates -o e.nbl -q --budget 10KB
[ ! -e e.nbl ]
[ ! -e e.nbl.part ]
