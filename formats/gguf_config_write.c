/* SPDX-License-Identifier: MIT */
/* A configuration as a GGUF file's keys, by way of its config.json. */
#include "formats/gguf_config.h"

#include "base/mem.h"
#include "formats/hf_config.h"
#include "formats/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct out {
  nb_gguf_writer *w;
  const nb_gguf_arch *arch;
  const cJSON *j, *rope; /* config.json and its rope_parameters */
} out;

static const char *full(const out *o, const char *name, char k[128]) {
  snprintf(k, 128, "%s.%s", o->arch->name, name);
  return k;
}

/* A number of config.json or of rope_parameters; false when it is not there. */
static bool number(const cJSON *from, const char *key, double *v) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
  if (!cJSON_IsNumber(item)) return false;
  *v = item->valuedouble;
  return true;
}

static nb_status copy_size(const out *o, const char *hf, const char *gguf, nb_err *err) {
  char k[128];
  double v;
  return number(o->j, hf, &v) ? nb_gguf_put_u32(o->w, full(o, gguf, k), (uint32_t)v, err) : NB_OK;
}

static nb_status copy_float(const out *o, const cJSON *from, const char *hf, const char *gguf, nb_err *err) {
  char k[128];
  double v;
  return number(from, hf, &v) ? nb_gguf_put_f32(o->w, full(o, gguf, k), (float)v, err) : NB_OK;
}

static bool read_table(const out *o, const char *key, const char *name, nb_gguf_table *t) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(o->rope, key);
  t->name = name, t->n = 0;
  for (const cJSON *x = cJSON_IsArray(list) ? list->child : NULL; x && t->n < NB_MAX_ROPE_FACTORS; x = x->next)
    t->factor[t->n++] = (float)x->valuedouble;
  return t->n > 0;
}

/* What Llama 3.1 divides each frequency by, which GGUF files hold worked out. */
static nb_status llama3_table(const out *o, double theta, size_t rotary, nb_gguf_table *t, nb_err *err) {
  double factor, low, high, original;
  if (!number(o->rope, "factor", &factor) || !number(o->rope, "low_freq_factor", &low) ||
      !number(o->rope, "high_freq_factor", &high) || !number(o->rope, "original_max_position_embeddings", &original))
    return nb_fail(err, NB_ERR_FORMAT, "the llama3 scaling lacks a parameter");
  t->name = "rope_freqs.weight";
  t->n = rotary / 2;
  for (size_t i = 0; i < t->n; i++) {
    double wave = 2 * acos(-1) * pow(theta, (double)(2 * i) / (double)rotary);
    double smooth = (original / wave - low) / (high - low);
    t->factor[i] = wave < original / high  ? 1
                   : wave > original / low ? (float)factor
                                           : (float)(1 / ((1 - smooth) / factor + smooth));
  }
  return NB_OK;
}

static nb_status put_scaling(const out *o, const nb_config *c, nb_gguf_table tables[2], size_t *n, nb_err *err) {
  const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o->rope, "rope_type"));
  char k[128];
  double original = (double)c->max_position;
  *n = 0;
  number(o->rope, "original_max_position_embeddings", &original);
  if (!type || !strcmp(type, "default")) {
    /* llama.cpp asks phi3 for it in any case */
    if (strcmp(o->arch->name, "phi3")) return NB_OK;
    return nb_gguf_put_u32(o->w, full(o, "rope.scaling.original_context_length", k), (uint32_t)original, err);
  }
  if (!strcmp(type, "llama3")) {
    *n = 1;
    return llama3_table(o, c->rope_theta, c->rotary_dim, &tables[0], err);
  }
  if (!strcmp(type, "longrope")) {
    if (strcmp(o->arch->name, "phi3"))
      return nb_fail(err, NB_ERR_UNSUPPORTED, "longrope is for phi3 only in GGUF files, not for %s", o->arch->name);
    *n = read_table(o, "long_factor", "rope_factors_long.weight", &tables[0]) &&
                 read_table(o, "short_factor", "rope_factors_short.weight", &tables[1])
             ? 2
             : 0;
    NB_TRY(nb_gguf_put_u32(o->w, full(o, "rope.scaling.original_context_length", k), (uint32_t)original, err));
    return copy_float(o, o->rope, "attention_factor", "rope.scaling.attn_factor", err);
  }
  if (strcmp(type, "linear"))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "rotary scaling \"%s\" cannot be written to a GGUF file", type);
  NB_TRY(nb_gguf_put_string(o->w, full(o, "rope.scaling.type", k), type, strlen(type), err));
  return copy_float(o, o->rope, "factor", "rope.scaling.factor", err);
}

static nb_status put_keys(const out *o, const nb_config *c, nb_gguf_table tables[2], size_t *n, nb_err *err) {
  char k[128];
  for (const nb_gguf_key *s = nb_gguf_config_sizes; s->gguf; s++) NB_TRY(copy_size(o, s->hf, s->gguf, err));
  NB_TRY(nb_gguf_put_u32(o->w, full(o, "attention.key_length", k), (uint32_t)c->head_dim, err));
  NB_TRY(nb_gguf_put_u32(o->w, full(o, "attention.value_length", k), (uint32_t)c->head_dim, err));
  NB_TRY(nb_gguf_put_u32(o->w, full(o, "vocab_size", k), (uint32_t)c->vocab, err));
  NB_TRY(nb_gguf_put_u32(o->w, full(o, "rope.dimension_count", k), (uint32_t)c->rotary_dim, err));
  NB_TRY(nb_gguf_put_f32(o->w, full(o, "rope.freq_base", k), (float)c->rope_theta, err));
  NB_TRY(copy_float(o, o->j, "rms_norm_eps", "attention.layer_norm_rms_epsilon", err));
  NB_TRY(copy_float(o, o->j, "layer_norm_eps", "attention.layer_norm_epsilon", err));
  NB_TRY(copy_float(o, o->j, "attn_logit_softcapping", "attn_logit_softcapping", err));
  NB_TRY(copy_float(o, o->j, "final_logit_softcapping", "final_logit_softcapping", err));
  /* for phi3 a window of 0 says that there is none, and its absence something else */
  if (c->sliding_window || !strcmp(o->arch->name, "phi3"))
    NB_TRY(nb_gguf_put_u32(o->w, full(o, "attention.sliding_window", k), (uint32_t)c->sliding_window, err));
  return put_scaling(o, c, tables, n, err);
}

nb_status nb_gguf_config_write(const nb_config *c, const nb_gguf_arch *arch, nb_gguf_writer *w, nb_gguf_table tables[2],
                               size_t *n_tables, nb_err *err) {
  char *text;
  size_t n;
  cJSON *j;
  NB_TRY(nb_hf_config_print(c, &text, &n, err));
  nb_status st = nb_json_parse(text, n, "config.json", &j, err);
  free(text);
  if (st != NB_OK) return st;
  out o = {w, arch, j, cJSON_GetObjectItemCaseSensitive(j, "rope_parameters")};
  st = put_keys(&o, c, tables, n_tables, err);
  cJSON_Delete(j);
  return st;
}
