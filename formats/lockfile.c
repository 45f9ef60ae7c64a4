/* SPDX-License-Identifier: MIT */
#include "formats/lockfile.h"

#include "base/mem.h"
#include "formats/oserror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens and locks once. *again: the file lost its name before it was locked, as its holder was done with it. */
static nb_status open_once(const char *path, const char *user, int *fd, bool *again, nb_err *err) {
  struct stat s;
  *again = false;
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (*fd < 0 && errno == ELOOP)
    return nb_fail(err, NB_ERR_IO, "%s: is a symbolic link, and what it names would be written to: remove it", path);
  if (*fd < 0) return nb_oserror_fail(err, errno, path, "open");
  if (fstat(*fd, &s)) return nb_oserror_fail(err, errno, path, "examine");
  if (!S_ISREG(s.st_mode)) return nb_fail(err, NB_ERR_IO, "%s: is not a regular file: move it away", path);
  if (s.st_nlink > 1)
    return nb_fail(err, NB_ERR_IO, "%s: the file has a second name, under which it would change too: remove it", path);
  int r;
  do r = flock(*fd, LOCK_EX | LOCK_NB);
  while (r && errno == EINTR);
  if (r && errno == EWOULDBLOCK)
    return nb_fail(err, NB_ERR_IO, "%s: in use by another %s: wait for its end, or give another name", path, user);
  *again = fstat(*fd, &s) == 0 && s.st_nlink == 0;
  return NB_OK;
}

nb_status nb_lockfile_open(const char *path, const char *user, nb_lockfile *out, nb_err *err) {
  nb_status st = NB_OK;
  *out = (nb_lockfile){.fd = -1, .path = strdup(path)};
  if (!out->path) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
  for (bool again = true; st == NB_OK && again;) {
    if (out->fd >= 0) close(out->fd);
    st = open_once(path, user, &out->fd, &again, err);
  }
  if (st != NB_OK) nb_lockfile_close(out, false);
  return st;
}

nb_status nb_lockfile_read(const nb_lockfile *f, uint64_t max_bytes, char **bytes, size_t *n, nb_err *err) {
  struct stat s;
  *bytes = NULL, *n = 0;
  if (fstat(f->fd, &s)) return nb_oserror_fail(err, errno, f->path, "examine");
  if ((uint64_t)s.st_size > max_bytes || (uint64_t)s.st_size > SIZE_MAX / 2)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: too large", f->path);
  size_t size = (size_t)s.st_size;
  if (!(*bytes = malloc(size + 1))) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", f->path);
  while (*n < size) {
    ssize_t got = pread(f->fd, *bytes + *n, nb_min(size - *n, (size_t)1 << 30), (off_t)*n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      nb_status st = nb_oserror_fail(err, errno, f->path, "read");
      free(*bytes);
      *bytes = NULL;
      return st;
    }
    if (got == 0) break; /* shorter than it was: what is missing counts as cut off */
    *n += (size_t)got;
  }
  return NB_OK;
}

nb_status nb_lockfile_write(const nb_lockfile *f, const void *data, size_t n, uint64_t offset, nb_err *err) {
  for (const char *p = data; n;) {
    ssize_t put = pwrite(f->fd, p, nb_min(n, (size_t)1 << 30), (off_t)offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return nb_oserror_fail(err, put < 0 ? errno : ENOSPC, f->path, "write");
    p += put, n -= (size_t)put, offset += (uint64_t)put;
  }
  return NB_OK;
}

nb_status nb_lockfile_cut(const nb_lockfile *f, uint64_t size, nb_err *err) {
  int r;
  do r = ftruncate(f->fd, (off_t)size);
  while (r && errno == EINTR);
  return r ? nb_oserror_fail(err, errno, f->path, "shorten") : NB_OK;
}

void nb_lockfile_close(nb_lockfile *f, bool remove) {
  if (f->fd >= 0 && remove) unlink(f->path); /* while it is locked */
  if (f->fd >= 0) close(f->fd);
  free(f->path);
  *f = (nb_lockfile){.fd = -1};
}
