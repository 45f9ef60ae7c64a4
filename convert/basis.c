/* SPDX-License-Identifier: MIT */
#include "convert/basis.h"

#include "quant/fold.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

typedef struct basis_job {
  const nb_config *c;
  const nb_weights *a, *b;
  const nb_basis *basis;
  float *rows; /* two rows a thread */
} basis_job;

/* Numbers of a layer's factors: for each site the columns of what it feeds, and the rows of what makes it. */
static size_t n_factors(const nb_config *c) {
  size_t n = 0;
  for (size_t s = 0; s < nb_parts_sites(c); s++) n += 2 * nb_parts_site_inputs(c, s);
  return n;
}

static bool same_norms(const nb_config *c, const nb_weights *a, const nb_weights *b) {
  static const nb_role norms[] = {NB_ATTN_NORM, NB_FFN_NORM};
  for (size_t l = 0; l < c->layers; l++)
    for (size_t i = 0; i < 2; i++) {
      const float *x = a->layer[l].vec[norms[i]], *y = b->layer[l].vec[norms[i]];
      if (x && memcmp(x, y, c->hidden * sizeof *x)) return false;
    }
  return !memcmp(a->vec[NB_FINAL_NORM], b->vec[NB_FINAL_NORM], c->hidden * sizeof(float));
}

/* The factors of columns whose inputs the norms scale. A norm of 0 hides its column. */
static void columns(const float *a, const float *b, size_t D, float *out) {
  for (size_t k = 0; k < D; k++) out[k] = a[k] != 0 && isfinite(b[k] / a[k]) ? b[k] / a[k] : 1;
}

/* The factors of rows of b that are nearly multiples of a's. */
static void rows(const nb_linear *a, const nb_linear *b, const nb_basis_factors *f, float *x, float *out) {
  float *y = x + a->K;
  for (size_t n = 0; n < a->N; n++) {
    double ab = 0, aa = 0, bb = 0;
    nb_linear_row(a, n, x);
    nb_linear_row(b, n, y);
    for (size_t k = 0; k < a->K; k++) {
      double v = (double)y[k] * f->col[k];
      ab += x[k] * v, aa += (double)x[k] * x[k], bb += v * v;
    }
    float r = (float)(aa / ab);
    out[n] = ab > 0 && ab * ab > 0.5 * aa * bb && isfinite(r) ? r : 1;
  }
}

/* The columns that a site's inputs meet: those of the experts' gate and up are the router's. */
static const float *columns_of(const nb_part *p, float *const *col) {
  bool of_expert = p->site >= NB_SITES && p->role != NB_DOWN;
  return col[of_expert ? NB_SITE_FFN : p->site];
}

/* The place in its layer of the matrix whose rows make a site's inputs, or per_layer. */
static size_t maker_of(const nb_config *c, const nb_parts *parts, size_t site) {
  int expert = nb_parts_site_expert(site);
  if (site == NB_SITE_O) return nb_layer_index(c, NB_V, 0);
  if (site == NB_SITE_ATTN || site == NB_SITE_FFN || !nb_fold_legal(c, site)) return parts->per_layer;
  if (site == NB_SITE_DOWN && c->experts) return parts->per_layer;
  return nb_layer_index(c, NB_UP, expert < 0 ? 0 : (size_t)expert);
}

static void layer_range(void *ctx, size_t begin, size_t end, int thread) {
  basis_job *j = ctx;
  const nb_config *c = j->c;
  const nb_parts *parts = &j->a->parts;
  size_t n_sites = nb_parts_sites(c);
  float *x = j->rows + (size_t)thread * 2 * c->hidden, *col[NB_SITES + 2 * NB_MAX_EXPERTS];
  for (size_t l = begin; l < end; l++) {
    const nb_layer *a = &j->a->layer[l], *b = &j->b->layer[l];
    nb_basis_factors *of = j->basis->of + nb_parts_first(parts, l);
    float *own = j->basis->own + l * n_factors(c);
    for (size_t s = 0; s < n_sites; s++) {
      col[s] = own, own += nb_parts_site_inputs(c, s);
      for (size_t k = 0; k < nb_parts_site_inputs(c, s); k++) col[s][k] = 1;
    }
    columns(a->vec[NB_ATTN_NORM], b->vec[NB_ATTN_NORM], c->hidden, col[NB_SITE_ATTN]);
    if (a->vec[NB_FFN_NORM]) columns(a->vec[NB_FFN_NORM], b->vec[NB_FFN_NORM], c->hidden, col[NB_SITE_FFN]);
    for (size_t i = 0; i < parts->per_layer; i++) of[i].col = columns_of(nb_parts_matrix(parts, i), col);
    for (size_t s = 0; s < n_sites; s++) {
      size_t K = nb_parts_site_inputs(c, s), maker = maker_of(c, parts, s);
      float *row = own;
      own += K;
      if (maker == parts->per_layer) continue;
      rows(&a->w[maker], &b->w[maker], &of[maker], x, row);
      of[maker].row = row;
      for (size_t k = 0; k < K; k++) col[s][k] = 1 / row[nb_fold_channel(c, s, k)];
    }
  }
}

nb_status nb_basis_between(const nb_config *c, const nb_weights *a, const nb_weights *b, int threads, nb_basis *out,
                           nb_err *err) {
  nb_status st;
  basis_job j = {c, a, b, out, NULL};
  memset(out, 0, sizeof *out);
  NB_GOTO(nb_new(&out->of, a->parts.n_matrices, sizeof *out->of, "the basis", err));
  if (same_norms(c, a, b)) return NB_OK;
  size_t of_layers = c->layers * n_factors(c);
  NB_GOTO(nb_new(&out->own, of_layers + c->hidden, sizeof *out->own, "the basis", err));
  NB_GOTO(nb_new(&j.rows, (size_t)threads * 2 * c->hidden, sizeof *j.rows, "the basis", err));
  nb_parallel_for(threads, c->layers, 1, layer_range, &j);
  if (!c->tie_embeddings) {
    columns(a->vec[NB_FINAL_NORM], b->vec[NB_FINAL_NORM], c->hidden, out->own + of_layers);
    out->of[a->parts.head].col = out->own + of_layers;
  }
fail:
  nb_free(j.rows);
  if (st != NB_OK) nb_basis_free(out);
  return st;
}

void nb_basis_free(nb_basis *b) {
  nb_free(b->of);
  nb_free(b->own);
  memset(b, 0, sizeof *b);
}

void nb_basis_apply(const nb_basis_factors *f, size_t n, size_t K, float *row) {
  float scale = f->row ? f->row[n] : 1;
  if (f->row || f->col)
    for (size_t k = 0; k < K; k++) row[k] *= scale * (f->col ? f->col[k] : 1);
}
