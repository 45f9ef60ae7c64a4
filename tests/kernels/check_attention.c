/* SPDX-License-Identifier: MIT */
/* attention and kv_store. */
#include "check.h"

#include "base/f16.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A random case: the cache filled through the reference's kv_store, in blocks that each meet an unreadable page. */
typedef struct scene {
  nb_attn a;
  size_t positions; /* stored */
  float *k, *v;     /* (positions, head_dim), before they were stored */
  size_t q_floats, out_floats;
} scene;

static scene random_scene(check *c, int kind) {
  static const size_t dims[] = {64, 80, 96, 128, 2, 6, 40, 48, 256}, groups[] = {1, 1, 2, 3, 4, 8};
  static const char *const types[] = {"f32", "f16", "q16", "q8"};
  scene s = {.a = {.scale = 0.3f}};
  nb_attn *a = &s.a;
  a->head_dim = rnd_of(c, dims, 9), a->group = rnd_of(c, groups, 6);
  a->type = (nb_kv_type)rnd_below(c, NB_KV_TYPES);
  a->n_q = rnd_below(c, 2) ? 1 + rnd_below(c, 3) : 1 + rnd_below(c, 90);
  a->pos0 = rnd_below(c, 2) ? rnd_below(c, 150) : 0;
  a->window = rnd_below(c, 2) ? 0 : 1 + rnd_below(c, 100);
  if (rnd_below(c, 4) == 0) {
    a->window = 0;
    a->sparse_local = 1 + rnd_below(c, 2), a->sparse_stride = 1 + rnd_below(c, 4), a->head0 = rnd_below(c, 9);
  }
  if (rnd_below(c, 4) == 0) a->softcap = 1 + (float)rnd_below(c, 50);
  a->ldq = a->group * a->head_dim + rnd_below(c, 8), a->ldo = a->group * a->head_dim + rnd_below(c, 8);
  s.positions = a->pos0 + a->n_q;
  snprintf(c->what, sizeof c->what,
           "attention %s head_dim=%zu group=%zu n_q=%zu pos0=%zu window=%zu sparse %zu/%zu head0=%zu softcap %g",
           types[a->type], a->head_dim, a->group, a->n_q, a->pos0, a->window, a->sparse_local, a->sparse_stride,
           a->head0, (double)a->softcap);
  size_t blocks = (s.positions + NB_KV_BLOCK - 1) / NB_KV_BLOCK, bytes = nb_kv_block_bytes(a->type, a->head_dim);
  a->n_shared = rnd_below(c, blocks + 1);
  uint8_t *shared = buffer(c, a->n_shared * bytes), *own = buffer(c, (blocks - a->n_shared) * bytes);
  memset(shared, 0, a->n_shared * bytes);
  memset(own, 0, (blocks - a->n_shared) * bytes);
  a->shared = shared, a->own = own;
  s.k = floats(c, s.positions * a->head_dim), s.v = floats(c, s.positions * a->head_dim);
  rnd_floats(c, s.k, s.positions * a->head_dim, kind);
  rnd_floats(c, s.v, s.positions * a->head_dim, kind == F_WIDE ? F_TINY : kind);
  for (size_t p = 0; p < s.positions; p++) {
    size_t b = p / NB_KV_BLOCK;
    uint8_t *block = b < a->n_shared ? shared + b * bytes : own + (b - a->n_shared) * bytes;
    c->ref->kv_store(block, a->type, a->head_dim, p % NB_KV_BLOCK, s.k + p * a->head_dim, s.v + p * a->head_dim);
  }
  s.q_floats = (a->n_q - 1) * a->ldq + a->group * a->head_dim;
  s.out_floats = (a->n_q - 1) * a->ldo + a->group * a->head_dim;
  float *q = floats(c, s.q_floats);
  rnd_floats(c, q, s.q_floats, kind);
  a->q = q;
  return s;
}

/* Where the block has element d of the key (or value) of a slot, in elements. */
static size_t place(const nb_attn *a, size_t slot, bool value, size_t d) {
  size_t hd = a->head_dim, ldv = nb_kv_ldv(a->type, hd);
  if (!nb_kv_integer(a->type)) return value ? NB_KV_BLOCK * hd + slot * hd + d : d * NB_KV_BLOCK + slot;
  if (value) return NB_KV_BLOCK * hd + (slot / 2 * ldv + d) * 2 + slot % 2;
  return (d / 2 * NB_KV_BLOCK + slot) * 2 + d % 2;
}

static const uint8_t *block_of(const nb_attn *a, size_t p) {
  size_t bytes = nb_kv_block_bytes(a->type, a->head_dim), b = p / NB_KV_BLOCK;
  return b < a->n_shared ? a->shared + b * bytes : a->own + (b - a->n_shared) * bytes;
}

/* What an integer of the key (or value) of position p is worth; 0 in caches of floats. */
static double unit_of(const nb_attn *a, size_t p, bool value) {
  if (!nb_kv_integer(a->type)) return 0;
  const float *scale = (const float *)(const void *)(block_of(a, p) + nb_kv_scales_at(a->type, a->head_dim));
  return scale[(value ? NB_KV_BLOCK : 0) + p % NB_KV_BLOCK];
}

/* Element d of the key (or value) of position p as the cache holds it. */
static double stored(const nb_attn *a, size_t p, bool value, size_t d) {
  const void *block = block_of(a, p);
  size_t i = place(a, p % NB_KV_BLOCK, value, d);
  if (a->type == NB_KV_F32) return ((const float *)block)[i];
  if (a->type == NB_KV_F16) return nb_f16_f32(((const uint16_t *)block)[i]);
  return unit_of(a, p, value) * (a->type == NB_KV_Q16 ? ((const int16_t *)block)[i] : ((const int8_t *)block)[i]);
}

/* Whether head g of the query at p sees position j <= p, apart from a window. */
static bool sees(const nb_attn *a, size_t p, size_t g, size_t j) {
  size_t qb = p / NB_KV_BLOCK, kb = j / NB_KV_BLOCK;
  return !a->sparse_local || qb - kb < a->sparse_local || (kb + a->head0 + g + 1) % a->sparse_stride == 0;
}

/* Softmax attention in double. The scores' errors (head_dim + 3 roundings of a sum of that size; with integers, half a
 * unit of each element of the query) change each weight by twice as much; each weight, sum and output takes some
 * roundings for every block; with integers, half a unit of each weight, a 8191th of the block's largest. */
static void attention_double(check *c, const scene *s, const float *out) {
  const nb_attn *a = &s->a;
  for (size_t t = 0; t < a->n_q; t++)
    for (size_t g = 0; g < a->group; g++) {
      size_t p = a->pos0 + t, first = a->window && p >= a->window ? p + 1 - a->window : 0;
      const float *q = a->q + t * a->ldq + g * a->head_dim;
      double score[256], top = -1e300, worst = 0, sum = 0, q_half = 0;
      for (size_t d = 0; d < a->head_dim; d++) q_half = fmax(q_half, fabs((double)q[d]) / nb_kv_top(a->head_dim) / 2);
      if (!nb_kv_integer(a->type)) q_half = 0;
      double rounded = 0; /* how far a score may be off by that */
      for (size_t j = first; j <= p; j++) {
        double dot = 0, size = 0, off = 0;
        for (size_t d = 0; d < a->head_dim; d++) {
          double k = stored(a, j, false, d), x = q[d] * k;
          dot += x, size += fabs(x), off += fabs(k) * q_half;
        }
        double x = dot * a->scale;
        if (a->softcap != 0) x = a->softcap * tanh(x / a->softcap), size += 20 * a->softcap / a->scale;
        rounded = fmax(rounded, off * a->scale);
        score[j - first] = sees(a, p, g, j) ? x : -INFINITY;
        top = fmax(top, score[j - first]);
        worst = fmax(worst, size * a->scale);
      }
      for (size_t j = first; j <= p; j++) sum += score[j - first] = exp(score[j - first] - top);
      double blocks = (double)((p - first) / NB_KV_BLOCK + 2);
      double e = 2 * (double)(a->head_dim + 8) * U * worst + 2 * rounded + (6 * blocks + 64) * U;
      for (size_t d = 0; d < a->head_dim; d++) {
        double want = 0, size = 0, off = 0, block_top = 0, block_ints = 0;
        for (size_t j = first; j <= p; j++) {
          double w = score[j - first] / sum, v = stored(a, j, true, d), unit = unit_of(a, j, true);
          want += w * v, size += fabs(w * v);
          if (j % NB_KV_BLOCK == 0) block_top = block_ints = 0;
          else off -= block_top / NB_ATTN_P_TOP * block_ints;
          block_top = fmax(block_top, w * unit), block_ints += unit > 0 ? fabs(v / unit) : 0;
          off += block_top / NB_ATTN_P_TOP * block_ints; /* the block's part so far */
        }
        near(c, want, out[t * a->ldo + g * a->head_dim + d], 2 * e * size + 0.51 * (1 + 2 * e) * off + 0x1p-95);
      }
    }
}

void test_attention(check *c) {
  int kind = rnd_below(c, 4) ? F_UNIT : (int)rnd_below(c, F_KINDS);
  scene s = random_scene(c, kind);
  void *scratch = buffer(c, nb_attn_scratch_bytes(s.a.head_dim));
  float *want = floats(c, s.out_floats), *got = floats(c, s.out_floats);
  s.a.out = want;
  c->ref->attention(&s.a, scratch);
  s.a.out = got;
  c->k->attention(&s.a, scratch);
  same_floats(c, want, got, s.out_floats);
  if (kind != F_WIDE) attention_double(c, &s, got);
  /* the same queries one by one: no trace of the batch */
  s.a.out = want;
  const float *q = s.a.q;
  size_t n = s.a.n_q, pos0 = s.a.pos0;
  s.a.n_q = 1;
  for (size_t t = 0; t < n; t++) {
    s.a.q = q + t * s.a.ldq, s.a.out = want + t * s.a.ldo, s.a.pos0 = pos0 + t;
    c->k->attention(&s.a, scratch);
  }
  same_floats(c, want, got, s.out_floats);
}

/* A NaN key or value reaches the queries that see it. */
void test_attention_nan(check *c) {
  scene s = random_scene(c, F_UNIT);
  nb_attn *a = &s.a;
  a->window = a->sparse_local = 0;
  size_t p = rnd_below(c, s.positions), b = p / NB_KV_BLOCK, bytes = nb_kv_block_bytes(a->type, a->head_dim);
  uint8_t *block = (uint8_t *)(b < a->n_shared ? a->shared + b * bytes : a->own + (b - a->n_shared) * bytes);
  bool in_value = rnd_below(c, 2);
  float *bad = in_value ? s.v : s.k;
  for (size_t d = 0; d < a->head_dim; d++) bad[p * a->head_dim + d] = NAN;
  c->k->kv_store(block, a->type, a->head_dim, p % NB_KV_BLOCK, s.k + p * a->head_dim, s.v + p * a->head_dim);
  a->out = floats(c, s.out_floats);
  a->q = memset(floats(c, s.q_floats), 0, s.q_floats * sizeof(float)); /* every visible key weighs the same */
  c->k->attention(a, buffer(c, nb_attn_scratch_bytes(a->head_dim)));
  for (size_t t = 0; t < a->n_q; t++)
    for (size_t g = 0; g < a->group; g++)
      if (a->pos0 + t >= p) that(c, isnan(a->out[t * a->ldo + g * a->head_dim]), "a NaN was lost");
}

void test_kv_store(check *c) {
  static const size_t dims[] = {64, 80, 96, 128, 2, 6, 40, 256, 512};
  size_t hd = rnd_of(c, dims, 9), slot = rnd_below(c, NB_KV_BLOCK);
  for (nb_kv_type type = NB_KV_F32; type < NB_KV_TYPES; type++) {
    size_t bytes = nb_kv_block_bytes(type, hd), elem = nb_kv_elem_bytes(type), scales = nb_kv_scales_at(type, hd);
    snprintf(c->what, sizeof c->what, "kv_store type %d head_dim=%zu slot %zu", (int)type, hd, slot);
    float *k = floats(c, hd), *v = floats(c, hd);
    rnd_floats(c, k, hd, (int)rnd_below(c, F_KINDS));
    rnd_floats(c, v, hd, (int)rnd_below(c, F_KINDS));
    uint8_t *want = buffer(c, bytes), *got = buffer(c, bytes);
    c->ref->kv_store(want, type, hd, slot, k, v);
    c->k->kv_store(got, type, hd, slot, k, v);
    same_bytes(c, want, got, bytes);
    nb_attn a = {.type = type, .head_dim = hd, .own = got};
    double top = type == NB_KV_Q8 ? 127 : nb_kv_top(hd);
    double bound = type == NB_KV_F32 ? 0 : type == NB_KV_F16 ? 0x1p-25 : 0x1p-99;
    uint8_t *written = buffer(c, bytes); /* 1 where a byte belongs to the slot */
    memset(written, 0, bytes);
    for (int value = 0; value < 2; value++) {
      const float *x = value ? v : k;
      double amax = 0;
      for (size_t d = 0; d < hd; d++) amax = fmax(amax, fabs((double)x[d]));
      if (nb_kv_integer(type)) memset(written + scales + 4 * (value ? NB_KV_BLOCK + slot : slot), 1, 4);
      for (size_t d = 0; d < hd; d++) {
        memset(written + place(&a, slot, value, d) * elem, 1, elem);
        double e = type == NB_KV_F16 ? fabs((double)x[d]) * 0x1p-11 : nb_kv_integer(type) ? amax / top * 0.501 : 0;
        if (type == NB_KV_F16 && fabs((double)x[d]) > 65504) continue; /* infinity in f16 */
        near(c, x[d], stored(&a, slot, value, d), e + bound);
      }
    }
    size_t others = 0;
    for (size_t i = 0; i < bytes; i++)
      if (!written[i]) others += !untouched(got + i, 1);
    that(c, others == 0, "wrote outside its slot");
  }
}
