/* SPDX-License-Identifier: MIT */
/* The result file (formats/RESULT.md), written and read. */
#include "result.h"

#include "item.h"
#include "json.h"
#include "mapfile.h"
#include "outfile.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const score_names[] = {"letter", "continuation", "partial"};

/* ---- writing ---- */

static void write_protocol(nb_jsonout *j, const nb_result *r) {
  const nb_protocol *p = &r->protocol;
  char prompts[NB_HASH_TEXT];
  nb_result_prompts_hash(r, prompts);
  nb_jsonout_open(j, "protocol", '{');
  j->lines = false;
  nb_jsonout_string(j, "task", p->task);
  nb_jsonout_u64(j, "task_version", p->task_version);
  nb_jsonout_string(j, "preset", p->preset);
  nb_jsonout_string(j, "split", p->split);
  nb_jsonout_u64(j, "shots", p->shots);
  nb_jsonout_string(j, "score", score_names[p->score]);
  nb_jsonout_string(j, "metric", nb_metric_name(p->metric));
  nb_jsonout_string(j, "ties", p->ties_wrong ? "wrong" : "first");
  nb_jsonout_bool(j, "special_tokens", !p->plain);
  nb_jsonout_string(j, "subjects", p->subjects);
  nb_jsonout_u64(j, "limit", p->limit);
  nb_jsonout_u64(j, "sample", p->sample);
  nb_jsonout_u64(j, "seed", p->seed);
  nb_jsonout_u64(j, "shard", p->shard);
  nb_jsonout_u64(j, "shards", p->shards);
  nb_jsonout_u64(j, "questions", p->questions);
  if (p->stopped_at) nb_jsonout_u64(j, "stopped_at", p->stopped_at);
  nb_jsonout_string(j, "data_xxh3", p->data_hash);
  nb_jsonout_string(j, "prompts_xxh3", prompts);
  nb_jsonout_close(j, '}');
  j->lines = true;
}

static void write_model(nb_jsonout *j, const nb_model_facts *m) {
  nb_jsonout_open(j, "model", '{');
  j->lines = false;
  nb_jsonout_string(j, "name", m->name);
  nb_jsonout_string(j, "architecture", m->architecture);
  nb_jsonout_string(j, "weights_xxh3", m->hash);
  nb_jsonout_string(j, "lineage_xxh3", m->lineage);
  nb_jsonout_u64(j, "file_bytes", m->file_bytes);
  nb_jsonout_u64(j, "weight_bytes", m->weight_bytes);
  nb_jsonout_fixed(j, "bits_a_weight", m->bits, 4);
  nb_jsonout_string(j, "kv", m->kv);
  nb_jsonout_close(j, '}');
  j->lines = true;
}

static void write_scores(nb_jsonout *j, const char *key, const char *category, const nb_scores *s, nb_metric metric) {
  double n = (double)s->n, low, high;
  nb_wilson(nb_scores_sum(s, metric), n, 0.95, &low, &high);
  nb_jsonout_open(j, key, '{');
  bool lines = j->lines;
  j->lines = false;
  if (category && *category) nb_jsonout_string(j, "category", category);
  nb_jsonout_u64(j, "n", s->n);
  nb_jsonout_fixed(j, "score", nb_scores_sum(s, metric) / n, 6);
  nb_jsonout_fixed(j, "low", low, 6);
  nb_jsonout_fixed(j, "high", high, 6);
  nb_jsonout_fixed(j, "acc", s->acc / n, 6);
  nb_jsonout_fixed(j, "acc_norm", s->acc_norm / n, 6);
  nb_jsonout_fixed(j, "acc_bytes", s->acc_bytes / n, 6);
  nb_jsonout_fixed(j, "mass", s->mass / n, 6);
  nb_jsonout_fixed(j, "brier", s->brier / n, 6);
  nb_jsonout_fixed(j, "ece", nb_scores_ece(s), 6);
  nb_jsonout_close(j, '}');
  j->lines = lines;
}

static nb_status write_summary(nb_jsonout *j, const nb_result *r) {
  nb_summary s;
  NB_TRY(nb_summary_make(r, &s, j->err));
  nb_metric m = r->protocol.metric;
  write_scores(j, "total", NULL, &s.total, m);
  nb_jsonout_fixed(j, "macro", s.macro, 6);
  nb_jsonout_open(j, "categories", '{');
  for (size_t i = 0; i < s.n_categories; i++) write_scores(j, s.category[i].name, NULL, &s.category[i].scores, m);
  nb_jsonout_close(j, '}');
  nb_jsonout_open(j, "subjects", '{');
  for (size_t i = 0; i < s.n_subjects; i++)
    if (*s.subject[i].name || s.n_subjects > 1)
      write_scores(j, s.subject[i].name, s.subject[i].category, &s.subject[i].scores, m);
  nb_jsonout_close(j, '}');
  nb_summary_free(&s);
  return NB_OK;
}

static void write_row(nb_jsonout *j, const nb_result *r, const nb_row *row) {
  char prompt[20];
  const nb_answer *a = &row->answer;
  size_t n = row->item.n_choices;
  nb_jsonout_open(j, NULL, '{');
  j->lines = false;
  nb_jsonout_string(j, "id", row->item.id);
  nb_jsonout_string(j, "subject", row->item.subject);
  if (*row->category) nb_jsonout_string(j, "category", row->category);
  nb_jsonout_open(j, "right", '[');
  for (size_t c = 0; c < n; c++)
    if (row->item.correct[c]) nb_jsonout_u64(j, NULL, c);
  nb_jsonout_close(j, ']');
  nb_jsonout_open(j, "logprobs", '[');
  for (size_t c = 0; c < n; c++) nb_jsonout_double(j, NULL, a->logprob[c]);
  nb_jsonout_close(j, ']');
  if (r->protocol.score != NB_SCORE_LETTER) {
    nb_jsonout_open(j, "chars", '[');
    for (size_t c = 0; c < n; c++) nb_jsonout_u64(j, NULL, a->chars[c]);
    nb_jsonout_close(j, ']');
    nb_jsonout_open(j, "bytes", '[');
    for (size_t c = 0; c < n; c++) nb_jsonout_u64(j, NULL, a->bytes[c]);
    nb_jsonout_close(j, ']');
  }
  nb_jsonout_u64(j, "shots", a->shots);
  nb_jsonout_u64(j, "tokens", a->n_tokens);
  snprintf(prompt, sizeof prompt, "%016llx", (unsigned long long)a->prompt_hash);
  nb_jsonout_string(j, "prompt_xxh3", prompt);
  if (row->calibrated_on) nb_jsonout_bool(j, "calibrated_on", true);
  if (r->texts) nb_item_write_texts(j, &row->item);
  nb_jsonout_close(j, '}');
  j->lines = true;
}

static void write_measured(nb_jsonout *j, const nb_measured *m) {
  const nb_memory_watch *w = &m->memory;
  nb_jsonout_open(j, "measured", '{');
  j->lines = false;
  nb_jsonout_string(j, "nibble", m->version);
  nb_jsonout_string(j, "system", m->system);
  nb_jsonout_string(j, "cpu", m->cpu);
  nb_jsonout_string(j, "kernels", m->kernels);
  nb_jsonout_u64(j, "threads", (uint64_t)m->threads);
  nb_jsonout_fixed(j, "seconds", m->seconds, 3);
  nb_jsonout_fixed(j, "prompt_seconds", m->prompt_seconds, 3);
  nb_jsonout_u64(j, "tokens", m->tokens);
  nb_jsonout_u64(j, "tokens_unshared", m->tokens_alone);
  nb_jsonout_u64(j, "file_backed_bytes", w->most.file_bytes);
  nb_jsonout_u64(j, "anonymous_bytes", w->most.anon_bytes);
  nb_jsonout_u64(j, "peak_bytes", w->most.peak_bytes);
  nb_jsonout_u64(j, "kv_bytes", m->kv_bytes);
  nb_jsonout_u64(j, "session_bytes", m->session_bytes);
  nb_jsonout_open(j, "memory_series", '[');
  for (size_t i = 0; i < w->n_series; i++) {
    nb_jsonout_open(j, NULL, '[');
    nb_jsonout_u64(j, NULL, w->series[i].done);
    nb_jsonout_u64(j, NULL, w->series[i].file_bytes);
    nb_jsonout_u64(j, NULL, w->series[i].anon_bytes);
    nb_jsonout_close(j, ']');
  }
  nb_jsonout_close(j, ']');
  nb_jsonout_close(j, '}');
  j->lines = true;
}

nb_status nb_result_write(const nb_result *r, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  j.lines = true;
  nb_jsonout_string(&j, "format", "nibble-result");
  nb_jsonout_u64(&j, "format_version", NB_RESULT_VERSION);
  write_protocol(&j, r);
  write_model(&j, &r->model);
  nb_jsonout_u64(&j, "calibrated_on", nb_result_calibrated_on(r));
  NB_TRY(write_summary(&j, r));
  nb_jsonout_open(&j, "answers", '[');
  for (size_t i = 0; i < r->n; i++) write_row(&j, r, &r->row[i]);
  nb_jsonout_close(&j, ']');
  if (r->has_measured) write_measured(&j, &r->measured);
  nb_jsonout_close(&j, '}');
  NB_TRY(j.st);
  return nb_text_append(out, "\n", 1, err);
}

nb_status nb_result_save(const nb_result *r, const char *path, nb_err *err) {
  nb_text text = {0};
  nb_status st = nb_result_write(r, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

/* ---- reading ---- */

enum { RESULT_MAX_BYTES = 1 << 30 };

typedef struct reader {
  nb_result *r;
  char where[300]; /* "FILE: answer 12" */
  nb_err *err;
} reader;

static nb_status copied(reader *rd, const cJSON *obj, const char *key, const char **out) {
  const char *s = "";
  NB_TRY(nb_json_optional_string(obj, rd->where, key, &s, rd->err));
  *out = nb_pool_copy(&rd->r->pool, s, strlen(s));
  return *out ? NB_OK : nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
}

static nb_status hash_text(reader *rd, const cJSON *obj, const char *key, char out[NB_HASH_TEXT]) {
  const char *s = "";
  NB_TRY(nb_json_optional_string(obj, rd->where, key, &s, rd->err));
  if (*s && (strlen(s) != NB_HASH_TEXT - 1 || strspn(s, "0123456789abcdef") != NB_HASH_TEXT - 1))
    return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"%s\" is no hash of 32 hexadecimal digits", rd->where, key);
  snprintf(out, NB_HASH_TEXT, "%s", s);
  return NB_OK;
}

static nb_status number(reader *rd, const cJSON *obj, const char *key, size_t *out) {
  *out = 0;
  return nb_json_optional_size(obj, rd->where, key, 0, (size_t)1 << 53, out, rd->err);
}

static nb_status word(reader *rd, const cJSON *obj, const char *key, const char *const *words, size_t n,
                      unsigned *out) {
  const char *s;
  NB_TRY(nb_json_string(obj, rd->where, key, &s, rd->err));
  for (unsigned i = 0; i < n; i++)
    if (!strcmp(words[i], s)) return *out = i, NB_OK;
  return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"%s\" is \"%s\"", rd->where, key, s);
}

static nb_status read_protocol(reader *rd, const cJSON *root, char prompts[NB_HASH_TEXT]) {
  static const char *const metrics[] = {"acc", "acc_norm", "acc_bytes", "mass"}, *const ties[] = {"first", "wrong"};
  nb_protocol *p = &rd->r->protocol;
  const cJSON *o;
  unsigned score, metric, tie;
  size_t seed;
  bool special = true;
  NB_TRY(nb_json_object(root, rd->where, "protocol", &o, rd->err));
  NB_TRY(copied(rd, o, "task", &p->task));
  NB_TRY(copied(rd, o, "preset", &p->preset));
  NB_TRY(copied(rd, o, "split", &p->split));
  NB_TRY(copied(rd, o, "subjects", &p->subjects));
  NB_TRY(number(rd, o, "task_version", &p->task_version));
  NB_TRY(number(rd, o, "shots", &p->shots));
  NB_TRY(word(rd, o, "score", score_names, 3, &score));
  NB_TRY(word(rd, o, "metric", metrics, 4, &metric));
  NB_TRY(word(rd, o, "ties", ties, 2, &tie));
  NB_TRY(nb_json_optional_bool(o, rd->where, "special_tokens", &special, rd->err));
  NB_TRY(number(rd, o, "limit", &p->limit));
  NB_TRY(number(rd, o, "sample", &p->sample));
  NB_TRY(number(rd, o, "seed", &seed));
  NB_TRY(number(rd, o, "shard", &p->shard));
  NB_TRY(number(rd, o, "shards", &p->shards));
  NB_TRY(number(rd, o, "questions", &p->questions));
  NB_TRY(number(rd, o, "stopped_at", &p->stopped_at));
  NB_TRY(hash_text(rd, o, "data_xxh3", p->data_hash));
  NB_TRY(hash_text(rd, o, "prompts_xxh3", prompts));
  p->score = (nb_score_by)score, p->metric = (nb_metric)metric, p->ties_wrong = tie, p->plain = !special,
  p->seed = seed;
  return NB_OK;
}

static nb_status read_model(reader *rd, const cJSON *root) {
  nb_model_facts *m = &rd->r->model;
  const cJSON *o;
  size_t file, weights;
  NB_TRY(nb_json_object(root, rd->where, "model", &o, rd->err));
  NB_TRY(copied(rd, o, "name", &m->name));
  NB_TRY(copied(rd, o, "architecture", &m->architecture));
  NB_TRY(copied(rd, o, "kv", &m->kv));
  NB_TRY(hash_text(rd, o, "weights_xxh3", m->hash));
  NB_TRY(hash_text(rd, o, "lineage_xxh3", m->lineage));
  NB_TRY(number(rd, o, "file_bytes", &file));
  NB_TRY(number(rd, o, "weight_bytes", &weights));
  m->file_bytes = file, m->weight_bytes = weights;
  return nb_json_optional_f64(o, rd->where, "bits_a_weight", &m->bits, rd->err);
}

static nb_status read_right(reader *rd, const cJSON *o, nb_item *it) {
  const cJSON *list;
  NB_TRY(nb_json_array(o, rd->where, "right", &list, rd->err));
  it->answer = it->n_choices;
  for (const cJSON *e = list->child; e; e = e->next) {
    size_t c;
    NB_TRY(nb_json_as_size(e, rd->where, "a right choice", 0, it->n_choices - 1, &c, rd->err));
    it->correct[c] = true;
    if (c < it->answer) it->answer = c;
  }
  if (it->answer == it->n_choices) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: no choice is right", rd->where);
  return NB_OK;
}

static nb_status read_lengths(reader *rd, const cJSON *o, const char *key, size_t n, uint32_t *out) {
  const cJSON *list = NULL;
  for (size_t c = 0; c < n; c++) out[c] = 1;
  NB_TRY(nb_json_optional_array(o, rd->where, key, &list, rd->err));
  size_t c = 0, v;
  for (const cJSON *e = list ? list->child : NULL; e; e = e->next) {
    NB_TRY(nb_json_as_size(e, rd->where, key, 1, UINT32_MAX, &v, rd->err));
    if (c < n) out[c] = (uint32_t)v;
    c++;
  }
  if (list && c != n) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: %zu \"%s\" for %zu choices", rd->where, c, key, n);
  return NB_OK;
}

static nb_status read_texts(reader *rd, const cJSON *o, nb_item *it) {
  const cJSON *list = NULL;
  size_t c = 0;
  if (!nb_json_get(o, "question")) return it->question = "", rd->r->texts = false, NB_OK;
  NB_TRY(copied(rd, o, "question", &it->question));
  NB_TRY(nb_json_array(o, rd->where, "choices", &list, rd->err));
  it->choice = nb_pool_get(&rd->r->pool, it->n_choices * sizeof *it->choice);
  if (!it->choice) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  for (const cJSON *e = list->child; e; e = e->next, c++) {
    if (!cJSON_IsString(e) || c == it->n_choices)
      return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"choices\" must be %zu texts", rd->where, it->n_choices);
    it->choice[c] = nb_pool_copy(&rd->r->pool, e->valuestring, strlen(e->valuestring));
    if (!it->choice[c]) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  }
  if (c != it->n_choices) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: too few \"choices\"", rd->where);
  return NB_OK;
}

static nb_status read_row(reader *rd, const cJSON *o, nb_row *row) {
  nb_item *it = &row->item;
  nb_answer *a = &row->answer;
  const cJSON *list;
  const char *prompt;
  size_t shots, tokens;
  NB_TRY(copied(rd, o, "id", &it->id));
  NB_TRY(copied(rd, o, "subject", &it->subject));
  NB_TRY(copied(rd, o, "category", &row->category));
  if (!*it->id) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: no \"id\"", rd->where);
  NB_TRY(nb_json_array(o, rd->where, "logprobs", &list, rd->err));
  for (const cJSON *e = list->child; e; e = e->next) {
    if (it->n_choices == NB_MAX_CHOICES) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: too many choices", rd->where);
    NB_TRY(nb_json_as_f64(e, rd->where, "a log-prob", &a->logprob[it->n_choices++], rd->err));
  }
  if (it->n_choices < 2) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: fewer than 2 log-probs", rd->where);
  it->correct = nb_pool_get(&rd->r->pool, it->n_choices * sizeof *it->correct);
  if (!it->correct) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  NB_TRY(read_right(rd, o, it));
  NB_TRY(read_lengths(rd, o, "chars", it->n_choices, a->chars));
  NB_TRY(read_lengths(rd, o, "bytes", it->n_choices, a->bytes));
  NB_TRY(number(rd, o, "shots", &shots));
  NB_TRY(number(rd, o, "tokens", &tokens));
  a->shots = (uint32_t)shots, a->n_tokens = (uint32_t)tokens;
  NB_TRY(nb_json_string(o, rd->where, "prompt_xxh3", &prompt, rd->err));
  if (strlen(prompt) != 16 || strspn(prompt, "0123456789abcdef") != 16)
    return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"prompt_xxh3\" is no hash of 16 hexadecimal digits", rd->where);
  a->prompt_hash = strtoull(prompt, NULL, 16);
  NB_TRY(nb_json_optional_bool(o, rd->where, "calibrated_on", &row->calibrated_on, rd->err));
  return read_texts(rd, o, it);
}

static nb_status read_series(reader *rd, const cJSON *o, nb_memory_watch *w) {
  const cJSON *list = NULL;
  NB_TRY(nb_json_optional_array(o, rd->where, "memory_series", &list, rd->err));
  for (const cJSON *e = list ? list->child : NULL; e && w->n_series < NB_MEMORY_SERIES; e = e->next, w->n_series++) {
    size_t v[3] = {0}, k = 0;
    for (const cJSON *x = cJSON_IsArray(e) ? e->child : NULL; x && k < 3; x = x->next)
      NB_TRY(nb_json_as_size(x, rd->where, "memory_series", 0, (size_t)1 << 53, &v[k++], rd->err));
    if (k != 3) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"memory_series\" must hold lists of 3 numbers", rd->where);
    w->series[w->n_series].done = v[0];
    w->series[w->n_series].file_bytes = v[1], w->series[w->n_series].anon_bytes = v[2];
  }
  return NB_OK;
}

static nb_status read_measured(reader *rd, const cJSON *root) {
  nb_measured *m = &rd->r->measured;
  const cJSON *o = NULL;
  size_t v[7];
  static const char *const keys[7] = {"tokens", "file_backed_bytes", "anonymous_bytes", "peak_bytes", "kv_bytes",
                                      "session_bytes", "threads"};
  NB_TRY(nb_json_optional_object(root, rd->where, "measured", &o, rd->err));
  if (!o) return NB_OK;
  NB_TRY(copied(rd, o, "cpu", &m->cpu));
  NB_TRY(copied(rd, o, "kernels", &m->kernels));
  NB_TRY(copied(rd, o, "nibble", &m->version));
  NB_TRY(copied(rd, o, "system", &m->system));
  for (size_t i = 0; i < 7; i++) NB_TRY(number(rd, o, keys[i], &v[i]));
  NB_TRY(nb_json_optional_f64(o, rd->where, "seconds", &m->seconds, rd->err));
  NB_TRY(read_series(rd, o, &m->memory));
  m->tokens = v[0], m->memory.most.file_bytes = v[1], m->memory.most.anon_bytes = v[2],
  m->memory.most.peak_bytes = v[3];
  m->kv_bytes = v[4], m->session_bytes = v[5], m->threads = (int)v[6], rd->r->has_measured = true;
  return NB_OK;
}

static int by_id(const void *a, const void *b) {
  return strcmp((*(nb_row *const *)a)->item.id, (*(nb_row *const *)b)->item.id);
}

static nb_status refuse_twice(const nb_result *r, const char *file, nb_err *err) {
  nb_row **sorted = calloc(r->n + 1, sizeof *sorted);
  if (!sorted) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", file);
  for (size_t i = 0; i < r->n; i++) sorted[i] = &r->row[i];
  qsort(sorted, r->n, sizeof *sorted, by_id);
  nb_status st = NB_OK;
  for (size_t i = 1; i < r->n && st == NB_OK; i++)
    if (!strcmp(sorted[i - 1]->item.id, sorted[i]->item.id))
      st = nb_fail(err, NB_ERR_FORMAT, "%s: the id \"%s\" comes twice", file, sorted[i]->item.id);
  free(sorted);
  return st;
}

static nb_status read_answers(reader *rd, const cJSON *root, const char *file) {
  nb_result *r = rd->r;
  const cJSON *list;
  NB_TRY(nb_json_array(root, rd->where, "answers", &list, rd->err));
  size_t n = (size_t)cJSON_GetArraySize(list);
  if (!n) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: no answers", file);
  r->row = calloc(n, sizeof *r->row);
  if (!r->row) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", file);
  r->texts = true;
  for (const cJSON *e = list->child; e; e = e->next) {
    snprintf(rd->where, sizeof rd->where, "%.200s: answer %zu", file, r->n + 1);
    NB_TRY(read_row(rd, e, &r->row[r->n]));
    r->n++;
  }
  snprintf(rd->where, sizeof rd->where, "%.250s", file);
  if (r->protocol.stopped_at && r->protocol.stopped_at != r->n)
    return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"stopped_at\" is %zu with %zu answers", file, r->protocol.stopped_at,
                   r->n);
  return refuse_twice(r, file, rd->err);
}

nb_status nb_result_parse(const char *json, size_t n, const char *file, nb_result *out, nb_err *err) {
  reader rd = {.r = out, .err = err};
  cJSON *root;
  const char *format;
  char want[NB_HASH_TEXT], have[NB_HASH_TEXT];
  size_t version;
  nb_status st;
  *out = (nb_result){0};
  snprintf(rd.where, sizeof rd.where, "%.250s", file);
  NB_TRY(nb_json_parse(json, n, file, &root, err));
  NB_GOTO(nb_json_string(root, file, "format", &format, err));
  if (strcmp(format, "nibble-result")) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: not a result of nibble eval", file));
  NB_GOTO(nb_json_size(root, file, "format_version", 1, 1 << 20, &version, err));
  if (version > NB_RESULT_VERSION)
    NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: written by a newer nibble (format %zu)", file, version));
  NB_GOTO(read_protocol(&rd, root, want));
  NB_GOTO(read_model(&rd, root));
  NB_GOTO(read_answers(&rd, root, file));
  NB_GOTO(read_measured(&rd, root));
  nb_result_prompts_hash(out, have);
  if (strcmp(want, have)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: \"prompts_xxh3\" does not fit the answers", file));
  cJSON_Delete(root);
  return NB_OK;
fail:
  cJSON_Delete(root);
  nb_result_free(out);
  return st;
}

nb_status nb_result_load(const char *path, nb_result *out, nb_err *err) {
  char *bytes;
  size_t n;
  *out = (nb_result){0};
  NB_TRY(nb_read_file(path, RESULT_MAX_BYTES, &bytes, &n, err));
  nb_status st = nb_result_parse(bytes, n, path, out, err);
  free(bytes);
  return st;
}
