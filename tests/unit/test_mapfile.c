/* SPDX-License-Identifier: MIT */
#include "formats/mapfile.h"
#include "formats/outfile.h"
#include "tempdir.h"
#include "test.h"

#include <fcntl.h>
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

/* Pages that were let go are read again, and are the same; what is asked for early may be anything that is mapped. */
TEST(forgets_and_reads_again) {
  enum { SIZE = 3 << 20 };
  char *bytes = malloc(SIZE);
  double left = -1;
  nb_mapfile m;
  CHECK(bytes);
  for (size_t i = 0; i < SIZE; i++) bytes[i] = (char)(i * 7 + (i >> 12));
  char *path = temp_file("large", bytes, SIZE);
  CHECK_OK(nb_mapfile_open(path, &m, &err));
  for (int round = 0; round < 2; round++) {
    nb_mapfile_want(m.data + 5, SIZE - 5);
    nb_mapfile_want(m.data + SIZE - 1, 1);
    nb_mapfile_want(m.data, 0);
    CHECK(!memcmp(m.data, bytes, SIZE));
    nb_status st = nb_mapfile_forget(&left, &err);
    CHECK(st == NB_OK ? left >= 0 && left <= 1 : st == NB_ERR_UNSUPPORTED && left == 1);
  }
  CHECK(!memcmp(m.data, bytes, SIZE));
  nb_mapfile_close(&m);
  CHECK(nb_mapfile_forget(&left, &err) != NB_OK || left <= 1);
  free(bytes), free(path);
}

/* Every open mapping is found by any of its addresses, a closed one by none. */
TEST(finds_mappings) {
  enum { N = 40 };
  nb_mapfile m[N];
  char *path[N];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < N; i++) {
      char name[16];
      snprintf(name, sizeof name, "map%d", i);
      path[i] = temp_file(name, "abcdef", 6);
      CHECK_OK(nb_mapfile_open(path[i], &m[i], &err));
    }
    for (int i = 0; i < N; i++) {
      const char *first = nb_mapfile_at(m[i].data), *last = nb_mapfile_at(m[i].data + 5);
      CHECK(first && !strcmp(first, path[i]) && last == first && nb_mapfile_at(m[i].data + 6) != first);
    }
    CHECK(!nb_mapfile_at(&round) && !nb_mapfile_at(NULL));
    for (int i = 0; i < N; i++) {
      const uint8_t *data = m[i].data;
      nb_mapfile_close(&m[i]);
      CHECK(!nb_mapfile_at(data));
      free(path[i]);
    }
  }
}

/* What is written to while it is mapped makes no output; what is replaced by another file of its name does. */
TEST(sees_changes) {
  char *path = temp_file("changes", "abcdef", 6), *out = temp_path("made");
  nb_mapfile m;
  struct timespec past[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
  CHECK(utimensat(AT_FDCWD, path, past, 0) == 0);
  CHECK_OK(nb_mapfile_open(path, &m, &err));
  CHECK_OK(nb_mapfile_unchanged(&err));
  int fd = open(path, O_WRONLY);
  CHECK(fd >= 0 && pwrite(fd, "X", 1, 0) == 1 && close(fd) == 0);
  CHECK(nb_mapfile_unchanged(&err) == NB_ERR_IO && strstr(err.msg, "changes: another program wrote to it"));
  CHECK(nb_outfile_save(out, "x", 1, &err) == NB_ERR_IO && access(out, F_OK) != 0);
  nb_mapfile_close(&m);
  CHECK_OK(nb_mapfile_unchanged(&err));
  CHECK_OK(nb_mapfile_open(path, &m, &err));
  CHECK_OK(nb_outfile_save(path, "another", 7, &err));
  CHECK_OK(nb_mapfile_unchanged(&err));
  nb_mapfile_close(&m);
  free(path), free(out);
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
  RUN(forgets_and_reads_again);
  RUN(finds_mappings);
  RUN(sees_changes);
  RUN(reads_a_file);
  RUN(cursor_never_leaves_its_bytes);
  temp_remove();
  return test_end();
}
