/* SPDX-License-Identifier: MIT */
/* The arithmetic of one packed matrix: where its codes lie, and what they stand for. Of formats/packed.c. */
#ifndef NB_PACKED_MATRIX_H
#define NB_PACKED_MATRIX_H

#include "base/tensor.h"

/* Numbers of 1 to 8 bits in lines of 32-bit little-endian words, low bits first, without gaps: number i of a line is at
 * its bit i * bits. */
typedef struct nb_packed_numbers {
  const uint8_t *data;
  unsigned bits;
  size_t word_step, line_step; /* bytes from one word of a line to its next, and from a line to the next */
  bool by_row;                 /* lines are rows, numbers their inputs or groups; else the other way around */
  bool shuffled;               /* the eight numbers of a word stand in AWQ's order 0 2 4 6 1 3 5 7 */
  unsigned flip;               /* to be exclusive-ored: 128 makes int8 a number from 0 on */
} nb_packed_numbers;

typedef struct nb_packed_matrix {
  size_t N, K, groups;
  nb_packed_numbers code;
  nb_packed_numbers zero;        /* data NULL: all are `middle` */
  unsigned zero_add;             /* to a stored zero point, modulo 2^bits */
  unsigned middle;               /* the code of 0 without zero points */
  nb_tensor scale;               /* F32, F16, BF16 */
  nb_tensor bias;                /* data NULL: none. Like scale */
  size_t scale_row, scale_group; /* elements of scale and bias from one row, one group to the next */
  const uint8_t *g_idx;          /* (K) int32, the group of each input, checked; NULL: input k has k / (K / groups) */
} nb_packed_matrix;

/* The number of row n for input or group j. */
unsigned nb_packed_number(const nb_packed_numbers *x, size_t n, size_t j);

/* Row n: K elements of the scales' type. */
void nb_packed_row(const nb_packed_matrix *m, size_t n, void *out);

#endif
