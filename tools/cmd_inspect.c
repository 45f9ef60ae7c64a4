/* SPDX-License-Identifier: MIT */
/* nibble inspect: what a .nbl file or a checkpoint holds, tensor by tensor, in sums that make up the file. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "formats/open.h"
#include "formats/safetensors.h"
#include "tools/table.h"

#include <cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One line of the listing. */
typedef struct entry {
  char name[96], type[16];
  size_t N, K;
  uint64_t bytes;
} entry;

typedef struct sum {
  uint64_t weights, bytes;
} sum;

typedef struct listing {
  entry *items;
  size_t n;
  sum classes[NB_PART_CLASSES];
  uint64_t tensor_bytes, other_bytes, file_bytes; /* other: headers, metadata, tokenizer, padding */
} listing;

static void add(listing *l, size_t c, const entry *e) {
  l->items[l->n++] = *e;
  l->classes[c].weights += (uint64_t)e->N * e->K;
  l->classes[c].bytes += e->bytes;
  l->tensor_bytes += e->bytes;
}

static nb_status list_nbl(const nb_nbl *f, listing *l, nb_err *err) {
  NB_TRY(nb_new(&l->items, nb_nbl_count(f), sizeof *l->items, "the listing", err));
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(f, i);
    entry e = {.N = t->part.N, .K = t->part.K, .bytes = t->size};
    nb_part_path(&t->part, e.name);
    nb_nbl_format_name(t, e.type);
    add(l, nb_part_class(&t->part), &e);
  }
  l->file_bytes = nb_nbl_file_bytes(f);
  l->other_bytes = l->file_bytes - l->tensor_bytes;
  return NB_OK;
}

/* The class of a stored tensor: that of the first part that is in it. */
static size_t class_of_name(const nb_arch *a, const nb_parts *parts, const char *name) {
  for (size_t i = 0; i < parts->n; i++) {
    char own[128];
    nb_rows_of rows;
    for (size_t k = 0; nb_arch_tensor_name(a, &parts->part[i], k, own, &rows); k++)
      if (!strcmp(own, name)) return nb_part_class(&parts->part[i]);
  }
  const nb_part other = {.role = NB_FINAL_NORM};
  return nb_part_class(&other);
}

static nb_status list_checkpoint(const nb_opened *m, listing *l, nb_err *err) {
  const nb_safetensors *ck = nb_opened_checkpoint(m);
  NB_TRY(nb_new(&l->items, ck->n_tensors, sizeof *l->items, "the listing", err));
  for (size_t i = 0; i < ck->n_tensors; i++) {
    const nb_st_tensor *t = &ck->tensors[i];
    entry e = {.N = 1, .K = 1, .bytes = t->stored_bytes};
    for (unsigned d = 0; t->readable && d < t->view.n_dims; d++)
      *(d + 1 < t->view.n_dims ? &e.N : &e.K) *= t->view.shape[d];
    snprintf(e.name, sizeof e.name, "%s", t->name);
    snprintf(e.type, sizeof e.type, "%s", t->dtype);
    add(l, class_of_name(nb_opened_named(m)->arch, &m->model.weights.parts, t->name), &e);
  }
  for (size_t i = 0; i < ck->n_shards; i++) l->file_bytes += ck->shards[i].size;
  l->other_bytes = l->file_bytes - l->tensor_bytes;
  return NB_OK;
}

static void print_config(const nb_config *c) {
  printf("architecture  %s: %zu layers, width %zu, feed-forward %zu\n", c->architecture, c->layers, c->hidden, c->ffn);
  printf("attention     %zu heads of %zu over %zu key/value heads", c->heads, c->head_dim, c->kv_heads);
  size_t windows = 0, sparse = 0;
  for (size_t i = 0; i < c->layers; i++)
    windows += c->attend[i] == NB_ATTEND_WINDOW, sparse += c->attend[i] == NB_ATTEND_SPARSE;
  if (windows == c->layers) printf(", window %zu", c->sliding_window);
  else if (windows) printf(", window %zu in %zu layers", c->sliding_window, windows);
  if (sparse) printf(", block-sparse in %zu layers", sparse);
  if (c->experts) printf("\nexperts       %zu, %zu for each token", c->experts, c->experts_per_token);
  static const char *const rope[] = {"rope", "longrope", "linear rope", "llama3 rope", "yarn rope", "dynamic rope"};
  printf("\npositions     %zu, %s theta %g", c->max_position, rope[c->rope_kind], c->rope_theta);
  if (c->rotary_dim != c->head_dim) printf(", %zu of %zu dimensions rotate", c->rotary_dim, c->head_dim);
  if (c->rope_kind == NB_ROPE_LONGROPE) printf(", long factors past %zu", c->original_max_position);
  printf("\nvocabulary    %zu%s\n\n", c->vocab, c->tie_embeddings ? ", head tied to the embedding" : "");
}

static void print_text(const nb_opened *m, const listing *l, bool tensors) {
  cli_table t;
  print_config(&m->model.config);
  if (tensors) {
    cli_table_begin(&t, "lrrlrr");
    const char *head[] = {"tensor", "rows", "inputs", "type", "bytes", "bits/weight"};
    for (size_t i = 0; i < 6; i++) cli_table_cell(&t, "%s", head[i]);
    cli_table_rule(&t);
    for (size_t i = 0; i < l->n; i++) {
      const entry *e = &l->items[i];
      cli_table_cell(&t, "%s", e->name);
      cli_table_cell(&t, "%zu", e->N);
      cli_table_cell(&t, "%zu", e->K);
      cli_table_cell(&t, "%s", e->type);
      cli_table_cell(&t, "%" PRIu64, e->bytes);
      cli_table_cell(&t, e->N && e->K ? "%.4f" : "-", 8.0 * (double)e->bytes / ((double)e->N * (double)e->K));
    }
    cli_table_end(&t, stdout);
    printf("\n");
  }
  cli_table_begin(&t, "lrrr");
  cli_table_cell(&t, "class"), cli_table_cell(&t, "weights"), cli_table_cell(&t, "bytes"),
      cli_table_cell(&t, "bits/weight");
  cli_table_rule(&t);
  uint64_t weights = 0;
  for (int c = 0; c < NB_PART_CLASSES; c++) {
    const sum *s = &l->classes[c];
    if (!s->weights) continue;
    weights += s->weights;
    cli_table_cell(&t, "%s", nb_part_class_names[c]);
    cli_table_cell(&t, "%" PRIu64, s->weights);
    cli_table_cell(&t, "%" PRIu64, s->bytes);
    cli_table_cell(&t, "%.4f", 8.0 * (double)s->bytes / (double)s->weights);
  }
  cli_table_cell(&t, "headers, tokenizer, padding"), cli_table_cell(&t, " "),
      cli_table_cell(&t, "%" PRIu64, l->other_bytes);
  cli_table_cell(&t, " ");
  cli_table_rule(&t);
  cli_table_cell(&t, "file"), cli_table_cell(&t, "%" PRIu64, weights), cli_table_cell(&t, "%" PRIu64, l->file_bytes);
  cli_table_cell(&t, "%.4f", 8.0 * (double)l->file_bytes / (double)weights);
  cli_table_end(&t, stdout);
}

static cJSON *as_json(const char *path, const nb_opened *m, const listing *l) {
  const nb_config *c = &m->model.config;
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "file", path);
  cJSON_AddStringToObject(j, "form", m->coded ? "nbl" : "checkpoint");
  cJSON_AddStringToObject(j, "architecture", c->architecture);
  const struct {
    const char *name;
    size_t value;
  } number[] = {{"layers", c->layers},
                {"hidden", c->hidden},
                {"ffn", c->ffn},
                {"heads", c->heads},
                {"kv_heads", c->kv_heads},
                {"head_dim", c->head_dim},
                {"rotary_dim", c->rotary_dim},
                {"vocab", c->vocab},
                {"max_position", c->max_position},
                {"sliding_window", c->sliding_window}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    cJSON_AddNumberToObject(j, number[i].name, (double)number[i].value);
  cJSON_AddNumberToObject(j, "file_bytes", (double)l->file_bytes);
  cJSON_AddNumberToObject(j, "tensor_bytes", (double)l->tensor_bytes);
  cJSON_AddNumberToObject(j, "other_bytes", (double)l->other_bytes);
  cJSON *classes = cJSON_AddArrayToObject(j, "classes"), *tensors;
  for (int i = 0; i < NB_PART_CLASSES; i++) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "class", nb_part_class_names[i]);
    cJSON_AddNumberToObject(o, "weights", (double)l->classes[i].weights);
    cJSON_AddNumberToObject(o, "bytes", (double)l->classes[i].bytes);
    cJSON_AddItemToArray(classes, o);
  }
  tensors = cJSON_AddArrayToObject(j, "tensors");
  for (size_t i = 0; i < l->n; i++) {
    const entry *e = &l->items[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "name", e->name);
    cJSON_AddStringToObject(o, "type", e->type);
    cJSON_AddNumberToObject(o, "rows", (double)e->N);
    cJSON_AddNumberToObject(o, "inputs", (double)e->K);
    cJSON_AddNumberToObject(o, "bytes", (double)e->bytes);
    cJSON_AddItemToArray(tensors, o);
  }
  if (nb_opened_nbl(m)) cJSON_AddItemToObject(j, "metadata", cJSON_Duplicate(nb_nbl_meta(nb_opened_nbl(m)), 1));
  return j;
}

/* The page with the drawings. The calibration text's sketch, some 40 kB of hashes, draws nothing. */
static nb_status write_page(const char *out, const char *path, const nb_opened *m, const listing *l, nb_err *err) {
  if (!nb_opened_nbl(m)) return nb_fail(err, NB_ERR_ARG, "%s: only .nbl files know what --html draws", path);
  cJSON *j = as_json(path, m, l), *meta = cJSON_GetObjectItem(j, "metadata");
  cJSON *calibration = cJSON_GetObjectItem(cJSON_GetObjectItem(meta, "provenance"), "calibration");
  cJSON_DeleteItemFromObject(calibration, "sketch");
  nb_status st = cli_save_page(out, "inspect", j, err);
  cJSON_Delete(j);
  return st;
}

int cmd_inspect(int argc, char **argv) {
  bool tensors = false;
  const char *html = NULL;
  const cli_opt opts[] = {CLI_FLAG("tensors", 'a', &tensors, "list every tensor"),
                          CLI_PATH("html", 0, "FILE", NB_FILE_PAGE, &html,
                                   "write a page that draws a .nbl file's bits, losses and sensitivities"),
                          CLI_END};
  const cli_command cmd = {
      .name = "inspect",
      .args = "MODEL",
      .opts = opts,
      .common = CLI_JSON,
      .about = "Shows a model's architecture and where its bytes are. The bytes of all lines add up to\n"
               "the file's size.",
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_opened m = {0};
  listing l = {0};
  nb_status st = cli_open(args.items[0], NB_OPEN_NO_TOKENIZER, &common, &m, &err);
  if (st == NB_OK) st = nb_opened_nbl(&m) ? list_nbl(nb_opened_nbl(&m), &l, &err) : list_checkpoint(&m, &l, &err);
  if (st == NB_OK && html) st = write_page(html, args.items[0], &m, &l, &err);
  if (st == NB_OK && common.json) cli_print_json(as_json(args.items[0], &m, &l));
  else if (st == NB_OK) print_text(&m, &l, tensors);
  nb_free(l.items);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
