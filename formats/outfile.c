/* SPDX-License-Identifier: MIT */
#if defined(__linux__)
#define _GNU_SOURCE /* fallocate */
#endif
#include "formats/outfile.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "formats/mapfile.h"
#include "formats/oserror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- the temporaries that exist, for nb_outfile_remove_all --- */

enum { PLACE_FREE, PLACE_CLAIMED, PLACE_LISTED, PATH_BYTES = 4096, STEM = 160 /* bytes of the target's name */ };

/* A place in the list. It is used again and never freed: a signal handler may stand at it. */
struct nb_outfile_listed {
  atomic_int state;
  struct nb_outfile_listed *next;
  char path[PATH_BYTES];
};

static struct nb_outfile_listed *_Atomic places;

/* Lists a path; NULL: out of memory. */
static struct nb_outfile_listed *list_path(const char *path) {
  struct nb_outfile_listed *p = atomic_load(&places);
  for (int expected = PLACE_FREE; p; p = p->next, expected = PLACE_FREE)
    if (atomic_compare_exchange_strong(&p->state, &expected, PLACE_CLAIMED)) break;
  const bool fresh = !p;
  if (fresh && !(p = calloc(1, sizeof *p))) return NULL;
  memcpy(p->path, path, strlen(path) + 1);
  atomic_store(&p->state, PLACE_LISTED);
  if (!fresh) return p;
  p->next = atomic_load(&places);
  while (!atomic_compare_exchange_weak(&places, &p->next, p)) continue;
  return p;
}

static void unlist(struct nb_outfile_listed *p) { atomic_store(&p->state, PLACE_FREE); }

void nb_outfile_remove_all(void) {
  for (struct nb_outfile_listed *p = atomic_load(&places); p; p = p->next)
    if (atomic_load(&p->state) == PLACE_LISTED) unlink(p->path);
}

/* --- creation --- */

/* The length of the directory part of path, its last slash included; 0: the current directory. */
static size_t dir_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* The path behind any symbolic link, so that the link stays and what it names is replaced; *mode and *group of what is
 * there. */
static nb_status resolve_target(const char *path, char **out, unsigned *mode, gid_t *group, nb_err *err) {
  struct stat st;
  bool exists = lstat(path, &st) == 0;
  if (!exists && errno != ENOENT) return nb_oserror_fail(err, errno, path, "create");
  *out = exists && S_ISLNK(st.st_mode) ? realpath(path, NULL) : strdup(path);
  if (!*out) return nb_oserror_fail(err, errno, path, "follow the link");
  if (!exists) return NB_OK;
  if (stat(*out, &st)) return nb_oserror_fail(err, errno, path, "examine");
  if (S_ISDIR(st.st_mode)) return nb_fail(err, NB_ERR_IO, "%s: is a directory, name a file in it", path);
  if (!S_ISREG(st.st_mode))
    return nb_fail(err, NB_ERR_IO, "%s: is not a regular file and cannot be replaced by one", path);
  if (access(*out, W_OK)) return nb_oserror_fail(err, errno, path, "replace");
  *mode = st.st_mode & 0777, *group = st.st_gid;
  return NB_OK;
}

/* How the names of a target's temporaries begin. */
static void prefix_of(const char *path, char prefix[STEM + 16]) {
  snprintf(prefix, STEM + 16, ".%.*s.nibble-", STEM, path + dir_length(path));
}

/* Removes the temporaries that runs killed before left behind. A living one is locked by its process; where nothing can
 * be locked, all stay. */
static void remove_stale(const char *path) {
  char prefix[STEM + 16];
  size_t dir = dir_length(path), n;
  char *name = dir ? strndup(path, dir) : strdup(".");
  DIR *d = name ? opendir(name) : NULL;
  const struct dirent *e;
  prefix_of(path, prefix);
  n = strlen(prefix);
  while (d && (e = readdir(d))) {
    size_t m = strlen(e->d_name);
    if (m < n + 4 || memcmp(e->d_name, prefix, n) || strcmp(e->d_name + m - 4, ".tmp")) continue;
    int fd = openat(dirfd(d), e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dirfd(d), e->d_name, 0);
    close(fd);
  }
  if (d) closedir(d);
  free(name);
}

/* Whether the file still has its name: another process may have taken it for stale before it was locked. */
static bool lock_new(int fd) {
  struct stat st;
  (void)flock(fd, LOCK_EX | LOCK_NB); /* fails where there are no locks: then nobody removes it either */
  return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

/* A file with the permissions and the group of the one that it will replace, at no time with more. */
static int open_new(const char *tmp, const nb_outfile *f, gid_t group) {
  int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, f->mode ? f->mode & 0700 : 0666);
  if (fd < 0 || !f->mode) return fd;
  bool same_group = fchown(fd, (uid_t)-1, group) == 0;
  (void)fchmod(fd, same_group ? f->mode : f->mode & ~070u); /* another group than it was for gets nothing */
  return fd;
}

/* Opens a new file in the target's directory; f->tmp is set once it exists. */
static nb_status open_temporary(nb_outfile *f, gid_t group, nb_err *err) {
  char tmp[PATH_BYTES], prefix[STEM + 16];
  size_t dir = dir_length(f->path);
  prefix_of(f->path, prefix);
  if (dir + sizeof prefix + 64 > sizeof tmp) return nb_oserror_fail(err, ENAMETOOLONG, f->path, "create");
  for (int attempt = 0; attempt < 100; attempt++) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(tmp, sizeof tmp, "%.*s%s%ld-%lx.tmp", (int)dir, f->path, prefix, (long)getpid(),
             (unsigned long)now.tv_nsec + (unsigned long)attempt);
    f->listed = list_path(tmp); /* before it exists, so that no signal finds it unlisted */
    if (!f->listed) return nb_fail(err, NB_ERR_MEMORY, "out of memory: the name of a file beside %s", f->path);
    f->fd = open_new(tmp, f, group);
    int errnum = errno;
    bool ours = f->fd >= 0 && lock_new(f->fd);
    if (ours && (f->tmp = strdup(tmp))) return NB_OK;
    if (f->fd >= 0) close(f->fd), f->fd = -1, errnum = ours ? ENOMEM : EEXIST;
    if (ours) unlink(tmp);
    unlist(f->listed);
    if (errnum != EEXIST) return nb_oserror_fail(err, errnum, f->path, "create a file in its directory");
  }
  return nb_oserror_fail(err, EEXIST, f->path, "create a temporary file beside it");
}

nb_status nb_outfile_create(const char *path, nb_outfile *out, nb_err *err) {
  *out = (nb_outfile){.fd = -1};
  if (!*path) return nb_fail(err, NB_ERR_ARG, "the name of the output file is empty");
  gid_t group = 0;
  nb_status st = resolve_target(path, &out->path, &out->mode, &group, err);
  if (st == NB_OK) remove_stale(out->path);
  if (st == NB_OK) st = open_temporary(out, group, err);
  if (st != NB_OK) nb_outfile_abort(out);
  return st;
}

/* --- writing --- */

nb_status nb_outfile_reserve(nb_outfile *f, uint64_t bytes, nb_err *err) {
#if defined(__linux__)
  if (bytes == 0 || bytes > INT64_MAX) return NB_OK;
  int r;
  do r = fallocate(f->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
  while (r && errno == EINTR);
  if (r && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
    char doing[64], size[NB_BYTES_TEXT];
    snprintf(doing, sizeof doing, "reserve the %s that it needs", nb_bytes_text(size, bytes));
    return nb_oserror_fail(err, errno, f->path, doing);
  }
#else
  (void)f, (void)bytes, (void)err;
#endif
  return NB_OK;
}

nb_status nb_outfile_pwrite(nb_outfile *f, const void *data, size_t n, uint64_t offset, nb_err *err) {
  const char *p = data;
  while (n) {
    ssize_t put = pwrite(f->fd, p, nb_min(n, (size_t)1 << 30), (off_t)offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return nb_oserror_fail(err, put < 0 ? errno : ENOSPC, f->path, "write");
    p += put, n -= (size_t)put, offset += (uint64_t)put;
  }
  return NB_OK;
}

nb_status nb_outfile_write(nb_outfile *f, const void *data, size_t n, nb_err *err) {
  NB_TRY(nb_outfile_pwrite(f, data, n, f->size, err));
  f->size += n;
  return NB_OK;
}

/* --- the end --- */

/* Makes the renaming durable. The file is in place by then, so that a failure is not reported. */
static void sync_directory(const nb_outfile *f) {
  size_t dir = dir_length(f->path);
  char *name = dir ? strndup(f->path, dir) : strdup(".");
  int fd = name ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    (void)fsync(fd);
    close(fd);
  }
  free(name);
}

/* Makes what was written durable. f->fd is then a copy, which holds the lock until the file has its name: closing is
 * the last chance to hear that a write failed. */
static nb_status finish(nb_outfile *f, nb_err *err) {
  int r, lock = dup(f->fd), fd = f->fd;
  do r = fsync(fd);
  while (r && errno == EINTR);
  f->fd = lock;
  if (r) {
    const int errnum = errno;
    close(fd);
    return nb_oserror_fail(err, errnum, f->path, "write");
  }
  if (close(fd)) return nb_oserror_fail(err, errno, f->path, "write"); /* closed even when it fails */
  return NB_OK;
}

static nb_status give_name(nb_outfile *f, nb_err *err) {
  if (rename(f->tmp, f->path)) return nb_oserror_fail(err, errno, f->path, "give the finished file its name");
  unlist(f->listed);
  free(f->tmp);
  f->tmp = NULL;
  if (f->fd >= 0) close(f->fd);
  f->fd = -1;
  return NB_OK;
}

nb_status nb_outfile_commit_all(nb_outfile *f, size_t n, nb_err *err) {
  nb_status st;
  size_t left = n; /* those that have no name yet */
  NB_GOTO(nb_mapfile_unchanged(err));
  for (size_t i = 0; i < n; i++) NB_GOTO(finish(&f[i], err));
  for (; left; left--) NB_GOTO(give_name(&f[left - 1], err));
  for (size_t i = 0; i < n; i++) sync_directory(&f[i]);
fail:
  for (size_t i = left; st != NB_OK && i < n; i++)
    if (!f[i].mode) unlink(f[i].path);
  for (size_t i = 0; i < n; i++) nb_outfile_abort(&f[i]);
  return st;
}

nb_status nb_outfile_commit(nb_outfile *f, nb_err *err) { return nb_outfile_commit_all(f, 1, err); }

void nb_outfile_abort(nb_outfile *f) {
  if (f->tmp) {
    if (f->fd >= 0) close(f->fd);
    unlink(f->tmp);
    unlist(f->listed);
  }
  free(f->tmp);
  free(f->path);
  *f = (nb_outfile){.fd = -1};
}

nb_status nb_outfile_save(const char *path, const void *data, size_t n, nb_err *err) {
  nb_outfile f;
  NB_TRY(nb_outfile_create(path, &f, err));
  nb_status st = nb_outfile_write(&f, data, n, err);
  if (st == NB_OK) return nb_outfile_commit(&f, err);
  nb_outfile_abort(&f);
  return st;
}
