/* SPDX-License-Identifier: MIT */
#include "kernels/kernels.h"

#include "base/assert.h"
#include "base/cpu.h"
#include "base/mem.h"

/* The sets that this build has, slowest first: each is the table of the one below with what it improves. */
static const struct {
  unsigned needs;
  void (*apply)(nb_kernels *k);
} sets[] = {
    {0, nb_kernels_ref},
#if defined(__x86_64__)
    {NB_CPU_AVX2, nb_kernels_avx2},
    {NB_CPU_AVXVNNI, nb_kernels_avxvnni},
    {NB_CPU_AVX512, nb_kernels_avx512},
    {NB_CPU_AVX512VNNI, nb_kernels_avx512vnni},
    {NB_CPU_AMXINT8, nb_kernels_amxint8},
#elif defined(__aarch64__)
    {NB_CPU_NEON, nb_kernels_neon},
    {NB_CPU_DOTPROD, nb_kernels_neon_dotprod},
    {NB_CPU_I8MM, nb_kernels_neon_i8mm},
#elif defined(__wasm__)
    {NB_CPU_SIMD128, nb_kernels_simd128},
#endif
};

_Static_assert(sizeof sets / sizeof *sets <= NB_KERNEL_SETS, "what callers of nb_kernels_all have room for");
size_t nb_kernels_all(unsigned cpu_features, nb_kernels out[NB_KERNEL_SETS]) {
  nb_kernels k = {0};
  size_t n = 0;
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    if ((cpu_features & sets[i].needs) != sets[i].needs) continue;
    sets[i].apply(&k);
    out[n++] = k;
  }
  return n;
}

nb_kernels nb_kernels_select(unsigned cpu_features) {
  nb_kernels all[NB_KERNEL_SETS];
  nb_assert(sets[0].needs == 0); /* so that there is always one */
  return all[nb_kernels_all(cpu_features, all) - 1];
}

void nb_kernels_add_peaks(nb_kernels *k, const nb_peak *list, size_t n) {
  size_t i = 0;
  while (k->n_peaks[i]) i++;
  k->peaks[i] = list, k->n_peaks[i] = n; /* a list a set, and a table's sets fit */
}

void nb_kernels_round_q8(const nb_kernels *k, const float *x, size_t K, int8_t *q, float *scale, int32_t *sum,
                         float *out) {
  k->quantize_q8(x, K, nb_round_up(K, NB_K_PAD), q, scale, sum);
  for (size_t i = 0; i < K; i++) out[i] = scale[i / NB_QA_GROUP] * q[i];
}
