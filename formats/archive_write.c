/* SPDX-License-Identifier: MIT */
#include "formats/archive_write.h"

#include "formats/outfile.h"

#ifndef NB_HAVE_LIBZIP

bool nb_archive_writes(void) { return false; }

nb_status nb_archive_save(const char *path, const nb_archive_file *file, size_t n, nb_err *err) {
  (void)file, (void)n;
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: this nibble was built without libzip and writes no archives", path);
}

#else

#include "base/mem.h"

#include <stdlib.h>
#include <zip.h>

bool nb_archive_writes(void) { return true; }

static nb_status add_file(zip_t *zip, const char *path, const nb_archive_file *f, nb_err *err) {
  zip_source_t *s = zip_source_buffer(zip, f->data, f->n, 0);
  zip_int64_t i = s ? zip_file_add(zip, f->name, s, ZIP_FL_ENC_UTF_8) : -1;
  if (s && i < 0) zip_source_free(s);
  if (i < 0 || zip_file_set_dostime(zip, (zip_uint64_t)i, 0, 1 << 5 | 1, 0))
    return nb_fail(err, NB_ERR_IO, "%s: cannot add %s: %s", path, f->name, zip_strerror(zip));
  return NB_OK;
}

/* What libzip wrote into the source, as one block. */
static nb_status take_bytes(zip_source_t *s, const char *path, void **out, size_t *n, nb_err *err) {
  zip_stat_t info;
  *out = NULL;
  if (zip_source_stat(s, &info) || !(info.valid & ZIP_STAT_SIZE) || zip_source_open(s))
    return nb_fail(err, NB_ERR_IO, "%s: %s", path, zip_error_strerror(zip_source_error(s)));
  *n = (size_t)info.size;
  nb_status st = nb_new(out, *n + 1, 1, "a zip archive", err);
  if (st == NB_OK && zip_source_read(s, *out, *n) != (zip_int64_t)*n)
    st = nb_fail(err, NB_ERR_IO, "%s: %s", path, zip_error_strerror(zip_source_error(s)));
  zip_source_close(s);
  return st;
}

nb_status nb_archive_save(const char *path, const nb_archive_file *file, size_t n, nb_err *err) {
  zip_error_t e;
  zip_t *zip = NULL;
  void *bytes = NULL;
  size_t size = 0;
  nb_status st = NB_OK;
  zip_error_init(&e);
  zip_source_t *s = zip_source_buffer_create(NULL, 0, 0, &e);
  if (s) zip_source_keep(s), zip = zip_open_from_source(s, ZIP_CREATE | ZIP_TRUNCATE, &e);
  if (!zip) NB_GOTO(nb_fail(err, NB_ERR_IO, "%s: %s", path, zip_error_strerror(&e)));
  for (size_t i = 0; i < n; i++) NB_GOTO(add_file(zip, path, &file[i], err));
  if (zip_close(zip)) NB_GOTO(nb_fail(err, NB_ERR_IO, "%s: %s", path, zip_strerror(zip)));
  zip = NULL;
  NB_GOTO(take_bytes(s, path, &bytes, &size, err));
  NB_GOTO(nb_outfile_save(path, bytes, size, err));
fail:
  if (zip) zip_discard(zip);
  if (s) zip_source_free(s);
  zip_error_fini(&e);
  nb_free(bytes);
  return st;
}

#endif
