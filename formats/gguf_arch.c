/* SPDX-License-Identifier: MIT */
#include "formats/gguf_arch.h"

#include <stdio.h>
#include <string.h>

#define LAYER "model.layers.%L."

/* Of all: the embedding, the final norm, the head. */
#define OUTSIDE                                                                                                        \
  {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, { "output", "lm_head" }
#define QKV                                                                                                            \
  {"blk.%L.attn_q", LAYER "self_attn.q_proj"}, {"blk.%L.attn_k", LAYER "self_attn.k_proj"}, {                          \
    "blk.%L.attn_v", LAYER "self_attn.v_proj"                                                                          \
  }
#define ATTENTION                                                                                                      \
  QKV, { "blk.%L.attn_output", LAYER "self_attn.o_proj" }
#define GATED                                                                                                          \
  {"blk.%L.ffn_gate", LAYER "mlp.gate_proj"}, {"blk.%L.ffn_up", LAYER "mlp.up_proj"}, {                                \
    "blk.%L.ffn_down", LAYER "mlp.down_proj"                                                                           \
  }
#define TWO_NORMS                                                                                                      \
  {"blk.%L.attn_norm", LAYER "input_layernorm"}, { "blk.%L.ffn_norm", LAYER "post_attention_layernorm" }
#define FOUR_NORMS                                                                                                     \
  {"blk.%L.attn_norm", LAYER "input_layernorm"}, {"blk.%L.post_attention_norm", LAYER "post_attention_layernorm"},     \
      {"blk.%L.ffn_norm", LAYER "pre_feedforward_layernorm"}, {                                                        \
    "blk.%L.post_ffw_norm", LAYER "post_feedforward_layernorm"                                                         \
  }
#define QK_NORMS                                                                                                       \
  {"blk.%L.attn_q_norm", LAYER "self_attn.q_norm"}, { "blk.%L.attn_k_norm", LAYER "self_attn.k_norm" }

static const nb_gguf_name llama[] = {OUTSIDE, ATTENTION, GATED, TWO_NORMS};
static const nb_gguf_name qwen3[] = {OUTSIDE, ATTENTION, GATED, TWO_NORMS, QK_NORMS};
static const nb_gguf_name gemma2[] = {OUTSIDE, ATTENTION, GATED, FOUR_NORMS};
static const nb_gguf_name gemma3[] = {OUTSIDE, ATTENTION, GATED, FOUR_NORMS, QK_NORMS};
static const nb_gguf_name phi3[] = {OUTSIDE,
                                    {"blk.%L.attn_qkv", LAYER "self_attn.qkv_proj"},
                                    {"blk.%L.attn_output", LAYER "self_attn.o_proj"},
                                    {"blk.%L.ffn_up", LAYER "mlp.gate_up_proj"},
                                    {"blk.%L.ffn_down", LAYER "mlp.down_proj"},
                                    TWO_NORMS};
static const nb_gguf_name phi2[] = {{"token_embd", "model.embed_tokens"},
                                    {"output_norm", "model.final_layernorm"},
                                    {"output", "lm_head"},
                                    QKV,
                                    {"blk.%L.attn_output", LAYER "self_attn.dense"},
                                    {"blk.%L.ffn_up", LAYER "mlp.fc1"},
                                    {"blk.%L.ffn_down", LAYER "mlp.fc2"},
                                    {"blk.%L.attn_norm", LAYER "input_layernorm"}};

#define NAMES(list) list, sizeof list / sizeof *list

static const nb_gguf_arch archs[] = {
    {"llama", "LlamaForCausalLM", "llama", "silu", true, false, false, NAMES(llama)},
    {"phi3", "Phi3ForCausalLM", "phi3", "silu", false, false, false, NAMES(phi3)},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", "silu", false, false, false, NAMES(llama)},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", "silu", false, false, false, NAMES(qwen3)},
    {"gemma", "GemmaForCausalLM", "gemma", "gelu_pytorch_tanh", false, true, false, NAMES(llama)},
    {"gemma2", "Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", false, true, false, NAMES(gemma2)},
    {"gemma3", "Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh", false, true, false, NAMES(gemma3)},
    {"phi2", "PhiForCausalLM", "phi", "gelu_new", false, false, true, NAMES(phi2)},
};
enum { N_ARCHS = sizeof archs / sizeof *archs };

const nb_gguf_arch *nb_gguf_arch_find(const char *name, size_t n) {
  for (size_t i = 0; i < N_ARCHS; i++)
    if (strlen(archs[i].name) == n && !memcmp(archs[i].name, name, n)) return &archs[i];
  return NULL;
}

const nb_gguf_arch *nb_gguf_arch_of(const char *architecture) {
  if (!strcmp(architecture, "MistralForCausalLM")) architecture = "LlamaForCausalLM";
  for (size_t i = 0; i < N_ARCHS; i++)
    if (!strcmp(archs[i].architecture, architecture)) return &archs[i];
  return NULL;
}

const char *nb_gguf_arch_list(char *out, size_t n) {
  size_t at = 0;
  for (size_t i = 0; i < N_ARCHS && at < n; i++)
    at += (size_t)snprintf(out + at, n - at, "%s%s", i ? ", " : "", archs[i].name);
  return out;
}

/* Whether name, up to its ending, is pattern; the layer's digits go to *layer and *digits, the ending's place to *end.
 */
static bool matches(const char *pattern, const char *name, const char **layer, size_t *digits, const char **end) {
  *digits = 0;
  for (; *pattern; pattern++) {
    if (pattern[0] != '%') {
      if (*name++ != *pattern) return false;
      continue;
    }
    pattern++; /* %L */
    *layer = name;
    *digits = strspn(name, "0123456789");
    if (!*digits || *digits > 6 || (*digits > 1 && *name == '0')) return false;
    name += *digits;
  }
  *end = name;
  return !strcmp(name, ".weight") || !strcmp(name, ".bias");
}

static bool rename_to(const char *pattern, const char *layer, size_t digits, const char *end, char out[NB_GGUF_ROOM]) {
  const char *hole = strstr(pattern, "%L");
  size_t head = hole ? (size_t)(hole - pattern) : strlen(pattern);
  int n = snprintf(out, NB_GGUF_ROOM, "%.*s%.*s%s%s", (int)head, pattern, (int)digits, digits ? layer : "",
                   hole ? hole + 2 : "", end);
  return n > 0 && n < NB_GGUF_ROOM;
}

static bool translate(const nb_gguf_arch *a, const char *name, bool to_hf, char out[NB_GGUF_ROOM]) {
  const char *layer, *end;
  size_t digits;
  for (size_t i = 0; i < a->n_names; i++) {
    const nb_gguf_name *x = &a->names[i];
    if (matches(to_hf ? x->gguf : x->hf, name, &layer, &digits, &end))
      return rename_to(to_hf ? x->hf : x->gguf, layer, digits, end, out);
  }
  return false;
}

bool nb_gguf_arch_to_hf(const nb_gguf_arch *a, const char *gguf, char out[NB_GGUF_ROOM]) {
  return translate(a, gguf, true, out);
}

bool nb_gguf_arch_from_hf(const nb_gguf_arch *a, const char *hf, char out[NB_GGUF_ROOM]) {
  return translate(a, hf, false, out);
}

bool nb_gguf_arch_rotated(const char *gguf, bool *key) {
  const char *q = strstr(gguf, ".attn_q."), *k = strstr(gguf, ".attn_k.");
  *key = k != NULL;
  return q || k;
}

bool nb_gguf_arch_norm(const char *gguf) { return strstr(gguf, "norm.weight") != NULL; }
