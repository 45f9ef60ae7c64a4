/* SPDX-License-Identifier: MIT */
#include "formats/split.h"

#include "base/bytes.h"
#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "formats/outfile.h"

#include <stdio.h>
#include <string.h>

enum { VERSION = 1, CHUNK = 8 << 20 };

static const char magic[8] = NB_SPLIT_MAGIC;
static const char ending[] = ".nbl";

bool nb_split_is(const void *data, size_t n) { return n >= sizeof magic && !memcmp(data, magic, sizeof magic); }

nb_status nb_split_read(const void *data, size_t n, const char *name, nb_split_head *out, nb_err *err) {
  const uint8_t *p = data;
  if (!nb_split_is(data, n)) return nb_fail(err, NB_ERR_FORMAT, "%s is not a part of a split .nbl file", name);
  if (n < NB_SPLIT_HEAD) return nb_fail(err, NB_ERR_FORMAT, "%s is cut short: copy it again", name);
  uint64_t version = nb_little_get(p + 8, 4);
  if (version > VERSION)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s has version %llu of parts; this nibble reads version %d: get a newer one", name,
                   (unsigned long long)version, VERSION);
  if (version != VERSION || nb_little_get(p + 56, 8) != nb_nbl_hash(p, 56))
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: the checksum of its head is wrong", name);
  *out = (nb_split_head){.number = (unsigned)nb_little_get(p + 12, 2),
                         .count = (unsigned)nb_little_get(p + 14, 2),
                         .whole_bytes = nb_little_get(p + 32, 8),
                         .begin = nb_little_get(p + 40, 8),
                         .size = nb_little_get(p + 48, 8)};
  memcpy(out->whole, p + 16, sizeof out->whole);
  if (out->number < 1 || out->number > out->count || out->begin % 64 || !out->size || out->size > out->whole_bytes ||
      out->begin > out->whole_bytes - out->size)
    return nb_fail(err, NB_ERR_FORMAT, "%s: its head describes no part of a file", name);
  if (out->size != n - NB_SPLIT_HEAD)
    return nb_fail(err, NB_ERR_FORMAT, "%s has %zu bytes, but its head says %llu: copy it again", name, n,
                   (unsigned long long)out->size + NB_SPLIT_HEAD);
  return NB_OK;
}

nb_status nb_split_follows(const nb_split_head *h, const nb_split_head *before, size_t n, const char *name,
                           const char *first, nb_err *err) {
  const unsigned number = before ? before->number + 1 : 1;
  if (before && (memcmp(h->whole, before->whole, sizeof h->whole) || h->whole_bytes != before->whole_bytes ||
                 h->count != before->count))
    return nb_fail(err, NB_ERR_FORMAT, "%s is a part of another file than %s: give the parts of one", name, first);
  if (h->number != number && n == 1)
    return nb_fail(err, NB_ERR_FORMAT, "%s is part %u of %u: give the first", name, h->number, h->count);
  if (h->number != number)
    return nb_fail(err, NB_ERR_FORMAT, "%s is part %u of %u, but stands where part %u should: give them in order", name,
                   h->number, h->count, number);
  if (h->count != n)
    return nb_fail(err, NB_ERR_FORMAT, "%s is one of %u parts, but %zu were given: give all", name, h->count, n);
  const uint64_t at = before ? before->begin + before->size : 0;
  if (h->begin != at || (number == n) != (h->begin + h->size == h->whole_bytes))
    return nb_fail(err, NB_ERR_FORMAT, "%s holds the bytes from %llu on, but those before it end at %llu", name,
                   (unsigned long long)h->begin, (unsigned long long)at);
  return NB_OK;
}

/* ---- names ---- */

nb_status nb_split_name(const char *prefix, unsigned number, unsigned count, char out[NB_SPLIT_PATH], nb_err *err) {
  if (snprintf(out, NB_SPLIT_PATH, "%s-%05u-of-%05u%s", prefix, number, count, ending) < NB_SPLIT_PATH) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%.200s... is too long for a path", prefix);
}

nb_status nb_split_beside(const char *path, unsigned number, unsigned count, char out[NB_SPLIT_PATH], nb_err *err) {
  char tail[40], prefix[NB_SPLIT_PATH];
  snprintf(tail, sizeof tail, "-%05u-of-%05u%s", 1u, count, ending);
  const size_t n = strlen(path), m = strlen(tail);
  if (n < m || n - m >= sizeof prefix || strcmp(path + n - m, tail))
    return nb_fail(err, NB_ERR_ARG,
                   "%s is the first of %u parts, and the others are found by its name, which should end with %s", path,
                   count, tail);
  snprintf(prefix, sizeof prefix, "%.*s", (int)(n - m), path);
  return nb_split_name(prefix, number, count, out, err);
}

/* ---- cutting ---- */

/* The end of the tensor i, or of all that precedes the tensors: where a cut may be. */
static uint64_t end_of(const nb_nbl *f, size_t i) {
  return i + 1 < nb_nbl_count(f) ? nb_nbl_at(f, i + 1)->offset : nb_nbl_file_bytes(f);
}

/* The largest run of bytes that stays together must fit into a part. */
static nb_status check_room(const nb_nbl *f, uint64_t room, nb_err *err) {
  char what[64] = "what precedes the weights (tokenizer, directory)";
  uint64_t most = nb_nbl_data_offset(f);
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(f, i);
    if (end_of(f, i) - t->offset > most) most = end_of(f, i) - t->offset, nb_part_describe(&t->part, what);
  }
  if (most <= room) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "--size: %s takes %llu bytes, which stay together: give %llu at least", what,
                 (unsigned long long)most, (unsigned long long)most + NB_SPLIT_HEAD);
}

nb_status nb_split_plan_make(const nb_nbl *f, uint64_t bytes, nb_split_plan *out, nb_err *err) {
  const uint64_t room = bytes > NB_SPLIT_HEAD ? bytes - NB_SPLIT_HEAD : 0;
  uint64_t at = 0;
  nb_status st;
  *out = (nb_split_plan){.n = 0};
  NB_TRY(check_room(f, room, err));
  NB_TRY(nb_new(&out->begin, nb_nbl_count(f) + 2, sizeof *out->begin, "the parts", err));
  out->begin[out->n++] = 0;
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    if (end_of(f, i) - at <= room) continue;
    at = nb_nbl_at(f, i)->offset;
    if (out->n >= NB_SPLIT_MOST)
      NB_GOTO(nb_fail(err, NB_ERR_ARG, "more than %d parts: give a larger --size", NB_SPLIT_MOST));
    out->begin[out->n++] = at;
  }
  out->begin[out->n] = nb_nbl_file_bytes(f);
  return NB_OK;
fail:
  nb_split_plan_free(out);
  return st;
}

void nb_split_plan_free(nb_split_plan *p) {
  nb_free(p->begin);
  *p = (nb_split_plan){.n = 0};
}

/* ---- writing ---- */

/* Writes the bytes of the whole from `at` to `end`; *done counts them. */
static nb_status write_run(nb_outfile *out, const nb_nbl *f, uint64_t at, uint64_t end, uint64_t *done,
                           const nb_progress *progress, nb_err *err) {
  while (at < end) {
    size_t n;
    const void *data = nb_nbl_run(f, at, &n);
    n = nb_min(nb_min(n, end - at), CHUNK);
    NB_TRY(nb_outfile_write(out, data, n, err));
    at += n, *done += n;
    NB_TRY(nb_progress_step(progress, *done, nb_nbl_file_bytes(f), err));
  }
  return NB_OK;
}

static void fill_head(const nb_nbl *f, const nb_split_plan *p, size_t i, uint8_t head[NB_SPLIT_HEAD]) {
  memset(head, 0, NB_SPLIT_HEAD);
  memcpy(head, magic, sizeof magic);
  nb_little_put(head + 8, VERSION, 4);
  nb_little_put(head + 12, i + 1, 2);
  nb_little_put(head + 14, p->n, 2);
  memcpy(head + 16, nb_nbl_hash_of(f), 16);
  nb_little_put(head + 32, nb_nbl_file_bytes(f), 8);
  nb_little_put(head + 40, p->begin[i], 8);
  nb_little_put(head + 48, p->begin[i + 1] - p->begin[i], 8);
  nb_little_put(head + 56, nb_nbl_hash(head, 56), 8);
}

/* Room for all of them before any is written. */
static nb_status create_parts(const nb_split_plan *p, const char *prefix, nb_outfile *out, nb_err *err) {
  for (size_t i = 0; i < p->n; i++) {
    char path[NB_SPLIT_PATH];
    NB_TRY(nb_split_name(prefix, (unsigned)(i + 1), (unsigned)p->n, path, err));
    NB_TRY(nb_outfile_create(path, &out[i], err));
    NB_TRY(nb_outfile_reserve(&out[i], NB_SPLIT_HEAD + p->begin[i + 1] - p->begin[i], err));
  }
  return NB_OK;
}

nb_status nb_split_write(const nb_nbl *f, const nb_split_plan *p, const char *prefix, const nb_progress *progress,
                         nb_err *err) {
  uint64_t done = 0;
  nb_outfile *out; /* (n) zeroed ones are closed */
  nb_status st;
  NB_TRY(nb_new(&out, p->n, sizeof *out, "the parts", err));
  NB_GOTO(create_parts(p, prefix, out, err));
  for (size_t i = 0; i < p->n; i++) {
    uint8_t head[NB_SPLIT_HEAD];
    fill_head(f, p, i, head);
    NB_GOTO(nb_outfile_write(&out[i], head, sizeof head, err));
    NB_GOTO(write_run(&out[i], f, p->begin[i], p->begin[i + 1], &done, progress, err));
  }
  st = nb_outfile_commit_all(out, p->n, err);
fail:
  for (size_t i = 0; i < p->n; i++) nb_outfile_abort(&out[i]);
  nb_free(out);
  return st;
}

nb_status nb_split_join(const nb_nbl *f, const char *path, const nb_progress *progress, nb_err *err) {
  nb_outfile out = {.fd = -1};
  uint64_t done = 0;
  nb_status st;
  NB_GOTO(nb_outfile_create(path, &out, err));
  NB_GOTO(nb_outfile_reserve(&out, nb_nbl_file_bytes(f), err));
  NB_GOTO(write_run(&out, f, 0, nb_nbl_file_bytes(f), &done, progress, err));
  st = nb_outfile_commit(&out, err);
fail:
  nb_outfile_abort(&out);
  return st;
}
