/* SPDX-License-Identifier: MIT */
#include "formats/archive.h"
#include "tempdir.h"
#include "test.h"

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>
#ifdef NB_HAVE_LIBZIP
#include <zip.h>
#endif

static nb_err err;

/* data as gzip; the caller frees it. */
static char *gzip(const char *data, size_t n, size_t *out_n) {
  z_stream z = {0};
  size_t cap = n + n / 100 + 1024;
  char *out = malloc(cap);
  deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  z.next_in = (Bytef *)(uintptr_t)data, z.avail_in = (uInt)n, z.next_out = (Bytef *)out, z.avail_out = (uInt)cap;
  deflate(&z, Z_FINISH);
  *out_n = z.total_out;
  deflateEnd(&z);
  return out;
}

typedef struct entry {
  const char *name, *data;
  size_t n;
} entry;

#ifdef NB_HAVE_LIBZIP
#define NEEDS_ZIP
static char *make_zip(const char *name, const entry *e, size_t n, bool encrypt) {
  char *path = temp_path(name);
  int code;
  zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  for (size_t i = 0; z && i < n; i++) {
    if (!e[i].data) {
      zip_dir_add(z, e[i].name, 0);
      continue;
    }
    zip_int64_t at = zip_file_add(z, e[i].name, zip_source_buffer(z, e[i].data, e[i].n, 0), 0);
    if (encrypt) zip_file_set_encryption(z, (zip_uint64_t)at, ZIP_EM_AES_256, "secret");
  }
  CHECK(z && zip_close(z) == 0);
  return path;
}
#else
#define NEEDS_ZIP SKIP("built without libzip")
static char *make_zip(const char *name, const entry *e, size_t n, bool encrypt) {
  (void)e, (void)n, (void)encrypt;
  return temp_path(name);
}
#endif

static void check_member(nb_archive *a, size_t i, const char *name, const char *text) {
  char *out;
  size_t n;
  CHECK_STR(nb_archive_name(a, i), name);
  CHECK_OK(nb_archive_read(a, i, &out, &n, &err));
  CHECK(n == strlen(text) && !strcmp(out, text));
  free(out);
}

TEST(a_file) {
  char *path = temp_text("plain.csv", "a,b\n");
  nb_archive *a;
  CHECK_OK(nb_archive_open(path, &a, &err));
  CHECK(nb_archive_count(a) == 1);
  CHECK_STR(nb_archive_where(a, 0), path);
  check_member(a, 0, "plain.csv", "a,b\n");
  check_member(a, 0, "plain.csv", "a,b\n");
  nb_archive_close(a);
  nb_archive_close(NULL);
  free(path);
}

TEST(a_gzip_file) {
  size_t n, m;
  char *one = gzip("hello ", 6, &n), *two = gzip("world", 5, &m), both[512] = {0}, *out;
  memcpy(both, one, n), memcpy(both + n, two, m);
  free(temp_file("x.jsonl.gz", both, n + m + 3)); /* two streams, and zeros that pad the end */
  char *path = temp_path("x.jsonl.gz");
  nb_archive *a;
  CHECK_OK(nb_archive_open(path, &a, &err));
  check_member(a, 0, "x.jsonl", "hello world");
  nb_archive_close(a);
  for (size_t cut = 3; cut < n; cut++) {
    CHECK_OK(nb_archive_open_memory(one, cut, "cut.gz", &a, &err));
    CHECK(nb_archive_read(a, 0, &out, &m, &err) == NB_ERR_FORMAT && !out);
    CHECK_STR(err.msg, "cut.gz: the gzip data are truncated");
    nb_archive_close(a);
  }
  one[n - 5] ^= 1; /* the checksum */
  CHECK_OK(nb_archive_open_memory(one, n, "bad.gz", &a, &err));
  CHECK(nb_archive_read(a, 0, &out, &m, &err) == NB_ERR_FORMAT && !out);
  CHECK_STR(err.msg, "bad.gz: damaged gzip data: incorrect data check");
  nb_archive_close(a);
  free(one), free(two), free(path);
}

TEST(a_directory) {
  size_t n;
  char *z = gzip("zipped", 6, &n), *dir = temp_subdir("d");
  free(temp_subdir("d/test")), free(temp_subdir("d/dev")), free(temp_subdir("d/.git")), free(temp_subdir("d/none"));
  free(temp_text("d/test/b_test.csv", "b")), free(temp_text("d/dev/a_dev.csv", "a"));
  free(temp_text("d/test/d\033[31m.csv", "d"));
  free(temp_text("d/.hidden", "x")), free(temp_text("d/.git/config", "x"));
  free(temp_file("d/test/a_test.csv.gz", z, n));
  char *link = temp_path("d/test/c_test.csv"), *target = temp_path("d/dev/a_dev.csv"), *loop = temp_path("d/loop");
  CHECK(symlink(target, link) == 0 && symlink(dir, loop) == 0);
  nb_archive *a;
  CHECK_OK(nb_archive_open(dir, &a, &err));
  CHECK(nb_archive_count(a) == 5);
  check_member(a, 0, "dev/a_dev.csv", "a");
  check_member(a, 1, "test/a_test.csv", "zipped");
  check_member(a, 2, "test/b_test.csv", "b");
  check_member(a, 3, "test/c_test.csv", "a");
  check_member(a, 4, "test/d?[31m.csv", "d");
  CHECK(strstr(nb_archive_where(a, 1), "/d/test/a_test.csv.gz") != NULL);
  nb_archive_close(a);
  free(z), free(dir), free(link), free(target), free(loop);
}

TEST(a_zip) {
  NEEDS_ZIP;
  size_t n;
  char *z = gzip("zipped", 6, &n);
  const entry e[] = {{"data/", NULL, 0},           {"data/b.csv", "bee", 3},        {"data/a.csv.gz", z, n},
                     {"__MACOSX/._b.csv", "x", 1}, {"data/.DS_Store", "x", 1},      {"./c.csv", "sea", 3},
                     {"esc\033[31m.csv", "e", 1},  {"back\\slash.csv", "slash", 5}, {"d.csv", "", 0}};
  char *path = make_zip("x.zip", e, sizeof e / sizeof *e, false);
  nb_archive *a;
  CHECK_OK(nb_archive_open(path, &a, &err));
  CHECK(nb_archive_count(a) == 6);
  check_member(a, 0, "back/slash.csv", "slash");
  check_member(a, 1, "c.csv", "sea");
  check_member(a, 2, "d.csv", "");
  check_member(a, 3, "data/a.csv", "zipped");
  check_member(a, 4, "data/b.csv", "bee");
  check_member(a, 5, "esc\xe2\x86\x90[31m.csv", "e"); /* code page 437, as zip has it */
  CHECK(strstr(nb_archive_where(a, 4), "x.zip: data/b.csv") != NULL);
  nb_archive_close(a);
  free(z), free(path);
}

static void refused_path(char *path, nb_status code, const char *part) {
  nb_archive *a;
  nb_status st = nb_archive_open(path, &a, &err);
  char *out = NULL;
  size_t n;
  if (st == NB_OK) st = nb_archive_read(a, 0, &out, &n, &err);
  CHECK_MSG(st == code, "%s: status %d", path, (int)st);
  CHECK_MSG(st == NB_OK || strstr(err.msg, part), "%s", err.msg);
  CHECK(st == NB_OK || !out);
  nb_archive_close(a);
  free(out), free(path);
}

TEST(refuses) {
  NEEDS_ZIP;
  const entry up[] = {{"../x", "x", 1}}, abs[] = {{"/etc/x", "x", 1}}, deep[] = {{"a/../../x", "x", 1}};
  const entry ok[] = {{"x", "x", 1}}, twice[] = {{"a/b", "x", 1}, {"a\\b", "y", 1}}, dirs[] = {{"a/", NULL, 0}};
  refused_path(make_zip("up.zip", up, 1, false), NB_ERR_FORMAT, "leaves the archive");
  refused_path(make_zip("abs.zip", abs, 1, false), NB_ERR_FORMAT, "leaves the archive");
  refused_path(make_zip("deep.zip", deep, 1, false), NB_ERR_FORMAT, "leaves the archive");
  refused_path(make_zip("twice.zip", twice, 2, false), NB_ERR_FORMAT, "two members are called \"a/b\"");
  refused_path(make_zip("dirs.zip", dirs, 1, false), NB_ERR_FORMAT, "no files in it");
  refused_path(make_zip("secret.zip", ok, 1, true), NB_ERR_UNSUPPORTED, "secret.zip: x: is encrypted");
  refused_path(temp_text("broken.zip", "PK\3\4 and nothing more"), NB_ERR_FORMAT, "not a readable zip archive");
  refused_path(temp_text("data.tar", "x"), NB_ERR_UNSUPPORTED, "tar archives are not read");
  refused_path(temp_subdir("empty"), NB_ERR_FORMAT, "no files in it");
  refused_path(temp_text("nothing", ""), NB_ERR_FORMAT, "the file is empty");
  refused_path(temp_path("missing"), NB_ERR_IO, "missing: cannot open: No such file or directory");
  char *dir = temp_subdir("very");
  for (int i = 0; i < 9; i++) {
    char name[64] = "very";
    for (int k = 0; k <= i; k++) strcat(name, "/d");
    free(temp_subdir(name));
  }
  refused_path(dir, NB_ERR_UNSUPPORTED, "directories more than 8 deep");
}

TEST(refuses_bombs) {
  NEEDS_ZIP;
  size_t n, size = 32 << 20;
  char *zeros = calloc(1, size), *z = gzip(zeros, size, &n);
  CHECK(n < 64 << 10);
  refused_path(temp_file("bomb.gz", z, n), NB_ERR_UNSUPPORTED, "refused as a decompression bomb");
  const entry one[] = {{"zeros", zeros, size}}, inner[] = {{"zeros.gz", z, n}};
  refused_path(make_zip("bomb.zip", one, 1, false), NB_ERR_UNSUPPORTED, "refused as a decompression bomb");
  refused_path(make_zip("inner.zip", inner, 1, false), NB_ERR_UNSUPPORTED, "refused as a decompression bomb");
  free(z);
  /* a long repetitive text is none */
  for (size_t i = 0; i < 1 << 20; i++) zeros[i] = "0123456789abcdef"[(i * i / 7) % 16];
  z = gzip(zeros, 1 << 20, &n);
  char *path = temp_file("fine.gz", z, n), *out;
  nb_archive *a;
  CHECK_OK(nb_archive_open(path, &a, &err));
  CHECK_OK(nb_archive_read(a, 0, &out, &n, &err));
  CHECK(n == 1 << 20 && !memcmp(out, zeros, n));
  nb_archive_close(a);
  free(out), free(zeros), free(z), free(path);
}

/* A zip that understates what it expands to must not overrun. */
TEST(lying_sizes) {
  NEEDS_ZIP;
  char text[4096];
  memset(text, 'x', sizeof text);
  const entry e[] = {{"x", text, sizeof text}};
  char *path = make_zip("lie.zip", e, 1, false), bytes[1024], *out;
  FILE *f = fopen(path, "rb");
  size_t n = fread(bytes, 1, sizeof bytes, f), m, changed = 0;
  fclose(f);
  for (size_t i = 0; i + 4 <= n; i++) { /* 4096 wherever it stands as four bytes: both headers */
    if (!memcmp(bytes + i, "\0\x10\0\0", 4)) bytes[i + 1] = 1, changed++;
  }
  CHECK(changed == 2);
  nb_archive *a;
  CHECK_OK(nb_archive_open_memory(bytes, n, "lie.zip", &a, &err));
  CHECK(nb_archive_read(a, 0, &out, &m, &err) == NB_ERR_FORMAT && strstr(err.msg, "lie.zip: x: damaged"));
  nb_archive_close(a);
  free(path);
}

static void read_all(const char *data, size_t n, const char *name) {
  nb_archive *a;
  if (nb_archive_open_memory(data, n, name, &a, &err) != NB_OK) return;
  for (size_t i = 0; i < nb_archive_count(a); i++) {
    char *out;
    size_t m;
    nb_status st = nb_archive_read(a, i, &out, &m, &err);
    CHECK((st == NB_OK) == (out != NULL) && (st != NB_OK || out[m] == 0));
    free(out);
  }
  nb_archive_close(a);
}

TEST(survives_damage) {
  NEEDS_ZIP;
  size_t gz, n;
  char *z = gzip("some text, some text, some more text", 36, &gz), bytes[2048];
  const entry e[] = {{"data/a.csv", "some text, some text, some text", 31}, {"b.csv.gz", z, gz}, {"c", "", 0}};
  char *path = make_zip("damage.zip", e, 3, false);
  FILE *f = fopen(path, "rb");
  n = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  CHECK(n > 100 && n < sizeof bytes);
  unsigned seed = (unsigned)test_seed(11);
  for (int i = 0; i < 20000; i++) {
    seed = seed * 1664525 + 1013904223;
    size_t at = (seed >> 8) % n;
    char old = bytes[at];
    bytes[at] = (char)(seed >> 3);
    read_all(bytes, n, "damage.zip");
    bytes[at] = old;
  }
  for (size_t cut = 0; cut < n; cut++) read_all(bytes, cut, "cut.zip");
  for (size_t at = 0; at < gz; at++) {
    for (int bit = 0; bit < 8; bit++) z[at] ^= (char)(1 << bit), read_all(z, gz, "x.gz"), z[at] ^= (char)(1 << bit);
  }
  free(z), free(path);
}

int main(void) {
  RUN(a_file);
  RUN(a_gzip_file);
  RUN(a_directory);
  RUN(a_zip);
  RUN(refuses);
  RUN(refuses_bombs);
  RUN(lying_sizes);
  RUN(survives_damage);
  temp_remove();
  return test_end();
}
