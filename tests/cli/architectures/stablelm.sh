# StableLM converts, runs, exports and compares as Phi-3 does; what its configuration may ask for beyond that is refused.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 stablelm
cp -R "$TESTS/golden/model/stablelm" other
for key in use_parallel_residual qk_layernorm; do
  sed "s/\"$key\": false/\"$key\": true/" "$TESTS/golden/model/stablelm/config.json" >other/config.json
  fails 1 "*\"$key\" is true; only false is supported*" nibble inspect other
done
