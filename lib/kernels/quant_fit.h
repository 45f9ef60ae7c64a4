/* SPDX-License-Identifier: MIT */
/* The quantizer's inner loops on the 16-lane machine. */
#ifndef NB_QUANT_FIT_H
#define NB_QUANT_FIT_H

#include "kernels/simd16.h"
#include "base/assert.h"

enum { FIT_VECTORS = 4 }; /* vectors that share the loads of a threshold and a value */

/* The level of each x, as its value or (codes) as its number. */
INLINE void fit_levels(const int NV, const bool codes, const nb_levels *lv, const v16 x[], v16 t[]) {
  if (lv->uniform) {
    v16 low = v_set(lv->val[0]), high = v_set(lv->val[0] + (float)(lv->n - 1)), magic = v_set(ROUND_MAGIC);
    UNROLL for (int i = 0; i < FIT_VECTORS; i++) {
      if (i >= NV) continue;
      v16 c = v_max(x[i], low);
      c = v_sub(v_add(v_select_lt(high, c, high, c), magic), magic);
      t[i] = codes ? v_sub(c, low) : c;
    }
    return;
  }
  UNROLL for (int i = 0; i < FIT_VECTORS; i++) if (i < NV) t[i] = v_set(codes ? 0 : lv->val[0]);
  for (unsigned l = 1; l < lv->n; l++) {
    v16 mid = v_set(lv->mid[l - 1]), val = v_set(codes ? (float)l : lv->val[l]);
    UNROLL for (int i = 0; i < FIT_VECTORS; i++) if (i < NV) t[i] = v_select_lt(mid, x[i], val, t[i]);
  }
}

INLINE void fit_part(const int NV, const float *w, const float *imp, v16 inv, const nb_levels *lv, v16 sum[2]) {
  v16 x[FIT_VECTORS], t[FIT_VECTORS];
  UNROLL for (int i = 0; i < FIT_VECTORS; i++) if (i < NV) x[i] = v_mul(v_load(w + 16 * i), inv);
  fit_levels(NV, false, lv, x, t);
  UNROLL for (int i = 0; i < FIT_VECTORS; i++) {
    if (i >= NV) continue;
    v16 it = imp ? v_mul(v_load(imp + 16 * i), t[i]) : t[i];
    sum[0] = v_fma(it, v_load(w + 16 * i), sum[0]);
    sum[1] = v_fma(it, t[i], sum[1]);
  }
}

INLINE bool fit_has_levels(const nb_levels *lv) { return lv->n >= 2 && lv->n <= (lv->uniform ? 256 : NB_MAX_LEVELS); }
static void quant_fit(const float *w, const float *imp, size_t n, float inv, const nb_levels *lv, float out[2]) {
  nb_assert(n % 16 == 0 && fit_has_levels(lv));
  v16 sum[2] = {v_set(0), v_set(0)}, v = v_set(inv);
  size_t i = 0;
  for (; i + 16 * FIT_VECTORS <= n; i += 16 * FIT_VECTORS)
    fit_part(FIT_VECTORS, w + i, imp ? imp + i : NULL, v, lv, sum);
  for (; i < n; i += 16) fit_part(1, w + i, imp ? imp + i : NULL, v, lv, sum);
  out[0] = v_sum(sum[0]);
  out[1] = v_sum(sum[1]);
}

static void quant_codes(const float *w, size_t n, float inv, const nb_levels *lv, uint8_t *code) {
  nb_assert(n % 16 == 0 && fit_has_levels(lv));
  for (size_t i = 0; i < n; i += 16) {
    v16 x[FIT_VECTORS], t[FIT_VECTORS];
    x[0] = v_mul(v_load(w + i), v_set(inv));
    fit_levels(1, true, lv, x, t);
    v_store_low8(code + i, v_add(t[0], v_set(ROUND_MAGIC)));
  }
}

#endif
