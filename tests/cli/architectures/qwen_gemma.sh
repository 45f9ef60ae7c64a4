# qwen_gemma converts, runs, exports and compares as Phi-3 does.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 qwen2 qwen2_window qwen3 gemma gemma2 gemma3 gemma3_linear
