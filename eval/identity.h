/* SPDX-License-Identifier: MIT */
/* Which model a result belongs to. */
#ifndef NB_IDENTITY_H
#define NB_IDENTITY_H

#include "formats/open.h"
#include "eval/result.h"

/* Fills the facts about an opened model. name: the path as given, kept by pointer. A checkpoint's files are read whole
 * for their hash; a .nbl file's are in its directory. */
nb_status nb_identity_make(const char *name, const nb_opened *m, nb_kv_type kv, nb_model_facts *out, nb_err *err);

#endif
