/* SPDX-License-Identifier: MIT */
/* The block types in which GGUF files store weights: their sizes, and each type's bytes as floats and back.
 *
 * A row is a sequence of blocks of `block` weights in `bytes` bytes. Layouts are those of ggml (github.com/ggml-org/
 * ggml, ggml-common.h); values equal its Python package's gguf.quants.dequantize bit for bit. Half floats and
 * multi-byte numbers are little-endian. */
#ifndef NB_GGML_H
#define NB_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NB_GGML_MAX_BLOCK = 256 /* weights */, NB_GGML_MAX_BYTES = 512 /* of a block: more than any type's */ };

/* Numbers of types in the file, as far as code asks for one by name. */
enum {
  NB_GGML_F32 = 0,
  NB_GGML_F16 = 1,
  NB_GGML_Q4_0 = 2,
  NB_GGML_Q4_1 = 3,
  NB_GGML_Q8_0 = 8,
  NB_GGML_Q4_K = 12,
  NB_GGML_IQ4_NL = 20,
  NB_GGML_BF16 = 30
};

typedef struct nb_ggml_type {
  uint32_t id;      /* in the file */
  const char *name; /* "Q4_K" */
  uint16_t block;   /* weights of a block */
  uint16_t bytes;   /* of a block */
  /* A block's weights: out (block). NULL: the type is known but not read. */
  void (*read)(const uint8_t *block, float *out);
  /* The block that comes nearest to x (block floats, finite) of those that are tried, errors weighted by w (block, at
   * least 0). NULL: not written. */
  void (*write)(const float *x, const float *w, uint8_t *block);
} nb_ggml_type;

/* The type of that number, or of that name in any case ("q4_k"); NULL when it is not known. */
const nb_ggml_type *nb_ggml_find(uint32_t id);
const nb_ggml_type *nb_ggml_find_name(const char *name);

/* n weights, a multiple of t->block, of a type that is read: out (n). */
void nb_ggml_read(const nb_ggml_type *t, const void *data, size_t n, float *out);

/* The reverse, of a type that is written: n / t->block blocks at out. importance (n) says how much an error of each
 * weight counts; NULL: all alike. */
void nb_ggml_write(const nb_ggml_type *t, const float *x, const float *importance, size_t n, void *out);

/* The sixteen values of IQ4_NL's and IQ4_XS's codes, ascending. */
extern const int8_t nb_ggml_iq4_values[16];

/* The packing of eight 6-bit scales and eight 6-bit minima that Q4_K and Q5_K share: 12 bytes, and back. */
void nb_ggml_unpack_scales(const uint8_t packed[12], uint8_t scale[8], uint8_t min[8]);
void nb_ggml_pack_scales(const uint8_t scale[8], const uint8_t min[8], uint8_t packed[12]);

/* One block of each type that is written (ggml_write.c), as nb_ggml_type.write. */
void nb_ggml_write_f32(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_f16(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_bf16(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_q8_0(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_q4_0(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_q4_1(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_q4_k(const float *x, const float *w, uint8_t *block);
void nb_ggml_write_iq4_nl(const float *x, const float *w, uint8_t *block);

#endif
