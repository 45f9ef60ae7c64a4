/* SPDX-License-Identifier: MIT */
#include "eval/evaluate.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "eval/overlap.h"
#include "eval/run_key.h"
#include "eval/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

/* ---- preparing ---- */

/* The questions of all shards together: their number and hash are the same in every shard. */
static nb_status hash_whole(nb_evaluation *e, nb_err *err) {
  nb_selection whole = e->o.select;
  const nb_item **items;
  size_t n;
  whole.shards = 0;
  NB_TRY(nb_select(&e->set, &whole, &items, &n, err));
  nb_status st = nb_result_items_hash(items, n, e->protocol.data_hash, err);
  e->protocol.questions = n;
  free(items);
  return st;
}

nb_status nb_evaluation_prepare(const nb_evaluation_opts *opts, nb_evaluation *out, nb_err *err) {
  nb_evaluation *e = out;
  nb_status st;
  *e = (nb_evaluation){.o = *opts};
  const nb_selection *s = &opts->select;
  NB_GOTO(nb_task_open(opts->task, opts->preset, &e->task, err));
  const nb_task *t = &e->task;
  const char *split = opts->split ? opts->split : t->split;
  size_t shots = opts->shots < 0 ? t->shots : (size_t)opts->shots;
  if (shots > NB_MAX_SHOTS) NB_GOTO(nb_fail(err, NB_ERR_ARG, "%zu examples; at most %d", shots, NB_MAX_SHOTS));
  bool given = t->examples || t->by_subject; /* the task itself may hold examples */
  if (shots && !t->shots_from && !given)
    NB_GOTO(nb_fail(err, NB_ERR_ARG, "task %s has no split that examples come from; use --shots 0", t->name));
  NB_GOTO(nb_dataset_read(t, opts->data, split, &e->set, err));
  bool same = shots && t->shots_from && !strcmp(split, t->shots_from);
  if (shots && t->shots_from && !same) NB_GOTO(nb_dataset_read(t, opts->data, t->shots_from, &e->examples, err));
  NB_GOTO(
      nb_prompter_create(t, shots, t->shots_from ? same ? &e->set : &e->examples : NULL, &e->set, &e->prompter, err));
  e->prompter.form = (nb_turns_form){.chat = opts->chat, .system = opts->system};
  bool sampled = t->score == NB_SCORE_GENERATE && t->temperature > 0;
  double version = 0;
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(t->json, "version");
  if (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < 1e9) version = v->valuedouble;
  e->protocol = (nb_protocol){.task = t->name,
                              .preset = t->preset,
                              .split = e->set.split,
                              .task_version = (size_t)version,
                              .shots = shots,
                              .score = t->score,
                              .metric = t->metric,
                              .ties_wrong = t->ties_wrong,
                              .plain = opts->plain,
                              .overlong = opts->overlong,
                              .chat = opts->chat,
                              .system = opts->system ? opts->system : "",
                              .limit = s->limit,
                              .sample = s->sample,
                              .subjects = s->subjects ? s->subjects : "",
                              .seed = s->sample || sampled ? s->seed : 0,
                              .shard = s->shard,
                              .shards = s->shards};
  if (t->marker) e->protocol.n_marks = nb_marker_count(t->marker);
  for (size_t k = 0; k < e->protocol.n_marks; k++) e->protocol.marks[k] = nb_marker_name(t->marker, k);
  NB_GOTO(hash_whole(e, err));
  NB_GOTO(nb_select(&e->set, s, &e->item, &e->n, err));
  if (!e->n) NB_GOTO(nb_fail(err, NB_ERR_ARG, "shard %zu of %zu has no question", s->shard + 1, s->shards));
  return NB_OK;
fail:
  nb_evaluation_free(e);
  return st;
}

void nb_evaluation_free(nb_evaluation *e) {
  free(e->item);
  nb_prompter_free(&e->prompter);
  nb_dataset_free(&e->set), nb_dataset_free(&e->examples);
  nb_task_free(&e->task);
  *e = (nb_evaluation){0};
}

/* ---- one model ---- */

typedef struct answering {
  const nb_evaluation *e;
  const nb_evaluation_run *run;
  nb_journal *journal;
  nb_memory_watch memory;
  size_t enough;  /* see nb_evaluation_run */
  size_t resumed; /* answers that the journal had */
  nb_result *out; /* whose pool holds what was written */
} answering;

static void name_ceiling(const answering *a, const char *gate) {
  if (a->run->ended_by) *a->run->ended_by = gate;
}

static nb_status check_memory(const answering *a, nb_err *err) {
  const nb_memory *m = &a->memory.last;
  uint64_t anonymous = a->run->max_anonymous, total = a->run->max_total;
  if (anonymous && m->anon_bytes > anonymous) {
    name_ceiling(a, "max_memory");
    return nb_fail(err, NB_ERR_GATE, "memory of the process's own is %.4g MB, over the ceiling of %.4g MB",
                   (double)m->anon_bytes / 1e6, (double)anonymous / 1e6);
  }
  if (total && m->file_bytes + m->anon_bytes > total) {
    name_ceiling(a, "max_total_memory");
    return nb_fail(err, NB_ERR_GATE, "memory is %.4g MB (%.4g of files, %.4g of its own), over the ceiling of %.4g MB",
                   (double)(m->file_bytes + m->anon_bytes) / 1e6, (double)m->file_bytes / 1e6,
                   (double)m->anon_bytes / 1e6, (double)total / 1e6);
  }
  return NB_OK;
}

static nb_status on_answer(void *ctx, size_t index, const nb_answer *answer, nb_err *err) {
  answering *a = ctx;
  if (a->journal) NB_TRY(nb_journal_add(a->journal, index, answer, err));
  if (!a->run->answered) return NB_OK;
  return a->run->answered(a->run->ctx, index, a->e->item[index], answer, err);
}

static nb_status on_busy(void *ctx, size_t done, nb_err *err) {
  answering *a = ctx;
  nb_memwatch_sample(&a->memory, done);
  return check_memory(a, err);
}

static bool on_enough(void *ctx) {
  answering *a = ctx;
  if (a->run->enough) a->enough = a->run->enough(a->run->ctx);
  return a->enough > 0;
}

/* Continues the run's journal. Each answer in it must be to the prompt that would be asked. */
static nb_status open_journal(const nb_evaluation *e, answering *a, const nb_plan *plan, const nb_result *r,
                              nb_answer *answer, bool *done, nb_err *err) {
  const char *path = a->run->journal;
  nb_journal_answers to = {.n = e->n, .answer = answer, .done = done, .pool = &a->out->pool};
  nb_text key = {0};
  nb_status st;
  if (!path) return NB_OK;
  NB_GOTO(nb_run_key(e, plan, &r->model, a->run->name, &key, err));
  NB_GOTO(nb_journal_open(path, key.s, &to, &a->journal, err));
  a->resumed = to.resumed;
  for (size_t i = 0; i < e->n && a->resumed; i++)
    if (done[i] && answer[i].written) /* the rules give again what the journal does not keep */
      NB_GOTO(
          nb_marker_mark(e->task.marker, e->item[i], &a->out->pool, (nb_written *)(uintptr_t)answer[i].written, err));
  for (size_t i = 0; i < e->n && a->resumed; i++)
    if (done[i] && answer[i].prompt_hash != plan->question[i].prompt_hash)
      NB_GOTO(nb_fail(err, NB_ERR_FORMAT,
                      "%s: the journal's answer to question %s is to another prompt; remove it to begin anew", path,
                      e->item[i]->id));
  for (size_t i = 0; i < e->n && a->resumed && a->run->answered; i++)
    if (done[i]) NB_GOTO(a->run->answered(a->run->ctx, i, e->item[i], &answer[i], err));
fail:
  nb_text_free(&key);
  return st;
}

static nb_status describe_machine(nb_result *r, const nb_evaluation_run *run, nb_err *err) {
  nb_measured *m = &r->measured;
  struct utsname u;
  char cpu[128], system[300] = "";
  nb_cpu_name(cpu);
  if (!uname(&u)) snprintf(system, sizeof system, "%.60s %.100s %.60s", u.sysname, u.release, u.machine);
  m->cpu = nb_pool_copy(&r->pool, cpu, strlen(cpu));
  m->system = nb_pool_copy(&r->pool, system, strlen(system));
  m->kernels = nb_session_kernels(run->session)->name;
  m->version = NB_VERSION;
  m->threads = nb_session_threads(run->session);
  m->session_bytes = nb_session_bytes(run->session);
  r->has_measured = true;
  return m->cpu && m->system ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
}

nb_status nb_evaluation_overlap(const nb_evaluation *e, const nb_opened *m, const char *name, bool *found,
                                size_t *count, nb_err *err) {
  nb_sketch sketch;
  NB_TRY(nb_overlap_sketch(m, name, &sketch, err));
  nb_status st = nb_overlap_items(&sketch, e->item, e->n, found, count, err);
  nb_sketch_free(&sketch);
  return st;
}

/* A prompt whose answer is written leaves room for one token at least, and for all that the task allows where prompts
 * are cut to fit, as lm-evaluation-harness cuts them. */
static nb_encode_opts encode_opts(const nb_evaluation *e, const nb_opened *m) {
  size_t most = m->model.config.max_position, room = 0;
  bool cut = e->o.overlong == NB_OVERLONG_TRUNCATE;
  if (e->task.score == NB_SCORE_GENERATE) room = cut ? nb_min(e->task.max_tokens, most - 1) : 1;
  return (nb_encode_opts){.plain = e->o.plain, .cut = cut, .max_tokens = most - room};
}

/* The prompter with the model's chat template. */
static nb_prompter prompter_for(const nb_evaluation *e, const nb_opened *m) {
  nb_prompter p = e->prompter;
  p.form.tokenizer = m->tokenizer;
  return p;
}

nb_status nb_evaluation_plan(const nb_evaluation *e, const nb_opened *m, int threads, const nb_progress *progress,
                             nb_plan *out, nb_err *err) {
  nb_encode_opts o = encode_opts(e, m);
  nb_prompter p = prompter_for(e, m);
  const nb_plan_set set = {&p, m->tokenizer, &o, e->item, e->n};
  return nb_plan_make(&set, (int)nb_max(1, (size_t)threads), progress, out, err);
}

nb_status nb_evaluation_accept(const nb_evaluation *e, const nb_opened *m, const nb_plan *plan, nb_err *err) {
  char advice[120] = "--overlong truncate or --overlong wrong says what to do with them";
  size_t first = 0, longest = 0;
  if (!plan->n_not || e->o.overlong == NB_OVERLONG_WRONG) return NB_OK;
  for (size_t i = plan->n; i-- > 0;)
    if (plan->question[i].fit == NB_FIT_NOT) first = i, longest = nb_max(longest, plan->question[i].n_tokens);
  if (e->o.overlong == NB_OVERLONG_TRUNCATE) {
    snprintf(advice, sizeof advice, "the answers alone are too long; --overlong wrong counts such questions as wrong");
  } else if (e->prompter.shots && !e->task.drop_shots) {
    nb_encode_opts o = encode_opts(e, m);
    nb_prompter p = prompter_for(e, m);
    const nb_plan_set set = {&p, m->tokenizer, &o, e->item, e->n};
    int shots;
    NB_TRY(nb_plan_fewer_shots(plan, &set, &shots, err));
    if (shots >= 0)
      snprintf(advice, sizeof advice, "all fit with --shots %d; --overlong truncate or wrong runs them anyway", shots);
  }
  return nb_fail(err, NB_ERR_ARG,
                 "%zu of %zu prompts do not fit: question %.100s%s has %u tokens, the model takes %zu, the longest "
                 "has %zu; %s",
                 plan->n_not, plan->n, e->item[first]->id, plan->n_not > 1 ? ", the first," : "",
                 plan->question[first].n_tokens, plan->max_tokens, longest, advice);
}

typedef struct placed {
  const nb_item *item;
  size_t index;
} placed;

static int by_place(const void *a, const void *b) {
  const placed *x = a, *y = b;
  return (x->item > y->item) - (x->item < y->item);
}

/* The rows of the first n questions, in the data's order. */
static nb_status make_rows(const nb_evaluation *e, const nb_answer *answer, const bool *seen, size_t n, nb_result *out,
                           nb_err *err) {
  placed *p;
  NB_TRY(nb_new(&p, n, sizeof *p, "answers", err));
  for (size_t i = 0; i < n; i++) p[i] = (placed){e->item[i], i};
  qsort(p, n, sizeof *p, by_place);
  if ((out->row = calloc(n, sizeof *out->row))) out->n = n;
  for (size_t i = 0; i < out->n; i++)
    out->row[i] =
        (nb_row){*p[i].item, answer[p[i].index], nb_task_category(&e->task, p[i].item->subject), seen[p[i].index]};
  nb_free(p);
  return out->n ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: answers");
}

nb_status nb_evaluation_answer(const nb_evaluation *e, const nb_evaluation_run *run, nb_result *out, nb_err *err) {
  nb_answer *answer = NULL;
  bool *done = NULL, *seen = NULL;
  size_t n_seen;
  nb_run_stats stats;
  answering a = {.e = e, .run = run, .out = out};
  nb_prompter prompter;
  nb_encode_opts encode;
  nb_plan own = {.n = 0};
  const nb_plan *plan = run->plan ? run->plan : &own;
  nb_status st;
  double t0 = nb_clock();
  *out = (nb_result){.protocol = e->protocol, .texts = e->o.texts};
  NB_GOTO(nb_identity_make(run->name, run->model, run->kv, &out->model, err));
  NB_GOTO(nb_new(&answer, e->n, sizeof *answer, "answers", err));
  NB_GOTO(nb_new(&done, e->n, sizeof *done, "answers", err));
  NB_GOTO(nb_new(&seen, e->n, sizeof *seen, "answers", err));
  NB_GOTO(nb_evaluation_overlap(e, run->model, run->name, seen, &n_seen, err));
  if (!run->plan) NB_GOTO(nb_evaluation_plan(e, run->model, run->threads, NULL, &own, err));
  NB_GOTO(nb_evaluation_accept(e, run->model, plan, err));
  nb_memwatch_sample(&a.memory, 0);
  NB_GOTO(open_journal(e, &a, plan, out, answer, done, err));
  nb_run_opts ro = {.plain = e->o.plain,
                    .alone = run->alone,
                    .overlong = e->o.overlong,
                    .kv = run->kv,
                    .kv_bytes = run->kv_bytes,
                    .threads = run->threads,
                    .texts = e->o.texts,
                    .seed = e->o.select.seed,
                    .progress = run->progress,
                    .answered = on_answer,
                    .busy = on_busy,
                    .enough = on_enough,
                    .ctx = &a};
  prompter = prompter_for(e, run->model), encode = encode_opts(e, run->model);
  const nb_run_set set = {&prompter, run->model->tokenizer, &run->model->model, run->session, e->item, e->n, done};
  if (e->task.score == NB_SCORE_GENERATE) st = nb_writer_run(&set, &encode, &ro, &out->pool, answer, &stats, err);
  else st = nb_runner_run(&set, &ro, answer, &stats, err);
  if (st != NB_OK) goto fail;
  size_t n = on_enough(&a) ? a.enough : e->n;
  NB_GOTO(make_rows(e, answer, seen, n, out, err));
  if (e->order) out->protocol.stopped_at = n, out->protocol.seed = e->order;
  out->measured = (nb_measured){.seconds = nb_clock() - t0,
                                .prompt_seconds = stats.prompt_seconds,
                                .tokens = stats.tokens,
                                .tokens_alone = stats.tokens_alone,
                                .from_journal = a.resumed,
                                .memory = a.memory,
                                .kv_bytes = stats.kv_bytes,
                                .new_tokens = stats.new_tokens,
                                .steps = stats.steps,
                                .most_running = stats.most_running,
                                .gave_way = stats.gave_way,
                                .model_seconds = stats.model_seconds};
  NB_GOTO(describe_machine(out, run, err));
fail:
  nb_journal_close(a.journal);
  nb_plan_free(&own);
  nb_free(answer), nb_free(done), nb_free(seen);
  if (st != NB_OK) nb_result_free(out);
  return st;
}
