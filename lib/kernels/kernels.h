/* SPDX-License-Identifier: MIT */
/* The kernels: what each computes, exactly. Included only by lib/ and tests.
 *
 * Contract: every kernel of every instruction set gives the same bits as ref.c, for any split of the work.
 *  - integer sums are exact;
 *  - every floating-point step is one correctly rounded operation (add, mul, div, sqrt, fma), in the order given here;
 *  - a sum over a long axis that is not across lanes runs in ascending order; a sum across lanes is made of
 *    16 partial sums (element i goes to partial i mod 16, ascending) that are added as a fixed tree:
 *    halves 8, 4, 2, 1 (partial i gets partial i + 8, and so on);
 *  - exp is nb_exp's polynomial (see simd16.h).
 * NaN spreads: a NaN among the inputs of an output makes that output NaN (only its payload may differ between
 * instruction sets), so a caller that checks the last result sees it.
 * Kernels cannot fail, do not allocate and do not start threads. Pointers need no alignment unless said. */
#ifndef NB_KERNELS_H
#define NB_KERNELS_H

#include "base/f16.h"
#include "base/qmat.h"
#include "base/tensor.h"
#include "kernels/kv_layout.h"

#include <stdint.h>

/* Quantized activations: x[t][k] = scale[t][k / 64] * q[t][k]. 64-byte aligned arrays. */
typedef struct nb_q8 {
  size_t T, K, Kp; /* rows, inputs, inputs padded to a multiple of NB_K_PAD (with zeros) */
  int8_t *q;       /* (T, Kp), -127..127 */
  float *scale;    /* (T, Kp / 64) */
  int32_t *sum;    /* (T, Kp / 32): sums of q over each block of 32 */
} nb_q8;

/* The inputs of linears: T rows as floats and, when any of the matrices is coded, as int8. */
typedef struct nb_rows {
  const float *x; /* (T, K), ldx floats from one row to the next */
  size_t T, ldx;
  const nb_q8 *q; /* the same rows quantized; NULL when no matrix is coded */
} nb_rows;

/* What a feed-forward block applies to its gate, g, or, without one, to its only inner state. */
typedef enum nb_activation {
  NB_ACT_SILU,      /* g / (1 + exp(-g)) */
  NB_ACT_GELU_TANH, /* g / (1 + exp(-2 u)), u = sqrt(2 / pi) (g + 0.044715 g^3): 0.5 g (1 + tanh u) */
  NB_ACT_GEGELU,    /* c / (1 + exp(-1.702 c)), c = min(g, 20); what it multiplies is clamped to +-20, and 1 is added */
  NB_ACTIVATIONS
} nb_activation;

/* Attention of one key/value head: n_q consecutive query positions, `group` query heads each.
 * Query at position p sees the keys at positions max(0, p - window + 1) .. p (window 0: all up to p). */
typedef struct nb_attn {
  const float *q;              /* query t, head g at q + t * ldq + g * head_dim; rotated, not scaled */
  float *out;                  /* likewise, out + t * ldo + g * head_dim; may not overlap q */
  size_t ldq, ldo;             /* floats from one token to the next */
  size_t n_q, group, head_dim; /* head_dim is a multiple of 2, at most 512 */
  size_t pos0;                 /* position of query 0 */
  size_t window;               /* 0, or how many positions a query sees, itself included */
  size_t sparse_local;         /* not 0: of cache block kb a query of block qb sees all or nothing: it sees it if */
  size_t sparse_stride;        /* qb - kb < sparse_local or (kb + h + 1) % sparse_stride == 0, where h is */
  size_t sparse_first;         /* that of the group's first head and grows */
  size_t sparse_shift;         /* by so much from head to head */
  float softcap;               /* not 0: a score becomes softcap * tanh(score / softcap) */
  float scale;                 /* scores are scale * (q . k) */
  nb_kv_type type;
  const uint8_t *shared; /* blocks 0 .. n_shared-1 (a prefix that several sequences read) */
  size_t n_shared;
  const uint8_t *own; /* blocks n_shared, n_shared + 1, ... */
} nb_attn;

/* The levels that a quantizer rounds to, at most NB_MAX_LEVELS (256 when uniform). */
typedef struct nb_levels {
  unsigned n;   /* levels */
  bool uniform; /* the levels are val[0] + 0, 1, ... n - 1 (integers); x goes to the nearest, ties to even */
  float mid[NB_MAX_LEVELS - 1]; /* table: thresholds, ascending; x has the level number count of (mid[i] < x) */
  float val[NB_MAX_LEVELS];     /* table: values, ascending; uniform: val[0] */
} nb_levels;

enum { NB_TRELLIS_STATES = 4 };

/* The levels of trellis codes (qmat.h) by kind, 2 s + the code's lowest bit: those whose number is the kind modulo 4.
 */
typedef struct nb_trellis_levels {
  uint8_t nearest[NB_TRELLIS_STATES][256]; /* of a kind, the level that is nearest to the integer i - 128 */
  float value[256][2 * NB_TRELLIS_STATES]; /* the same levels' values, of each integer all kinds, twice */
} nb_trellis_levels;

/* Where x, in units of the values, lies among those integers: x + 128, rounded to the nearest, ties to even, and at
 * least 0, at most 255. NaN: 0. */
static inline unsigned nb_levels_place(float x) {
  float c = x > 127 ? 127 : x > -128 ? x : -128;
  return nb_f32_bits(c + (0x1.8p23f + 128)) & 255;
}

/* How the rows of a tile go together: errors f of theirs lose f A f^T. */
typedef struct nb_trellis_ties {
  float sums[NB_TILE][NB_TILE]; /* A, by row; 0 for rows that are not there */
  /* The same as a path meets it: A = mix^T diag(weight) mix, so that what is lost is a sum over the rows of the ring
   * (qmat.h), of each by what it and those before it have lost. mix has ones on its diagonal, and 0 above it. */
  float mix[NB_TILE][NB_TILE];
  float weight[NB_TILE];
} nb_trellis_ties;

/* One input of the rows of a tile: row r may become step[r] * value[level], and what is then missing to x[r] is its
 * error. */
typedef struct nb_trellis_column {
  unsigned rows; /* the others cost nothing, and their codes have 0 as the lowest bit: they need not be kept */
  float x[NB_TILE], step[NB_TILE];
  const nb_trellis_ties *ties; /* what errors cost. NULL: the square of each in steps, so that every row fares as it
                                * would among its like, whatever the sizes of the others, which say nothing of how much
                                * a row matters */
} nb_trellis_column;

/* A product of float matrices: c (M, N) from a (M, K) and b (K, N). Either step of each factor is 1. */
typedef struct nb_gemm {
  size_t M, N, K;
  const float *a, *b;
  size_t ai, ak; /* a[i][k] is a[i * ai + k * ak] */
  size_t bk, bj; /* b[k][j] is b[k * bk + j * bj] */
  float *c;      /* rows ldc apart; may not overlap a or b */
  size_t ldc;
  float alpha;
  bool add; /* to what c holds; else c counts as 0 and is not read */
} nb_gemm;

/* Inputs as gram_round has them, in blocks of NB_GRAM_TOKENS tokens, and where their products are added. a and b begin
 * at an input whose number is a multiple of 16. */
typedef struct nb_gram {
  size_t M, N;          /* inputs of a and of b that are meant */
  size_t n_blocks;      /* of tokens */
  const int16_t *a, *b; /* of the first block; the next is a_inputs or b_inputs times NB_GRAM_TOKENS further */
  const float *a_scale, *b_scale;
  size_t a_inputs, b_inputs; /* stored in a block, multiples of 16 */
  float *y;                  /* (M, N), rows ldy apart */
  size_t ldy;
} nb_gram;

enum {
  NB_GEMM_CHUNK = 128,  /* products that are summed before they are added to c */
  NB_GRAM_TOKENS = 128, /* so many products of NB_GRAM_TOP squared fit 32 bits */
  NB_GRAM_TOP = 4095
};
/* Ranges below this one gram_round takes for 0. (2^-51 / 4095)^2 > 2^-126: no product of two other scales is subnormal,
 * where its few bits would spoil the exact sum that it multiplies. */
#define NB_GRAM_LEAST 0x1p-51f

/* Elements that a Hadamard transform of n takes together: the largest power of two that divides n. */
static inline size_t nb_kernels_hadamard_run(size_t n) { return n & (~n + 1); }

/* What bounds a machine. */
typedef enum nb_peak_unit {
  NB_PEAK_INT8, /* int8 multiply-adds in registers, with the instructions of linear_q8 */
  NB_PEAK_F32,  /* float multiply-adds in registers */
  NB_PEAK_READ, /* bytes of memory read in order */
  NB_PEAK_UNITS
} nb_peak_unit;

/* A loop that does nothing else, for benchmarks (peak.h). */
typedef struct nb_peak {
  nb_peak_unit unit;
  const char *instruction;                      /* "vpdpbusd zmm" */
  int chains;                                   /* registers that are summed in; NB_PEAK_READ: streams side by side */
  int ahead;                                    /* NB_PEAK_READ: bytes from what is read to what is asked for; or 0 */
  uint64_t (*macs)(size_t rounds);              /* does this many times its multiply-adds; returns how many they were */
  uint64_t (*read)(const uint8_t *p, size_t n); /* reads n bytes, a multiple of NB_PEAK_BYTES; returns n */
} nb_peak;

enum {
  NB_PEAK_BYTES = 2048,
  NB_KERNEL_SETS = 8 /* instruction sets that a build may have, at most */
};

typedef struct nb_kernels {
  const char *name; /* "ref", "avx2", ... */

  /* One row of activations (K floats) to q (Kp), scale (Kp/64), sum (Kp/32). For each 64 inputs:
   * amax = max |x|; scale = amax / 127; q = round-to-nearest-even(x * (127 / amax)).
   * When amax < 2^-100: scale and q are 0. When x holds an infinity or NaN, scale is that and q is 0: every
   * product of the row is then NaN. */
  void (*quantize_q8)(const float *x, size_t K, size_t Kp, int8_t *q, float *scale, int32_t *sum);

  /* y[t][n] for the rows n of tiles [tile0, tile1), n < N, and all T tokens; at y + t * ldy + n.
   * With step = min(group, 64): acc = 0; for each step s ascending:
   *     isum = sum over the step's inputs of q * value(code)       (exact)
   *     acc  = fma((float)isum, (float)w.scale[s's group] * x.scale[s's 64], acc)
   * y = acc * row_scale. scratch: nb_kernels_linear_scratch(w->n_blocks * 32) bytes, 64-byte aligned, one a thread. */
  void (*linear_q8)(const nb_qmat *w, size_t tile0, size_t tile1, const nb_q8 *x, float *y, size_t ldy, void *scratch);

  /* y[t][n] = sum over k ascending of fma(x[t][k], w[n][k], acc), acc starting at 0, for rows [n0, n1).
   * w (N, K) row-major, any dtype, converted exactly. scratch as above, with K. */
  void (*linear_float)(const nb_tensor *w, size_t n0, size_t n1, const nb_rows *x, float *y, size_t ldy, void *scratch);

  /* For each 128 inputs k (NB_GEMM_CHUNK), ascending: part = 0; for k ascending part = fma(a[i][k], b[k][j], part);
   * then c[i][j] = fma(alpha, part, c[i][j]). So c's bits do not depend on how M and N are split.
   * scratch: NB_GEMM_SCRATCH bytes, 64-byte aligned, one a thread. */
  void (*gemm)(const nb_gemm *g, void *scratch);

  /* Up to NB_GRAM_TOKENS rows of x (T, K) as integers with a scale for each input: range = max over t of |x[t][k]|;
   * scale[k] = range / 4095; z = x * (4095 / range), the exact product rounded to nearest even. When range is below
   * NB_GRAM_LEAST, scale and z are 0. When it is an infinity or NaN, so is scale, and z is 0. z holds, for each 16
   * inputs (missing ones are 0), for each two tokens (likewise, NB_GRAM_TOKENS in all), two integers an input; scale is
   * padded to a multiple of 16. */
  void (*gram_round)(const float *x, size_t ldx, size_t T, size_t K, int16_t *z, float *scale);

  /* For each block ascending: y[i][j] = fma((float)(sum over t of a[t][i] * b[t][j]), a_scale[i] * b_scale[j],
   * y[i][j]); the sum is exact. */
  void (*gram_add)(const nb_gram *g);

  /* y = x * (1 / sqrt(mean(x^2) + eps)) * w: the sum of squares by 16 partial fmas, then
   * r = 1 / sqrt(sum / D + eps); y = (x * r) * w. y may be x. */
  void (*rmsnorm)(const float *x, const float *w, size_t D, float eps, float *y);

  /* y = (x - mean) * (1 / sqrt(var + eps)) * w + b: the mean and the mean square of x - mean by 16 partials and the
   * tree (fma for the squares); y = fma((x - mean) * r, w, b). b may be NULL: then without adding. y may be x. */
  void (*layernorm)(const float *x, const float *w, const float *b, size_t D, float eps, float *y);

  /* Rotates the pairs (x[i], x[i + half]), i < half: a = x[i], b = x[i + half]:
   * x[i] = fma(a, cos[i], -(b * sin[i])), x[i + half] = fma(b, cos[i], a * sin[i]). */
  void (*rope)(float *x, const float *cos, const float *sin, size_t half);

  /* The Hadamard transform, unscaled, of each run of nb_kernels_hadamard_run(n) of the n elements (n <= 512, or the run
   * is): log2(run) steps of y[2 i] = x[i] + x[i + run / 2], y[2 i + 1] = x[i] - x[i + run / 2]. Dot products of two
   * transformed vectors are run times what they were. */
  void (*hadamard)(float *x, size_t n);

  /* y = act(gate) * up, elementwise, or act(gate) when up is NULL. Both of NB_ACT_GEGELU's clamps let NaN through.
   * gelu: u2 = (g * (g * g * 0.044715 + 1)) * (2 sqrt(2 / pi)), fma for the inner sum. y may be gate or up. */
  void (*activate)(nb_activation act, const float *gate, const float *up, size_t n, float *y);

  /* x = exp(x) */
  void (*exp)(float *x, size_t n);

  /* x = cap * tanh(x / cap), tanh(z) being 1 - 2 / (exp(2 z) + 1). */
  void (*softcap)(float *x, size_t n, float cap);

  /* x += y */
  void (*add)(float *x, const float *y, size_t n);

  /* Stores one position's key and value (head_dim floats each) in slot pos % 64 of its block.
   * f16: rounded to nearest even. q16, q8: as quantize_q8, one scale a position, amax / nb_kv_top or amax / 127. */
  void (*kv_store)(uint8_t *block, nb_kv_type type, size_t head_dim, size_t slot, const float *k, const float *v);

  /* For each query and head, over the cache blocks that hold a visible key, ascending, m = -1e30, l = 0, acc = 0:
   *     s[j]  = the score of the block's position j, below, soft-capped
   *     m'    = max(m, visible s[j]);  c = exp(m - m');  p[j] = visible ? exp(s[j] - m') : 0
   *     l     = fma(l, c, sum of p: 16 partials (p[i] + p[i + 16]) + (p[i + 32] + p[i + 48]), then the tree)
   *     acc[d] = acc[d] * c, and the block's values, below;   m = m'
   * Float caches: s[j] = (sum over d ascending of fma(q[d], k[d][j])) * scale; for j ascending
   *     acc[d] = fma(p[j], v[j][d], acc[d]).
   * Integer caches, where only the rounding of q and of p is new and all sums are exact: q becomes integers qi as
   * quantize_q8 does it, one scale qs = amax / nb_kv_top for all of q, and
   *     s[j]   = (float)(sum over d of qi[d] * k[d][j]) * (k_scale[j] * (qs * scale))
   *     r[j]   = p[j] * v_scale[j];  t = max r[j];  pi[j] = round(r[j] * (8191 / t));  (t < 2^-100: all 0)
   *     acc[d] = fma((float)(sum over j of pi[j] * v[j][d]), t / 8191, acc[d]).
   * out[d] = acc[d] / l + 0. A block without a visible key may be run or skipped (the + 0 hides -0, the only
   * trace of it). Every slot of a visible block is read: slots not stored yet must hold finite numbers (0). scratch:
   * nb_attn_scratch_bytes. */
  void (*attention)(const nb_attn *a, void *scratch);

  /* How well n weights (a multiple of 16, zero-padded) fit some levels at one scale: with t = level of w * inv,
   * out[0] = sum of (imp * t) * w, out[1] = sum of (imp * t) * t, by 16 partial fmas and the tree.
   * imp (n) weighs each; NULL is 1. A NaN weight has the lowest level and makes out[0] NaN. */
  void (*quant_fit)(const float *w, const float *imp, size_t n, float inv, const nb_levels *lv, float out[2]);

  /* The numbers of those levels, one a byte. */
  void (*quant_codes)(const float *w, size_t n, float inv, const nb_levels *lv, uint8_t *code);

  /* The levels of 16 rows that cost least together, and are a path (qmat.h). Without ties exactly (Viterbi's algorithm,
   * from each of the four states to itself), but that of a kind a row takes the level nearest to its target's place. Of
   * rows that are tied, what a row had better be depends on the whole path before it: here on the best one to each
   * state from each start (per-survivor processing: Raheli, Polydoros and Tzou 1995). In the order of the ring, the
   * i-th row's target is u = x / step, its error e = u - value and its cost e * e; or, tied, moved = x, for j ascending
   * fma(mix[i][j], f[j], moved), u = moved * (1 / step), e = moved - step * value, the cost (e * e) * weight[i], and
   * f[i] = x - step * value. Where step is 0, 1 / step is, and e without ties. Costs are added in that order; of equal
   * ones, the path whose code two rows before is even goes on, and the first start wins. */
  void (*trellis_path)(const nb_trellis_levels *lv, const nb_trellis_column *c, uint8_t level[NB_TILE]);

  /* log(sum(exp(x - max))) + max over n floats: 16 partials, the tree, then double-precision log. */
  double (*logsumexp)(const float *x, size_t n);

  /* The loops of this set and of those below it, a list a set: the machine's limit of a unit is the best of all of its
   * loops, since a narrower instruction may be the faster one. */
  const nb_peak *peaks[NB_KERNEL_SETS];
  size_t n_peaks[NB_KERNEL_SETS]; /* loops of a list; 0 after the last */
} nb_kernels;

/* Kp for rows of K inputs: an odd number of times NB_K_PAD, so that the same inputs of 16 rows fall into different sets
 * of the caches. */
static inline size_t nb_kernels_pad_inputs(size_t K) { return ((K + NB_K_PAD - 1) / NB_K_PAD | 1) * NB_K_PAD; }

enum {
  NB_LINEAR_TOKENS = 240, /* tokens of a block: a multiple of each set's, and their activations fit most L2 caches */
  NB_GEMM_SCRATCH = 408 * 1024,
  NB_LINEAR_SCRATCH = 160 * 1024, /* what nb_kernels_linear_scratch gives, for any K */
  NB_V16_MAX_ROWS = 8             /* the largest V16_ROWS of a v16_*.h */
};

/* out (K) = x (K) as the kernels of coded matrices see it: rounded to int8, as floats again. q (K padded to NB_K_PAD),
 * scale and sum are workspace, as quantize_q8 has them. out may be x. */
void nb_kernels_round_q8(const nb_kernels *k, const float *x, size_t K, int8_t *q, float *scale, int32_t *sum,
                         float *out);

/* Bytes of scratch that one thread needs, for matrices of K inputs / for heads of head_dim. */
size_t nb_kernels_linear_scratch(size_t K);
size_t nb_attn_scratch_bytes(size_t head_dim);

/* Adds a list of loops to a table's. */
void nb_kernels_add_peaks(nb_kernels *k, const nb_peak *list, size_t n);

/* Each sets the entries that the instruction set improves and adds its loops. ref sets all of them. */
void nb_kernels_ref(nb_kernels *k);
void nb_kernels_avx2(nb_kernels *k);
void nb_kernels_avxvnni(nb_kernels *k);
void nb_kernels_avx512(nb_kernels *k);
void nb_kernels_avx512vnni(nb_kernels *k);
void nb_kernels_amxint8(nb_kernels *k);
void nb_kernels_neon(nb_kernels *k);
void nb_kernels_neon_dotprod(nb_kernels *k);
void nb_kernels_neon_i8mm(nb_kernels *k);
void nb_kernels_simd128(nb_kernels *k);

/* The best table for a set of features (cpu.h), and the list of the tables that they allow, slowest first. */
nb_kernels nb_kernels_select(unsigned cpu_features);
size_t nb_kernels_all(unsigned cpu_features, nb_kernels out[NB_KERNEL_SETS]);

#endif
