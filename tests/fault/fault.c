/* SPDX-License-Identifier: MIT */
/* Linked into a program with ld's --wrap, this makes the N-th call of a kind fail, as a full memory or disk would:
 * NB_FAULT="memory:17" in the environment. NB_FAULT_COUNT=FILE writes how many calls of each kind there were, when
 * the program ends by exit. Calls of nibble's own code are counted, and cJSON's allocations, which go through it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY, WRITE, SYNC, RENAME, MAP, OPEN, READ, KINDS };
static const char *const names[KINDS] = {"memory", "write", "sync", "rename", "map", "open", "read"};
static const int errors[KINDS] = {ENOMEM, ENOSPC, EIO, EIO, ENOMEM, EMFILE, EIO};

static atomic_long count[KINDS];
static int failing = -1;
static long at;

/* Counts a call; true: it must fail. */
static bool fails(int kind) {
  if (atomic_fetch_add(&count[kind], 1) + 1 != at || kind != failing) return false;
  errno = errors[kind];
  return true;
}

static void write_counts(void) {
  const char *path = getenv("NB_FAULT_COUNT");
  FILE *f = path ? fopen(path, "w") : NULL;
  for (int i = 0; f && i < KINDS; i++) fprintf(f, "%s %ld\n", names[i], atomic_load(&count[i]));
  if (f) fclose(f);
}

/* Of the library: the wrapped ones count. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
size_t __real_fwrite(const void *p, size_t size, size_t n, FILE *f);
int __real_fsync(int fd);
int __real_ftruncate(int fd, off_t n);
int __real_fallocate(int fd, int mode, off_t begin, off_t n);
int __real_rename(const char *from, const char *to);
void *__real_mmap(void *p, size_t n, int prot, int flags, int fd, off_t at);
int __real_open(const char *path, int flags, ...);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__real_open_memstream(char **p, size_t *n);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_pread(int fd, void *p, size_t n, off_t at);
size_t __real_fread(void *p, size_t size, size_t n, FILE *f);
int __real_fflush(FILE *f);

#define WRAP(kind, type, bad, name, params, args)                                                                      \
  type __wrap_##name params;                                                                                           \
  type __wrap_##name params { return fails(kind) ? bad : __real_##name args; }

WRAP(MEMORY, void *, NULL, malloc, (size_t n), (n))
WRAP(MEMORY, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(MEMORY, void *, NULL, realloc, (void *p, size_t n), (p, n))
WRAP(MEMORY, char *, NULL, strdup, (const char *s), (s))
WRAP(MEMORY, char *, NULL, strndup, (const char *s, size_t n), (s, n))
WRAP(MEMORY, FILE *, NULL, open_memstream, (char **p, size_t *n), (p, n))
WRAP(WRITE, ssize_t, -1, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(WRITE, ssize_t, -1, pwrite, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(WRITE, size_t, 0, fwrite, (const void *p, size_t size, size_t n, FILE *f), (p, size, n, f))
WRAP(WRITE, int, -1, ftruncate, (int fd, off_t n), (fd, n))
WRAP(WRITE, int, -1, fallocate, (int fd, int mode, off_t b, off_t n), (fd, mode, b, n))
WRAP(WRITE, int, EOF, fflush, (FILE * f), (f))
WRAP(SYNC, int, -1, fsync, (int fd), (fd))
WRAP(RENAME, int, -1, rename, (const char *from, const char *to), (from, to))
WRAP(MAP, void *, MAP_FAILED, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t o),
     (p, n, prot, flags, fd, o))
WRAP(OPEN, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
WRAP(READ, ssize_t, -1, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(READ, ssize_t, -1, pread, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
WRAP(READ, size_t, 0, fread, (void *p, size_t size, size_t n, FILE *f), (p, size, n, f))

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
  va_list ap;
  va_start(ap, flags);
  mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
  va_end(ap);
  return fails(OPEN) ? -1 : __real_open(path, flags, mode);
}

__attribute__((constructor)) static void begin(void) {
  const char *want = getenv("NB_FAULT"), *colon = want ? strchr(want, ':') : NULL;
  for (int i = 0; colon && i < KINDS; i++)
    if (!strncmp(want, names[i], (size_t)(colon - want))) failing = i;
  if (colon) at = atol(colon + 1);
  atexit(write_counts);
}
