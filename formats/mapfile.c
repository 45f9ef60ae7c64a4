/* SPDX-License-Identifier: MIT */
#include "formats/mapfile.h"

#include "base/mem.h"
#include "formats/oserror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a regular file for reading and gives its size. */
static nb_status open_regular(const char *path, int *fd, size_t *size, nb_err *err) {
  struct stat st;
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* so that a pipe does not wait for its writer */
  if (*fd < 0) return nb_oserror_fail(err, errno, path, "open");
  nb_status s = NB_OK;
  if (fstat(*fd, &st)) s = nb_oserror_fail(err, errno, path, "examine");
  else if (S_ISDIR(st.st_mode)) s = nb_fail(err, NB_ERR_IO, "%s: is a directory, a file is needed", path);
  else if (!S_ISREG(st.st_mode)) s = nb_fail(err, NB_ERR_IO, "%s: is not a regular file", path);
  else if ((uintmax_t)st.st_size > SIZE_MAX / 2) s = nb_fail(err, NB_ERR_UNSUPPORTED, "%s: too large", path);
  *size = (size_t)st.st_size;
  if (s != NB_OK) close(*fd);
  return s;
}

nb_status nb_mapfile_open(const char *path, nb_mapfile *out, nb_err *err) {
  int fd;
  size_t size;
  *out = (nb_mapfile){0};
  NB_TRY(open_regular(path, &fd, &size, err));
  if (size == 0) {
    close(fd);
    return nb_fail(err, NB_ERR_FORMAT, "%s: the file is empty", path);
  }
  void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  int errnum = errno;
  close(fd);
  if (p == MAP_FAILED) return nb_oserror_fail(err, errnum, path, "map into memory");
  *out = (nb_mapfile){.data = p, .size = size, .path = strdup(path)};
  if (out->path) return NB_OK;
  nb_mapfile_close(out);
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
}

void nb_mapfile_close(nb_mapfile *m) {
  if (m->data) munmap((void *)(uintptr_t)m->data, m->size);
  free(m->path);
  *m = (nb_mapfile){0};
}

nb_status nb_mapfile_read(const char *path, size_t max_bytes, char **out, size_t *n, nb_err *err) {
  int fd;
  size_t size, have = 0;
  *out = NULL, *n = 0;
  NB_TRY(open_regular(path, &fd, &size, err));
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
