/* SPDX-License-Identifier: MIT */
/* Attention of one key/value head on the 16-lane machine: blocks of query rows (a row is a query and a head) walk
 * the cache blocks that they see, with the softmax computed online (Milakov and Gimelshein 2018; Dao et al. 2022).
 * Many rows read a float copy of each cache block; few rows (decoding) convert it as they read it. */
#ifndef NB_ATTENTION_H
#define NB_ATTENTION_H

#include "tile16.h"

enum { ATTN_ROWS = 64 }; /* rows of a block; a multiple of every V16_ROWS up to 8 is not needed */

typedef struct attn_state {
  size_t hd, ld;        /* head_dim, and rounded up to 16 */
  float *q, *acc;       /* (ATTN_ROWS + V16_ROWS, ld) */
  float *m, *l;         /* (ATTN_ROWS + V16_ROWS) */
  float *keys, *values; /* (hd, 32), (32, ld): a block as floats */
} attn_state;

/* One cache block as a tile reads it. */
typedef struct attn_block {
  nb_kv_type type;
  const void *keys, *values;
  size_t ldv;
  const float *scale; /* q8: of the 32 keys, then of the 32 values; else NULL */
} attn_block;

/* Positions of a block, [from, to), that row r sees. */
INLINE void attn_visible(const nb_attn *a, size_t r, size_t block, size_t *from, size_t *to) {
  size_t p = a->pos0 + r / a->group, start = block * NB_KV_BLOCK;
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

/* Rows r0 .. r0 + R of the state meet one block; row0 is the first row's number in a. */
INLINE void attn_tile(const int R, const nb_kv_type type, const nb_attn *a, attn_state *st, const attn_block *b,
                      size_t block, size_t row0, size_t r0, size_t n_rows) {
  float s[V16_ROWS * NB_KV_BLOCK], change[16] = {0};
  tile(R, 2, st->q + r0 * st->ld, st->ld, type, b->keys, NB_KV_BLOCK, st->hd, NULL, false, s, NB_KV_BLOCK);
  for (int r = 0; r < R; r++) {
    float *sr = s + r * NB_KV_BLOCK, *m = st->m + r0 + (size_t)r;
    size_t from = 0, to = 0;
    if ((size_t)r < n_rows) attn_visible(a, row0 + r0 + (size_t)r, block, &from, &to);
    v16 x[2];
    for (size_t v = 0; v < 2; v++) {
      x[v] = v_load(sr + 16 * v);
      if (b->scale) x[v] = v_mul(x[v], v_load(b->scale + 16 * v));
      x[v] = v_mul(x[v], v_set(a->scale));
      if (from > 0 || to < NB_KV_BLOCK) x[v] = attn_mask(x[v], 16 * v, from, to, -INFINITY);
      v_store(sr + 16 * v, x[v]);
    }
    float top = v_hmax(v_max(x[0], x[1])), next = *m > top ? *m : top;
    change[r] = *m - next;
    *m = next;
  }
  v_store(change, v_exp(v_load(change)));
  for (int r = 0; r < R; r++) {
    float *sr = s + r * NB_KV_BLOCK, *l = st->l + r0 + (size_t)r;
    v16 m = v_set(st->m[r0 + (size_t)r]), p[2];
    for (size_t v = 0; v < 2; v++) {
      p[v] = v_exp(v_sub(v_load(sr + 16 * v), m));
      v_store(sr + 16 * v, b->scale ? v_mul(p[v], v_load(b->scale + NB_KV_BLOCK + 16 * v)) : p[v]);
    }
    *l = fmaf(*l, change[r], v_sum(v_add(p[0], p[1])));
  }
  float *acc = st->acc + r0 * st->ld;
  size_t elem = type == NB_KV_F32 ? 4 : type == NB_KV_F16 ? 2 : 1, d = 0;
  for (; d + 32 <= st->ld; d += 32)
    tile(R, 2, s, NB_KV_BLOCK, type, (const uint8_t *)b->values + d * elem, b->ldv, NB_KV_BLOCK, change, true, acc + d,
         st->ld);
  if (d < st->ld)
    tile(R, 1, s, NB_KV_BLOCK, type, (const uint8_t *)b->values + d * elem, b->ldv, NB_KV_BLOCK, change, true, acc + d,
         st->ld);
}

/* The smallest tile that holds the rows left. */
INLINE size_t attn_tile_any(const nb_kv_type type, const nb_attn *a, attn_state *st, const attn_block *b, size_t block,
                            size_t row0, size_t r0, size_t n_rows) {
  if (n_rows == 1) attn_tile(1, type, a, st, b, block, row0, r0, 1);
  else if (n_rows <= V16_ROWS / 2) attn_tile(V16_ROWS / 2, type, a, st, b, block, row0, r0, n_rows);
  else attn_tile(V16_ROWS, type, a, st, b, block, row0, r0, nb_min(n_rows, V16_ROWS));
  return nb_min(n_rows, V16_ROWS);
}

/* Finds the block's parts; with `copy`, as floats in the state's buffers. */
INLINE attn_block attn_read(const nb_attn *a, attn_state *st, size_t block, bool copy) {
  size_t bytes = nb_kv_block_bytes(a->type, st->hd), half = NB_KV_BLOCK * st->hd;
  size_t elem = a->type == NB_KV_F32 ? 4 : a->type == NB_KV_F16 ? 2 : 1;
  const uint8_t *p = block < a->n_shared ? a->shared + block * bytes : a->own + (block - a->n_shared) * bytes;
  attn_block b = {a->type, p, p + half * elem, st->hd, NULL};
  if (a->type == NB_KV_Q8) b.scale = (const float *)(const void *)(p + 2 * half);
  if (!copy) return b;
  for (size_t i = 0; i < half; i += 16) v_store(st->keys + i, v_load_kv(a->type, p, i));
  for (size_t j = 0; j < NB_KV_BLOCK; j++)
    for (size_t d = 0; d < st->ld; d += 16) {
      size_t n = nb_min(st->hd - d, 16);
      if (n == 16) {
        v_store(st->values + j * st->ld + d, v_load_kv(a->type, b.values, j * st->hd + d));
        continue;
      }
      uint8_t part[64] = {0};
      memcpy(part, (const uint8_t *)b.values + (j * st->hd + d) * elem, n * elem);
      v_store(st->values + j * st->ld + d, v_load_kv(a->type, part, 0));
    }
  b.type = NB_KV_F32, b.keys = st->keys, b.values = st->values, b.ldv = st->ld;
  return b;
}

static void attn_rows(const nb_attn *a, attn_state *st, size_t row0, size_t n_rows) {
  for (size_t r = 0; r < n_rows + V16_ROWS - 1; r++) {
    float *q = st->q + r * st->ld, *acc = st->acc + r * st->ld;
    memset(q, 0, st->ld * sizeof *q);
    memset(acc, 0, st->ld * sizeof *acc);
    size_t t = (row0 + r) / a->group, g = (row0 + r) % a->group;
    if (r < n_rows) memcpy(q, a->q + t * a->ldq + g * st->hd, st->hd * sizeof *q);
    st->m[r] = -1e30f, st->l[r] = 0;
  }
  size_t from, to, last = (a->pos0 + (row0 + n_rows - 1) / a->group) / NB_KV_BLOCK;
  size_t p0 = a->pos0 + row0 / a->group;
  bool copy = n_rows > V16_ROWS || st->hd % 16 != 0;
  for (size_t block = a->window && p0 >= a->window ? (p0 + 1 - a->window) / NB_KV_BLOCK : 0; block <= last; block++) {
    attn_block b = attn_read(a, st, block, copy);
    for (size_t r = 0, n; r < n_rows; r += n) {
      n = nb_min(n_rows - r, V16_ROWS);
      attn_visible(a, row0 + r + n - 1, block, &from, &to);
      if (to == 0) continue; /* later than every row of the tile */
      if (b.type == NB_KV_F32) n = attn_tile_any(NB_KV_F32, a, st, &b, block, row0, r, n_rows - r);
      else if (b.type == NB_KV_F16) n = attn_tile_any(NB_KV_F16, a, st, &b, block, row0, r, n_rows - r);
      else n = attn_tile_any(NB_KV_Q8, a, st, &b, block, row0, r, n_rows - r);
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
  attn_state st = {.hd = a->head_dim, .ld = nb_round_up(a->head_dim, 16)};
  size_t n = ATTN_ROWS + V16_ROWS;
  st.q = scratch;
  st.acc = st.q + n * st.ld;
  st.keys = st.acc + n * st.ld;
  st.values = st.keys + NB_KV_BLOCK * st.ld;
  st.m = st.values + NB_KV_BLOCK * st.ld;
  st.l = st.m + n;
  size_t rows = a->n_q * a->group;
  for (size_t r = 0; r < rows; r += ATTN_ROWS) attn_rows(a, &st, r, nb_min(rows - r, ATTN_ROWS));
}

#endif
