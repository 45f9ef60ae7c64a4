/* SPDX-License-Identifier: MIT */
/* Writing GGUF files, version 3: keys and tensors are gathered in memory, then the head goes out at once. */
#include "formats/gguf.h"

#include "base/f16.h"
#include "base/little.h"
#include "base/mem.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ALIGNMENT = 32, MAX_NAME = 63 /* bytes that llama.cpp takes */ };

struct nb_gguf_writer {
  nb_outfile *out;
  nb_text values, tensors; /* as they go to the file */
  uint64_t n_values;
  uint64_t *n_bytes; /* (n_tensors) of each tensor */
  size_t n_tensors, cap;
  uint64_t end;      /* of the tensors so far, from the data's begin */
  size_t at_tensor;  /* the one that is being written */
  uint64_t at_byte;  /* within it */
  uint64_t elements; /* strings still to come for an announced array */
};

nb_status nb_gguf_writer_new(nb_outfile *out, nb_gguf_writer **w, nb_err *err) {
  NB_TRY(nb_new(w, 1, sizeof **w, "a GGUF file", err));
  (*w)->out = out;
  return NB_OK;
}

void nb_gguf_writer_free(nb_gguf_writer *w) {
  if (!w) return;
  nb_text_free(&w->values);
  nb_text_free(&w->tensors);
  free(w->n_bytes);
  nb_free(w);
}

/* ---- pieces ---- */

static nb_status append_uint(nb_text *t, uint64_t v, unsigned bytes, nb_err *err) {
  char b[8];
  nb_little_put(b, v, sizeof b);
  return nb_text_append(t, b, bytes, err);
}

static nb_status append_string(nb_text *t, const char *s, size_t n, nb_err *err) {
  NB_TRY(append_uint(t, n, 8, err));
  return nb_text_append(t, s, n, err);
}

static nb_status begin_value(nb_gguf_writer *w, const char *key, nb_gguf_kind kind, nb_err *err) {
  if (w->elements)
    return nb_fail(err, NB_ERR_ARG, "%s: %" PRIu64 " strings of an array are missing before \"%s\"", w->out->path,
                   w->elements, key);
  w->n_values++;
  NB_TRY(append_string(&w->values, key, strlen(key), err));
  return append_uint(&w->values, kind, 4, err);
}

static nb_status begin_array(nb_gguf_writer *w, const char *key, nb_gguf_kind kind, size_t n, nb_err *err) {
  NB_TRY(begin_value(w, key, NB_GGUF_ARRAY, err));
  NB_TRY(append_uint(&w->values, kind, 4, err));
  return append_uint(&w->values, n, 8, err);
}

/* ---- keys ---- */

nb_status nb_gguf_put_u32(nb_gguf_writer *w, const char *key, uint32_t v, nb_err *err) {
  NB_TRY(begin_value(w, key, NB_GGUF_U32, err));
  return append_uint(&w->values, v, 4, err);
}

nb_status nb_gguf_put_f32(nb_gguf_writer *w, const char *key, float v, nb_err *err) {
  NB_TRY(begin_value(w, key, NB_GGUF_F32, err));
  return append_uint(&w->values, nb_f32_bits(v), 4, err);
}

nb_status nb_gguf_put_bool(nb_gguf_writer *w, const char *key, bool v, nb_err *err) {
  NB_TRY(begin_value(w, key, NB_GGUF_BOOL, err));
  return append_uint(&w->values, v, 1, err);
}

nb_status nb_gguf_put_string(nb_gguf_writer *w, const char *key, const char *s, size_t n, nb_err *err) {
  NB_TRY(begin_value(w, key, NB_GGUF_STRING, err));
  return append_string(&w->values, s, n, err);
}

nb_status nb_gguf_put_f32s(nb_gguf_writer *w, const char *key, const float *v, size_t n, nb_err *err) {
  NB_TRY(begin_array(w, key, NB_GGUF_F32, n, err));
  for (size_t i = 0; i < n; i++) NB_TRY(append_uint(&w->values, nb_f32_bits(v[i]), 4, err));
  return NB_OK;
}

nb_status nb_gguf_put_i32s(nb_gguf_writer *w, const char *key, const int32_t *v, size_t n, nb_err *err) {
  NB_TRY(begin_array(w, key, NB_GGUF_I32, n, err));
  for (size_t i = 0; i < n; i++) NB_TRY(append_uint(&w->values, (uint32_t)v[i], 4, err));
  return NB_OK;
}

nb_status nb_gguf_put_strings(nb_gguf_writer *w, const char *key, size_t n, nb_err *err) {
  NB_TRY(begin_array(w, key, NB_GGUF_STRING, n, err));
  w->elements = n;
  return NB_OK;
}

nb_status nb_gguf_put_element(nb_gguf_writer *w, const char *s, size_t n, nb_err *err) {
  if (!w->elements) return nb_fail(err, NB_ERR_ARG, "%s: one string more than its array was to have", w->out->path);
  w->elements--;
  return append_string(&w->values, s, n, err);
}

/* ---- tensors ---- */

nb_status nb_gguf_put_tensor(nb_gguf_writer *w, const char *name, const nb_ggml_type *type, const size_t *shape,
                             unsigned n_dims, nb_err *err) {
  size_t bytes = 1, n = strlen(name);
  if (!n || n > MAX_NAME || n_dims < 1 || n_dims > NB_MAX_DIMS)
    return nb_fail(err, NB_ERR_ARG, "%s: a tensor named \"%.100s\" of %u dimensions", w->out->path, name, n_dims);
  if (shape[n_dims - 1] % type->block)
    return nb_fail(err, NB_ERR_ARG, "%s: %s: rows of %zu are no whole blocks of %s (%u)", w->out->path, name,
                   shape[n_dims - 1], type->name, type->block);
  for (unsigned i = 0; i < n_dims; i++)
    if (!shape[i] || !nb_mul(bytes, i + 1 < n_dims ? shape[i] : shape[i] / type->block, &bytes))
      return nb_fail(err, NB_ERR_ARG, "%s: %s: its shape", w->out->path, name);
  if (!nb_mul(bytes, type->bytes, &bytes)) return nb_fail(err, NB_ERR_ARG, "%s: %s: its shape", w->out->path, name);
  NB_TRY(nb_grow(&w->n_bytes, &w->cap, w->n_tensors + 1, sizeof *w->n_bytes, err));
  w->n_bytes[w->n_tensors++] = bytes;
  NB_TRY(append_string(&w->tensors, name, n, err));
  NB_TRY(append_uint(&w->tensors, n_dims, 4, err));
  for (unsigned i = n_dims; i-- > 0;) NB_TRY(append_uint(&w->tensors, shape[i], 8, err));
  NB_TRY(append_uint(&w->tensors, type->id, 4, err));
  NB_TRY(append_uint(&w->tensors, w->end, 8, err));
  w->end = nb_round_up(w->end + bytes, ALIGNMENT);
  return NB_OK;
}

/* Zeros up to the alignment after n bytes. */
static nb_status pad(nb_gguf_writer *w, uint64_t n, nb_err *err) {
  static const uint8_t zeros[ALIGNMENT];
  return nb_outfile_write(w->out, zeros, (size_t)(nb_round_up(n, ALIGNMENT) - n), err);
}

nb_status nb_gguf_writer_head(nb_gguf_writer *w, uint64_t *bytes, nb_err *err) {
  nb_text head = {0};
  nb_status st;
  if (w->elements) return nb_fail(err, NB_ERR_ARG, "%s: strings of an array are missing", w->out->path);
  NB_GOTO(nb_text_append(&head, "GGUF", 4, err));
  NB_GOTO(append_uint(&head, 3, 4, err));
  NB_GOTO(append_uint(&head, w->n_tensors, 8, err));
  NB_GOTO(append_uint(&head, w->n_values, 8, err));
  NB_GOTO(nb_text_append(&head, w->values.s, w->values.n, err));
  NB_GOTO(nb_text_append(&head, w->tensors.s, w->tensors.n, err));
  uint64_t total = nb_round_up(head.n, ALIGNMENT) + w->end;
  if (bytes) *bytes = total;
  NB_GOTO(nb_outfile_reserve(w->out, total, err));
  NB_GOTO(nb_outfile_write(w->out, head.s, head.n, err));
  st = pad(w, head.n, err);
fail:
  nb_text_free(&head);
  return st;
}

nb_status nb_gguf_writer_data(nb_gguf_writer *w, const void *data, size_t n, nb_err *err) {
  if (w->at_tensor == w->n_tensors || n > w->n_bytes[w->at_tensor] - w->at_byte)
    return nb_fail(err, NB_ERR_ARG, "%s: more bytes than its tensors have", w->out->path);
  NB_TRY(nb_outfile_write(w->out, data, n, err));
  w->at_byte += n;
  if (w->at_byte < w->n_bytes[w->at_tensor]) return NB_OK;
  NB_TRY(pad(w, w->at_byte, err));
  w->at_tensor++;
  w->at_byte = 0;
  return NB_OK;
}

nb_status nb_gguf_writer_end(nb_gguf_writer *w, nb_err *err) {
  if (w->at_tensor == w->n_tensors) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s: the bytes of %zu tensors are missing", w->out->path,
                 w->n_tensors - w->at_tensor);
}
