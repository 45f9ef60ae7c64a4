/* SPDX-License-Identifier: MIT */
/* What config.json says of packed matrices, and by what name other ways of packing are refused. */
#include "formats/packed.h"

#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_FILE = 4 << 20, MAX_GROUP = 1 << 20 };

#define READ "GPTQ, AWQ, compressed-tensors with integers and MLX checkpoints are read"
#define ORIGINAL "give the original checkpoint, in bfloat16, float16 or float32"

/* ---- refusals ---- */

static nb_status refuse(const char *file, const char *what, const char *remedy, nb_err *err) {
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the checkpoint is quantized by %s, which is not read (" READ "): %s",
                 file, what, remedy);
}

static nb_status refuse_bitsandbytes(const cJSON *q, const char *file, nb_err *err) {
  const char *type = "fp4";
  char what[64];
  bool eight = cJSON_IsTrue(nb_json_get(q, "load_in_8bit")) || cJSON_IsTrue(nb_json_get(q, "_load_in_8bit"));
  NB_TRY(nb_json_optional_string(q, file, "bnb_4bit_quant_type", &type, err));
  snprintf(what, sizeof what, "bitsandbytes (%.16s)", eight ? "int8" : type);
  return refuse(file, what,
                "give the original checkpoint, or undo it in Python: "
                "AutoModelForCausalLM.from_pretrained(DIR).dequantize().save_pretrained(NEW)",
                err);
}

static nb_status refuse_method(const cJSON *q, const char *method, const char *file, nb_err *err) {
  static const struct {
    const char *method, *what;
  } known[] = {
      {"fp8", "FP8"},           {"fbgemm_fp8", "FBGEMM in FP8"},
      {"modelopt", "ModelOpt"}, {"mxfp4", "MXFP4"},
      {"hqq", "HQQ"},           {"aqlm", "AQLM"},
      {"quip", "QuIP#"},        {"vptq", "VPTQ"},
      {"eetq", "EETQ"},         {"quanto", "Quanto"},
      {"torchao", "torchao"},   {"auto-round", "AutoRound"},
      {"bitnet", "BitNet"},     {"higgs", "HIGGS"},
      {"spqr", "SpQR"},         {"exl2", "ExLlamaV2"},
      {"exl3", "ExLlamaV3"},    {"intel/auto-round", "AutoRound"},
  };
  if (!strcmp(method, "bitsandbytes") || !strcmp(method, "bitsandbytes_4bit") || !strcmp(method, "bitsandbytes_8bit"))
    return refuse_bitsandbytes(q, file, err);
  char what[64];
  snprintf(what, sizeof what, "the method \"%.40s\"", method);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].method, method)) snprintf(what, sizeof what, "%s", known[i].what);
  return refuse(file, what, ORIGINAL, err);
}

/* ---- GPTQ and AWQ ---- */

/* -1 is one group for a whole row. */
static nb_status read_group(const cJSON *q, const char *file, const char *key, nb_packed_scheme *s, nb_err *err) {
  const cJSON *item = nb_json_get(q, key);
  s->group = 0;
  if (cJSON_IsNumber(item) && item->valuedouble == -1) return NB_OK;
  s->group = 128;
  return nb_json_optional_size(q, file, key, 1, MAX_GROUP, &s->group, err);
}

static nb_status read_gptq(const cJSON *q, const char *file, nb_packed_scheme *s, nb_err *err) {
  const char *format = "gptq";
  const cJSON *dynamic = nb_json_get(q, "dynamic");
  char what[64];
  s->kind = NB_PACKED_GPTQ, s->bits = 4;
  NB_TRY(nb_json_optional_size(q, file, "bits", 2, 8, &s->bits, err));
  NB_TRY(read_group(q, file, "group_size", s, err));
  NB_TRY(nb_json_optional_string(q, file, "format", &format, err));
  NB_TRY(nb_json_optional_string(q, file, "checkpoint_format", &format, err));
  if (cJSON_IsTrue(nb_json_get(q, "is_marlin_format"))) format = "marlin";
  s->zero_less_one = !strcmp(format, "gptq");
  s->any_bits = cJSON_IsObject(dynamic) && dynamic->child;
  if (s->zero_less_one || !strcmp(format, "gptq_v2")) return NB_OK;
  snprintf(what, sizeof what, "GPTQ in the format \"%.30s\"", format);
  return refuse(file, what, "save it as gptq or gptq_v2, or give the original checkpoint", err);
}

static nb_status read_awq(const cJSON *q, const char *file, nb_packed_scheme *s, nb_err *err) {
  const char *version = "gemm";
  char what[96];
  s->kind = NB_PACKED_AWQ, s->bits = 4;
  NB_TRY(nb_json_optional_size(q, file, "bits", 1, 8, &s->bits, err));
  NB_TRY(nb_json_optional_size(q, file, "w_bit", 1, 8, &s->bits, err)); /* quant_config.json calls them so */
  NB_TRY(read_group(q, file, nb_json_get(q, "q_group_size") ? "q_group_size" : "group_size", s, err));
  NB_TRY(nb_json_optional_string(q, file, "version", &version, err));
  snprintf(what, sizeof what, "AWQ in the layout \"%.16s\" with %zu bits", version, s->bits);
  if (strcasecmp(version, "gemm") || s->bits != 4)
    return refuse(file, what, "save it with version gemm and 4 bits, or give the original checkpoint", err);
  return NB_OK;
}

/* ---- compressed-tensors ---- */

/* Adds the bits of one group of modules. */
static nb_status read_config_group(const cJSON *g, const char *file, nb_packed_scheme *s, nb_err *err) {
  const cJSON *w;
  const char *type = "int";
  size_t bits = 8;
  char what[96];
  NB_TRY(nb_json_object(g, file, "weights", &w, err));
  NB_TRY(nb_json_optional_string(w, file, "type", &type, err));
  NB_TRY(nb_json_optional_size(w, file, "num_bits", 1, 64, &bits, err));
  snprintf(what, sizeof what, "compressed-tensors with %zu-bit numbers of the type \"%.16s\"", bits, type);
  if (strcmp(type, "int") || bits > 8) return refuse(file, what, ORIGINAL, err);
  s->bits |= (size_t)1 << bits;
  return NB_OK;
}

static nb_status read_compressed(const cJSON *q, const char *file, nb_packed_scheme *s, nb_err *err) {
  static const char *const formats[] = {"pack-quantized", "int-quantized", "naive-quantized", "mixed-precision"};
  const cJSON *groups, *sparsity = NULL, *transform = NULL;
  const char *format = "none", *sparse = "dense";
  char what[96];
  bool known = false;
  s->kind = NB_PACKED_COMPRESSED;
  NB_TRY(nb_json_optional_string(q, file, "format", &format, err));
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) known |= !strcmp(format, formats[i]);
  snprintf(what, sizeof what, "compressed-tensors in the format \"%.40s\"", format);
  if (!known) return refuse(file, what, ORIGINAL, err);
  NB_TRY(nb_json_optional_object(q, file, "sparsity_config", &sparsity, err));
  if (sparsity) NB_TRY(nb_json_optional_string(sparsity, file, "format", &sparse, err));
  snprintf(what, sizeof what, "compressed-tensors with sparse matrices (%.40s)", sparse);
  if (strcmp(sparse, "dense")) return refuse(file, what, ORIGINAL, err);
  NB_TRY(nb_json_optional_object(q, file, "transform_config", &transform, err));
  if (transform && cJSON_IsObject(nb_json_get(transform, "config_groups")) &&
      nb_json_get(transform, "config_groups")->child)
    return refuse(file, "compressed-tensors with transforms of activations", ORIGINAL, err);
  NB_TRY(nb_json_object(q, file, "config_groups", &groups, err));
  for (const cJSON *g = groups->child; g; g = g->next) NB_TRY(read_config_group(g, file, s, err));
  return NB_OK;
}

/* ---- MLX ---- */

static nb_status read_mlx(const cJSON *q, const char *file, nb_packed_scheme *s, nb_err *err) {
  const char *mode = "affine";
  char what[64];
  s->kind = NB_PACKED_MLX;
  NB_TRY(nb_json_size(q, file, "bits", 2, 8, &s->bits, err));
  NB_TRY(nb_json_size(q, file, "group_size", 1, MAX_GROUP, &s->group, err));
  NB_TRY(nb_json_optional_string(q, file, "mode", &mode, err));
  snprintf(what, sizeof what, "MLX in the mode \"%.30s\"", mode);
  if (strcmp(mode, "affine")) return refuse(file, what, ORIGINAL, err);
  for (const cJSON *m = q->child; m; m = m->next) {
    const cJSON *own = cJSON_IsObject(m) ? nb_json_get(m, "mode") : NULL;
    if (!cJSON_IsString(own) || !strcmp(own->valuestring, "affine")) continue;
    snprintf(what, sizeof what, "MLX in the mode \"%.30s\"", own->valuestring);
    return refuse(file, what, ORIGINAL, err);
  }
  s->modules = cJSON_Duplicate(q, 1);
  return s->modules ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", file);
}

/* ---- the whole ---- */

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

static nb_status read_scheme(const cJSON *j, const char *file, nb_packed_scheme *s, nb_err *err) {
  const cJSON *q = NULL, *mlx = NULL;
  const char *method = NULL;
  if (ends_with(file, "quantize_config.json")) q = j, method = "gptq";
  else if (ends_with(file, "quant_config.json")) q = j, method = "awq";
  else {
    NB_TRY(nb_json_optional_object(j, file, "quantization", &mlx, err));
    NB_TRY(nb_json_optional_object(j, file, "quantization_config", &q, err));
  }
  if (!q && !mlx) return NB_OK;
  if (q) NB_TRY(nb_json_optional_string(q, file, "quant_method", &method, err));
  if (mlx) return read_mlx(mlx, file, s, err);
  if (!method && nb_json_get(q, "bits") && nb_json_get(q, "group_size")) return read_mlx(q, file, s, err);
  if (!method) method = "unknown";
  if (!strcmp(method, "gptq")) return read_gptq(q, file, s, err);
  if (!strcmp(method, "awq")) return read_awq(q, file, s, err);
  if (!strcmp(method, "compressed-tensors")) return read_compressed(q, file, s, err);
  return refuse_method(q, method, file, err);
}

nb_status nb_packed_scheme_parse(const char *json, size_t n, const char *file, nb_packed_scheme *out, nb_err *err) {
  cJSON *j;
  *out = (nb_packed_scheme){.kind = NB_PACKED_NONE};
  NB_TRY(nb_json_parse(json, n, file, &j, err));
  nb_status st = read_scheme(j, file, out, err);
  cJSON_Delete(j);
  return st;
}

void nb_packed_scheme_free(nb_packed_scheme *s) {
  cJSON_Delete(s->modules);
  *s = (nb_packed_scheme){.kind = NB_PACKED_NONE};
}

nb_status nb_packed_open(const char *dir, int threads, nb_safetensors *c, nb_text *notes, nb_err *err) {
  static const char *const files[] = {"config.json", "quantize_config.json", "quant_config.json"};
  nb_packed_scheme s = {.kind = NB_PACKED_NONE};
  char *text = NULL;
  size_t n, room = strlen(dir) + 32;
  char *path = malloc(room);
  nb_status st = NB_OK;
  if (!path) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", dir);
  for (size_t i = 0; i < 3 && s.kind == NB_PACKED_NONE; i++) {
    snprintf(path, room, "%s/%s", dir, files[i]);
    if (access(path, F_OK)) continue;
    NB_GOTO(nb_mapfile_read(path, MAX_FILE, &text, &n, err));
    NB_GOTO(nb_packed_scheme_parse(text, n, path, &s, err));
    free(text);
    text = NULL;
  }
  st = nb_packed_unpack(&s, threads, c, notes, err);
fail:
  nb_packed_scheme_free(&s);
  free(text);
  free(path);
  return st;
}
