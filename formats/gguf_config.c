/* SPDX-License-Identifier: MIT */
#include "formats/gguf_config.h"

#include "formats/hf_config.h"
#include "formats/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const nb_gguf_key nb_gguf_config_sizes[] = {{"embedding_length", "hidden_size"},
                                            {"feed_forward_length", "intermediate_size"},
                                            {"block_count", "num_hidden_layers"},
                                            {"attention.head_count", "num_attention_heads"},
                                            {"attention.head_count_kv", "num_key_value_heads"},
                                            {"context_length", "max_position_embeddings"},
                                            {NULL, NULL}};

typedef struct maker {
  const nb_gguf *g;
  const nb_gguf_arch *arch;
  cJSON *j;
} maker;

static const char *full(const maker *m, const char *name, char out[128]) {
  snprintf(out, 128, "%s.%s", m->arch->name, name);
  return out;
}

/* Numbers go into the JSON as doubles, which hold every float and every size here. */
static nb_status add_size(maker *m, const char *gguf, const char *hf, int optional, size_t *value, nb_err *err) {
  char k[128];
  size_t v = SIZE_MAX;
  NB_TRY(nb_gguf_size(m->g, full(m, gguf, k), optional, 0, INT32_MAX, &v, err));
  if (v == SIZE_MAX) return NB_OK;
  if (value) *value = v;
  if (hf) cJSON_AddNumberToObject(m->j, hf, (double)v);
  return NB_OK;
}

static nb_status add_number(maker *m, cJSON *to, const char *gguf, const char *hf, nb_err *err) {
  char k[128];
  double v = 0;
  if (!nb_gguf_get(m->g, full(m, gguf, k))) return NB_OK;
  NB_TRY(nb_gguf_f64(m->g, k, NB_GGUF_REQUIRED, &v, err));
  cJSON_AddNumberToObject(to, hf, v);
  return NB_OK;
}

/* A list of a tensor's floats, or NULL when there is no such tensor. */
static cJSON *factors(const maker *m, const char *name) {
  const nb_gguf_tensor *t = nb_gguf_tensor_find(m->g, name);
  cJSON *list = NULL;
  if (!t || t->n_dims != 1 || t->type->id != NB_GGML_F32 || t->shape[0] > NB_MAX_ROPE_FACTORS) return NULL;
  list = cJSON_CreateArray();
  for (size_t i = 0; i < t->shape[0]; i++) {
    float x;
    nb_ggml_read(t->type, t->data + 4 * i, 1, &x);
    cJSON_AddItemToArray(list, cJSON_CreateNumber(x));
  }
  return list;
}

/* rope_scaling. Factors of single frequencies (Phi-3's two tables; Llama 3.1's one, which its converter has worked out)
 * become longrope's, with the same table twice when there is one. */
static nb_status add_scaling(maker *m, nb_err *err) {
  char k[128];
  const char *type = "none";
  size_t n = 4, original = 0;
  cJSON *shorter = factors(m, "rope_factors_short.weight"), *longer = factors(m, "rope_factors_long.weight");
  NB_TRY(add_size(m, "rope.scaling.original_context_length", NULL, NB_GGUF_OPTIONAL, &original, err));
  bool one_table = !shorter && nb_gguf_tensor_find(m->g, "rope_freqs.weight");
  if (one_table) shorter = factors(m, "rope_freqs.weight"), longer = factors(m, "rope_freqs.weight");
  if (shorter && longer) {
    cJSON *rope = cJSON_AddObjectToObject(m->j, "rope_scaling");
    cJSON_AddStringToObject(rope, "rope_type", "longrope");
    cJSON_AddItemToObject(rope, "short_factor", shorter);
    cJSON_AddItemToObject(rope, "long_factor", longer);
    if (original && !one_table) cJSON_AddNumberToObject(m->j, "original_max_position_embeddings", (double)original);
    if (one_table) cJSON_AddNumberToObject(rope, "attention_factor", 1);
    return one_table ? NB_OK : add_number(m, rope, "rope.scaling.attn_factor", "attention_factor", err);
  }
  cJSON_Delete(shorter);
  cJSON_Delete(longer);
  NB_TRY(nb_gguf_string(m->g, full(m, "rope.scaling.type", k), NB_GGUF_OPTIONAL, &type, &n, err));
  if (n == 4 && !memcmp(type, "none", 4)) return NB_OK;
  if (!(n == 6 && !memcmp(type, "linear", 6)) && !(n == 4 && !memcmp(type, "yarn", 4)))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"%s\" is \"%.*s\"; supported: none, linear, yarn",
                   m->g->shards[0].path, k, (int)nb_min(n, 40), type);
  cJSON *rope = cJSON_AddObjectToObject(m->j, "rope_scaling");
  cJSON_AddStringToObject(rope, "rope_type", n == 6 ? "linear" : "yarn");
  if (original) cJSON_AddNumberToObject(rope, "original_max_position_embeddings", (double)original);
  return add_number(m, rope, "rope.scaling.factor", "factor", err);
}

static nb_status add_rope(maker *m, size_t head_dim, nb_err *err) {
  char k[128];
  size_t rotary = head_dim;
  double theta = 10000;
  NB_TRY(nb_gguf_f64(m->g, full(m, "rope.freq_base", k), NB_GGUF_OPTIONAL, &theta, err));
  cJSON_AddNumberToObject(m->j, "rope_theta", theta);
  NB_TRY(add_size(m, "rope.dimension_count", NULL, NB_GGUF_OPTIONAL, &rotary, err));
  if (!head_dim || rotary > head_dim)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s.rope.dimension_count\" is %zu for heads of %zu", m->g->shards[0].path,
                   m->arch->name, rotary, head_dim);
  if (rotary < head_dim) {
    /* the fraction whose product with head_dim does not fall below the whole number when it is rounded */
    double part = (double)rotary / (double)head_dim;
    while ((size_t)((double)head_dim * part) < rotary) part *= 1 + 1e-15;
    cJSON_AddNumberToObject(m->j, "partial_rotary_factor", part);
  }
  return add_scaling(m, err);
}

/* The width of the vocabulary is the embedding's, whatever a key says. */
static nb_status add_vocab(maker *m, nb_err *err) {
  const nb_gguf_tensor *embed = nb_gguf_tensor_find(m->g, "token_embd.weight");
  if (!embed || embed->n_dims != 2)
    return nb_fail(err, NB_ERR_FORMAT, "%s: no tensor \"token_embd.weight\" of 2 dimensions: it holds no model",
                   m->g->shards[0].path);
  cJSON_AddNumberToObject(m->j, "vocab_size", (double)embed->shape[0]);
  cJSON_AddBoolToObject(m->j, "tie_word_embeddings", !nb_gguf_tensor_find(m->g, "output.weight"));
  const nb_gguf_tensor *q = nb_gguf_tensor_find(m->g, "blk.0.ffn_down.weight");
  const char *dtype = "float32";
  if (q && q->type->id == NB_GGML_F16) dtype = "float16";
  if (q && q->type->id == NB_GGML_BF16) dtype = "bfloat16";
  cJSON_AddStringToObject(m->j, "torch_dtype", dtype);
  if (nb_gguf_tensor_find(m->g, "blk.0.attn_output.bias")) cJSON_AddTrueToObject(m->j, "attention_bias");
  return NB_OK;
}

/* Ids that end a text: the file's own, and those of its control tokens that are known to end a turn. */
static nb_status add_ends(maker *m, size_t vocab, nb_err *err) {
  static const char *const keys[] = {"eos_token_id", "eot_token_id", "eom_token_id"};
  static const char *const turns[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>"};
  double ids[NB_MAX_EOS];
  size_t n = 0, id;
  char k[128];
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    snprintf(k, sizeof k, "tokenizer.ggml.%s", keys[i]);
    id = SIZE_MAX;
    NB_TRY(nb_gguf_size(m->g, k, NB_GGUF_OPTIONAL, 0, UINT32_MAX, &id, err));
    if (id < vocab) ids[n++] = (double)id;
  }
  const nb_gguf_value *tokens = nb_gguf_get(m->g, "tokenizer.ggml.tokens");
  const nb_gguf_value *types = nb_gguf_get(m->g, "tokenizer.ggml.token_type");
  if (tokens && types && tokens->kind == NB_GGUF_STRING && types->kind != NB_GGUF_STRING && types->n == tokens->n) {
    nb_gguf_strings s = nb_gguf_strings_begin(tokens);
    const char *text;
    size_t len;
    for (id = 0; nb_gguf_strings_next(&s, &text, &len) && id < vocab; id++)
      for (size_t i = 0; i < sizeof turns / sizeof *turns && n < NB_MAX_EOS; i++)
        if (nb_gguf_number(types, id) == 3 && strlen(turns[i]) == len && !memcmp(turns[i], text, len))
          ids[n++] = (double)id;
  }
  cJSON *list = cJSON_AddArrayToObject(m->j, "eos_token_id");
  for (size_t i = 0; i < n; i++) {
    size_t before = 0;
    while (ids[before] != ids[i]) before++;
    if (before == i) cJSON_AddItemToArray(list, cJSON_CreateNumber(ids[i]));
  }
  id = SIZE_MAX;
  NB_TRY(nb_gguf_size(m->g, "tokenizer.ggml.bos_token_id", NB_GGUF_OPTIONAL, 0, UINT32_MAX, &id, err));
  if (id < vocab) cJSON_AddNumberToObject(m->j, "bos_token_id", (double)id);
  return NB_OK;
}

nb_status nb_gguf_config_heads(const nb_gguf *g, const nb_gguf_arch *arch, nb_gguf_heads *out, nb_err *err) {
  char k[128];
  size_t hidden;
  maker m = {.g = g, .arch = arch};
  *out = (nb_gguf_heads){0};
  NB_TRY(nb_gguf_size(g, full(&m, "embedding_length", k), NB_GGUF_REQUIRED, 1, NB_MAX_HIDDEN, &hidden, err));
  NB_TRY(nb_gguf_size(g, full(&m, "attention.head_count", k), NB_GGUF_REQUIRED, 1, NB_MAX_HEADS, &out->heads, err));
  out->kv_heads = out->heads;
  NB_TRY(
      nb_gguf_size(g, full(&m, "attention.head_count_kv", k), NB_GGUF_OPTIONAL, 1, NB_MAX_HEADS, &out->kv_heads, err));
  out->head_dim = hidden / out->heads;
  return nb_gguf_size(g, full(&m, "attention.key_length", k), NB_GGUF_OPTIONAL, 1, NB_MAX_HEAD_DIM, &out->head_dim,
                      err);
}

static nb_status make(maker *m, nb_err *err) {
  size_t experts = 0, window = 0;
  nb_gguf_heads h;
  cJSON *names = cJSON_AddArrayToObject(m->j, "architectures");
  cJSON_AddItemToArray(names, cJSON_CreateString(m->arch->architecture));
  cJSON_AddStringToObject(m->j, "model_type", m->arch->model_type);
  cJSON_AddStringToObject(m->j, "hidden_act", m->arch->activation);
  cJSON_AddStringToObject(m->j, "hidden_activation", m->arch->activation);
  NB_TRY(add_size(m, "expert_count", NULL, NB_GGUF_OPTIONAL, &experts, err));
  if (experts)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a model of %zu experts; GGUF files of such models are not read",
                   m->g->shards[0].path, experts);
  for (const nb_gguf_key *k = nb_gguf_config_sizes; k->gguf; k++)
    NB_TRY(
        add_size(m, k->gguf, k->hf, strstr(k->gguf, "head_count_kv") ? NB_GGUF_OPTIONAL : NB_GGUF_REQUIRED, NULL, err));
  NB_TRY(add_size(m, "attention.key_length", "head_dim", NB_GGUF_OPTIONAL, NULL, err));
  NB_TRY(nb_gguf_config_heads(m->g, m->arch, &h, err));
  const char *eps = m->arch->layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
  NB_TRY(add_number(m, m->j, eps, m->arch->layer_norm ? "layer_norm_eps" : "rms_norm_eps", err));
  NB_TRY(add_size(m, "attention.sliding_window", NULL, NB_GGUF_OPTIONAL, &window, err));
  if (window) cJSON_AddNumberToObject(m->j, "sliding_window", (double)window);
  NB_TRY(add_number(m, m->j, "attn_logit_softcapping", "attn_logit_softcapping", err));
  NB_TRY(add_number(m, m->j, "final_logit_softcapping", "final_logit_softcapping", err));
  NB_TRY(add_rope(m, h.head_dim, err));
  NB_TRY(add_vocab(m, err));
  return add_ends(m, nb_gguf_tensor_find(m->g, "token_embd.weight")->shape[0], err);
}

nb_status nb_gguf_config_arch(const nb_gguf *g, const nb_gguf_arch **out, nb_err *err) {
  const char *name;
  size_t n;
  char known[256];
  NB_TRY(nb_gguf_string(g, "general.architecture", NB_GGUF_REQUIRED, &name, &n, err));
  *out = nb_gguf_arch_find(name, n);
  if (*out) return NB_OK;
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the architecture \"%.*s\" is not supported; supported: %s",
                 g->shards[0].path, (int)nb_min(n, 60), name, nb_gguf_arch_list(known, sizeof known));
}

nb_status nb_gguf_config_print(const nb_gguf *g, char **out, nb_err *err) {
  maker m = {.g = g};
  *out = NULL;
  NB_TRY(nb_gguf_config_arch(g, &m.arch, err));
  m.j = cJSON_CreateObject();
  nb_status st = m.j ? make(&m, err) : NB_ERR_MEMORY;
  if (st == NB_OK) *out = cJSON_Print(m.j);
  cJSON_Delete(m.j);
  if (st != NB_OK || *out) return st;
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", g->shards[0].path);
}

nb_status nb_gguf_config_read(const nb_gguf *g, nb_config *out, nb_err *err) {
  char *text;
  NB_TRY(nb_gguf_config_print(g, &text, err));
  nb_status st = nb_hf_config_parse(text, strlen(text), g->shards[0].path, out, err);
  free(text);
  return st;
}
