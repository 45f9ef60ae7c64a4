/* SPDX-License-Identifier: MIT */
/* Tensors of a checkpoint that the model has no place for. Some are known to change nothing: buffers that older
 * programs saved, heads of a training. Those are left out with a note; any other is an error, because without it the
 * model would be another one. */
#ifndef NB_UNUSED_H
#define NB_UNUSED_H

#include "base/text.h"
#include "formats/safetensors.h"

/* Whether the model has a place for a tensor of that name. */
typedef bool nb_unused_known(const void *ctx, const char *name);

/* Appends to notes a line for each kind that is left out. NB_ERR_UNSUPPORTED names the first tensor that may not be;
 * model: what it is that has no place for it, "the model that config.json describes". */
nb_status nb_unused_check(const nb_safetensors *checkpoint, nb_unused_known *known, const void *ctx, const char *model,
                          nb_text *notes, nb_err *err);

#endif
