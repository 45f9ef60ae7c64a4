/* SPDX-License-Identifier: MIT */
/* The public library beside nibble_quantize: scores and logits agree with each other, evaluating and comparing give
 * what the commands write, an interrupt from another thread ends a call, stop strings end a text. */
#include "api_checks.h"

#include "tempdir.h"

#include <pthread.h>
#include <stdbool.h>

static char program[600]; /* the command of the same build */
static nibble_model *demo;
static const char *const demo_path = "data/demo";

enum { IDS = 12 };
static int32_t ids[IDS];

/* ---- scores ---- */

static double log_softmax(const float *x, size_t n, size_t at) {
  double max = x[0], sum = 0;
  for (size_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
  for (size_t i = 0; i < n; i++) sum += exp(x[i] - max);
  return x[at] - max - log(sum);
}

TEST(scores_follow_from_logits) {
  nibble_info info;
  nibble_describe(demo, &info);
  float *logits = malloc(IDS * info.vocabulary * sizeof *logits);
  CHECK_DONE(nibble_logits(demo, ids, IDS, IDS, logits, &err));
  for (size_t context = 1; context < IDS; context += 3) {
    double want = 0, have;
    for (size_t i = context; i < IDS; i++)
      want += log_softmax(logits + (i - 1) * info.vocabulary, info.vocabulary, (size_t)ids[i]);
    CHECK_DONE(nibble_score(demo, ids, context, ids + context, IDS - context, &have, NULL, &err));
    CHECK_MSG(fabs(want - have) < 1e-4, "%zu: %.9g, not %.9g", context, have, want);
  }
  float *last = malloc(2 * info.vocabulary * sizeof *last);
  CHECK_DONE(nibble_logits(demo, ids, IDS, 2, last, &err));
  CHECK(!memcmp(last, logits + (IDS - 2) * info.vocabulary, 2 * info.vocabulary * sizeof *last));
  free(logits), free(last);
}

TEST(each_as_alone) {
  const int32_t *const parts[] = {ids + 4, ids + 7, ids, ids + 5};
  const size_t n[] = {3, 5, 1, 0};
  double each[4], alone;
  int greedy[4], best;
  for (size_t context = 1; context <= 4; context += 3) {
    CHECK_DONE(nibble_score_each(demo, ids, context, parts, n, 4, each, greedy, &err));
    for (int i = 0; i < 4; i++) {
      CHECK_DONE(nibble_score(demo, ids, context, parts[i], n[i], &alone, &best, &err));
      CHECK_MSG(each[i] == alone && greedy[i] == best, "%d: %.17g, not %.17g", i, each[i], alone);
    }
  }
  CHECK(each[3] == 0 && greedy[3] == 1); /* nothing is certain */
  CHECK_DONE(nibble_score_each(demo, ids, 4, NULL, NULL, 0, NULL, NULL, &err));
}

TEST(wrong_ids) {
  double logprob;
  float *logits = NULL;
  int32_t bad = 1 << 30, *many = calloc(2000, sizeof *many);
  const size_t positions = 1024;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "one token", nibble_score(demo, ids, 0, ids, 1, &logprob, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "not below", nibble_score(demo, ids, 1, &bad, 1, &logprob, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "not below", nibble_score(demo, &bad, 1, ids, 1, &logprob, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "positions", nibble_score(demo, many, positions, ids, 2, &logprob, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "want 1 to", nibble_logits(demo, ids, 2, 3, logits, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "want 1 to", nibble_logits(demo, ids, 2, 0, logits, &err));
  /* The very last one is only predicted. */
  CHECK_DONE(nibble_score(demo, many, positions, ids, 1, &logprob, NULL, &err));
  free(many);
}

/* ---- texts ---- */

typedef struct taken {
  char text[400];
  size_t n, stop_at; /* pieces to take; 0: all */
  size_t pieces;
} taken;

static int take(void *ctx, const char *piece, size_t n) {
  taken *t = ctx;
  if (t->n + n < sizeof t->text) memcpy(t->text + t->n, piece, n), t->n += n;
  return ++t->pieces != t->stop_at;
}

TEST(stop_strings) {
  taken whole = {.n = 0}, cut = {.n = 0}, few = {.stop_at = 2};
  nibble_stats stats;
  nibble_generation g = {.max_tokens = 24, .text = take, .ctx = &whole};
  CHECK_DONE(nibble_generate(demo, ids, IDS, &g, &stats, &err));
  CHECK(whole.n > 8 && stats.ended != 2);
  /* A stop string out of the middle of the text, two characters of it. */
  char stop[3] = {whole.text[5], whole.text[6], 0};
  const char *const stops[] = {"never in it", stop};
  g.ctx = &cut, g.stop = stops, g.n_stop = 2;
  CHECK_DONE(nibble_generate(demo, ids, IDS, &g, &stats, &err));
  char *at = strstr(whole.text, stop);
  CHECK(stats.ended == 2 && cut.n == (size_t)(at - whole.text) && !memcmp(cut.text, whole.text, cut.n));
  g.stop = (const char *const[]){""}, g.n_stop = 1;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "empty", nibble_generate(demo, ids, IDS, &g, &stats, &err));
  g = (nibble_generation){.max_tokens = 24, .text = take, .ctx = &few};
  CHECK_DONE(nibble_generate(demo, ids, IDS, &g, &stats, &err));
  CHECK_MSG(few.pieces == 2, "called %zu times", few.pieces);
}

TEST(one_begin_token) {
  int32_t *a, *b, *c;
  size_t n_a, n_b, n_c;
  nibble_info info;
  nibble_describe(demo, &info);
  CHECK(info.bos >= 0 && info.eos >= 0);
  CHECK_DONE(nibble_tokenize(demo, "x", 1, 0, &a, &n_a, &err));
  CHECK_DONE(nibble_tokenize(demo, "x", 1, 2, &b, &n_b, &err));
  CHECK_DONE(nibble_tokenize(demo, "x", 1, 1, &c, &n_c, &err));
  CHECK(n_b == n_c && !memcmp(b, c, n_b * sizeof *b));
  nibble_free(a), nibble_free(b), nibble_free(c);
}

/* ---- interrupts ---- */

static void *interrupt_soon(void *ctx) {
  usleep(20000);
  nibble_interrupt(ctx, 1);
  return NULL;
}

TEST(interrupted) {
  pthread_t other;
  double logprob;
  char *result;
  size_t n;
  nibble_interrupt(demo, 1);
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_score(demo, ids, 4, ids, 4, &logprob, NULL, &err));
  const nibble_evaluate_options o = {.size = sizeof o, .data = "data/demo/mmlu"};
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_evaluate(demo, &o, &result, &n, &err));
  CHECK(!result && n == 0);
  nibble_interrupt(demo, 0);
  pthread_create(&other, NULL, interrupt_soon, demo);
  nibble_status st = NIBBLE_OK;
  for (int i = 0; i < 100000 && st == NIBBLE_OK; i++) st = nibble_score(demo, ids, 4, ids, IDS, &logprob, NULL, &err);
  CHECK(st == NIBBLE_STOPPED);
  pthread_join(other, NULL);
  nibble_interrupt(demo, 0);
  CHECK_DONE(nibble_score(demo, ids, 4, ids, 4, &logprob, NULL, &err));
}

/* ---- evaluating and comparing ---- */

static char *read_text(const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  size_t n = (size_t)ftell(f);
  rewind(f);
  char *text = calloc(1, n + 1);
  if (fread(text, 1, n, f) != n) perror(path), exit(1);
  fclose(f);
  return text;
}

static bool command(const char *arguments, const char *out) {
  char line[3000];
  snprintf(line, sizeof line, "'%s' %s >'%s'", program, arguments, out);
  return system(line) == 0;
}

/* The member "measured" is the machine's and the moment's. */
static void cut_measured(char *text) {
  char *at = text ? strstr(text, "\"measured\"") : NULL;
  if (at) *at = 0;
}

static int count_steps(void *ctx, const char *what, uint64_t done, uint64_t total) {
  if (!strcmp(what, "evaluating") && done <= total) ++*(int *)ctx;
  return 0;
}

static int stop_evaluating(void *ctx, const char *what, uint64_t done, uint64_t total) {
  (void)ctx, (void)total;
  return !strcmp(what, "evaluating") && done > 0;
}

TEST(evaluates_as_the_command) {
  char arguments[1000], *result, *out = temp_path("run.json"), *log = temp_path("log");
  size_t n;
  int steps = 0;
  nibble_evaluate_options o = {.size = sizeof o,
                               .data = "data/demo/mmlu",
                               .limit = 2,
                               .shots = 2,
                               .texts = 1,
                               .progress = count_steps,
                               .ctx = &steps};
  CHECK_DONE(nibble_evaluate(demo, &o, &result, &n, &err));
  CHECK(strlen(result) == n && steps > 0);
  snprintf(arguments, sizeof arguments, "eval %s -q -t 1 --data data/demo/mmlu --limit 2 --shots 2 --texts --out '%s'",
           demo_path, out);
  CHECK(command(arguments, log));
  char *want = read_text(out);
  cut_measured(want), cut_measured(result);
  CHECK_STR(result, want);
  nibble_free(result), free(want), free(out), free(log);
}

TEST(compares_as_the_command) {
  char arguments[1000], *a, *b, *report;
  char *base = temp_path("base.json"), *cand = temp_path("cand.json"), *out = temp_path("verdict.json");
  size_t n_a, n_b, n;
  nibble_evaluate_options o = {.size = sizeof o, .data = "data/demo/mmlu", .limit = 4};
  CHECK_DONE(nibble_evaluate(demo, &o, &a, &n_a, &err));
  CHECK_DONE(nibble_evaluate(demo, &o, &b, &n_b, &err));
  temp_write(base, a, n_a), temp_write(cand, b, n_b);
  const nibble_compare_options c = {.size = sizeof c, .gates = "{\"margin\": 40, \"max_kld\": 0.5}"};
  CHECK_DONE(nibble_compare(a, n_a, b, n_b, &c, &report, &n, &err));
  CHECK(strstr(report, "\"verdict\": \"pass\"") || strstr(report, "\"verdict\":\"pass\""));
  snprintf(arguments, sizeof arguments, "compare '%s' '%s' --margin 40 --max-kld 0.5 --json", base, cand);
  CHECK(command(arguments, out));
  char *want = read_text(out);
  CHECK_STR(report, want);
  nibble_free(report), free(want);
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "the candidate", nibble_compare(a, n_a, "{}", 2, &c, &report, &n, &err));
  CHECK(!report && n == 0);
  const nibble_compare_options bad = {.size = sizeof bad, .gates = "{\"margn\": 1}"};
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "margn", nibble_compare(a, n_a, b, n_b, &bad, &report, &n, &err));
  o.limit = 3;
  nibble_free(b);
  CHECK_DONE(nibble_evaluate(demo, &o, &b, &n_b, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "comparable", nibble_compare(a, n_a, b, n_b, NULL, &report, &n, &err));
  nibble_free(a), nibble_free(b), free(base), free(cand), free(out);
}

TEST(journal_goes_on) {
  char *result, *whole, *journal = temp_path("journal");
  size_t n;
  nibble_evaluate_options o = {
      .size = sizeof o, .data = "data/demo/mmlu", .limit = 3, .journal = journal, .progress = stop_evaluating};
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_evaluate(demo, &o, &result, &n, &err));
  CHECK(access(journal, F_OK) == 0);
  o.progress = NULL;
  CHECK_DONE(nibble_evaluate(demo, &o, &result, &n, &err));
  CHECK(access(journal, F_OK) != 0 && strstr(result, "\"from_journal\""));
  o.journal = NULL;
  CHECK_DONE(nibble_evaluate(demo, &o, &whole, &n, &err));
  cut_measured(whole), cut_measured(result);
  CHECK_STR(result, whole);
  nibble_free(result), nibble_free(whole), free(journal);
}

TEST(options_are_checked) {
  static const struct {
    nibble_evaluate_options o;
    nibble_status status;
    const char *part;
  } bad[] = {{{.data = NULL}, NIBBLE_ERROR_ARGUMENT, "data is missing"},
             {{.data = "data/demo/mmlu", .shots = 65}, NIBBLE_ERROR_ARGUMENT, "shots"},
             {{.data = "data/demo/mmlu", .shots = -2}, NIBBLE_ERROR_ARGUMENT, "shots"},
             {{.data = "data/demo/mmlu", .seed = ~0ull}, NIBBLE_ERROR_ARGUMENT, "seed"},
             {{.data = "data/demo/mmlu", .chat = "loud"}, NIBBLE_ERROR_ARGUMENT, "multiturn"},
             {{.data = "data/demo/mmlu", .overlong = "x"}, NIBBLE_ERROR_ARGUMENT, "truncate"},
             {{.data = "data/demo/mmlu", .task = "mmlux"}, NIBBLE_ERROR_ARGUMENT, "mmlu"},
             {{.data = "data/demo/mmlu", .subjects = "alchemy"}, NIBBLE_ERROR_ARGUMENT, "alchemy"},
             {{.data = "/no-data"}, NIBBLE_ERROR_IO, "/no-data"},
             {{.data = "data/demo/mmlu", .journal = "data/demo/config.json"}, NIBBLE_ERROR_ARGUMENT, "write over"}};
  char *result;
  size_t n;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nibble_evaluate_options o = bad[i].o;
    o.size = sizeof o;
    CHECK_FAILS(bad[i].status, bad[i].part, nibble_evaluate(demo, &o, &result, &n, &err));
  }
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "data is missing", nibble_evaluate(demo, NULL, &result, &n, &err));
  const nibble_evaluate_options none = {.size = 0};
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "sizeof(nibble_evaluate_options)",
              nibble_evaluate(demo, &none, &result, &n, &err));
}

int main(int argc, char **argv) {
  const char *slash = argc ? strrchr(argv[0], '/') : NULL;
  const nibble_options o = {.size = sizeof o, .threads = 1};
  snprintf(program, sizeof program, "%.*s/../nibble", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
  if (nibble_open(demo_path, &o, &demo, &err)) return fprintf(stderr, "%s\n", err.text), 1;
  for (int i = 0; i < IDS; i++) ids[i] = 100 + 37 * i;
  RUN(scores_follow_from_logits);
  RUN(each_as_alone);
  RUN(wrong_ids);
  RUN(stop_strings);
  RUN(one_begin_token);
  RUN(interrupted);
  RUN(evaluates_as_the_command);
  RUN(compares_as_the_command);
  RUN(journal_goes_on);
  RUN(options_are_checked);
  nibble_close(demo);
  temp_remove();
  return test_end();
}
