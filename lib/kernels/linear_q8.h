/* SPDX-License-Identifier: MIT */
/* Products of coded matrices and int8 activations, for every instruction set that has the following
 * (b64: 64 bytes, 4 inputs of each of a tile's 16 rows; q8_acc: exact integer sums of the 16 rows):
 *   Q8_FULL_U8         1: q8_dot takes weights 0..255; 0: it takes -128..127
 *   Q8_SIGNS           1: q8_dot is faster for weights known to be 0..127. Others are kept as magnitude and sign (0 or
 *                      0xff) by the many-token path: w * x = |w| * (x ^ sign) + (|w| & sign), whose last part is the
 *                      same for all tokens
 *   Q8_MMLA            1: the many-token path is q8_micro_mmla.h's
 *   Q8_AMX             1: it is q8_micro_amx.h's
 *   Q8_TILES Q8_TOKENS the register tile of the many-token path: tiles of 16 rows, tokens; what is left of a block's
 *   Q8_REST            tokens is taken in tiles of so many (1 when not defined)
 *   Q8_FEW_TILES       tiles that up to Q8_FEW tokens take side by side (1 when not defined)
 *   Q8_UNROLL          a pragma for its inner loop, or nothing
 *   b_load(p) b_store(p, b) b_hold(b)   b_hold keeps the compiler from loading b again
 *   b_part(b, right, mask)       each byte: bits moved right (left when negative), then masked
 *   b_part_or(b, right, mask, c) the same, or c
 *   b_flip_top(b)                each byte ^ 0x80
 *   b_abs(b) b_sign(b) b_and(b, c)  with Q8_SIGNS: of signed bytes; the sign is 0xff or 0
 *   b_table(b16)                 a table of 16 bytes, as b_lookup wants it
 *   b_lookup(table, index)       index 0..15
 *   b_pick(low, high, b, m)      high where bit m of b's byte is set, else low
 *   b_lookup2(low, high, index, b, m)  b_pick of what two tables have
 *   b_beside(b)                  each row's bytes: those of the rows before and after it in the tile's ring (qmat.h),
 *                                exclusively or'ed
 *   q8_start(sum)                every row's sum
 *   q8_dot(acc, w, x, positive)  adds w[row][0..3] * x[0..3], x from q8_inputs; positive: all w are 0..127
 *   q8_dot_sign(acc, w, sign, x) with Q8_SIGNS: adds w[row][0..3] * (x[0..3] ^ sign[row][0..3]), w 0..128
 *   q8_inputs(p)                 4 activations, a q8_in
 *   q8_store(p, acc) q8_load(p)  with Q8_SIGNS: 16 int32
 *   q8_merge(a, b)               the sum of two
 *   q8_float(acc)                as a v16
 * Weights are taken as value + zero: unsigned when q8_dot wants that, and for uniform codes so that the code
 * itself is the weight; zero * (sum of the activations) is taken off in the accumulator's start. */
#ifndef NB_LINEAR_Q8_H
#define NB_LINEAR_Q8_H

#include "kernels/simd16.h"
#include "base/assert.h"

#ifndef Q8_MMLA
#define Q8_MMLA 0
#endif
#ifndef Q8_AMX
#define Q8_AMX 0
#endif
#ifndef Q8_REST
#define Q8_REST 1
#endif

#ifndef Q8_FEW_TILES
#define Q8_FEW_TILES 1
#endif
#ifndef Q8_UNROLL
#define Q8_UNROLL
#endif
#define NOINLINE static __attribute__((noinline))

enum {
  Q8_FEW = 4,              /* up to this many tokens: weights stay in registers */
  Q8_K = 256,              /* inputs of a block of the many-token path: its unpacked weights fit the L1 cache */
  Q8_T = NB_LINEAR_TOKENS, /* tokens of a block */
  Q8_CLAIM = 12,           /* tokens ahead of which the many-token path claims the lines of its outputs */
  Q8_AHEAD = 4096,         /* bytes that the few-token path prefetches ahead */
  Q8_STEPS = 4,            /* steps that AMX takes together */
  Q8_ROWS = Q8_TILES * NB_TILE
};

/* A format as the unpacking loops see it; constant in each of their copies. */
typedef struct q8_fmt {
  int bits;
  nb_qkind kind;
} q8_fmt;

INLINE int q8_zero(q8_fmt f) {
  if (f.kind != NB_UNIFORM || f.bits == 8) return Q8_FULL_U8 ? 128 : 0;
  return 1 << (f.bits - 1);
}

/* Whether every weight as q8_unpack gives it is in 0..127. */
INLINE bool q8_positive(q8_fmt f) { return Q8_SIGNS && f.kind == NB_UNIFORM && f.bits < 8; }

/* The values by the four lowest bits of their index, a table for each of what is above them. */
typedef struct q8_tables {
  b64 part[4];
} q8_tables;

INLINE q8_tables q8_load_tables(q8_fmt f, const nb_qmat *w) {
  uint8_t v[64] = {0};
  if (f.kind == NB_TABLE)
    for (int c = 0; c < 1 << f.bits; c++) v[c] = (uint8_t)(w->table[c] + q8_zero(f));
  if (f.kind == NB_TRELLIS) /* by the code, and above its bits what the neighbours say */
    for (unsigned i = 0; i < 2u << f.bits; i++)
      v[i] = (uint8_t)(w->table[nb_qmat_trellis_level(i & ((1u << f.bits) - 1), i >> f.bits, 0)] + q8_zero(f));
  q8_tables t = {{b_table(v), b_table(v + 16), b_table(v + 32), b_table(v + 48)}};
  return t;
}

/* Values of 4 (and 5, whose highest bit is that of `top` in its m-th place) bits of a trellis code, whose neighbours'
 * lowest bits differ where bit n of `beside` is set. */
INLINE b64 q8_trellis(q8_fmt f, q8_tables t, b64 index, b64 beside, int n, b64 top, int m) {
  if (f.bits == 4) return b_lookup2(t.part[0], t.part[1], index, beside, n);
  return b_pick(b_lookup2(t.part[0], t.part[1], index, top, m), b_lookup2(t.part[2], t.part[3], index, top, m), beside,
                n);
}

/* One block of a tile: out[i] holds the weights of inputs 4 i .. 4 i + 3. */
INLINE void q8_unpack(q8_fmt f, q8_tables tables, const uint8_t *p, b64 out[8]) {
  int low = 0;
  if (f.bits == 8) UNROLL for (int i = 0; i < 8; i++) {
      out[i] = b_load(p + 64 * i);
      if (!Q8_FULL_U8) out[i] = b_flip_top(out[i]);
    }
  if (f.bits & 4) {
    const b64 top = b_load(p + 64 * (f.bits - 1)); /* of 5 bits */
    UNROLL for (int j = 0; j < 4; j++) {
      b64 line = b_load(p + 64 * j);
      out[2 * j] = b_part(line, 0, 15);
      out[2 * j + 1] = b_part(line, 4, 15);
      if (f.kind == NB_TRELLIS) {
        b64 beside = b_beside(line);
        out[2 * j] = q8_trellis(f, tables, out[2 * j], beside, 0, top, 2 * j);
        out[2 * j + 1] = q8_trellis(f, tables, out[2 * j + 1], beside, 4, top, 2 * j + 1);
      }
    }
    p += 4 * 64, low = 4;
  }
  if (f.bits & 2) {
    UNROLL for (int j = 0; j < 2; j++) {
      b64 line = b_load(p + 64 * j);
      UNROLL for (int m = 0; m < 4; m++) out[4 * j + m] =
          low ? b_part_or(line, 2 * m - low, 3 << low, out[4 * j + m]) : b_part(line, 2 * m, 3);
      if (f.kind == NB_TRELLIS) {
        b64 beside = b_beside(line);
        UNROLL for (int m = 0; m < 4; m++) out[4 * j + m] = b_part_or(beside, 2 * m - 3, 8, out[4 * j + m]);
      }
    }
    p += 2 * 64, low += 2;
  }
  if (f.bits & 1 && !(f.bits == 5 && f.kind == NB_TRELLIS)) {
    b64 line = b_load(p);
    UNROLL for (int m = 0; m < 8; m++) {
      if (f.kind == NB_TABLE && f.bits == 5) out[m] = b_lookup2(tables.part[0], tables.part[1], out[m], line, m);
      else out[m] = b_part_or(line, m - low, 1 << low, out[m]);
    }
  }
  if (f.kind != NB_UNIFORM && f.bits + (f.kind == NB_TRELLIS) <= 4)
    UNROLL for (int i = 0; i < 8; i++) out[i] = b_lookup(tables.part[0], out[i]);
}

/* The sums of q over `blocks` blocks of 32, starting at block b of token t. */
INLINE int32_t q8_sum(const nb_q8 *x, size_t t, size_t b, size_t blocks) {
  const int32_t *s = x->sum + t * (x->Kp / NB_BLOCK) + b;
  return blocks == 2 ? s[0] + s[1] : s[0];
}

/* A call of linear_q8. */
typedef struct q8_job {
  const nb_qmat *w;
  const nb_q8 *x;
  float *y; /* (T, N), ldy floats from one row to the next */
  size_t ldy;
  struct q8_scratch *scratch;
} q8_job;

INLINE void q8_finish(const nb_qmat *w, size_t tile_no, v16 acc, float *y) {
  size_t n = tile_no * NB_TILE;
  v_store_n(y + n, v_mul(acc, v_load_bf16(w->row_scale + n)), nb_min(w->N - n, NB_TILE));
}

/* V tiles and T tokens, the weights used as they are unpacked. V streams of codes are read side by side, since memory
 * gives more to several than to one; each asks for what lies Q8_AHEAD bytes further in its tile and, at its end, in the
 * tile that it reads next. */
INLINE void q8_few(q8_fmt f, const int T, const int V, const size_t blocks, const q8_job *job, size_t tile_no) {
  const nb_qmat *w = job->w;
  const nb_q8 *x = job->x;
  q8_tables tables = q8_load_tables(f, w);
  const size_t block = (size_t)f.bits * 64, tile = w->n_blocks * block, scales = w->n_groups * NB_TILE;
  const uint8_t *p = w->codes + tile_no * tile, *end = p + tile;
  const int8_t *scale = w->scale + tile_no * scales;
  v16 acc[Q8_FEW][Q8_FEW_TILES];
  for (int t = 0; t < T; t++)
    for (int v = 0; v < V; v++) acc[t][v] = v_set(0);
  for (size_t b = 0; b < w->n_blocks; b += blocks) {
    q8_acc sum[Q8_FEW][Q8_FEW_TILES][2];
    for (int t = 0; t < T; t++)
      for (int v = 0; v < V; v++)
        for (int i = 0; i < 2; i++) sum[t][v][i] = q8_start(i ? 0 : -q8_zero(f) * q8_sum(x, (size_t)t, b, blocks));
    for (size_t i = 0; i < blocks; i++, p += block) {
      const uint8_t *next = p + Q8_AHEAD + (V > 1 && p + Q8_AHEAD >= end ? (size_t)(V - 1) * tile : 0);
      UNROLL for (int v = 0; v < V; v++) {
        b64 c[8];
        for (int j = 0; j < f.bits; j++) __builtin_prefetch(next + (size_t)v * tile + 64 * j);
        q8_unpack(f, tables, p + (size_t)v * tile, c);
        for (int j = 0; j < 8; j++)
          for (int t = 0; t < T; t++) {
            q8_acc *s = &sum[t][v][T * V == 1 ? j & 1 : 0];
            *s = q8_dot(*s, c[j], q8_inputs(x->q + (size_t)t * x->Kp + (b + i) * NB_BLOCK + 4 * (size_t)j),
                        q8_positive(f));
          }
      }
    }
    UNROLL for (int v = 0; v < V; v++) {
      v16 ws = v_load_i8(scale + (size_t)v * scales + b * NB_BLOCK / w->fmt.group * NB_TILE);
      for (int t = 0; t < T; t++) {
        float xs = x->scale[(size_t)t * (x->Kp / NB_QA_GROUP) + b * NB_BLOCK / NB_QA_GROUP];
        q8_acc s = T * V == 1 ? q8_merge(sum[t][v][0], sum[t][v][1]) : sum[t][v][0];
        acc[t][v] = v_fma(q8_float(s), v_mul(ws, v_set(xs)), acc[t][v]);
      }
    }
  }
  for (int t = 0; t < T; t++)
    for (int v = 0; v < V; v++) q8_finish(w, tile_no + (size_t)v, acc[t][v], job->y + (size_t)t * job->ldy);
}

/* n_steps of `step` inputs (q8_micro's) from k0 of Q8_TILES tiles, unpacked, and the sums of a block of tokens. */
typedef struct q8_scratch {
  uint8_t w[Q8_K / 4][Q8_TILES][64];
#if Q8_SIGNS
  uint8_t sign[Q8_K / 4][Q8_TILES][64];
  int32_t start[Q8_K / NB_BLOCK][Q8_TILES][NB_TILE]; /* by step: the sums of |w| & sign */
#endif
  float scale[Q8_K / NB_BLOCK][Q8_TILES][NB_TILE]; /* by step */
  float acc[Q8_T][Q8_TILES][NB_TILE];
  size_t t0, k0, n_steps; /* t0: the token of acc[0] */
  int32_t zero;           /* q8_zero */
#if Q8_AMX
  int32_t sum[Q8_STEPS][Q8_TOKENS][NB_TILE] __attribute__((aligned(64))); /* of four steps */
  float xscale[Q8_TOKENS][Q8_K / NB_QA_GROUP];
#endif
} q8_scratch;

_Static_assert(sizeof(q8_scratch) <= NB_LINEAR_SCRATCH, "scratch");
_Static_assert(Q8_T % Q8_TOKENS == 0 && Q8_T % Q8_REST == 0, "whole tiles of tokens");

#if Q8_MMLA
#include "kernels/q8_micro_mmla.h"
#elif Q8_AMX
#include "kernels/q8_micro_amx.h"
#else
#include "kernels/q8_micro.h"
#endif
#if !Q8_AMX /* whose tile registers need to know what they are for, and to be given back */
INLINE void q8_begin(size_t step, size_t n) { (void)step, (void)n; }
INLINE void q8_end(void) {}
#endif

INLINE void q8_unpack_tiles(q8_fmt f, const nb_qmat *w, size_t tile_no, size_t n_tiles, size_t b0, size_t n_blocks,
                            q8_scratch *s) {
  q8_tables tables = q8_load_tables(f, w);
  for (size_t i = 0; i < n_tiles; i++) {
    const uint8_t *p = w->codes + ((tile_no + i) * w->n_blocks + b0) * (size_t)f.bits * 64;
    for (size_t b = 0; b < n_blocks; b++, p += f.bits * 64) {
      b64 c[8];
      q8_unpack(f, tables, p, c);
      for (size_t j = 0; j < 8; j += 2) q8_keep(s->w[8 * b + j][i], s->w[8 * b + j + 1][i], c[j], c[j + 1], q8_zero(f));
    }
  }
}

#if Q8_SIGNS
/* The unpacked weights of n_steps of `step` inputs as magnitudes and signs. */
INLINE void q8_part_signs(size_t n_tiles, size_t n_steps, size_t step, q8_scratch *s) {
  static const int8_t ones[4] = {1, 1, 1, 1};
  for (size_t i = 0; i < n_steps; i++)
    for (size_t v = 0; v < n_tiles; v++) {
      q8_acc sum = q8_start(0);
      for (size_t j = i * step / 4; j < (i + 1) * step / 4; j++) {
        b64 w = b_load(s->w[j][v]), sign = b_sign(w), size = b_abs(w);
        b_store(s->w[j][v], size);
        b_store(s->sign[j][v], sign);
        sum = q8_dot(sum, b_and(size, sign), q8_inputs(ones), true);
      }
      q8_store(s->start[i][v], sum);
    }
}
#endif

/* Copies of q8_micro, each compiled alone: gcc and clang keep the arrays in registers only then. */
#define Q8_MICRO_ARGS q8_scratch *s, const nb_q8 *x, size_t t, size_t n
#define Q8_MICRO(name, R, step, positive)                                                                              \
  NOINLINE void name(Q8_MICRO_ARGS) { q8_micro(R, step, positive, s, x, t, n); }
Q8_MICRO(q8_full64, Q8_TOKENS, 64, false)
Q8_MICRO(q8_full32, Q8_TOKENS, 32, false)
Q8_MICRO(q8_rest64, Q8_REST, 64, false)
Q8_MICRO(q8_rest32, Q8_REST, 32, false)
#if Q8_SIGNS
Q8_MICRO(q8_full64p, Q8_TOKENS, 64, true)
Q8_MICRO(q8_full32p, Q8_TOKENS, 32, true)
Q8_MICRO(q8_rest64p, Q8_REST, 64, true)
Q8_MICRO(q8_rest32p, Q8_REST, 32, true)
#endif

typedef void (*q8_micro_fn)(Q8_MICRO_ARGS);

INLINE q8_micro_fn q8_full(size_t step, bool positive) {
#if Q8_SIGNS
  if (positive) return step == 64 ? q8_full64p : q8_full32p;
#endif
  (void)positive;
  return step == 64 ? q8_full64 : q8_full32;
}
INLINE q8_micro_fn q8_rest(size_t step, bool positive) {
#if Q8_SIGNS
  if (positive) return step == 64 ? q8_rest64p : q8_rest32p;
#endif
  (void)positive;
  return step == 64 ? q8_rest64 : q8_rest32;
}

/* Fetches the lines [from, to) of a block of inputs of Q8_TILES tiles, whose codes are `stride` bytes apart. */
INLINE void q8_fetch(const uint8_t *codes, size_t stride, size_t tile_lines, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) __builtin_prefetch(codes + i / tile_lines * stride + i % tile_lines * 64);
}

/* The outputs of tokens [t, t + n) of the block from t0, whose sums are complete. */
INLINE void q8_finish_rows(const q8_job *job, size_t tile_no, size_t n_tiles, size_t t0, size_t t, size_t n) {
  float *y = job->y + t0 * job->ldy;
  for (size_t end = t + n; t < end; t++)
    for (size_t v = 0; v < n_tiles; v++)
      q8_finish(job->w, tile_no + v, v_load(job->scratch->acc[t][v]), y + t * job->ldy);
}

/* Claims the lines that Q8_TOKENS tokens from t will be written to: rows of y lie far apart. */
INLINE void q8_claim(const float *y, size_t ldy, size_t t, size_t end, size_t n_tiles) {
  for (size_t i = t; i < nb_min(t + Q8_TOKENS, end); i++)
    for (size_t v = 0; v < n_tiles; v++) __builtin_prefetch(y + i * ldy + v * NB_TILE, 1);
}

/* Q8_TILES tiles (or the last n_tiles: the others' sums are not used) and a block of tokens. While one block of
 * inputs is used, the codes of the next are fetched. */
INLINE void q8_many(q8_fmt f, const q8_job *job, size_t tile_no, size_t n_tiles, size_t t0, size_t n_t) {
  const nb_qmat *w = job->w;
  q8_scratch *s = job->scratch;
  const size_t step = nb_min(w->fmt.group, NB_QA_GROUP), K = w->n_blocks * NB_BLOCK;
  const size_t block = (size_t)f.bits * 64, tile_lines = Q8_K / NB_BLOCK * (size_t)f.bits;
  nb_assert(n_tiles >= 1 && n_tiles <= Q8_TILES && n_t >= 1 && n_t <= Q8_T && K % step == 0);
  q8_micro_fn full = q8_full(step, q8_positive(f)), rest = q8_rest(step, q8_positive(f));
  memset(s->acc, 0, nb_round_up(n_t, Q8_REST) * sizeof *s->acc);
  for (size_t k = 0; k < K; k += Q8_K) {
    size_t n_k = nb_min(K - k, Q8_K), n_steps = n_k / step, t = 0;
    q8_unpack_tiles(f, w, tile_no, n_tiles, k / NB_BLOCK, n_k / NB_BLOCK, s);
    s->t0 = t0, s->k0 = k, s->n_steps = n_steps, s->zero = q8_zero(f);
#if Q8_SIGNS
    if (!q8_positive(f)) q8_part_signs(n_tiles, n_steps, step, s);
#endif
    for (size_t i = 0; i < n_steps; i++)
      for (size_t v = 0; v < n_tiles; v++) {
        const int8_t *scale = w->scale + ((tile_no + v) * w->n_groups + (k + i * step) / w->fmt.group) * NB_TILE;
        v_store(s->scale[i][v], v_load_i8(scale));
      }
    for (size_t i = n_steps; i % Q8_STEPS; i++) memset(s->scale[i], 0, sizeof s->scale[i]);
    const size_t next = k + n_k < K ? tile_no * w->n_blocks + (k + n_k) / NB_BLOCK : (tile_no + Q8_TILES) * w->n_blocks;
    const size_t lines = next < w->n_tiles * w->n_blocks ? Q8_TILES * tile_lines : 0;
    q8_begin(step, Q8_TOKENS);
    for (; t + Q8_TOKENS <= n_t; t += Q8_TOKENS) {
      q8_fetch(w->codes + next * block, w->n_blocks * block, tile_lines, lines * t / n_t,
               lines * (t + Q8_TOKENS) / n_t);
      if (k + n_k == K) q8_claim(job->y + tile_no * NB_TILE, job->ldy, t0 + t + Q8_CLAIM, t0 + n_t, n_tiles);
      full(s, job->x, t0 + t, Q8_TOKENS);
      if (k + n_k == K) q8_finish_rows(job, tile_no, n_tiles, t0, t, Q8_TOKENS);
    }
    for (size_t n; t < n_t; t += n) {
      n = nb_min(Q8_REST, n_t - t);
      q8_begin(step, n);
      rest(s, job->x, t0 + t, n);
      if (k + n_k == K) q8_finish_rows(job, tile_no, n_tiles, t0, t, n);
    }
  }
  q8_end();
}

INLINE void q8_few_any(q8_fmt f, const int T, const q8_job *job, size_t tile0, size_t tile1) {
  const int V = Q8_FEW_TILES;
  size_t i = tile0;
  for (; i + (size_t)V <= tile1; i += (size_t)V) {
    if (job->w->fmt.group == 32) q8_few(f, T, V, 1, job, i);
    else q8_few(f, T, V, 2, job, i);
  }
  for (; i < tile1; i++) {
    if (job->w->fmt.group == 32) q8_few(f, T, 1, 1, job, i);
    else q8_few(f, T, 1, 2, job, i);
  }
}

INLINE void q8_run(q8_fmt f, const q8_job *job, size_t tile0, size_t tile1) {
  const size_t T = job->x->T;
  if (T <= Q8_FEW) {
    switch (T) {
    case 1: q8_few_any(f, 1, job, tile0, tile1); break;
    case 2: q8_few_any(f, 2, job, tile0, tile1); break;
    case 3: q8_few_any(f, 3, job, tile0, tile1); break;
    case 4: q8_few_any(f, 4, job, tile0, tile1); break;
    default: break;
    }
    return;
  }
  for (size_t t = 0; t < T; t += Q8_T)
    for (size_t i = tile0; i < tile1; i += Q8_TILES)
      q8_many(f, job, i, nb_min(tile1 - i, Q8_TILES), t, nb_min(T - t, Q8_T));
}

/* One function a format, so that each is optimised alone. */
#define Q8_ARGS const q8_job *job, size_t tile0, size_t tile1
NOINLINE void q8_u3(Q8_ARGS) { q8_run((q8_fmt){3, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_u4(Q8_ARGS) { q8_run((q8_fmt){4, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_u5(Q8_ARGS) { q8_run((q8_fmt){5, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_u6(Q8_ARGS) { q8_run((q8_fmt){6, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_u7(Q8_ARGS) { q8_run((q8_fmt){7, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_u8(Q8_ARGS) { q8_run((q8_fmt){8, NB_UNIFORM}, job, tile0, tile1); }
NOINLINE void q8_t3(Q8_ARGS) { q8_run((q8_fmt){3, NB_TABLE}, job, tile0, tile1); }
NOINLINE void q8_t4(Q8_ARGS) { q8_run((q8_fmt){4, NB_TABLE}, job, tile0, tile1); }
NOINLINE void q8_t5(Q8_ARGS) { q8_run((q8_fmt){5, NB_TABLE}, job, tile0, tile1); }
NOINLINE void q8_c3(Q8_ARGS) { q8_run((q8_fmt){3, NB_TRELLIS}, job, tile0, tile1); }
NOINLINE void q8_c4(Q8_ARGS) { q8_run((q8_fmt){4, NB_TRELLIS}, job, tile0, tile1); }
NOINLINE void q8_c5(Q8_ARGS) { q8_run((q8_fmt){5, NB_TRELLIS}, job, tile0, tile1); }

static void linear_q8(const nb_qmat *w, size_t tile0, size_t tile1, const nb_q8 *x, float *y, size_t ldy,
                      void *scratch) {
  static void (*const run[NB_QKINDS][9])(Q8_ARGS) = {{0, 0, 0, q8_u3, q8_u4, q8_u5, q8_u6, q8_u7, q8_u8},
                                                     {0, 0, 0, q8_t3, q8_t4, q8_t5, 0, 0, 0},
                                                     {0, 0, 0, q8_c3, q8_c4, q8_c5, 0, 0, 0}};
  nb_assert(nb_qfmt_valid(w->fmt) && nb_assert_aligned(w->codes, NB_QMAT_ALIGN) && nb_assert_aligned(x->q, 64) &&
            nb_assert_aligned(scratch, 64));
  nb_assert(tile0 <= tile1 && tile1 <= w->n_tiles && x->Kp % NB_K_PAD == 0 && x->Kp >= w->n_blocks * NB_BLOCK);
  nb_assert(x->T <= 1 || ldy >= nb_min(w->N, tile1 * NB_TILE));
  const q8_job job = {w, x, y, ldy, scratch};
  run[w->fmt.kind][w->fmt.bits](&job, tile0, tile1);
}

#endif
