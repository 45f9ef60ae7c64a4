/* SPDX-License-Identifier: MIT */
/* Attention of one key/value head on the 16-lane machine: blocks of query rows (a row is a query and a head) walk
 * the cache blocks that they see, with the softmax computed online (Milakov and Gimelshein 2018; Dao et al. 2022).
 * Caches of integers meet queries and probabilities rounded to integers. Few rows (decoding) convert a block as they
 * read it, where that is needed at all; many rows read a copy. */
#ifndef NB_ATTENTION_H
#define NB_ATTENTION_H

#include "kernels/elementwise.h"
#include "base/assert.h"
#include "base/fma.h"
#include "kernels/tile16.h"

enum {
  ATTN_ROWS = 64, /* rows of a block; a multiple of every V16_ROWS up to 8 is not needed */
  KV_VECS = NB_KV_BLOCK / 16
};

/* A block of query rows at work. */
typedef struct attn_state {
  const nb_attn *a;
  size_t row0;         /* the first row's number in a */
  size_t hd, ld;       /* head_dim, and rounded up to 16 */
  float *q, *acc;      /* (ATTN_ROWS + V16_ROWS, ld) */
  float *m, *l;        /* (ATTN_ROWS + V16_ROWS) */
  float *q_unit;       /* (ATTN_ROWS + V16_ROWS) integer caches: what one of qi is worth, times a->scale */
  int16_t *qi;         /* (ATTN_ROWS + V16_ROWS, ld) */
  void *keys, *values; /* a block, converted: floats (hd, 64), (64, ld) or int16 (hd / 2, 64, 2), (32, ld, 2) */
} attn_state;

/* One cache block as a tile reads it. */
typedef struct attn_block {
  size_t number;
  nb_kv_type type;
  const void *keys, *values;
  size_t ldv;
  const float *scale; /* integers: of the 64 keys, then of the 64 values; else NULL */
  size_t seen;        /* the first so many positions are worked on: the tile's rows see no later one */
} attn_block;

/* Positions of a block, [from, to), that row r sees. */
INLINE void attn_visible(const nb_attn *a, size_t r, size_t block, size_t *from, size_t *to) {
  size_t p = a->pos0 + r / a->group, start = block * NB_KV_BLOCK;
  *from = *to = 0;
  if (a->sparse_local && p / NB_KV_BLOCK >= block + a->sparse_local &&
      (block + a->sparse_first + r % a->group * a->sparse_shift + 1) % a->sparse_stride != 0)
    return;
  size_t first = a->window && p >= a->window ? p + 1 - a->window : 0;
  *to = p < start ? 0 : nb_min(p - start + 1, NB_KV_BLOCK);
  *from = first > start ? nb_min(first - start, NB_KV_BLOCK) : 0;
}

/* x where from <= lane + base < to, else fill. */
INLINE v16 attn_mask(v16 x, size_t base, size_t from, size_t to, float fill) {
  v16 lane = v_add(v_iota(), v_set((float)base));
  x = v_select_lt(lane, v_set((float)from), v_set(fill), x);
  return v_select_lt(lane, v_set((float)to), x, v_set(fill));
}

/* s (R, 64): the products of rows r0 .. r0 + R and the block's keys, 0 for those that no row sees, 32 at a time. */
INLINE void attn_products(const int R, const nb_kv_type type, const attn_state *st, const attn_block *b, size_t r0,
                          float *s) {
  for (size_t j = 0; j < NB_KV_BLOCK; j += 32) {
    if (j >= b->seen) {
      for (int r = 0; r < R; r++)
        UNROLL for (size_t v = 0; v < 2; v++) v_store(s + (size_t)r * NB_KV_BLOCK + j + 16 * v, v_set(0));
      continue;
    }
    const uint8_t *keys = (const uint8_t *)b->keys + j * nb_kv_elem_bytes(type) * (nb_kv_integer(type) ? 2 : 1);
    const tile_sums to = {s + j, NB_KV_BLOCK, false, NULL, NULL};
    if (nb_kv_integer(type)) {
      const tile_factors in = {st->qi + r0 * st->ld, st->ld, keys, NB_KV_BLOCK, st->hd / 2};
      tile_pairs(R, 2, type, &in, &to);
    } else {
      const tile_factors in = {st->q + r0 * st->ld, st->ld, keys, NB_KV_BLOCK, st->hd};
      tile(R, 2, type, &in, &to);
    }
  }
}

/* s becomes exp(scores - the row's largest so far), 0 where nothing is seen; change: what the sums so far are
 * multiplied by. */
INLINE void attn_softmax(const int R, attn_state *st, const attn_block *b, size_t r0, size_t n_rows, float *s,
                         float change[16]) {
  const nb_attn *a = st->a;
  for (int r = 0; r < R; r++) {
    float *sr = s + r * NB_KV_BLOCK, *m = st->m + r0 + (size_t)r;
    size_t from = 0, to = 0;
    if ((size_t)r < n_rows) attn_visible(a, st->row0 + r0 + (size_t)r, b->number, &from, &to);
    v16 unit = v_set(b->scale ? st->q_unit[r0 + (size_t)r] : a->scale), x[KV_VECS];
    UNROLL for (size_t v = 0; v < KV_VECS; v++) {
      x[v] = v_mul(v_load(sr + 16 * v), b->scale ? v_mul(v_load(b->scale + 16 * v), unit) : unit);
      if (a->softcap != 0) x[v] = v_softcap(x[v], v_set(a->softcap));
      if (from > 0 || to < NB_KV_BLOCK) x[v] = attn_mask(x[v], 16 * v, from, to, -INFINITY);
      v_store(sr + 16 * v, x[v]);
    }
    float top = v_hmax(v_max(v_max(x[0], x[1]), v_max(x[2], x[3]))), next = *m > top ? *m : top;
    change[r] = *m - next;
    *m = next;
  }
  v_store(change, v_exp(v_load(change)));
  for (int r = 0; r < R; r++) {
    float *sr = s + r * NB_KV_BLOCK, *l = st->l + r0 + (size_t)r;
    v16 m = v_set(st->m[r0 + (size_t)r]), p[KV_VECS];
    UNROLL for (size_t v = 0; v < KV_VECS; v++) {
      p[v] = v_exp(v_sub(v_load(sr + 16 * v), m));
      v_store(sr + 16 * v, p[v]);
    }
    *l = nb_fma(*l, change[r], v_sum(v_add(v_add(p[0], p[1]), v_add(p[2], p[3]))));
  }
}

/* p (R, 64), times the values' scales, as integers pi, and what one of those is worth. */
INLINE void attn_round(const int R, const float *value_scale, float *p, int16_t *pi, float unit[16]) {
  float inv[16], top[16] = {0};
  for (int r = 0; r < R; r++) {
    v16 most = v_set(0);
    UNROLL for (size_t v = 0; v < KV_VECS; v++) {
      float *at = p + (size_t)r * NB_KV_BLOCK + 16 * v;
      v16 x = v_mul(v_load(at), v_load(value_scale + 16 * v));
      most = v_absmax(most, x);
      v_store(at, x);
    }
    top[r] = v_habsmax(most);
  }
  v16 most = v_load(top), none = v_set(0), least = v_set(0x1p-100f);
  v_store(unit, v_select_lt(most, least, none, v_div(most, v_set(NB_ATTN_P_TOP))));
  v_store(inv, v_select_lt(most, least, none, v_div(v_set(NB_ATTN_P_TOP), most)));
  for (int r = 0; r < R; r++) UNROLL for (size_t v = 0; v < KV_VECS; v++) {
      size_t i = (size_t)r * NB_KV_BLOCK + 16 * v;
      v_store_low16(pi + i, v_add(v_mul(v_load(p + i), v_set(inv[r])), v_set(ROUND_MAGIC)));
    }
}

/* Rows r0 .. r0 + R of the state, n_rows of which there are, meet one block. */
INLINE void attn_tile(const int R, const nb_kv_type type, attn_state *st, const attn_block *b, size_t r0,
                      size_t n_rows) {
  float s[V16_ROWS * NB_KV_BLOCK], change[16] = {0}, unit[16];
  int16_t pi[V16_ROWS * NB_KV_BLOCK];
  attn_products(R, type, st, b, r0, s);
  attn_softmax(R, st, b, r0, n_rows, s, change);
  if (nb_kv_integer(type)) attn_round(R, b->scale + NB_KV_BLOCK, s, pi, unit);
  float *acc = st->acc + r0 * st->ld;
  for (size_t d = 0; d < st->ld; d += 32) {
    const bool two = d + 32 <= st->ld;
    const uint8_t *values = (const uint8_t *)b->values + d * nb_kv_elem_bytes(type) * (nb_kv_integer(type) ? 2 : 1);
    const tile_sums to = {acc + d, st->ld, true, change, unit};
    if (nb_kv_integer(type)) {
      const tile_factors in = {pi, NB_KV_BLOCK, values, b->ldv, (b->seen + 1) / 2};
      if (two) tile_pairs(R, 2, type, &in, &to);
      else tile_pairs(R, 1, type, &in, &to);
    } else {
      const tile_factors in = {s, NB_KV_BLOCK, values, b->ldv, b->seen};
      if (two) tile(R, 2, type, &in, &to);
      else tile(R, 1, type, &in, &to);
    }
  }
}

/* Rows of the smallest tile that holds n_rows; those without a row's own are zeros (attn_begin). */
INLINE size_t attn_tile_rows(size_t n_rows) {
  return n_rows <= 1 ? n_rows : n_rows <= V16_ROWS / 2 ? V16_ROWS / 2 : V16_ROWS;
}

INLINE void attn_tile_any(const nb_kv_type type, attn_state *st, const attn_block *b, size_t r0, size_t n_rows) {
  size_t rows = attn_tile_rows(n_rows);
  if (rows == 1) attn_tile(1, type, st, b, r0, 1);
  else if (rows == V16_ROWS / 2) attn_tile(V16_ROWS / 2, type, st, b, r0, n_rows);
  else attn_tile(V16_ROWS, type, st, b, r0, n_rows);
}

/* A block of floats, as float in the state's buffers, the values' rows padded to ld. */
INLINE void attn_copy_floats(const attn_state *st, attn_block *b) {
  const size_t elem = nb_kv_elem_bytes(b->type);
  float *keys = st->keys, *values = st->values;
  for (size_t i = 0; i < NB_KV_BLOCK * st->hd; i += 16) v_store(keys + i, v_load_kv(b->type, b->keys, i));
  for (size_t j = 0; j < NB_KV_BLOCK; j++)
    for (size_t d = 0; d < st->ld; d += 16) {
      size_t n = nb_min(st->hd - d, 16);
      if (n == 16) {
        v_store(values + j * st->ld + d, v_load_kv(b->type, b->values, j * st->hd + d));
        continue;
      }
      uint8_t part[64] = {0};
      memcpy(part, (const uint8_t *)b->values + (j * st->hd + d) * elem, n * elem);
      v_store(values + j * st->ld + d, v_load_kv(b->type, part, 0));
    }
  b->type = NB_KV_F32, b->keys = keys, b->values = values, b->ldv = st->ld;
}

/* A block of 8-bit integers, as 16-bit ones in the state's buffers. */
INLINE void attn_copy_bytes(const attn_state *st, attn_block *b) {
  const int8_t *k = b->keys, *v = b->values;
  int16_t *keys = st->keys, *values = st->values;
  for (size_t i = 0; i < NB_KV_BLOCK * st->hd; i++) keys[i] = k[i];
  for (size_t i = 0; i < NB_KV_BLOCK * st->ld; i++) values[i] = v[i];
  b->type = NB_KV_Q16, b->keys = keys, b->values = values;
}

INLINE const uint8_t *attn_at(const nb_attn *a, size_t block) {
  size_t bytes = nb_kv_block_bytes(a->type, a->head_dim);
  return block < a->n_shared ? a->shared + block * bytes : a->own + (block - a->n_shared) * bytes;
}

/* Few rows work too little on a block to hide the wait for it, which tiles read in columns: it is asked for while the
 * one before it is at work. */
INLINE void attn_ask(const nb_attn *a, size_t block) {
  const uint8_t *p = attn_at(a, block);
  const size_t bytes = nb_kv_block_bytes(a->type, a->head_dim);
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

/* Finds the block's parts; with `many` rows, in the form that is read fastest. */
INLINE attn_block attn_read(const attn_state *st, size_t block, bool many) {
  const nb_attn *a = st->a;
  const uint8_t *p = attn_at(a, block);
  attn_block b = {block, a->type, p, p + nb_kv_values_at(a->type, st->hd), nb_kv_ldv(a->type, st->hd), NULL, 0};
  if (nb_kv_integer(a->type)) {
    b.scale = (const float *)(const void *)(p + nb_kv_scales_at(a->type, st->hd));
    if (many && a->type == NB_KV_Q8) attn_copy_bytes(st, &b);
  } else if (many || st->hd % 16 != 0) attn_copy_floats(st, &b);
  return b;
}

/* The rows row0 .. row0 + n_rows of a, and zeros for what the last tile has beside them, as they are before the first
 * block. */
INLINE void attn_begin(attn_state *st, size_t row0, size_t n_rows) {
  const nb_attn *a = st->a;
  const size_t left = n_rows % V16_ROWS, all = n_rows - left + attn_tile_rows(left);
  st->row0 = row0;
  memset(st->acc, 0, all * st->ld * sizeof *st->acc);
  for (size_t r = 0; r < all; r++) {
    const float *q = a->q + (row0 + r) / a->group * a->ldq + (row0 + r) % a->group * st->hd;
    st->m[r] = -1e30f, st->l[r] = st->q_unit[r] = 0;
    memset(st->q + r * st->ld, 0, st->ld * sizeof *st->q);
    memset(st->qi + r * st->ld, 0, st->ld * sizeof *st->qi);
    if (r >= n_rows) continue;
    if (nb_kv_integer(a->type))
      st->q_unit[r] = a->scale * quantize_run(q, st->hd, st->ld / 16, nb_kv_top(st->hd), 2, st->qi + r * st->ld);
    else memcpy(st->q + r * st->ld, q, st->hd * sizeof *q);
  }
}

/* How many of a block's first positions any of the rows row0 .. row0 + n_rows sees; 0: nothing of it. */
INLINE size_t attn_seen(const nb_attn *a, size_t block, size_t row0, size_t n_rows) {
  size_t from, to, most = 0;
  /* The last row sees most, unless rows leave out blocks of their own. */
  for (size_t r = a->sparse_local ? row0 : row0 + n_rows - 1; r < row0 + n_rows; r++) {
    attn_visible(a, r, block, &from, &to);
    most = nb_max(most, to);
  }
  return most;
}

static void attn_rows(attn_state *st, size_t row0, size_t n_rows) {
  const nb_attn *a = st->a;
  nb_assert(n_rows >= 1 && n_rows <= ATTN_ROWS);
  attn_begin(st, row0, n_rows);
  size_t last = (a->pos0 + (row0 + n_rows - 1) / a->group) / NB_KV_BLOCK;
  size_t p0 = a->pos0 + row0 / a->group;
  const bool many = n_rows > V16_ROWS;
  for (size_t block = a->window && p0 >= a->window ? (p0 + 1 - a->window) / NB_KV_BLOCK : 0; block <= last; block++) {
    if (a->sparse_local && !attn_seen(a, block, row0, n_rows)) continue; /* whole blocks are skipped */
    attn_block b = attn_read(st, block, many);
    if (!many && block < last) attn_ask(a, block + 1);
    for (size_t r = 0, n; r < n_rows; r += n) {
      n = nb_min(n_rows - r, V16_ROWS);
      if (!(b.seen = attn_seen(a, block, row0 + r, n))) continue;
      switch (b.type) {
      case NB_KV_F32: attn_tile_any(NB_KV_F32, st, &b, r, n); break;
      case NB_KV_F16: attn_tile_any(NB_KV_F16, st, &b, r, n); break;
      case NB_KV_Q16: attn_tile_any(NB_KV_Q16, st, &b, r, n); break;
      default: attn_tile_any(NB_KV_Q8, st, &b, r, n); break;
      }
    }
  }
  for (size_t r = 0; r < n_rows; r++) {
    float *out = a->out + (row0 + r) / a->group * a->ldo + (row0 + r) % a->group * st->hd;
    v16 l = v_set(st->l[r]);
    for (size_t d = 0; d < st->hd; d += 16) /* + 0: no -0, whose sign would tell which blocks were run */
      v_store_n(out + d, v_add(v_div(v_load(st->acc + r * st->ld + d), l), v_set(0)), nb_min(st->hd - d, 16));
  }
}

static void attention(const nb_attn *a, void *scratch) {
  attn_state st = {.a = a, .hd = a->head_dim, .ld = nb_round_up(a->head_dim, 16)};
  size_t n = ATTN_ROWS + V16_ROWS;
  float *values = (float *)scratch + NB_KV_BLOCK * st.ld;
  st.keys = scratch, st.values = values;
  st.q = values + NB_KV_BLOCK * st.ld;
  st.acc = st.q + n * st.ld;
  st.m = st.acc + n * st.ld;
  st.l = st.m + n;
  st.q_unit = st.l + n;
  st.qi = (int16_t *)(void *)(st.q_unit + n);
  nb_assert((uint8_t *)(st.qi + n * st.ld) <= (uint8_t *)scratch + nb_attn_scratch_bytes(a->head_dim));
  nb_assert(a->head_dim >= 2 && a->head_dim % 2 == 0 && a->head_dim <= 512 && a->group >= 1);
  nb_assert(!a->sparse_local || a->sparse_stride);
  nb_assert((!a->n_shared || a->shared) && a->type < NB_KV_TYPES);
  nb_assert(a->n_q <= 1 || (a->ldq >= a->group * a->head_dim && a->ldo >= a->group * a->head_dim));
  size_t rows = a->n_q * a->group;
  for (size_t r = 0; r < rows; r += ATTN_ROWS) attn_rows(&st, r, nb_min(rows - r, ATTN_ROWS));
}

#endif
