/* SPDX-License-Identifier: MIT */
/* Running questions: shared prompt beginnings and batches change no bit; examples are dropped to fit; a journal goes on
 * where a run was cut off. The model is one of tests/golden/model with its limits set here. */
#include "test.h"

#include "base/cpu.h"
#include "eval/engine.h"
#include "eval/evaluate.h"
#include "eval/journal.h"
#include "tempdir.h"
#include "formats/mapfile.h"
#include "formats/tokenizer_dir.h"

#include <unistd.h>

static nb_err err;

/* Characters are tokens, and a few pairs: 96 ids. */
static nb_tokenizer *make_tokenizer(void) {
  char json[4096] = "{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": null, \"pre_tokenizer\": null, "
                    "\"post_processor\": null, \"decoder\": null, \"model\": {\"type\": \"BPE\", \"unk_token\": null, "
                    "\"fuse_unk\": false, \"byte_fallback\": false, \"vocab\": {\"\\n\": 0";
  int id = 1;
  for (char c = ' '; c < 127; c++) {
    if (strchr("~`|{}^", c)) continue;
    snprintf(json + strlen(json), 40, ", \"%s%c\": %d", c == '"' || c == '\\' ? "\\" : "", c, id++);
  }
  for (const char *const *p = (const char *const[]){" A", " B", " C", " D", "th", "in", NULL}; *p; p++)
    snprintf(json + strlen(json), 40, ", \"%s\": %d", *p, id++);
  strcat(json, "}, \"merges\": [[\" \", \"A\"], [\" \", \"B\"], [\" \", \"C\"], [\" \", \"D\"], [\"t\", \"h\"], "
               "[\"i\", \"n\"]]}}");
  nb_tokenizer *t = NULL;
  nb_tokenizer_files files = {.json = {json, strlen(json), "tokenizer.json"}};
  if (nb_tokenizer_from_files(&files, &t, &err) != NB_OK) printf("  %s\n", err.msg);
  return t;
}

typedef struct fixture {
  nb_opened model;
  nb_evaluation e;
} fixture;

static nb_status open_fixture_over(fixture *f, const char *data, const char *task, const char *preset, int shots) {
  memset(f, 0, sizeof *f);
  NB_TRY(nb_open("tests/golden/model/longrope_su", NB_OPEN_NO_TOKENIZER, 1, &f->model, &err));
  f->model.tokenizer = make_tokenizer();
  f->model.model.config.original_max_position = 3000;
  f->model.model.config.max_position = 5000;
  nb_evaluation_opts o = {.task = task, .preset = preset, .data = data, .shots = shots};
  return nb_evaluation_prepare(&o, &f->e, &err);
}

static nb_status open_fixture(fixture *f, const char *task, const char *preset, int shots) {
  return open_fixture_over(f, "tests/golden/mmlu", task, preset, shots);
}

static void close_fixture(fixture *f) {
  nb_evaluation_free(&f->e);
  nb_opened_free(&f->model);
}

typedef struct how {
  int threads;
  size_t batch;
  bool alone;
  const char *journal;
  size_t stop_after; /* answers; 0: never */
} how;

static nb_status stop(void *ctx, size_t index, const nb_item *item, const nb_answer *a, nb_err *e) {
  size_t *left = ctx;
  (void)index, (void)item, (void)a;
  return *left && --*left == 0 ? nb_fail(e, NB_ERR_INTERRUPTED, "stopped") : NB_OK;
}

static nb_status answer(fixture *f, how h, nb_result *out) {
  nb_session *s = NULL;
  nb_session_opts so = {.threads = h.threads, .max_tokens = h.batch, .cpu_features = nb_cpu_detect()};
  NB_TRY(nb_session_create(&f->model.model.config, &so, &s, &err));
  nb_evaluation_run run = {.name = "tests/golden/model/longrope_su",
                           .model = &f->model,
                           .session = s,
                           .kv = NB_KV_F32,
                           .threads = h.threads,
                           .alone = h.alone,
                           .journal = h.journal,
                           .answered = stop,
                           .ctx = &h.stop_after};
  nb_status st = nb_evaluation_answer(&f->e, &run, out, &err);
  nb_session_free(s);
  return st;
}

static void check_same(const nb_result *a, const nb_result *b) {
  CHECK(a->n == b->n);
  for (size_t i = 0; i < a->n; i++) {
    CHECK(!memcmp(a->row[i].answer.logprob, b->row[i].answer.logprob, sizeof a->row[i].answer.logprob));
    CHECK(a->row[i].answer.prompt_hash == b->row[i].answer.prompt_hash);
    CHECK(a->row[i].answer.logprob[0] < 0 && a->row[i].answer.logprob[0] != a->row[i].answer.logprob[1]);
  }
}

static void sharing_changes_nothing(const char *task, const char *preset, int shots, size_t original_max) {
  fixture f;
  nb_result alone, r;
  CHECK_OK(open_fixture(&f, task, preset, shots));
  if (original_max) f.model.model.config.original_max_position = original_max;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64, .alone = true}, &alone));
  const how ways[] = {{.threads = 2, .batch = 512}, {.threads = 1, .batch = 17}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    CHECK_OK(answer(&f, ways[i], &r));
    check_same(&alone, &r);
    if (!original_max) CHECK(r.measured.tokens < r.measured.tokens_alone);
    nb_result_free(&r);
  }
  CHECK(alone.measured.tokens == alone.measured.tokens_alone);
  nb_result_free(&alone);
  close_fixture(&f);
}

TEST(letters_share) { sharing_changes_nothing("mmlu", "hendrycks", 1, 0); }
TEST(letters_share_without_examples) { sharing_changes_nothing("mmlu", "lm-eval", 0, 0); }
TEST(texts_share) { sharing_changes_nothing("mmlu", "cloze", 1, 0); }
TEST(texts_share_without_examples) { sharing_changes_nothing("mmlu", "cloze", 0, 0); }
/* Some questions of a subject are beyond the LongRoPE switch and run with other factors. */
TEST(some_beyond_the_rope_switch) { sharing_changes_nothing("mmlu", "hendrycks", 0, 500); }

TEST(examples_are_dropped_to_fit) {
  fixture f;
  nb_result r;
  CHECK_OK(open_fixture(&f, "mmlu", "hendrycks", 2));
  f.model.model.config.max_position = 1500;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &r));
  size_t dropped = 0;
  for (size_t i = 0; i < r.n; i++) {
    CHECK(r.row[i].answer.n_tokens <= 1500);
    dropped += r.row[i].answer.shots < 2;
  }
  CHECK(dropped > 0 && dropped < r.n);
  nb_result_free(&r);
  f.model.model.config.max_position = 100;
  CHECK(answer(&f, (how){.threads = 1, .batch = 64}, &r) == NB_ERR_ARG);
  CHECK(strstr(err.msg, "question ") && strstr(err.msg, "the model takes 100") && !strstr(err.msg, "--shots"));
  close_fixture(&f);
  CHECK_OK(open_fixture(&f, "mmlu", "lm-eval", 2)); /* which drops nothing */
  f.model.model.config.max_position = 1500;
  CHECK(answer(&f, (how){.threads = 1, .batch = 64}, &r) == NB_ERR_ARG);
  close_fixture(&f);
}

/* lm-evaluation-harness keeps the last max_length + 1 tokens of context and continuation; what is not run is wrong. */
TEST(overlong_questions_are_cut_or_wrong) {
  fixture f;
  nb_result whole, cut, wrong;
  CHECK_OK(open_fixture(&f, "mmlu", "lm-eval", 0));
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &whole));
  f.model.model.config.max_position = 300;
  f.e.o.overlong = f.e.protocol.overlong = NB_OVERLONG_TRUNCATE;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &cut));
  f.e.o.overlong = f.e.protocol.overlong = NB_OVERLONG_WRONG;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &wrong));
  size_t n_long = 0;
  for (size_t i = 0; i < whole.n; i++) {
    const nb_answer *w = &whole.row[i].answer, *c = &cut.row[i].answer, *x = &wrong.row[i].answer;
    bool is_long = w->n_tokens > 300;
    nb_grade g;
    nb_grade_answer(&wrong.row[i].item, x, false, &g);
    n_long += is_long;
    CHECK(c->fit == (is_long ? NB_FIT_CUT : NB_FIT_WHOLE) && x->fit == (is_long ? NB_FIT_NOT : NB_FIT_WHOLE));
    CHECK(c->n_tokens == nb_min(w->n_tokens, 300) && c->prompt_hash == w->prompt_hash);
    CHECK(is_long == (memcmp(c->logprob, w->logprob, sizeof c->logprob) != 0));
    if (is_long) CHECK(g.acc + g.acc_norm + g.acc_bytes + g.mass == 0 && !wrong.row[i].item.correct[g.pick]);
    else CHECK(!memcmp(x->logprob, w->logprob, sizeof x->logprob));
  }
  CHECK(n_long > 2 && n_long < whole.n);
  /* Cut by hand: the last 300 tokens alone. */
  const nb_item *item = &cut.row[whole.n - 1].item;
  nb_encode_opts eo = {.max_tokens = 5000};
  nb_question q;
  nb_session *s = NULL;
  nb_session_opts so = {.threads = 1, .max_tokens = 64, .cpu_features = nb_cpu_detect()};
  CHECK_OK(nb_question_make(&f.e.prompter, f.model.tokenizer, &eo, item, &q, &err));
  CHECK(q.n_seqs == 1 && q.n_tokens > 300);
  size_t over = q.seq[0].n - 300;
  nb_target target = q.seq[0].target[0];
  target.pos -= (uint32_t)over;
  double logprob[NB_MAX_CHOICES] = {0};
  nb_kv *kv = NULL;
  nb_engine engine;
  CHECK_OK(nb_session_create(&f.model.model.config, &so, &s, &err));
  CHECK_OK(nb_kv_create(&f.model.model.config, 300, NB_KV_F32, false, &kv, &err));
  CHECK_OK(nb_engine_create(s, &f.model.model, &engine, &err));
  nb_job job = {
      .kv = kv, .tokens = q.seq[0].tokens + over, .n = 300, .target = &target, .n_targets = 1, .logprob = logprob};
  CHECK_OK(nb_engine_run(&engine, &job, 1, &err));
  CHECK(logprob[target.choice] == cut.row[whole.n - 1].answer.logprob[target.choice]);
  nb_engine_free(&engine);
  nb_kv_free(kv);
  nb_session_free(s);
  nb_question_free(&q);
  /* The file says which they were. */
  nb_text text = {0};
  nb_result back;
  CHECK_OK(nb_result_write(&wrong, &text, &err));
  CHECK_OK(nb_result_parse(text.s, text.n, "wrong.json", &back, &err));
  for (size_t i = 0; i < back.n; i++) CHECK(back.row[i].answer.fit == wrong.row[i].answer.fit);
  CHECK(back.protocol.overlong == NB_OVERLONG_WRONG);
  nb_text_free(&text);
  nb_result_free(&back), nb_result_free(&whole), nb_result_free(&cut), nb_result_free(&wrong);
  close_fixture(&f);
}

/* What is said when prompts do not fit: how many examples would. */
TEST(advice_on_examples_helps) {
  fixture f;
  nb_result r;
  char *at;
  CHECK_OK(open_fixture(&f, "mmlu", "lm-eval", 2));
  nb_plan plan;
  CHECK_OK(nb_evaluation_plan(&f.e, &f.model, 1, NULL, &plan, &err));
  size_t longest = 0;
  for (size_t i = 0; i < plan.n; i++) longest = nb_max(longest, plan.question[i].n_tokens);
  nb_plan_free(&plan);
  f.model.model.config.max_position = longest - 1;
  CHECK(answer(&f, (how){.threads = 1, .batch = 64}, &r) == NB_ERR_ARG);
  CHECK_MSG((at = strstr(err.msg, "all fit with --shots ")) != NULL, "%s", err.msg);
  int shots = at ? atoi(at + 21) : 2;
  close_fixture(&f);
  CHECK_OK(open_fixture(&f, "mmlu", "lm-eval", shots));
  f.model.model.config.max_position = longest - 1;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &r));
  nb_result_free(&r);
  close_fixture(&f);
}

/* Whoever made it, with checksums that are right: log-probs are numbers. */
TEST(a_journal_has_no_nan) {
  char *path = temp_path("nan");
  nb_answer a[3] = {{.logprob = {-1}}, {.logprob = {NAN}}, {.logprob = {-1}}};
  bool done[3] = {false};
  nb_pool pool = {0};
  nb_journal_answers to = {.n = 3, .answer = a, .done = done, .pool = &pool};
  nb_journal *j;
  unlink(path);
  CHECK_OK(nb_journal_open(path, "key", &to, &j, &err));
  for (size_t i = 0; i < 3; i++) CHECK_OK(nb_journal_add(j, i, &a[i], &err));
  nb_journal_close(j);
  CHECK(nb_journal_open(path, "key", &to, &j, &err) == NB_ERR_FORMAT && strstr(err.msg, "damaged"));
  unlink(path);
  free(path);
  nb_pool_free(&pool);
}

TEST(a_journal_goes_on) {
  fixture f;
  nb_result whole, r;
  char *path = temp_path("journal");
  CHECK_OK(open_fixture(&f, "mmlu", "hendrycks", 1));
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &whole));
  for (size_t cut = 1; cut < f.e.n; cut++) {
    unlink(path);
    CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path, .stop_after = cut}, &r) == NB_ERR_INTERRUPTED);
    CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r));
    check_same(&whole, &r);
    CHECK(r.measured.tokens < whole.measured.tokens);
    nb_result_free(&r);
  }
  /* A record cut in two, as by a crash, is answered again. */
  CHECK(truncate(path, 40 + 448 * 2 + 100) == 0);
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r));
  check_same(&whole, &r);
  nb_result_free(&r);
  /* Damage inside is an error, and another run's journal is refused. */
  FILE *file = fopen(path, "r+b");
  fseek(file, 40 + 50, SEEK_SET);
  fputc(77, file);
  fclose(file);
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r) == NB_ERR_FORMAT &&
        strstr(err.msg, "damaged"));
  nb_result_free(&whole);
  close_fixture(&f);
  CHECK_OK(open_fixture(&f, "mmlu", "hendrycks", 2));
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r) == NB_ERR_ARG &&
        strstr(err.msg, "another run"));
  close_fixture(&f);
  free(path);
}

/* The built-in mmlu with `what` replaced by `with`, as a task file. */
static char *changed_task(const char *what, const char *with) {
  nb_text json = {0};
  char *bytes;
  size_t n;
  if (nb_mapfile_read("data/tasks/mmlu.json", 1 << 20, &bytes, &n, &err) != NB_OK) return NULL;
  char *hit = strstr(bytes, what);
  CHECK_MSG(hit != NULL, "no %s in the task", what);
  if (hit) nb_text_append(&json, bytes, (size_t)(hit - bytes), &err), nb_text_append_str(&json, with, &err);
  if (hit) nb_text_append_str(&json, hit + strlen(what), &err);
  char *path = temp_file("task.json", json.s ? json.s : "", json.n);
  nb_text_free(&json);
  free(bytes);
  return path;
}

/* Runs over a journal that the unchanged run left. */
static nb_status go_on(const char *data, const char *task, const char *journal, int shots, bool *other) {
  fixture f;
  nb_result r = {.n = 0};
  nb_status st = open_fixture_over(&f, data, task, "lm-eval", shots);
  if (st == NB_OK) st = answer(&f, (how){.threads = 1, .batch = 64, .journal = journal}, &r);
  *other = st == NB_ERR_ARG && strstr(err.msg, "another run");
  nb_result_free(&r);
  close_fixture(&f);
  return st;
}

/* Whatever decides an answer makes another run of it, and its journal is left alone. */
TEST(a_journal_is_of_one_run) {
  fixture f;
  nb_result r;
  bool other;
  char *path = temp_path("one"), *task = changed_task("\"about\"", "\"about\"");
  unlink(path);
  CHECK_OK(open_fixture(&f, task, "lm-eval", 1));
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path, .stop_after = 4}, &r) == NB_ERR_INTERRUPTED);
  close_fixture(&f);
  const char *change[][2] = {{"\"{{letter}}. {{choice}}\\n\"", "\"{{letter}}) {{choice}}\\n\""},
                             {"\"delimiter\": \" \"", "\"delimiter\": \"\\n\""},
                             {"\"separator\": \"\\n\\n\"", "\"separator\": \"\\n\""},
                             {"\"select\": \"subject\"", "\"select\": \"spread\""},
                             {"\"metric\": \"acc\"", "\"metric\": \"acc_norm\""},
                             {"\"metric\": \"acc\"", "\"metric\": \"acc\", \"ties\": \"wrong\""},
                             {"\"score\": \"letter\"", "\"score\": \"continuation\""},
                             {"\"score\": \"letter\"", "\"score\": \"letter\", \"choice_filter\": \"strip\""},
                             {"\"score\": \"letter\"", "\"score\": \"letter\", \"prompt_filter\": \"strip\""},
                             {"about {{subject|spaces}}", "on {{subject|spaces}}"},
                             {"{{question|strip}}\\n", "{{question}}\\n"}};
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    free(changed_task(change[i][0], change[i][1]));
    go_on("tests/golden/mmlu", task, path, 1, &other);
    CHECK_MSG(other, "goes on with %s: %s", change[i][1], err.msg);
  }
  free(changed_task("\"about\"", "\"about\""));
  go_on("tests/golden/mmlu", task, path, 0, &other);
  CHECK(other);
  /* Another example, the questions being the same. */
  char command[1200];
  snprintf(command, sizeof command, "cp -R tests/golden/mmlu '%s/data' && printf '%s' > '%s/data/dev/%s'", temp_dir(),
           "Find 2.,0,4,2,6,B\\n", temp_dir(), "abstract_algebra_dev.csv");
  CHECK(system(command) == 0);
  char *data = temp_path("data");
  go_on(data, task, path, 1, &other);
  CHECK_MSG(other, "goes on with another example: %s", err.msg);
  CHECK_OK(go_on("tests/golden/mmlu", task, path, 1, &other));
  free(data), free(path), free(task);
}

/* Each answer says to which prompt it is. */
TEST(a_journal_of_other_prompts_is_refused) {
  fixture f;
  nb_result r;
  char *path = temp_path("prompts");
  unlink(path);
  CHECK_OK(open_fixture(&f, "mmlu", "hendrycks", 1));
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path, .stop_after = 3}, &r) == NB_ERR_INTERRUPTED);
  FILE *file = fopen(path, "r+b"); /* the second record's prompt_hash, and its checksum made right */
  unsigned char record[452];
  CHECK(file && !fseek(file, 40 + 452, SEEK_SET) && fread(record, 1, 452, file) == 452);
  record[4 + NB_MAX_CHOICES * 16] ^= 1;
  uint64_t sum = XXH3_64bits(record, 444);
  for (int i = 0; i < 8; i++) record[444 + i] = (unsigned char)(sum >> 8 * i);
  CHECK(!fseek(file, 40 + 452, SEEK_SET) && fwrite(record, 1, 452, file) == 452 && !fclose(file));
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r) == NB_ERR_FORMAT &&
        strstr(err.msg, "is to another prompt"));
  CHECK(truncate(path, (off_t)1 << 40) == 0); /* a hole: nothing is read of it */
  CHECK(answer(&f, (how){.threads = 1, .batch = 64, .journal = path}, &r) == NB_ERR_FORMAT &&
        strstr(err.msg, "has at most"));
  close_fixture(&f);
  free(path);
}

/* The file, written and read, and what must be refused. */
TEST(result_files) {
  fixture f;
  nb_result r, back;
  nb_text a = {0}, b = {0};
  CHECK_OK(open_fixture(&f, "mmlu", "cloze", 0));
  f.e.o.texts = true;
  CHECK_OK(answer(&f, (how){.threads = 1, .batch = 64}, &r));
  CHECK_OK(nb_result_write(&r, &a, &err));
  CHECK_OK(nb_result_parse(a.s, a.n, "a.json", &back, &err));
  check_same(&r, &back);
  CHECK(back.texts && back.row[0].item.answer == r.row[0].item.answer);
  CHECK_STR(back.row[0].item.question, r.row[0].item.question);
  CHECK_STR(back.row[4].category, "humanities");
  back.has_measured = r.has_measured = false;
  nb_text_clear(&a);
  CHECK_OK(nb_result_write(&r, &a, &err));
  CHECK_OK(nb_result_write(&back, &b, &err));
  CHECK(a.n == b.n && !memcmp(a.s, b.s, a.n));
  nb_result_free(&back);
  const struct {
    const char *what, *with, *say;
  } bad[] = {{"\"logprobs\": [-", "\"logprobs\": [null, -", "log-prob"},
             {"\"id\": \"abstract_algebra:1\"", "\"id\": \"abstract_algebra:0\"", "comes twice"},
             {"\"right\": [", "\"right\": [9, ", "right choice"},
             {"\"prompt_xxh3\": \"", "\"prompt_xxh3\": \"0", "no hash"},
             {"\"format_version\": 1", "\"format_version\": 2", "newer nibble"},
             {"\"metric\": \"acc\"", "\"metric\": \"aca\"", "metric"},
             {"nibble-result", "nibble-report", "not a result"},
             {"\"answers\": [", "\"answer\": [", "answers"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *hit = strstr(a.s, bad[i].what);
    CHECK(hit != NULL);
    if (!hit) continue;
    nb_text_clear(&b);
    CHECK_OK(nb_text_append(&b, a.s, (size_t)(hit - a.s), &err));
    CHECK_OK(nb_text_append_str(&b, bad[i].with, &err));
    CHECK_OK(nb_text_append_str(&b, hit + strlen(bad[i].what), &err));
    CHECK_MSG(nb_result_parse(b.s, b.n, "b.json", &back, &err) != NB_OK, "accepted with %s", bad[i].with);
    CHECK_MSG(strstr(err.msg, bad[i].say), "\"%s\" does not say \"%s\"", err.msg, bad[i].say);
  }
  nb_text_free(&a), nb_text_free(&b);
  nb_result_free(&r);
  close_fixture(&f);
}

int main(void) {
  RUN(letters_share);
  RUN(letters_share_without_examples);
  RUN(texts_share);
  RUN(texts_share_without_examples);
  RUN(some_beyond_the_rope_switch);
  RUN(examples_are_dropped_to_fit);
  RUN(overlong_questions_are_cut_or_wrong);
  RUN(advice_on_examples_helps);
  RUN(a_journal_has_no_nan);
  RUN(a_journal_goes_on);
  RUN(a_journal_is_of_one_run);
  RUN(a_journal_of_other_prompts_is_refused);
  RUN(result_files);
  temp_remove();
  return test_end();
}
