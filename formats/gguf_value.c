/* SPDX-License-Identifier: MIT */
/* Finding and reading what a GGUF file holds: values by key, tensors by name. */
#include "formats/gguf.h"

#include "base/f16.h"
#include "base/little.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_key(const void *key, const void *v) { return strcmp(key, ((const nb_gguf_value *)v)->key); }
static int compare_name(const void *name, const void *t) { return strcmp(name, ((const nb_gguf_tensor *)t)->name); }

const nb_gguf_tensor *nb_gguf_tensor_find(const nb_gguf *g, const char *name) {
  return g->n_tensors ? bsearch(name, g->tensors, g->n_tensors, sizeof *g->tensors, compare_name) : NULL;
}

const nb_gguf_value *nb_gguf_get(const nb_gguf *g, const char *key) {
  return g->n_values ? bsearch(key, g->values, g->n_values, sizeof *g->values, compare_key) : NULL;
}

/* Element i when it is an integer: its magnitude's sign in *negative. */
static bool as_integer(const nb_gguf_value *v, size_t i, uint64_t *u, bool *is_signed) {
  const uint8_t *p = v->data;
  *is_signed = false;
  switch (v->kind) {
  case NB_GGUF_U8:
  case NB_GGUF_BOOL: *u = p[i]; return true;
  case NB_GGUF_U16: *u = nb_little_get(p + 2 * i, 2); return true;
  case NB_GGUF_U32: *u = nb_little_get(p + 4 * i, 4); return true;
  case NB_GGUF_U64: *u = nb_little_get(p + 8 * i, 8); return true;
  default: *is_signed = true;
  }
  switch (v->kind) {
  case NB_GGUF_I8: *u = (uint64_t)(int64_t)(int8_t)p[i]; return true;
  case NB_GGUF_I16: *u = (uint64_t)(int64_t)(int16_t)nb_little_get(p + 2 * i, 2); return true;
  case NB_GGUF_I32: *u = (uint64_t)(int64_t)(int32_t)nb_little_get(p + 4 * i, 4); return true;
  case NB_GGUF_I64: *u = nb_little_get(p + 8 * i, 8); return true;
  default: return false;
  }
}

double nb_gguf_number(const nb_gguf_value *v, size_t i) {
  uint64_t u;
  bool is_signed;
  if (as_integer(v, i, &u, &is_signed)) return is_signed ? (double)(int64_t)u : (double)u;
  if (v->kind == NB_GGUF_F32) return nb_bits_f32((uint32_t)nb_little_get(v->data + 4 * i, 4));
  if (v->kind != NB_GGUF_F64) return NAN;
  double d;
  u = nb_little_get(v->data + 8 * i, 8);
  memcpy(&d, &u, sizeof d);
  return d;
}

bool nb_gguf_integer(const nb_gguf_value *v, size_t i, int64_t *out) {
  uint64_t u;
  bool is_signed;
  if (as_integer(v, i, &u, &is_signed)) {
    *out = (int64_t)u;
    return is_signed || u <= (uint64_t)INT64_MAX;
  }
  double d = nb_gguf_number(v, i);
  if (!(fabs(d) < 0x1p53) || d != floor(d)) return false;
  *out = (int64_t)d;
  return true;
}

nb_gguf_strings nb_gguf_strings_begin(const nb_gguf_value *v) {
  return (nb_gguf_strings){v->data, v->kind == NB_GGUF_STRING ? v->n : 0};
}

bool nb_gguf_strings_next(nb_gguf_strings *s, const char **text, size_t *n) {
  if (!s->left) return false;
  *n = (size_t)nb_little_get(s->at, 8); /* opening has checked that it fits */
  *text = (const char *)s->at + 8;
  s->at += 8 + *n;
  s->left--;
  return true;
}

/* ---- single values ---- */

/* *v is NULL when the key is not there and need not be. */
static nb_status single(const nb_gguf *g, const char *key, int optional, const nb_gguf_value **v, nb_err *err) {
  *v = nb_gguf_get(g, key);
  if (*v && (*v)->array) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is an array", g->shards[0].path, key);
  if (*v || optional) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: there is no \"%s\"", g->shards[0].path, key);
}

nb_status nb_gguf_size(const nb_gguf *g, const char *key, int optional, size_t min, size_t max, size_t *out,
                       nb_err *err) {
  const nb_gguf_value *v;
  int64_t i;
  NB_TRY(single(g, key, optional, &v, err));
  if (!v) return NB_OK;
  if (v->kind == NB_GGUF_STRING || v->kind == NB_GGUF_BOOL || !nb_gguf_integer(v, 0, &i))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not a whole number", g->shards[0].path, key);
  if (i < 0 || (uint64_t)i < min || (uint64_t)i > max)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %lld, not between %zu and %zu", g->shards[0].path, key,
                   (long long)i, min, max);
  *out = (size_t)i;
  return NB_OK;
}

nb_status nb_gguf_f64(const nb_gguf *g, const char *key, int optional, double *out, nb_err *err) {
  const nb_gguf_value *v;
  NB_TRY(single(g, key, optional, &v, err));
  if (!v) return NB_OK;
  double d = v->kind == NB_GGUF_BOOL ? NAN : nb_gguf_number(v, 0);
  if (!isfinite(d)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not a finite number", g->shards[0].path, key);
  *out = d;
  return NB_OK;
}

nb_status nb_gguf_bool(const nb_gguf *g, const char *key, int optional, bool *out, nb_err *err) {
  const nb_gguf_value *v;
  NB_TRY(single(g, key, optional, &v, err));
  if (!v) return NB_OK;
  if (v->kind != NB_GGUF_BOOL)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not true or false", g->shards[0].path, key);
  *out = v->data[0];
  return NB_OK;
}

nb_status nb_gguf_string(const nb_gguf *g, const char *key, int optional, const char **text, size_t *n, nb_err *err) {
  const nb_gguf_value *v;
  NB_TRY(single(g, key, optional, &v, err));
  if (!v) return NB_OK;
  if (v->kind != NB_GGUF_STRING) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not a text", g->shards[0].path, key);
  nb_gguf_strings s = nb_gguf_strings_begin(v);
  nb_gguf_strings_next(&s, text, n);
  return NB_OK;
}
