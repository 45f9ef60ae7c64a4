/* SPDX-License-Identifier: MIT */
#include "formats/mapfile.h"
#include "tempdir.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static nb_err err;

TEST(maps_a_file) {
  char *path = temp_file("bytes", "hello\0world", 11);
  nb_mapfile m;
  CHECK_OK(nb_mapfile_open(path, &m, &err));
  CHECK(m.size == 11 && !memcmp(m.data, "hello\0world", 11));
  CHECK_STR(m.path, path);
  CHECK(!memcmp(m.data, "hello\0world", 11));
  nb_mapfile_close(&m);
  nb_mapfile_close(&m);
  CHECK(!m.data);
  free(path);
}

TEST(refuses_what_is_no_file) {
  nb_mapfile m;
  char *empty = temp_file("empty", "", 0), *fifo = temp_path("fifo");
  char *b;
  size_t n;
  CHECK(nb_mapfile_open(empty, &m, &err) == NB_ERR_FORMAT && strstr(err.msg, "empty: the file is empty"));
  CHECK(nb_mapfile_open(temp_dir(), &m, &err) == NB_ERR_IO && strstr(err.msg, "is a directory"));
  CHECK(nb_mapfile_open("/no/such/file", &m, &err) == NB_ERR_IO);
  CHECK_STR(err.msg, "/no/such/file: cannot open: No such file or directory");
  CHECK(nb_mapfile_open("/dev/zero", &m, &err) == NB_ERR_IO && strstr(err.msg, "not a regular file"));
  CHECK(mkfifo(fifo, 0600) == 0);
  CHECK(nb_mapfile_open(fifo, &m, &err) == NB_ERR_IO && strstr(err.msg, "not a regular file"));
  CHECK(nb_mapfile_read(fifo, 100, &b, &n, &err) == NB_ERR_IO && !b);
  CHECK(!m.data && !m.path);
  free(empty), free(fifo);
}

TEST(reads_a_file) {
  char *path = temp_file("text", "abc", 3), *empty = temp_file("empty", "", 0), *b;
  size_t n;
  CHECK_OK(nb_mapfile_read(path, 3, &b, &n, &err));
  CHECK(n == 3 && !strcmp(b, "abc"));
  free(b);
  CHECK(nb_mapfile_read(path, 2, &b, &n, &err) == NB_ERR_UNSUPPORTED && !b);
  CHECK(strstr(err.msg, "3 bytes, at most 2 are read"));
  CHECK_OK(nb_mapfile_read(empty, 3, &b, &n, &err));
  CHECK(n == 0 && b && !*b);
  free(b), free(path), free(empty);
}

TEST(cursor_never_leaves_its_bytes) {
  static const uint8_t bytes[] = {1, 2, 0, 0xff, 0xff, 0xff, 0x7f, 9, 8, 7};
  nb_cursor c = {.data = bytes, .size = sizeof bytes};
  CHECK(nb_cursor_u8(&c) == 1 && nb_cursor_u16(&c) == 2 && nb_cursor_u32(&c) == 0x7fffffff && !c.failed);
  CHECK(nb_cursor_u32(&c) == 0 && c.failed);  /* three bytes are left */
  CHECK(nb_cursor_u8(&c) == 0 && c.pos == 7); /* and it stays failed */
  c = (nb_cursor){.data = bytes, .size = sizeof bytes};
  nb_cursor_seek(&c, sizeof bytes);
  CHECK(!c.failed && nb_cursor_bytes(&c, 0) && !nb_cursor_bytes(&c, 1) && c.failed);
  c = (nb_cursor){.data = bytes, .size = sizeof bytes, .pos = 5};
  CHECK(!nb_cursor_bytes(&c, SIZE_MAX) && c.failed);
  c = (nb_cursor){.data = bytes, .size = sizeof bytes};
  nb_cursor_seek(&c, sizeof bytes + 1);
  CHECK(c.failed && nb_cursor_u64(&c) == 0);
  c = (nb_cursor){.data = bytes, .size = sizeof bytes};
  CHECK(nb_cursor_u64(&c) == 0x097fffffff000201u);
}

int main(void) {
  RUN(maps_a_file);
  RUN(refuses_what_is_no_file);
  RUN(reads_a_file);
  RUN(cursor_never_leaves_its_bytes);
  temp_remove();
  return test_end();
}
