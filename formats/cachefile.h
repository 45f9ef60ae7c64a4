/* SPDX-License-Identifier: MIT */
/* The file of a context (model/context.h): its tokens and their keys and values, so that an app that was ended goes on
 * with a conversation without running it again. It belongs to one model file, one type of cache and one version of
 * nibble, whose arithmetic it was made by. Layout, all numbers little-endian:
 *
 *   "NBCACHE\1", then 8 bytes each: layers, key/value heads, head size, type (kv_layout.h), tokens T, stretch, bytes of
 *   the cache; 16 bytes: the model's checksum (nb_nbl_hash_of); 16 bytes: the version, zeros behind it
 *   T token ids of 4 bytes, zeros to a multiple of 8
 *   the cache, as nb_kv_save passes it
 *   16 bytes: XXH3-128 of all that precedes */
#ifndef NB_CACHEFILE_H
#define NB_CACHEFILE_H

#include "formats/nbl.h"
#include "model/context.h"

/* Writes the context's tokens, which appear at path whole or not at all. f: the file of its model. NB_ERR_ARG: there
 * are none yet; NB_ERR_UNSUPPORTED: a model with dynamic RoPE scaling. */
nb_status nb_cachefile_save(const char *path, const nb_nbl *f, const nb_context *c, nb_err *err);

/* Puts a file's tokens in place of the context's. NB_ERR_FORMAT: damaged, or no such file; NB_ERR_ARG: of another
 * model, type of cache or version, or more tokens than the context has room for. After a failure the context is
 * empty or as it was. */
nb_status nb_cachefile_load(const char *path, const nb_nbl *f, nb_context *c, nb_err *err);

/* The same for the n bytes of a file. name: for messages. */
nb_status nb_cachefile_load_memory(const void *data, size_t n, const char *name, const nb_nbl *f, nb_context *c,
                                   nb_err *err);

#endif
