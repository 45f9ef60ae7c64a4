/* SPDX-License-Identifier: MIT */
#include "formats/mapfile.h"

#include "base/mem.h"
#include "formats/oserror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the list of open mappings --- */

/* Entries are used again but never released, so that a handler can walk the list at any time. */
typedef struct nb_mapping {
  atomic_bool taken;
  _Atomic(const uint8_t *) begin; /* NULL: nothing is mapped; set when the rest is */
  size_t size;
  const char *path;
  struct stat as_opened;
  struct nb_mapping *next;
} nb_mapping;

static _Atomic(nb_mapping *) mappings;

static nb_mapping *take_entry(void) {
  for (nb_mapping *m = atomic_load(&mappings); m; m = m->next) {
    bool taken = false;
    if (atomic_compare_exchange_strong(&m->taken, &taken, true)) return m;
  }
  nb_mapping *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  atomic_store(&m->taken, true);
  m->next = atomic_load(&mappings);
  while (!atomic_compare_exchange_weak(&mappings, &m->next, m)) {
  }
  return m;
}

const char *nb_mapfile_at(const void *address) {
  for (nb_mapping *m = atomic_load(&mappings); m; m = m->next) {
    const uint8_t *begin = atomic_load(&m->begin), *p = address;
    if (begin && p >= begin && p - begin < (ptrdiff_t)m->size) return m->path;
  }
  return NULL;
}

static bool same_time(const struct stat *a, const struct stat *b) {
#ifdef __APPLE__
  return a->st_mtimespec.tv_sec == b->st_mtimespec.tv_sec && a->st_mtimespec.tv_nsec == b->st_mtimespec.tv_nsec;
#else
  return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
#endif
}

nb_status nb_mapfile_unchanged(nb_err *err) {
  for (nb_mapping *m = atomic_load(&mappings); m; m = m->next) {
    struct stat now;
    if (!atomic_load(&m->begin) || stat(m->path, &now)) continue;
    if (now.st_dev != m->as_opened.st_dev || now.st_ino != m->as_opened.st_ino) continue;
    if (now.st_size == m->as_opened.st_size && same_time(&now, &m->as_opened)) continue;
    return nb_fail(err, NB_ERR_IO,
                   "%s: another program wrote to it while it was read: what came of it is of no use, start again",
                   m->path);
  }
  return NB_OK;
}

/* --- opening --- */

/* What an open descriptor must be: a regular file. Gives its size. */
static nb_status examine(const char *path, int fd, size_t *size, struct stat *about, nb_err *err) {
  if (fstat(fd, about)) return nb_oserror_fail(err, errno, path, "examine");
  if (S_ISDIR(about->st_mode)) return nb_fail(err, NB_ERR_IO, "%s: is a directory, a file is needed", path);
  if (!S_ISREG(about->st_mode)) return nb_fail(err, NB_ERR_IO, "%s: is not a regular file", path);
  if ((uintmax_t)about->st_size > SIZE_MAX / 2)
    return nb_fail(
        err, NB_ERR_UNSUPPORTED,
        "%s: its %llu bytes are more than a program with %u-bit addresses can hold in one piece: use one with "
        "64-bit addresses (in a browser: WebAssembly's memory64), or cut the file with `nibble split`",
        path, (unsigned long long)about->st_size, (unsigned)(8 * sizeof(size_t)));
  *size = (size_t)about->st_size;
  return NB_OK;
}

/* Opens a regular file for reading and gives its size. */
static nb_status open_regular(const char *path, int *fd, size_t *size, struct stat *about, nb_err *err) {
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* so that a pipe does not wait for its writer */
  if (*fd < 0) return nb_oserror_fail(err, errno, path, "open");
  nb_status s = examine(path, *fd, size, about, err);
  if (s != NB_OK) close(*fd);
  return s;
}

static size_t page_bytes(void) {
  long n = sysconf(_SC_PAGESIZE);
  return n > 0 ? (size_t)n : 4096;
}

/* ---- what is in memory ---- */

#if defined(__linux__)
void nb_mapfile_want(const void *p, size_t n) {
  enum { PIECE = 128 << 10 }; /* the system reads no more than its own reading ahead at one request */
  const size_t page = page_bytes(), before = (uintptr_t)p % page;
  uint8_t *at = (uint8_t *)(uintptr_t)p - before, *end = at + before + n;
  for (; at < end; at += PIECE) (void)madvise(at, nb_min(PIECE, (size_t)(end - at)), MADV_WILLNEED);
}

/* Adds a mapping's pages, and those of them that are in memory. */
static nb_status count_pages(const nb_mapping *m, size_t *all, size_t *there, nb_err *err) {
  const size_t page = page_bytes(), before = (uintptr_t)m->begin % page, pages = (before + m->size + page - 1) / page;
  unsigned char *in;
  NB_TRY(nb_new(&in, pages, 1, "the pages", err));
  nb_status st = NB_OK;
  if (mincore((void *)(uintptr_t)(m->begin - before), before + m->size, in))
    st = nb_oserror_fail(err, errno, m->path, "ask which pages are in memory of");
  for (size_t i = 0; st == NB_OK && i < pages; i++) *there += in[i] & 1;
  *all += pages;
  nb_free(in);
  return st;
}

nb_status nb_mapfile_forget(double *left, nb_err *err) {
  size_t all = 0, there = 0;
  *left = 1;
  for (nb_mapping *m = atomic_load(&mappings); m; m = m->next) {
    const uint8_t *begin = atomic_load(&m->begin);
    if (!begin) continue;
    const size_t before = (uintptr_t)begin % page_bytes();
    /* pages that a process has mapped stay: first this one's are let go, then the file's */
    (void)madvise((void *)(uintptr_t)(begin - before), before + m->size, MADV_DONTNEED);
    int fd = open(m->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return nb_oserror_fail(err, errno, m->path, "open");
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    NB_TRY(count_pages(m, &all, &there, err));
  }
  if (all) *left = (double)there / (double)all;
  return NB_OK;
}
#else
void nb_mapfile_want(const void *p, size_t n) {
#ifdef __APPLE__
  const size_t before = (uintptr_t)p % page_bytes();
  (void)posix_madvise((uint8_t *)(uintptr_t)p - before, before + n, POSIX_MADV_WILLNEED);
#else
  (void)p, (void)n;
#endif
}

nb_status nb_mapfile_forget(double *left, nb_err *err) {
  *left = 1;
  return nb_fail(err, NB_ERR_UNSUPPORTED, "this system has no way to let a file's pages leave memory");
}
#endif

#ifdef __EMSCRIPTEN__
/* WebAssembly's memory maps no files: the bytes are read into it, once. Through a piece of fixed place, since the
 * layer below may take addresses above 2 GB for negative ones. */
static nb_status hold(const char *path, int fd, uint64_t at, size_t n, uint8_t **out, nb_err *err) {
  static uint8_t piece[1 << 20];
  uint8_t *p = nb_add(n, page_bytes(), &(size_t){0}) ? aligned_alloc(page_bytes(), nb_round_up(n, page_bytes())) : NULL;
  if (!p)
    return nb_fail(err, NB_ERR_MEMORY,
                   "%s: no room for its %zu bytes in WebAssembly's memory, which ends at 4 GB, with memory64 at "
                   "16 GB: take a smaller model, or the program for this machine",
                   path, n);
  for (size_t have = 0; have < n;) {
    ssize_t got = pread(fd, piece, nb_min(n - have, sizeof piece), (off_t)(at + have));
    if (got > 0) memcpy(p + have, piece, (size_t)got), have += (size_t)got;
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    const int why = errno;
    free(p);
    return got < 0 ? nb_oserror_fail(err, why, path, "read")
                   : nb_fail(err, NB_ERR_IO, "%s: became shorter while it was read", path);
  }
  *out = p;
  return NB_OK;
}
static void let_go(uint8_t *p, size_t n) {
  (void)n;
  free(p);
}
#else
static nb_status hold(const char *path, int fd, uint64_t at, size_t n, uint8_t **out, nb_err *err) {
  const size_t before = (size_t)(at % page_bytes());
  uint8_t *p = mmap(NULL, before + n, PROT_READ, MAP_SHARED, fd, (off_t)(at - before));
  if (p == MAP_FAILED) return nb_oserror_fail(err, errno, path, "map into memory");
  *out = p + before;
  return NB_OK;
}
static void let_go(uint8_t *p, size_t n) {
  const size_t before = (size_t)((uintptr_t)p % page_bytes());
  munmap(p - before, before + n);
}
#endif

/* Maps n > 0 bytes from `at` on, which lie within the file: from the beginning of a page, wherever they begin in it. */
static nb_status map(const char *path, int fd, uint64_t at, size_t n, const struct stat *about, nb_mapfile *out,
                     nb_err *err) {
  uint8_t *p;
  NB_TRY(hold(path, fd, at, n, &p, err));
  *out = (nb_mapfile){.data = p, .size = n, .path = strdup(path), .listed = take_entry()};
  if (!out->path || !out->listed) {
    nb_mapfile_close(out);
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
  }
  nb_mapping *m = out->listed;
  m->size = n, m->path = out->path, m->as_opened = *about;
  atomic_store(&m->begin, out->data);
  return NB_OK;
}

nb_status nb_mapfile_open_place(const nb_mapfile_place *place, nb_mapfile *out, nb_err *err) {
  char name[40];
  int fd = place->fd;
  size_t size;
  struct stat about;
  const char *path = place->path;
  nb_status st;
  *out = (nb_mapfile){0};
  if (!path) snprintf(name, sizeof name, "file descriptor %d", fd), path = name;
  NB_TRY(place->path ? open_regular(path, &fd, &size, &about, err) : examine(path, fd, &size, &about, err));
  if (size == 0) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: the file is empty", path));
  if (place->offset >= size || place->length > size - place->offset)
    NB_GOTO(nb_fail(err, NB_ERR_ARG, "%s: has %zu bytes, so that %llu from %llu on are not in it", path, size,
                    (unsigned long long)place->length, (unsigned long long)place->offset));
  NB_GOTO(map(path, fd, place->offset, place->length ? (size_t)place->length : size - (size_t)place->offset, &about,
              out, err));
fail:
  if (place->path) close(fd);
  return st;
}

nb_status nb_mapfile_open(const char *path, nb_mapfile *out, nb_err *err) {
  const nb_mapfile_place whole = {.path = path};
  return nb_mapfile_open_place(&whole, out, err);
}

void nb_mapfile_close(nb_mapfile *m) {
  if (m->listed) {
    atomic_store(&m->listed->begin, NULL);
    atomic_store(&m->listed->taken, false);
  }
  if (m->data) let_go((uint8_t *)(uintptr_t)m->data, m->size);
  free(m->path);
  *m = (nb_mapfile){0};
}

nb_status nb_mapfile_read(const char *path, size_t max_bytes, char **out, size_t *n, nb_err *err) {
  int fd;
  size_t size, have = 0;
  struct stat about;
  *out = NULL, *n = 0;
  NB_TRY(open_regular(path, &fd, &size, &about, err));
  nb_status st = NB_OK;
  if (size > max_bytes)
    NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %zu bytes, at most %zu are read", path, size, max_bytes));
  *out = malloc(size + 1);
  if (!*out) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for its %zu bytes", path, size));
  while (have < size) {
    ssize_t got = read(fd, *out + have, nb_min(size - have, (size_t)1 << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) NB_GOTO(nb_oserror_fail(err, errno, path, "read"));
    if (got == 0) NB_GOTO(nb_fail(err, NB_ERR_IO, "%s: became shorter while it was read", path));
    have += (size_t)got;
  }
  (*out)[size] = 0;
  *n = size;
  close(fd);
  return NB_OK;
fail:
  close(fd);
  free(*out);
  *out = NULL;
  return st;
}
