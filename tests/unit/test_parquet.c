/* SPDX-License-Identifier: MIT */
#include "formats/parquet.h"

#include "formats/jsonl.h"
#include "formats/mapfile.h"
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>

static nb_err err;

/* Rows of a Parquet file and those of the JSON lines beside it must be the same; counts both. */
static nb_status same_rows(const uint8_t *bytes, size_t n, const char *json, size_t n_json, const char *name) {
  nb_parquet *p;
  nb_jsonl it = {0};
  nb_status st = nb_parquet_open(bytes, n, name, &p, &err);
  if (st != NB_OK) return st;
  NB_GOTO(nb_jsonl_open(json, n_json, "golden", &it, &err));
  for (;;) {
    cJSON *row;
    const cJSON *want;
    NB_GOTO(nb_parquet_next(p, &row, &err));
    NB_GOTO(nb_jsonl_next(&it, &want, &err));
    CHECK_MSG(!row == !want, "%s: another number of rows (%s)", name, it.where);
    if (row && want && !cJSON_Compare(row, want, 1)) {
      char *a = cJSON_PrintUnformatted(row), *b = cJSON_PrintUnformatted(want);
      CHECK_MSG(0, "%s: %s\n    is not %s", nb_parquet_where(p), a, b);
      free(a), free(b);
      cJSON_Delete(row);
      break;
    }
    cJSON_Delete(row);
    if (!row || !want) break;
  }
fail:
  nb_jsonl_close(&it);
  nb_parquet_close(p);
  return st;
}

/* Reads one file of a folder, from a block of exactly its size; *there: it exists. */
static nb_status read_one(const char *folder, const char *name, bool *there) {
  char path[600], *bytes = NULL, *json = NULL;
  size_t n, n_json = 0;
  struct stat s;
  snprintf(path, sizeof path, "%s/%s.parquet", folder, name);
  *there = stat(path, &s) == 0;
  if (!*there) return NB_OK;
  nb_status st = nb_mapfile_read(path, 1 << 26, &bytes, &n, &err);
  snprintf(path, sizeof path, "%s/%s.jsonl", folder, name);
  if (st == NB_OK && stat(path, &s) == 0) st = nb_mapfile_read(path, 1 << 26, &json, &n_json, &err);
  if (st == NB_OK) {
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    st = same_rows(exact, n, json ? json : "", n_json, name);
    free(exact);
  }
  free(bytes), free(json);
  return st;
}

/* The part of the message that a file must be refused with, or NULL. */
static const char *refusal(const char *name) {
  static const char *const known[][2] = {
      {"codec_brotli", "compressed with brotli, which is not read"},
      {"codec_lz4", "compressed with LZ4, which is not read"},
      {"map", "column m: maps are not read"},
      {"unicode", "row 4: column ????????????: a text with a NUL character"}, /* as the same JSON line is */
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i][0], name)) return known[i][1];
  return NULL;
}

/* Every NAME.parquet of a folder: read like its NAME.jsonl, or refused by name. Returns how many there are. */
static int whole_folder(const char *folder) {
  DIR *d = opendir(folder);
  int files = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    char name[200];
    size_t n = strlen(e->d_name);
    bool there;
    if (n < 9 || n > sizeof name || strcmp(e->d_name + n - 8, ".parquet")) continue;
    snprintf(name, sizeof name, "%.*s", (int)n - 8, e->d_name);
    const char *want = refusal(name);
    nb_status st = read_one(folder, name, &there);
    files++;
#ifndef NB_HAVE_ZSTD
    if (st != NB_OK && strstr(err.msg, "built without libzstd")) continue;
#endif
    if (!want) CHECK_MSG(st == NB_OK, "%s: %s", name, err.msg);
    else CHECK_MSG(st != NB_OK && strstr(err.msg, want), "%s: status %d, \"%s\"", name, st, err.msg);
  }
  if (d) closedir(d);
  return files;
}

TEST(rows_as_pyarrow_reads_them) { CHECK(whole_folder("tests/golden/parquet") >= 18); }

static const char *shared(const char *below, char path[500]) {
  const char *root = getenv("NB_SHARED");
  snprintf(path, 500, "%s/data/parquet/%s", root ? root : "../shared", below);
  return path;
}

TEST(more_files_of_pyarrow) {
  char path[500];
  int n = whole_folder(shared("reader", path));
  if (!n) SKIP("../shared/data/parquet is not here");
  CHECK(n >= 40);
}

TEST(damaged_files_of_others) {
  /* page_byte_flipped has no checksum: a letter of a text differs, and who reads it cannot know. The flipped byte of
   * footer_byte_flipped is in Arrow's own copy of the schema, which is not looked at. */
  static const struct {
    const char *name, *message;
  } bad[] = {{"bad_magic_head", "does not begin with PAR1"},
             {"bad_magic_tail", "does not end with PAR1"},
             {"checksum_mismatch", "checksum does not match"},
             {"encrypted_magic", "encrypted"},
             {"footer_len_huge", "a footer of"},
             {"footer_len_zero", "a footer of 0 bytes"},
             {"magic_only", "cut short"},
             {"truncated_half", "cut short"},
             {"truncated_tail4", "cut short"}};
  char folder[500];
  bool there = false;
  shared("reader/bad", folder);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nb_status st = read_one(folder, bad[i].name, &there);
    if (!there) SKIP("../shared/data/parquet is not here");
    CHECK_MSG(st != NB_OK && strstr(err.msg, bad[i].message), "%s: status %d, \"%s\" does not say \"%s\"", bad[i].name,
              st, err.msg, bad[i].message);
  }
}

/* Every shorter file, and every file with one byte changed, is read or refused, and nothing else happens. */
TEST(cut_and_changed_bytes) {
  char *bytes;
  size_t n, good = 0, refused = 0;
  CHECK_OK(nb_mapfile_read("tests/golden/parquet/nested_v2.parquet", 1 << 20, &bytes, &n, &err));
  for (size_t i = 0; i < 3 * n; i++) {
    size_t size = i < n ? i : n;
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    if (i >= n) copy[i % n] = (uint8_t)(copy[i % n] + (i < 2 * n ? 1 : 0x80));
    nb_parquet *p;
    nb_status st = nb_parquet_open(copy, size, "x.parquet", &p, &err);
    for (cJSON *row = NULL; st == NB_OK; cJSON_Delete(row))
      if ((st = nb_parquet_next(p, &row, &err)) != NB_OK || !row) break;
    CHECK_MSG(i >= n || st != NB_OK, "%zu of %zu bytes were read", size, n);
    if (st == NB_OK) good++;
    else refused++;
    nb_parquet_close(p);
    free(copy);
  }
  CHECK_MSG(good > 20 && refused > 2 * n, "%zu read, %zu refused", good, refused);
  free(bytes);
}

int main(void) {
  RUN(rows_as_pyarrow_reads_them);
  RUN(more_files_of_pyarrow);
  RUN(damaged_files_of_others);
  RUN(cut_and_changed_bytes);
  return test_end();
}
