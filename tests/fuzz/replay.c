/* SPDX-License-Identifier: MIT */
/* Runs one fuzz target without a fuzzer: over every file of tests/fuzz/corpus/<target>, over a fixed number of
 * mutations of each, and over short inputs made from nothing. The same inputs on every machine (but for $NB_SEED).
 * usage: replay_<target> [CORPUS_DIR]   (default: tests/fuzz/corpus/<name of this program>) */
#include "tests/seed.h"

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MUTATIONS = 400, SCRATCH = 300, MAX_BYTES = 1 << 20 };

static uint64_t state;

/* Where we are, for the message after a crash: the corpus file and the mutation's number. */
static const char *current = "made from nothing";
static size_t current_mutation;

static void on_crash(int sig) {
  printf("crashed (signal %d) on: %s, mutation %zu\n", sig, current, current_mutation);
  fflush(stdout);
  signal(sig, SIG_DFL);
  raise(sig);
}

static uint64_t next(uint64_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return below ? state % below : 0;
}

/* The target sees an exact-size heap copy, so that a sanitizer catches a read past the end. */
static void run(const uint8_t *data, size_t n) {
  uint8_t *copy = malloc(n ? n : 1);
  if (!copy) exit(1);
  if (n) memcpy(copy, data, n);
  LLVMFuzzerTestOneInput(copy, n);
  free(copy);
}

static void put_u64(uint8_t *at, size_t room, uint64_t v) {
  for (size_t i = 0; i < 8 && i < room; i++) at[i] = (uint8_t)(v >> (8 * i));
}

/* One small change of the kinds that find parser bugs; returns the new length, at most 64 more. */
static size_t mutate(uint8_t *buf, size_t n) {
  static const uint64_t nasty[] = {0,
                                   1,
                                   0x7F,
                                   0x80,
                                   0xFF,
                                   0x7FFF,
                                   0xFFFF,
                                   0x7FFFFFFF,
                                   0xFFFFFFFF,
                                   0x100000000,
                                   0x7FFFFFFFFFFFFFFF,
                                   0xFFFFFFFFFFFFFFFF,
                                   0xFFFFFFFFFFFFFFC0};
  if (n == 0) return 0;
  size_t at = next(n), len = next(n - at < 64 ? n - at : 64) + 1;
  switch (next(8)) {
  case 0: buf[at] ^= (uint8_t)(1u << next(8)); return n;
  case 1: buf[at] = (uint8_t)next(256); return n;
  case 2: return at; /* cut short */
  case 3: put_u64(buf + at, n - at, nasty[next(sizeof nasty / sizeof *nasty)]); return n;
  case 4: memmove(buf + at, buf + at + len, n - at - len); return n - len;
  case 5: memmove(buf + at + len, buf + at, n - at); return n + len; /* repeats a piece */
  case 6: memset(buf + at, (int)next(256), len); return n;
  default: memmove(buf + next(n - len + 1), buf + at, len); return n;
  }
}

static uint8_t *read_file(const char *dir, const char *name, size_t *n) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "rb");
  uint8_t *data = malloc(MAX_BYTES);
  if (!f || !data) {
    printf("cannot read %s\n", path);
    exit(1);
  }
  *n = fread(data, 1, MAX_BYTES, f);
  fclose(f);
  return data;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static size_t list_files(const char *dir, char ***names) {
  size_t n = 0;
  DIR *d = opendir(dir);
  *names = calloc(10000, sizeof **names);
  for (struct dirent *e; d && *names && n < 10000 && (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    size_t len = strlen(e->d_name) + 1;
    if (((*names)[n] = malloc(len))) memcpy((*names)[n++], e->d_name, len);
  }
  if (d) closedir(d);
  if (n) qsort(*names, n, sizeof **names, by_name);
  return n;
}

int main(int argc, char **argv) {
  char dir[4096];
  state = test_seed(88172645463325252u);
  const char *base = strrchr(argv[0], '/');
  if (argc > 1) snprintf(dir, sizeof dir, "%s", argv[1]);
  else snprintf(dir, sizeof dir, "tests/fuzz/corpus/%s", base ? base + 1 : argv[0]);
  signal(SIGABRT, on_crash), signal(SIGSEGV, on_crash), signal(SIGFPE, on_crash);
  char **names;
  size_t n_files = list_files(dir, &names), inputs = 0;
  run((const uint8_t *)"", 0);
  for (int i = 0; i < SCRATCH; i++, inputs++) {
    uint8_t small[64];
    size_t n = next(sizeof small + 1);
    for (size_t k = 0; k < n; k++) small[k] = next(3) ? (uint8_t) " {}[]\",:0123abc\n"[next(16)] : (uint8_t)next(256);
    current_mutation = (size_t)i;
    run(small, n);
  }
  for (size_t f = 0; f < n_files; f++) {
    size_t n;
    uint8_t *seed = read_file(dir, names[f], &n), *buf = malloc(n + 1024);
    current = names[f], current_mutation = 0;
    run(seed, n), inputs++;
    /* Large seeds get fewer mutations, so that the whole stays within seconds. */
    size_t times = n > 65536 ? MUTATIONS / 8 : MUTATIONS;
    for (size_t m = 0; buf && m < times; m++, inputs++) {
      size_t len = n;
      current_mutation = m + 1;
      if (n) memcpy(buf, seed, n);
      for (uint64_t k = next(4) + 1; k > 0; k--) len = mutate(buf, len);
      run(buf, len);
    }
    free(seed), free(buf), free(names[f]);
  }
  free(names);
  printf("ok %zu inputs from %zu corpus files\n", inputs, n_files);
  printf("1 passed, 0 failed, 0 skipped\n");
  return 0;
}
