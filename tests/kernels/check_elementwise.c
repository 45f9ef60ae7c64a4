/* SPDX-License-Identifier: MIT */
/* The elementwise kernels, the quantizer's, exp, and where NaN goes. */
#include "check.h"

#include "kernels/v16_ref.h"

#include "kernels/simd16.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* exp over the whole range, and its promises. */
void test_exp(check *c) {
  double worst = 0;
  for (int i = 0; i < 100000; i++) {
    float x = -87 + 175.7f * (float)rnd_below(c, 1 << 24) * 0x1p-24f;
    if (i % 4 == 0) x = ldexpf(rnd_unit(c), -(int)rnd_below(c, 30));
    if (x <= -86.9f || x > 88.7f) continue;
    double want = exp(x), ulp = ldexp(1, ilogb(want) - 23);
    worst = fmax(worst, fabs(nb_exp(x) - want) / ulp);
  }
  that(c, worst < 1.0, "exp is off by a unit in the last place or more");
  that(c, nb_exp(0) == 1 && nb_exp(-0.0f) == 1, "exp(0) is not 1");
  that(c, nb_exp(-1e30f) == 0 && nb_exp(-INFINITY) == 0 && nb_exp(-88) == 0, "exp does not end in 0");
  that(c, isinf(nb_exp(89)) && isinf(nb_exp(1e30f)) && isinf(nb_exp(INFINITY)), "exp does not end in infinity");
  that(c, isnan(nb_exp(NAN)), "exp loses NaN");
  float x[40], y[40];
  rnd_floats(c, x, 40, F_UNIT);
  memcpy(y, x, sizeof x);
  c->k->exp(y, 37);
  for (int i = 0; i < 40; i++) x[i] = i < 37 ? nb_exp(x[i]) : x[i];
  same_floats(c, x, y, 40);
}

void test_rmsnorm(check *c) {
  size_t D = 1 + rnd_below(c, 700);
  int kind = (int)rnd_below(c, F_KINDS);
  float *x = floats(c, D), *w = floats(c, D), *want = floats(c, D), *got = floats(c, D), eps = 1e-5f;
  snprintf(c->what, sizeof c->what, "rmsnorm D=%zu kind %d", D, kind);
  rnd_floats(c, x, D, kind);
  rnd_floats(c, w, D, F_UNIT);
  c->ref->rmsnorm(x, w, D, eps, want);
  memcpy(got, x, D * sizeof *x);
  c->k->rmsnorm(rnd_below(c, 2) ? got : x, w, D, eps, got); /* in place or not */
  same_floats(c, want, got, D);
  double ss = 0;
  for (size_t i = 0; i < D; i++) ss += (double)x[i] * x[i];
  double r = 1 / sqrt(ss / (double)D + eps);
  for (size_t i = 0; i < D; i++) {
    double y = x[i] * r * w[i];
    near(c, y, got[i], fabs(y) * ((double)D / 32 + 12) * U + 0x1p-148);
  }
}

void test_rope(check *c) {
  size_t half = 1 + rnd_below(c, 130);
  float *x = floats(c, 2 * half), *y = floats(c, 2 * half), *z = floats(c, 2 * half), *cosines = floats(c, half);
  float *sines = floats(c, half);
  snprintf(c->what, sizeof c->what, "rope half=%zu", half);
  rnd_floats(c, x, 2 * half, (int)rnd_below(c, F_KINDS));
  rnd_floats(c, cosines, half, F_UNIT);
  rnd_floats(c, sines, half, F_ZERO);
  memcpy(y, x, 2 * half * sizeof *x);
  memcpy(z, x, 2 * half * sizeof *x);
  c->ref->rope(y, cosines, sines, half);
  c->k->rope(z, cosines, sines, half);
  same_floats(c, y, z, 2 * half);
  for (size_t i = 0; i < half; i++) {
    double a = x[i], b = x[half + i], bound = 2.5 * U * (fabs(a) + fabs(b)) + 0x1p-147;
    near(c, a * cosines[i] - b * sines[i], z[i], bound);
    near(c, b * cosines[i] + a * sines[i], z[half + i], bound);
  }
}

/* Against its definition: the sign of element i in sum j is (-1) to the number of ones that i and j share. */
void test_hadamard(check *c) {
  size_t run = (size_t)1 << rnd_below(c, 10), n = run * (2 * rnd_below(c, 512 / run > 2 ? 3 : 1) + 1);
  float *x = floats(c, n), *y = floats(c, n), *z = floats(c, n);
  snprintf(c->what, sizeof c->what, "hadamard n=%zu", n);
  rnd_floats(c, x, n, (int)rnd_below(c, F_KINDS));
  memcpy(y, x, n * sizeof *x);
  memcpy(z, x, n * sizeof *x);
  c->ref->hadamard(y, n);
  c->k->hadamard(z, n);
  same_floats(c, y, z, n);
  for (size_t i = 0; i < n; i++) {
    double sum = 0, size = 0;
    for (size_t j = 0; j < run; j++) {
      double v = x[i / run * run + j];
      sum += __builtin_popcountll(i % run & j) % 2 ? -v : v;
      size += fabs(v);
    }
    near(c, sum, z[i], 10 * U * size + 0x1p-147);
  }
}

/* What the activations are, in double precision. */
static double activated(nb_activation act, double g, double u) {
  if (act == NB_ACT_SILU) return g / (1 + exp(-g)) * u;
  if (act == NB_ACT_GELU_TANH) return 0.5 * g * (1 + tanh(sqrt(2 / acos(-1)) * (g + 0.044715 * g * g * g))) * u;
  double c = fmin(g, 20);
  return c / (1 + exp(-1.702 * c)) * (fmax(-20, fmin(u, 20)) + 1);
}

void test_activate(check *c) {
  size_t n = 1 + rnd_below(c, 300);
  nb_activation act = (nb_activation)rnd_below(c, NB_ACTIVATIONS);
  float *g = floats(c, n), *u = floats(c, n), *want = floats(c, n), *got = floats(c, n);
  bool gated = act == NB_ACT_GEGELU || rnd_below(c, 2);
  snprintf(c->what, sizeof c->what, "activate %d n=%zu gated %d", (int)act, n, gated);
  rnd_floats(c, g, n, (int)rnd_below(c, F_KINDS));
  rnd_floats(c, u, n, F_UNIT);
  for (size_t i = 0; i < n; i++) {
    if (rnd_below(c, 2)) g[i] *= 100;
    if (rnd_below(c, 4) == 0) u[i] *= 30;
  }
  c->ref->activate(act, g, gated ? u : NULL, n, want);
  memcpy(got, g, n * sizeof *g);
  c->k->activate(act, got, gated ? u : NULL, n, got);
  same_floats(c, want, got, n);
  for (size_t i = 0; i < n; i++) {
    double y = activated(act, g[i], gated ? u[i] : 1), t = fabs((double)g[i]), size = fabs((double)g[i]) + 1;
    /* The tanh form's own double loses digits where it is nearly 0, and an argument of exp carries its rounding. */
    if (!isfinite(t * t * t)) continue;
    near(c, y, got[i],
         (fabs(y) * 8 + (act == NB_ACT_SILU ? 0 : size * 40)) * U * (gated ? fabs(u[i]) + 1 : 1) + 0x1p-110);
  }
}

void test_softcap(check *c) {
  size_t n = 1 + rnd_below(c, 300);
  float *x = floats(c, n), *want = floats(c, n), *got = floats(c, n), cap = 1 + 60 * fabsf(rnd_unit(c));
  snprintf(c->what, sizeof c->what, "softcap n=%zu cap %g", n, (double)cap);
  rnd_floats(c, x, n, (int)rnd_below(c, F_KINDS));
  for (size_t i = 0; i < n; i++)
    if (rnd_below(c, 2)) x[i] *= 50;
  memcpy(want, x, n * sizeof *x), memcpy(got, x, n * sizeof *x);
  c->ref->softcap(want, n, cap);
  c->k->softcap(got, n, cap);
  same_floats(c, want, got, n);
  for (size_t i = 0; i < n; i++) near(c, cap * tanh((double)x[i] / cap), got[i], 8 * U * cap);
}

void test_layernorm(check *c) {
  size_t D = 1 + rnd_below(c, 700);
  int kind = (int)rnd_below(c, F_KINDS);
  bool bias = rnd_below(c, 2);
  float *x = floats(c, D), *w = floats(c, D), *b = floats(c, D), *want = floats(c, D), *got = floats(c, D), eps = 1e-5f;
  snprintf(c->what, sizeof c->what, "layernorm D=%zu kind %d bias %d", D, kind, bias);
  rnd_floats(c, x, D, kind);
  rnd_floats(c, w, D, F_UNIT);
  rnd_floats(c, b, D, F_UNIT);
  c->ref->layernorm(x, w, bias ? b : NULL, D, eps, want);
  memcpy(got, x, D * sizeof *x);
  c->k->layernorm(rnd_below(c, 2) ? got : x, w, bias ? b : NULL, D, eps, got);
  same_floats(c, want, got, D);
  double mean = 0, var = 0, top = 0;
  for (size_t i = 0; i < D; i++) mean += (double)x[i] / (double)D, top = fmax(top, fabs((double)x[i]));
  for (size_t i = 0; i < D; i++) var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)D;
  double r = 1 / sqrt(var + eps);
  if (!isfinite(top * top)) return;
  for (size_t i = 0; i < D; i++) {
    double y = (x[i] - mean) * r * w[i], size = top * r * fabs(w[i]); /* the mean's own rounding is of top's size */
    near(c, y + (bias ? b[i] : 0), got[i], (size + fabs(y)) * ((double)D / 16 + 16) * U + U + 0x1p-148);
  }
}

void test_add(check *c) {
  size_t n = 1 + rnd_below(c, 300);
  float *x = floats(c, n), *y = floats(c, n), *z = floats(c, n);
  snprintf(c->what, sizeof c->what, "add n=%zu", n);
  rnd_floats(c, x, n, (int)rnd_below(c, F_KINDS));
  rnd_floats(c, y, n, (int)rnd_below(c, F_KINDS));
  memcpy(z, x, n * sizeof *x);
  c->k->add(z, y, n);
  for (size_t i = 0; i < n; i++) x[i] = x[i] + y[i];
  same_floats(c, x, z, n);
}

void test_logsumexp(check *c) {
  size_t n = 1 + rnd_below(c, 2000);
  float *x = floats(c, n);
  snprintf(c->what, sizeof c->what, "logsumexp n=%zu", n);
  rnd_floats(c, x, n, rnd_below(c, 2) ? F_UNIT : F_TINY);
  float by = rnd_below(c, 2) ? 1.0f : 30.0f;
  for (size_t i = 0; i < n; i++) x[i] = x[i] * by + by;
  double want = c->ref->logsumexp(x, n), got = c->k->logsumexp(x, n), sum = 0;
  that(c, memcmp(&want, &got, sizeof got) == 0, "not the reference's bits");
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i]);
  near(c, log(sum), got, ((double)n / 16 + 80) * U);
}

void test_quant_fit(check *c) {
  size_t n = 16 * (1 + rnd_below(c, 17));
  nb_levels lv = {.n = 2 + (unsigned)rnd_below(c, 31), .uniform = rnd_below(c, 2)};
  if (lv.uniform) lv.n = 1u << (3 + rnd_below(c, 6)), lv.val[0] = -(float)(lv.n / 2);
  else
    for (unsigned i = 0; i < lv.n; i++) {
      lv.val[i] = (float)i * 3 - 50 + rnd_unit(c);
      if (i) lv.mid[i - 1] = (lv.val[i - 1] + lv.val[i]) / 2;
    }
  snprintf(c->what, sizeof c->what, "quant_fit n=%zu levels %u uniform %d", n, lv.n, lv.uniform);
  float *w = floats(c, n), *imp = rnd_below(c, 2) ? floats(c, n) : NULL, want[2], got[2];
  rnd_floats(c, w, n, F_UNIT);
  if (imp) rnd_floats(c, imp, n, F_UNIT);
  float inv = 1.5f * lv.val[0] * rnd_unit(c);
  uint8_t *a = buffer(c, n), *b = buffer(c, n);
  c->ref->quant_fit(w, imp, n, inv, &lv, want);
  c->k->quant_fit(w, imp, n, inv, &lv, got);
  same_floats(c, want, got, 2);
  c->ref->quant_codes(w, n, inv, &lv, a);
  c->k->quant_codes(w, n, inv, &lv, b);
  same_bytes(c, a, b, n);
  double tw = 0, tt = 0, tw_size = 0, tt_size = 0;
  for (size_t i = 0; i < n; i++) {
    float x = w[i] * inv;
    double t, p = imp ? imp[i] : 1;
    unsigned code = 0;
    if (lv.uniform) {
      t = fmin(fmax(rint(x), lv.val[0]), lv.val[0] + lv.n - 1);
      code = (unsigned)(t - lv.val[0]);
    } else {
      while (code + 1 < lv.n && lv.mid[code] < x) code++;
      t = lv.val[code];
    }
    that(c, b[i] == code, "not the nearest level");
    tw += p * t * w[i], tw_size += fabs(p * t * w[i]);
    tt += p * t * t, tt_size += fabs(p * t * t);
  }
  near(c, tw, got[0], ((double)n / 16 + 8) * U * tw_size);
  near(c, tt, got[1], ((double)n / 16 + 8) * U * tt_size);
}

/* Levels and columns of all sorts, with ties, without them and with ties that mean nothing: what comes is a path that
 * every set finds. tests/unit/test_trellis.c says whether it is the best. */
void test_trellis_path(check *c) {
  nb_trellis_levels lv;
  const int levels = 16 << rnd_below(c, 3);
  for (int j = 0; j < NB_TRELLIS_STATES; j++)
    for (int i = 0; i < 256; i++) {
      int l = i * levels / 256 / 4 * 4 + j;
      lv.nearest[j][i] = (uint8_t)l;
      lv.value[i][j] = lv.value[i][j + NB_TRELLIS_STATES] = (float)(l * 254 / (levels - 1) - 127);
    }
  nb_trellis_ties ties;
  rnd_floats(c, ties.mix[0], NB_TILE * NB_TILE, rnd_below(c, 4) ? F_UNIT : F_WIDE);
  rnd_floats(c, ties.weight, NB_TILE, F_UNIT);
  memset(ties.sums, 0, sizeof ties.sums);
  nb_trellis_column col = {.rows = 1 + (unsigned)rnd_below(c, NB_TILE), .ties = rnd_below(c, 3) ? &ties : NULL};
  rnd_floats(c, col.x, NB_TILE, rnd_below(c, 4) ? F_UNIT : F_WIDE);
  rnd_floats(c, col.step, NB_TILE, F_UNIT);
  for (int r = 0; r < NB_TILE; r++) {
    col.step[r] *= rnd_below(c, 10) ? 0.02f : 0;
    if (rnd_below(c, 200) == 0) col.x[r] = rnd_below(c, 2) ? NAN : INFINITY;
    if (rnd_below(c, 20) == 0) col.x[r] = (0.5f + (float)rnd_below(c, 100)) * col.step[r]; /* ties of places */
  }
  snprintf(c->what, sizeof c->what, "trellis_path %d levels, %u rows%s", levels, col.rows, col.ties ? ", tied" : "");
  uint8_t *want = buffer(c, NB_TILE), *got = buffer(c, NB_TILE);
  c->ref->trellis_path(&lv, &col, want);
  c->k->trellis_path(&lv, &col, got);
  same_bytes(c, want, got, NB_TILE);
  for (unsigned r = 0; r < NB_TILE; r++) {
    unsigned code = nb_qmat_trellis_code(got[r]), before = nb_qmat_trellis_code(got[nb_qmat_trellis_before(r)]);
    unsigned after = nb_qmat_trellis_code(got[nb_qmat_trellis_after(r)]);
    that(c, nb_qmat_trellis_level(code, before, after) == got[r], "not a path");
  }
}

/* A NaN in, a NaN out. */
void test_nan(check *c) {
  size_t n = 1 + rnd_below(c, 200), at = rnd_below(c, n), Kp = nb_round_up(n, NB_K_PAD);
  float *x = floats(c, n), *w = floats(c, n), *y = floats(c, n), bad = rnd_below(c, 2) ? NAN : INFINITY;
  snprintf(c->what, sizeof c->what, "nan n=%zu at %zu", n, at);
  rnd_floats(c, x, n, F_UNIT);
  rnd_floats(c, w, n, F_UNIT);
  x[at] = NAN;
  c->k->rmsnorm(x, w, n, 1e-5f, y);
  for (size_t i = 0; i < n; i++) that(c, isnan(y[i]), "rmsnorm loses NaN");
  c->k->layernorm(x, w, w, n, 1e-5f, y);
  for (size_t i = 0; i < n; i++) that(c, isnan(y[i]), "layernorm loses NaN");
  for (int a = 0; a < NB_ACTIVATIONS; a++) {
    c->k->activate((nb_activation)a, x, w, n, y);
    that(c, isnan(y[at]), "activate loses NaN in its gate");
    c->k->activate((nb_activation)a, w, x, n, y);
    that(c, isnan(y[at]), "activate loses NaN");
  }
  memcpy(y, x, n * sizeof *x);
  c->k->softcap(y, n, 30);
  that(c, isnan(y[at]), "softcap loses NaN");
  that(c, isnan(c->k->logsumexp(x, n)), "logsumexp loses NaN");
  x[at] = bad; /* an infinity too makes the row NaN */
  nb_qfmt f = {4, 1, 64};
  nb_qmat m = random_qmat(c, 20, n, f, false);
  nb_q8 q = random_q8(c, 6, n, false);
  c->k->quantize_q8(x, n, Kp, q.q + 2 * Kp, q.scale + 2 * Kp / 64, q.sum + 2 * Kp / 32);
  float *out = floats(c, 6 * 20);
  void *scratch = buffer(c, nb_kernels_linear_scratch(n));
  c->k->linear_q8(&m, 0, m.n_tiles, &q, out, 20, scratch);
  for (size_t t = 0; t < 6; t++)
    for (size_t i = 0; i < 20; i++) that(c, !isnan(out[t * 20 + i]) == (t != 2), "linear_q8 loses or spreads NaN");
}
