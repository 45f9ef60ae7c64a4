/* SPDX-License-Identifier: MIT */
#include "formats/nbl.h"

#include "base/assert.h"
#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "formats/outfile.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[64];

/* ---- sizes ---- */

nb_status nb_nbl_plan(const nb_parts *parts, const nb_nbl_choice *how, const nb_nbl_head *head, nb_nbl_tensor *t,
                      uint64_t *file_bytes, nb_err *err) {
  size_t n = parts->n, at;
  if (!nb_add(NB_NBL_HEADER + n * NB_NBL_RECORD, head->meta_bytes, &at) || !nb_add(at, head->tokenizer_bytes, &at) ||
      at > SIZE_MAX / 2)
    return nb_fail(err, NB_ERR_ARG, "the metadata is too large");
  uint64_t end = nb_nbl_pad(at);
  for (size_t i = 0; i < n; i++) {
    bool coded = how[i].coded && parts->part[i].matrix;
    t[i] = (nb_nbl_tensor){.part = parts->part[i], .coded = coded};
    if (coded) t[i].fmt = how[i].fmt;
    else t[i].dtype = how[i].dtype;
    NB_TRY(nb_nbl_stored_bytes(&t[i], &t[i].size, err));
    t[i].offset = end;
    if (t[i].size > (uint64_t)INT64_MAX - 64 - end) return nb_fail(err, NB_ERR_ARG, "the file would be too large");
    end += nb_nbl_pad(t[i].size);
    nb_assert(t[i].offset % 64 == 0 && end > t[i].offset);
  }
  *file_bytes = end;
  return NB_OK;
}

/* ---- writing ---- */

struct nb_nbl_writer {
  nb_outfile out;
  nb_nbl_tensor *tensor; /* (n) */
  size_t n, next;
  uint8_t *head; /* (data_offset): all that precedes the tensors */
  size_t data_offset;
};

static void put_record(uint8_t *r, const nb_nbl_tensor *t) {
  r[0] = (uint8_t)t->part.role;
  r[1] = t->coded ? NB_NBL_CODED : (uint8_t)t->dtype;
  if (t->coded) r[2] = t->fmt.bits, r[3] = t->fmt.kind, nb_little_put(r + 4, t->fmt.group, 2);
  nb_little_put(r + 8, (uint32_t)t->part.layer, 4);
  nb_little_put(r + 12, (uint32_t)(t->part.expert + 1), 4);
  nb_little_put(r + 16, t->part.N, 8);
  nb_little_put(r + 24, t->part.K, 8);
  nb_little_put(r + 32, t->offset, 8);
  nb_little_put(r + 40, t->size, 8);
  nb_little_put(r + 48, t->hash, 8);
}

nb_status nb_nbl_writer_open(const char *path, const nb_nbl_tensor *t, size_t n, const nb_nbl_head *head,
                             nb_nbl_writer **out, nb_err *err) {
  *out = NULL;
  size_t meta_at = NB_NBL_HEADER + n * NB_NBL_RECORD, data_offset = t[0].offset;
  if (n > UINT32_MAX || nb_nbl_pad(meta_at + head->meta_bytes + head->tokenizer_bytes) != data_offset)
    return nb_fail(err, NB_ERR_ARG, "%s: the metadata is not of the planned size", path);
  nb_nbl_writer *w = calloc(1, sizeof *w);
  if (!w) return nb_fail(err, NB_ERR_MEMORY, "out of memory writing %s", path);
  w->out.fd = -1;
  nb_status st;
  NB_GOTO(nb_new(&w->tensor, n, sizeof *t, "the directory", err));
  NB_GOTO(nb_new(&w->head, data_offset, 1, "the header", err));
  memcpy(w->tensor, t, n * sizeof *t);
  for (size_t i = 1; i < n; i++) nb_assert(t[i].offset == t[i - 1].offset + nb_nbl_pad(t[i - 1].size));
  nb_assert(data_offset % 64 == 0);
  w->n = n, w->data_offset = data_offset;
  uint64_t file_bytes = t[n - 1].offset + nb_nbl_pad(t[n - 1].size);
  memcpy(w->head, NB_NBL_MAGIC, 8);
  nb_little_put(w->head + 8, NB_NBL_VERSION, 4);
  nb_little_put(w->head + 12, n, 4);
  nb_little_put(w->head + 32, file_bytes, 8);
  nb_little_put(w->head + 40, head->meta_bytes, 8);
  nb_little_put(w->head + 48, head->tokenizer_bytes, 8);
  nb_little_put(w->head + 56, data_offset, 8);
  memcpy(w->head + meta_at, head->meta, head->meta_bytes);
  if (head->tokenizer_bytes) memcpy(w->head + meta_at + head->meta_bytes, head->tokenizer, head->tokenizer_bytes);
  NB_GOTO(nb_outfile_create(path, &w->out, err));
  NB_GOTO(nb_outfile_reserve(&w->out, file_bytes, err));
  NB_GOTO(nb_outfile_write(&w->out, w->head, data_offset, err)); /* the directory follows when it is known */
  *out = w;
  return NB_OK;
fail:
  nb_nbl_writer_abort(w);
  return st;
}

nb_status nb_nbl_writer_put(nb_nbl_writer *w, const void *data, size_t n_bytes, nb_err *err) {
  if (w->next >= w->n || n_bytes != w->tensor[w->next].size)
    return nb_fail(err, NB_ERR_ARG, "%s: tensor %zu is not of its planned size", w->out.path, w->next);
  nb_nbl_tensor *t = &w->tensor[w->next];
  size_t pad = nb_nbl_pad(n_bytes) - n_bytes;
  nb_assert(pad < sizeof zeros);
  if (pad == 0) {
    t->hash = nb_nbl_hash(data, n_bytes);
  } else {
    XXH3_state_t *s = XXH3_createState();
    if (!s) return nb_fail(err, NB_ERR_MEMORY, "out of memory writing %s", w->out.path);
    XXH3_64bits_reset(s);
    XXH3_64bits_update(s, data, n_bytes);
    XXH3_64bits_update(s, zeros, pad);
    t->hash = XXH3_64bits_digest(s);
    XXH3_freeState(s);
  }
  NB_TRY(nb_outfile_write(&w->out, data, n_bytes, err));
  NB_TRY(nb_outfile_write(&w->out, zeros, pad, err));
  w->next++;
  return NB_OK;
}

nb_status nb_nbl_writer_meta(nb_nbl_writer *w, const char *meta, size_t meta_bytes, nb_err *err) {
  size_t planned = (size_t)nb_little_get(w->head + 40, 8);
  if (meta_bytes != planned)
    return nb_fail(err, NB_ERR_ARG, "%s: the metadata is not of the planned size", w->out.path);
  memcpy(w->head + NB_NBL_HEADER + w->n * NB_NBL_RECORD, meta, meta_bytes);
  return NB_OK;
}

nb_status nb_nbl_writer_commit(nb_nbl_writer *w, nb_err *err) {
  nb_status st;
  if (w->next != w->n) {
    st = nb_fail(err, NB_ERR_ARG, "%s: %zu of %zu tensors are missing", w->out.path, w->n - w->next, w->n);
    goto fail;
  }
  for (size_t i = 0; i < w->n; i++) put_record(w->head + NB_NBL_HEADER + i * NB_NBL_RECORD, &w->tensor[i]);
  nb_nbl_header_hash(w->head, w->data_offset, w->head + 16);
  NB_GOTO(nb_outfile_pwrite(&w->out, w->head, w->data_offset, 0, err));
  NB_GOTO(nb_outfile_commit(&w->out, err));
fail:
  nb_nbl_writer_abort(w);
  return st;
}

void nb_nbl_writer_abort(nb_nbl_writer *w) {
  if (!w) return;
  nb_outfile_abort(&w->out);
  nb_free(w->tensor);
  nb_free(w->head);
  free(w);
}
