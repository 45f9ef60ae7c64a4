/* SPDX-License-Identifier: MIT */
/* nibble export: a model's weights as a Hugging Face checkpoint, dequantized. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "base/f16.h"
#include "formats/hf_config.h"
#include "formats/mapfile.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
#include "formats/safetensors.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TOKENIZER = 1 << 28 };

/* One tensor of the checkpoint: the rows of up to three matrices, or a norm. */
typedef struct part {
  char name[96];
  const nb_linear *w[3];
  size_t n;
  const float *norm; /* (D) */
} part;

typedef struct plan {
  part *parts;
  nb_st_spec *specs;
  size_t n;
} plan;

static part *next_part(plan *p, nb_dtype dtype, const char *layer_prefix, const char *name) {
  part *x = &p->parts[p->n];
  nb_st_spec *s = &p->specs[p->n++];
  snprintf(x->name, sizeof x->name, "%s%s.weight", layer_prefix, name);
  *s = (nb_st_spec){.name = x->name, .dtype = dtype, .n_dims = 1, .shape = {0, 1, 1, 1}};
  return x;
}

static void add_matrix(plan *p, nb_dtype dtype, const char *prefix, const char *name, const nb_linear *const *w,
                       size_t n) {
  part *x = next_part(p, dtype, prefix, name);
  nb_st_spec *s = &p->specs[p->n - 1];
  s->n_dims = 2;
  for (size_t i = 0; i < n; i++) x->w[i] = w[i], s->shape[0] += w[i]->N;
  s->shape[1] = w[0]->K;
  x->n = n;
}

static void add_norm(plan *p, nb_dtype dtype, const char *prefix, const char *name, const float *norm, size_t D) {
  next_part(p, dtype, prefix, name)->norm = norm;
  p->specs[p->n - 1].shape[0] = D;
}

static nb_status make_plan(const nb_model *m, nb_dtype dtype, plan *p, nb_err *err) {
  const nb_config *c = &m->config;
  const nb_weights *w = &m->weights;
  NB_TRY(nb_new(&p->parts, 6 * c->layers + 3, sizeof *p->parts, "the plan", err));
  NB_TRY(nb_new(&p->specs, 6 * c->layers + 3, sizeof *p->specs, "the plan", err));
  add_matrix(p, dtype, "model.", "embed_tokens", (const nb_linear *[]){&w->embed}, 1);
  for (size_t l = 0; l < c->layers; l++) {
    const nb_layer *x = &w->layer[l];
    char prefix[48];
    snprintf(prefix, sizeof prefix, "model.layers.%zu.", l);
    add_norm(p, dtype, prefix, "input_layernorm", x->attn_norm, c->hidden);
    add_matrix(p, dtype, prefix, "self_attn.qkv_proj", (const nb_linear *[]){&x->w[NB_Q], &x->w[NB_K], &x->w[NB_V]}, 3);
    add_matrix(p, dtype, prefix, "self_attn.o_proj", (const nb_linear *[]){&x->w[NB_O]}, 1);
    add_norm(p, dtype, prefix, "post_attention_layernorm", x->ffn_norm, c->hidden);
    add_matrix(p, dtype, prefix, "mlp.gate_up_proj", (const nb_linear *[]){&x->w[NB_GATE], &x->w[NB_UP]}, 2);
    add_matrix(p, dtype, prefix, "mlp.down_proj", (const nb_linear *[]){&x->w[NB_DOWN]}, 1);
  }
  add_norm(p, dtype, "model.", "norm", w->norm, c->hidden);
  if (!c->tie_embeddings) add_matrix(p, dtype, "", "lm_head", (const nb_linear *[]){&w->head}, 1);
  return NB_OK;
}

/* n floats in the output's type; out may be x. */
static size_t convert(const float *x, size_t n, nb_dtype dtype, void *out) {
  if (dtype == NB_F32) memmove(out, x, n * sizeof *x);
  else
    for (size_t i = 0; i < n; i++) ((uint16_t *)out)[i] = dtype == NB_BF16 ? nb_f32_bf16(x[i]) : nb_f32_f16(x[i]);
  return n * nb_dtype_bytes(dtype);
}

static nb_status write_part(nb_st_writer *w, const part *p, size_t D, nb_dtype dtype, float *row, void *bytes,
                            nb_err *err) {
  if (p->norm) return nb_safetensors_put(w, bytes, convert(p->norm, D, dtype, bytes), err);
  for (size_t i = 0; i < p->n; i++)
    for (size_t r = 0; r < p->w[i]->N; r++) {
      nb_linear_row(p->w[i], r, row);
      NB_TRY(nb_safetensors_put(w, bytes, convert(row, p->w[i]->K, dtype, bytes), err));
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
    NB_GOTO(write_part(&w, &p.parts[i], c->hidden, dtype, row, bytes, err));
    NB_GOTO(nb_progress_step(progress, total - w.left, total, err));
  }
  NB_GOTO(nb_safetensors_end(&w, err));
  NB_GOTO(nb_outfile_commit(&out, err));
fail:
  nb_outfile_abort(&out);
  nb_free(p.parts);
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

/* Copies what there is of a checkpoint's tokenizer files. */
static nb_status copy_tokenizer(const char *from, const char *to, nb_err *err) {
  static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                                      "special_tokens_map.json", "generation_config.json"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char a[4096], b[4096];
    struct stat s;
    snprintf(a, sizeof a, "%s/%s", from, names[i]);
    snprintf(b, sizeof b, "%s/%s", to, names[i]);
    if (stat(a, &s) != 0 && i > 0) continue;
    char *bytes = NULL;
    size_t n;
    NB_TRY(nb_mapfile_read(a, MAX_TOKENIZER, &bytes, &n, err));
    nb_status st = nb_outfile_save(b, bytes, n, err);
    free(bytes);
    NB_TRY(st);
  }
  return NB_OK;
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

int cmd_export(int argc, char **argv) {
  const char *dir = NULL, *dtype = "f32", *tokenizer = NULL;
  const cli_opt opts[] = {
      CLI_PATH("hf", 'o', "DIR", CLI_CHECKPOINT, &dir,
               "the checkpoint's directory (required; made when it is missing)"),
      CLI_CHOICE("dtype", 0, "f32|bf16|f16", &dtype,
                 "f32 (default) holds the coded values exactly, the others round them"),
      CLI_PATH("tokenizer", 0, "DIR", CLI_READ, &tokenizer, "copy the tokenizer's files from this checkpoint"),
      CLI_END,
  };
  const cli_command cmd = {.name = "export",
                           .args = "MODEL --hf DIR",
                           .opts = opts,
                           .common = CLI_JSON,
                           .about =
                               "Writes a .nbl file's weights as a checkpoint that transformers loads (config.json and\n"
                               "model.safetensors, dequantized).",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!dir) return cli_usage(&cmd, "--hf DIR is missing");
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], NB_OPEN_NO_TOKENIZER, &common, &m, &err);
  nb_dtype type = dtype[0] == 'b' ? NB_BF16 : strcmp(dtype, "f16") == 0 ? NB_F16 : NB_F32;
  if (st == NB_OK) st = export(&m, dir, tokenizer, type, &common, &err);
  nb_opened_free(&m);
  if (st != NB_OK) return cli_fail(st, &err);
  if (common.json) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "dir", dir);
    cJSON_AddStringToObject(j, "dtype", dtype);
    return cli_print_json(j);
  }
  cli_note(&common, tokenizer ? "wrote %s" : "wrote %s (without tokenizer files: see --tokenizer)", dir);
  return 0;
}
