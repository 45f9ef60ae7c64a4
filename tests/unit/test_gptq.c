/* SPDX-License-Identifier: MIT */
#include "random.h"
#include "test.h"

#include "base/cpu.h"
#include "base/f16.h"
#include "quant/gptq.h"
#include "quant/fit_table.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/mem.h"

#include <math.h>

static nb_err err;

/* ---- material ---- */

typedef struct layer {
  size_t N, K, T;
  float *w, *x; /* (N, K), (T, K) */
} layer;

/* Correlated inputs: a few factors and outlier channels; `rank` limits how many directions they span. */
static layer make_layer(size_t N, size_t K, size_t T, size_t rank, unsigned seed) {
  layer l = {N, K, T, nb_alloc(N * K, 4), nb_alloc(T * K, 4)};
  draw_from(seed * 77777u + 1);
  float *mix = nb_alloc(rank * K, 4), *z = nb_alloc(rank, 4);
  for (size_t i = 0; i < rank * K; i++) mix[i] = gauss() * (i % K % 37 == 5 ? 10 : 1);
  for (size_t t = 0; t < T; t++) {
    for (size_t r = 0; r < rank; r++) z[r] = gauss() / (1 + (float)r * 0.1f);
    for (size_t k = 0; k < K; k++)
      for (size_t r = 0; r < rank; r++) l.x[t * K + k] += z[r] * mix[r * K + k];
  }
  for (size_t i = 0; i < N * K; i++) l.w[i] = gauss() * 0.05f;
  nb_free(mix), nb_free(z);
  return l;
}

static void free_layer(layer *l) { nb_free(l->w), nb_free(l->x); }

static const nb_kernels *kernels(void) {
  static nb_kernels k;
  k = nb_kernels_select(nb_cpu_detect());
  return &k;
}

/* (K, K) x^T x */
static float *gram(const layer *l, int threads) {
  float *out = nb_alloc(l->K * l->K, 4);
  nb_rounded x;
  if (nb_rounded_create(50, l->K, &x, &err) != NB_OK) abort();
  for (size_t t = 0; t < l->T; t += 50) {
    nb_rounded_take(&x, kernels(), l->x + t * l->K, nb_min(50, l->T - t), l->K, threads);
    nb_hess_add(kernels(), out, &x, threads);
  }
  nb_rounded_free(&x);
  return out;
}

typedef struct solved {
  void *data;
  size_t n_bytes;
  nb_qmat m;
  nb_gptq_report report;
} solved;

static nb_status solve(const layer *l, const char *fmt, nb_gptq_opts o, double damp, int threads, bool fit, solved *s) {
  o.threads = threads, o.what = "test";
  nb_qfmt f;
  nb_grid g;
  nb_hess h;
  nb_qmat_layout lay;
  NB_TRY(nb_qfmt_parse(fmt, &f, &err));
  nb_grid_make(f, NULL, &g);
  NB_TRY(nb_hess_prepare(kernels(), gram(l, threads), l->K, &(nb_hess_opts){damp, threads, "test"}, &h, &err));
  NB_TRY(nb_qmat_plan(l->N, l->K, f, &s->m, &lay, &err));
  s->n_bytes = lay.total;
  s->data = nb_alloc(lay.total, 1);
  float *w = nb_alloc(l->N * l->K, 4);
  memcpy(w, l->w, l->N * l->K * 4);
  nb_qout out;
  nb_status st = fit ? nb_fit_table(&g, w, l->N, l->K, h.diag, threads, &err) : NB_OK;
  memset(&s->report, 0, sizeof s->report);
  if (st == NB_OK) st = nb_qout_init(&g, l->N, l->K, s->data, s->n_bytes, &out, &err);
  size_t half = l->N / 128 * 64; /* in two calls */
  if (st == NB_OK && half) st = nb_gptq_solve(&h, &(nb_gptq_rows){.w = w, .N = half}, &g, &o, &out, &s->report, &err);
  if (st == NB_OK)
    st = nb_gptq_solve(&h, &(nb_gptq_rows){w + half * l->K, half, l->N - half, NULL}, &g, &o, &out, &s->report, &err);
  nb_free(w);
  nb_hess_free(&h);
  return st != NB_OK ? st : nb_qmat_view(l->N, l->K, f, s->data, s->n_bytes, &s->m, &err);
}

/* The loss of a result on the inputs themselves, in double. */
static double loss_of(const layer *l, const nb_qmat *m) {
  float *q = nb_alloc(l->K, 4);
  double sum = 0;
  for (size_t n = 0; n < l->N; n++) {
    nb_qmat_dequant_row(m, n, q);
    for (size_t t = 0; t < l->T; t++) {
      double y = 0;
      for (size_t k = 0; k < l->K; k++) y += ((double)l->w[n * l->K + k] - q[k]) * l->x[t * l->K + k];
      sum += y * y;
    }
  }
  nb_free(q);
  return sum;
}

/* ---- tests ---- */

/* The published recursion (optimal brain quantization in a fixed order), with the inverse itself eliminated column by
 * column in double precision: no Cholesky factor, no blocks. Starts from the scales that the solver chose. */
static size_t textbook_disagreements(const layer *l, const nb_qmat *m, const nb_grid *g, double damp, double *loss) {
  size_t K = l->K, wrong = 0;
  double *H = calloc(K * K, 8), *inv = calloc(K * K, 8), mean = 0;
  for (size_t t = 0; t < l->T; t++)
    for (size_t i = 0; i < K; i++)
      for (size_t k = 0; k < K; k++) H[i * K + k] += (double)l->x[t * K + i] * l->x[t * K + k];
  for (size_t k = 0; k < K; k++) mean += H[k * K + k] / (double)K;
  size_t *order = malloc(K * sizeof *order);
  for (size_t k = 0; k < K; k++) order[k] = k;
  for (size_t i = 0; i < K; i++)
    for (size_t k = i + 1; k < K; k++)
      if (H[order[k] * K + order[k]] > H[order[i] * K + order[i]]) {
        size_t t = order[i];
        order[i] = order[k], order[k] = t;
      }
  for (size_t k = 0; k < K; k++) H[k * K + k] += damp * mean;
  for (size_t k = 0; k < K; k++) inv[k * K + k] = 1;
  for (size_t c = 0; c < K; c++) { /* Gauss-Jordan */
    double p = H[c * K + c];
    for (size_t k = 0; k < K; k++) H[c * K + k] /= p, inv[c * K + k] /= p;
    for (size_t r = 0; r < K; r++) {
      double f = r == c ? 0 : H[r * K + c];
      for (size_t k = 0; f != 0 && k < K; k++) H[r * K + k] -= f * H[c * K + k], inv[r * K + k] -= f * inv[c * K + k];
    }
  }
  *loss = 0;
  double *w = malloc(l->N * K * sizeof *w);
  for (size_t i = 0; i < l->N * K; i++) w[i] = l->w[i];
  float *q = malloc(K * sizeof *q);
  uint8_t *code = malloc(m->n_tiles * 16 * m->n_blocks * 32);
  for (size_t t = 0; t < m->n_tiles; t++)
    for (size_t b = 0; b < m->n_blocks; b++)
      nb_qmat_unpack_block(m->codes + (t * m->n_blocks + b) * m->fmt.bits * 64, m->fmt.bits,
                           code + t * 16 * m->n_blocks * 32 + b * 32, m->n_blocks * 32);
  for (size_t i = 0; i < K; i++) {
    size_t c = order[i];
    for (size_t n = 0; n < l->N; n++) {
      float step = nb_bf16_f32(m->row_scale[n]) * m->scale[(n / 16 * m->n_groups + c / m->fmt.group) * 16 + n % 16];
      unsigned mine = nb_grid_nearest(g, (float)(w[n * K + c] / step)), theirs = code[n * m->n_blocks * 32 + c];
      wrong += mine != theirs;
      double e = (w[n * K + c] - step * g->value[theirs]) / inv[c * K + c];
      for (size_t k = 0; k < K; k++) w[n * K + k] -= e * inv[c * K + k];
    }
    double p = inv[c * K + c];
    for (size_t r = 0; r < K; r++) {
      double f = inv[r * K + c] / p;
      for (size_t k = 0; r != c && k < K; k++) inv[r * K + k] -= f * inv[c * K + k];
    }
    for (size_t k = 0; k < K; k++) inv[c * K + k] = inv[k * K + c] = 0;
  }
  free(H), free(inv), free(order), free(w), free(q), free(code);
  return wrong;
}

TEST(gptq_is_the_published_recursion) {
  static const char *const fmt[] = {"u4g64", "t4g32", "t3g128", "u8g64"};
  for (int f = 0; f < 4; f++) {
    layer l = make_layer(40, 160, 400, 200, 3);
    solved s;
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.gptq = true}, 0.01, 2, false, &s));
    nb_grid g;
    double loss;
    nb_grid_make(s.m.fmt, NULL, &g);
    CHECK(s.report.fell_back == 0);
    size_t wrong = textbook_disagreements(&l, &s.m, &g, 0.01, &loss);
    CHECK_MSG(wrong <= l.N * l.K / 500, "%s: %zu of %zu codes differ", fmt[f], wrong, l.N * l.K); /* float near ties */
    nb_free(s.data);
    free_layer(&l);
  }
}

/* Trellis codes, a last tile of 8 rows: the matrix that is stored loses what the solver says. */
TEST(paths_are_stored_as_solved) {
  static const char *const fmt[] = {"t3g128", "c3g128", "t4g64", "c4g64", "t5g64", "c5g64"};
  for (size_t f = 0; f < sizeof fmt / sizeof *fmt; f++) {
    layer l = make_layer(200, 160, 800, 400, 3);
    solved s;
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.gptq = true, .sweeps = 2}, 1e-6, 2, true, &s));
    double stored = loss_of(&l, &s.m);
    CHECK_MSG(fabs(stored / s.report.solved - 1) < 1e-2, "%s: %g, said %g", fmt[f], stored, s.report.solved);
    CHECK(s.report.solved < s.report.plain && s.report.fell_back == 0);
    nb_free(s.data);
    free_layer(&l);
  }
}

/* ---- against NumPy and SciPy (tests/golden/make_gptq_goldens.py) ---- */

typedef struct golden {
  size_t bits, group, N, K, T;
  double damp, *x, *w, *step, *order, *code, *ties, *loss;
} golden;

static double *numbers(const cJSON *j, const char *key, size_t n) {
  const cJSON *list = nb_json_get(j, key);
  double *out = malloc(n * sizeof *out);
  if (cJSON_GetArraySize(list) != (int)n) printf("  gptq.json: %s\n", key), exit(1);
  const cJSON *i = list->child;
  for (size_t k = 0; k < n; k++, i = i->next) out[k] = i->valuedouble;
  return out;
}

static golden read_golden(const cJSON *j) {
  golden g = {0};
  const struct {
    const char *key;
    size_t *to;
  } size[] = {{"bits", &g.bits}, {"group", &g.group}, {"rows", &g.N}, {"inputs", &g.K}, {"tokens", &g.T}};
  for (int i = 0; i < 5; i++) *size[i].to = (size_t)nb_json_get(j, size[i].key)->valuedouble;
  g.damp = nb_json_get(j, "damp")->valuedouble;
  g.x = numbers(j, "x", g.T * g.K), g.w = numbers(j, "w", g.N * g.K), g.step = numbers(j, "step", g.N);
  g.order = numbers(j, "order", g.K), g.code = numbers(j, "codes", g.N * g.K);
  g.ties = numbers(j, "ties", g.N), g.loss = numbers(j, "loss", g.N);
  return g;
}

static void free_golden(golden *g) {
  free(g->x), free(g->w), free(g->step), free(g->order), free(g->code), free(g->ties), free(g->loss);
}

/* (w - q) H (w - q)^T of a row, H damped. */
static double row_loss(const golden *g, size_t n, const float *q) {
  double sum = 0, trace = 0, square = 0;
  for (size_t t = 0; t < g->T; t++) {
    double y = 0;
    for (size_t k = 0; k < g->K; k++) {
      double x = g->x[t * g->K + k];
      y += (g->w[n * g->K + k] - q[k]) * x, trace += x * x;
    }
    sum += y * y;
  }
  for (size_t k = 0; k < g->K; k++) square += pow(g->w[n * g->K + k] - q[k], 2);
  return sum + square * g->damp * trace / (double)g->K;
}

static void check_golden(const golden *g) {
  char fmt[16];
  layer l = {g->N, g->K, g->T, nb_alloc(g->N * g->K, 4), nb_alloc(g->T * g->K, 4)};
  for (size_t i = 0; i < g->N * g->K; i++) l.w[i] = (float)g->w[i];
  for (size_t i = 0; i < g->T * g->K; i++) l.x[i] = (float)g->x[i];
  nb_hess h;
  CHECK_OK(nb_hess_prepare(kernels(), gram(&l, 1), l.K, &(nb_hess_opts){g->damp, 1, "test"}, &h, &err));
  for (size_t i = 0; i < l.K; i++) CHECK(h.order[i] == (uint32_t)g->order[i]);
  nb_hess_free(&h);
  snprintf(fmt, sizeof fmt, "u%zug%zu", g->bits, g->group);
  solved s;
  CHECK_OK(solve(&l, fmt, (nb_gptq_opts){.gptq = true}, g->damp, 1, false, &s));
  CHECK(s.report.fell_back == 0);
  size_t whole = 0;
  double scale = pow(2, (double)g->bits - 1);
  float *q = nb_alloc(l.K, 4);
  for (size_t n = 0; n < l.N; n++) {
    nb_qmat_dequant_row(&s.m, n, q);
    size_t same = 0;
    while (same < l.K) {
      size_t k = (size_t)g->order[same];
      double c = q[k] / g->step[n] + scale;
      CHECK_MSG(fabs(c - rint(c)) < 1e-3, "row %zu: another step than %g was chosen", n, g->step[n]);
      if (rint(c) != g->code[n * l.K + k]) break;
      same++;
    }
    CHECK_MSG((double)same >= g->ties[n], "row %zu: decision %zu differs and was no tie", n, same);
    whole += same == l.K;
    double loss = row_loss(g, n, q);
    CHECK_MSG(same < l.K || fabs(loss / g->loss[n] - 1) < 1e-6, "row %zu: loss %g, not %g", n, loss, g->loss[n]);
    CHECK_MSG(loss < 1.25 * g->loss[n], "row %zu: loss %g, not %g", n, loss, g->loss[n]);
  }
  CHECK_MSG(5 * whole >= 2 * l.N, "%zu of %zu rows", whole, l.N);
  nb_free(q), nb_free(s.data);
  free_layer(&l);
}

TEST(the_codes_of_a_reference_in_double_precision) {
  char *text;
  size_t n, cases = 0;
  cJSON *all;
  CHECK_OK(nb_mapfile_read("tests/golden/gptq.json", 1 << 20, &text, &n, &err));
  CHECK_OK(nb_json_parse(text, n, "gptq.json", &all, &err));
  for (const cJSON *j = all->child; j; j = j->next, cases++) {
    golden g = read_golden(j);
    check_golden(&g);
    free_golden(&g);
  }
  CHECK(cases == 2);
  cJSON_Delete(all);
  free(text);
}

TEST(each_method_loses_less) {
  for (int f = 0; f < 3; f++) {
    static const char *const fmt[] = {"u4g32", "t4g128", "t3g64"};
    layer l = make_layer(70, 192, 600, 300, 9);
    solved plain, gptq, swept, both, more;
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){0}, 0.01, 2, false, &plain));
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.sweeps = 1}, 0.01, 2, false, &swept));
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.gptq = true}, 0.01, 2, false, &gptq));
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.gptq = true, .sweeps = 1}, 0.01, 2, false, &both));
    CHECK_OK(solve(&l, fmt[f], (nb_gptq_opts){.gptq = true, .sweeps = 3}, 0.01, 2, false, &more));
    double a = loss_of(&l, &plain.m), b = loss_of(&l, &gptq.m), c = loss_of(&l, &both.m), d = loss_of(&l, &more.m);
    CHECK_MSG(b < 0.7 * a, "%s: gptq %g, plain %g", fmt[f], b, a);
    CHECK_MSG(c < b, "%s: sweep %g, gptq %g", fmt[f], c, b);
    CHECK_MSG(d < 1.001 * c, "%s: three sweeps %g, one %g", fmt[f], d, c);
    CHECK_MSG(loss_of(&l, &swept.m) < a, "%s: a sweep alone", fmt[f]);
    CHECK(more.report.solved <= both.report.solved * 1.0001 && both.report.solved <= gptq.report.solved * 1.0001);
    nb_free(plain.data), nb_free(swept.data), nb_free(gptq.data), nb_free(both.data), nb_free(more.data);
    free_layer(&l);
  }
}

TEST(the_same_bytes_for_any_thread_count) {
  layer l = make_layer(150, 200, 300, 60, 5);
  solved a, b;
  nb_gptq_opts o = {.gptq = true, .sweeps = 2};
  CHECK_OK(solve(&l, "t4g64", o, 0.01, 1, true, &a));
  CHECK_OK(solve(&l, "t4g64", o, 0.01, 3, true, &b));
  CHECK(a.n_bytes == b.n_bytes && memcmp(a.data, b.data, a.n_bytes) == 0);
  nb_free(a.data), nb_free(b.data);
  free_layer(&l);
}

/* Errors that have nowhere to go: GPTQ hands them to columns that the end of the range stops. */
TEST(rows_that_would_be_worse_keep_plain_rounding) {
  size_t fell = 0, rows = 0;
  for (unsigned seed = 1; seed <= 8; seed++) {
    layer l = make_layer(64, 64, 300, 4, seed);
    solved plain, gptq;
    CHECK_OK(solve(&l, "u3g64", (nb_gptq_opts){0}, 1, 1, false, &plain));
    CHECK_OK(solve(&l, "u3g64", (nb_gptq_opts){.gptq = true}, 1, 1, false, &gptq));
    fell += gptq.report.fell_back, rows += l.N;
    CHECK(gptq.report.solved <= gptq.report.plain && gptq.report.plain == plain.report.plain);
    /* Such a row is that of plain rounding, bit by bit. */
    size_t same = 0;
    float a[64], b[64];
    for (size_t n = 0; n < l.N; n++) {
      nb_qmat_dequant_row(&plain.m, n, a), nb_qmat_dequant_row(&gptq.m, n, b);
      same += !memcmp(a, b, sizeof a);
    }
    CHECK_MSG(same >= gptq.report.fell_back, "%zu rows are the same, %zu fell back", same, gptq.report.fell_back);
    nb_free(plain.data), nb_free(gptq.data);
    free_layer(&l);
  }
  CHECK_MSG(fell > 0 && fell < rows, "%zu of %zu", fell, rows);
}

TEST(hard_statistics) {
  solved s;
  nb_gptq_opts o = {.gptq = true, .sweeps = 2};
  layer l = make_layer(20, 96, 7, 2, 11);                                         /* rank 2 of 96 */
  for (size_t t = 0; t < l.T; t++) l.x[t * 96 + 3] = 0, l.x[t * 96 + 40] *= 1000; /* a dead input and an outlier */
  CHECK_OK(solve(&l, "u4g32", o, 0.01, 2, false, &s));
  CHECK(isfinite(loss_of(&l, &s.m)));
  nb_free(s.data);
  CHECK_OK(solve(&l, "u4g32", o, 0, 2, false, &s)); /* no damping: it must be raised */
  nb_free(s.data);
  for (size_t i = 0; i < l.T * l.K; i++) l.x[i] = 1; /* a constant */
  CHECK_OK(solve(&l, "t4g32", o, 0.01, 2, false, &s));
  nb_free(s.data);
  for (size_t i = 0; i < l.T * l.K; i++) l.x[i] = 0; /* nothing at all: weights still get rounded */
  CHECK_OK(solve(&l, "t4g32", o, 0.01, 2, false, &s));
  float q[96], worst = 0;
  nb_qmat_dequant_row(&s.m, 5, q);
  for (int k = 0; k < 96; k++) worst = fmaxf(worst, fabsf(q[k] - l.w[5 * 96 + k]));
  CHECK(worst < 0.02f);
  nb_free(s.data);
  for (size_t i = 0; i < l.N * l.K; i++) l.w[i] = i < 96 ? 0 : l.w[i]; /* a row of zeros */
  CHECK_OK(solve(&l, "u4g32", o, 0.01, 2, false, &s));
  nb_qmat_dequant_row(&s.m, 0, q);
  for (int k = 0; k < 96; k++) CHECK(q[k] == 0);
  nb_free(s.data);
  l.x[5] = NAN;
  CHECK(solve(&l, "u4g32", o, 0.01, 2, false, &s) == NB_ERR_NUMERIC);
  l.x[5] = 1, l.w[100] = INFINITY;
  CHECK(solve(&l, "u4g32", o, 0.01, 2, false, &s) == NB_ERR_NUMERIC);
  CHECK_MSG(strstr(err.msg, "row 1, column 4") != NULL, "%s", err.msg);
  nb_free(s.data);
  free_layer(&l);
}

int main(void) {
  RUN(gptq_is_the_published_recursion);
  RUN(paths_are_stored_as_solved);
  RUN(the_codes_of_a_reference_in_double_precision);
  RUN(each_method_loses_less);
  RUN(the_same_bytes_for_any_thread_count);
  RUN(rows_that_would_be_worse_keep_plain_rounding);
  RUN(hard_statistics);
  return test_end();
}
