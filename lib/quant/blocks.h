/* SPDX-License-Identifier: MIT */
/* GGUF's block types (base/ggml.h) as the solver takes them: groups of 32 weights, each step * value(code) + offset. A
 * step and an offset are what the type stores: half floats, or in Q4_K 6-bit multiples of two half floats for each 256
 * weights, which stay as nb_ggml_write chose them. */
#ifndef NB_BLOCKS_H
#define NB_BLOCKS_H

#include "base/ggml.h"
#include "quant/quant.h"

enum { NB_BLOCKS_GROUP = 32 };

typedef struct nb_blocks {
  const nb_ggml_type *type;
  nb_grid grid; /* the values of the codes */
  bool offset;  /* has offsets, not above 0 in Q4_K */
} nb_blocks;

/* False: the type is none that is solved (Q8_0, Q4_0, Q4_1, Q4_K and IQ4_NL are). */
bool nb_blocks_make(const nb_ggml_type *type, nb_blocks *out);

/* Bytes of a row of K weights, a multiple of the type's block. */
size_t nb_blocks_row_bytes(const nb_blocks *b, size_t K);

/* Rounds a row w (K), errors weighted by h (K), to its bytes, without regard to other weights; its steps and offsets
 * (K / 32). */
void nb_blocks_round(const nb_blocks *b, const float *w, const float *h, size_t K, uint8_t *row, float *step,
                     float *offset);

/* The step, and the offset, nearest to x that group g of the row can have. */
float nb_blocks_step(const nb_blocks *b, const uint8_t *row, size_t g, float x);
float nb_blocks_offset(const nb_blocks *b, const uint8_t *row, size_t g, float x);

/* Writes a row again, with the codes (K) of b's grid and with steps and offsets that it can have. */
void nb_blocks_store(const nb_blocks *b, const uint8_t *code, const float *step, const float *offset, size_t K,
                     uint8_t *row);

#endif
