/* SPDX-License-Identifier: MIT */
/* The first lanes of a vector, by way of memory: for the sets without masks. v16_ref.h says what the two functions
 * mean. Included once v_load and v_store are there. */
static inline v16 v_load_n(const float *p, size_t n) {
  if (n >= 16) return v_load(p);
  float f[16] = {0};
  memcpy(f, p, n * sizeof(float));
  return v_load(f);
}
static inline void v_store_n(float *p, v16 x, size_t n) {
  if (n >= 16) {
    v_store(p, x);
    return;
  }
  float f[16];
  v_store(f, x);
  memcpy(p, f, n * sizeof(float));
}
