/* SPDX-License-Identifier: MIT */
/* Every kernel of every table that this machine allows, against the plain C one, bit by bit; and the plain C one
 * against double precision. usage: check_kernels [--seed N] [--rounds N] [--isa NAME] [--test NAME] [--bench] */
#include "check.h"

#include "base/cpu.h"
#include "seed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t rnd(check *c) {
  c->rng ^= c->rng << 13, c->rng ^= c->rng >> 7, c->rng ^= c->rng << 17;
  return c->rng * 0x2545f4914f6cdd1du;
}
size_t rnd_below(check *c, size_t n) { return (size_t)(rnd(c) >> 33) % n; }
size_t rnd_of(check *c, const size_t *a, size_t n) { return a[rnd_below(c, n)]; }
float rnd_unit(check *c) { return (float)((double)(rnd(c) >> 11) * 0x1p-52 - 1); }

void rnd_floats(check *c, float *x, size_t n, int kind) {
  for (size_t i = 0; i < n; i++) {
    x[i] = rnd_unit(c);
    if (kind == F_WIDE) x[i] = ldexpf(x[i], (int)rnd_below(c, 121) - 60);
    if (kind == F_TINY) x[i] = ldexpf(x[i], -(int)rnd_below(c, 150));
    if (kind == F_ZERO && rnd_below(c, 4)) x[i] = rnd_below(c, 2) ? 0.0f : -0.0f;
  }
}

enum { PATTERN = 0xa5 };

void *buffer(check *c, size_t n) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), body = nb_round_up(n ? n : 1, page), all = body + 2 * page;
  if (c->n_maps == sizeof c->map / sizeof *c->map) abort();
  uint8_t *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p, page, PROT_NONE) || mprotect(p + page + body, page, PROT_NONE)) {
    perror("mmap");
    exit(1);
  }
  c->map[c->n_maps] = p, c->map_bytes[c->n_maps++] = all;
  memset(p + page, PATTERN, body);
  return p + page + (c->at_end ? body - n : 0);
}
float *floats(check *c, size_t n) { return buffer(c, n * sizeof(float)); }

bool untouched(const void *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((const uint8_t *)p)[i] != PATTERN) return false;
  return true;
}

void that(check *c, bool ok, const char *what) {
  if (ok || c->failed) return;
  c->failed = true;
  printf("  %s: %s: %s\n", c->k->name, c->what, what);
}

void same_floats(check *c, const float *want, const float *got, size_t n) {
  for (size_t i = 0; i < n && !c->failed; i++) {
    if (memcmp(want + i, got + i, sizeof *want) == 0 || (isnan(want[i]) && isnan(got[i]))) continue;
    c->failed = true;
    printf("  %s: %s: element %zu is %a, not %a\n", c->k->name, c->what, i, (double)got[i], (double)want[i]);
  }
}
void same_bytes(check *c, const void *want, const void *got, size_t n) {
  const uint8_t *a = want, *b = got;
  for (size_t i = 0; i < n && !c->failed; i++)
    if (a[i] != b[i]) {
      c->failed = true;
      printf("  %s: %s: byte %zu is %d, not %d\n", c->k->name, c->what, i, b[i], a[i]);
    }
}
void near(check *c, double want, double got, double bound) {
  if (c->failed || (isnan(want) && isnan(got)) || fabs(want - got) <= bound) return;
  c->failed = true;
  printf("  %s: %s: %.9g is not within %.3g of %.9g\n", c->k->name, c->what, got, bound, want);
}

static const struct {
  const char *name;
  void (*run)(check *c);
  unsigned rounds; /* of 100 */
} tests[] = {
    {"exp", test_exp, 4},
    {"quantize_q8", test_quantize_q8, 100},
    {"linear_q8", test_linear_q8, 300},
    {"linear_float", test_linear_float, 100},
    {"linear_float of blocks", test_linear_blocks, 60},
    {"gemm", test_gemm, 100},
    {"gram", test_gram, 60},
    {"gram_nan", test_gram_nan, 10},
    {"attention", test_attention, 200},
    {"attention_nan", test_attention_nan, 20},
    {"kv_store", test_kv_store, 50},
    {"rmsnorm", test_rmsnorm, 50},
    {"rope", test_rope, 50},
    {"hadamard", test_hadamard, 50},
    {"activate", test_activate, 100},
    {"softcap", test_softcap, 30},
    {"layernorm", test_layernorm, 50},
    {"add", test_add, 20},
    {"logsumexp", test_logsumexp, 50},
    {"quant_fit", test_quant_fit, 50},
    {"trellis_path", test_trellis_path, 200},
    {"nan", test_nan, 20},
};
enum { N_TESTS = sizeof tests / sizeof *tests };

typedef struct options {
  uint64_t seed;
  unsigned rounds;
  const char *isa, *test;
  bool bench;
} options;

static unsigned passed, failed, skipped;

static void run_table(const options *o, const nb_kernels *ref, const nb_kernels *k) {
  for (size_t i = 0; i < N_TESTS; i++) {
    if (o->test && strcmp(o->test, tests[i].name) != 0) continue;
    unsigned rounds = nb_max(1, tests[i].rounds * o->rounds / 100);
    bool ok = true;
    for (unsigned r = 0; r < rounds && ok; r++) {
      check c = {.ref = ref, .k = k, .at_end = r % 2 == 0};
      c.rng = (o->seed * 1000003 + i) * 1000003 + r + 1;
      for (int j = 0; j < 10; j++) rnd(&c);
      snprintf(c.what, sizeof c.what, "%s", tests[i].name);
      tests[i].run(&c);
      for (size_t m = 0; m < c.n_maps; m++) munmap(c.map[m], c.map_bytes[m]);
      ok = !c.failed;
    }
    printf("%s %s %s (%u cases)\n", ok ? "ok" : "FAIL", k->name, tests[i].name, rounds);
    fflush(stdout);
    if (ok) passed++;
    else failed++;
  }
}

void nb_kernels_avxvnni_evex(nb_kernels *k);

/* The tables of this machine, and AVX-VNNI's code in AVX-512's encoding where only that runs. */
static size_t tables(nb_kernels out[9]) {
  unsigned features = nb_cpu_detect();
  size_t n = nb_kernels_all(features, out);
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (features & NB_CPU_AVX512VNNI && !(features & NB_CPU_AVXVNNI)) {
    out[n] = out[1];
    nb_kernels_avxvnni_evex(&out[n++]);
  }
#endif
  return n;
}

static int usage(void) {
  fprintf(stderr, "usage: check_kernels [--seed N] [--rounds N] [--isa NAME] [--test NAME] [--bench]\n");
  return 2;
}

int main(int argc, char **argv) {
  options o = {.seed = test_seed(1), .rounds = 100};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--bench") == 0) o.bench = true;
    else if (i + 1 == argc) return usage();
    else if (strcmp(argv[i], "--seed") == 0) o.seed = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--rounds") == 0) o.rounds = (unsigned)strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--isa") == 0) o.isa = argv[++i];
    else if (strcmp(argv[i], "--test") == 0) o.test = argv[++i];
    else return usage();
  }
#if defined(__aarch64__)
  static const char *const known[] = {"ref", "neon", "neon_dotprod", "neon_i8mm"};
#elif defined(__wasm__)
  static const char *const known[] = {"ref", "simd128"};
#else
  static const char *const known[] = {"ref", "avx2", "avxvnni", "avx512", "avx512vnni", "amxint8"};
#endif
  nb_kernels all[9];
  size_t n = tables(all);
  for (size_t j = 0; j < sizeof known / sizeof *known; j++) {
    if (o.isa && strcmp(o.isa, known[j]) != 0) continue;
    const nb_kernels *k = NULL;
    for (size_t i = 0; i < n; i++)
      if (strcmp(all[i].name, known[j]) == 0) k = &all[i];
    if (!k) printf("SKIP %s: not on this machine\n", known[j]), skipped++;
    else if (o.bench) bench(k), passed++;
    else run_table(&o, &all[0], k);
  }
  if (failed) printf("seed %" PRIu64 "\n", o.seed);
  printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
  return failed != 0 || passed == 0;
}
