/* SPDX-License-Identifier: MIT */
/* A GGUF file as the checkpoint that it was made from: tensors under Hugging Face's names, in Hugging Face's order of
 * rows, so that everything that reads checkpoints reads it. */
#ifndef NB_GGUF_CHECKPOINT_H
#define NB_GGUF_CHECKPOINT_H

#include "formats/gguf.h"
#include "formats/safetensors.h"

/* Fills *out, which borrows g: F32, F16 and BF16 tensors that are stored as Hugging Face has them are views of the
 * file, and so are matrices in blocks; those whose rows are interleaved for the rotation, or that have 1 added, are
 * copies, and a vector in blocks becomes F32, exactly. Memory: the copies. `threads` work on rows. NB_ERR_UNSUPPORTED
 * names a tensor that has no place in its architecture, or a type that is not read. Closed with nb_safetensors_close,
 * before g. */
nb_status nb_gguf_checkpoint_make(const nb_gguf *g, int threads, nb_safetensors *out, nb_err *err);

#endif
