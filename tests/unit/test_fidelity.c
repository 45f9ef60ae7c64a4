/* SPDX-License-Identifier: MIT */
/* Fidelity against the same sums made plainly here, from the logits of each window run alone. */
#include "test.h"

#include "base/cpu.h"
#include "eval/fidelity.h"
#include "formats/open.h"

static nb_err err;

enum { CTX = 13, WINDOWS = 5, HALF = CTX - CTX / 2, SCORED = WINDOWS * HALF };

/* Log-probs of all rows of a window, in doubles. */
static nb_status run_window(nb_session *s, const nb_model *m, nb_kv_type kv_type, const int32_t *window, double *out) {
  size_t V = m->config.vocab;
  nb_kv *kv = NULL;
  float *logits = malloc(CTX * V * sizeof *logits);
  size_t rows[CTX];
  NB_TRY(nb_kv_create(&m->config, CTX, kv_type, false, &kv, &err));
  NB_TRY(nb_session_prefill(s, m, kv, window, CTX, &err));
  for (size_t i = 0; i < CTX; i++) rows[i] = i;
  nb_session_logits(s, m, rows, CTX, logits);
  for (size_t r = 0; r < CTX; r++) {
    double sum = 0, most = -1e300;
    for (size_t v = 0; v < V; v++) most = fmax(most, logits[r * V + v]);
    for (size_t v = 0; v < V; v++) sum += exp(logits[r * V + v] - most);
    for (size_t v = 0; v < V; v++) out[r * V + v] = logits[r * V + v] - most - log(sum);
  }
  free(logits);
  nb_kv_free(kv);
  return NB_OK;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static size_t largest(const double *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i] > v[best]) best = i;
  return best;
}

static void measures(int32_t bos) {
  nb_opened m;
  nb_session *s = NULL, *other = NULL;
  CHECK_OK(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &m, &err));
  size_t V = m.model.config.vocab;
  nb_session_opts so = {.threads = 2, .max_tokens = CTX, .cpu_features = nb_cpu_detect()};
  CHECK_OK(nb_session_create(&m.model.config, &so, &s, &err));
  CHECK_OK(nb_session_create(&m.model.config, &so, &other, &err));
  int32_t tokens[WINDOWS * CTX + 7];
  for (size_t i = 0; i < WINDOWS * CTX + 7; i++) tokens[i] = (int32_t)((i * i * 31 + i * 7 + 5) % V);
  double *ref = malloc(CTX * V * sizeof *ref), *cand = malloc(CTX * V * sizeof *cand), kl[SCORED], mean[WINDOWS] = {0};
  double ref_nll = 0, cand_nll = 0, same = 0;
  for (size_t w = 0; w < WINDOWS; w++) {
    int32_t window[CTX];
    memcpy(window, tokens + w * CTX, sizeof window);
    if (bos >= 0) window[0] = bos;
    CHECK_OK(run_window(s, &m.model, NB_KV_F32, window, ref));
    CHECK_OK(run_window(s, &m.model, NB_KV_Q8, window, cand));
    for (size_t i = CTX / 2; i < CTX; i++) {
      const double *p = ref + (i - 1) * V, *q = cand + (i - 1) * V;
      double d = 0;
      for (size_t v = 0; v < V; v++) d += exp(p[v]) * (p[v] - q[v]);
      kl[w * HALF + i - CTX / 2] = d;
      mean[w] += d / HALF;
      ref_nll -= p[window[i]], cand_nll -= q[window[i]];
      same += largest(p, V) == largest(q, V);
    }
  }
  double window_kl[WINDOWS], total = 0, var = 0;
  nb_fidelity f;
  nb_fidelity_opts o = {.tokens = tokens, .n = WINDOWS * CTX + 7, .ctx = CTX, .bos = bos, .window_kl = window_kl};
  const nb_fidelity_side a = {s, &m.model, NB_KV_F32, "a"}, b = {other, &m.model, NB_KV_Q8, "b"};
  CHECK_OK(nb_fidelity_measure(&a, &b, 1, &o, &f, &err));
  CHECK(f.chunks == WINDOWS && f.scored == SCORED);
  CHECK(fabs(f.ref_ppl / exp(ref_nll / SCORED) - 1) < 1e-6 && fabs(f.cand_ppl / exp(cand_nll / SCORED) - 1) < 1e-6);
  CHECK(f.ref_ppl != f.cand_ppl && fabs(f.top1 - same / SCORED) < 1e-12);
  for (size_t w = 0; w < WINDOWS; w++) {
    CHECK_MSG(fabs(window_kl[w] - mean[w]) < 1e-6, "window %zu: %g and %g", w, window_kl[w], mean[w]);
    total += mean[w] / WINDOWS;
  }
  for (size_t w = 0; w < WINDOWS; w++) var += (mean[w] - total) * (mean[w] - total) / (WINDOWS - 1);
  CHECK(total > 0 && fabs(f.kl_mean - total) < 1e-6 && fabs(f.kl_mean_se - sqrt(var / WINDOWS)) < 1e-6);
  qsort(kl, SCORED, sizeof *kl, by_size);
  CHECK(fabs(f.kl_median - (kl[SCORED / 2] + kl[(SCORED - 1) / 2]) / 2) < 1e-6);
  CHECK(fabs(f.kl_p90 - kl[(SCORED * 9 + 9) / 10 - 1]) < 1e-6 && fabs(f.kl_max - kl[SCORED - 1]) < 1e-6);
  /* with another candidate beside it, each as it is alone; the other one is the reference itself */
  double both_kl[2 * WINDOWS];
  nb_fidelity both[2];
  nb_session *third = NULL;
  CHECK_OK(nb_session_create(&m.model.config, &so, &third, &err));
  const nb_fidelity_side two[] = {{third, &m.model, NB_KV_F32, "a"}, b};
  o.window_kl = both_kl;
  CHECK_OK(nb_fidelity_measure(&a, two, 2, &o, both, &err));
  CHECK(both[0].kl_max == 0 && fabs(both[0].top1 - 1) < 1e-12 && both[0].cand_ppl == both[0].ref_ppl);
  CHECK(both[1].kl_mean == f.kl_mean && both[1].kl_p99 == f.kl_p99 && both[1].cand_ppl == f.cand_ppl);
  CHECK(!memcmp(both_kl + WINDOWS, window_kl, sizeof window_kl) && both_kl[0] == 0);
  o.n = WINDOWS * CTX, o.max_chunks = 1, o.window_kl = NULL;
  CHECK_OK(nb_fidelity_measure(&a, &b, 1, &o, &f, &err));
  CHECK(f.chunks == 1 && isnan(f.kl_mean_se) && fabs(f.kl_mean - mean[0]) < 1e-6);
  o.n = CTX - 1;
  CHECK(nb_fidelity_measure(&a, &b, 1, &o, &f, &err) == NB_ERR_ARG);
  free(ref), free(cand);
  nb_session_free(s), nb_session_free(other), nb_session_free(third);
  nb_opened_free(&m);
}

TEST(sums) { measures(-1); }
TEST(sums_with_a_begin_token) { measures(1); }

int main(void) {
  RUN(sums);
  RUN(sums_with_a_begin_token);
  return test_end();
}
