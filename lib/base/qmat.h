/* SPDX-License-Identifier: MIT */
/* Quantized matrices: the layout in which .nbl files hold them and in which every kernel reads them.
 *
 * A matrix (N, K) has `bits` bits a weight and one int8 scale for each group of `group` inputs of a row:
 *     w[n][k] = row_scale[n] * scale[n][k / group] * value(level[n][k])
 * The level of a uniform or a table code is the code; value(l) is l - 2^(bits-1) for uniform codes, table[l] for table
 * codes (3, 4 or 5 bits).
 *
 * Trellis codes (3, 4 or 5 bits) choose from twice as many values, table[l] with l < 2^(bits+1): the codes of 16 rows
 * at one input are a path through a trellis of four states (trellis-coded quantization: Marcellin and Fischer 1990;
 * Ungerboeck's code with parity checks 5 and 2, closed to a ring). A code c stands for the level 4 (c >> 1) + 2 s + (c
 * & 1), where s is the exclusive or of the lowest bits of the codes of the rows before and after it in the ring of the
 * tile's rows 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15. So no bit is spent on the choice, and reading needs
 * no memory but the tile: two neighbours (nb_qmat_trellis_level).
 *
 * Rows are taken in tiles of 16 (one SIMD lane a row), inputs in blocks of 32. A block of a tile holds
 * 16 x 32 codes in exactly `bits` lines of 64 bytes, as planes of 4, 2 and 1 bits, low bits first:
 *     3 = 2+1   4 = 4   5 = 4+1   6 = 4+2   7 = 4+2+1   8 = 8
 * Byte [4 r + i] of a line belongs to row r of the tile and to inputs k = i mod 4:
 *     8-bit plane, line j of 8:  k = 4 j + i
 *     4-bit plane, line j of 4:  low nibble k = 8 j + i, high nibble k = 8 j + 4 + i
 *     2-bit plane, line j of 2:  bits 2m, 2m+1: k = 16 j + 4 m + i   (m = 0..3)
 *     1-bit plane, one line:     bit m:         k = 4 m + i          (m = 0..7)
 * The last tile is padded to 16 rows and the inputs to a multiple of 64: padded rows have row_scale 0 (and codes, which
 * trellis codes of other rows depend on); padded inputs meet zero activations, so their codes do not matter. */
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
  NB_MAX_LEVELS = 64 /* entries of the largest table */
};

/* What codes stand for. The numbers are those of files. */
typedef enum nb_qkind {
  NB_UNIFORM, /* integers */
  NB_TABLE,   /* 2^bits values of a table (bits 3, 4, 5) */
  NB_TRELLIS, /* 2^(bits+1) values of a table (bits 3, 4, 5) */
  NB_QKINDS
} nb_qkind;

/* How a matrix is coded. */
typedef struct nb_qfmt {
  uint8_t bits;   /* 3 to 8 */
  uint8_t kind;   /* an nb_qkind */
  uint16_t group; /* inputs that share a scale: 32, 64, 128 or 256 */
} nb_qfmt;

/* The levels that codes of a format choose from: entries of its table, if it has one. */
static inline int nb_qfmt_levels(nb_qfmt f) { return 1 << (f.bits + (f.kind == NB_TRELLIS)); }

/* Of trellis codes: the level of a code between its neighbours' codes, the code of a level, the i-th row of the tile's
 * ring, and the rows before and after a row in it. */
static inline unsigned nb_qmat_trellis_level(unsigned code, unsigned before, unsigned after) {
  return code >> 1 << 2 | ((before ^ after) & 1) << 1 | (code & 1);
}
static inline unsigned nb_qmat_trellis_code(unsigned level) { return level >> 2 << 1 | (level & 1); }
static inline unsigned nb_qmat_trellis_row(unsigned i) { return i / 4 + i % 4 * 4; }
static inline unsigned nb_qmat_trellis_before(unsigned row) { return row >= 4 ? row - 4 : 12 + (row + 3) % 4; }
static inline unsigned nb_qmat_trellis_after(unsigned row) { return row < 12 ? row + 4 : (row + 1) % 4; }

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
  const int8_t *table;       /* (nb_qfmt_levels) values in ascending order; NULL for uniform codes */
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

/* The values of the levels, as int8, into value (nb_qfmt_levels of them). */
void nb_qmat_values(const nb_qmat *m, int8_t value[256]);

/* Writes 16 x 32 codes (row-major, one a byte, row stride ld) as one block: bits * 64 bytes. */
void nb_qmat_pack_block(const uint8_t *code, size_t ld, unsigned bits, uint8_t *out);
/* The inverse. */
void nb_qmat_unpack_block(const uint8_t *block, unsigned bits, uint8_t *code, size_t ld);

/* The same for levels, one a byte: codes of a trellis are made of them (whose path they must be), and give them. */
void nb_qmat_write_levels(const uint8_t *level, size_t ld, nb_qfmt fmt, uint8_t *out);
void nb_qmat_read_levels(const uint8_t *block, nb_qfmt fmt, uint8_t *level, size_t ld);

/* Row n as floats: out (K), each row_scale * scale * value, multiplied in this order in float. */
void nb_qmat_dequant_row(const nb_qmat *m, size_t n, float *out);

/* Stored bits a weight: everything that the matrix takes in the file, over N * K. */
double nb_qmat_bpw(size_t N, size_t K, nb_qfmt fmt);

/* "t4g128", "u6g32", "c4g128": t for table, u for uniform, c for trellis-coded; and back. */
void nb_qfmt_name(nb_qfmt f, char out[16]);
nb_status nb_qfmt_parse(const char *s, nb_qfmt *out, nb_err *err);
bool nb_qfmt_valid(nb_qfmt f);

#endif
