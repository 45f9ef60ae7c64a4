/* SPDX-License-Identifier: MIT */
#include "eval/merge.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- merging ---- */

static bool same_system(const nb_protocol *p, const nb_protocol *q) {
  return !strcmp(p->system ? p->system : "", q->system ? q->system : "");
}

/* Whether two shards are of one run: everything but the shard's number. */
static bool same_run(const nb_result *a, const nb_result *b) {
  const nb_protocol *p = &a->protocol, *q = &b->protocol;
  return !strcmp(p->task, q->task) && !strcmp(p->preset, q->preset) && !strcmp(p->split, q->split) &&
         !strcmp(p->subjects, q->subjects) && !strcmp(p->data_hash, q->data_hash) &&
         p->task_version == q->task_version && p->shots == q->shots && p->score == q->score && p->metric == q->metric &&
         p->ties_wrong == q->ties_wrong && p->chat == q->chat && same_system(p, q) && p->plain == q->plain &&
         p->overlong == q->overlong && p->limit == q->limit && p->sample == q->sample && p->seed == q->seed &&
         p->shards == q->shards && p->questions == q->questions && a->texts == b->texts &&
         !strcmp(a->model.hash, b->model.hash) && !strcmp(a->model.kv, b->model.kv);
}

static nb_status find_shard(const nb_result *shard, size_t n, size_t want, const nb_result **out, nb_err *err) {
  *out = NULL;
  for (size_t i = 0; i < n; i++) {
    if (shard[i].protocol.shard != want) continue;
    if (*out) return nb_fail(err, NB_ERR_ARG, "shard %zu of %zu is given twice", want + 1, shard[0].protocol.shards);
    *out = &shard[i];
  }
  return *out ? NB_OK : nb_fail(err, NB_ERR_ARG, "shard %zu of %zu is missing", want + 1, shard[0].protocol.shards);
}

static void add_measured(nb_measured *to, const nb_measured *m) {
  to->seconds += m->seconds, to->prompt_seconds += m->prompt_seconds;
  to->tokens += m->tokens, to->tokens_alone += m->tokens_alone, to->from_journal += m->from_journal;
  nb_memory *most = &to->memory.most;
  most->file_bytes = nb_memwatch_larger(most->file_bytes, m->memory.most.file_bytes);
  most->anon_bytes = nb_memwatch_larger(most->anon_bytes, m->memory.most.anon_bytes);
  most->peak_bytes = nb_memwatch_larger(most->peak_bytes, m->memory.most.peak_bytes);
  to->kv_bytes = nb_memwatch_larger(to->kv_bytes, m->kv_bytes);
  to->new_tokens += m->new_tokens, to->steps += m->steps, to->gave_way += m->gave_way;
  to->most_running = nb_memwatch_larger(to->most_running, m->most_running);
  to->model_seconds += m->model_seconds;
}

static void take_measured(nb_result *to, const nb_result *from) {
  if (!from->has_measured) return;
  if (to->has_measured) add_measured(&to->measured, &from->measured);
  else to->measured = from->measured, to->has_measured = true;
}

nb_status nb_merge(const nb_result *shard, const char *const *name, size_t n, nb_result *out, nb_err *err) {
  *out = (nb_result){0};
  size_t shards = shard[0].protocol.shards, total = 0;
  for (size_t i = 0; i < n; i++)
    if (!shard[i].protocol.shards) return nb_fail(err, NB_ERR_ARG, "%s: this run is no shard", name[i]);
  for (size_t i = 1; i < n; i++)
    if (!same_run(&shard[0], &shard[i]))
      return nb_fail(err, NB_ERR_ARG, "%s is of another run than %s (task, settings, data or model differ)", name[i],
                     name[0]);
  for (size_t i = 0; i < n; i++) total += shard[i].n;
  nb_row *row = calloc(total + 1, sizeof *row);
  if (!row) return nb_fail(err, NB_ERR_MEMORY, "out of memory: %zu answers", total);
  *out = (nb_result){.protocol = shard[0].protocol, .model = shard[0].model, .texts = shard[0].texts, .row = row};
  for (size_t s = 0; s < shards; s++) {
    const nb_result *r;
    nb_status st = find_shard(shard, n, s, &r, err);
    if (st != NB_OK) return nb_result_free(out), st;
    nb_assert(out->n + r->n <= total);
    memcpy(row + out->n, r->row, r->n * sizeof *row);
    out->n += r->n;
    take_measured(out, r);
  }
  out->protocol.shard = out->protocol.shards = 0;
  if (n > shards || out->n != out->protocol.questions) {
    nb_result_free(out);
    return nb_fail(err, NB_ERR_ARG, "the shards hold %zu of the run's %zu questions", total,
                   shard[0].protocol.questions);
  }
  return NB_OK;
}

/* ---- parts ---- */

typedef struct placed {
  const nb_item *item;
  const nb_row *row;
} placed;

static int by_place(const void *a, const void *b) {
  const placed *x = a, *y = b;
  return (x->item > y->item) - (x->item < y->item);
}

nb_status nb_merge_parts(const nb_evaluation *e, const nb_result *part, size_t n, nb_result *out, nb_err *err) {
  size_t total = 0, from = 0;
  placed *p;
  *out = (nb_result){.protocol = part[0].protocol, .model = part[0].model, .texts = part[0].texts};
  for (size_t k = 0; k < n; k++) total += part[k].n;
  nb_assert(total && total <= e->n);
  NB_TRY(nb_new(&p, total, sizeof *p, "answers", err));
  for (size_t k = 0; k < n; from += part[k++].n) { /* a result's rows stand in the data's order */
    for (size_t i = 0; i < part[k].n; i++) p[from + i].item = e->item[from + i];
    qsort(p + from, part[k].n, sizeof *p, by_place);
    for (size_t i = 0; i < part[k].n; i++) p[from + i].row = &part[k].row[i];
    take_measured(out, &part[k]);
  }
  qsort(p, total, sizeof *p, by_place);
  if ((out->row = calloc(total, sizeof *out->row))) out->n = total;
  for (size_t i = 0; i < out->n; i++) out->row[i] = *p[i].row;
  nb_free(p);
  if (e->order) out->protocol.stopped_at = total, out->protocol.seed = e->order;
  return out->row ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: %zu answers", total);
}

/* ---- which shard am I ---- */

/* The variable as a whole number. */
static bool number(char *(*get)(const char *), const char *name, size_t *out) {
  const char *s = name ? get(name) : NULL;
  if (!s || !*s || strlen(s) > 9 || strspn(s, "0123456789") != strlen(s)) return false;
  *out = strtoul(s, NULL, 10);
  return true;
}

nb_status nb_merge_shard_auto(char *(*get)(const char *name), size_t *shard, size_t *shards, const char **source,
                              nb_err *err) {
  static const struct {
    const char *what, *index, *count;
  } known[] = {{"NIBBLE_SHARD", "NIBBLE_SHARD", "NIBBLE_SHARDS"}, /* from 1, as in --shard I/N */
               {"Slurm job step", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
               {"OpenMPI rank", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
               {"MPICH rank", "PMI_RANK", "PMI_SIZE"},
               {"GitLab parallel job", "CI_NODE_INDEX", "CI_NODE_TOTAL"}, /* from 1 */
               {"CircleCI node", "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL"},
               {"Buildkite job", "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT"}};
  size_t i = 0, n = 0, low = 0, high = 0, step = 1;
  *source = NULL;
  if (number(get, "SLURM_ARRAY_TASK_ID", &i) && number(get, "SLURM_ARRAY_TASK_MIN", &low) &&
      number(get, "SLURM_ARRAY_TASK_MAX", &high)) {
    number(get, "SLURM_ARRAY_TASK_STEP", &step);
    if (!step || i < low || i > high || (i - low) % step)
      return nb_fail(err, NB_ERR_ARG, "SLURM_ARRAY_TASK_ID %zu is not in the array %zu to %zu by %zu", i, low, high,
                     step);
    *source = "Slurm array", *shard = (i - low) / step, *shards = (high - low) / step + 1;
    return NB_OK;
  }
  for (size_t k = 0; k < sizeof known / sizeof *known && !*source; k++)
    if (number(get, known[k].index, &i) && number(get, known[k].count, &n) && (n > 1 || k == 0 || k > 3)) {
      bool from_one = !strcmp(known[k].index, "NIBBLE_SHARD") || !strcmp(known[k].index, "CI_NODE_INDEX");
      *source = known[k].what;
      i -= from_one; /* wraps below 1 */
    }
  if (!*source)
    return nb_fail(err, NB_ERR_ARG,
                   "--shard auto: no Slurm array, MPI rank or CI node in the environment; use --shard I/N "
                   "or NIBBLE_SHARD and NIBBLE_SHARDS");
  if (i >= n) return nb_fail(err, NB_ERR_ARG, "--shard auto: the %s's number is outside its %zu", *source, n);
  *shard = i, *shards = n;
  return NB_OK;
}
