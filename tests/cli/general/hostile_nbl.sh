# Files with one hostile change behind right checksums (tests/mutate_nbl.c): verified, listed, exported and run. Every
# command ends, with a result or one message; what verify refuses is not listed.
# HOSTILE=N: so many files (40), NB_SEED=N: others (tests/seed.h).
. "$LIB"
command -v timeout >/dev/null || skip "no timeout command"
n=${HOSTILE:-40}
run() { # COMMAND...: its exit code must be nibble's, with a message for a failure
  code=0
  timeout 60 "$@" >out 2>err || code=$?
  case $code in
  0) ;;
  1 | 2) grep -q '^nibble' err || { echo "seed $seed: $*: exit $code without a message" >&2; exit 1; } ;;
  *) echo "seed $seed: $*: exit $code" >&2; head -n 5 err >&2; exit 1 ;;
  esac
}
i=0 good=0 bad=0
while [ $i -lt "$n" ]; do
  i=$((i + 1))
  seed=$((${NB_SEED:-0} + i))
  mutate_nbl "$NBL" m.nbl $seed
  run nibble verify m.nbl
  verified=$code
  run nibble inspect m.nbl --html page.html --force
  [ $verified = 0 ] || [ $code = 1 ]
  run nibble export m.nbl --hf hf --force
  run nibble generate m.nbl -p "the ant" -n 2 -t 1
  if [ $code = 0 ]; then good=$((good + 1)); else bad=$((bad + 1)); fi
  rm -rf hf m.nbl page.html
done
echo "$good could be run, $bad were refused"
[ $good -gt 0 ]
[ $bad -gt 0 ]
