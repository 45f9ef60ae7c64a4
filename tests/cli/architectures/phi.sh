# phi converts, runs, exports and compares as Phi-3 does.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 phi phi_half phi_qk_norm phi3small phi3small_longrope
