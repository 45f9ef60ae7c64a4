# experts converts, runs, exports and compares as Phi-3 does.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 mixtral mixtral_fused phimoe phimoe_longrope
