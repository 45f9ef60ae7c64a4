/* SPDX-License-Identifier: MIT */
/* nibble diff: how far two models' weights are apart, tensor by tensor. */
#include "convert/basis.h"
#include "convert/calib_file.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "quant/importance.h"
#include "base/mem.h"
#include "formats/open.h"
#include "base/parallel.h"
#include "tools/progress_cli.h"
#include "tools/table.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>

/* One matrix, norm or bias of both models. */
typedef struct pair {
  nb_linear a, b; /* a norm or a bias is one row */
  int layer;      /* -1: the embedding, the head or the final norm */
  bool norm;
  char name[32];              /* "up", "expert 3 up" */
  nb_basis_factors basis;     /* of b */
  const float *importance;    /* (K) of the inputs, or NULL: all alike */
  double error, total, worst; /* sums of (a - b)^2 and a^2; the largest |a - b| */
  double w_error, w_total;    /* the sums weighted by importance */
  const char *bad;            /* the model of a weight that is NaN or infinite, and its row */
  size_t bad_row;
} pair;

/* What is measured of a matrix, or of all of a layer's together (the mean). */
typedef struct sums {
  int layer;
  double relative, weighted;
} sums;

typedef struct diff_job {
  pair *pair;
  float *row; /* two rows a thread */
  size_t longest;
  const char *const *name; /* the two models' paths */
} diff_job;

static void name_pair(pair *out, const nb_part *p) {
  if (p->expert >= 0) snprintf(out->name, sizeof out->name, "expert %d %s", p->expert, nb_role_name(p->role));
  else snprintf(out->name, sizeof out->name, "%s", nb_role_name(p->role));
}

static void compare_range(void *ctx, size_t begin, size_t end, int thread) {
  diff_job *j = ctx;
  float *x = j->row + (size_t)thread * 2 * j->longest, *y = x + j->longest;
  for (size_t i = begin; i < end; i++) {
    pair *p = &j->pair[i];
    for (size_t n = 0; n < p->a.N; n++) {
      nb_linear_row(&p->a, n, x);
      nb_linear_row(&p->b, n, y);
      nb_basis_apply(&p->basis, n, p->b.K, y);
      for (size_t k = 0; k < p->a.K; k++) {
        double d = (double)x[k] - y[k];
        if (!isfinite(d) && !p->bad) p->bad = isfinite(x[k]) ? j->name[1] : j->name[0], p->bad_row = n;
        p->error += d * d;
        p->total += (double)x[k] * x[k];
        p->worst = fmax(p->worst, fabs(d));
        if (p->importance) p->w_error += p->importance[k] * d * d, p->w_total += (double)p->importance[k] * x[k] * x[k];
      }
    }
  }
}

static double ratio(double error, double total) { return total > 0 ? error / total : error > 0 ? INFINITY : 0; }
static double relative(const pair *p) { return ratio(p->error, p->total); }
static double weighted(const pair *p) { return p->importance ? ratio(p->w_error, p->w_total) : relative(p); }

static int falling(double x, double y) { return x < y ? 1 : x > y ? -1 : 0; }
static int by_falling_error(const void *a, const void *b) { return falling(weighted(a), weighted(b)); }
static int by_falling_layer(const void *a, const void *b) {
  return falling(((const sums *)a)->weighted, ((const sums *)b)->weighted);
}

/* Some matrices at a time, so that progress is shown and Ctrl-C is heard. */
static nb_status compare_pairs(const diff_job *all, size_t n, const cli_common *common, nb_err *err) {
  const size_t at_once = 16 * (size_t)common->threads;
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "comparing", "tensors");
  nb_status st = NB_OK;
  for (size_t i = 0; i < n && st == NB_OK; i += at_once) {
    diff_job j = *all;
    j.pair += i;
    nb_parallel_for(common->threads, nb_min(at_once, n - i), 1, compare_range, &j);
    st = nb_progress_step(&cb, nb_min(i + at_once, n), n, err);
  }
  cli_progress_end(&p);
  return st;
}

/* A vector's K weights as one row. */
static nb_linear vector_row(const float *weights, size_t K) {
  nb_tensor t = {NB_F32, 2, {1, K, 1, 1}, weights, K * sizeof *weights, NULL};
  return nb_linear_dense(&t);
}

static const float *vector_of(const nb_weights *w, const nb_part *p) {
  return p->layer < 0 ? w->vec[p->role] : w->layer[p->layer].vec[p->role];
}

static pair matrix_pair(const nb_opened *a, const nb_part *p, const nb_linear *x, const nb_linear *y,
                        const float *importance) {
  bool weighed = importance && p->role != NB_EMBED;
  pair out = {.a = *x,
              .b = *y,
              .layer = p->layer,
              .importance = weighed ? importance + nb_importance_of(&a->model.config, p) : NULL};
  name_pair(&out, p);
  return out;
}

/* Every tensor of both; NB_ERR_ARG when the models differ in shape. */
static nb_status list_pairs(const nb_opened *a, const nb_opened *b, const float *importance, pair *p, size_t *n,
                            nb_err *err) {
  const nb_weights *x = &a->model.weights, *y = &b->model.weights;
  const nb_parts *parts = &x->parts;
  size_t L = a->model.config.layers, embed = parts->embed;
  bool tied = a->model.config.tie_embeddings && b->model.config.tie_embeddings;
  *n = 0;
  if (L != b->model.config.layers)
    return nb_fail(err, NB_ERR_ARG, "the models have %zu and %zu layers", L, b->model.config.layers);
  if (embed != y->parts.embed || (parts->roles | 1u << NB_HEAD) != (y->parts.roles | 1u << NB_HEAD))
    return nb_fail(err, NB_ERR_ARG, "a %s and a %s consist of other tensors: they cannot be compared",
                   a->model.config.architecture, b->model.config.architecture);
  p[(*n)++] = matrix_pair(a, nb_parts_matrix(parts, embed), &x->w[embed], &y->w[embed], importance);
  for (size_t i = 0; i < embed; i++)
    p[(*n)++] = matrix_pair(a, nb_parts_matrix(parts, i), &x->w[i], &y->w[i], importance);
  const nb_part head = {.role = NB_HEAD, .layer = -1, .expert = -1, .matrix = true};
  if (!tied) p[(*n)++] = matrix_pair(a, &head, nb_weights_head(x), nb_weights_head(y), importance);
  for (size_t i = 0; i < *n; i++)
    if (p[i].a.N != p[i].b.N || p[i].a.K != p[i].b.K)
      return nb_fail(err, NB_ERR_ARG, "%s is %zu x %zu in one model and %zu x %zu in the other", p[i].name, p[i].a.N,
                     p[i].a.K, p[i].b.N, p[i].b.K);
  for (size_t i = 0; i < parts->n; i++) {
    const nb_part *v = &parts->part[i];
    if (v->matrix) continue;
    pair *q = &p[(*n)++];
    *q = (pair){.a = vector_row(vector_of(x, v), v->K), .b = vector_row(vector_of(y, v), v->K), .layer = v->layer};
    q->norm = true;
    name_pair(q, v);
  }
  return NB_OK;
}

static void format_of(const nb_linear *l, char out[16]) {
  if (l->coded) nb_qfmt_name(l->qmat.fmt, out);
  else snprintf(out, 16, "%s", l->dense.blocks ? l->dense.blocks->name : nb_dtype_name(l->dense.dtype));
}

/* The mean over each layer's matrices. */
static void sum_layers(const pair *p, size_t n, size_t per_layer, sums *layer) {
  for (size_t i = 0; i < n; i++) {
    if (p[i].layer < 0 || p[i].norm) continue;
    sums *s = &layer[p[i].layer];
    s->layer = p[i].layer;
    s->relative += relative(&p[i]) / (double)per_layer, s->weighted += weighted(&p[i]) / (double)per_layer;
  }
}

static int print_json(const pair *p, size_t n, const sums *layer, size_t layers, bool importance) {
  cJSON *all = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(all, "layers");
  for (size_t i = 0; i < layers; i++) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "layer", layer[i].layer);
    cJSON_AddNumberToObject(o, "relative_error", layer[i].relative);
    if (importance) cJSON_AddNumberToObject(o, "weighted_error", layer[i].weighted);
    cJSON_AddItemToArray(list, o);
  }
  cJSON *matrices = cJSON_AddArrayToObject(all, "matrices"), *norms = cJSON_AddArrayToObject(all, "norms");
  for (size_t i = 0; i < n; i++) {
    cJSON *o = cJSON_CreateObject();
    char fa[16], fb[16];
    format_of(&p[i].a, fa), format_of(&p[i].b, fb);
    if (p[i].layer >= 0) cJSON_AddNumberToObject(o, "layer", p[i].layer);
    cJSON_AddStringToObject(o, "name", p[i].name);
    if (!p[i].norm) cJSON_AddStringToObject(o, "a", fa), cJSON_AddStringToObject(o, "b", fb);
    cJSON_AddNumberToObject(o, "relative_error", relative(&p[i]));
    if (p[i].importance) cJSON_AddNumberToObject(o, "weighted_error", weighted(&p[i]));
    cJSON_AddNumberToObject(o, "largest", p[i].worst);
    cJSON_AddItemToArray(p[i].norm ? norms : matrices, o);
  }
  return cli_print_json(all);
}

static void print_tensors(const pair *p, size_t n, size_t most, bool importance) {
  cli_table t;
  cli_table_begin(&t, importance ? "llllrrr" : "llllrr");
  static const char *const title[] = {"layer", "tensor", "A", "B", "relative error", "weighted", "largest"};
  for (int i = 0; i < 7; i++)
    if (i != 5 || importance) cli_table_cell(&t, "%s", title[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i < nb_min(n, most); i++) {
    char fa[16], fb[16];
    format_of(&p[i].a, fa), format_of(&p[i].b, fb);
    if (p[i].layer >= 0) cli_table_cell(&t, "%d", p[i].layer);
    else cli_table_cell(&t, "-");
    cli_table_cell(&t, "%s", p[i].name);
    cli_table_cell(&t, "%s", fa);
    cli_table_cell(&t, "%s", fb);
    cli_table_cell(&t, "%.3g", relative(&p[i]));
    if (importance) cli_table_cell(&t, p[i].importance ? "%.3g" : "-", weighted(&p[i]));
    cli_table_cell(&t, "%.3g", p[i].worst);
  }
  cli_table_end(&t, stdout);
  if (n > most) printf("and %zu more\n", n - most);
}

static void print_layers(const sums *layer, size_t n, size_t most, bool importance) {
  cli_table t;
  cli_table_begin(&t, importance ? "lrr" : "lr");
  cli_table_cell(&t, "layer");
  cli_table_cell(&t, "mean relative error");
  if (importance) cli_table_cell(&t, "weighted");
  cli_table_rule(&t);
  for (size_t i = 0; i < nb_min(n, most); i++) {
    cli_table_cell(&t, "%d", layer[i].layer);
    cli_table_cell(&t, "%.3g", layer[i].relative);
    if (importance) cli_table_cell(&t, "%.3g", layer[i].weighted);
  }
  cli_table_end(&t, stdout);
  if (n > most) printf("and %zu more\n", n - most);
}

/* The worst first. */
static void print_text(pair *p, size_t n, sums *layer, size_t layers, size_t most, bool importance) {
  double error = 0, total = 0, mean = 0;
  for (size_t i = 0; i < n; i++) error += p[i].error, total += p[i].total;
  for (size_t i = 0; i < layers; i++) mean += layer[i].weighted / (double)layers;
  qsort(p, n, sizeof *p, by_falling_error);
  qsort(layer, layers, sizeof *layer, by_falling_layer);
  print_tensors(p, n, most, importance);
  printf("\n");
  print_layers(layer, layers, most, importance);
  printf("\n");
  if (importance) printf("mean weighted error of the layers: %.3g\n", mean);
  printf("all %zu tensors: relative error %.3g\n", n, ratio(error, total));
}

static nb_status not_finite(const pair *p, nb_err *err) {
  char layer[32] = "";
  if (p->layer >= 0) snprintf(layer, sizeof layer, "layer %d ", p->layer);
  return nb_fail(err, NB_ERR_NUMERIC, "%s: %s%s: a weight in row %zu is NaN or infinite", p->bad, layer, p->name,
                 p->bad_row);
}

typedef struct options {
  const char *const *path; /* of A and of B */
  const char *stats;
  int worst;
} options;

static nb_status diff(const nb_opened *a, const nb_opened *b, const cli_common *common, const options *o, nb_err *err) {
  diff_job j = {.name = o->path};
  nb_calfile stats = {.meta = NULL};
  nb_basis inner = {NULL, NULL};
  sums *layer = NULL;
  nb_status st;
  size_t n = 0, layers = a->model.config.layers;
  if (o->stats) NB_GOTO(nb_calib_file_open(o->stats, &a->model, &stats, err));
  NB_GOTO(nb_new(&j.pair, a->model.weights.parts.n + 1, sizeof(pair), "the comparison", err));
  NB_GOTO(nb_new(&layer, layers, sizeof *layer, "the comparison", err));
  NB_GOTO(list_pairs(a, b, stats.importance, j.pair, &n, err));
  NB_GOTO(nb_basis_between(&a->model.config, &a->model.weights, &b->model.weights, common->threads, &inner, err));
  const nb_parts *parts = &a->model.weights.parts;
  for (size_t i = 0; i < parts->n_matrices; i++) /* the embedding is the first pair */
    if (i != parts->embed) j.pair[i < parts->embed ? 1 + i : i].basis = inner.of[i];
  for (size_t i = 0; i < n; i++) j.longest = nb_max(j.longest, j.pair[i].a.K);
  NB_GOTO(nb_new(&j.row, (size_t)common->threads * 2 * j.longest, sizeof(float), "the comparison", err));
  NB_GOTO(compare_pairs(&j, n, common, err));
  for (size_t i = 0; i < n; i++)
    if (j.pair[i].bad) NB_GOTO(not_finite(&j.pair[i], err));
  sum_layers(j.pair, n, a->model.weights.parts.per_layer, layer);
  if (!common->json) print_text(j.pair, n, layer, layers, (size_t)o->worst, o->stats);
  else if (print_json(j.pair, n, layer, layers, o->stats)) st = NB_ERR_MEMORY;
fail:
  nb_calfile_free(&stats);
  nb_basis_free(&inner);
  nb_free(j.pair);
  nb_free(j.row);
  nb_free(layer);
  return st;
}

int cmd_diff(int argc, char **argv) {
  options o = {.worst = 20};
  const cli_opt opts[] = {
      CLI_INT("worst", 'n', "N", 1, 1000000, &o.worst,
              "tensors and layers to list, the worst first (20); --json lists all, in order"),
      CLI_PATH("stats", 0, "FILE", NB_PATH_READ, &o.stats,
               "weigh errors by how much each input matters (`nibble calibrate` measured it)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "diff",
      .args = "A B",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS,
      .about = "Compares the weights of two models, each a .nbl file or a checkpoint's directory: the squared\n"
               "error of B relative to A, tensor by tensor and layer by layer (the mean of its matrices).\n"
               "Scales that B folded into its norms and matrices are taken out of the matrices first.",
      .min_args = 2,
      .max_args = 2};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  o.path = args.items;
  nb_err err;
  nb_opened a = {0}, b = {0};
  nb_status st = cli_open(args.items[0], NB_OPEN_NO_TOKENIZER, &common, &a, &err);
  if (st == NB_OK) st = cli_open(args.items[1], NB_OPEN_NO_TOKENIZER, &common, &b, &err);
  if (st == NB_OK) st = diff(&a, &b, &common, &o, &err);
  nb_opened_free(&a);
  nb_opened_free(&b);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
