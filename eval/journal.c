/* SPDX-License-Identifier: MIT */
#include "eval/journal.h"

#include "base/little.h"
#include "eval/written.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What was written for a question (written.h) stands behind its numbers, with its length in them.
 *
 * The header is MAGIC, XXH3-128 of the key, n (8 bytes), and XXH3-64 of those; a record is its index (4), the
 * answer's numbers, and XXH3-64 of all that. Little endian, doubles as their bits. */
enum {
  MAGIC_BYTES = 8,
  HEADER_BYTES = MAGIC_BYTES + 16 + 8 + 8,
  RECORD_BYTES =
      4 + NB_MAX_CHOICES * (8 + 4 + 4) + 8 + 4 + 4 + 4 + 4, /* the numbers; what was written and a checksum follow */
  SUM_BYTES = 8,
  RECORD_MOST = 1 << 26, /* far more than any text is */
  SYNC_SECONDS = 5
};
static const char magic[MAGIC_BYTES + 1] = "nbjrnl03";

struct nb_journal {
  int fd;
  char *path;
  time_t synced;
};

/* ---- bytes ---- */

static unsigned char *put_number(unsigned char *p, uint64_t v, unsigned bytes) {
  nb_little_put(p, v, bytes);
  return p + bytes;
}

static const unsigned char *get(const unsigned char *p, uint64_t *v, unsigned bytes) {
  *v = nb_little_get(p, bytes);
  return p + bytes;
}

static nb_status encode(size_t index, const nb_answer *a, nb_text *out, nb_err *err) {
  unsigned char b[RECORD_BYTES], sum[SUM_BYTES], *p = put_number(b, index, 4);
  nb_text written = {0};
  nb_status st = NB_OK;
  if (a->written) NB_GOTO(nb_written_pack(a->written, &written, err));
  for (size_t c = 0; c < NB_MAX_CHOICES; c++) {
    uint64_t bits;
    memcpy(&bits, &a->logprob[c], 8);
    p = put_number(p, bits, 8), p = put_number(p, a->chars[c], 4), p = put_number(p, a->bytes[c], 4);
  }
  p = put_number(p, a->prompt_hash, 8), p = put_number(p, a->shots, 4), p = put_number(p, a->n_tokens, 4),
  p = put_number(p, a->fit, 4);
  put_number(p, written.n, 4);
  NB_GOTO(nb_text_append(out, (const char *)b, sizeof b, err));
  NB_GOTO(nb_text_append(out, written.s, written.n, err));
  put_number(sum, XXH3_64bits(out->s, out->n), SUM_BYTES);
  st = nb_text_append(out, (const char *)sum, sizeof sum, err);
fail:
  nb_text_free(&written);
  return st;
}

/* Reads a record of the `left` bytes; its length, or 0 when it is not whole, its checksum does not fit, a log-prob is
 * not finite, or what was written cannot be read. */
static size_t decode(const unsigned char *in, size_t left, nb_pool *pool, size_t *index, nb_answer *a) {
  uint64_t v, sum, fit, n;
  if (left < RECORD_BYTES + SUM_BYTES) return 0;
  const unsigned char *p = get(in, &v, 4);
  *a = (nb_answer){.shots = 0};
  *index = (size_t)v;
  for (size_t c = 0; c < NB_MAX_CHOICES; c++) {
    p = get(p, &v, 8), memcpy(&a->logprob[c], &v, 8);
    p = get(p, &v, 4), a->chars[c] = (uint32_t)v;
    p = get(p, &v, 4), a->bytes[c] = (uint32_t)v;
  }
  p = get(p, &a->prompt_hash, 8);
  p = get(p, &v, 4), a->shots = (uint32_t)v;
  p = get(p, &v, 4), a->n_tokens = (uint32_t)v;
  p = get(p, &fit, 4), a->fit = (nb_fit)fit;
  p = get(p, &n, 4);
  if (n > left - RECORD_BYTES - SUM_BYTES) return 0;
  get(p + n, &sum, SUM_BYTES);
  if (fit > NB_FIT_NOT || sum != XXH3_64bits(in, RECORD_BYTES + n)) return 0;
  for (size_t c = 0; c < NB_MAX_CHOICES; c++)
    if (!isfinite(a->logprob[c])) return 0;
  nb_written *w;
  if (n && !nb_written_unpack(p, n, pool, &w)) return 0;
  if (n) a->written = w;
  return RECORD_BYTES + n + SUM_BYTES;
}

static void make_header(const char *key, size_t n, unsigned char out[HEADER_BYTES]) {
  XXH128_hash_t h = XXH3_128bits(key, strlen(key));
  memcpy(out, magic, MAGIC_BYTES);
  unsigned char *p = put_number(out + MAGIC_BYTES, h.low64, 8);
  p = put_number(p, h.high64, 8), p = put_number(p, n, 8);
  put_number(p, XXH3_64bits(out, HEADER_BYTES - 8), 8);
}

/* ---- file ---- */

static nb_status io_error(const nb_journal *j, const char *what, nb_err *err) {
  return nb_fail(err, NB_ERR_IO, "%s: %s: %s", j->path, what, strerror(errno));
}

static nb_status write_all(nb_journal *j, const unsigned char *p, size_t n, nb_err *err) {
  while (n) {
    ssize_t k = write(j->fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return io_error(j, "cannot write the journal", err);
    p += k, n -= (size_t)k;
  }
  return NB_OK;
}

static nb_status size_of(const nb_journal *j, size_t *n, nb_err *err) {
  struct stat s;
  if (fstat(j->fd, &s)) return io_error(j, "cannot read the journal", err);
  if (!S_ISREG(s.st_mode)) return nb_fail(err, NB_ERR_ARG, "%s: a journal must be a plain file", j->path);
  return *n = (size_t)s.st_size, NB_OK;
}

/* The file's first n bytes. */
static nb_status read_bytes(const nb_journal *j, unsigned char *out, size_t n, nb_err *err) {
  for (size_t at = 0; at < n;) {
    ssize_t k = pread(j->fd, out + at, n - at, (off_t)at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return io_error(j, "cannot read the journal", err);
    at += (size_t)k;
  }
  return NB_OK;
}

/* Takes the records that are whole; *good: the bytes up to there. A broken one is the last of a crash when nothing
 * whole follows it. */
static nb_status take_records(const nb_journal *j, const unsigned char *bytes, size_t size, nb_journal_answers *to,
                              size_t *good, nb_err *err) {
  for (*good = HEADER_BYTES; *good < size;) {
    size_t i, other, k;
    nb_answer a, b;
    k = decode(bytes + *good, size - *good, to->pool, &i, &a);
    for (size_t at = *good + 1; !k && at < size; at++)
      if (decode(bytes + at, size - at, to->pool, &other, &b))
        return nb_fail(err, NB_ERR_FORMAT, "%s: the journal is damaged at byte %zu; remove it to begin anew", j->path,
                       *good);
    if (!k) return NB_OK;
    if (i >= to->n || to->done[i])
      return nb_fail(err, NB_ERR_FORMAT, "%s: the journal has question %zu %s", j->path, i,
                     i < to->n ? "twice" : "out of range");
    to->answer[i] = a, to->done[i] = true, to->resumed++;
    *good += k;
  }
  return NB_OK;
}

/* The records of this run's journal of `size` bytes; a broken one at the end is cut off. */
static nb_status take_all(nb_journal *j, size_t size, nb_journal_answers *to, nb_err *err) {
  unsigned char *bytes;
  size_t good = 0, most = HEADER_BYTES + (to->n + 1) * RECORD_MOST;
  if (size > most)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu bytes; this run's journal has at most %zu. Remove it to begin anew",
                   j->path, size, most);
  NB_TRY(nb_new(&bytes, size, 1, "a journal", err));
  nb_status st = read_bytes(j, bytes, size, err);
  if (st == NB_OK) st = take_records(j, bytes, size, to, &good, err);
  if (st == NB_OK && good < size && ftruncate(j->fd, (off_t)good)) st = io_error(j, "cannot write the journal", err);
  nb_free(bytes);
  return st;
}

static nb_status continue_old(nb_journal *j, const unsigned char want[HEADER_BYTES], nb_journal_answers *to,
                              nb_err *err) {
  unsigned char have[HEADER_BYTES];
  size_t size = 0;
  NB_TRY(size_of(j, &size, err));
  NB_TRY(read_bytes(j, have, nb_min(size, HEADER_BYTES), err));
  if (size < HEADER_BYTES && !memcmp(have, want, size)) { /* new, or killed while it was made */
    if (ftruncate(j->fd, 0)) return io_error(j, "cannot write the journal", err);
    NB_TRY(write_all(j, want, HEADER_BYTES, err));
  } else if (size < MAGIC_BYTES || memcmp(have, magic, MAGIC_BYTES)) {
    return nb_fail(err, NB_ERR_FORMAT, "%s: this is not a journal of this nibble's eval", j->path);
  } else if (size < HEADER_BYTES || memcmp(have, want, HEADER_BYTES)) {
    return nb_fail(err, NB_ERR_ARG,
                   "%s: the journal of another run (other model, data, prompts, options or nibble); remove it or give "
                   "another name",
                   j->path);
  } else {
    NB_TRY(take_all(j, size, to, err));
  }
  return lseek(j->fd, 0, SEEK_END) < 0 ? io_error(j, "cannot write the journal", err) : NB_OK;
}

nb_status nb_journal_open(const char *path, const char *key, nb_journal_answers *to, nb_journal **out, nb_err *err) {
  unsigned char header[HEADER_BYTES];
  nb_journal *j = calloc(1, sizeof *j);
  nb_status st;
  *out = NULL, to->resumed = 0;
  if (!j || !(j->path = strdup(path))) {
    free(j);
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
  }
  make_header(key, to->n, header);
  j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (j->fd < 0) NB_GOTO(io_error(j, "cannot open the journal", err));
  if (flock(j->fd, LOCK_EX | LOCK_NB)) NB_GOTO(nb_fail(err, NB_ERR_IO, "%s: another run uses this journal", path));
  NB_GOTO(continue_old(j, header, to, err));
  *out = j;
  return NB_OK;
fail:
  nb_journal_close(j);
  return st;
}

nb_status nb_journal_add(nb_journal *j, size_t i, const nb_answer *a, nb_err *err) {
  nb_text record = {0};
  nb_status st = encode(i, a, &record, err);
  if (st == NB_OK) st = write_all(j, (const unsigned char *)record.s, record.n, err);
  nb_text_free(&record);
  NB_TRY(st);
  time_t now = time(NULL);
  if (now - j->synced >= SYNC_SECONDS) {
    if (fsync(j->fd)) return io_error(j, "cannot write the journal", err);
    j->synced = now;
  }
  return NB_OK;
}

void nb_journal_close(nb_journal *j) {
  if (!j) return;
  if (j->fd >= 0) close(j->fd);
  free(j->path);
  free(j);
}
