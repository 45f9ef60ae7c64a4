/* SPDX-License-Identifier: MIT */
/* The keys and values of sequences: made, shared between sequences that begin alike, cut back. */
#ifndef NB_KV_H
#define NB_KV_H

#include "base/status.h"
#include "kernels/kv_layout.h"
#include "model/config.h"

/* The keys and values of one sequence. Memory is touched as positions are filled. */
typedef struct nb_kv nb_kv;

/* A cache for at most `capacity` tokens of a model with this configuration. stretch: which rotary factors the sequence
 * uses, as nb_config_stretch says for its length; a sequence that outgrows them needs a new cache. Ends with
 * nb_kv_free. */
nb_status nb_kv_create(const nb_config *c, size_t capacity, nb_kv_type type, size_t stretch, nb_kv **out, nb_err *err);

/* A new sequence that goes on from the first `length` tokens of `parent`, for at most `capacity` tokens in all. The
 * parent is shared, read only, and must stay unchanged and outlive the fork; forks of forks are refused. */
nb_status nb_kv_fork(const nb_kv *parent, size_t length, size_t capacity, nb_kv **out, nb_err *err);
/* A cache of its own that begins with the first `length` tokens of `from` (a fork or not), for at most `capacity`. */
nb_status nb_kv_copy(const nb_kv *from, size_t length, size_t capacity, nb_kv **out, nb_err *err);
void nb_kv_free(nb_kv *kv);

size_t nb_kv_length(const nb_kv *kv); /* tokens held */
size_t nb_kv_capacity(const nb_kv *kv);
/* What follows is turned as in a sequence that calls for this stretch; keys that are held stay as they are (dynamic
 * scaling, as transformers generates with its cache). */
void nb_kv_restretch(nb_kv *kv, size_t stretch);
/* Forgets the tokens from `length` on (not below what is shared). */
void nb_kv_truncate(nb_kv *kv, size_t length);
/* Forgets all tokens (of its own) and writes zeros everywhere: the system has then given the memory. */
void nb_kv_clear(nb_kv *kv);
/* Bytes that the tokens held take (without what is shared). */
size_t nb_kv_bytes(const nb_kv *kv);

/* Bytes that a cache of that many tokens takes once they are held. */
size_t nb_kv_need(const nb_config *c, size_t tokens, nb_kv_type type);
nb_kv_type nb_kv_type_of(const nb_kv *kv);
size_t nb_kv_stretch(const nb_kv *kv);

/* ---- as bytes (kv_bytes.c) ---- */

/* Passes the tokens held (no fork's) on, nb_kv_bytes of them in all, for nb_kv_restore. */
nb_status nb_kv_save(const nb_kv *kv, nb_status (*put)(void *ctx, const void *data, size_t n, nb_err *err), void *ctx,
                     nb_err *err);
/* Fills an empty cache with `length` tokens that were saved from one of the same model, type and stretch. The n bytes
 * may be anyone's: NB_ERR_FORMAT when they are too few or many, or hold a number that attention does not allow. */
nb_status nb_kv_restore(nb_kv *kv, size_t length, const void *bytes, size_t n, nb_err *err);

/* As nb_kv_create, with room for `layers` layers only (1 for layer-at-a-time work). */
nb_status nb_kv_create_layers(const nb_config *c, size_t layers, size_t capacity, nb_kv_type type, size_t stretch,
                              nb_kv **out, nb_err *err);

/* "f32", "f16", "q16", "q8" and back. */
const char *nb_kv_type_name(nb_kv_type t);
nb_status nb_kv_type_parse(const char *name, nb_kv_type *out, nb_err *err);

#endif
