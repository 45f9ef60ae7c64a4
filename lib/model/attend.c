/* SPDX-License-Identifier: MIT */
/* The attention of a layer: projections become turned queries, and keys and values in the caches; then each head's
 * queries meet what they see. */
#include "model/session_impl.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>

enum { QUERY_CHUNK = 64 }; /* queries of an attention item */

typedef struct attn_job {
  nb_session *s;
  const nb_layer *l;
  const nb_angles *angles;
  size_t kv_layer;
  size_t items; /* per key/value head: chunks of all segments */
} attn_job;

static void add_bias(const nb_session *s, float *y, const float *bias, size_t n) {
  if (bias) s->k.add(y, bias, n);
}

/* Adds the biases, norms, turns and perhaps mixes queries and keys, and stores keys and values, of tokens [begin, end).
 */
static void turn_rows(void *ctx, size_t begin, size_t end, int thread) {
  attn_job *j = ctx;
  nb_session *s = j->s;
  const nb_config *c = &s->c;
  const float *const *vec = j->l->vec;
  size_t half = c->rotary_dim / 2, hd = c->head_dim, ld = s->q_dim + 2 * s->kv_dim;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *q = s->qkv + t * ld, *k = q + s->q_dim, *v = k + s->kv_dim;
    const nb_segment *g = &s->seg[s->seg_of[t]];
    size_t pos = g->kv->length + (t - s->seg_start[s->seg_of[t]]);
    add_bias(s, q, vec[NB_Q_BIAS], s->q_dim);
    add_bias(s, k, vec[NB_K_BIAS], s->kv_dim);
    add_bias(s, v, vec[NB_V_BIAS], s->kv_dim);
    for (size_t h = 0; h < c->heads + c->kv_heads; h++) {
      float *x = q + h * hd;
      bool is_q = h < c->heads;
      if (c->qk_norm)
        nb_session_norm_row(s, x, vec[is_q ? NB_Q_NORM : NB_K_NORM], vec[is_q ? NB_Q_NORM_BIAS : NB_K_NORM_BIAS], hd,
                            x);
      s->k.rope(x, j->angles->cos + t * half, j->angles->sin + t * half, half);
    }
    if (nb_kv_mixes_keys(g->kv->type))
      for (size_t h = 0; h < c->heads + c->kv_heads; h++) s->k.hadamard(q + h * hd, hd);
    for (size_t h = 0; h < c->kv_heads; h++)
      s->k.kv_store(nb_kv_block(g->kv, j->kv_layer, h, pos), g->kv->type, hd, pos % NB_KV_BLOCK, k + h * hd,
                    v + h * hd);
  }
}

static void attend(const attn_job *j, const nb_segment *g, size_t row0, size_t first, size_t n, size_t head,
                   void *scratch) {
  nb_session *s = j->s;
  const nb_config *c = &s->c;
  size_t group = c->heads / c->kv_heads, ld = s->q_dim + 2 * s->kv_dim;
  nb_attend kind = (nb_attend)c->attend[j->l->number];
  nb_assert(first + n <= g->n && row0 + first + n <= s->T && head < c->kv_heads);
  nb_assert(g->kv->n_shared * NB_KV_BLOCK <= g->kv->length && (!g->kv->n_shared || g->kv->parent));
  nb_assert(s->scratch_bytes >= nb_attn_scratch_bytes(c->head_dim));
  nb_attn a = {.q = s->qkv + (row0 + first) * ld + head * group * c->head_dim,
               .out = s->attn + (row0 + first) * s->q_dim + head * group * c->head_dim,
               .ldq = ld,
               .ldo = s->q_dim,
               .n_q = n,
               .group = group,
               .head_dim = c->head_dim,
               .pos0 = g->kv->length + first,
               .window = kind == NB_ATTEND_WINDOW ? c->sliding_window : 0,
               .sparse_local = kind == NB_ATTEND_SPARSE ? c->sparse_local : 0,
               .sparse_stride = c->sparse_stride,
               .sparse_first = head * group * c->sparse_shift,
               .sparse_shift = c->sparse_shift,
               .softcap = c->attn_softcap,
               .scale = c->attn_scale,
               .type = g->kv->type,
               .n_shared = g->kv->n_shared,
               .own = nb_kv_own(g->kv, j->kv_layer, head)};
  if (nb_kv_mixes_keys(a.type)) a.scale /= (float)nb_kernels_hadamard_run(c->head_dim);
  if (g->kv->parent) a.shared = nb_kv_own(g->kv->parent, j->kv_layer, head);
  s->k.attention(&a, scratch);
}

/* Items run head by head, whose keys and values then stay in the cache nearest to the core, and from the last chunk to
 * the first, since later queries see more keys: the long ones start first. */
static void attend_items(void *ctx, size_t begin, size_t end, int thread) {
  const attn_job *j = ctx;
  nb_session *s = j->s;
  void *scratch = s->scratch + (size_t)thread * s->scratch_bytes;
  for (size_t i = begin; i < end; i++) {
    size_t chunk = j->items - 1 - i % j->items, head = i / j->items;
    for (size_t g = 0; g < s->n_segs; g++) {
      size_t chunks = (s->seg[g].n + QUERY_CHUNK - 1) / QUERY_CHUNK;
      if (chunk < chunks) {
        size_t first = chunk * QUERY_CHUNK;
        attend(j, &s->seg[g], s->seg_start[g], first, nb_min(QUERY_CHUNK, s->seg[g].n - first), head, scratch);
        break;
      }
      nb_assert(g + 1 < s->n_segs);
      chunk -= chunks;
    }
  }
}

void nb_session_attend(nb_session *s, const nb_layer *l, size_t kv_layer) {
  bool local = s->n_angles > 1 && s->c.attend[l->number] == NB_ATTEND_WINDOW;
  attn_job j = {s, l, &s->angles[local], kv_layer, 0};
  for (size_t g = 0; g < s->n_segs; g++) j.items += (s->seg[g].n + QUERY_CHUNK - 1) / QUERY_CHUNK;
  nb_parallel_for(s->threads, s->T, nb_max(1, nb_min(8, s->T / (size_t)s->threads)), turn_rows, &j);
  nb_parallel_for(s->threads, j.items * s->c.kv_heads, 1, attend_items, &j);
}
