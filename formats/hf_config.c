/* SPDX-License-Identifier: MIT */
#include "formats/hf_config.h"

#include "formats/hf_family.h"
#include "formats/mapfile.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE = 4 << 20 };

/* ---- what it is ---- */

static nb_status read_architecture(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const cJSON *list = NULL;
  const char *name = "none", *type = "";
  NB_TRY(nb_json_optional_array(j, file, "architectures", &list, err));
  NB_TRY(nb_json_optional_string(j, file, "model_type", &type, err));
  const nb_arch *of_type = nb_arch_of_type(type), *a = of_type;
  if (list && list->child && cJSON_IsString(list->child)) name = list->child->valuestring, a = nb_arch_find(name);
  if (!a) return nb_hf_unknown(name, type, file, err);
  if (of_type && of_type != a)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: \"architectures\" says %s, but \"model_type\" is %s's: one of them is wrong", file,
                   a->architecture, of_type->architecture);
  snprintf(c->architecture, sizeof c->architecture, "%s", a->architecture);
  return NB_OK;
}

/* Beside those that the family's own reader found. */
static nb_status read_biases(const cJSON *j, const char *file, const nb_hf_family *f, nb_config *c, nb_err *err) {
  bool attention = false, mlp = false, head = false;
  NB_TRY(nb_json_optional_bool(j, file, "attention_bias", &attention, err));
  NB_TRY(nb_json_optional_bool(j, file, "mlp_bias", &mlp, err));
  NB_TRY(nb_json_optional_bool(j, file, "lm_head_bias", &head, err));
  const struct {
    const char *key;
    bool is, may;
  } keys[] = {{"attention_bias", attention, f->attention_bias || f->biases},
              {"mlp_bias", mlp, f->mlp_bias || f->biases},
              {"lm_head_bias", head, f->read && c->head_bias}};
  for (size_t i = 0; i < 3; i++)
    if (keys[i].is && !keys[i].may)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"%s\" is true; %s has no such biases", file, keys[i].key,
                     f->architecture);
  c->qkv_bias |= f->biases || f->qkv_bias || (f->attention_bias && attention);
  c->o_bias |= f->biases || (f->attention_bias && attention);
  c->ffn_bias |= f->biases || (f->mlp_bias && mlp);
  return NB_OK;
}

static nb_status read_dtype(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const char *name = nb_hf_dtype_names[NB_F32];
  NB_TRY(nb_json_optional_string(j, file, "torch_dtype", &name, err));
  NB_TRY(nb_json_optional_string(j, file, "dtype", &name, err));
  static const char *const short_names[] = {[NB_F32] = "float", [NB_F16] = "half", [NB_BF16] = "bfloat16"};
  if (!strncmp(name, "torch.", 6)) name += 6;
  for (int t = NB_F32; t <= NB_BF16; t++) {
    if (strcmp(name, nb_hf_dtype_names[t]) && strcmp(name, short_names[t])) continue;
    c->dtype = (nb_dtype)t;
    return NB_OK;
  }
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the data type \"%.40s\" is not supported; supported: float32, float16, bfloat16", file, name);
}

/* ---- ids and shapes ---- */

/* Some write -1 where there is no such token. */
static bool is_no_token(const cJSON *item) { return cJSON_IsNumber(item) && item->valuedouble == -1; }

/* A token id, or a list of them, into eos_ids. */
static nb_status read_eos(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const cJSON *item = nb_json_get(j, "eos_token_id");
  if (!item) return NB_OK;
  bool list = cJSON_IsArray(item);
  c->n_eos = 0;
  for (item = list ? item->child : item; item; item = list ? item->next : NULL) {
    size_t id;
    if (is_no_token(item)) continue;
    NB_TRY(nb_json_as_size(item, file, "eos_token_id", 0, INT32_MAX, &id, err));
    if (c->n_eos == NB_MAX_EOS)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"eos_token_id\" has more than %d ids", file, NB_MAX_EOS);
    c->eos_ids[c->n_eos++] = (int32_t)id;
  }
  return NB_OK;
}

static nb_status read_bos(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  size_t bos;
  const cJSON *item = nb_json_get(j, "bos_token_id");
  if (!item || is_no_token(item)) return NB_OK;
  NB_TRY(nb_json_size(j, file, "bos_token_id", 0, INT32_MAX, &bos, err));
  c->bos_id = (int32_t)bos;
  return NB_OK;
}

static nb_status read_dimensions(const cJSON *j, const char *file, const nb_hf_family *f, nb_config *c, nb_err *err) {
  NB_TRY(nb_json_size(j, file, "hidden_size", 1, NB_MAX_HIDDEN, &c->hidden, err));
  NB_TRY(nb_json_size(j, file, f->ffn, 1, NB_MAX_FFN, &c->ffn, err));
  NB_TRY(nb_json_size(j, file, "num_hidden_layers", 1, NB_MAX_LAYERS, &c->layers, err));
  NB_TRY(nb_json_size(j, file, "num_attention_heads", 1, NB_MAX_HEADS, &c->heads, err));
  NB_TRY(nb_json_size(j, file, "vocab_size", 1, NB_MAX_VOCAB, &c->vocab, err));
  c->kv_heads = f->kv_heads ? f->kv_heads : c->heads;
  c->head_dim = f->head_dim;
  NB_TRY(nb_json_optional_size(j, file, "num_key_value_heads", 1, NB_MAX_HEADS, &c->kv_heads, err));
  NB_TRY(nb_json_optional_size(j, file, "head_dim", 1, NB_MAX_HEAD_DIM, &c->head_dim, err));
  if (!c->head_dim && c->hidden % c->heads)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"hidden_size\" %zu is not a multiple of \"num_attention_heads\" %zu", file,
                   c->hidden, c->heads);
  if (!c->head_dim) c->head_dim = c->hidden / c->heads;
  c->tie_embeddings = f->tied;
  NB_TRY(nb_json_optional_bool(j, file, "tie_word_embeddings", &c->tie_embeddings, err));
  c->max_position = f->max_position;
  NB_TRY(nb_json_optional_size(j, file, "max_position_embeddings", 1, NB_MAX_POSITION, &c->max_position, err));
  double eps = f->default_eps;
  NB_TRY(nb_json_optional_f64(j, file, f->eps, &eps, err));
  c->norm_eps = (float)eps;
  return NB_OK;
}

/* What is the family's and what most models have none of. */
static void set_block(const nb_hf_family *f, nb_config *c) {
  c->norm = f->norm;
  c->block = f->block;
  c->gated = f->gated;
  c->qk_norm = f->qk_norm;
  c->attn_scale = 1.0f / sqrtf((float)c->head_dim);
  c->embed_scale = c->logit_scale = 1;
}

/* ---- windows ---- */

static nb_status read_layer_types(const cJSON *list, const char *file, nb_config *c, nb_err *err) {
  size_t n = 0;
  for (const cJSON *i = list->child; i; i = i->next, n++) {
    const char *type = cJSON_IsString(i) ? i->valuestring : "";
    bool window = !strcmp(type, "sliding_attention");
    if (!window && strcmp(type, "full_attention"))
      return nb_fail(err, NB_ERR_UNSUPPORTED,
                     "%s: \"layer_types\" has \"%.40s\"; supported: full_attention, sliding_attention", file, type);
    if (n < c->layers) c->attend[n] = window ? NB_ATTEND_WINDOW : NB_ATTEND_FULL;
  }
  if (n == c->layers) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"layer_types\" has %zu entries for %zu layers", file, n, c->layers);
}

static nb_status read_sparse(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  size_t every = 2;
  bool alike = false;
  c->sparse_local = 16, c->sparse_stride = 8;
  NB_TRY(nb_json_optional_size(j, file, "blocksparse_num_local_blocks", 1, NB_MAX_POSITION, &c->sparse_local, err));
  NB_TRY(nb_json_optional_size(j, file, "blocksparse_vert_stride", 1, NB_MAX_POSITION, &c->sparse_stride, err));
  NB_TRY(nb_json_optional_size(j, file, "dense_attention_every_n_layers", 1, NB_MAX_LAYERS + 1, &every, err));
  NB_TRY(nb_json_optional_bool(j, file, "blocksparse_homo_head_pattern", &alike, err));
  c->sparse_shift = alike ? 0 : nb_max(1, c->sparse_stride / c->heads);
  for (size_t l = 0; l < c->layers; l++) c->attend[l] = (l + 1) % every ? NB_ATTEND_SPARSE : NB_ATTEND_FULL;
  return NB_OK;
}

static nb_status read_windows(const cJSON *j, const char *file, const nb_hf_family *f, nb_config *c, nb_err *err) {
  const cJSON *types = NULL;
  size_t pattern = f->pattern, from = 0;
  bool asked = f->windows != NB_HF_WINDOW_ASKED;
  if (f->windows == NB_HF_WINDOW_SPARSE) return read_sparse(j, file, c, err);
  if (f->windows == NB_HF_WINDOW_NONE) return NB_OK;
  if (!cJSON_HasObjectItem(j, "sliding_window")) c->sliding_window = f->window;
  NB_TRY(nb_json_optional_size(j, file, "sliding_window", 1, NB_MAX_POSITION, &c->sliding_window, err));
  if (f->windows == NB_HF_WINDOW_ASKED) {
    from = 28;
    NB_TRY(nb_json_optional_bool(j, file, "use_sliding_window", &asked, err));
    NB_TRY(nb_json_optional_size(j, file, "max_window_layers", 0, SIZE_MAX / 2, &from, err));
  }
  if (!asked) c->sliding_window = 0;
  if (f->windows != NB_HF_WINDOW_ALL) NB_TRY(nb_json_optional_array(j, file, "layer_types", &types, err));
  NB_TRY(nb_json_optional_size(j, file, "sliding_window_pattern", 1, NB_MAX_LAYERS + 1, &pattern, err));
  if (types) return read_layer_types(types, file, c, err);
  for (size_t l = 0; l < c->layers && c->sliding_window; l++)
    if (f->windows == NB_HF_WINDOW_EVERY ? (l + 1) % pattern != 0 : l >= from) c->attend[l] = NB_ATTEND_WINDOW;
  return NB_OK;
}

/* ---- rotation ---- */

static nb_status read_factors(const cJSON *rope, const char *file, const char *key, size_t n, float *out, nb_err *err) {
  const cJSON *list;
  size_t have = 0;
  NB_TRY(nb_json_array(rope, file, key, &list, err));
  for (const cJSON *item = list->child; item; item = item->next, have++) {
    double v;
    NB_TRY(nb_json_as_f64(item, file, key, &v, err));
    if (have < n) out[have] = (float)v;
  }
  if (have == n) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" has %zu numbers, the rotary dimension needs %zu", file, key, have, n);
}

static const char original[] = "original_max_position_embeddings";

static nb_status read_longrope(const cJSON *j, const cJSON *rope, const char *file, nb_config *c, nb_err *err) {
  c->original_max_position = 4096;
  NB_TRY(nb_json_optional_size(rope, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  NB_TRY(nb_json_optional_size(j, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  NB_TRY(read_factors(rope, file, "short_factor", c->rotary_dim / 2, c->short_factor, err));
  NB_TRY(read_factors(rope, file, "long_factor", c->rotary_dim / 2, c->long_factor, err));
  double factor = (double)c->max_position / (double)c->original_max_position, scale = 1;
  NB_TRY(nb_json_optional_f64(rope, file, "factor", &factor, err));
  if (factor > 1) scale = sqrt(1 + log(factor) / log((double)c->original_max_position));
  NB_TRY(nb_json_optional_f64(rope, file, "attention_factor", &scale, err));
  double scale_long = scale; /* Phi-3-small's and Phi-3.5-MoE's own */
  NB_TRY(nb_json_optional_f64(rope, file, "short_mscale", &scale, err));
  NB_TRY(nb_json_optional_f64(rope, file, "long_mscale", &scale_long, err));
  c->rope_scale = (float)scale, c->rope_scale_long = (float)scale_long;
  return NB_OK;
}

static double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1; }

static nb_status read_yarn(const cJSON *rope, const char *file, nb_config *c, nb_err *err) {
  nb_rope_scaling *r = &c->rope_scaling;
  double mscale = 0, all_dim = 0;
  r->beta_fast = 32, r->beta_slow = 1, r->truncate = true;
  NB_TRY(nb_json_optional_f64(rope, file, "beta_fast", &r->beta_fast, err));
  NB_TRY(nb_json_optional_f64(rope, file, "beta_slow", &r->beta_slow, err));
  NB_TRY(nb_json_optional_bool(rope, file, "truncate", &r->truncate, err));
  NB_TRY(nb_json_optional_f64(rope, file, "mscale", &mscale, err));
  NB_TRY(nb_json_optional_f64(rope, file, "mscale_all_dim", &all_dim, err));
  double scale = yarn_mscale(r->factor, 1);
  if (mscale != 0 && all_dim != 0) scale = yarn_mscale(r->factor, mscale) / yarn_mscale(r->factor, all_dim);
  NB_TRY(nb_json_optional_f64(rope, file, "attention_factor", &scale, err));
  c->rope_scale = c->rope_scale_long = (float)scale;
  return NB_OK;
}

/* The kinds that stretch by a factor. What the model can be used for grows with it. */
static nb_status read_factor(const cJSON *j, const cJSON *rope, const char *file, nb_config *c, nb_err *err) {
  nb_rope_scaling *r = &c->rope_scaling;
  NB_TRY(nb_json_optional_size(j, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  NB_TRY(nb_json_optional_size(rope, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  if (c->rope_kind == NB_ROPE_YARN && !nb_json_get(rope, "factor"))
    r->factor = (double)c->max_position / (double)c->original_max_position;
  else NB_TRY(nb_json_f64(rope, file, "factor", &r->factor, err));
  if (c->rope_kind == NB_ROPE_DYNAMIC) c->original_max_position = c->max_position;
  double reach = (double)c->original_max_position * r->factor;
  if ((c->rope_kind == NB_ROPE_YARN || c->rope_kind == NB_ROPE_DYNAMIC) && reach <= NB_MAX_POSITION)
    c->max_position = nb_max(c->max_position, (size_t)reach);
  if (c->rope_kind == NB_ROPE_YARN) return read_yarn(rope, file, c, err);
  if (c->rope_kind != NB_ROPE_LLAMA3) return NB_OK;
  NB_TRY(nb_json_f64(rope, file, "low_freq_factor", &r->low_freq_factor, err));
  return nb_json_f64(rope, file, "high_freq_factor", &r->high_freq_factor, err);
}

static nb_status read_rope_kind(const char *type, const char *file, nb_config *c, nb_err *err) {
  bool phi3 = !strncmp(c->architecture, "Phi3", 4);
  /* "su" and "yarn" are what the first Phi-3 checkpoints called it */
  if (!strcmp(type, "su") || (phi3 && !strcmp(type, "yarn"))) type = nb_hf_rope_names[NB_ROPE_LONGROPE];
  for (int k = 0; k <= NB_ROPE_DYNAMIC; k++)
    if (!strcmp(type, nb_hf_rope_names[k])) {
      c->rope_kind = (nb_rope_kind)k;
      return NB_OK;
    }
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the rotary embedding type \"%.40s\" is not supported; supported: default, longrope (su), linear, "
                 "llama3, yarn, dynamic",
                 file, type);
}

/* Gemma 3 has one set of parameters for windowed layers and one for the others. */
static nb_status read_local(const cJSON *j, const cJSON **rope, const char *file, nb_config *c, nb_err *err) {
  if (strcmp(c->architecture, "Gemma3ForCausalLM")) return NB_OK;
  const cJSON *local = *rope ? nb_json_get(*rope, "sliding_attention") : NULL;
  const cJSON *full = *rope ? nb_json_get(*rope, "full_attention") : NULL;
  const char *type = nb_hf_rope_names[NB_ROPE_DEFAULT];
  c->rope_local_theta = 10000;
  NB_TRY(nb_json_optional_f64(j, file, "rope_local_base_freq", &c->rope_local_theta, err));
  if (local) {
    NB_TRY(nb_json_optional_f64(local, file, "rope_theta", &c->rope_local_theta, err));
    NB_TRY(nb_json_optional_string(local, file, "rope_type", &type, err));
  }
  if (strcmp(type, nb_hf_rope_names[NB_ROPE_DEFAULT]))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: windowed layers rotate by \"%.40s\", which is not supported", file,
                   type);
  if (full) *rope = full;
  return NB_OK;
}

static nb_status read_rope(const cJSON *j, const char *file, const nb_hf_family *f, nb_config *c, nb_err *err) {
  const cJSON *rope = NULL;
  const char *type = nb_hf_rope_names[NB_ROPE_DEFAULT];
  double theta = f->default_theta, partial = f->default_partial != 0 ? f->default_partial : 1;
  NB_TRY(nb_json_optional_object(j, file, "rope_scaling", &rope, err));
  if (!rope || !rope->child) NB_TRY(nb_json_optional_object(j, file, "rope_parameters", &rope, err));
  NB_TRY(nb_json_optional_f64(j, file, f->theta, &theta, err));
  NB_TRY(nb_json_optional_f64(j, file, "partial_rotary_factor", &partial, err));
  NB_TRY(read_local(j, &rope, file, c, err));
  if (rope) {
    NB_TRY(nb_json_optional_f64(rope, file, "rope_theta", &theta, err));
    NB_TRY(nb_json_optional_f64(rope, file, "partial_rotary_factor", &partial, err));
    NB_TRY(nb_json_optional_string(rope, file, "type", &type, err));
    NB_TRY(nb_json_optional_string(rope, file, "rope_type", &type, err));
  }
  if (!(partial > 0 && partial <= 1))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"partial_rotary_factor\" is %g, not above 0 and at most 1", file, partial);
  c->rope_theta = theta;
  c->rotary_dim = (size_t)((double)c->head_dim * partial);
  c->rope_scale = c->rope_scale_long = 1;
  c->original_max_position = c->max_position;
  NB_TRY(read_rope_kind(type, file, c, err));
  if (c->rope_kind == NB_ROPE_LONGROPE) return read_longrope(j, rope, file, c, err);
  return c->rope_kind == NB_ROPE_DEFAULT ? NB_OK : read_factor(j, rope, file, c, err);
}

static nb_status read_config(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  NB_TRY(read_architecture(j, file, c, err));
  const nb_hf_family *f = nb_hf_family_find(c->architecture);
  const char *act = f->default_activation;
  NB_TRY(read_dtype(j, file, c, err));
  NB_TRY(read_dimensions(j, file, f, c, err));
  set_block(f, c);
  NB_TRY(nb_json_optional_string(j, file, f->activation, &act, err));
  if (f->gelu_is_tanh && !strcmp(act, "gelu")) act = f->default_activation;
  NB_TRY(nb_hf_activation(act, file, &c->activation, err));
  if (f->read) NB_TRY(f->read(j, file, c, err));
  NB_TRY(read_biases(j, file, f, c, err));
  NB_TRY(read_windows(j, file, f, c, err));
  NB_TRY(read_rope(j, file, f, c, err));
  c->bos_id = -1;
  NB_TRY(read_bos(j, file, c, err));
  NB_TRY(read_eos(j, file, c, err));
  nb_status st = nb_config_check(c, err);
  return st == NB_OK ? NB_OK : nb_fail_in(err, st, "%s", file);
}

nb_status nb_hf_config_parse(const char *json, size_t n, const char *file, nb_config *out, nb_err *err) {
  cJSON *j;
  memset(out, 0, sizeof *out);
  NB_TRY(nb_json_parse(json, n, file, &j, err));
  nb_status st = read_config(j, file, out, err);
  cJSON_Delete(j);
  return st;
}

nb_status nb_hf_config_parse_generation(const char *json, size_t n, const char *file, nb_config *c, nb_err *err) {
  cJSON *j;
  NB_TRY(nb_json_parse(json, n, file, &j, err));
  nb_status st = read_bos(j, file, c, err);
  if (st == NB_OK) st = read_eos(j, file, c, err);
  cJSON_Delete(j);
  if (st == NB_OK && (st = nb_config_check(c, err)) != NB_OK) nb_fail_in(err, st, "%s", file);
  return st;
}

nb_status nb_hf_config_read(const char *dir, nb_config *out, nb_err *err) {
  size_t n, path_bytes = strlen(dir) + sizeof "/generation_config.json";
  char *text = NULL, *path = malloc(path_bytes);
  nb_status st = NB_OK;
  if (!path) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", dir);
  snprintf(path, path_bytes, "%s/config.json", dir);
  NB_GOTO(nb_mapfile_read(path, MAX_FILE, &text, &n, err));
  NB_GOTO(nb_hf_config_parse(text, n, path, out, err));
  snprintf(path, path_bytes, "%s/generation_config.json", dir);
  if (access(path, F_OK) == 0) {
    free(text);
    NB_GOTO(nb_mapfile_read(path, MAX_FILE, &text, &n, err));
    NB_GOTO(nb_hf_config_parse_generation(text, n, path, out, err));
  }
fail:
  free(text);
  free(path);
  return st;
}
