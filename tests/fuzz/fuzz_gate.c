/* SPDX-License-Identifier: MIT */
/* A file of limits: what is accepted is in range. */
#include "eval/gate.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_gates g = nb_gates_default();
  if (nb_gates_parse((const char *)data, n, "fuzz.json", &g, &err) != NB_OK) return 0;
  if (!(g.margin >= 0 && g.margin < 100 && g.alpha > 0 && g.alpha < 0.5)) abort();
  if (g.max_drop < 0 || g.max_kld < 0 || g.min_accuracy < 0 || g.min_accuracy > 100) abort();
  return 0;
}
