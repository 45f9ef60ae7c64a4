/* SPDX-License-Identifier: MIT */
#include "model/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

#define LAYER "model.layers.%L."
#define ENDS                                                                                                           \
  {NB_EMBED, "model.embed_tokens.weight", NB_ROWS_ALL}, {NB_FINAL_NORM, "model.norm.weight", NB_ROWS_ALL}, {           \
    NB_HEAD, "lm_head.weight", NB_ROWS_ALL                                                                             \
  }
#define QKV                                                                                                            \
  {NB_Q, LAYER "self_attn.q_proj.weight", NB_ROWS_ALL}, {NB_K, LAYER "self_attn.k_proj.weight", NB_ROWS_ALL},          \
      {NB_V, LAYER "self_attn.v_proj.weight", NB_ROWS_ALL}, {NB_Q_BIAS, LAYER "self_attn.q_proj.bias", NB_ROWS_ALL},   \
      {NB_K_BIAS, LAYER "self_attn.k_proj.bias", NB_ROWS_ALL}, {                                                       \
    NB_V_BIAS, LAYER "self_attn.v_proj.bias", NB_ROWS_ALL                                                              \
  }
#define O_PROJ                                                                                                         \
  {NB_O, LAYER "self_attn.o_proj.weight", NB_ROWS_ALL}, { NB_O_BIAS, LAYER "self_attn.o_proj.bias", NB_ROWS_ALL }
#define ATTN_NORM                                                                                                      \
  { NB_ATTN_NORM, LAYER "input_layernorm.weight", NB_ROWS_ALL }
#define FFN_NORM                                                                                                       \
  { NB_FFN_NORM, LAYER "post_attention_layernorm.weight", NB_ROWS_ALL }
#define ATTN_NORM_BIAS                                                                                                 \
  { NB_ATTN_NORM_BIAS, LAYER "input_layernorm.bias", NB_ROWS_ALL }
#define FFN_NORM_BIAS                                                                                                  \
  { NB_FFN_NORM_BIAS, LAYER "post_attention_layernorm.bias", NB_ROWS_ALL }
#define QK_NORM                                                                                                        \
  {NB_Q_NORM, LAYER "self_attn.q_norm.weight", NB_ROWS_ALL}, { NB_K_NORM, LAYER "self_attn.k_norm.weight", NB_ROWS_ALL }
#define GATED_MLP                                                                                                      \
  {NB_GATE, LAYER "mlp.gate_proj.weight", NB_ROWS_ALL}, {NB_UP, LAYER "mlp.up_proj.weight", NB_ROWS_ALL},              \
      {NB_DOWN, LAYER "mlp.down_proj.weight", NB_ROWS_ALL}, {NB_GATE_BIAS, LAYER "mlp.gate_proj.bias", NB_ROWS_ALL},   \
      {NB_UP_BIAS, LAYER "mlp.up_proj.bias", NB_ROWS_ALL}, {                                                           \
    NB_DOWN_BIAS, LAYER "mlp.down_proj.bias", NB_ROWS_ALL                                                              \
  }
#define SANDWICH_NORMS                                                                                                 \
  {NB_POST_ATTN_NORM, LAYER "post_attention_layernorm.weight", NB_ROWS_ALL},                                           \
      {NB_FFN_NORM, LAYER "pre_feedforward_layernorm.weight", NB_ROWS_ALL}, {                                          \
    NB_POST_FFN_NORM, LAYER "post_feedforward_layernorm.weight", NB_ROWS_ALL                                           \
  }
/* Of all experts in one tensor, as transformers 5 writes them. */
#define FUSED_EXPERTS(block)                                                                                           \
  {NB_GATE, LAYER block ".experts.gate_up_proj", NB_ROWS_EXPERT_GATE_UP},                                              \
      {NB_UP, LAYER block ".experts.gate_up_proj", NB_ROWS_EXPERT_GATE_UP}, {                                          \
    NB_DOWN, LAYER block ".experts.down_proj", NB_ROWS_EXPERT                                                          \
  }
#define EXPERTS(block)                                                                                                 \
  {NB_ROUTER, LAYER block ".gate.weight", NB_ROWS_ALL}, {NB_GATE, LAYER block ".experts.%E.w1.weight", NB_ROWS_ALL},   \
      {NB_UP, LAYER block ".experts.%E.w3.weight", NB_ROWS_ALL},                                                       \
      {NB_DOWN, LAYER block ".experts.%E.w2.weight", NB_ROWS_ALL}, FUSED_EXPERTS(block)

/* Llama and what has its names: Mistral, Qwen, Gemma. */
static const nb_arch_name llama_names[] = {ENDS, ATTN_NORM, QKV, QK_NORM, O_PROJ, FFN_NORM, GATED_MLP};

static const nb_arch_name gemma2_names[] = {ENDS, ATTN_NORM, QKV, QK_NORM, O_PROJ, SANDWICH_NORMS, GATED_MLP};

static const nb_arch_name phi3_names[] = {ENDS,
                                          ATTN_NORM,
                                          {NB_Q, LAYER "self_attn.qkv_proj.weight", NB_ROWS_QKV},
                                          {NB_K, LAYER "self_attn.qkv_proj.weight", NB_ROWS_QKV},
                                          {NB_V, LAYER "self_attn.qkv_proj.weight", NB_ROWS_QKV},
                                          O_PROJ,
                                          FFN_NORM,
                                          {NB_GATE, LAYER "mlp.gate_up_proj.weight", NB_ROWS_GATE_UP},
                                          {NB_UP, LAYER "mlp.gate_up_proj.weight", NB_ROWS_GATE_UP},
                                          {NB_DOWN, LAYER "mlp.down_proj.weight", NB_ROWS_ALL}};

static const nb_arch_name phi_names[] = {{NB_EMBED, "model.embed_tokens.weight", NB_ROWS_ALL},
                                         {NB_FINAL_NORM, "model.final_layernorm.weight", NB_ROWS_ALL},
                                         {NB_FINAL_NORM_BIAS, "model.final_layernorm.bias", NB_ROWS_ALL},
                                         {NB_HEAD, "lm_head.weight", NB_ROWS_ALL},
                                         {NB_HEAD_BIAS, "lm_head.bias", NB_ROWS_ALL},
                                         ATTN_NORM,
                                         ATTN_NORM_BIAS,
                                         QKV,
                                         {NB_Q_NORM, LAYER "self_attn.q_layernorm.weight", NB_ROWS_ALL},
                                         {NB_Q_NORM_BIAS, LAYER "self_attn.q_layernorm.bias", NB_ROWS_ALL},
                                         {NB_K_NORM, LAYER "self_attn.k_layernorm.weight", NB_ROWS_ALL},
                                         {NB_K_NORM_BIAS, LAYER "self_attn.k_layernorm.bias", NB_ROWS_ALL},
                                         {NB_O, LAYER "self_attn.dense.weight", NB_ROWS_ALL},
                                         {NB_O_BIAS, LAYER "self_attn.dense.bias", NB_ROWS_ALL},
                                         {NB_UP, LAYER "mlp.fc1.weight", NB_ROWS_ALL},
                                         {NB_UP_BIAS, LAYER "mlp.fc1.bias", NB_ROWS_ALL},
                                         {NB_DOWN, LAYER "mlp.fc2.weight", NB_ROWS_ALL},
                                         {NB_DOWN_BIAS, LAYER "mlp.fc2.bias", NB_ROWS_ALL}};

static const nb_arch_name mixtral_names[] = {ENDS,
                                             ATTN_NORM,
                                             QKV,
                                             O_PROJ,
                                             FFN_NORM,
                                             EXPERTS("block_sparse_moe"),
                                             {NB_ROUTER, LAYER "mlp.gate.weight", NB_ROWS_ALL},
                                             FUSED_EXPERTS("mlp")};

static const nb_arch_name phimoe_names[] = {ENDS,
                                            {NB_FINAL_NORM_BIAS, "model.norm.bias", NB_ROWS_ALL},
                                            {NB_HEAD_BIAS, "lm_head.bias", NB_ROWS_ALL},
                                            ATTN_NORM,
                                            ATTN_NORM_BIAS,
                                            QKV,
                                            O_PROJ,
                                            FFN_NORM,
                                            FFN_NORM_BIAS,
                                            EXPERTS("block_sparse_moe"),
                                            {NB_ROUTER, LAYER "mlp.router.weight", NB_ROWS_ALL},
                                            FUSED_EXPERTS("mlp")};

static const nb_arch_name phi3small_names[] = {{NB_EMBED, "model.embed_tokens.weight", NB_ROWS_ALL},
                                               {NB_FINAL_NORM, "model.final_layernorm.weight", NB_ROWS_ALL},
                                               {NB_FINAL_NORM_BIAS, "model.final_layernorm.bias", NB_ROWS_ALL},
                                               {NB_HEAD, "lm_head.weight", NB_ROWS_ALL},
                                               ATTN_NORM,
                                               ATTN_NORM_BIAS,
                                               {NB_Q, LAYER "self_attn.query_key_value.weight", NB_ROWS_QKV_GROUPS},
                                               {NB_K, LAYER "self_attn.query_key_value.weight", NB_ROWS_QKV_GROUPS},
                                               {NB_V, LAYER "self_attn.query_key_value.weight", NB_ROWS_QKV_GROUPS},
                                               {NB_Q_BIAS, LAYER "self_attn.query_key_value.bias", NB_ROWS_QKV_GROUPS},
                                               {NB_K_BIAS, LAYER "self_attn.query_key_value.bias", NB_ROWS_QKV_GROUPS},
                                               {NB_V_BIAS, LAYER "self_attn.query_key_value.bias", NB_ROWS_QKV_GROUPS},
                                               {NB_O, LAYER "self_attn.dense.weight", NB_ROWS_ALL},
                                               {NB_O_BIAS, LAYER "self_attn.dense.bias", NB_ROWS_ALL},
                                               FFN_NORM,
                                               FFN_NORM_BIAS,
                                               {NB_GATE, LAYER "mlp.up_proj.weight", NB_ROWS_GATE_UP_ALTERNATE},
                                               {NB_UP, LAYER "mlp.up_proj.weight", NB_ROWS_GATE_UP_ALTERNATE},
                                               {NB_DOWN, LAYER "mlp.down_proj.weight", NB_ROWS_ALL},
                                               {NB_GATE_BIAS, LAYER "mlp.up_proj.bias", NB_ROWS_GATE_UP_ALTERNATE},
                                               {NB_UP_BIAS, LAYER "mlp.up_proj.bias", NB_ROWS_GATE_UP_ALTERNATE},
                                               {NB_DOWN_BIAS, LAYER "mlp.down_proj.bias", NB_ROWS_ALL}};

static const nb_arch_name starcoder2_names[] = {ENDS,
                                                {NB_FINAL_NORM_BIAS, "model.norm.bias", NB_ROWS_ALL},
                                                ATTN_NORM,
                                                ATTN_NORM_BIAS,
                                                QKV,
                                                O_PROJ,
                                                FFN_NORM,
                                                FFN_NORM_BIAS,
                                                {NB_UP, LAYER "mlp.c_fc.weight", NB_ROWS_ALL},
                                                {NB_UP_BIAS, LAYER "mlp.c_fc.bias", NB_ROWS_ALL},
                                                {NB_DOWN, LAYER "mlp.c_proj.weight", NB_ROWS_ALL},
                                                {NB_DOWN_BIAS, LAYER "mlp.c_proj.bias", NB_ROWS_ALL}};

static const nb_arch_name stablelm_names[] = {ENDS,      {NB_FINAL_NORM_BIAS, "model.norm.bias", NB_ROWS_ALL},
                                              ATTN_NORM, ATTN_NORM_BIAS,
                                              QKV,       O_PROJ,
                                              FFN_NORM,  FFN_NORM_BIAS,
                                              GATED_MLP};

/* ---- architectures ---- */

#define NAMES(list) list, sizeof list / sizeof *list

static const nb_arch phi3 = {"Phi3ForCausalLM", "phi3", false, NAMES(phi3_names)};
static const nb_arch llama = {"LlamaForCausalLM", "llama", false, NAMES(llama_names)};
static const nb_arch mistral = {"MistralForCausalLM", "mistral", false, NAMES(llama_names)};
static const nb_arch qwen2 = {"Qwen2ForCausalLM", "qwen2", false, NAMES(llama_names)};
static const nb_arch qwen3 = {"Qwen3ForCausalLM", "qwen3", false, NAMES(llama_names)};
static const nb_arch gemma = {"GemmaForCausalLM", "gemma", true, NAMES(llama_names)};
static const nb_arch gemma2 = {"Gemma2ForCausalLM", "gemma2", true, NAMES(gemma2_names)};
static const nb_arch gemma3 = {"Gemma3ForCausalLM", "gemma3_text", true, NAMES(gemma2_names)};
static const nb_arch phi = {"PhiForCausalLM", "phi", false, NAMES(phi_names)};
static const nb_arch phi3small = {"Phi3SmallForCausalLM", "phi3small", false, NAMES(phi3small_names)};
static const nb_arch mixtral = {"MixtralForCausalLM", "mixtral", false, NAMES(mixtral_names)};
static const nb_arch phimoe = {"PhiMoEForCausalLM", "phimoe", false, NAMES(phimoe_names)};
static const nb_arch stablelm = {"StableLmForCausalLM", "stablelm", false, NAMES(stablelm_names)};
static const nb_arch starcoder2 = {"Starcoder2ForCausalLM", "starcoder2", false, NAMES(starcoder2_names)};

const nb_arch *const nb_arch_all[] = {&phi3,   &llama, &mistral,   &qwen2,   &qwen3,  &gemma,      &gemma2,
                                      &gemma3, &phi,   &phi3small, &mixtral, &phimoe, &starcoder2, &stablelm};
const size_t nb_arch_count = sizeof nb_arch_all / sizeof *nb_arch_all;

const nb_arch *nb_arch_find(const char *architecture) {
  if (!strcmp(architecture, "PhimoeForCausalLM")) return &phimoe; /* as transformers spells it */
  for (size_t i = 0; i < nb_arch_count; i++)
    if (!strcmp(nb_arch_all[i]->architecture, architecture)) return nb_arch_all[i];
  return NULL;
}

const nb_arch *nb_arch_of_type(const char *model_type) {
  for (size_t i = 0; i < nb_arch_count; i++)
    if (!strcmp(nb_arch_all[i]->model_type, model_type)) return nb_arch_all[i];
  return NULL;
}

const char *nb_arch_list(char *out, size_t n) {
  size_t at = 0;
  out[0] = 0;
  for (size_t i = 0; i < nb_arch_count && at < n; i++)
    at += (size_t)snprintf(out + at, n - at, "%s%s", i ? ", " : "", nb_arch_all[i]->architecture);
  return out;
}

/* ---- names of parts ---- */

static void fill(const char *pattern, int layer, int expert, char out[128]) {
  size_t n = 0;
  for (const char *p = pattern; *p && n < 112; p++) {
    if (*p == '%' && p[1]) n += (size_t)snprintf(out + n, 12, "%d", *++p == 'L' ? layer : expert);
    else out[n++] = *p;
  }
  out[n] = 0;
}

bool nb_arch_tensor_name(const nb_arch *a, const nb_part *p, size_t k, char out[128], nb_rows_of *rows) {
  for (size_t i = 0; i < a->n_names; i++) {
    const nb_arch_name *x = &a->name[i];
    if (x->role != p->role || k-- > 0) continue;
    fill(x->pattern, p->layer, p->expert, out);
    *rows = x->rows;
    return true;
  }
  return false;
}

nb_row_map nb_arch_rows(const nb_config *c, const nb_part *p, nb_rows_of rows) {
  size_t N = p->matrix ? p->N : p->K, hd = c->head_dim, q = c->heads * hd, kv = c->kv_heads * hd;
  bool is_q = p->role == NB_Q || p->role == NB_Q_BIAS, is_k = p->role == NB_K || p->role == NB_K_BIAS;
  bool is_up = p->role == NB_UP || p->role == NB_UP_BIAS;
  size_t group = c->heads / c->kv_heads, e = p->expert > 0 ? (size_t)p->expert : 0;
  switch (rows) {
  case NB_ROWS_QKV: return (nb_row_map){q + 2 * kv, is_q ? 0 : is_k ? q : q + kv, N, N};
  case NB_ROWS_QKV_GROUPS:
    return (nb_row_map){q + 2 * kv,
                        is_q   ? 0
                        : is_k ? group * hd
                               : (group + 1) * hd,
                        is_q ? group * hd : hd, (group + 2) * hd};
  case NB_ROWS_GATE_UP: return (nb_row_map){2 * N, is_up ? N : 0, N, N};
  case NB_ROWS_GATE_UP_ALTERNATE: return (nb_row_map){2 * N, is_up, 1, 2};
  case NB_ROWS_EXPERT: return (nb_row_map){N, e * N, N, N};
  case NB_ROWS_EXPERT_GATE_UP: return (nb_row_map){2 * N, e * 2 * N + (is_up ? N : 0), N, N};
  default: return (nb_row_map){N, 0, N, N};
  }
}

/* ---- what a name is ---- */

/* name with its first number between dots as %L and its second as %E; false when a number is out of range. */
static bool generalize(const nb_config *c, const char *name, char out[128]) {
  size_t n = 0, numbers = 0;
  for (const char *p = name; *p;) {
    if (n > 120) return false;
    bool begins = p == name || p[-1] == '.';
    size_t digits = begins ? strspn(p, "0123456789") : 0;
    if (!digits || (p[digits] && p[digits] != '.') || numbers == 2) {
      out[n++] = *p++;
      continue;
    }
    if (digits > 6 || (digits > 1 && *p == '0')) return false;
    if ((size_t)atol(p) >= (numbers ? c->experts : c->layers)) return false;
    out[n++] = '%', out[n++] = numbers++ ? 'E' : 'L';
    p += digits;
  }
  out[n] = 0;
  return true;
}

bool nb_arch_knows(const nb_arch *a, const nb_config *c, const nb_parts *parts, const char *name) {
  char general[128];
  if (!generalize(c, name, general)) return false;
  for (size_t i = 0; i < a->n_names; i++)
    if (!strcmp(a->name[i].pattern, general)) return nb_parts_has(parts, a->name[i].role) || a->name[i].role == NB_HEAD;
  return false;
}
