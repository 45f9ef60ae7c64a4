/* SPDX-License-Identifier: MIT */
#include "formats/calfile.h"

#include "formats/explain.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/little.h"
#include "base/mem.h"
#include "formats/outfile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char magic[8] = "NBCALIB1";

enum { HEADER = 48, TAIL = 8, MAX_FILE = 1 << 30, MAX_COUNT = 1 << 28 };

void nb_calfile_free(nb_calfile *f) {
  cJSON_Delete(f->meta);
  nb_free(f->tokens), nb_free(f->probe_kl), nb_free(f->probe_error), nb_free(f->importance);
  *f = (nb_calfile){0};
}

/* ---- reading ---- */

/* A count of the header, from least to MAX_COUNT. */
static nb_status read_count(nb_cursor *c, const char *name, const char *what, size_t least, size_t *out, nb_err *err) {
  uint64_t n = nb_cursor_u64(c);
  if (n < least || n > MAX_COUNT) return nb_fail(err, NB_ERR_FORMAT, "%s: %llu %s", name, (unsigned long long)n, what);
  *out = (size_t)n;
  return NB_OK;
}

/* n elements of `size` bytes into memory of their own. */
static nb_status read_array(nb_cursor *c, const char *name, size_t n, size_t size, void *out, nb_err *err) {
  size_t bytes;
  void *p;
  const uint8_t *from = nb_mul(n, size, &bytes) ? nb_cursor_bytes(c, bytes) : NULL;
  if (!from) return nb_fail(err, NB_ERR_FORMAT, "%s: the file is too short", name);
  NB_TRY(nb_new(&p, n, size, name, err));
  memcpy(p, from, bytes);
  memcpy(out, &p, sizeof p);
  return NB_OK;
}

static nb_status check_numbers(const nb_calfile *f, const char *name, nb_err *err) {
  for (size_t i = 0; i < f->n_seqs * f->seq; i++)
    if (f->tokens[i] < 0) return nb_fail(err, NB_ERR_FORMAT, "%s: token %zu is negative", name, i);
  for (size_t i = 0; i < f->n_matrices; i++)
    if (!isfinite(f->probe_kl[i]) || !isfinite(f->probe_error[i]) || f->probe_error[i] < 0)
      return nb_fail(err, NB_ERR_FORMAT, "%s: the measurement of matrix %zu is no sensible number", name, i);
  for (size_t i = 0; i < f->n_inputs; i++)
    if (!isfinite(f->importance[i]) || f->importance[i] < 0)
      return nb_fail(err, NB_ERR_FORMAT, "%s: the importance of input %zu is no sensible number", name, i);
  return NB_OK;
}

static nb_status check_meta(const nb_calfile *f, const char *name, nb_err *err) {
  static const char *const objects[] = {"calibration", "probe"};
  const char *version;
  const cJSON *part;
  NB_TRY(nb_json_string(f->meta, name, "nibble", &version, err));
  NB_TRY(nb_json_array(f->meta, name, "sources", &part, err));
  for (size_t i = 0; i < 2; i++) NB_TRY(nb_json_object(f->meta, name, objects[i], &part, err));
  return NB_OK;
}

static nb_status parse(nb_cursor *c, const char *name, nb_calfile *f, nb_err *err) {
  size_t meta_bytes, all;
  nb_cursor_bytes(c, sizeof magic);
  NB_TRY(read_count(c, name, "bytes of metadata", 2, &meta_bytes, err));
  NB_TRY(read_count(c, name, "sequences", 1, &f->n_seqs, err));
  NB_TRY(read_count(c, name, "tokens in a sequence", 1, &f->seq, err));
  NB_TRY(read_count(c, name, "matrices", 1, &f->n_matrices, err));
  NB_TRY(read_count(c, name, "inputs", 1, &f->n_inputs, err));
  const uint8_t *meta = nb_cursor_bytes(c, meta_bytes);
  if (!meta || !nb_mul(f->n_seqs, f->seq, &all)) return nb_fail(err, NB_ERR_FORMAT, "%s: the file is too short", name);
  NB_TRY(nb_json_parse((const char *)meta, meta_bytes, name, &f->meta, err));
  NB_TRY(check_meta(f, name, err));
  NB_TRY(read_array(c, name, all, sizeof *f->tokens, &f->tokens, err));
  NB_TRY(read_array(c, name, f->n_matrices, sizeof *f->probe_kl, &f->probe_kl, err));
  NB_TRY(read_array(c, name, f->n_matrices, sizeof *f->probe_error, &f->probe_error, err));
  NB_TRY(read_array(c, name, f->n_inputs, sizeof *f->importance, &f->importance, err));
  if (c->pos != c->size) return nb_fail(err, NB_ERR_FORMAT, "%s: %zu bytes too many", name, c->size - c->pos);
  return check_numbers(f, name, err);
}

nb_status nb_calfile_parse(const void *bytes, size_t n, const char *name, nb_calfile *out, nb_err *err) {
  *out = (nb_calfile){0};
  if (n < HEADER + TAIL || memcmp(bytes, magic, sizeof magic))
    return nb_fail(err, NB_ERR_FORMAT, "%s: not a file of `nibble calibrate`", name);
  nb_cursor tail = {.data = bytes, .size = n, .pos = n - TAIL}, c = {.data = bytes, .size = n - TAIL};
  if (nb_cursor_u64(&tail) != XXH3_64bits(bytes, n - TAIL))
    return nb_fail(err, NB_ERR_FORMAT, "%s: the checksum does not fit: the file is damaged or incomplete", name);
  nb_status st = parse(&c, name, out, err);
  if (st != NB_OK) nb_calfile_free(out);
  return st;
}

nb_status nb_calfile_read(const char *path, nb_calfile *out, nb_err *err) {
  char *bytes;
  size_t n;
  *out = (nb_calfile){0};
  NB_TRY(nb_mapfile_read(path, MAX_FILE, &bytes, &n, err));
  nb_status st = nb_explain_bytes(path, bytes, n, NB_FILE_STATS, nb_calfile_parse(bytes, n, path, out, err), err);
  free(bytes);
  return st;
}

/* ---- writing ---- */

typedef struct writer {
  nb_outfile out;
  XXH3_state_t *hash;
} writer;

static nb_status put_bytes(writer *w, const void *p, size_t n, nb_err *err) {
  XXH3_64bits_update(w->hash, p, n);
  return nb_outfile_write(&w->out, p, n, err);
}

static nb_status put_u64(writer *w, uint64_t v, nb_err *err) {
  uint8_t b[8];
  nb_little_put(b, v, sizeof b);
  return put_bytes(w, b, sizeof b, err);
}

static nb_status put_all(writer *w, const nb_calfile *f, const char *meta, nb_err *err) {
  const uint64_t counts[] = {strlen(meta), f->n_seqs, f->seq, f->n_matrices, f->n_inputs};
  NB_TRY(put_bytes(w, magic, sizeof magic, err));
  for (size_t i = 0; i < 5; i++) NB_TRY(put_u64(w, counts[i], err));
  NB_TRY(put_bytes(w, meta, strlen(meta), err));
  NB_TRY(put_bytes(w, f->tokens, f->n_seqs * f->seq * sizeof *f->tokens, err));
  NB_TRY(put_bytes(w, f->probe_kl, f->n_matrices * sizeof *f->probe_kl, err));
  NB_TRY(put_bytes(w, f->probe_error, f->n_matrices * sizeof *f->probe_error, err));
  NB_TRY(put_bytes(w, f->importance, f->n_inputs * sizeof *f->importance, err));
  return put_u64(w, XXH3_64bits_digest(w->hash), err);
}

nb_status nb_calfile_save(const nb_calfile *f, const char *path, nb_err *err) {
  writer w = {.out = {.fd = -1}};
  nb_status st;
  char *meta = cJSON_PrintUnformatted(f->meta);
  w.hash = XXH3_createState();
  if (!meta || !w.hash) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path));
  XXH3_64bits_reset(w.hash);
  NB_GOTO(nb_outfile_create(path, &w.out, err));
  NB_GOTO(put_all(&w, f, meta, err));
  NB_GOTO(nb_outfile_commit(&w.out, err));
fail:
  nb_outfile_abort(&w.out);
  XXH3_freeState(w.hash);
  cJSON_free(meta);
  return st;
}
