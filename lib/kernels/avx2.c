/* SPDX-License-Identifier: MIT */
#include "v16_avx2.h"

#include "float_table.h"

void nb_kernels_avx2(nb_kernels *k) {
  k->name = "avx2";
  set_float_kernels(k);
}
