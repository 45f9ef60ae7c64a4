/* SPDX-License-Identifier: MIT */
/* nibble_evaluate and nibble_compare: options in, the JSON of eval's results and reports out. */
#include "api/libnibble.h"

#include "eval/evaluate.h"
#include "eval/memory.h"
#include "eval/report.h"
#include "formats/paths.h"

#include <stdio.h>
#include <string.h>

typedef nibble_evaluate_options asked;

/* ---- what is asked ---- */

/* Which of the words (a list that ends with NULL) it is; NULL: the first. */
static nb_status word(const char *option, const char *const *words, const char *given, unsigned *out, nb_err *err) {
  char all[120] = "";
  *out = 0;
  if (!given) return NB_OK;
  for (unsigned i = 0; words[i]; i++) {
    size_t n = strlen(all);
    if (!strcmp(words[i], given)) {
      *out = i;
      return NB_OK;
    }
    snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", words[i]);
  }
  return nb_fail(err, NB_ERR_ARG, "%s '%s': want one of %s", option, given, all);
}

static nb_status read_asked(const asked *a, nb_evaluation_opts *out, nb_err *err) {
  const uint64_t most_seed = (uint64_t)1 << 53; /* which JSON keeps exactly */
  unsigned chat, overlong;
  if (!a->data) return nb_fail(err, NB_ERR_ARG, "data is missing: name the folder, .zip or file with the questions");
  if (a->shots < -1 || a->shots > NB_MAX_SHOTS)
    return nb_fail(err, NB_ERR_ARG, "%d shots is out of range (1 to %d, -1 for none)", a->shots, NB_MAX_SHOTS);
  if (a->seed > most_seed) return nb_fail(err, NB_ERR_ARG, "the seed is above 2^53");
  NB_TRY(word("chat", nb_chat_words, a->chat, &chat, err));
  NB_TRY(word("overlong", nb_overlong_words, a->overlong, &overlong, err));
  *out = (nb_evaluation_opts){
      .task = a->task ? a->task : "mmlu",
      .preset = a->preset,
      .data = a->data,
      .split = a->split,
      .shots = a->shots == 0  ? -1
               : a->shots < 0 ? 0
                              : a->shots,
      .select = {.subjects = a->subjects, .limit = a->limit, .sample = a->sample, .seed = a->seed ? a->seed : 1},
      .plain = a->no_bos != 0,
      .chat = (nb_chat)chat,
      .system = a->system,
      .texts = a->texts != 0,
      .overlong = (nb_overlong)overlong};
  return NB_OK;
}

/* ---- the run ---- */

typedef struct listener {
  const nibble_model *m;
  const asked *a;
  const char *what;
} listener;

static bool step(void *ctx, uint64_t done, uint64_t total) {
  const listener *l = ctx;
  if (atomic_load_explicit(&l->m->interrupt, memory_order_relaxed)) return false;
  return !l->a->progress || l->a->progress(l->a->ctx, l->what, done, total) == 0;
}

static nb_status run(nibble_model *m, const asked *a, const nb_evaluation *e, nb_text *out, nb_err *err) {
  listener l = {m, a, "checking the prompts"};
  const nb_progress progress = {step, &l};
  nb_plan plan = {.n = 0};
  nb_result result = {.n = 0};
  nb_status st;
  NB_GOTO(nb_evaluation_plan(e, &m->opened, m->threads, &progress, &plan, err));
  NB_GOTO(nb_evaluation_accept(e, &m->opened, &plan, err));
  l.what = "evaluating";
  const nb_evaluation_run how = {.name = m->path,
                                 .model = &m->opened,
                                 .session = m->session,
                                 .plan = &plan,
                                 .kv = m->kv,
                                 .kv_bytes = a->kv_memory ? (size_t)a->kv_memory : nb_memory_of_machine() / 4,
                                 .threads = m->threads,
                                 .journal = a->journal,
                                 .progress = &progress};
  NB_GOTO(nb_evaluation_answer(e, &how, &result, err));
  NB_GOTO(nb_result_write(&result, out, err));
  if (a->journal) remove(a->journal);
fail:
  nb_result_free(&result);
  nb_plan_free(&plan);
  return st;
}

static nb_status evaluate(nibble_model *m, const asked *a, nb_text *out, nb_err *err) {
  nb_evaluation_opts o;
  nb_evaluation e = {.n = 0};
  NB_TRY(read_asked(a, &o, err));
  const nb_path paths[] = {{m->path, NULL, NB_PATH_READ},
                           {o.task, NULL, NB_PATH_READ},
                           {a->data, NULL, NB_PATH_READ},
                           {a->journal, "journal", a->journal ? NB_FILE_JOURNAL : NB_PATH_NONE}};
  NB_TRY(nb_path_check(paths, sizeof paths / sizeof *paths, false, err));
  NB_TRY(nb_evaluation_prepare(&o, &e, err));
  nb_status st = run(m, a, &e, out, err);
  nb_evaluation_free(&e);
  return st;
}

nibble_status nibble_evaluate(nibble_model *m, const nibble_evaluate_options *options, char **result, size_t *n_bytes,
                              nibble_error *err) {
  nb_err e;
  nb_text text = {0};
  asked a;
  nb_status st =
      nb_api_options(options, offsetof(asked, ctx) + sizeof a.ctx, "nibble_evaluate_options", &a, sizeof a, &e);
  if (st == NB_OK) st = evaluate(m, &a, &text, &e);
  return nb_api_give_text(st, &text, result, n_bytes, &e, err);
}

/* ---- comparing ---- */

typedef struct runs {
  nb_result base, cand;
  nb_comparison comparison;
} runs;

static nb_status compare(runs *r, const nibble_compare_options *o, nb_text *out, nb_err *err) {
  nb_gates g = nb_gates_default();
  nb_judgement j;
  if (o->gates) NB_TRY(nb_gates_parse(o->gates, strlen(o->gates), "the gates", &g, err));
  const nb_compare_opts co = {.alpha = g.alpha,
                              .margin = nb_gates_margin(&g),
                              .common = o->common != 0,
                              .any_model = o->any_model != 0,
                              .reps = o->resamples,
                              .seed = o->seed ? o->seed : 1};
  NB_TRY(nb_compare(&r->base, &r->cand, &co, &r->comparison, err));
  nb_gates_judge(&g, &r->cand, &r->comparison, &j);
  return nb_report_json(&j, 1, out, err);
}

nibble_status nibble_compare(const char *base, size_t n_base, const char *cand, size_t n_cand,
                             const nibble_compare_options *options, char **report, size_t *n_bytes, nibble_error *err) {
  nb_err e;
  nb_status st;
  nb_text text = {0};
  runs r = {.base = {.n = 0}};
  nibble_compare_options o;
  NB_GOTO(nb_api_options(options, offsetof(nibble_compare_options, seed) + sizeof o.seed, "nibble_compare_options", &o,
                         sizeof o, &e));
  NB_GOTO(nb_result_parse(base, n_base, "the baseline", &r.base, &e));
  NB_GOTO(nb_result_parse(cand, n_cand, "the candidate", &r.cand, &e));
  NB_GOTO(compare(&r, &o, &text, &e));
fail:
  nb_comparison_free(&r.comparison);
  nb_result_free(&r.base), nb_result_free(&r.cand);
  return nb_api_give_text(st, &text, report, n_bytes, &e, err);
}
