/* SPDX-License-Identifier: MIT */
/* The statistics of a calibrated run: what each site's inputs are, as the quantized model sees them. */
#include "quant/calib_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <string.h>

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
  if (r->folding) nb_calib_keep_few(x, T, K, r->few[site], &r->n_few[site]);
  nb_calib_round_inputs(r, x, T, K);
  nb_calib_add_inputs(r, r->H[site], T, K);
  r->count[site] += T;
}

nb_status nb_calib_run_sequence(nb_calib *r, const nb_layer *l, size_t seq, float *x, const nb_tap *tap, nb_err *err) {
  nb_segment seg = {r->kv, r->o->tokens + seq * r->T, r->T};
  NB_TRY(nb_session_begin(r->s, &seg, 1, err));
  return nb_session_layer(r->s, l, 0, x, tap, err);
}

static nb_status new_statistics(nb_calib *r, nb_err *err) {
  for (size_t i = 0; i < r->n_sites; i++) {
    if (!r->wanted[i]) continue;
    size_t K = nb_parts_site_inputs(r->c, i);
    r->count[i] = r->n_few[i] = 0;
    NB_TRY(nb_new(&r->H[i], K * K, sizeof(float), "statistics", err));
    if (r->folding) NB_TRY(nb_new(&r->few[i], nb_calib_few_most(r), K * sizeof(float), "inputs", err));
  }
  return NB_OK;
}

void nb_calib_free_sums(nb_calib *r) {
  for (size_t i = 0; r->H && r->few && i < r->n_sites; i++) {
    nb_free(r->H[i]), nb_free(r->few[i]);
    r->H[i] = r->few[i] = NULL;
  }
}

nb_status nb_calib_collect(nb_calib *r, const nb_layer *now, size_t n_seqs, nb_err *err) {
  const nb_tap tap = {see, r};
  size_t D = r->c->hidden;
  NB_TRY(new_statistics(r, err));
  for (size_t i = 0; i < n_seqs; i++) {
    memcpy(r->x, r->states + i * r->T * D, r->T * D * sizeof *r->x);
    NB_TRY(nb_calib_run_sequence(r, now, i, r->x, &tap, err));
    NB_TRY(nb_progress_step(r->o->progress, r->solve.done, r->solve.total, err));
  }
  return NB_OK;
}
