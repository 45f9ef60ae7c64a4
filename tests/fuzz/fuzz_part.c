/* SPDX-License-Identifier: MIT */
/* What may stand in FILE.part behind its header. Every matrix that is found there lies inside it and is found again;
 * what is added after it, too. Odd inputs have their records' hashes made right, which no fuzzer would guess. */
#include "convert/quantize.h"
#include "convert/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MATRICES = 9, HEADER = 8 + 16 + 8 + 27 * MATRICES + 8, HEAD = 48 };

static const uint8_t signature[16] = "a fuzzed run";

static uint64_t get(const char *p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v |= (uint64_t)(uint8_t)p[i] << 8 * i;
  return v;
}

/* The whole file: its header as a run begins it, and the input. */
static size_t make_file(const char *part, const uint8_t *data, size_t n) {
  char *bytes = malloc(HEADER + n + 1);
  FILE *f = fopen(part, "rb");
  if (!bytes || !f || fread(bytes, 1, HEADER, f) != HEADER) abort();
  fclose(f);
  if (n) memcpy(bytes + HEADER, data, n);
  uint64_t seed = get(bytes + HEADER - 8);
  for (size_t at = HEADER; n % 2 && at + HEAD + 8 <= HEADER + n;) {
    uint64_t size = get(bytes + at + 16);
    if (size > HEADER + n - at - HEAD - 8) break;
    uint64_t hash = XXH3_64bits_withSeed(bytes + at, HEAD, XXH3_64bits_withSeed(bytes + at + HEAD, size, seed));
    for (int i = 0; i < 8; i++) bytes[at + HEAD + size + (size_t)i] = (char)(hash >> 8 * i);
    at += HEAD + size + 8;
  }
  f = fopen(part, "wb");
  if (!f || fwrite(bytes, 1, HEADER + n, f) != HEADER + n || fclose(f)) abort();
  free(bytes);
  return HEADER + n;
}

/* The sum of what is found, read. */
static size_t read_all(const nb_resume *r) {
  size_t found = 0;
  for (size_t i = 0; i < MATRICES; i++)
    for (size_t size = 0; size < 256; size++) {
      const uint8_t *p = nb_resume_find(r, i, size);
      if (!p) continue;
      found++;
      (void)XXH3_64bits(p, size);
    }
  return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  char dir[] = "/tmp/nibble-fuzz-part.XXXXXX", path[64], part[72];
  nb_qfmt formats[MATRICES] = {{0}};
  double numbers[3 * MATRICES] = {0};
  nb_quantize_choice choice = {numbers, numbers + MATRICES, numbers + 2 * MATRICES};
  nb_resume *r;
  size_t before = 0;
  nb_err err;
  if (n > 1 << 16 || !mkdtemp(dir)) return 0;
  snprintf(path, sizeof path, "%s/x", dir);
  snprintf(part, sizeof part, "%s.part", path);
  for (int pass = 0; pass < 3; pass++) {
    bool found;
    if (nb_resume_lock(path, &r, &err) != NB_OK) abort();
    if (nb_resume_read(r, signature, MATRICES, formats, &choice, &found, &err) != NB_OK) abort();
    if (found != (pass > 0) || nb_resume_begin(r, formats, &choice, &err) != NB_OK) abort();
    if (pass == 1) {
      before = nb_resume_count(r);
      if (read_all(r) > before) abort();
      for (size_t i = 0; i < MATRICES; i++) {
        nb_quantized q = {.matrix = i, .data = "abc", .n_bytes = 3, .loss = 0.5};
        if (nb_resume_put(r, &q, &err) != NB_OK) abort();
      }
    }
    if (pass == 2 && (nb_resume_count(r) != MATRICES || read_all(r) < MATRICES - before)) abort();
    nb_resume_close(r, pass == 2);
    if (pass == 0) make_file(part, data, n);
  }
  rmdir(dir);
  return 0;
}
