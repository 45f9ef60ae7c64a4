/* SPDX-License-Identifier: MIT */
/* A context: over several turns its tokens are those of a text run alone, with guesses and without, also after its
 * cache was saved and restored, grown, or left by a failure; and it has one cache that stays where it is. */
#include "test.h"

#include "base/cpu.h"
#include "formats/open.h"
#include "model/context.h"

#include <stdint.h>

static nb_err err;

/* What the rest cannot go on without. */
static void must(nb_status st) {
  if (st != NB_OK) printf("  %s\n", err.msg), exit(1);
}

typedef struct fixture {
  nb_opened opened;
  nb_model model;
  nb_session *s;
  atomic_int interrupt;
} fixture;

static void open_fixture(const char *variant, fixture *f) {
  char path[256];
  *f = (fixture){.interrupt = 0};
  snprintf(path, sizeof path, "tests/golden/model/%s", variant);
  must(nb_open(path, NB_OPEN_NO_TOKENIZER, 1, &f->opened, &err));
  f->model = f->opened.model;
  f->model.config.max_position = 512; /* the fixtures' few positions are only a limit */
  const nb_session_opts o = {
      .threads = 2, .max_tokens = 24, .cpu_features = nb_cpu_detect(), .interrupt = &f->interrupt};
  must(nb_session_create(&f->model.config, &o, &f->s, &err));
}

static void close_fixture(fixture *f) {
  nb_session_free(f->s);
  nb_opened_free(&f->opened);
}

static nb_context *context(const fixture *f, size_t capacity, nb_kv_type kv, nb_draft_mode draft) {
  const nb_context_opts o = {capacity, kv, draft};
  nb_context *c = NULL;
  must(nb_context_create(f->s, &f->model, &o, &c, &err));
  return c;
}

enum { ROOM = 400, NEW = 50, TURNS = 7 };

/* A text: what is asked, and then with the answer behind. */
typedef struct text {
  int32_t ids[ROOM];
  size_t n, stop_at; /* stop_at: the length that ends it; 0: none */
  atomic_int *interrupt_at_stop;
} text;

static bool take(void *ctx, int32_t id) {
  text *t = ctx;
  t->ids[t->n++] = id;
  if (t->n != t->stop_at) return true;
  if (t->interrupt_at_stop) *t->interrupt_at_stop = 1;
  return t->interrupt_at_stop != NULL;
}

static nb_generation_stats run(nb_context *c, text *t, size_t turn, size_t max_new) {
  const nb_generation g = {.sampling = {.temperature = turn % 2 ? 0.2 : 0, .top_p = 0.9, .seed = turn},
                           .max_new = max_new,
                           .ignore_eos = true,
                           .token = take,
                           .ctx = t};
  nb_generation_stats stats;
  must(nb_context_generate(c, t->ids, t->n, &g, &stats, &err));
  return stats;
}

/* The next turn: what was said and some more; the fourth forgets half of that, as one with other words does. */
static void say(text *t, size_t turn) {
  if (turn == 3) t->n /= 2;
  for (size_t i = 0; i < 9; i++) t->ids[t->n++] = (int32_t)((i % 4 * 17 + turn * (turn == 3) + 5) % 79);
  t->stop_at = turn == 2 ? t->n + 7 : 0;
}

static bool same(const text *a, const text *b) { return a->n == b->n && !memcmp(a->ids, b->ids, a->n * 4); }

/* ---- saving, in memory ---- */

typedef struct bytes {
  uint8_t p[1 << 20];
  size_t n;
} bytes;

static nb_status put(void *ctx, const void *data, size_t n, nb_err *e) {
  bytes *b = ctx;
  if (n > sizeof b->p - b->n) return nb_fail(e, NB_ERR_MEMORY, "too many bytes");
  memcpy(b->p + b->n, data, n), b->n += n;
  return NB_OK;
}

/* Puts what the context holds into a new one in its place. */
static nb_context *save_and_restore(const fixture *f, nb_context *c, nb_kv_type type, nb_draft_mode draft) {
  static bytes b;
  const nb_kv *kv = nb_context_cache(c);
  nb_context *to = context(f, nb_context_capacity(c), type, draft);
  nb_kv *made;
  size_t n;
  const int32_t *ids = nb_context_ids(c, &n);
  b.n = 0;
  must(nb_kv_save(kv, put, &b, &err));
  must(nb_kv_create(&f->model.config, nb_context_capacity(c), type, nb_kv_stretch(kv), &made, &err));
  must(nb_kv_restore(made, n, b.p, b.n, &err));
  must(nb_context_replace(to, made, ids, &err));
  nb_context_free(c);
  return to;
}

/* ---- turns ---- */

static void check_turns(const char *variant, fixture *f, nb_kv_type type) {
  const bool dynamic = f->model.config.rope_kind == NB_ROPE_DYNAMIC;
  const nb_draft_mode mode[] = {NB_DRAFT_NEVER, NB_DRAFT_ALWAYS, NB_DRAFT_WORTH};
  nb_context *c[3];
  nb_generation_stats sum[3] = {{0}};
  static text want, got[3];
  const nb_kv *stays[3] = {NULL};
  want.n = 0;
  for (size_t k = 0; k < 3; k++) c[k] = context(f, ROOM, type, mode[k]), got[k].n = 0;
  for (size_t turn = 0; turn < TURNS; turn++) {
    say(&want, turn);
    nb_context *alone = context(f, want.n + NEW, type, NB_DRAFT_NEVER);
    const size_t asked = want.n;
    run(alone, &want, turn, NEW);
    nb_context_free(alone);
    for (size_t k = 0; k < 3; k++) {
      size_t held;
      say(&got[k], turn);
      nb_generation_stats s = run(c[k], &got[k], turn, NEW);
      CHECK_MSG(same(&want, &got[k]), "%s, %s, mode %zu, turn %zu: another text", variant, nb_kv_type_name(type), k,
                turn);
      CHECK(s.prompt_tokens == asked && s.new_tokens == want.n - asked && s.taken <= s.drafted && !s.ended);
      CHECK(s.reused < asked && (dynamic || turn == 0) == !s.reused);
      const int32_t *ids = nb_context_ids(c[k], &held);
      CHECK(held == want.n - 1 && !memcmp(ids, want.ids, held * 4));
      CHECK(s.kv_bytes == nb_kv_bytes(nb_context_cache(c[k])) && nb_kv_length(nb_context_cache(c[k])) == held);
      if (!stays[k]) stays[k] = nb_context_cache(c[k]);
      CHECK(nb_context_cache(c[k]) == stays[k]); /* the one cache, from the first turn to the last */
      sum[k].drafted += s.drafted, sum[k].taken += s.taken;
      if (turn == 4 && !dynamic) c[k] = save_and_restore(f, c[k], type, mode[k]), stays[k] = nb_context_cache(c[k]);
    }
  }
  CHECK(!sum[0].drafted);
  CHECK_MSG(dynamic ? !sum[1].drafted : sum[1].taken > 5 && sum[1].taken < sum[1].drafted, "%s: %zu guesses, %zu right",
            variant, sum[1].drafted, sum[1].taken);
  for (size_t k = 0; k < 3; k++) {
    nb_context_clear(c[k]);
    size_t held = 9;
    nb_context_ids(c[k], &held);
    CHECK(held == 0 && !nb_context_cache(c[k]));
    nb_context_free(c[k]);
  }
}

TEST(turns_are_what_a_text_alone_is) {
  const char *const variants[] = {"mha_window", "gqa_f16", "longrope_su", "llama_dynamic"};
  for (size_t v = 0; v < 4; v++) {
    fixture f;
    open_fixture(variants[v], &f);
    for (int type = 0; type < NB_KV_TYPES; type++) check_turns(variants[v], &f, (nb_kv_type)type);
    close_fixture(&f);
  }
}

/* An interrupt ends a turn with what was run, also between tokens that one pass brought; the next turn goes on. */
TEST(interrupted) {
  fixture f;
  open_fixture("gqa_f16", &f);
  static text want, got;
  nb_context *alone = context(&f, ROOM, NB_KV_Q8, NB_DRAFT_NEVER);
  want.n = 0;
  say(&want, 0);
  const size_t asked = want.n;
  run(alone, &want, 0, 100);
  nb_context_free(alone);
  for (size_t at = asked + 1; at < want.n; at += 3)
    for (int draft = NB_DRAFT_NEVER; draft <= NB_DRAFT_ALWAYS; draft++) {
      nb_context *c = context(&f, ROOM, NB_KV_Q8, (nb_draft_mode)draft);
      got = (text){.interrupt_at_stop = &f.interrupt};
      say(&got, 0);
      got.stop_at = at;
      const nb_generation g = {.max_new = 100, .ignore_eos = true, .token = take, .ctx = &got};
      nb_generation_stats s;
      CHECK(nb_context_generate(c, got.ids, got.n, &g, &s, &err) == NB_ERR_INTERRUPTED);
      CHECK_MSG(got.n == at, "%zu tokens, and the interrupt came at %zu", got.n, at);
      size_t held;
      const int32_t *ids = nb_context_ids(c, &held);
      CHECK(held >= at - 1 && held <= at && !memcmp(ids, want.ids, held * 4) && s.kv_bytes > 0);
      CHECK(nb_context_generate(c, got.ids, got.n, &g, &s, &err) == NB_ERR_INTERRUPTED && s.reused == at - 1);
      f.interrupt = 0;
      got.stop_at = 0;
      s = run(c, &got, 0, want.n - at);
      CHECK(same(&want, &got) && s.reused == at - 1);
      nb_context_free(c);
    }
  close_fixture(&f);
}

static bool at_once(void *ctx) { return ++*(int *)ctx > 3; }

/* Asked to stop within a long prompt: no token comes, and what was run stays. */
TEST(stopped_in_the_prompt) {
  fixture f;
  open_fixture("mha_window", &f);
  nb_context *c = context(&f, ROOM, NB_KV_F16, NB_DRAFT_WORTH);
  int32_t ids[200];
  int asked = 0;
  for (int i = 0; i < 200; i++) ids[i] = i * i % 79;
  nb_generation g = {.max_new = 5, .stop = at_once, .ctx = &asked};
  nb_generation_stats s;
  size_t held;
  CHECK_OK(nb_context_generate(c, ids, 200, &g, &s, &err));
  nb_context_ids(c, &held);
  CHECK(s.new_tokens == 0 && !s.ended && held == 72); /* three passes of 24 */
  g.stop = NULL;
  CHECK_OK(nb_context_generate(c, ids, 200, &g, &s, &err));
  CHECK(s.reused == 72);
  nb_context_free(c);
  close_fixture(&f);
}

TEST(grows_and_refuses) {
  fixture f;
  open_fixture("gqa_f16", &f);
  nb_context *c = context(&f, 30, NB_KV_Q16, NB_DRAFT_ALWAYS), *none = NULL;
  static text want, got;
  nb_generation_stats s;
  want.n = got.n = 0;
  for (size_t turn = 0; turn < 6; turn++) {
    say(&want, turn), say(&got, turn);
    const size_t need = want.n + 20;
    nb_context *alone = context(&f, need, NB_KV_Q16, NB_DRAFT_NEVER);
    run(alone, &want, turn, 20);
    nb_context_free(alone);
    const nb_generation g = {.max_new = 20};
    if (need > nb_context_capacity(c)) {
      CHECK(nb_context_generate(c, got.ids, got.n, &g, &s, &err) == NB_ERR_ARG);
      CHECK_MSG(strstr(err.msg, "do not fit the context's"), "%s", err.msg);
    }
    CHECK_OK(nb_context_grow(c, need, &err));
    CHECK(nb_context_capacity(c) >= need);
    s = run(c, &got, turn, 20);
    CHECK(same(&want, &got) && (turn == 0) == !s.reused);
  }
  CHECK(nb_context_grow(c, 513, &err) == NB_ERR_ARG);
  CHECK(nb_context_generate(c, got.ids, got.n, &(nb_generation){.max_new = 0}, &s, &err) == NB_ERR_ARG);
  got.ids[1] = 1 << 20;
  CHECK(nb_context_generate(c, got.ids, 3, &(nb_generation){.max_new = 1}, &s, &err) == NB_ERR_ARG);
  const nb_context_opts few = {.capacity = 1}, many = {.capacity = 513};
  CHECK(nb_context_create(f.s, &f.model, &few, &none, &err) == NB_ERR_ARG && !none);
  CHECK(nb_context_create(f.s, &f.model, &many, &none, &err) == NB_ERR_ARG && !none);
  /* A cache of another size or type is not taken. */
  nb_kv *kv;
  CHECK_OK(nb_kv_create(&f.model.config, 40, NB_KV_Q16, 0, &kv, &err));
  CHECK(nb_context_replace(c, kv, got.ids, &err) == NB_ERR_ARG && !nb_context_cache(c));
  nb_context_free(c);
  nb_context_free(NULL);
  close_fixture(&f);
}

int main(void) {
  RUN(turns_are_what_a_text_alone_is);
  RUN(interrupted);
  RUN(stopped_in_the_prompt);
  RUN(grows_and_refuses);
  return test_end();
}
