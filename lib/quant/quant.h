/* SPDX-License-Identifier: MIT */
/* Rounding matrices to the coded formats of qmat.h so that little is lost.
 *
 * The scale of a group is searched: candidates of both signs around the one that maps the largest weight to the end of
 * the code's range, each refitted by least squares after rounding (the optimal scale for given codes is
 * sum(h w v) / sum(h v v), and the loss is then sum(h w w) - sum(h w v)^2 / sum(h v v)); the best wins. This is the
 * search that llama.cpp's quants use, with h the importance of an input: the mean square of its activation. Then the
 * scales of a row are rounded to int8 times a bfloat16, and the codes are chosen again for the rounded scales. */
#ifndef NB_QUANT_H
#define NB_QUANT_H

#include "kernels/kernels.h"
#include "base/progress.h"
#include "base/qmat.h"
#include "model/weights.h"

/* What codes stand for, made for finding the nearest one. */
typedef struct nb_grid {
  nb_qfmt fmt;
  int levels;              /* nb_qfmt_levels */
  int8_t value[256];       /* by level, ascending */
  uint8_t nearest[256];    /* the level nearest to the integer i - 128 */
  nb_trellis_levels paths; /* of a trellis */
  nb_levels exact; /* the same for the kernels, which find the nearest exactly. Of a trellis: the places that scales are
                    * searched by, between levels that the neighbours choose between, and the ends; 2^bits + 1 */
  void (*fit)(const float *w, const float *h, size_t n, float inv, const nb_levels *lv, float out[2]);
  void (*codes)(const float *w, size_t n, float inv, const nb_levels *lv, uint8_t *code);
  void (*path)(const nb_trellis_levels *lv, const nb_trellis_column *c, uint8_t level[NB_TILE]);
} nb_grid;

/* The grid of a format, for a table of its own (nb_qfmt_levels ascending values) or the default one (NULL). */
void nb_grid_make(nb_qfmt fmt, const int8_t *table, nb_grid *g);

/* The level nearest to x, in units of the values. Exact for uniform codes; for tables x is first rounded to an integer,
 * so that a weight within half a unit (of 127) of the middle between two values may go to the other. NaN gives a level.
 */
static inline unsigned nb_grid_nearest(const nb_grid *g, float x) { return g->nearest[nb_levels_place(x)]; }

/* The best scale for one group: w (n) weights, h (n) importances or NULL for all alike. effort: 0 quick, 1 thorough.
 * 0 when all weights are. */
float nb_quant_fit_group(const nb_grid *g, const float *w, const float *h, size_t n, int effort);

/* A row's scales s (n_groups) as int8 times a bfloat16, the largest as about +-top: 127, or less to leave room for a
 * later refit. */
void nb_quant_round_scales(const float *s, size_t n_groups, int top, int8_t *scale, uint16_t *row_scale);

/* A matrix being written: arrays inside one block of memory, laid out as the file wants them. */
typedef struct nb_qout {
  nb_qmat m; /* sizes and format; its pointers read what was written */
  int8_t *table;
  uint16_t *row_scale;
  int8_t *scale;
  uint8_t *codes;
} nb_qout;

/* Prepares `data` (n_bytes as nb_qmat_plan says, 64-byte aligned, zeroed) and writes the table. */
nb_status nb_qout_init(const nb_grid *g, size_t N, size_t K, void *data, size_t n_bytes, nb_qout *out, nb_err *err);

/* Stores 16 rows: level (16, n_blocks * 32), scale (16, n_groups), row_scale (16). */
void nb_qout_tile(nb_qout *q, size_t tile, const uint8_t *level, const int8_t *scale, const uint16_t *row_scale);

/* Row i of `from` becomes row order[i] of `to`, a matrix of the same shape and format; tiles of trellis codes stay
 * together. NB_ERR_MEMORY. */
nb_status nb_qout_reorder(const nb_qmat *from, const uint32_t *order, nb_qout *to, nb_err *err);

/* What was lost: sums over the matrix of h e^2 and h w^2. */
typedef struct nb_quant_loss {
  double error, total;
} nb_quant_loss;

/* How a matrix is rounded. */
typedef struct nb_quant_opts {
  const float *h; /* (K) importance of the inputs, or NULL for all alike */
  int effort;     /* as nb_quant_fit_group has it */
  int threads;
  const char *what; /* names the matrix in messages */
} nb_quant_opts;

/* Quantizes a dense matrix row by row, tiles in parallel, into `data` (as nb_qout_init). loss may be NULL, which is
 * faster. NB_ERR_NUMERIC names the first weight that is NaN or infinite, or too large. */
nb_status nb_quant_plain(const nb_grid *g, const nb_linear *w, const nb_quant_opts *o, void *data, size_t n_bytes,
                         nb_quant_loss *loss, nb_err *err);

/* The values of the default table of a format that has one. */
const int8_t *nb_quant_default_table(nb_qfmt fmt);

#endif
