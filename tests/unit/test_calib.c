/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "quant/bits.h"
#include "quant/sens.h"
#include "quant/trial.h"
#include "quant/calib.h"
#include "base/cpu.h"
#include "quant/proxy8.h"
#include "base/mem.h"
#include "formats/open.h"

static nb_err err;

enum { SEQS = 12, LEN = 32 };

/* ---- a small checkpoint, and what became of it ---- */

typedef struct fixture {
  nb_config c;
  nb_opened checkpoint;
  nb_weights w;
  nb_qfmt f[64];       /* by matrix */
  size_t per_layer, n; /* matrices of a layer, and in all */
  int32_t tokens[SEQS * LEN];
} fixture;

static nb_status open_fixture(fixture *x, const char *fmt) {
  memset(x, 0, sizeof *x);
  NB_TRY(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &x->checkpoint, &err));
  x->c = x->checkpoint.model.config, x->w = x->checkpoint.model.weights;
  x->per_layer = x->w.parts.per_layer, x->n = x->w.parts.n_matrices;
  for (size_t i = 0; i < x->n; i++) NB_TRY(nb_qfmt_parse(fmt, &x->f[i], &err));
  NB_TRY(nb_qfmt_parse("u8g32", &x->f[x->w.parts.embed], &err));
  NB_TRY(nb_qfmt_parse("u6g32", &x->f[x->w.parts.head], &err));
  uint32_t r = (uint32_t)test_seed(1);
  for (size_t i = 0; i < SEQS * LEN; i++)
    x->tokens[i] = (int32_t)((r = r * 1664525u + 1013904223u) >> 8) % (int32_t)x->c.vocab;
  return NB_OK;
}

static void close_fixture(fixture *x) { nb_opened_free(&x->checkpoint); }

/* Keeps every matrix; those of complete layers can be given back. */
typedef struct store {
  fixture *x;
  void *data[64];
  size_t bytes[64], n, stop_after, give;
} store;

/* A matrix of a layer by its role. */
static size_t place(const fixture *x, nb_role role) { return nb_layer_index(&x->c, role, 0); }

static nb_status keep(void *ctx, const nb_quantized *q, nb_err *e) {
  store *s = ctx;
  size_t i = q->matrix;
  nb_free(s->data[i]);
  s->data[i] = nb_alloc(q->n_bytes, 1);
  memcpy(s->data[i], q->data, q->n_bytes);
  s->bytes[i] = q->n_bytes;
  s->n++;
  return s->stop_after && s->n == s->stop_after ? nb_fail(e, NB_ERR_INTERRUPTED, "stop") : NB_OK;
}

static const void *give_back(void *ctx, size_t i, size_t n_bytes) {
  store *s = ctx;
  return i < s->give * s->x->per_layer && s->bytes[i] == n_bytes ? s->data[i] : NULL;
}

static void free_store(store *s) {
  for (size_t i = 0; i < 64; i++) nb_free(s->data[i]), s->data[i] = NULL;
}

static nb_calib_opts options(fixture *x, store *s, int threads) {
  s->x = x;
  return (nb_calib_opts){.tokens = x->tokens,
                         .n_seqs = SEQS,
                         .seq_len = LEN,
                         .damp = 0.01,
                         .sweeps = 2,
                         .fisher_tokens = 3 * LEN,
                         .gptq = true,
                         .fit_tables = true,
                         .calibrate_head = true,
                         .threads = threads,
                         .cpu_features = nb_cpu_detect(),
                         .put = keep,
                         .resume = give_back,
                         .ctx = s};
}

/* The mean squared error of the final states of new text, relative to their energy. */
static double state_error(fixture *x, store *s) {
  nb_weights q = x->w;
  nb_layer layer[8];
  nb_linear own[64];
  for (size_t l = 0; l < x->c.layers; l++) {
    nb_layer_copy(&x->w.parts, &x->w.layer[l], own + l * x->per_layer, &layer[l]);
    for (size_t i = 0; i < x->per_layer; i++) {
      nb_linear *m = &layer[l].w[i];
      size_t at = l * x->per_layer + i;
      if (nb_qmat_view(m->N, m->K, x->f[at], s->data[at], s->bytes[at], &m->qmat, &err) != NB_OK) return NAN;
      m->coded = true;
    }
  }
  q.layer = layer;
  nb_model full = {x->c, x->w}, coded = {x->c, q};
  nb_session_opts so = {.threads = 1, .max_tokens = 64, .cpu_features = nb_cpu_detect()};
  nb_session *a, *b;
  nb_kv *ka, *kb;
  int32_t text[64];
  for (int i = 0; i < 64; i++) text[i] = (i * 37 + 11) % (int32_t)x->c.vocab;
  if (nb_session_create(&x->c, &so, &a, &err) || nb_session_create(&x->c, &so, &b, &err)) return NAN;
  if (nb_kv_create(&x->c, 64, NB_KV_F32, 0, &ka, &err) || nb_kv_create(&x->c, 64, NB_KV_F32, 0, &kb, &err)) return NAN;
  nb_segment sa = {ka, text, 64}, sb = {kb, text, 64};
  if (nb_session_forward(a, &full, &sa, 1, &err) || nb_session_forward(b, &coded, &sb, 1, &err)) return NAN;
  double e = 0, t = 0;
  const float *p = nb_session_hidden(a), *r = nb_session_hidden(b);
  for (size_t i = 0; i < 64 * x->c.hidden; i++) e += pow(p[i] - (double)r[i], 2), t += pow(p[i], 2);
  nb_kv_free(ka), nb_kv_free(kb), nb_session_free(a), nb_session_free(b);
  return e / t;
}

/* ---- tests ---- */

TEST(calibration_beats_rounding_on_new_text) {
  fixture x;
  store plain = {0}, solved = {0}, seq = {0};
  CHECK_OK(open_fixture(&x, "t3g32"));
  nb_calib_opts o = options(&x, &plain, 2);
  CHECK_OK(nb_calib_fast(&x.w, x.f, 1, &o, &err));
  o = options(&x, &solved, 2);
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  o = options(&x, &seq, 2);
  o.sequential = true;
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  size_t all = x.n;
  CHECK(plain.n == all && solved.n == all && seq.n == all);
  double a = state_error(&x, &plain), b = state_error(&x, &solved), c = state_error(&x, &seq);
  CHECK_MSG(b < 0.9 * a, "solved %g, plain %g", b, a);
  CHECK_MSG(c < 0.9 * a, "sequential %g, plain %g", c, a);
  free_store(&plain), free_store(&solved), free_store(&seq);
  close_fixture(&x);
}

static void stopped_and_not(bool fold) {
  fixture x;
  store whole = {0}, cut = {0};
  CHECK_OK(open_fixture(&x, "t4g64"));
  nb_calib_opts o = options(&x, &whole, 1);
  o.fold = fold;
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  o = options(&x, &cut, 3);
  o.fold = fold;
  cut.stop_after = 1 + x.per_layer + 3; /* in the second layer */
  CHECK(nb_calib_run(&x.c, &x.w, x.f, &o, &err) == NB_ERR_INTERRUPTED);
  cut.stop_after = 0, cut.give = 1;
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  for (size_t i = 0; i < x.n; i++)
    CHECK_MSG(whole.bytes[i] == cut.bytes[i] && !memcmp(whole.data[i], cut.data[i], whole.bytes[i]), "item %zu differs",
              i);
  free_store(&whole), free_store(&cut);
  close_fixture(&x);
}

TEST(the_same_bytes_after_a_stop_and_for_any_threads) {
  stopped_and_not(false);
  stopped_and_not(true);
}

/* Of the first layer, which all runs meet alike, gradients change the matrices whose rows go together, but for those of
 * one block of rows. */
TEST(gradients_decide_about_some_matrices) {
  fixture x;
  store alone = {0}, together = {0};
  CHECK_OK(open_fixture(&x, "t4g64"));
  nb_calib_opts o = options(&x, &together, 2);
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  o = options(&x, &alone, 2);
  o.fisher_tokens = 0;
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  for (size_t i = 0; i < x.per_layer; i++) {
    const nb_part *p = nb_parts_matrix(&x.w.parts, i);
    bool same = !memcmp(alone.data[i], together.data[i], alone.bytes[i]);
    bool apart = p->role == NB_GATE || p->role == NB_UP || p->N <= 32;
    CHECK_MSG(same == apart, "%s", nb_role_name(p->role));
  }
  free_store(&alone), free_store(&together);
  close_fixture(&x);
}

TEST(dense_matrices_stay_as_they_are) {
  fixture x;
  store s = {0};
  CHECK_OK(open_fixture(&x, "t4g64"));
  size_t o_place = place(&x, NB_O);
  x.f[o_place].bits = 0;
  x.f[x.w.parts.head].bits = 0;
  for (int fold = 0; fold < 2; fold++) { /* nothing is folded into a layer that has one */
    nb_calib_opts o = options(&x, &s, 2);
    o.fold = fold;
    CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
    const nb_tensor *t = &x.w.layer[0].w[o_place].dense;
    CHECK(s.bytes[o_place] == t->n_bytes && !memcmp(s.data[o_place], t->data, t->n_bytes));
    free_store(&s);
  }
  close_fixture(&x);
}

TEST(hard_texts) {
  fixture x;
  store s = {0};
  CHECK_OK(open_fixture(&x, "u4g32"));
  nb_calib_opts o = options(&x, &s, 2);
  for (size_t i = 0; i < SEQS * LEN; i++) x.tokens[i] = 5; /* constant */
  CHECK_OK(nb_calib_run(&x.c, &x.w, x.f, &o, &err));
  CHECK(state_error(&x, &s) < 0.5);
  o.n_seqs = 0;
  CHECK(nb_calib_run(&x.c, &x.w, x.f, &o, &err) == NB_ERR_ARG);
  free_store(&s);
  close_fixture(&x);
}

/* The squared distance of products by w from the exact ones of the same codes. */
static double product_error(const fixture *x, const nb_linear *w, bool fine, const float *in, size_t rows,
                            int threads) {
  nb_session_opts so = {.threads = threads, .max_tokens = 5, .cpu_features = nb_cpu_detect(), .fine = fine};
  nb_session *s;
  float *y = nb_alloc(rows * w->N, sizeof *y), *row = nb_alloc(w->K, sizeof *row);
  double error = 0;
  if (nb_session_create(&x->c, &so, &s, &err) != NB_OK) return NAN;
  nb_session_linear(s, w, in, rows, w->K, y, w->N);
  for (size_t n = 0; n < w->N; n++) {
    nb_linear_row(w, n, row);
    for (size_t t = 0; t < rows; t++) {
      double exact = 0;
      for (size_t k = 0; k < w->K; k++) exact += (double)row[k] * in[t * w->K + k];
      error += (exact - y[t * w->N + n]) * (exact - y[t * w->N + n]);
    }
  }
  nb_session_free(s);
  nb_free(y), nb_free(row);
  return error;
}

TEST(fine_products_are_much_nearer) {
  enum { ROWS = 11 };
  fixture x;
  nb_coded coded;
  uint32_t r = (uint32_t)test_seed(7);
  CHECK_OK(open_fixture(&x, "t4g64"));
  for (size_t s = 0; s < x.per_layer; s++) {
    CHECK_OK(nb_proxy8_matrix(&x.w.layer[0].w[s], 2, "w", &coded, &err));
    nb_linear eight = coded.w;
    float *in = nb_alloc(ROWS * eight.K, sizeof *in);
    for (size_t i = 0; i < ROWS * eight.K; i++) in[i] = (float)((int32_t)(r = r * 1664525u + 1013904223u) >> 8) * 1e-6f;
    double coarse = product_error(&x, &eight, false, in, ROWS, 1), fine = product_error(&x, &eight, true, in, ROWS, 1);
    CHECK_MSG(fine < coarse / 5000, "matrix %zu: %g, %g", s, coarse, fine); /* 127^2 = 16129 */
    CHECK(fine == product_error(&x, &eight, true, in, ROWS, 3));
    eight.fine = false;
    CHECK(coarse == product_error(&x, &eight, true, in, ROWS, 2));
    nb_free(in), nb_coded_free(&coded);
  }
  close_fixture(&x);
}

/* Calibrated with the fixture as it is now: must be better than plain rounding, on text that neither has seen. */
static void check_still_pays(fixture *x, const char *what, size_t n_seqs, double at_most) {
  store plain = {0}, solved = {0};
  nb_calib_opts o = options(x, &plain, 2);
  o.n_seqs = n_seqs;
  CHECK_OK(nb_calib_fast(&x->w, x->f, 1, &o, &err));
  o.ctx = &solved, solved.x = x;
  CHECK_OK(nb_calib_run(&x->c, &x->w, x->f, &o, &err));
  double a = state_error(x, &plain), b = state_error(x, &solved);
  CHECK_MSG(b < at_most * a, "%s: solved %g, plain %g", what, b, a);
  free_store(&plain), free_store(&solved);
}

static float *norm(const fixture *x, size_t l, nb_role role) { return (float *)(uintptr_t)x->w.layer[l].vec[role]; }

TEST(hard_channels) {
  fixture x;
  CHECK_OK(open_fixture(&x, "t4g32"));
  check_still_pays(&x, "rank 32 of 80", 1, 3); /* works, but 32 tokens are learned by heart */
  for (size_t l = 0; l < x.c.layers; l++) norm(&x, l, NB_ATTN_NORM)[3] = norm(&x, l, NB_FFN_NORM)[11] = 0;
  check_still_pays(&x, "dead channels", SEQS, 0.9);
  for (size_t l = 0; l < x.c.layers; l++) norm(&x, l, NB_ATTN_NORM)[7] *= 1000, norm(&x, l, NB_FFN_NORM)[7] *= 1000;
  check_still_pays(&x, "outlier channels", SEQS, 1);
  close_fixture(&x);
}

TEST(states_that_overflow_name_their_layer) {
  fixture x;
  store s = {0};
  CHECK_OK(open_fixture(&x, "t4g32"));
  size_t n = x.c.hidden * x.c.ffn;
  float *huge = nb_alloc(n, sizeof *huge);
  for (size_t i = 0; i < n; i++) huge[i] = i % 3 ? 9e29f : -9e29f; /* within what rounding takes, but not squared */
  static const nb_role ffn[] = {NB_UP, NB_DOWN};
  for (int i = 0; i < 2; i++) {
    nb_linear *m = nb_layer_matrix(&x.c, &x.w.layer[1], ffn[i], 0);
    nb_tensor t = {NB_F32, 2, {m->N, m->K, 1, 1}, huge, n * sizeof *huge, NULL};
    *m = nb_linear_dense(&t);
  }
  nb_calib_opts o = options(&x, &s, 2);
  CHECK(nb_calib_run(&x.c, &x.w, x.f, &o, &err) == NB_ERR_NUMERIC);
  CHECK_MSG(strstr(err.msg, "layer 1") && strstr(err.msg, "not finite"), "%s", err.msg);
  nb_free(huge);
  free_store(&s);
  close_fixture(&x);
}

TEST(sensitivities_are_positive_and_repeat) {
  fixture x;
  double kl[66], error[66], again[66], e2[66];
  CHECK_OK(open_fixture(&x, "t4g64"));
  nb_sens_opts so = {.walk = {x.tokens, 2, LEN, 1, nb_cpu_detect(), NULL}};
  CHECK_OK(nb_sens_measure(&x.c, &x.w, &so, kl, error, &err));
  so.walk.threads = 3;
  CHECK_OK(nb_sens_measure(&x.c, &x.w, &so, again, e2, &err));
  for (size_t i = 0; i < x.n; i++) {
    CHECK_MSG(kl[i] > 0 && kl[i] < 1 && kl[i] == again[i], "item %zu: %g, %g", i, kl[i], again[i]);
    CHECK(error[i] > 0.01 && error[i] < 0.06);
  }
  double f[NB_BITS_FORMATS];
  CHECK_OK(nb_bits_errors(nb_layer_matrix(&x.c, &x.w.layer[0], NB_UP, 0), true, 2, f, &err));
  CHECK(f[0] > f[4] && f[4] > f[8] && f[8] > f[NB_BITS_FORMATS - 1]);
  close_fixture(&x);
}

/* Fewer bits lose more, the same lose the same, and the first choice stays unless another is better beyond doubt. */
TEST(trials_tell_choices_apart) {
  fixture x;
  enum { CHOICES = 4, FEW = 4 };
  static nb_qfmt f[CHOICES][66];
  static double leaves[66], kl[CHOICES][FEW], again[CHOICES][FEW];
  CHECK_OK(open_fixture(&x, "t4g64"));
  for (size_t i = 0; i < x.n; i++) {
    leaves[i] = i % 2 ? 1 : 0.25;
    f[0][i] = f[2][i] = (nb_qfmt){4, NB_TRELLIS, 64}, f[1][i] = (nb_qfmt){3, NB_TRELLIS, 64};
    f[3][i] = i == x.w.parts.embed ? (nb_qfmt){8, NB_UNIFORM, 64} : f[0][i];
  }
  nb_trial_opts o = {
      .walk = {x.tokens, FEW, LEN / 2, 1, nb_cpu_detect(), NULL}, .formats = f[0], .n = CHOICES, .leaves = leaves};
  for (size_t i = 0; i < CHOICES; i++) memmove(&f[0][0] + i * x.n, f[i], x.n * sizeof f[0][0]);
  CHECK_OK(nb_trial_run(&x.c, &x.w, &o, kl[0], &err));
  o.walk.threads = 3;
  CHECK_OK(nb_trial_run(&x.c, &x.w, &o, again[0], &err));
  CHECK(memcmp(kl, again, sizeof kl) == 0);
  for (size_t s = 0; s < FEW; s++) {
    CHECK_MSG(kl[1][s] > 1.5 * kl[0][s] && kl[0][s] > 0, "%g with 3 bits, %g with 4", kl[1][s], kl[0][s]);
    CHECK(kl[2][s] == kl[0][s] && kl[3][s] < kl[0][s]);
  }
  CHECK(nb_trial_best(kl[0], CHOICES, FEW) == 3 && nb_trial_best(kl[0], 3, FEW) == 0);
  const double doubtful[2][4] = {{1, 1, 1, 1}, {0.5, 0.6, 1.2, 1.1}};
  CHECK(nb_trial_best(doubtful[0], 2, 4) == 0);
  for (size_t i = 0; i < x.n; i++) leaves[i] = 0.25;
  CHECK_OK(nb_trial_run(&x.c, &x.w, &o, again[0], &err));
  for (size_t s = 0; s < FEW; s++) CHECK(again[1][s] < 0.8 * kl[1][s]);
  close_fixture(&x);
}

int main(void) {
  RUN(calibration_beats_rounding_on_new_text);
  RUN(the_same_bytes_after_a_stop_and_for_any_threads);
  RUN(gradients_decide_about_some_matrices);
  RUN(dense_matrices_stay_as_they_are);
  RUN(hard_texts);
  RUN(fine_products_are_much_nearer);
  RUN(hard_channels);
  RUN(states_that_overflow_name_their_layer);
  RUN(sensitivities_are_positive_and_repeat);
  RUN(trials_tell_choices_apart);
  return test_end();
}
