/* SPDX-License-Identifier: MIT */
/* Opens a model, whichever form it has: a .nbl file or the first of its parts, the directory of a Hugging Face
 * checkpoint, or a .gguf file (which serves as a checkpoint; of split files the first). */
#ifndef NB_OPEN_H
#define NB_OPEN_H

#include "model/model.h"
#include "base/text.h"
#include "formats/mapfile.h"
#include "text/tokenizer.h"

#include <stdint.h>

typedef struct nb_opened {
  nb_model model;                /* borrows the mapped files */
  nb_tokenizer *tokenizer;       /* NULL when opened without */
  bool coded;                    /* a .nbl file: int8 activations; otherwise dense weights in float arithmetic */
  nb_kv_type kv;                 /* the cache that fits: q8 for .nbl files, f32 for checkpoints */
  uint64_t weight_bytes;         /* of the tensors in memory: what a forward pass may touch */
  uint64_t file_bytes;           /* of the .nbl file, or of all weight files */
  nb_text notes;                 /* lines about what the files hold and the model does not use; s is NULL without */
  struct nb_opened_files *files; /* what is mapped, for nb_opened_checkpoint and nb_opened_nbl */
} nb_opened;

enum {
  NB_OPEN_VERIFY = 1,       /* check every tensor's checksum (.nbl only) */
  NB_OPEN_NO_TOKENIZER = 2, /* give no tokenizer: a checkpoint may lack one */
};

/* Opens path; `threads` serve NB_OPEN_VERIFY and what other tools packed. Ends with nb_opened_free, also after a
 * failure. */
nb_status nb_open(const char *path, unsigned flags, int threads, nb_opened *out, nb_err *err);
/* The same for a .nbl file, or its parts, in any places (nbl.h). */
nb_status nb_open_places(const nb_mapfile_place *place, size_t n, unsigned flags, int threads, nb_opened *out,
                         nb_err *err);
void nb_opened_free(nb_opened *o);

/* For a failure st with NB_ERR_NUMERIC: when a checkpoint holds a weight that is NaN or infinite, the message names its
 * file and tensor first. Reads all weights. Returns st. */
nb_status nb_opened_explain(const nb_opened *o, nb_status st, nb_err *err);

/* The tokenizer alone, of a .nbl or .gguf file, a checkpoint's directory, or a folder with just tokenizer.json. */
nb_status nb_open_tokenizer(const char *path, nb_tokenizer **out, nb_err *err);

/* Gives a model that was opened from path, without a tokenizer, the one at `from`. */
nb_status nb_opened_take_tokenizer(nb_opened *o, const char *path, const char *from, nb_err *err);

/* A checkpoint's tensors by name, for what is stored as it is; NULL for a .nbl file. */
const nb_named_source *nb_opened_named(const nb_opened *o);

/* The parts, for tools that list them; NULL when the model has the other form. */
const struct nb_nbl *nb_opened_nbl(const nb_opened *o);
const struct nb_safetensors *nb_opened_checkpoint(const nb_opened *o);

#endif
