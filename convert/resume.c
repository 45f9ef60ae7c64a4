/* SPDX-License-Identifier: MIT */
#include "convert/resume.h"

#include "formats/mapfile.h"
#include "convert/quantize.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

static const char magic[8] = "NBLPART4";

enum { MATRIX_HEAD = 24 }; /* losses of plain rounding and of the result; rows kept plain */

struct nb_resume {
  char *path;
  uint8_t signature[16];
  size_t n_formats, layers, done; /* matrices with a format; layers in all; complete ones */
  size_t per_layer;               /* matrices of a layer */
  char *bytes;                    /* the file as it was found */
  size_t n;
  size_t *at, *size; /* (layers, per_layer) where matrices are in bytes; MATRIX_HEAD bytes of numbers stand before */
  size_t end;        /* of the last complete record */
  FILE *f;
  nb_text record;
};

/* The magic, the signature, formats, numbers of the choice, and XXH3-64 of all that. */
static size_t header_bytes(const nb_resume *r) { return sizeof magic + 16 + (3 + 24) * r->n_formats + 8; }

static uint64_t header_hash(const nb_resume *r, const char *head) { return XXH3_64bits(head, header_bytes(r) - 8); }

static nb_status new_resume(const char *path, const nb_parts *parts, nb_resume **out, nb_err *err) {
  nb_resume *r = calloc(1, sizeof *r);
  if (r) {
    r->path = malloc(strlen(path) + 6);
    r->per_layer = parts->per_layer;
    r->layers = parts->embed / parts->per_layer;
    r->n_formats = parts->n_matrices;
    r->at = calloc(parts->embed, sizeof *r->at);
    r->size = calloc(parts->embed, sizeof *r->size);
  }
  *out = r;
  if (!r || !r->path || !r->at || !r->size) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  sprintf(r->path, "%s.part", path);
  return NB_OK;
}

static void put_u64(char *p, uint64_t v) {
  for (int i = 0; i < 8; i++) p[i] = (char)(v >> 8 * i);
}

static void get_format(const char *p, nb_qfmt *f) {
  const uint8_t *b = (const uint8_t *)p;
  *f = (nb_qfmt){b[0], b[1], (uint16_t)(b[2] * 32)};
}

static void put_format(char *p, nb_qfmt f) { p[0] = (char)f.bits, p[1] = (char)f.table, p[2] = (char)(f.group / 32); }

static void get_choice(const char *p, size_t n, nb_quantize_choice *c) {
  memcpy(c->probe_kl, p, 8 * n), memcpy(c->probe_error, p + 8 * n, 8 * n), memcpy(c->predicted, p + 16 * n, 8 * n);
}

static void put_choice(char *p, size_t n, const nb_quantize_choice *c) {
  memcpy(p, c->probe_kl, 8 * n), memcpy(p + 8 * n, c->probe_error, 8 * n), memcpy(p + 16 * n, c->predicted, 8 * n);
}

/* Finds the complete records. */
static void scan(nb_resume *r) {
  nb_cursor c = {(const uint8_t *)r->bytes, r->n, header_bytes(r), false};
  r->end = c.pos;
  for (size_t l = 0; l < r->layers; l++) {
    size_t start = c.pos;
    for (size_t i = 0; i < r->per_layer; i++) {
      uint64_t size = nb_cursor_u64(&c);
      r->size[l * r->per_layer + i] = (size_t)size;
      nb_cursor_bytes(&c, MATRIX_HEAD);
      r->at[l * r->per_layer + i] = c.pos;
      nb_cursor_bytes(&c, (size_t)size);
    }
    size_t stop = c.pos;
    uint64_t hash = nb_cursor_u64(&c);
    if (c.failed || hash != XXH3_64bits(r->bytes + start, stop - start)) return;
    r->done = l + 1;
    r->end = c.pos;
  }
}

nb_status nb_resume_open(const char *path, const uint8_t signature[16], const nb_parts *parts, nb_qfmt *formats,
                         nb_quantize_choice *choice, bool *found, nb_resume **out, nb_err *err) {
  *found = false;
  nb_status st = new_resume(path, parts, out, err);
  nb_resume *r = *out;
  if (st != NB_OK) goto fail;
  memcpy(r->signature, signature, 16);
  if (access(r->path, F_OK)) return NB_OK;
  NB_GOTO(nb_mapfile_read(r->path, (size_t)1 << 40, &r->bytes, &r->n, err));
  if (memcmp(r->bytes, magic, nb_min(r->n, 8))) {
    st = nb_fail(err, NB_ERR_ARG, "%s, where finished layers go, is some other file: move it away", r->path);
    goto fail;
  }
  if (r->n < header_bytes(r)) { /* killed while it was begun */
    r->n = 0;
    return NB_OK;
  }
  if (memcmp(r->bytes + 8, signature, 16)) {
    st = nb_fail(err, NB_ERR_ARG,
                 "%s is of a run with other settings or inputs: give those again, or remove it to start anew", r->path);
    goto fail;
  }
  nb_cursor hash = {(const uint8_t *)r->bytes, r->n, header_bytes(r) - 8, false};
  if (nb_cursor_u64(&hash) != header_hash(r, r->bytes)) { /* damaged: nothing after it can be used */
    r->n = 0;
    return NB_OK;
  }
  for (size_t i = 0; i < r->n_formats; i++) get_format(r->bytes + 24 + 3 * i, &formats[i]);
  if (choice) get_choice(r->bytes + 24 + 3 * r->n_formats, r->n_formats, choice);
  scan(r);
  *found = true;
  if (truncate(r->path, (off_t)r->end) || !(r->f = fopen(r->path, "ab"))) {
    st = nb_fail(err, NB_ERR_IO, "%s: %s", r->path, strerror(errno));
    goto fail;
  }
  return NB_OK;
fail:
  nb_resume_close(r, false);
  *out = NULL;
  return st;
}

nb_status nb_resume_begin(nb_resume *r, const nb_qfmt *formats, const nb_quantize_choice *choice, nb_err *err) {
  if (r->f) return NB_OK;
  char *head = calloc(1, header_bytes(r));
  if (!head) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  memcpy(head, magic, 8);
  memcpy(head + 8, r->signature, 16);
  for (size_t i = 0; i < r->n_formats; i++) put_format(head + 24 + 3 * i, formats[i]);
  if (choice) put_choice(head + 24 + 3 * r->n_formats, r->n_formats, choice);
  put_u64(head + header_bytes(r) - 8, header_hash(r, head));
  r->f = fopen(r->path, "wb");
  bool ok = r->f && fwrite(head, header_bytes(r), 1, r->f) == 1 && fflush(r->f) == 0;
  free(head);
  return ok ? NB_OK : nb_fail(err, NB_ERR_IO, "%s: %s", r->path, strerror(errno));
}

size_t nb_resume_layers(const nb_resume *r) { return r->done; }

const void *nb_resume_matrix(const nb_resume *r, size_t matrix, size_t n_bytes) {
  bool have = matrix < r->done * r->per_layer && r->size[matrix] == n_bytes;
  return have ? r->bytes + r->at[matrix] : NULL;
}

static nb_status append_u64(nb_text *t, uint64_t v, nb_err *err) {
  char b[8];
  put_u64(b, v);
  return nb_text_append(t, b, 8, err);
}

nb_status nb_resume_put(nb_resume *r, nb_quantized *q, nb_err *err) {
  if (q->matrix >= r->layers * r->per_layer) return NB_OK;
  if (q->matrix < r->done * r->per_layer) {
    const char *p = r->bytes + r->at[q->matrix] - MATRIX_HEAD;
    uint64_t rows;
    memcpy(&q->plain, p, 8), memcpy(&q->loss, p + 8, 8), memcpy(&rows, p + 16, 8);
    q->fell_back = (size_t)rows;
    return NB_OK;
  }
  uint64_t rows = q->fell_back;
  if (q->matrix % r->per_layer == 0) nb_text_clear(&r->record);
  NB_TRY(append_u64(&r->record, q->n_bytes, err));
  NB_TRY(nb_text_append(&r->record, (const char *)&q->plain, 8, err));
  NB_TRY(nb_text_append(&r->record, (const char *)&q->loss, 8, err));
  NB_TRY(append_u64(&r->record, rows, err));
  NB_TRY(nb_text_append(&r->record, q->data, q->n_bytes, err));
  if ((q->matrix + 1) % r->per_layer != 0) return NB_OK;
  NB_TRY(append_u64(&r->record, XXH3_64bits(r->record.s, r->record.n), err));
  if (fwrite(r->record.s, r->record.n, 1, r->f) != 1 || fflush(r->f))
    return nb_fail(err, NB_ERR_IO, "%s: %s", r->path, strerror(errno));
  return NB_OK;
}

void nb_resume_close(nb_resume *r, bool done) {
  if (!r) return;
  if (r->f) fclose(r->f);
  if (done) unlink(r->path);
  nb_text_free(&r->record);
  free(r->bytes), free(r->at), free(r->size), free(r->path);
  free(r);
}
