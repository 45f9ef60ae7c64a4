/* SPDX-License-Identifier: MIT */
/* Quantized matrices: the layout in which .nbl files hold them and in which every kernel reads them.
 *
 * A matrix (N, K) has `bits` bits a weight and one int8 scale for each group of `group` inputs of a row:
 *     w[n][k] = row_scale[n] * scale[n][k / group] * value(code[n][k])
 * value(c) is c - 2^(bits-1) for uniform codes, table[c] for table codes (3, 4 or 5 bits).
 *
 * Rows are taken in tiles of 16 (one SIMD lane a row), inputs in blocks of 32. A block of a tile holds
 * 16 x 32 codes in exactly `bits` lines of 64 bytes, as planes of 4, 2 and 1 bits, low bits first:
 *     3 = 2+1   4 = 4   5 = 4+1   6 = 4+2   7 = 4+2+1   8 = 8
 * Byte [4 r + i] of a line belongs to row r of the tile and to inputs k = i mod 4:
 *     8-bit plane, line j of 8:  k = 4 j + i
 *     4-bit plane, line j of 4:  low nibble k = 8 j + i, high nibble k = 8 j + 4 + i
 *     2-bit plane, line j of 2:  bits 2m, 2m+1: k = 16 j + 4 m + i   (m = 0..3)
 *     1-bit plane, one line:     bit m:         k = 4 m + i          (m = 0..7)
 * The last tile is padded to 16 rows and the inputs to a multiple of 64: padded rows have row_scale 0;
 * padded inputs meet zero activations, so their codes do not matter. */
#ifndef NB_QMAT_H
#define NB_QMAT_H

#include "base/mem.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  NB_TILE = 16,      /* rows of a tile */
  NB_BLOCK = 32,     /* inputs of a block */
  NB_QA_GROUP = 64,  /* inputs that share an activation scale */
  NB_K_PAD = 256,    /* quantized activations are padded to a multiple of this: the largest group */
  NB_MAX_LEVELS = 32 /* entries of the largest table */
};

/* How a matrix is coded. */
typedef struct nb_qfmt {
  uint8_t bits;   /* 3 to 8 */
  uint8_t table;  /* 1: codes are indices of a table of 2^bits int8 values (bits 3, 4, 5); 0: uniform */
  uint16_t group; /* inputs that share a scale: 32, 64, 128 or 256 */
} nb_qfmt;

/* Files are written with matrices at multiples of 64 bytes. In memory any multiple of this serves (a file within an
 * archive lies so), at a little less speed. */
enum { NB_QMAT_ALIGN = 4 };

/* A borrowed view of a coded matrix. All pointers are multiples of NB_QMAT_ALIGN. */
typedef struct nb_qmat {
  size_t N, K; /* rows, inputs */
  nb_qfmt fmt;
  size_t n_tiles;            /* ceil(N / 16) */
  size_t n_blocks;           /* ceil(K / 64) * 2 */
  size_t n_groups;           /* ceil(n_blocks * 32 / group): the last group of 128 or 256 may be cut short */
  const int8_t *table;       /* (2^bits) values in ascending order; NULL for uniform codes */
  const uint16_t *row_scale; /* (n_tiles * 16), bfloat16 */
  const int8_t *scale;       /* (n_tiles, n_groups, 16) */
  const uint8_t *codes;      /* (n_tiles, n_blocks, bits, 64) */
} nb_qmat;

/* Byte offsets of the four arrays from the start of a stored matrix, and its whole size. Each array
 * starts at a multiple of 64; the table takes 64 bytes when there is one. */
typedef struct nb_qmat_layout {
  size_t table, row_scale, scale, codes, total;
} nb_qmat_layout;

/* Fills *m's sizes (not its pointers) and *l for a matrix; NB_ERR_ARG when the format is not one of those
 * above, or when N, K are 0 or so large that a size would overflow. */
nb_status nb_qmat_plan(size_t N, size_t K, nb_qfmt fmt, nb_qmat *m, nb_qmat_layout *l, nb_err *err);

/* As nb_qmat_plan, and points *m into `data` of `n_bytes` bytes (at a multiple of NB_QMAT_ALIGN, borrowed).
 * NB_ERR_FORMAT when n_bytes is not exactly what the format needs. */
nb_status nb_qmat_view(size_t N, size_t K, nb_qfmt fmt, const void *data, size_t n_bytes, nb_qmat *m, nb_err *err);

/* The values of the 2^bits codes, as int8, into value (NB_MAX_LEVELS or 256 entries are written by bits). */
void nb_qmat_values(const nb_qmat *m, int8_t value[256]);

/* Writes 16 x 32 codes (row-major, one a byte, row stride ld) as one block: bits * 64 bytes. */
void nb_qmat_pack_block(const uint8_t *code, size_t ld, unsigned bits, uint8_t *out);
/* The inverse. */
void nb_qmat_unpack_block(const uint8_t *block, unsigned bits, uint8_t *code, size_t ld);

/* Row n as floats: out (K), each row_scale * scale * value, multiplied in this order in float. */
void nb_qmat_dequant_row(const nb_qmat *m, size_t n, float *out);

/* Stored bits a weight: everything that the matrix takes in the file, over N * K. */
double nb_qmat_bpw(size_t N, size_t K, nb_qfmt fmt);

/* "t4g128", "u6g32": t for table, u for uniform; and back. */
void nb_qfmt_name(nb_qfmt f, char out[16]);
nb_status nb_qfmt_parse(const char *s, nb_qfmt *out, nb_err *err);
bool nb_qfmt_valid(nb_qfmt f);

#endif
