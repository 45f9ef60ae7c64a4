/* SPDX-License-Identifier: MIT */
/* The forward pass against transformers' logits and greedy continuations (tests/golden/model), and its invariances: the
 * same bits for any batch split, thread count, instruction set and shared prefix. */
#include "test.h"

#include "base/cpu.h"
#include "model/context.h"
#include "formats/hf_config.h"
#include "base/mem.h"
#include "model/model.h"
#include "formats/mapfile.h"
#include "formats/open.h"

#include <dirent.h>
#include <float.h>
#include <stdint.h>

typedef struct fixture {
  nb_opened opened;
  nb_model model; /* opened's, or with the other form of its configuration */
} fixture;

static nb_err err;

static int open_fixture(const char *variant, const char *config, fixture *f) {
  char path[256];
  memset(f, 0, sizeof *f);
  char *json;
  size_t n;
  snprintf(path, sizeof path, "tests/golden/model/%s/%s", variant, config);
  if (nb_mapfile_read(path, 1 << 20, &json, &n, &err) != NB_OK) return 0;
  nb_status parsed = nb_hf_config_parse(json, n, path, &f->model.config, &err);
  free(json);
  snprintf(path, sizeof path, "tests/golden/model/%s", variant);
  if (parsed != NB_OK || nb_open(path, NB_OPEN_NO_TOKENIZER, 1, &f->opened, &err) != NB_OK) return 0;
  f->model.config.tie_embeddings = f->opened.model.config.tie_embeddings; /* by what is stored */
  f->model.weights = f->opened.model.weights;
  return 1;
}

static void close_fixture(fixture *f) { nb_opened_free(&f->opened); }

static nb_session *session(const fixture *f, int threads, size_t max_tokens, unsigned features) {
  nb_session *s = NULL;
  nb_session_opts o = {.threads = threads, .max_tokens = max_tokens, .cpu_features = features};
  if (nb_session_create(&f->model.config, &o, &s, &err) != NB_OK) printf("  %s\n", err.msg);
  return s;
}

static uint8_t *read_expect(const char *variant) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/model/%s/expect.bin", variant);
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  long n = ftell(f);
  rewind(f);
  uint8_t *p = malloc((size_t)n);
  if (fread(p, 1, (size_t)n, f) != (size_t)n || memcmp(p, "NBGOLD01", 8)) free(p), p = NULL;
  fclose(f);
  return p;
}

static uint32_t u32(const uint8_t **p) {
  uint32_t v;
  memcpy(&v, *p, 4);
  *p += 4;
  return v;
}

/* Relative to the logits' spread: 2 to 3 layers of float sums in another order than the reference's. */
static const double BOUND = 1e-4;

/* All hidden states of a sequence's logits, in batches of max_tokens. */
static int run_logits(nb_session *s, const fixture *f, const int32_t *ids, size_t T, float *logits) {
  nb_kv *kv;
  size_t V = f->model.config.vocab, step = nb_session_max_tokens(s);
  if (nb_kv_create(&f->model.config, T, NB_KV_F32, nb_config_stretch(&f->model.config, T), &kv, &err) != NB_OK)
    return 0;
  int ok = 1;
  for (size_t i = 0; i < T && ok; i += step) {
    size_t n = nb_min(step, T - i);
    ok = nb_session_prefill(s, &f->model, kv, ids + i, n, &err) == NB_OK;
    for (size_t r = 0; r < n && ok; r++) nb_session_logits(s, &f->model, &r, 1, logits + (i + r) * V);
  }
  nb_kv_free(kv);
  return ok;
}

static void check_logits(const fixture *f, nb_session *s, const uint8_t *p) {
  p += 8;
  size_t V = u32(&p), S = u32(&p);
  u32(&p);
  for (size_t i = 0; i < S; i++) {
    size_t T = u32(&p), R = u32(&p);
    const int32_t *ids = (const int32_t *)(const void *)p;
    const uint32_t *rows = (const uint32_t *)(const void *)(p + 4 * T);
    const float *want = (const float *)(const void *)(p + 4 * (T + R));
    float *got = malloc(T * V * sizeof *got);
    CHECK_MSG(run_logits(s, f, ids, T, got), "%s", err.msg);
    double worst = 0, spread = 0;
    for (size_t r = 0; r < R; r++)
      for (size_t v = 0; v < V; v++) {
        float w = want[r * V + v], g = got[rows[r] * V + v];
        if (w == -FLT_MAX || g == -FLT_MAX) CHECK(w == g); /* ids that are masked */
        worst = fmax(worst, fabs((double)g - w));
        if (w != -FLT_MAX) spread = fmax(spread, fabs((double)w));
      }
    CHECK_MSG(worst <= BOUND * spread, "sequence of %zu: logits differ by %g (largest logit %g)", T, worst, spread);
    free(got);
    p += 4 * (T + R + R * V);
  }
}

typedef struct collect {
  int32_t ids[512];
  size_t n;
} collect;

static bool add_token(void *ctx, int32_t id) {
  collect *c = ctx;
  c->ids[c->n++] = id;
  return c->n < 512;
}

static void check_greedy(const fixture *f, nb_session *s, const uint8_t *p) {
  p += 8;
  size_t V = u32(&p), S = u32(&p), G = u32(&p);
  for (size_t i = 0; i < S; i++) {
    size_t T = u32(&p), R = u32(&p);
    p += 4 * (T + R + R * V);
  }
  CHECK(G > 0);
  for (size_t i = 0; i < G; i++) {
    size_t P = u32(&p), N = u32(&p);
    const int32_t *prompt = (const int32_t *)(const void *)p, *want = prompt + P;
    collect c = {.n = 0};
    nb_context *context;
    nb_generation_stats took;
    const nb_generation g = {.max_new = N, .ignore_eos = true, .token = add_token, .ctx = &c};
    const nb_context_opts o = {.capacity = P + N};
    CHECK_OK(nb_context_create(s, &f->model, &o, &context, &err));
    CHECK_OK(nb_context_generate(context, prompt, P, &g, &took, &err));
    nb_context_free(context);
    CHECK_MSG(c.n == N && memcmp(c.ids, want, 4 * N) == 0, "greedy continuation %zu of %zu tokens differs", i, P);
    p += 4 * (P + N);
  }
}

static void check_variant(const char *variant, const char *config,
                          void (*check)(const fixture *, nb_session *, const uint8_t *)) {
  fixture f;
  int opened = open_fixture(variant, config, &f), before = test_bad;
  CHECK_MSG(opened, "%s: %s", variant, err.msg);
  if (!opened) return;
  uint8_t *expect = read_expect(variant);
  nb_session *s = session(&f, 2, 16, nb_cpu_detect());
  CHECK(expect && s);
  if (expect && s) check(&f, s, expect);
  if (test_bad > before) printf("  in variant %s\n", variant);
  nb_session_free(s);
  free(expect);
  close_fixture(&f);
}

static int is_variant(const struct dirent *e) { return e->d_name[0] != '.'; }

/* Every folder of tests/golden/model. */
static void each_variant(const char *config, void (*check)(const fixture *, nb_session *, const uint8_t *)) {
  struct dirent **variants = NULL;
  int n = scandir("tests/golden/model", &variants, is_variant, alphasort);
  CHECK(n > 0);
  for (int i = 0; i < n; i++) {
    /* transformers knows only one form of phi-3-small's */
    bool one_form = !strncmp(variants[i]->d_name, "phi3small", 9);
    if (!one_form || !strcmp(config, "config.json")) check_variant(variants[i]->d_name, config, check);
    free(variants[i]);
  }
  free(variants);
}

TEST(logits_equal_transformers) { each_variant("config.json", check_logits); }
TEST(logits_equal_with_the_other_config_form) { each_variant("config.other.json", check_logits); }
TEST(greedy_equals_transformers) { each_variant("config.json", check_greedy); }

/* One reference run against a run in other batches, threads, and with another instruction set. */
static void check_same_bits(const fixture *f, nb_session *s, const uint8_t *p) {
  p += 8;
  size_t V = u32(&p);
  u32(&p), u32(&p);
  size_t T = u32(&p);
  u32(&p);
  const int32_t *ids = (const int32_t *)(const void *)p;
  float *a = malloc(T * V * sizeof *a), *b = malloc(T * V * sizeof *b);
  CHECK_MSG(run_logits(s, f, ids, T, a), "%s", err.msg);
  const struct {
    int threads;
    size_t max_tokens;
    unsigned mask;
  } other[] = {{1, 512, ~0u}, {3, 1, ~0u}, {2, 5, NB_CPU_AVX2}, {1, 7, 0}};
  for (size_t i = 0; i < 4; i++) {
    nb_session *t = session(f, other[i].threads, other[i].max_tokens, nb_cpu_detect() & other[i].mask);
    CHECK_MSG(run_logits(t, f, ids, T, b), "%s", err.msg);
    CHECK_MSG(memcmp(a, b, T * V * sizeof *a) == 0, "other bits with %d threads, batches of %zu, kernels %s",
              other[i].threads, other[i].max_tokens, nb_session_kernels(t)->name);
    nb_session_free(t);
  }
  free(a), free(b);
}
TEST(bits_do_not_depend_on_the_split) { each_variant("config.json", check_same_bits); }

/* Two questions after a shared prefix, in one batch, against the same two run whole and alone. */
TEST(forks_equal_whole_runs) {
  fixture f;
  CHECK_MSG(open_fixture("mha_window", "config.json", &f), "%s", err.msg);
  nb_session *s = session(&f, 2, 128, nb_cpu_detect());
  enum { P = NB_KV_BLOCK + 9, N = 9 };
  size_t D = f.model.config.hidden;
  for (int type = NB_KV_F32; type < NB_KV_TYPES; type++) {
    int32_t ids[2][P + N];
    for (int q = 0; q < 2; q++)
      for (int i = 0; i < P + N; i++) ids[q][i] = (i * 37 + (i >= P) * q * 11 + 5) % 131;
    nb_kv *parent, *kv[2];
    float *whole = malloc(2 * N * D * sizeof *whole);
    for (int q = 0; q < 2; q++) {
      CHECK_OK(nb_kv_create(&f.model.config, P + N, (nb_kv_type)type, 0, &kv[q], &err));
      CHECK_OK(nb_session_prefill(s, &f.model, kv[q], ids[q], P + N, &err));
      memcpy(whole + q * N * D, nb_session_hidden(s) + P * D, N * D * sizeof *whole);
      nb_kv_free(kv[q]);
    }
    CHECK_OK(nb_kv_create(&f.model.config, P + 5, (nb_kv_type)type, 0, &parent, &err));
    CHECK_OK(nb_session_prefill(s, &f.model, parent, ids[0], P, &err));
    nb_segment seg[2];
    for (int q = 0; q < 2; q++) {
      CHECK_OK(nb_kv_fork(parent, P, P + N, &kv[q], &err));
      seg[q] = (nb_segment){kv[q], ids[q] + P, N};
    }
    CHECK_OK(nb_session_forward(s, &f.model, seg, 2, &err));
    CHECK(memcmp(whole, nb_session_hidden(s), 2 * N * D * sizeof *whole) == 0);
    CHECK(nb_kv_bytes(kv[0]) < nb_kv_bytes(parent) && nb_kv_length(kv[0]) == P + N);
    for (int q = 0; q < 2; q++) nb_kv_free(kv[q]);
    nb_kv_free(parent);
    free(whole);
  }
  nb_session_free(s);
  close_fixture(&f);
}

/* What a checkpoint may hold: a tensor that is not used would change the model. */
TEST(names_of_tensors) {
  nb_config c = {
      .layers = 12, .hidden = 8, .ffn = 8, .heads = 1, .kv_heads = 1, .head_dim = 8, .vocab = 8, .gated = true};
  const nb_arch *phi3 = nb_arch_find("Phi3ForCausalLM");
  nb_parts parts;
  CHECK_OK(nb_parts_create(&c, &parts, &err));
  const char *const known[] = {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight",
                               "model.layers.0.input_layernorm.weight", "model.layers.11.mlp.down_proj.weight"};
  const char *const unknown[] = {"",
                                 "weight",
                                 "model.norm.bias",
                                 "model.norm.weight2",
                                 "model.layers.12.mlp.down_proj.weight",
                                 "model.layers.01.mlp.down_proj.weight",
                                 "model.layers.0.mlp.down_proj.bias",
                                 "model.layers.0.mlp.down_proj",
                                 "model.layers.99999999999999999999.input_layernorm.weight",
                                 "x.model.layers.0.mlp.down_proj.weight",
                                 "model.layers.0.self_attn.q_norm.weight"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    CHECK_MSG(nb_arch_knows(phi3, &c, &parts, known[i]), "%s", known[i]);
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
    CHECK_MSG(!nb_arch_knows(phi3, &c, &parts, unknown[i]), "%s", unknown[i]);
  nb_parts_free(&parts);
}

TEST(arguments_are_checked) {
  fixture f;
  CHECK_MSG(open_fixture("longrope_su", "config.json", &f), "%s", err.msg);
  nb_session *s = session(&f, 1, 8, nb_cpu_detect());
  nb_kv *kv;
  CHECK_OK(nb_kv_create(&f.model.config, 64, NB_KV_F16, 0, &kv, &err));
  int32_t ids[64] = {0};
  nb_segment seg = {kv, ids, 9};
  CHECK(nb_session_forward(s, &f.model, &seg, 1, &err) == NB_ERR_ARG);
  seg.n = 1, ids[0] = -1;
  CHECK(nb_session_forward(s, &f.model, &seg, 1, &err) == NB_ERR_ARG && strstr(err.msg, "-1"));
  ids[0] = (int32_t)f.model.config.vocab;
  CHECK(nb_session_forward(s, &f.model, &seg, 1, &err) == NB_ERR_ARG);
  ids[0] = 0;
  CHECK(nb_session_prefill(s, &f.model, kv, ids, 33, &err) == NB_ERR_ARG && strstr(err.msg, "rope"));
  nb_kv_free(kv);
  nb_session_free(s);
  close_fixture(&f);
}

int main(void) {
  RUN(logits_equal_transformers);
  RUN(logits_equal_with_the_other_config_form);
  RUN(greedy_equals_transformers);
  RUN(bits_do_not_depend_on_the_split);
  RUN(forks_equal_whole_runs);
  RUN(names_of_tensors);
  RUN(arguments_are_checked);
  return test_end();
}
