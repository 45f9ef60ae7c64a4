/* SPDX-License-Identifier: MIT */
/* The sums of gradients against those of drawn tokens' -log p, made one by one in double precision; and the same bits
 * for any number of threads and instruction set. */
#include "test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "formats/open.h"
#include "model/generate.h"
#include "quant/backward.h"
#include "quant/curvature.h"

#include <math.h>

static nb_err err;

enum { T = 24, SEQS = 3 };

typedef struct fixture {
  nb_opened checkpoint;
  const nb_config *c;
  const nb_weights *w;
  int32_t text[SEQS * T];
  float *x; /* (SEQS, T, D): the states before the layer that is asked for */
} fixture;

static nb_status open_fixture(fixture *f) {
  memset(f, 0, sizeof *f);
  NB_TRY(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &f->checkpoint, &err));
  f->c = &f->checkpoint.model.config, f->w = &f->checkpoint.model.weights;
  f->x = nb_alloc(SEQS * T * f->c->hidden, 4);
  for (int i = 0; i < SEQS * T; i++) f->text[i] = (i * 37 + 11 + i / T * 5) % (int32_t)f->c->vocab;
  return NB_OK;
}

static void close_fixture(fixture *f) {
  nb_free(f->x);
  nb_opened_free(&f->checkpoint);
}

/* ---- one by one ---- */

typedef struct reference {
  const fixture *f;
  size_t layer, now; /* wanted; the one whose gradients are seen */
  double *G[16];
} reference;

static void see(void *ctx, size_t i, const float *dy, size_t N, size_t ld) {
  reference *r = ctx;
  if (r->now != r->layer) return;
  if (!r->G[i]) r->G[i] = nb_alloc(N * N, 8);
  for (size_t t = 0; t < T; t++)
    for (size_t a = 0; a < N; a++)
      for (size_t b = 0; b <= a; b++) r->G[i][a * N + b] += (double)dy[t * ld + a] * dy[t * ld + b];
}

/* Leaves the states before the wanted layer in the fixture. */
static nb_status sum_one_by_one(fixture *f, reference *r) {
  size_t D = f->c->hidden, V = f->c->vocab, L = f->c->layers, n = T * D;
  float *states = nb_alloc((L + 1) * n, 4), *hidden = nb_alloc(n, 4), *logits = nb_alloc(T * V, 4);
  nb_session_opts so = {.threads = 1, .max_tokens = T, .cpu_features = nb_cpu_detect()};
  nb_session *s = NULL;
  nb_kv *kv = NULL;
  nb_backward *b = NULL;
  nb_rng rng = {0};
  nb_status st;
  NB_GOTO(nb_session_create(f->c, &so, &s, &err));
  NB_GOTO(nb_kv_create_layers(f->c, 1, T, NB_KV_F32, 0, &kv, &err));
  NB_GOTO(nb_backward_create(f->c, T, 1, nb_cpu_detect(), &b, &err));
  for (size_t seq = 0; seq < SEQS; seq++) {
    nb_segment seg = {kv, f->text + seq * T, T};
    NB_GOTO(nb_session_begin(s, &seg, 1, &err));
    nb_session_embed(s, nb_weights_embed(f->w), states);
    for (size_t l = 0; l < L; l++) {
      memcpy(states + (l + 1) * n, states + l * n, n * 4);
      NB_GOTO(nb_session_layer(s, &f->w->layer[l], 0, states + (l + 1) * n, NULL, &err));
    }
    memcpy(f->x + seq * n, states + r->layer * n, n * 4);
    nb_session_norm(s, f->w, states + L * n, hidden);
    nb_session_linear(s, nb_weights_head(f->w), hidden, T, D, logits, V);
    for (size_t t = 0; t < T; t++) {
      double sum = 0, below = 0, u = nb_rng_unit(&rng);
      float *row = logits + t * V;
      for (size_t v = 0; v < V; v++) sum += exp(row[v]);
      bool drawn = false;
      for (size_t v = 0; v < V; v++) {
        double p = exp(row[v]) / sum;
        below += p;
        row[v] = (float)(p - (!drawn && u < below));
        drawn |= u < below;
      }
    }
    const nb_head_grad ends = {hidden, NULL};
    nb_layer_grad g = {.outputs = see, .ctx = r};
    NB_GOTO(nb_backward_head(b, f->w->vec[NB_FINAL_NORM], nb_weights_head(f->w), states + L * n, logits, &ends, &err));
    for (r->now = L; r->now-- > 0;)
      NB_GOTO(nb_backward_layer(b, &f->w->layer[r->now], states + r->now * n, hidden, &g, &err));
  }
fail:
  nb_backward_free(b), nb_kv_free(kv), nb_session_free(s);
  nb_free(states), nb_free(hidden), nb_free(logits);
  return st;
}

static nb_status sum(const fixture *f, size_t layer, int threads, unsigned features, nb_row_sums *G) {
  const nb_curvature_opts o = {
      .tokens = f->text, .n_seqs = SEQS, .seq_len = T, .threads = threads, .cpu_features = features};
  nb_curvature *c;
  NB_TRY(nb_curvature_create(f->c, f->w, &o, &c, &err));
  nb_status st = nb_curvature_layer(c, &f->w->layer[layer], f->x, true, G, &err);
  nb_curvature_free(c);
  return st;
}

/* ---- tests ---- */

/* Squares. */
typedef struct difference {
  double error, size;
} difference;

static void add_difference(difference *d, double got, double want) {
  d->error += (got - want) * (got - want), d->size += want * want;
}

static difference of_all(const nb_row_sums *G, const nb_row_sums *same, const double *want, size_t N) {
  difference d = {0, 0};
  for (size_t a = 0; a < N; a++) {
    CHECK(!memcmp(G->all + a * N, same->all + a * N, (a + 1) * 4));
    for (size_t b = 0; b <= a; b++) add_difference(&d, G->all[a * N + b], want[a * N + b]);
  }
  return d;
}

/* As far as they are trusted. */
static difference of_tiles(const nb_row_sums *G, const nb_row_sums *same, const double *want, size_t N) {
  difference d = {0, 0};
  double mean = 0;
  for (size_t a = 0; a < N; a++) mean += want[a * N + a] / (double)N;
  CHECK(!memcmp(G->tiles, same->tiles, (N + 15) / 16 * 16 * 16 * 4));
  for (size_t a = 0; a < N; a++)
    for (size_t b = a / 16 * 16; b < a / 16 * 16 + 16; b++) {
      double whole = b >= N ? 0 : want[a > b ? a * N + b : b * N + a];
      add_difference(&d, G->tiles[a * 16 + b % 16], a == b ? whole + 0.02 * mean : 0.8 * whole);
    }
  return d;
}

TEST(sums_are_those_of_drawn_tokens) {
  fixture f;
  CHECK_OK(open_fixture(&f));
  size_t n = f.w->parts.per_layer;
  for (size_t layer = 0; layer < f.c->layers; layer++) {
    reference r = {.f = &f, .layer = layer};
    nb_row_sums G[16], same[16];
    CHECK_OK(sum_one_by_one(&f, &r));
    CHECK_OK(sum(&f, layer, 1, nb_cpu_detect(), G));
    CHECK_OK(sum(&f, layer, 3, 0, same));
    for (size_t i = 0; i < n; i++) {
      const nb_part *p = nb_parts_matrix(&f.w->parts, i);
      bool tiles = p->role == NB_GATE || p->role == NB_UP;
      CHECK(tiles == !G[i].all && tiles == !same[i].all && !tiles == !G[i].tiles && r.G[i]);
      difference d = tiles ? of_tiles(&G[i], &same[i], r.G[i], p->N) : of_all(&G[i], &same[i], r.G[i], p->N);
      CHECK_MSG(d.size > 0 && d.error < 1e-5 * d.size, "layer %zu %s: off by %g of %g", layer, nb_role_name(p->role),
                sqrt(d.error), sqrt(d.size));
      nb_row_sums_free(&G[i]), nb_row_sums_free(&same[i]), nb_free(r.G[i]);
    }
  }
  close_fixture(&f);
}

TEST(models_whose_gradients_are_not_known) {
  fixture f;
  CHECK_OK(open_fixture(&f));
  nb_config c = *f.c;
  CHECK(nb_curvature_wanted(&c, 1) && !nb_curvature_wanted(&c, 0));
  c.qkv_bias = true;
  CHECK(!nb_curvature_wanted(&c, 4096));
  close_fixture(&f);
}

TEST(as_many_tokens_as_the_gradients_kept_allow) {
  static const struct {
    size_t layers, hidden, tokens;
  } shapes[] = {{30, 768, 16384}, {32, 3072, 4096}, {24, 2048, 8192}, {40, 5120, 4096}, {1, 64, 16384}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const nb_config c = {.layers = shapes[i].layers, .hidden = shapes[i].hidden};
    CHECK_MSG(nb_curvature_tokens(&c) == shapes[i].tokens, "%zu layers: %zu", c.layers, nb_curvature_tokens(&c));
  }
}

int main(void) {
  RUN(sums_are_those_of_drawn_tokens);
  RUN(models_whose_gradients_are_not_known);
  RUN(as_many_tokens_as_the_gradients_kept_allow);
  return test_end();
}
