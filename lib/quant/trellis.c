/* SPDX-License-Identifier: MIT */
#include "quant/trellis.h"

#include "base/assert.h"

#include <string.h>

/* The last row of what is left of A gives a row of mix. */
void nb_trellis_tie(const float *A, unsigned rows, nb_trellis_ties *out) {
  double left[NB_TILE][NB_TILE];
  memset(out, 0, sizeof *out);
  for (unsigned i = 0; i < rows; i++)
    for (unsigned j = 0; j < rows; j++) out->sums[i][j] = A[i * NB_TILE + j];
  for (unsigned i = 0; i < NB_TILE; i++)
    for (unsigned j = 0; j < NB_TILE; j++) left[i][j] = out->sums[nb_qmat_trellis_row(i)][nb_qmat_trellis_row(j)];
  for (unsigned i = NB_TILE; i-- > 0;) {
    const double d = left[i][i];
    out->mix[i][i] = 1;
    if (!(d > 0)) continue;
    out->weight[i] = (float)d;
    for (unsigned j = 0; j < i; j++) out->mix[i][j] = (float)(left[i][j] / d);
    for (unsigned j = 0; j < i; j++)
      for (unsigned k = 0; k < i; k++) left[j][k] -= left[i][j] * left[i][k] / d;
  }
}

void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  nb_assert(g->fmt.kind == NB_TRELLIS);
  g->path(&g->paths, c, level);
}
