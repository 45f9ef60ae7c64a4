/* SPDX-License-Identifier: MIT */
/* x * y + z rounded once, also without the processor's instruction. The answers are Python's, of exact fractions. */
#include "base/fma.h"
#include "test.h"

static void sums_beside_the_middle_of_two_floats(void) {
  static const float cases[][4] = {
      {-0x1.2p+18f, -0x1.46c5f8p+17f, -0x1.e0b15ap-20f, 0x1.6f9eb6p+35f}, /* musl 1.2.2: ...b8 */
      {-0x1.14638p+18f, -0x1.62p+19f, -0x1.c8179ap-19f, 0x1.7e3196p+37f},
      {-0x1.56f5p+19f, 0x1.f6p+19f, 0x1.7826e8p-19f, -0x1.504236p+39f},
      {0x1.2p+18f, 0x1.46c5f8p+17f, 0x1.e0b15ap-20f, 0x1.6f9eb8p+35f},
      {0x1p-75f, 0x1.000002p-74f, 0x1p-148f, 0x1.8p-148f}, /* subnormal numbers */
      {0x1.8p-80f, 0x1p-70f, 0x1.000002p-126f, 0x1.000004p-126f},
      {0x1p-75f, 0x1p-75f, -0x1p-149f, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const volatile float x = cases[i][0], y = cases[i][1], z = cases[i][2];
    CHECK(nb_fma(x, y, z) == cases[i][3]);
  }
  CHECK(isinf(nb_fma(0x1p100f, 0x1p100f, 1)) && isnan(nb_fma(INFINITY, 0, 1)) && isnan(nb_fma(1, 1, NAN)));
}

int main(void) {
  RUN(sums_beside_the_middle_of_two_floats);
  return test_end();
}
