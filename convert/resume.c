/* SPDX-License-Identifier: MIT */
#include "convert/resume.h"

#include "base/little.h"
#include "base/mem.h"
#include "convert/quantize.h"
#include "formats/lockfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char magic[9] = "NBLPART5";

enum { MAGIC_BYTES = 8, BEFORE_FORMATS = MAGIC_BYTES + 16 + 8, A_FORMAT = 3 + 24, RECORD_HEAD = 48, HASH_BYTES = 8 };

/* A matrix of an earlier run. */
typedef struct record {
  const char *head; /* RECORD_HEAD bytes, then `size` bytes of the coded form; NULL: not finished */
  size_t size;
} record;

struct nb_resume {
  nb_lockfile file;
  uint8_t signature[16];
  size_t n_formats; /* matrices that have a format */
  char *bytes;      /* the file as it was found, n of them */
  size_t n;
  record *of; /* (n_formats) by matrix */
  bool begun;
  uint64_t seed;        /* the header's hash */
  uint64_t count, kept; /* records in the file; of these those of an earlier run */
  uint64_t end;         /* where the next record goes */
};

/* ---- numbers ---- */

static void put_double(char *p, double x) {
  uint64_t bits;
  memcpy(&bits, &x, 8);
  nb_little_put(p, bits, 8);
}

static double get_double(const char *p) {
  uint64_t bits = nb_little_get(p, 8);
  double x;
  memcpy(&x, &bits, 8);
  return x;
}

/* ---- the header ---- */

static size_t header_bytes(const nb_resume *r) { return BEFORE_FORMATS + A_FORMAT * r->n_formats + HASH_BYTES; }

static uint64_t header_hash(const nb_resume *r, const char *head) {
  return XXH3_64bits(head, header_bytes(r) - HASH_BYTES);
}

static void get_header(const nb_resume *r, nb_qfmt *f, nb_quantize_choice *c) {
  size_t n = r->n_formats;
  const char *p = r->bytes + BEFORE_FORMATS, *numbers = p + 3 * n;
  for (size_t i = 0; i < n; i++, p += 3) f[i] = (nb_qfmt){(uint8_t)p[0], (uint8_t)p[1], (uint16_t)((uint8_t)p[2] * 32)};
  for (size_t i = 0; c && i < n; i++) {
    c->probe_kl[i] = get_double(numbers + 8 * i);
    c->probe_error[i] = get_double(numbers + 8 * (n + i));
    c->predicted[i] = get_double(numbers + 8 * (2 * n + i));
  }
}

static void put_header(const nb_resume *r, const nb_qfmt *formats, const nb_quantize_choice *c, char *head) {
  size_t n = r->n_formats;
  char *p = head + BEFORE_FORMATS, *numbers = p + 3 * n;
  memcpy(head, magic, MAGIC_BYTES);
  memcpy(head + MAGIC_BYTES, r->signature, 16);
  nb_little_put(head + MAGIC_BYTES + 16, n, 8);
  for (size_t i = 0; i < n; i++, p += 3) {
    p[0] = (char)formats[i].bits, p[1] = (char)formats[i].kind, p[2] = (char)(formats[i].group / 32);
  }
  for (size_t i = 0; c && i < n; i++) {
    put_double(numbers + 8 * i, c->probe_kl[i]);
    put_double(numbers + 8 * (n + i), c->probe_error[i]);
    put_double(numbers + 8 * (2 * n + i), c->predicted[i]);
  }
  nb_little_put(head + header_bytes(r) - HASH_BYTES, header_hash(r, head), 8);
}

/* ---- records ---- */

/* Of a record in two pieces. The header's hash as a seed makes the records of another run's file fail here. */
static uint64_t record_hash(const nb_resume *r, const char *head, const void *data, size_t size) {
  uint64_t of_data = XXH3_64bits_withSeed(data, size, r->seed);
  return XXH3_64bits_withSeed(head, RECORD_HEAD, of_data);
}

/* Finds the records that can be used. */
static void scan(nb_resume *r) {
  size_t at = header_bytes(r);
  for (r->count = 0;; r->count++) {
    const char *p = r->bytes + at;
    r->end = at;
    if (r->n - at < RECORD_HEAD + HASH_BYTES) break;
    uint64_t number = nb_little_get(p, 8), matrix = nb_little_get(p + 8, 8), size = nb_little_get(p + 16, 8);
    if (number != r->count || matrix >= r->n_formats || r->of[matrix].head) break;
    if (size > r->n - at - RECORD_HEAD - HASH_BYTES) break;
    if (nb_little_get(p + RECORD_HEAD + size, 8) != record_hash(r, p, p + RECORD_HEAD, (size_t)size)) break;
    r->of[matrix] = (record){p, (size_t)size};
    at += RECORD_HEAD + (size_t)size + HASH_BYTES;
  }
  r->kept = r->count;
}

size_t nb_resume_count(const nb_resume *r) { return (size_t)r->kept; }

const void *nb_resume_find(const nb_resume *r, size_t matrix, size_t n_bytes) {
  const record *x = &r->of[matrix];
  return x->head && x->size == n_bytes ? x->head + RECORD_HEAD : NULL;
}

nb_status nb_resume_put(nb_resume *r, nb_quantized *q, nb_err *err) {
  const char *earlier = r->of[q->matrix].head;
  if (earlier) {
    q->plain = get_double(earlier + 24), q->loss = get_double(earlier + 32);
    q->fell_back = (size_t)nb_little_get(earlier + 40, 8);
    return NB_OK;
  }
  char head[RECORD_HEAD], hash[HASH_BYTES];
  nb_little_put(head, r->count, 8), nb_little_put(head + 8, q->matrix, 8), nb_little_put(head + 16, q->n_bytes, 8);
  put_double(head + 24, q->plain), put_double(head + 32, q->loss), nb_little_put(head + 40, q->fell_back, 8);
  nb_little_put(hash, record_hash(r, head, q->data, q->n_bytes), 8);
  NB_TRY(nb_lockfile_write(&r->file, head, sizeof head, r->end, err));
  NB_TRY(nb_lockfile_write(&r->file, q->data, q->n_bytes, r->end + RECORD_HEAD, err));
  NB_TRY(nb_lockfile_write(&r->file, hash, sizeof hash, r->end + RECORD_HEAD + q->n_bytes, err));
  r->end += RECORD_HEAD + q->n_bytes + HASH_BYTES;
  r->count++;
  return NB_OK;
}

/* ---- the file ---- */

nb_status nb_resume_lock(const char *path, nb_resume **out, nb_err *err) {
  nb_resume *r = calloc(1, sizeof *r);
  char *name = malloc(strlen(path) + sizeof ".part");
  nb_status st;
  *out = NULL;
  if (r) r->file.fd = -1;
  if (!r || !name) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory"));
  sprintf(name, "%s.part", path);
  NB_GOTO(nb_lockfile_open(name, "`nibble quantize` that writes the same output", &r->file, err));
  r->begun = true; /* by whoever it was: not ours to remove */
  NB_GOTO(nb_lockfile_read(&r->file, UINT64_MAX, &r->bytes, &r->n, err));
  r->begun = r->n > 0;
  free(name);
  *out = r;
  return NB_OK;
fail:
  free(name);
  nb_resume_close(r, false);
  return st;
}

nb_status nb_resume_read(nb_resume *r, const uint8_t signature[16], size_t matrices, nb_qfmt *formats,
                         nb_quantize_choice *choice, bool *found, nb_err *err) {
  *found = false;
  r->n_formats = matrices;
  memcpy(r->signature, signature, 16);
  NB_TRY(nb_new(&r->of, r->n_formats, sizeof *r->of, "finished matrices", err));
  r->end = header_bytes(r);
  if (r->n >= MAGIC_BYTES && !memcmp(r->bytes, magic, MAGIC_BYTES - 1) && r->bytes[7] != magic[7])
    return nb_fail(err, NB_ERR_ARG, "%s is of another version of nibble: remove it to start anew", r->file.path);
  if (memcmp(r->bytes, magic, nb_min(r->n, MAGIC_BYTES)))
    return nb_fail(err, NB_ERR_ARG, "%s, where finished matrices go, is some other file: move it away", r->file.path);
  if (r->n < header_bytes(r)) return NB_OK; /* killed while it was begun */
  if (memcmp(r->bytes + MAGIC_BYTES, signature, 16))
    return nb_fail(err, NB_ERR_ARG,
                   "%s is of a run with other settings or inputs: give those again, or remove it to start anew",
                   r->file.path);
  uint64_t hash = header_hash(r, r->bytes);
  if (nb_little_get(r->bytes + header_bytes(r) - HASH_BYTES, 8) != hash)
    return NB_OK; /* nothing after damage is used */
  if (nb_little_get(r->bytes + MAGIC_BYTES + 16, 8) != r->n_formats)
    return nb_fail(err, NB_ERR_FORMAT, "%s: is of another number of matrices: remove it", r->file.path);
  r->seed = hash;
  get_header(r, formats, choice);
  scan(r);
  *found = true;
  return nb_lockfile_cut(&r->file, r->end, err);
}

nb_status nb_resume_begin(nb_resume *r, const nb_qfmt *formats, const nb_quantize_choice *choice, nb_err *err) {
  if (r->seed) return NB_OK;
  char *head = calloc(1, header_bytes(r));
  if (!head) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  put_header(r, formats, choice, head);
  r->seed = header_hash(r, head);
  r->begun = true;
  nb_status st = nb_lockfile_cut(&r->file, 0, err);
  if (st == NB_OK) st = nb_lockfile_write(&r->file, head, header_bytes(r), 0, err);
  free(head);
  return st;
}

void nb_resume_close(nb_resume *r, bool done) {
  if (!r) return;
  nb_lockfile_close(&r->file, done || !r->begun);
  free(r->bytes), nb_free(r->of);
  free(r);
}
