# llama converts, runs, exports and compares as Phi-3 does.
. "$LIB"
. "$TESTS/cli/architectures/family.inc"
family 0.05 llama llama3_rope llama_bias llama_linear llama_yarn llama_head_dim mistral_window
