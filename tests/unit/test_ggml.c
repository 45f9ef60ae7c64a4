/* SPDX-License-Identifier: MIT */
/* Block types against tests/golden/ggml.bin: values by the gguf package, blocks by llama.cpp's quantizer. */
#include "test.h"

#include "base/f16.h"
#include "base/ggml.h"
#include "formats/mapfile.h"

#include <math.h>

static nb_err err;

typedef struct golden {
  char *bytes;
  nb_cursor c;
} golden;

static bool load(golden *g) {
  size_t n;
  if (nb_mapfile_read("tests/golden/ggml.bin", 1 << 20, &g->bytes, &n, &err) != NB_OK) return false;
  g->c = (nb_cursor){.data = (const uint8_t *)g->bytes, .size = n};
  const uint8_t *magic = nb_cursor_bytes(&g->c, 8);
  return magic && !memcmp(magic, "NBGGML01", 8);
}

/* Skips or checks the first part: every type's blocks with their values. */
static void first_part(golden *g, bool check) {
  uint32_t n_types = nb_cursor_u32(&g->c);
  CHECK(n_types == 15);
  for (uint32_t k = 0; k < n_types; k++) {
    uint32_t id = nb_cursor_u32(&g->c), n = nb_cursor_u32(&g->c), size = nb_cursor_u32(&g->c);
    const uint8_t *data = nb_cursor_bytes(&g->c, size), *want = nb_cursor_bytes(&g->c, 4 * (size_t)n);
    if (!check) continue;
    const nb_ggml_type *t = nb_ggml_find(id);
    CHECK_MSG(t && t->read && size == n / t->block * t->bytes, "type %u", id);
    float *got = calloc(n, sizeof *got);
    nb_ggml_read(t, data, n, got);
    CHECK_MSG(!memcmp(got, want, 4 * (size_t)n), "values of %s", t->name);
    free(got);
  }
}

TEST(every_type_reads_as_the_package_reads_it) {
  golden g;
  if (!load(&g)) CHECK(false);
  else first_part(&g, true);
  CHECK(!g.c.failed);
  free(g.bytes);
}

static double error_of(const nb_ggml_type *t, const void *blocks, const float *x, const float *w, size_t n) {
  double sum = 0;
  float *y = calloc(n, sizeof *y);
  nb_ggml_read(t, blocks, n, y);
  for (size_t i = 0; i < n; i++) sum += (w ? w[i] : 1) * ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
  free(y);
  return sum;
}

/* At most llama.cpp's error on the same floats; Q8_0, whose rounding leaves no choice, is the same bytes. */
TEST(writes_at_least_as_well_as_llama_cpp) {
  golden g;
  if (!load(&g)) {
    CHECK(false);
    return;
  }
  first_part(&g, false);
  uint32_t n = nb_cursor_u32(&g.c);
  const uint8_t *raw = nb_cursor_bytes(&g.c, 4 * (size_t)n);
  uint32_t n_types = nb_cursor_u32(&g.c);
  CHECK(!g.c.failed && n_types == 5);
  float *x = calloc(n, sizeof *x);
  memcpy(x, raw, 4 * (size_t)n);
  for (uint32_t k = 0; k < n_types; k++) {
    const nb_ggml_type *t = nb_ggml_find(nb_cursor_u32(&g.c));
    uint32_t size = nb_cursor_u32(&g.c);
    const uint8_t *theirs = nb_cursor_bytes(&g.c, size);
    uint8_t *ours = calloc(1, size);
    nb_ggml_write(t, x, NULL, n, ours);
    double e = error_of(t, ours, x, NULL, n), e_theirs = error_of(t, theirs, x, NULL, n);
    printf("  %s: squared error %.4g, llama.cpp %.4g\n", t->name, e, e_theirs);
    CHECK(e <= e_theirs * (1 + 1e-12));
    if (t->id == NB_GGML_Q8_0) CHECK(!memcmp(ours, theirs, size));
    free(ours);
  }
  CHECK(!g.c.failed && g.c.pos == g.c.size);
  free(x);
  free(g.bytes);
}

static unsigned seed;
static float next(void) { return (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 0x1p23f - 1; }

TEST(importance_moves_the_error_to_where_it_counts_less) {
  static const char *const names[] = {"q4_0", "q4_1", "q4_k", "iq4_nl"};
  float x[256], w[256];
  uint8_t plain[512], chosen[512];
  for (int i = 0; i < 256; i++) x[i] = next() + next() + next(), w[i] = i % 4 ? 0.01f : 1;
  for (size_t k = 0; k < 4; k++) {
    const nb_ggml_type *t = nb_ggml_find_name(names[k]);
    nb_ggml_write(t, x, NULL, 256, plain);
    nb_ggml_write(t, x, w, 256, chosen);
    CHECK_MSG(error_of(t, chosen, x, w, 256) < 0.9 * error_of(t, plain, x, w, 256), "%s", names[k]);
    CHECK(error_of(t, chosen, x, NULL, 256) >= error_of(t, plain, x, NULL, 256));
  }
}

/* What a type holds comes back, whatever was chosen on the way (a zero may change its sign). Q4_K's scales count parts
 * of its largest, which may be another when it is written again: a part of what was lost is lost once more. */
TEST(written_twice_is_the_same) {
  for (uint32_t id = 0; id < 64; id++) {
    const nb_ggml_type *t = nb_ggml_find(id);
    if (!t || !t->write) continue;
    float x[256] = {0}, once[256], twice[256];
    uint8_t b[1024];
    for (int i = 0; i < 256; i++) x[i] = next() * 0.1f;
    nb_ggml_write(t, x, NULL, 256, b);
    nb_ggml_read(t, b, 256, once);
    nb_ggml_write(t, once, NULL, 256, b);
    nb_ggml_read(t, b, 256, twice);
    double first = 0, second = 0;
    for (int i = 0; i < 256; i++) first += pow((double)x[i] - once[i], 2), second += pow((double)once[i] - twice[i], 2);
    CHECK_MSG(second <= (t->id == NB_GGML_Q4_K ? 0.5 * first : 0), "%s: %g, %g again", t->name, first, second);
  }
}

TEST(zeros_one_value_and_large_weights) {
  for (uint32_t id = 0; id < 64; id++) {
    const nb_ggml_type *t = nb_ggml_find(id);
    if (!t || !t->write) continue;
    CHECK(nb_ggml_find_name(t->name) == t);
    float x[256] = {0}, y[256];
    uint8_t b[1024];
    nb_ggml_write(t, x, NULL, 256, b);
    nb_ggml_read(t, b, 256, y);
    for (int i = 0; i < 256; i++) CHECK(y[i] == 0);
    for (int i = 0; i < 256; i++) x[i] = -3;
    nb_ggml_write(t, x, NULL, 256, b);
    nb_ggml_read(t, b, 256, y);
    for (int i = 0; i < 256; i++) CHECK_MSG(fabsf(y[i] + 3) < 0.02f, "%s: %g", t->name, y[i]);
    if (t->block == 1) continue;
    for (int i = 0; i < 256; i++) x[i] = i % 2 ? 3e38f : -3e38f; /* far outside half floats: finite all the same */
    nb_ggml_write(t, x, NULL, 256, b);
    nb_ggml_read(t, b, 256, y);
    for (int i = 0; i < 256; i++) CHECK_MSG(isfinite(y[i]), "%s: %g", t->name, y[i]);
  }
}

TEST(scales_of_six_bits_pack_and_unpack) {
  uint8_t s[8], m[8], s2[8], m2[8], p[12];
  for (int k = 0; k < 100; k++) {
    for (int i = 0; i < 8; i++) s[i] = (uint8_t)((i * 7 + k * 13) & 63), m[i] = (uint8_t)((i * 11 + k * 29) & 63);
    nb_ggml_pack_scales(s, m, p);
    nb_ggml_unpack_scales(p, s2, m2);
    CHECK(!memcmp(s, s2, 8) && !memcmp(m, m2, 8));
  }
}

TEST(unknown_types) {
  CHECK(!nb_ggml_find(4) && !nb_ggml_find(999) && !nb_ggml_find_name("q9_z"));
  CHECK(nb_ggml_find(16) && !nb_ggml_find(16)->read);
}

int main(void) {
  seed = (unsigned)test_seed(1);
  RUN(every_type_reads_as_the_package_reads_it);
  RUN(writes_at_least_as_well_as_llama_cpp);
  RUN(importance_moves_the_error_to_where_it_counts_less);
  RUN(written_twice_is_the_same);
  RUN(zeros_one_value_and_large_weights);
  RUN(scales_of_six_bits_pack_and_unpack);
  RUN(unknown_types);
  return test_end();
}
