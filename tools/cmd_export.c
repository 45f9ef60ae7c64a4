/* SPDX-License-Identifier: MIT */
/* nibble export: a model's weights as a Hugging Face checkpoint, dequantized, or as a GGUF file. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "base/f16.h"
#include "convert/calib_file.h"
#include "convert/gguf_calibrate.h"
#include "convert/gguf_export.h"
#include "convert/recipe.h"
#include "formats/hf_config.h"
#include "formats/mapfile.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
#include "formats/safetensors.h"
#include "formats/tokenizer_dir.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TOKENIZER = 1 << 28 };

#define TYPES "auto|f32|bf16|f16|q8_0|q4_0|q4_1|q4_k|iq4_nl"

/* One tensor of the checkpoint, by the parts that are in it: the rows of up to three matrices, of the experts' one
 * after another, or elements of vectors. */
typedef struct tensor {
  char name[128];
  const nb_part *first; /* the part that gave the name */
  nb_rows_of rows;
  size_t n_rows; /* stored; of vectors, elements */
} tensor;

typedef struct plan {
  const nb_model *m;
  const nb_gguf_calibrated *calibrated; /* NULL: not */
  const nb_arch *arch;
  tensor *tensors;
  nb_st_spec *specs;
  size_t n;
} plan;

/* The tensors of the architecture, each once, in the order of the parts. Experts are written one tensor each. */
static nb_status make_plan(const nb_model *m, nb_dtype dtype, plan *p, nb_err *err) {
  const nb_parts *parts = &m->weights.parts;
  p->m = m, p->arch = nb_arch_find(m->config.architecture);
  NB_TRY(nb_new(&p->tensors, parts->n, sizeof *p->tensors, "the plan", err));
  NB_TRY(nb_new(&p->specs, parts->n, sizeof *p->specs, "the plan", err));
  for (size_t i = 0; i < parts->n; i++) {
    const nb_part *x = &parts->part[i];
    tensor *t = &p->tensors[p->n];
    bool known = false;
    if (!nb_arch_tensor_name(p->arch, x, 0, t->name, &t->rows))
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s has no name for its %s", p->arch->architecture,
                     nb_role_name(x->role));
    for (size_t k = p->n; k-- > 0 && !known && p->tensors[k].first->layer == x->layer;)
      known = !strcmp(p->tensors[k].name, t->name);
    if (known) continue;
    t->first = x;
    t->n_rows = nb_arch_rows(&m->config, x, t->rows).stored;
    p->specs[p->n++] = (nb_st_spec){
        .name = t->name, .dtype = dtype, .n_dims = x->matrix ? 2 : 1, .shape = {t->n_rows, x->matrix ? x->K : 1, 1, 1}};
  }
  return NB_OK;
}

/* Row r (or element r) of a stored tensor: found in the part of its layer that it belongs to. */
static const nb_part *part_of_row(const plan *p, const tensor *t, size_t r, size_t *own_row) {
  const nb_parts *parts = &p->m->weights.parts;
  for (const nb_part *x = t->first; x < parts->part + parts->n && x->layer == t->first->layer; x++) {
    char name[128];
    nb_rows_of rows;
    if (!nb_arch_tensor_name(p->arch, x, 0, name, &rows) || strcmp(name, t->name)) continue;
    nb_row_map map = nb_arch_rows(&p->m->config, x, rows);
    size_t n = x->matrix ? x->N : x->K;
    if (r < map.first) continue;
    size_t block = (r - map.first) / map.stride, in = (r - map.first) % map.stride;
    *own_row = block * map.run + in;
    if (in < map.run && *own_row < n) return x;
  }
  return NULL;
}

static const nb_linear *matrix_of(const nb_model *m, const nb_part *p) {
  if (p->layer < 0) return p->role == NB_EMBED ? nb_weights_embed(&m->weights) : nb_weights_head(&m->weights);
  return nb_layer_matrix(&m->config, &m->weights.layer[p->layer], p->role, p->expert < 0 ? 0 : (size_t)p->expert);
}

/* Element k of a vector as a checkpoint stores it. */
static float vector_element(const plan *p, const nb_part *x, size_t k) {
  const nb_weights *w = &p->m->weights;
  const float *v = x->layer < 0 ? w->vec[x->role] : w->layer[x->layer].vec[x->role];
  return p->arch->norm_plus_one && x->role < NB_ATTN_NORM_BIAS ? v[k] - 1 : v[k];
}

/* n floats in the output's type; out may be x. */
static size_t convert(const float *x, size_t n, nb_dtype dtype, void *out) {
  if (dtype == NB_F32) memmove(out, x, n * sizeof *x);
  else
    for (size_t i = 0; i < n; i++) ((uint16_t *)out)[i] = dtype == NB_BF16 ? nb_f32_bf16(x[i]) : nb_f32_f16(x[i]);
  return n * nb_dtype_bytes(dtype);
}

static nb_status write_tensor(nb_st_writer *w, const plan *p, const tensor *t, nb_dtype dtype, float *row, void *bytes,
                              nb_err *err) {
  for (size_t r = 0; r < t->n_rows; r++) {
    size_t own_row = 0, n = 1;
    const nb_part *x = part_of_row(p, t, r, &own_row);
    if (!x) return nb_fail(err, NB_ERR_FORMAT, "%s: row %zu belongs to no matrix of the model", t->name, r);
    if (x->matrix) nb_linear_row(matrix_of(p->m, x), own_row, row), n = x->K;
    else row[0] = vector_element(p, x, own_row);
    NB_TRY(nb_safetensors_put(w, bytes, convert(row, n, dtype, bytes), err));
  }
  return NB_OK;
}

static nb_status write_weights(const char *path, const nb_model *m, nb_dtype dtype, const nb_progress *progress,
                               nb_err *err) {
  nb_status st;
  plan p = {0};
  nb_outfile out = {.fd = -1};
  nb_st_writer w;
  float *row = NULL, *bytes = NULL;
  const nb_config *c = &m->config;
  size_t K = nb_max(nb_max(c->hidden, c->ffn), c->heads * c->head_dim);
  NB_GOTO(make_plan(m, dtype, &p, err));
  NB_GOTO(nb_new(&row, K, sizeof *row, "a row", err));
  NB_GOTO(nb_new(&bytes, K, sizeof *bytes, "a row", err));
  NB_GOTO(nb_outfile_create(path, &out, err));
  NB_GOTO(nb_safetensors_begin(&out, p.specs, p.n, &w, err));
  uint64_t total = w.left;
  for (size_t i = 0; i < p.n; i++) {
    NB_GOTO(write_tensor(&w, &p, &p.tensors[i], dtype, row, bytes, err));
    NB_GOTO(nb_progress_step(progress, total - w.left, total, err));
  }
  NB_GOTO(nb_safetensors_end(&w, err));
  NB_GOTO(nb_outfile_commit(&out, err));
fail:
  nb_outfile_abort(&out);
  nb_free(p.tensors);
  nb_free(p.specs);
  nb_free(row);
  nb_free(bytes);
  return st;
}

static nb_status write_config(const char *path, const nb_config *c, nb_dtype dtype, nb_err *err) {
  nb_config out = *c;
  char *text = NULL;
  size_t n;
  out.dtype = dtype;
  NB_TRY(nb_hf_config_print(&out, &text, &n, err));
  nb_status st = nb_outfile_save(path, text, n, err);
  free(text);
  return st;
}

/* Copies one file of a folder where it is there; one that is in place already stays. */
static nb_status copy_file(const char *from, const char *to, const char *name, bool *there, nb_err *err) {
  char a[4096], b[4096], *bytes = NULL;
  struct stat s, t;
  size_t n;
  snprintf(a, sizeof a, "%s/%s", from, name);
  snprintf(b, sizeof b, "%s/%s", to, name);
  *there = stat(a, &s) == 0;
  if (!*there || (stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino)) return NB_OK;
  NB_TRY(nb_mapfile_read(a, MAX_TOKENIZER, &bytes, &n, err));
  nb_status st = nb_outfile_save(b, bytes, n, err);
  free(bytes);
  return st;
}

/* Copies what there is of a checkpoint's tokenizer files, and what it says of writing texts. */
static nb_status copy_tokenizer(const char *from, const char *to, nb_err *err) {
  bool any = false, there;
  for (size_t i = 0; i < NB_TOKENIZER_FILES; i++) {
    NB_TRY(copy_file(from, to, nb_tokenizer_file_names[i], &there, err));
    any |= there && i < 2;
  }
  if (any) return copy_file(from, to, "generation_config.json", &there, err);
  return nb_fail(err, NB_ERR_IO, "%s has no %s and no %s: give the folder of the original checkpoint", from,
                 nb_tokenizer_file_names[0], nb_tokenizer_file_names[1]);
}

/* The tokenizer first, since its path may be wrong; the configuration last: a folder without one is no checkpoint. */
static nb_status write_all(const nb_opened *m, const char *dir, const char *tokenizer, nb_dtype dtype,
                           const cli_common *common, nb_err *err) {
  char path[4096];
  if (tokenizer) NB_TRY(copy_tokenizer(tokenizer, dir, err));
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "exporting", NULL);
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  nb_status st = write_weights(path, &m->model, dtype, &cb, err);
  cli_progress_end(&p);
  if (st != NB_OK) return st;
  snprintf(path, sizeof path, "%s/config.json", dir);
  return write_config(path, &m->model.config, dtype, err);
}

static nb_status export(const nb_opened *m, const char *dir, const char *tokenizer, nb_dtype dtype,
                        const cli_common *common, nb_err *err) {
  bool made = mkdir(dir, 0777) == 0;
  if (!made && errno != EEXIST)
    return nb_fail(err, NB_ERR_IO, "%s: cannot make the directory: %s", dir, strerror(errno));
  nb_status st = write_all(m, dir, tokenizer, dtype, common, err);
  if (st != NB_OK && made) rmdir(dir); /* does nothing when something is in it */
  return st;
}

/* ---- GGUF ---- */

static void describe(void *ctx, size_t i, const char **name, size_t *N, size_t *K, const nb_linear **w) {
  const plan *p = ctx;
  const nb_st_spec *s = &p->specs[i];
  const nb_part *first = p->tensors[i].first;
  *name = s->name;
  *N = first->matrix ? s->shape[0] : 0;
  *K = first->matrix ? s->shape[1] : s->shape[0];
  *w = first->matrix ? matrix_of(p->m, first) : NULL;
}

static void read_row(void *ctx, size_t i, size_t n, float *out) {
  const plan *p = ctx;
  const tensor *t = &p->tensors[i];
  size_t own_row = 0;
  if (t->first->matrix) {
    const nb_part *x = part_of_row(p, t, n, &own_row);
    nb_linear_row(matrix_of(p->m, x), own_row, out);
    return;
  }
  for (size_t k = 0; k < t->n_rows; k++) {
    const nb_part *x = part_of_row(p, t, k, &own_row);
    out[k] = vector_element(p, x, own_row);
  }
}

static const uint8_t *read_blocks(void *ctx, size_t i, size_t n, const nb_ggml_type *type) {
  const plan *p = ctx;
  size_t own_row = 0;
  if (!p->tensors[i].first->matrix) return NULL;
  const nb_part *x = part_of_row(p, &p->tensors[i], n, &own_row);
  const nb_linear *w = matrix_of(p->m, x);
  if (!p->calibrated) return !w->coded && w->dense.blocks == type ? nb_linear_dense_row(w, own_row) : NULL;
  return p->calibrated->rows[w - p->m->weights.w] + own_row * (x->K / type->block * type->bytes);
}

/* Every row of the plan's tensors is a row of some part. */
static nb_status check_plan(const plan *p, nb_err *err) {
  for (size_t i = 0; i < p->n; i++)
    for (size_t r = 0; r < p->tensors[i].n_rows; r++) {
      size_t own_row;
      if (!part_of_row(p, &p->tensors[i], r, &own_row))
        return nb_fail(err, NB_ERR_FORMAT, "%s: row %zu belongs to no matrix of the model", p->tensors[i].name, r);
    }
  return NB_OK;
}

/* What is asked for of a GGUF file. */
typedef struct gguf_request {
  const char *path, *type, *embed, *head, *tokenizer; /* embed, head: NULL as type */
  cli_list calib;
  nb_calib_numbers n; /* tokens and seq */
} gguf_request;

static nb_status calibrate(const nb_opened *m, const gguf_request *q, const cli_common *common, nb_gguf_calibrated *out,
                           nb_err *err) {
  cli_reporting state;
  nb_reporter reporter = cli_reporter(&state, common);
  const nb_ggml_type *type = nb_ggml_find_name(q->type);
  const nb_ggml_type *embed = q->embed ? nb_ggml_find_name(q->embed) : NULL;
  const nb_ggml_type *head = q->head ? nb_ggml_find_name(q->head) : NULL;
  if (!type)
    return nb_fail(err, NB_ERR_ARG, "--calib rounds to a type: give it with --type (q8_0, q4_0, q4_1, q4_k, iq4_nl)");
  nb_calib_numbers n = q->n;
  nb_calib_numbers_default(&n);
  const nb_gguf_calibrate_opts o = {.type = type,
                                    .embed = embed ? embed : type,
                                    .head = head ? head : type,
                                    .texts = q->calib.items,
                                    .n_texts = q->calib.n,
                                    .tokens = (size_t)n.tokens,
                                    .seq = (size_t)n.seq,
                                    .threads = common->threads,
                                    .cpu_features = common->features,
                                    .reporter = &reporter};
  NB_TRY(nb_gguf_calibrate(m, &o, out, err));
  cli_note(common, "calibrated on %zu tokens: the matrices' outputs are off by %.3g of their squares, by %.3g without",
           out->tokens, out->loss, out->plain);
  return NB_OK;
}

static nb_status export_gguf(const nb_opened *m, const gguf_request *q, const cli_common *common, nb_gguf_export *x,
                             nb_err *err) {
  plan p = {0};
  nb_tokenizer *own = NULL;
  nb_gguf_calibrated calibrated = {.tokens = 0};
  nb_status st;
  if (q->tokenizer) NB_GOTO(nb_open_tokenizer(q->tokenizer, &own, err));
  if (q->calib.n) NB_GOTO(calibrate(m, q, common, &calibrated, err));
  NB_GOTO(make_plan(q->calib.n ? &calibrated.model : &m->model, NB_F32, &p, err));
  NB_GOTO(check_plan(&p, err));
  p.calibrated = q->calib.n ? &calibrated : NULL;
  nb_gguf_source source = {.n = p.n, .describe = describe, .row = read_row, .blocks = read_blocks, .ctx = &p};
  cli_progress bar;
  nb_progress cb = cli_progress_begin(&bar, common, "exporting", NULL);
  *x = (nb_gguf_export){.config = &m->model.config,
                        .tokenizer = own ? own : m->tokenizer,
                        .tensors = &source,
                        .type = nb_ggml_find_name(q->type), /* NULL of "auto" */
                        .embed = q->embed ? nb_ggml_find_name(q->embed) : NULL,
                        .head = q->head ? nb_ggml_find_name(q->head) : NULL,
                        .threads = common->threads,
                        .progress = &cb};
  st = nb_gguf_export_run(x, q->path, err);
  cli_progress_end(&bar);
fail:
  nb_tokenizer_free(own);
  nb_gguf_calibrated_free(&calibrated);
  nb_free(p.tensors);
  nb_free(p.specs);
  return st;
}

static void report_gguf(const nb_gguf_export *x, const char *path, const char *type, const cli_common *common) {
  if (common->json) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "file", path);
    cJSON_AddStringToObject(j, "type", type);
    cJSON_AddNumberToObject(j, "bytes", (double)x->bytes);
    cJSON_AddNumberToObject(j, "relative_error", x->error);
    cli_print_json(j);
    return;
  }
  if (x->n_fallback)
    cli_note(common, "%zu matrices have rows that are no whole blocks of %s: they are Q8_0 or F16", x->n_fallback,
             type);
  if (x->error > 0)
    cli_note(common, "rounded: the squared error is %.3g of the squared weights; nibble kld tells what it costs",
             x->error);
  cli_note(common, "wrote %s, %.1f MB", path, (double)x->bytes / 1e6);
}

int cmd_export(int argc, char **argv) {
  const char *dir = NULL, *dtype = "f32";
  gguf_request q = {.type = "auto", .n = {-1, -1, -1, -1}};
  const cli_opt opts[] = {
      CLI_PATH("hf", 'o', "DIR", NB_FILE_EXPORT, &dir,
               "write a checkpoint into this directory (made when it is missing)"),
      CLI_PATH("gguf", 'g', "FILE", NB_FILE_GGUF, &q.path, "write a GGUF file, which llama.cpp loads"),
      CLI_CHOICE("dtype", 0, "f32|bf16|f16", &dtype,
                 "--hf: f32 (default) holds the coded values exactly, the others round them"),
      CLI_CHOICE("type", 0, TYPES, &q.type,
                 "--gguf: the type of the matrices; auto (default) takes what comes nearest to each"),
      CLI_CHOICE("embed", 0, TYPES, &q.embed, "--gguf: another type for the embedding"),
      CLI_CHOICE("head", 0, TYPES, &q.head, "--gguf: another type for the head, where it is not the embedding"),
      CLI_PATHS("calib", 'c', "PATH", NB_PATH_READ, &q.calib,
                "--gguf: round by calibration, as nibble quantize does, on a text, chats or a folder of such"),
      CLI_INT("tokens", 0, "N", 1, NB_RECIPE_MAX_TOKENS, &q.n.tokens, "--calib: tokens to use (32768)"),
      CLI_INT("seq", 0, "N", NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ, &q.n.seq, "--calib: tokens of a sequence (512)"),
      CLI_PATH("tokenizer", 0, "DIR", NB_PATH_READ, &q.tokenizer, "take the tokenizer (--hf: its files) from there"),
      CLI_END,
  };
  const cli_command cmd = {.name = "export",
                           .args = "MODEL --hf DIR | --gguf FILE",
                           .opts = opts,
                           .common = CLI_JSON | CLI_THREADS,
                           .about = "Writes a model for other programs: as a checkpoint that transformers loads\n"
                                    "(config.json and model.safetensors, dequantized), or as a GGUF file that\n"
                                    "llama.cpp loads, with tokenizer and chat template.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!dir == !q.path) return cli_usage(&cmd, "give either --hf DIR or --gguf FILE");
  nb_err err;
  nb_opened m = {0};
  nb_gguf_export x = {0};
  const char *tokenizer = q.tokenizer;
  bool without = dir || (tokenizer && !q.calib.n);
  nb_status st = cli_open(args.items[0], without ? NB_OPEN_NO_TOKENIZER : 0, &common, &m, &err);
  nb_dtype to = dtype[0] == 'b' ? NB_BF16 : strcmp(dtype, "f16") == 0 ? NB_F16 : NB_F32;
  if (st == NB_OK && dir) st = export(&m, dir, tokenizer, to, &common, &err);
  else if (st == NB_OK) st = export_gguf(&m, &q, &common, &x, &err);
  nb_opened_free(&m);
  if (st != NB_OK) return cli_fail(st, &err);
  if (q.path) {
    report_gguf(&x, q.path, q.type, &common);
    return 0;
  }
  if (common.json) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "dir", dir);
    cJSON_AddStringToObject(j, "dtype", dtype);
    return cli_print_json(j);
  }
  cli_note(&common, tokenizer ? "wrote %s" : "wrote %s (without tokenizer files: see --tokenizer)", dir);
  return 0;
}
