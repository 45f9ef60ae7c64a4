/* SPDX-License-Identifier: MIT */
#include "formats/calfile.h"

#include "formats/mapfile.h"
#include "base/mem.h"
#include "tempdir.h"
#include "test.h"

#include <math.h>
#include <xxhash.h>

static nb_err err;

enum { META = 48, SEQS = 3, SEQ = 5, MATRICES = 4, INPUTS = 7 };

static const char meta[] = "{\"nibble\":\"t\",\"sources\":[],\"calibration\":{},\"probe\":{\"tokens\":3}}";

/* A file's bytes, and where its parts begin. */
typedef struct bytes {
  uint8_t *p;
  size_t n, tokens, kl, error, importance;
} bytes;

static bytes make(const char *path) {
  nb_calfile f = {.n_seqs = SEQS, .seq = SEQ, .n_matrices = MATRICES, .n_inputs = INPUTS};
  f.meta = cJSON_Parse(meta);
  f.tokens = nb_alloc(SEQS * SEQ, 4), f.probe_kl = nb_alloc(MATRICES, 8), f.probe_error = nb_alloc(MATRICES, 8);
  f.importance = nb_alloc(INPUTS, 4);
  for (int i = 0; i < SEQS * SEQ; i++) f.tokens[i] = 1000 * i;
  for (int i = 0; i < MATRICES; i++) f.probe_kl[i] = 0.1 * i - 1e-9, f.probe_error[i] = 1.0 / (i + 3);
  for (int i = 0; i < INPUTS; i++) f.importance[i] = (float)i * 0.3f;
  if (nb_calfile_save(&f, path, &err) != NB_OK) printf("  %s\n", err.msg), exit(1);
  nb_calfile_free(&f);
  bytes b = {0};
  char *p;
  if (nb_mapfile_read(path, 1 << 20, &p, &b.n, &err) != NB_OK) printf("  %s\n", err.msg), exit(1);
  b.p = (uint8_t *)p;
  b.tokens = META + strlen(meta), b.kl = b.tokens + SEQS * SEQ * 4, b.error = b.kl + MATRICES * 8;
  b.importance = b.error + MATRICES * 8;
  return b;
}

/* Parses a copy with n bytes at `at` replaced and the checksum made right. */
static nb_status parse_with(const bytes *b, size_t at, const void *p, size_t n) {
  uint8_t *copy = malloc(b->n);
  nb_calfile f;
  memcpy(copy, b->p, b->n);
  memcpy(copy + at, p, n);
  uint64_t hash = XXH3_64bits(copy, b->n - 8);
  memcpy(copy + b->n - 8, &hash, 8);
  nb_status st = nb_calfile_parse(copy, b->n, "f", &f, &err);
  if (st == NB_OK) nb_calfile_free(&f);
  else CHECK(!f.meta && !f.tokens && !f.probe_kl && !f.importance);
  free(copy);
  return st;
}

TEST(everything_comes_back) {
  char *path = temp_path("stats");
  bytes b = make(path);
  nb_calfile f;
  CHECK(b.n == b.importance + INPUTS * 4 + 8);
  CHECK_OK(nb_calfile_read(path, &f, &err));
  CHECK(f.n_seqs == SEQS && f.seq == SEQ && f.n_matrices == MATRICES && f.n_inputs == INPUTS);
  CHECK(f.tokens[14] == 14000 && f.probe_kl[3] == 0.1 * 3 - 1e-9 && f.probe_error[2] == 1.0 / 5);
  CHECK(f.importance[6] == 6 * 0.3f);
  CHECK(cJSON_GetObjectItem(cJSON_GetObjectItem(f.meta, "probe"), "tokens")->valueint == 3);
  nb_calfile_free(&f);
  free(b.p), free(path);
}

TEST(damage_is_noticed) {
  char *path = temp_path("stats");
  bytes b = make(path);
  nb_calfile f;
  for (size_t n = 0; n < b.n; n++) CHECK(nb_calfile_parse(b.p, n, "f", &f, &err) == NB_ERR_FORMAT);
  for (size_t i = 0; i < b.n; i++) {
    b.p[i] ^= 1;
    CHECK_MSG(nb_calfile_parse(b.p, b.n, "f", &f, &err) == NB_ERR_FORMAT, "byte %zu", i);
    b.p[i] ^= 1;
  }
  free(b.p), free(path);
}

TEST(hostile_numbers_are_refused) {
  char *path = temp_path("stats");
  bytes b = make(path);
  double kl = -0.5, bad_error = -1;
  float nan = NAN, minus = -1;
  int32_t token = -1;
  CHECK(parse_with(&b, b.kl, &kl, 8) == NB_OK); /* noise may be below 0 */
  for (int i = 0; i < 5; i++) {
    static const uint64_t count[] = {0, 1, 8, UINT32_MAX, (uint64_t)1 << 62, UINT64_MAX};
    for (int k = 0; k < 6; k++) {
      if (count[k] == ((const uint64_t[]){strlen(meta), SEQS, SEQ, MATRICES, INPUTS})[i]) continue;
      CHECK_MSG(parse_with(&b, 8 + 8 * (size_t)i, &count[k], 8) == NB_ERR_FORMAT, "count %d: %llu", i,
                (unsigned long long)count[k]);
    }
  }
  const uint64_t wide[2] = {(uint64_t)1 << 28, (uint64_t)1 << 28};
  CHECK(parse_with(&b, 16, wide, 16) == NB_ERR_FORMAT);
  CHECK(parse_with(&b, b.tokens + 8, &token, 4) == NB_ERR_FORMAT && strstr(err.msg, "token 2"));
  CHECK(parse_with(&b, b.error + 8, &bad_error, 8) == NB_ERR_FORMAT && strstr(err.msg, "matrix 1"));
  kl = INFINITY;
  CHECK(parse_with(&b, b.kl, &kl, 8) == NB_ERR_FORMAT && strstr(err.msg, "matrix 0"));
  CHECK(parse_with(&b, b.importance + 12, &nan, 4) == NB_ERR_FORMAT && strstr(err.msg, "input 3"));
  CHECK(parse_with(&b, b.importance, &minus, 4) == NB_ERR_FORMAT);
  CHECK(parse_with(&b, META + 2, "X", 1) == NB_ERR_FORMAT && strstr(err.msg, "nibble"));
  CHECK(parse_with(&b, META, "[", 1) == NB_ERR_FORMAT);
  free(b.p), free(path);
}

TEST(no_half_file) {
  nb_calfile f = {.n_seqs = 0};
  f.meta = cJSON_CreateObject();
  CHECK(nb_calfile_save(&f, "/no/such/dir/stats", &err) == NB_ERR_IO);
  cJSON_Delete(f.meta);
  CHECK(nb_calfile_read("/no/such/dir/stats", &f, &err) == NB_ERR_IO && !f.meta);
}

int main(void) {
  RUN(everything_comes_back);
  RUN(damage_is_noticed);
  RUN(hostile_numbers_are_refused);
  RUN(no_half_file);
  temp_remove();
  return test_end();
}
