/* SPDX-License-Identifier: MIT */
/* Continuous batching: the tokens of a sequence are those that transformers and a run alone give, whatever else runs,
 * arrives, is cancelled or has to give way. */
#include "test.h"

#include "base/cpu.h"
#include "formats/open.h"
#include "model/batch.h"

#include <stdint.h>

static nb_err err;

typedef struct fixture {
  nb_opened opened;
  nb_model model;
} fixture;

static int open_fixture(const char *variant, fixture *f) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/model/%s", variant);
  if (nb_open(path, NB_OPEN_NO_TOKENIZER, 1, &f->opened, &err) != NB_OK) return 0;
  f->model = f->opened.model;
  f->model.config.max_position = 512; /* the fixtures' few positions are only a limit */
  return 1;
}

static void close_fixture(fixture *f) { nb_opened_free(&f->opened); }

enum { MOST_NEW = 160, MOST_TEXTS = 40, PROMPT = 150 };

typedef struct text {
  int32_t prompt[PROMPT], id[MOST_NEW];
  size_t n_prompt, n, stop_after; /* stop_after 0: never */
  nb_sampling sampling;
  int over;
  nb_batch_end why;
} text;

static bool take(void *ctx, int32_t id) {
  text *t = ctx;
  t->id[t->n++] = id;
  return t->n != t->stop_after;
}

static void over(void *ctx, nb_batch_end why) {
  text *t = ctx;
  t->over++, t->why = why;
}

static nb_batch_request request(text *t, size_t max_new) {
  return (nb_batch_request){.prompt = t->prompt,
                            .n_prompt = t->n_prompt,
                            .max_new = max_new,
                            .sampling = t->sampling,
                            .ignore_eos = true,
                            .token = take,
                            .ended = over,
                            .ctx = t};
}

/* Prompts of many lengths; most begin alike, some are the same with other seeds. */
static void make_texts(text *t, size_t n, size_t shared, size_t most) {
  for (size_t i = 0; i < n; i++) {
    t[i] = (text){.n_prompt = shared + 1 + (i * 7) % (most - shared)};
    for (size_t k = 0; k < t[i].n_prompt; k++)
      t[i].prompt[k] = (int32_t)((k * 37 + (k >= shared || i % 5 == 4) * (i / 2) * 11 + 5) % 79);
    if (i % 2) t[i].sampling = (nb_sampling){.temperature = 1.5, .top_p = 0.95, .seed = i};
  }
}

static nb_session *session(const fixture *f, size_t max_tokens) {
  nb_session *s = NULL;
  nb_session_opts o = {.threads = 2, .max_tokens = max_tokens, .cpu_features = nb_cpu_detect()};
  if (nb_session_create(&f->model.config, &o, &s, &err) != NB_OK) printf("  %s\n", err.msg);
  return s;
}

static void run_all(nb_batch *b) {
  for (bool busy = true; busy;) CHECK_OK(nb_batch_step(b, &busy, &err));
}

/* Each text in a batch of its own. */
static void run_alone(const fixture *f, nb_session *s, text *t, size_t n, size_t max_new) {
  for (size_t i = 0; i < n; i++) {
    nb_batch *b;
    nb_batch_opts o = {.kv = NB_KV_Q16, .most = 1};
    nb_batch_request r = request(&t[i], max_new);
    CHECK_OK(nb_batch_create(s, &f->model, &o, &b, &err));
    CHECK_OK(nb_batch_submit(b, &r, NULL, &err));
    run_all(b);
    nb_batch_free(b);
  }
}

static void check_same(const text *want, const text *got, size_t n, const char *what) {
  for (size_t i = 0; i < n; i++)
    CHECK_MSG(got[i].over == 1 && got[i].n == want[i].n && !memcmp(got[i].id, want[i].id, 4 * want[i].n),
              "%s: text %zu: %zu tokens, want %zu, or others", what, i, got[i].n, want[i].n);
}

/* Texts as run_alone has them, and as a batch is to make them. */
typedef struct trial {
  const text *want; /* (n) */
  text *got;
  size_t n, max_new;
} trial;

static nb_batch_stats together(const fixture *f, nb_session *s, trial t, nb_batch_opts o, const char *what) {
  nb_batch *b;
  nb_batch_stats stats = {0};
  o.kv = NB_KV_Q16;
  if (nb_batch_create(s, &f->model, &o, &b, &err) != NB_OK) {
    CHECK(0);
    return stats;
  }
  for (size_t i = 0; i < t.n; i++) {
    nb_batch_request r = request(&t.got[i], t.max_new);
    CHECK(nb_batch_submit(b, &r, NULL, &err) == NB_OK);
  }
  run_all(b);
  stats = *nb_batch_stats_of(b);
  CHECK(nb_batch_unfinished(b) == 0);
  nb_batch_free(b);
  check_same(t.want, t.got, t.n, what);
  return stats;
}

TEST(the_same_text_whatever_the_batch) {
  fixture f;
  CHECK_MSG(open_fixture("mha_window", &f), "%s", err.msg);
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  const size_t batches[] = {7, 64, 512};
  nb_session *one = session(&f, 33);
  make_texts(want, MOST_TEXTS, 70, PROMPT);
  run_alone(&f, one, want, MOST_TEXTS, MOST_NEW);
  for (size_t k = 0; k < 3; k++) {
    nb_session *s = session(&f, batches[k]);
    make_texts(got, MOST_TEXTS, 70, PROMPT);
    nb_batch_stats st =
        together(&f, s, (trial){want, got, MOST_TEXTS, MOST_NEW}, (nb_batch_opts){.most = 0}, "all together");
    CHECK(st.shared_tokens > 70 * 20 && st.most_running >= 7 && st.again_tokens == 0);
    CHECK(st.new_tokens == (size_t)MOST_TEXTS * MOST_NEW);
    make_texts(got, MOST_TEXTS, 70, PROMPT);
    st = together(&f, s, (trial){want, got, MOST_TEXTS, MOST_NEW}, (nb_batch_opts){.share_never = true},
                  "nothing shared");
    CHECK(st.shared_tokens == 0);
    nb_session_free(s);
  }
  nb_session_free(one);
  close_fixture(&f);
}

TEST(little_memory_changes_no_text) {
  fixture f;
  CHECK_MSG(open_fixture("gqa_f16", &f), "%s", err.msg);
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  nb_session *s = session(&f, 64);
  make_texts(want, MOST_TEXTS, 40, 100);
  run_alone(&f, s, want, MOST_TEXTS, MOST_NEW);
  const nb_config *c = &f.model.config;
  size_t block = c->layers * c->kv_heads * nb_kv_block_bytes(NB_KV_Q16, c->head_dim);
  for (size_t blocks = 1; blocks <= 16; blocks *= 4) {
    make_texts(got, MOST_TEXTS, 40, 100);
    nb_batch_opts o = {.kv_bytes = blocks * block};
    nb_batch_stats st = together(&f, s, (trial){want, got, MOST_TEXTS, MOST_NEW}, o, "little memory");
    CHECK_MSG(st.most_kv_bytes <= (blocks < 6 ? 6 : blocks) * block, "%zu bytes held with %zu blocks of %zu",
              st.most_kv_bytes, blocks, block);
    if (blocks == 16) CHECK(st.gave_way > 0 && st.again_tokens > 0);
  }
  nb_session_free(s);
  close_fixture(&f);
}

/* Past the switch of LongRoPE a text is run again with the other factors, as test_model's goldens have it. */
TEST(longrope_switches_in_a_batch) {
  fixture f;
  CHECK_MSG(open_fixture("longrope_su", &f), "%s", err.msg);
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  nb_session *s = session(&f, 13);
  make_texts(want, 12, 10, 40);
  run_alone(&f, s, want, 12, 20);
  make_texts(got, 12, 10, 40);
  nb_batch_stats st = together(&f, s, (trial){want, got, 12, 20}, (nb_batch_opts){.most = 0}, "longrope");
  CHECK(st.again_tokens > 0);
  nb_session_free(s);
  close_fixture(&f);
}

/* With dynamic scaling each new token is turned for the length at its own step; a text that gave way is made again so.
 */
TEST(dynamic_scaling_in_a_batch) {
  fixture f;
  CHECK_MSG(open_fixture("llama_dynamic", &f), "%s", err.msg);
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  nb_session *s = session(&f, 40);
  const nb_config *c = &f.model.config;
  make_texts(want, 16, 10, 50);
  run_alone(&f, s, want, 16, 140);
  make_texts(got, 16, 10, 50);
  size_t block = c->layers * c->kv_heads * nb_kv_block_bytes(NB_KV_Q16, c->head_dim);
  nb_batch_stats st = together(&f, s, (trial){want, got, 16, 140}, (nb_batch_opts){.kv_bytes = 12 * block}, "dynamic");
  CHECK(st.gave_way > 0 && st.again_tokens > 0);
  nb_session_free(s);
  close_fixture(&f);
}

TEST(texts_end_and_are_cancelled) {
  fixture f;
  CHECK_MSG(open_fixture("mha_window", &f), "%s", err.msg);
  static text want[6], got[6];
  nb_session *s = session(&f, 64);
  make_texts(want, 6, 8, 30);
  run_alone(&f, s, want, 6, 20);
  make_texts(got, 6, 8, 30);
  nb_batch *b;
  nb_batch_opts o = {.kv = NB_KV_Q16, .most = 3};
  uint64_t ticket[6];
  bool busy;
  CHECK_OK(nb_batch_create(s, &f.model, &o, &b, &err));
  got[1].stop_after = 4;
  for (size_t i = 0; i < 5; i++) {
    nb_batch_request r = request(&got[i], 20);
    CHECK_OK(nb_batch_submit(b, &r, &ticket[i], &err));
  }
  for (int i = 0; i < 3; i++) CHECK_OK(nb_batch_step(b, &busy, &err));
  nb_batch_cancel(b, ticket[0]); /* runs */
  nb_batch_cancel(b, ticket[4]); /* waits */
  nb_batch_cancel(b, 999);
  nb_batch_request late = request(&got[5], 20);
  CHECK_OK(nb_batch_submit(b, &late, &ticket[5], &err));
  run_all(b);
  CHECK(got[0].why == NB_BATCH_CANCELLED && got[0].n < 20 && !memcmp(got[0].id, want[0].id, 4 * got[0].n));
  CHECK(got[1].why == NB_BATCH_STOPPED && got[1].n == 4);
  CHECK(got[4].why == NB_BATCH_CANCELLED && got[4].n == 0);
  CHECK(got[2].why == NB_BATCH_LENGTH);
  const size_t whole[] = {2, 3, 5};
  for (size_t i = 0; i < 3; i++) check_same(&want[whole[i]], &got[whole[i]], 1, "beside cancelled ones");
  for (size_t i = 0; i < 6; i++) CHECK(got[i].over == 1);
  nb_batch_request bad[] = {request(&got[0], 0), request(&got[0], 1 << 24), request(&got[0], 1)};
  bad[2].n_prompt = 0;
  for (size_t i = 0; i < 3; i++) CHECK(nb_batch_submit(b, &bad[i], NULL, &err) == NB_ERR_ARG);
  got[0].prompt[0] = 1 << 20;
  nb_batch_request out_of_range = request(&got[0], 1);
  CHECK(nb_batch_submit(b, &out_of_range, NULL, &err) == NB_ERR_ARG);
  nb_batch_free(b);
  nb_session_free(s);
  close_fixture(&f);
}

/* Turns of conversations, each beginning with the last turn's prompt and answer (or a part of it): the texts are those
 * of a batch that keeps nothing, and fewer tokens are run. */
TEST(kept_caches_change_no_text) {
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  const char *const variants[] = {"mha_window", "longrope_su", "llama_dynamic"};
  for (size_t v = 0; v < 3; v++) {
    fixture f;
    CHECK_MSG(open_fixture(variants[v], &f), "%s", err.msg);
    nb_session *s = session(&f, 40);
    const nb_config *c = &f.model.config;
    size_t block = c->layers * c->kv_heads * nb_kv_block_bytes(NB_KV_Q16, c->head_dim), turns = 12;
    for (size_t keep = 1; keep <= 3; keep += 2) {
      nb_batch *b;
      nb_batch_opts o = {.kv = NB_KV_Q16, .most = 2, .keep = keep, .kv_bytes = keep == 3 ? 9 * block : 0};
      CHECK_OK(nb_batch_create(s, &f.model, &o, &b, &err));
      make_texts(want, turns, 3, 10);
      for (size_t i = 0; i < turns; i++) {
        if (i >= 2 && i % 5) { /* goes on from the last but one */
          const text *last = &want[i - 2];
          size_t n = last->n_prompt, take_n = i % 3 ? last->n : last->n / 2;
          memcpy(want[i].prompt, last->prompt, n * 4);
          memcpy(want[i].prompt + n, last->id, take_n * 4);
          want[i].prompt[n + take_n] = (int32_t)(i + 3);
          want[i].n_prompt = n + take_n + 1;
        }
        run_alone(&f, s, &want[i], 1, 20);
        got[i] = want[i], got[i].n = 0, got[i].over = 0;
        nb_batch_request r = request(&got[i], 20);
        CHECK_OK(nb_batch_submit(b, &r, NULL, &err));
        if (i % 2) run_all(b);
      }
      check_same(want, got, turns, variants[v]);
      size_t shared = nb_batch_stats_of(b)->shared_tokens;
      CHECK_MSG(v == 2 ? shared == 0 : shared > 60, "%s keeps %zu: %zu tokens shared", variants[v], keep, shared);
      CHECK(keep < 3 || nb_batch_kv_bytes(b) <= 9 * block);
      nb_batch_free(b);
    }
    nb_session_free(s);
    close_fixture(&f);
  }
}

typedef struct scores {
  text t;
  size_t n;
  nb_batch_logprob of[PROMPT + MOST_NEW], top[PROMPT + MOST_NEW][5];
} scores;

static bool take_scored(void *ctx, int32_t id) { return take(&((scores *)ctx)->t, id); }
static void over_scored(void *ctx, nb_batch_end why) { over(&((scores *)ctx)->t, why); }
static void see(void *ctx, nb_batch_logprob of, const nb_batch_logprob *top) {
  scores *x = ctx;
  x->of[x->n] = of;
  memcpy(x->top[x->n++], top, sizeof x->top[0]);
}

/* The log-probs of prompts and of new tokens are those of nb_session_score, also beside others and with little memory.
 */
TEST(log_probs) {
  fixture f;
  CHECK_MSG(open_fixture("gqa_f16", &f), "%s", err.msg);
  enum { N = 6, NEW = 30 };
  static scores x[N];
  static text t[N];
  nb_session *s = session(&f, 50), *plain = session(&f, 512);
  const nb_config *c = &f.model.config;
  size_t block = c->layers * c->kv_heads * nb_kv_block_bytes(NB_KV_Q16, c->head_dim);
  nb_batch *b;
  nb_batch_opts o = {.kv = NB_KV_Q16, .kv_bytes = 7 * block, .keep = 2};
  CHECK_OK(nb_batch_create(s, &f.model, &o, &b, &err));
  make_texts(t, N, 40, 120);
  for (size_t i = 0; i < N; i++) {
    x[i] = (scores){.t = t[i]};
    nb_batch_request r = request(&x[i].t, i == 5 ? 0 : NEW);
    r.ctx = &x[i], r.token = take_scored, r.ended = over_scored, r.scored = see;
    r.top = 5, r.score_prompt = i % 3 != 1;
    CHECK_OK(nb_batch_submit(b, &r, NULL, &err));
  }
  run_all(b);
  CHECK(nb_batch_stats_of(b)->gave_way > 0);
  for (size_t i = 0; i < N; i++) {
    int32_t ids[PROMPT + MOST_NEW];
    size_t n = x[i].t.n_prompt + x[i].t.n, from = i % 3 != 1 ? 1 : x[i].t.n_prompt, rows[PROMPT + MOST_NEW];
    double lp[PROMPT + MOST_NEW];
    bool greedy[PROMPT + MOST_NEW];
    nb_kv *kv;
    memcpy(ids, x[i].t.prompt, x[i].t.n_prompt * 4), memcpy(ids + x[i].t.n_prompt, x[i].t.id, x[i].t.n * 4);
    CHECK(x[i].t.over == 1 && x[i].t.n == (i == 5 ? 0u : NEW) && x[i].n == n - from);
    CHECK_OK(nb_kv_create(c, n, NB_KV_Q16, nb_config_stretch(c, n), &kv, &err));
    CHECK_OK(nb_session_prefill(plain, &f.model, kv, ids, n, &err));
    for (size_t k = 0; k + 1 < n; k++) rows[k] = k;
    CHECK_OK(nb_session_score(plain, &f.model, &(nb_targets){rows, ids + 1, n - 1}, lp, greedy, &err));
    for (size_t k = 0; k < x[i].n; k++) {
      const nb_batch_logprob *top = x[i].top[k];
      CHECK_MSG(x[i].of[k].id == ids[from + k] && x[i].of[k].logprob == lp[from + k - 1], "text %zu, token %zu", i, k);
      CHECK((top[0].id == x[i].of[k].id) == greedy[from + k - 1]);
      for (size_t j = 1; j < 5; j++) CHECK(top[j].logprob <= top[j - 1].logprob && top[j].id != top[j - 1].id);
    }
    nb_kv_free(kv);
  }
  nb_batch_request bad = request(&x[0].t, 1);
  bad.top = NB_BATCH_TOP + 1;
  CHECK(nb_batch_submit(b, &bad, NULL, &err) == NB_ERR_ARG);
  nb_batch_free(b);
  nb_session_free(s), nb_session_free(plain);
  close_fixture(&f);
}

/* Guesses of the next tokens, mostly wrong ones as well, change no text and no log-prob: by cache, greedy and drawn. */
TEST(guesses_change_no_text) {
  static text want[MOST_TEXTS], got[MOST_TEXTS];
  const char *const variants[] = {"mha_window", "gqa_f16", "longrope_su", "llama_dynamic"};
  for (size_t v = 0; v < 4; v++) {
    fixture f;
    CHECK_MSG(open_fixture(variants[v], &f), "%s", err.msg);
    nb_session *s = session(&f, 40);
    const nb_config *c = &f.model.config;
    for (int type = 0; type < NB_KV_TYPES; type++) {
      size_t block = c->layers * c->kv_heads * nb_kv_block_bytes((nb_kv_type)type, c->head_dim);
      nb_batch_stats sum = {0};
      make_texts(want, 10, 10, 50), make_texts(got, 10, 10, 50);
      for (size_t i = 0; i < 10; i++)
        for (int drafts = 0; drafts < 2; drafts++) {
          nb_batch *b;
          text *t = drafts ? &got[i] : &want[i];
          nb_batch_opts o = {.kv = (nb_kv_type)type,
                             .kv_bytes = i % 3 ? 0 : block,
                             .keep = 1,
                             .most = 1,
                             .draft = drafts ? NB_DRAFT_ALWAYS : NB_DRAFT_NEVER};
          nb_batch_request r = request(t, MOST_NEW);
          if (i % 4 == 3) t->stop_after = 50 + i;
          if (i % 2) t->sampling.temperature = 0.1 + 0.1 * (double)i;
          CHECK_OK(nb_batch_create(s, &f.model, &o, &b, &err));
          r.sampling = t->sampling;
          CHECK_OK(nb_batch_submit(b, &r, NULL, &err));
          run_all(b);
          const nb_batch_stats *st = nb_batch_stats_of(b);
          CHECK(st->new_tokens == t->n && st->taken_tokens <= st->drafted_tokens && (drafts || !st->drafted_tokens));
          CHECK(st->again_tokens == 0 || nb_config_stretch(c, 512) > 0);
          sum.drafted_tokens += st->drafted_tokens, sum.taken_tokens += st->taken_tokens;
          if (drafts && i % 2 == 0) { /* what is kept of it is the text: the next turn goes on from there */
            size_t n = t->n_prompt;
            text more = *t, fresh;
            memcpy(more.prompt + n, t->id, 30 * 4);
            more.n_prompt = n + 30, more.n = 0, more.over = 0, more.stop_after = 0, fresh = more;
            nb_batch_request next = request(&more, 20), again = request(&fresh, 20);
            CHECK_OK(nb_batch_submit(b, &next, NULL, &err));
            run_all(b);
            nb_batch_free(b);
            o.draft = NB_DRAFT_NEVER;
            CHECK_OK(nb_batch_create(s, &f.model, &o, &b, &err));
            CHECK_OK(nb_batch_submit(b, &again, NULL, &err));
            run_all(b);
            check_same(&fresh, &more, 1, "the next turn");
          }
          nb_batch_free(b);
        }
      check_same(want, got, 10, variants[v]);
      bool tries = v != 3; /* dynamic scaling turns each token for its own length: no guesses */
      CHECK_MSG(tries ? sum.taken_tokens > 20 && sum.taken_tokens < sum.drafted_tokens : sum.drafted_tokens == 0,
                "%s: %zu guesses, %zu right", variants[v], sum.drafted_tokens, sum.taken_tokens);
    }
    nb_session_free(s);
    close_fixture(&f);
  }
}

int main(void) {
  RUN(the_same_text_whatever_the_batch);
  RUN(little_memory_changes_no_text);
  RUN(longrope_switches_in_a_batch);
  RUN(dynamic_scaling_in_a_batch);
  RUN(texts_end_and_are_cancelled);
  RUN(kept_caches_change_no_text);
  RUN(log_probs);
  RUN(guesses_change_no_text);
  return test_end();
}
