/* SPDX-License-Identifier: MIT */
/* The statistics of a calibrated run: what each site's inputs are, as the quantized model sees them. */
#include "quant/calib_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <string.h>

enum { WIDE = 4096 /* more inputs than these: see nb_calib_by_outputs */ };

typedef struct round_job {
  nb_calib *r;
  const float *x;
  size_t K;
  float *out;
} round_job;

static void round_rows(void *ctx, size_t begin, size_t end, int thread) {
  round_job *j = ctx;
  size_t at = (size_t)thread * j->r->Kp;
  for (size_t t = begin; t < end; t++)
    nb_kernels_round_q8(nb_session_kernels(j->r->s), j->x + t * j->K, j->K, j->r->q8 + at,
                        j->r->q8_scale + at / NB_QA_GROUP, j->r->q8_sum + at / NB_BLOCK, j->out + t * j->K);
}

void nb_calib_round_inputs(nb_calib *r, const float *x, size_t T, size_t K) {
  nb_assert(T <= r->T && nb_round_up(K, NB_K_PAD) <= r->Kp);
  round_job j = {r, x, K, r->fake};
  nb_parallel_for(r->o->threads, T, 16, round_rows, &j);
}

void nb_calib_add_inputs(nb_calib *r, float *H, size_t T, size_t K) {
  const nb_kernels *k = nb_session_kernels(r->s);
  nb_rounded_take(&r->in, k, r->fake, T, K, r->o->threads);
  nb_hess_add(k, H, &r->in, r->o->threads);
}

void nb_calib_add_cross(nb_calib *r, float *C, const float *d, size_t T, size_t K) {
  nb_assert(T == r->in.T);
  const nb_kernels *k = nb_session_kernels(r->s);
  nb_rounded_take(&r->distance, k, d, T, K, r->o->threads);
  nb_hess_add_cross(k, C, &r->distance, &r->in, r->o->threads);
}

bool nb_calib_by_outputs(const nb_calib *r, size_t site) { return site == NB_SITE_DOWN && r->c->ffn > WIDE; }

/* The two streams may send a token to different experts: these have no asymmetric target. */
static bool has_cross(const nb_calib *r, size_t site) { return r->cross && site < NB_SITES; }

size_t nb_calib_fold_seqs(const nb_calib *r) { return nb_min(r->o->n_seqs, (NB_FOLD_TOKENS + r->T - 1) / r->T); }

size_t nb_calib_few_most(const nb_calib *r) { return nb_calib_fold_seqs(r) * (r->T / NB_FOLD_EACH + 1); }

/* Not the first of a sequence, which is unlike all others. */
void nb_calib_keep_few(const float *x, size_t T, size_t K, float *few, size_t *n) {
  for (size_t t = NB_FOLD_EACH / 2; t < T; t += NB_FOLD_EACH) memcpy(few + (*n)++ * K, x + t * K, K * sizeof *x);
}

static void see(void *ctx, size_t site, const float *x, size_t T, size_t K) {
  nb_calib *r = ctx;
  nb_assert(site < r->n_sites && T <= r->T && K == nb_parts_site_inputs(r->c, site));
  if (!r->wanted[site]) return;
  if (r->keep) {
    if (site < NB_SITES) memcpy(r->seen[site], x, T * K * sizeof *x);
    return;
  }
  float *d = r->fake + T * K;
  if (r->folding) nb_calib_keep_few(x, T, K, r->few[site], &r->n_few[site]);
  nb_calib_round_inputs(r, x, T, K);
  nb_calib_add_inputs(r, r->H[site], T, K);
  r->count[site] += T;
  if (!has_cross(r, site)) return;
  for (size_t i = 0; i < T * K; i++) d[i] = r->seen[site][i] - r->fake[i];
  if (!nb_calib_by_outputs(r, site)) nb_calib_add_cross(r, r->C[site], d, T, K);
}

/* After a batch of the quantized stream: what `see` left of down, the last site, through down's matrix. */
static void add_outputs(nb_calib *r, const nb_linear *down) {
  nb_assert(down->N == r->c->hidden && r->in.K == down->K);
  float *d = r->fake + r->T * down->K;
  nb_session_linear(r->s, down, d, r->T, down->K, r->x, down->N);
  nb_calib_add_cross(r, r->C[NB_SITE_DOWN], r->x, r->T, down->N);
}

nb_status nb_calib_run_sequence(nb_calib *r, const nb_layer *l, size_t seq, int stream, float *x, const nb_tap *tap,
                                nb_err *err) {
  nb_segment seg = {r->kv[stream], r->o->tokens + seq * r->T, r->T};
  NB_TRY(nb_session_begin(r->s, &seg, 1, err));
  return nb_session_layer(r->s, l, 0, x, tap, err);
}

static nb_status new_statistics(nb_calib *r, nb_err *err) {
  for (size_t i = 0; i < r->n_sites; i++) {
    if (!r->wanted[i]) continue;
    size_t K = nb_parts_site_inputs(r->c, i), M = nb_calib_by_outputs(r, i) ? r->c->hidden : K;
    r->count[i] = r->n_few[i] = 0;
    NB_TRY(nb_new(&r->H[i], K * K, sizeof(float), "statistics", err));
    if (r->folding) NB_TRY(nb_new(&r->few[i], nb_calib_few_most(r), K * sizeof(float), "inputs", err));
    if (has_cross(r, i)) NB_TRY(nb_new(&r->C[i], M * K, sizeof(float), "statistics", err));
  }
  return NB_OK;
}

void nb_calib_free_sums(nb_calib *r) {
  for (size_t i = 0; r->H && r->C && r->few && i < r->n_sites; i++) {
    nb_free(r->H[i]), nb_free(r->C[i]), nb_free(r->few[i]);
    r->H[i] = r->C[i] = r->few[i] = NULL;
  }
}

nb_status nb_calib_collect(nb_calib *r, const nb_layer *now, const nb_layer *full, bool move, size_t n_seqs,
                           nb_err *err) {
  const nb_tap tap = {see, r};
  size_t D = r->c->hidden;
  r->cross = full && r->xf;
  NB_TRY(new_statistics(r, err));
  for (size_t i = 0; i < n_seqs; i++) {
    if (r->cross) {
      r->keep = true;
      float *x = r->xf + i * r->T * D;
      if (!move) memcpy(r->x, x, r->T * D * sizeof *r->x), x = r->x;
      NB_TRY(nb_calib_run_sequence(r, full, i, 1, x, &tap, err));
      r->keep = false;
    }
    memcpy(r->x, r->xq + i * r->T * D, r->T * D * sizeof *r->x);
    NB_TRY(nb_calib_run_sequence(r, now, i, 0, r->x, &tap, err));
    if (r->cross && r->wanted[NB_SITE_DOWN] && nb_calib_by_outputs(r, NB_SITE_DOWN))
      add_outputs(r, nb_layer_matrix(r->c, full, NB_DOWN, 0));
    NB_TRY(nb_progress_step(r->o->progress, r->solve.done, r->solve.total, err));
  }
  return NB_OK;
}
