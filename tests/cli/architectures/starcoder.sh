# StarCoder 2 converts, runs, exports and compares as Phi-3 does.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 starcoder2 starcoder2_plain
