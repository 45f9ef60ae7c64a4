/* SPDX-License-Identifier: MIT */
#include "quant/bits.h"

#include "base/assert.h"
#include "base/mem.h"
#include "quant/coded.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

static const nb_qfmt formats[NB_BITS_FORMATS] = {
    {3, NB_TRELLIS, 256}, {3, NB_TRELLIS, 128}, {3, NB_TRELLIS, 64},  {4, NB_TRELLIS, 256}, {4, NB_TRELLIS, 128},
    {4, NB_TRELLIS, 64},  {4, NB_TRELLIS, 32},  {5, NB_TRELLIS, 256}, {5, NB_TRELLIS, 128}, {5, NB_TRELLIS, 64},
    {6, NB_UNIFORM, 256}, {6, NB_UNIFORM, 128}, {6, NB_UNIFORM, 64},  {8, NB_UNIFORM, 256}, {8, NB_UNIFORM, 64}};

nb_qfmt nb_bits_format(size_t i, bool trellis) {
  nb_assert(i < NB_BITS_FORMATS);
  nb_qfmt f = formats[i];
  if (f.kind == NB_TRELLIS && !trellis) f.kind = NB_TABLE;
  return f;
}

/* ---- choosing ---- */

/* Each item's best option at a price a byte; ties go to fewer bytes. */
static nb_bits_option at_price(const nb_bits_option *o, size_t n, size_t m, double price, uint8_t *pick) {
  nb_bits_option s = {0, 0};
  for (size_t i = 0; i < n; i++) {
    const nb_bits_option *of = o + i * m;
    size_t best = m;
    double low = INFINITY;
    for (size_t j = 0; j < m; j++) {
      double cost = of[j].loss + price * (double)of[j].bytes;
      if (cost < low || (cost == low && best < m && of[j].bytes < of[best].bytes)) low = cost, best = j;
    }
    pick[i] = (uint8_t)(best < m ? best : 0);
    s.bytes += of[pick[i]].bytes, s.loss += of[pick[i]].loss;
  }
  return s;
}

/* The fewest bytes possible. */
static nb_bits_option smallest(const nb_bits_option *o, size_t n, size_t m, uint8_t *pick) {
  nb_bits_option s = {0, 0};
  for (size_t i = 0; i < n; i++) {
    const nb_bits_option *of = o + i * m;
    size_t best = m;
    for (size_t j = 0; j < m; j++)
      if (isfinite(of[j].loss) &&
          (best == m || of[j].bytes < of[best].bytes || (of[j].bytes == of[best].bytes && of[j].loss < of[best].loss)))
        best = j;
    pick[i] = (uint8_t)(best < m ? best : 0);
    s.bytes += of[pick[i]].bytes, s.loss += of[pick[i]].loss;
  }
  return s;
}

/* Spends what is left on the upgrade that gains most a byte, again and again. */
static void spend(const nb_bits_option *o, size_t n, size_t m, uint64_t budget, uint8_t *pick, nb_bits_option *s) {
  nb_assert(s->bytes <= budget);
  for (;;) {
    size_t item = n, to = 0;
    double best = 0;
    for (size_t i = 0; i < n; i++) {
      const nb_bits_option *of = o + i * m, *now = of + pick[i];
      for (size_t j = 0; j < m; j++) {
        if (!(of[j].loss < now->loss)) continue;
        double gain = now->loss - of[j].loss;
        if (of[j].bytes > now->bytes) {
          uint64_t more = of[j].bytes - now->bytes;
          if (more > budget - s->bytes) continue;
          gain /= (double)more;
        } else {
          gain = INFINITY;
        }
        if (gain > best) best = gain, item = i, to = j;
      }
    }
    if (item == n) return;
    const nb_bits_option *of = o + item * m;
    s->bytes = s->bytes - of[pick[item]].bytes + of[to].bytes;
    nb_assert(s->bytes <= budget);
    s->loss += of[to].loss - of[pick[item]].loss;
    pick[item] = (uint8_t)to;
  }
}

nb_status nb_bits_pick(const nb_bits_option *option, size_t n, size_t m, uint64_t budget, uint8_t *pick,
                       nb_bits_option *total, nb_err *err) {
  nb_bits_option s = smallest(option, n, m, pick);
  nb_assert(n > 0 && m > 0 && m <= UINT8_MAX + 1); /* pick's elements are bytes */
  *total = s;
  if (s.bytes > budget)
    return nb_fail(err, NB_ERR_ARG, "at least %llu bytes are needed for the weights, but there are %llu",
                   (unsigned long long)s.bytes, (unsigned long long)budget);
  double low = 0, high = 1e-300; /* prices: too cheap, dear enough */
  while (high < 1e300 && at_price(option, n, m, high, pick).bytes > budget) low = high, high *= 1e3;
  for (int i = 0; i < 200; i++) {
    double mid = low > 0 ? sqrt(low * high) : high / 1e3;
    if (at_price(option, n, m, mid, pick).bytes > budget) low = mid;
    else high = mid;
  }
  s = at_price(option, n, m, high, pick);
  if (s.bytes > budget) s = smallest(option, n, m, pick);
  spend(option, n, m, budget, pick, &s);
  *total = s;
  return NB_OK;
}

/* ---- rounding errors ---- */

enum { SAMPLE = 128 }; /* rows */

nb_status nb_bits_errors(const nb_linear *m, bool trellis, int threads, double *error, nb_err *err) {
  size_t N = nb_min(m->N, SAMPLE);
  nb_status st = NB_OK;
  float *w;
  NB_TRY(nb_new(&w, N * m->K, sizeof *w, "a sample of rows", err));
  for (size_t i = 0; i < N; i++) nb_linear_row(m, i * m->N / N, w + i * m->K);
  nb_tensor t = {NB_F32, 2, {N, m->K, 1, 1}, w, N * m->K * sizeof *w, NULL};
  nb_linear sample = nb_linear_dense(&t);
  const nb_quant_opts quick = {.threads = threads, .what = "a sample of rows"};
  for (size_t f = 0; f < NB_BITS_FORMATS && st == NB_OK; f++) {
    nb_coded coded;
    st = nb_coded_plain(&sample, nb_bits_format(f, trellis), &quick, true, &coded, err);
    error[f] = coded.error;
    nb_coded_free(&coded);
  }
  nb_free(w);
  return st;
}
