/* SPDX-License-Identifier: MIT */
#include "v16_avx512.h"

#include "float_table.h"

void nb_kernels_avx512vnni(nb_kernels *k) {
  k->name = "avx512vnni";
  set_float_kernels(k);
}
