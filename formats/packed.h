/* SPDX-License-Identifier: MIT */
/* Checkpoints whose matrices other tools have packed into few bits: GPTQ (and GPTQModel), AWQ, compressed-tensors
 * (llm-compressor) and MLX. What stands for one matrix there are several tensors (codes, scales, zero points, groups);
 * here they become the one tensor NAME.weight that the rest of nibble knows, so that nothing else has to know of
 * packings.
 *
 * The values are those of each project's own dequantization, bit for bit: scale * (code - zero) rounded once to the
 * type of the scales; of MLX code * scale rounded, then + bias rounded, as its CPU backend does. */
#ifndef NB_PACKED_H
#define NB_PACKED_H

#include "base/text.h"
#include "formats/safetensors.h"

#include <cJSON.h>

typedef enum nb_packed_kind {
  NB_PACKED_NONE,
  NB_PACKED_GPTQ,       /* qweight (K bits / 32, N), qzeros (groups, N bits / 32), scales (groups, N), g_idx (K) */
  NB_PACKED_AWQ,        /* qweight (K, N / 8), qzeros (groups, N / 8), scales (groups, N): the layout "gemm" */
  NB_PACKED_COMPRESSED, /* weight_packed (N, K bits / 32) or weight (N, K) of I8, weight_scale (N, groups), ... */
  NB_PACKED_MLX         /* weight (N, K bits / 32) of U32, scales and biases (N, groups) */
} nb_packed_kind;

/* What a checkpoint's configuration says of its packing. */
typedef struct nb_packed_scheme {
  nb_packed_kind kind;
  size_t bits;        /* of a code; of compressed-tensors a set instead: bit b says that some matrices have b */
  size_t group;       /* inputs that share a scale; 0: all of a row. Not of compressed-tensors: see its shapes */
  bool zero_less_one; /* GPTQ's first format stores zero points less 1 */
  bool any_bits;      /* GPTQ: some modules differ ("dynamic") */
  cJSON *modules;     /* MLX: what single modules have instead, by name; owned; NULL: nothing */
} nb_packed_scheme;

/* Reads it from the JSON of config.json, or from that of quantize_config.json or quant_config.json (`file` ends with
 * the name), where earlier versions of AutoGPTQ and AutoAWQ left it. NB_PACKED_NONE: not quantized. NB_ERR_UNSUPPORTED
 * refuses other tools (bitsandbytes, FP8, ...) by name and says what to do. Ends with nb_packed_scheme_free, also after
 * a failure. */
nb_status nb_packed_scheme_parse(const char *json, size_t n, const char *file, nb_packed_scheme *out, nb_err *err);
void nb_packed_scheme_free(nb_packed_scheme *s);

/* Replaces the packed matrices of an open checkpoint by tensors of the scales' type that own their memory (2 or 4 bytes
 * a weight). `threads` work on rows. Notes say what there was. NB_ERR_FORMAT names a tensor that is missing, has
 * another shape than the others make it, or whose numbers are out of range, and a part without its matrix. */
nb_status nb_packed_unpack(const nb_packed_scheme *s, int threads, nb_safetensors *st, nb_text *notes, nb_err *err);

/* Both for the checkpoint in a directory, whose tensors are open. */
nb_status nb_packed_open(const char *dir, int threads, nb_safetensors *st, nb_text *notes, nb_err *err);

#endif
