/* SPDX-License-Identifier: MIT */
#include "formats/hf_config.h"

#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE = 4 << 20, MAX_TEXT = 64 << 10 };

const char nb_hf_architectures[] = "Phi3ForCausalLM";

static const char *const dtype_names[] = {[NB_F32] = "float32", [NB_F16] = "float16", [NB_BF16] = "bfloat16"};

/* --- reading --- */

static nb_status read_architecture(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const cJSON *list = NULL;
  const char *name = "none", *type = "";
  NB_TRY(nb_json_optional_array(j, file, "architectures", &list, err));
  NB_TRY(nb_json_optional_string(j, file, "model_type", &type, err));
  if (list && list->child && cJSON_IsString(list->child)) name = list->child->valuestring;
  else if (!list && !strcmp(type, "phi3")) name = "Phi3ForCausalLM";
  if (strcmp(name, "Phi3ForCausalLM"))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the architecture %.80s is not supported; supported: %s", file, name,
                   nb_hf_architectures);
  snprintf(c->architecture, sizeof c->architecture, "%s", name);
  return NB_OK;
}

static nb_status refuse_variants(const cJSON *j, const char *file, nb_err *err) {
  static const char *const biases[] = {"attention_bias", "mlp_bias", "lm_head_bias"};
  for (size_t i = 0; i < sizeof biases / sizeof *biases; i++) {
    bool bias = false;
    NB_TRY(nb_json_optional_bool(j, file, biases[i], &bias, err));
    if (bias) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"%s\" is true; biases are not supported", file, biases[i]);
  }
  const cJSON *quant = nb_json_get(j, "quantization_config");
  const char *method = "unknown";
  if (!quant) return NB_OK;
  NB_TRY(nb_json_optional_string(quant, file, "quant_method", &method, err));
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the checkpoint is quantized already (quantization_config, method %.40s); give the original "
                 "one, in bfloat16, float16 or float32",
                 file, method);
}

static nb_status read_activation(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const char *name = "silu";
  NB_TRY(nb_json_optional_string(j, file, "hidden_act", &name, err));
  if (strcmp(name, "silu") && strcmp(name, "swish"))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the activation \"%.40s\" is not supported; supported: silu", file,
                   name);
  c->activation = NB_ACT_SILU;
  return NB_OK;
}

static nb_status read_dtype(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const char *name = dtype_names[NB_F32];
  NB_TRY(nb_json_optional_string(j, file, "torch_dtype", &name, err));
  NB_TRY(nb_json_optional_string(j, file, "dtype", &name, err));
  static const char *const short_names[] = {[NB_F32] = "float", [NB_F16] = "half", [NB_BF16] = "bfloat16"};
  if (!strncmp(name, "torch.", 6)) name += 6;
  for (int t = NB_F32; t <= NB_BF16; t++) {
    if (strcmp(name, dtype_names[t]) && strcmp(name, short_names[t])) continue;
    c->dtype = (nb_dtype)t;
    return NB_OK;
  }
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the data type \"%.40s\" is not supported; supported: float32, float16, bfloat16", file, name);
}

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

static nb_status read_dimensions(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  NB_TRY(nb_json_size(j, file, "hidden_size", 1, NB_MAX_HIDDEN, &c->hidden, err));
  NB_TRY(nb_json_size(j, file, "intermediate_size", 1, NB_MAX_FFN, &c->ffn, err));
  NB_TRY(nb_json_size(j, file, "num_hidden_layers", 1, NB_MAX_LAYERS, &c->layers, err));
  NB_TRY(nb_json_size(j, file, "num_attention_heads", 1, NB_MAX_HEADS, &c->heads, err));
  NB_TRY(nb_json_size(j, file, "vocab_size", 1, NB_MAX_VOCAB, &c->vocab, err));
  c->kv_heads = c->heads;
  NB_TRY(nb_json_optional_size(j, file, "num_key_value_heads", 1, NB_MAX_HEADS, &c->kv_heads, err));
  NB_TRY(nb_json_optional_size(j, file, "head_dim", 1, NB_MAX_HEAD_DIM, &c->head_dim, err));
  if (!c->head_dim && c->hidden % c->heads)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"hidden_size\" %zu is not a multiple of \"num_attention_heads\" %zu", file,
                   c->hidden, c->heads);
  if (!c->head_dim) c->head_dim = c->hidden / c->heads;
  NB_TRY(nb_json_optional_bool(j, file, "tie_word_embeddings", &c->tie_embeddings, err));
  c->max_position = 4096;
  NB_TRY(nb_json_optional_size(j, file, "max_position_embeddings", 1, NB_MAX_POSITION, &c->max_position, err));
  NB_TRY(nb_json_optional_size(j, file, "sliding_window", 1, NB_MAX_POSITION, &c->sliding_window, err));
  double eps = 1e-5;
  NB_TRY(nb_json_optional_f64(j, file, "rms_norm_eps", &eps, err));
  c->rms_eps = (float)eps;
  return NB_OK;
}

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

static nb_status read_longrope(const cJSON *j, const cJSON *rope, const char *file, nb_config *c, nb_err *err) {
  c->rope_kind = NB_ROPE_LONGROPE;
  c->original_max_position = 4096;
  static const char original[] = "original_max_position_embeddings";
  NB_TRY(nb_json_optional_size(rope, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  NB_TRY(nb_json_optional_size(j, file, original, 1, NB_MAX_POSITION, &c->original_max_position, err));
  NB_TRY(read_factors(rope, file, "short_factor", c->rotary_dim / 2, c->short_factor, err));
  NB_TRY(read_factors(rope, file, "long_factor", c->rotary_dim / 2, c->long_factor, err));
  double factor = (double)c->max_position / (double)c->original_max_position, scale = 1;
  NB_TRY(nb_json_optional_f64(rope, file, "factor", &factor, err));
  if (factor > 1) scale = sqrt(1 + log(factor) / log((double)c->original_max_position));
  NB_TRY(nb_json_optional_f64(rope, file, "attention_factor", &scale, err));
  c->rope_scale = (float)scale;
  return NB_OK;
}

static nb_status read_rope(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  const cJSON *rope = NULL;
  const char *type = "default";
  double theta = 10000, partial = 1;
  NB_TRY(nb_json_optional_object(j, file, "rope_scaling", &rope, err));
  if (!rope || !rope->child) NB_TRY(nb_json_optional_object(j, file, "rope_parameters", &rope, err));
  NB_TRY(nb_json_optional_f64(j, file, "rope_theta", &theta, err));
  NB_TRY(nb_json_optional_f64(j, file, "partial_rotary_factor", &partial, err));
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
  c->rope_scale = 1;
  c->original_max_position = c->max_position;
  if (!strcmp(type, "default")) return NB_OK;
  /* "su" and "yarn" are what the first Phi-3 checkpoints called it */
  if (!strcmp(type, "longrope") || !strcmp(type, "su") || !strcmp(type, "yarn"))
    return read_longrope(j, rope, file, c, err);
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the rotary embedding type \"%.40s\" is not supported; supported: default, longrope (su)", file,
                 type);
}

static nb_status read_config(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  NB_TRY(read_architecture(j, file, c, err));
  NB_TRY(refuse_variants(j, file, err));
  NB_TRY(read_activation(j, file, c, err));
  NB_TRY(read_dtype(j, file, c, err));
  NB_TRY(read_dimensions(j, file, c, err));
  NB_TRY(read_rope(j, file, c, err));
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

/* --- writing --- */

/* A text of at most MAX_TEXT bytes, far above what any nb_config needs. */
typedef struct text {
  char *p;
  size_t n;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *t, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(t->p + t->n, MAX_TEXT - t->n, fmt, ap);
  va_end(ap);
  t->n = nb_min(t->n + (size_t)nb_max(n, 0), MAX_TEXT - 1);
}

/* A number with as few digits as say it exactly (as a float when `single`), and a point whatever the locale.
 */
static void put_number(text *t, double v, bool single) {
  char digits[32];
  for (int n = 1; n <= 17; n++) {
    snprintf(digits, sizeof digits, "%.*g", n, v);
    double read = strtod(digits, NULL);
    if ((single ? (double)(float)read : read) == v) break;
  }
  for (char *p = digits; *p; p++) put(t, "%c", strchr("0123456789+-e", *p) ? *p : '.');
}
static void put_f32(text *t, float v) { put_number(t, (double)v, true); }
static void put_f64(text *t, double v) { put_number(t, v, false); }

static void put_factors(text *t, const char *key, const float *f, size_t n) {
  put(t, ",\n    \"%s\": [", key);
  for (size_t i = 0; i < n; i++) {
    if (i) put(t, ", ");
    put_f32(t, f[i]);
  }
  put(t, "]");
}

static void put_rope(text *t, const nb_config *c) {
  double partial = (double)c->rotary_dim / (double)c->head_dim;
  if ((size_t)((double)c->head_dim * partial) < c->rotary_dim) partial = nextafter(partial, 2);
  const char *type = c->rope_kind == NB_ROPE_LONGROPE ? "longrope" : "default";
  put(t, "  \"rope_parameters\": {\n    \"rope_type\": \"%s\",\n    \"rope_theta\": ", type);
  put_f64(t, c->rope_theta);
  put(t, ",\n    \"partial_rotary_factor\": ");
  put_f64(t, partial);
  if (c->rope_kind == NB_ROPE_LONGROPE) {
    put(t, ",\n    \"original_max_position_embeddings\": %zu", c->original_max_position);
    put(t, ",\n    \"attention_factor\": ");
    put_f32(t, c->rope_scale);
    put_factors(t, "short_factor", c->short_factor, c->rotary_dim / 2);
    put_factors(t, "long_factor", c->long_factor, c->rotary_dim / 2);
  }
  put(t, "\n  },\n");
}

static void put_ids(text *t, const nb_config *c) {
  if (c->bos_id >= 0) put(t, "  \"bos_token_id\": %d,\n", c->bos_id);
  else put(t, "  \"bos_token_id\": null,\n");
  put(t, "  \"eos_token_id\": %s", c->n_eos ? "" : "null");
  for (size_t i = 0; i < c->n_eos; i++) put(t, "%s%d", i ? ", " : "[", c->eos_ids[i]);
  put(t, "%s,\n  \"pad_token_id\": null,\n", c->n_eos ? "]" : "");
}

nb_status nb_hf_config_print(const nb_config *c, char **out, size_t *n, nb_err *err) {
  NB_TRY(nb_config_check(c, err));
  if (strcmp(c->architecture, "Phi3ForCausalLM"))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "the architecture %s is not supported; supported: %s", c->architecture,
                   nb_hf_architectures);
  text t = {.p = malloc(MAX_TEXT)};
  if (!t.p) return nb_fail(err, NB_ERR_MEMORY, "out of memory for a configuration");
  put(&t, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"phi3\",\n", c->architecture);
  put(&t, "  \"dtype\": \"%s\",\n  \"hidden_act\": \"silu\",\n", dtype_names[c->dtype]);
  put(&t, "  \"hidden_size\": %zu,\n  \"intermediate_size\": %zu,\n", c->hidden, c->ffn);
  put(&t, "  \"num_hidden_layers\": %zu,\n  \"num_attention_heads\": %zu,\n", c->layers, c->heads);
  put(&t, "  \"num_key_value_heads\": %zu,\n  \"head_dim\": %zu,\n", c->kv_heads, c->head_dim);
  put(&t, "  \"vocab_size\": %zu,\n", c->vocab);
  put(&t, "  \"tie_word_embeddings\": %s,\n", c->tie_embeddings ? "true" : "false");
  put(&t, "  \"rms_norm_eps\": ");
  put_f32(&t, c->rms_eps);
  put(&t, ",\n  \"max_position_embeddings\": %zu,\n", c->max_position);
  if (c->rope_kind == NB_ROPE_LONGROPE)
    put(&t, "  \"original_max_position_embeddings\": %zu,\n", c->original_max_position);
  if (c->sliding_window) put(&t, "  \"sliding_window\": %zu,\n", c->sliding_window);
  else put(&t, "  \"sliding_window\": null,\n");
  put_rope(&t, c);
  put_ids(&t, c);
  put(&t, "  \"attention_bias\": false,\n  \"use_cache\": true\n}\n");
  *out = t.p, *n = t.n;
  return NB_OK;
}
