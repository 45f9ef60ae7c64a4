/* SPDX-License-Identifier: MIT */
/* The result file (formats/RESULT.md), written and read. */
#include "eval/result.h"

#include "eval/item.h"
#include "eval/written.h"
#include "formats/explain.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "formats/outfile.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the members of an object: one list for writing and for reading ---- */

typedef enum kind { TEXT, HASH, COUNT, BIG, SMALL, REAL } kind; /* size_t, uint64_t, int, double */
typedef struct field {
  const char *key;
  kind kind;
  size_t at;  /* offset in its struct */
  int digits; /* REAL: after the point */
} field;

#define AT(member) offsetof(nb_protocol, member)
static const field protocol_fields[] = {
    {"task", TEXT, AT(task), 0},          {"task_version", COUNT, AT(task_version), 0},
    {"preset", TEXT, AT(preset), 0},      {"split", TEXT, AT(split), 0},
    {"shots", COUNT, AT(shots), 0},       {"examples", TEXT, AT(examples), 0},
    {"subjects", TEXT, AT(subjects), 0},  {"limit", COUNT, AT(limit), 0},
    {"sample", COUNT, AT(sample), 0},     {"seed", BIG, AT(seed), 0},
    {"system", TEXT, AT(system), 0},      {"shard", COUNT, AT(shard), 0},
    {"shards", COUNT, AT(shards), 0},     {"questions", COUNT, AT(questions), 0},
    {"data_xxh3", HASH, AT(data_hash), 0}};
#undef AT
#define AT(member) offsetof(nb_model_facts, member)
static const field model_fields[] = {{"name", TEXT, AT(name), 0},
                                     {"architecture", TEXT, AT(architecture), 0},
                                     {"weights_xxh3", HASH, AT(hash), 0},
                                     {"lineage_xxh3", HASH, AT(lineage), 0},
                                     {"file_bytes", BIG, AT(file_bytes), 0},
                                     {"weight_bytes", BIG, AT(weight_bytes), 0},
                                     {"bits_a_weight", REAL, AT(bits), 4},
                                     {"kv", TEXT, AT(kv), 0}};
#undef AT
#define AT(member) offsetof(nb_measured, member)
static const field measured_fields[] = {{"nibble", TEXT, AT(version), 0},
                                        {"system", TEXT, AT(system), 0},
                                        {"cpu", TEXT, AT(cpu), 0},
                                        {"kernels", TEXT, AT(kernels), 0},
                                        {"threads", SMALL, AT(threads), 0},
                                        {"seconds", REAL, AT(seconds), 3},
                                        {"prompt_seconds", REAL, AT(prompt_seconds), 3},
                                        {"tokens", BIG, AT(tokens), 0},
                                        {"tokens_unshared", BIG, AT(tokens_alone), 0},
                                        {"from_journal", BIG, AT(from_journal), 0},
                                        {"file_backed_bytes", BIG, AT(memory.most.file_bytes), 0},
                                        {"anonymous_bytes", BIG, AT(memory.most.anon_bytes), 0},
                                        {"peak_bytes", BIG, AT(memory.most.peak_bytes), 0},
                                        {"kv_bytes", BIG, AT(kv_bytes), 0},
                                        {"session_bytes", BIG, AT(session_bytes), 0}};
static const field written_fields[] = {{"new_tokens", BIG, AT(new_tokens), 0},
                                       {"model_seconds", REAL, AT(model_seconds), 3},
                                       {"steps", BIG, AT(steps), 0},
                                       {"most_running", BIG, AT(most_running), 0},
                                       {"gave_way", BIG, AT(gave_way), 0}};
#undef AT
#define WITH(fields) fields, sizeof fields / sizeof *fields

/* ---- writing ---- */

static void write_fields(nb_jsonout *j, const field *f, size_t n, const void *object) {
  for (; n--; f++) {
    const void *p = (const char *)object + f->at;
    switch (f->kind) {
    case TEXT: nb_jsonout_string(j, f->key, *(const char *const *)p ? *(const char *const *)p : ""); break;
    case HASH: nb_jsonout_string(j, f->key, p); break;
    case COUNT: nb_jsonout_u64(j, f->key, *(const size_t *)p); break;
    case BIG: nb_jsonout_u64(j, f->key, *(const uint64_t *)p); break;
    case SMALL: nb_jsonout_u64(j, f->key, (uint64_t) * (const int *)p); break;
    case REAL: nb_jsonout_fixed(j, f->key, *(const double *)p, f->digits); break;
    }
  }
}

static void write_protocol(nb_jsonout *j, const nb_result *r) {
  const nb_protocol *p = &r->protocol;
  char prompts[NB_HASH_TEXT];
  nb_result_prompts_hash(r, prompts);
  nb_jsonout_open(j, "protocol", '{');
  j->lines = false;
  write_fields(j, WITH(protocol_fields), p);
  nb_jsonout_string(j, "score", nb_score_words[p->score]);
  nb_jsonout_string(j, "metric", nb_metric_words[p->metric]);
  nb_jsonout_string(j, "ties", nb_tie_words[p->ties_wrong]);
  nb_jsonout_bool(j, "special_tokens", !p->plain);
  nb_jsonout_string(j, "chat", nb_chat_words[p->chat]);
  if (p->n_marks) {
    nb_jsonout_open(j, "marks", '[');
    for (size_t k = 0; k < p->n_marks; k++) nb_jsonout_string(j, NULL, p->marks[k]);
    nb_jsonout_close(j, ']');
  }
  if (p->overlong) nb_jsonout_string(j, "overlong", nb_overlong_words[p->overlong]);
  if (p->stopped_at) nb_jsonout_u64(j, "stopped_at", p->stopped_at);
  nb_jsonout_string(j, "prompts_xxh3", prompts);
  nb_jsonout_close(j, '}');
  j->lines = true;
}

void nb_result_write_model(nb_jsonout *j, const nb_model_facts *m) {
  bool lines = j->lines;
  nb_jsonout_open(j, "model", '{');
  j->lines = false;
  write_fields(j, WITH(model_fields), m);
  nb_jsonout_close(j, '}');
  j->lines = lines;
}

void nb_result_write_scores(nb_jsonout *j, const char *key, const char *category, const nb_scores *s,
                            const nb_protocol *p) {
  double mean[NB_MEANS];
  bool lines = j->lines, written = p->score == NB_SCORE_GENERATE;
  nb_scores_means(s, p->metric, mean);
  nb_jsonout_open(j, key, '{');
  j->lines = false;
  if (category && *category) nb_jsonout_string(j, "category", category);
  nb_jsonout_u64(j, "n", s->n);
  for (size_t i = 0; i < (written ? NB_MEAN_ACC : NB_MEANS); i++) nb_jsonout_fixed(j, nb_mean_names[i], mean[i], 6);
  if (written) nb_jsonout_open(j, "marks", '{');
  for (size_t k = 0; written && k < s->n_marks; k++) nb_jsonout_fixed(j, p->marks[k], s->mark[k] / s->weight[k], 6);
  if (written) nb_jsonout_close(j, '}');
  nb_jsonout_close(j, '}');
  j->lines = lines;
}

static nb_status write_summary(nb_jsonout *j, const nb_result *r) {
  nb_summary s;
  NB_TRY(nb_summary_make(r, &s, j->err));
  const nb_protocol *p = &r->protocol;
  nb_result_write_scores(j, "total", NULL, &s.total, p);
  nb_jsonout_fixed(j, "macro", s.macro, 6);
  nb_jsonout_open(j, "categories", '{');
  for (size_t i = 0; i < s.n_categories; i++)
    nb_result_write_scores(j, s.category[i].name, NULL, &s.category[i].scores, p);
  nb_jsonout_close(j, '}');
  nb_jsonout_open(j, "subjects", '{');
  for (size_t i = 0; i < s.n_subjects; i++)
    if (*s.subject[i].name || s.n_subjects > 1)
      nb_result_write_scores(j, s.subject[i].name, s.subject[i].category, &s.subject[i].scores, p);
  nb_jsonout_close(j, '}');
  nb_summary_free(&s);
  return NB_OK;
}

static void write_choices(nb_jsonout *j, const nb_result *r, const nb_row *row) {
  const nb_answer *a = &row->answer;
  size_t n = row->item.n_choices;
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
}

static void write_row(nb_jsonout *j, const nb_result *r, const nb_row *row) {
  char prompt[20];
  const nb_answer *a = &row->answer;
  nb_jsonout_open(j, NULL, '{');
  j->lines = false;
  nb_jsonout_string(j, "id", row->item.id);
  nb_jsonout_string(j, "subject", row->item.subject);
  if (*row->category) nb_jsonout_string(j, "category", row->category);
  if (a->written) nb_written_write(j, a->written);
  else write_choices(j, r, row);
  nb_jsonout_u64(j, "shots", a->shots);
  nb_jsonout_u64(j, "tokens", a->n_tokens);
  snprintf(prompt, sizeof prompt, "%016llx", (unsigned long long)a->prompt_hash);
  nb_jsonout_string(j, "prompt_xxh3", prompt);
  if (a->fit) nb_jsonout_string(j, "fit", nb_fit_words[a->fit]);
  if (row->calibrated_on) nb_jsonout_bool(j, "calibrated_on", true);
  if (r->texts) nb_item_write_texts(j, &row->item);
  nb_jsonout_close(j, '}');
  j->lines = true;
}

void nb_result_write_measured(nb_jsonout *j, const nb_measured *m) {
  const nb_memory_watch *w = &m->memory;
  bool lines = j->lines;
  nb_jsonout_open(j, "measured", '{');
  j->lines = false;
  write_fields(j, WITH(measured_fields), m);
  if (m->steps) write_fields(j, WITH(written_fields), m);
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
  j->lines = lines;
}

nb_status nb_result_write(const nb_result *r, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  j.lines = true;
  nb_jsonout_string(&j, "format", "nibble-result");
  nb_jsonout_u64(&j, "format_version", NB_RESULT_VERSION);
  write_protocol(&j, r);
  nb_result_write_model(&j, &r->model);
  nb_jsonout_u64(&j, "calibrated_on", nb_result_calibrated_on(r));
  if (nb_result_approximate(r)) nb_jsonout_u64(&j, "approximate", nb_result_approximate(r));
  NB_TRY(write_summary(&j, r));
  nb_jsonout_open(&j, "answers", '[');
  for (size_t i = 0; i < r->n; i++) write_row(&j, r, &r->row[i]);
  nb_jsonout_close(&j, ']');
  if (r->has_measured) nb_result_write_measured(&j, &r->measured);
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

/* A text that reports show on a line. */
static nb_status label(reader *rd, const cJSON *obj, const char *key, const char **out) {
  NB_TRY(copied(rd, obj, key, out));
  if (strcmp(key, "system")) nb_status_printable((char *)(uintptr_t)*out, ""); /* that one is a part of prompts */
  return NB_OK;
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
  return nb_json_optional_size(obj, rd->where, key, 0, NB_JSON_WHOLE, out, rd->err);
}

static nb_status read_fields(reader *rd, const cJSON *obj, const field *f, size_t n, void *object) {
  for (; n--; f++) {
    void *p = (char *)object + f->at;
    size_t v = 0;
    if (f->kind == COUNT || f->kind == BIG || f->kind == SMALL) NB_TRY(number(rd, obj, f->key, &v));
    switch (f->kind) {
    case TEXT: NB_TRY(label(rd, obj, f->key, p)); break;
    case HASH: NB_TRY(hash_text(rd, obj, f->key, p)); break;
    case COUNT: *(size_t *)p = v; break;
    case BIG: *(uint64_t *)p = v; break;
    case SMALL: *(int *)p = (int)nb_min(v, INT_MAX); break;
    case REAL: NB_TRY(nb_json_optional_f64(obj, rd->where, f->key, p, rd->err)); break;
    }
  }
  return NB_OK;
}

static nb_status read_protocol(reader *rd, const cJSON *root, char prompts[NB_HASH_TEXT]) {
  nb_protocol *p = &rd->r->protocol;
  const cJSON *o;
  unsigned score, metric, tie, chat = NB_CHAT_NO, overlong = NB_OVERLONG_FAIL;
  const cJSON *marks = NULL;
  bool special = true;
  NB_TRY(nb_json_object(root, rd->where, "protocol", &o, rd->err));
  NB_TRY(read_fields(rd, o, WITH(protocol_fields), p));
  NB_TRY(nb_json_word(o, rd->where, "score", nb_score_words, &score, rd->err));
  NB_TRY(nb_json_word(o, rd->where, "metric", nb_metric_words, &metric, rd->err));
  NB_TRY(nb_json_word(o, rd->where, "ties", nb_tie_words, &tie, rd->err));
  NB_TRY(nb_json_optional_bool(o, rd->where, "special_tokens", &special, rd->err));
  NB_TRY(nb_json_optional_word(o, rd->where, "chat", nb_chat_words, &chat, rd->err));
  NB_TRY(nb_json_optional_array(o, rd->where, "marks", &marks, rd->err));
  for (const cJSON *m = marks ? marks->child : NULL; m; m = m->next) {
    if (!cJSON_IsString(m) || p->n_marks == NB_MAX_MARKS)
      return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"marks\" must be at most %d names", rd->where, NB_MAX_MARKS);
    p->marks[p->n_marks] = nb_pool_copy(&rd->r->pool, m->valuestring, strlen(m->valuestring));
    if (!p->marks[p->n_marks++]) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  }
  if ((score == NB_SCORE_GENERATE) != (p->n_marks > 0) || (score == NB_SCORE_GENERATE) != (metric == NB_METRIC_MARK))
    return nb_fail(rd->err, NB_ERR_FORMAT, "%s: score, metric and \"marks\" do not go together", rd->where);
  p->chat = (nb_chat)chat;
  NB_TRY(nb_json_optional_word(o, rd->where, "overlong", nb_overlong_words, &overlong, rd->err));
  p->overlong = (nb_overlong)overlong;
  NB_TRY(number(rd, o, "stopped_at", &p->stopped_at));
  NB_TRY(hash_text(rd, o, "prompts_xxh3", prompts));
  p->score = (nb_score_by)score, p->metric = (nb_metric)metric, p->ties_wrong = tie, p->plain = !special;
  return NB_OK;
}

static nb_status read_model(reader *rd, const cJSON *root) {
  const cJSON *o;
  NB_TRY(nb_json_object(root, rd->where, "model", &o, rd->err));
  return read_fields(rd, o, WITH(model_fields), &rd->r->model);
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

/* A list of texts, exactly *n of them or, afterwards, as many as there were. */
static nb_status read_list(reader *rd, const cJSON *o, const char *key, bool exact, const char ***out, size_t *n) {
  const cJSON *list = NULL;
  size_t i = 0;
  NB_TRY(nb_json_optional_array(o, rd->where, key, &list, rd->err));
  size_t count = list ? (size_t)cJSON_GetArraySize(list) : 0;
  if (exact && count != *n) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"%s\" must be %zu texts", rd->where, key, *n);
  *n = count;
  *out = nb_pool_get(&rd->r->pool, count * sizeof **out);
  if (!*out) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  for (const cJSON *e = list ? list->child : NULL; e; e = e->next) {
    if (!cJSON_IsString(e)) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"%s\" must hold texts", rd->where, key);
    (*out)[i] = nb_pool_copy(&rd->r->pool, e->valuestring, strlen(e->valuestring));
    if (!(*out)[i++]) return nb_fail(rd->err, NB_ERR_MEMORY, "%s: out of memory", rd->where);
  }
  return NB_OK;
}

static nb_status read_texts(reader *rd, const cJSON *o, nb_item *it) {
  if (!nb_json_get(o, "question")) return it->question = "", rd->r->texts = false, NB_OK;
  bool written = rd->r->protocol.score == NB_SCORE_GENERATE;
  NB_TRY(copied(rd, o, "question", &it->question));
  NB_TRY(read_list(rd, o, "choices", !written, &it->choice, &it->n_choices));
  return read_list(rd, o, "targets", false, &it->target, &it->n_targets);
}

static nb_status read_choices(reader *rd, const cJSON *o, nb_row *row) {
  nb_item *it = &row->item;
  nb_answer *a = &row->answer;
  const cJSON *list;
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
  return NB_OK;
}

static nb_status read_row(reader *rd, const cJSON *o, nb_row *row) {
  nb_item *it = &row->item;
  nb_answer *a = &row->answer;
  const char *prompt;
  size_t shots, tokens;
  unsigned fit = NB_FIT_WHOLE;
  NB_TRY(copied(rd, o, "id", &it->id));
  NB_TRY(copied(rd, o, "subject", &it->subject));
  NB_TRY(copied(rd, o, "category", &row->category));
  if (!*it->id) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: no \"id\"", rd->where);
  if (rd->r->protocol.score == NB_SCORE_GENERATE)
    NB_TRY(nb_written_read(o, rd->where, rd->r->protocol.n_marks, &rd->r->pool, &a->written, rd->err));
  else NB_TRY(read_choices(rd, o, row));
  NB_TRY(number(rd, o, "shots", &shots));
  NB_TRY(number(rd, o, "tokens", &tokens));
  a->shots = (uint32_t)shots, a->n_tokens = (uint32_t)tokens;
  NB_TRY(nb_json_string(o, rd->where, "prompt_xxh3", &prompt, rd->err));
  if (strlen(prompt) != 16 || strspn(prompt, "0123456789abcdef") != 16)
    return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"prompt_xxh3\" is no hash of 16 hexadecimal digits", rd->where);
  a->prompt_hash = strtoull(prompt, NULL, 16);
  NB_TRY(nb_json_optional_word(o, rd->where, "fit", nb_fit_words, &fit, rd->err));
  a->fit = (nb_fit)fit;
  NB_TRY(nb_json_optional_bool(o, rd->where, "calibrated_on", &row->calibrated_on, rd->err));
  return read_texts(rd, o, it);
}

static nb_status read_series(reader *rd, const cJSON *o, nb_memory_watch *w) {
  const cJSON *list = NULL;
  NB_TRY(nb_json_optional_array(o, rd->where, "memory_series", &list, rd->err));
  for (const cJSON *e = list ? list->child : NULL; e && w->n_series < NB_MEMORY_SERIES; e = e->next, w->n_series++) {
    size_t v[3] = {0}, k = 0;
    for (const cJSON *x = cJSON_IsArray(e) ? e->child : NULL; x && k < 3; x = x->next)
      NB_TRY(nb_json_as_size(x, rd->where, "memory_series", 0, NB_JSON_WHOLE, &v[k++], rd->err));
    if (k != 3) return nb_fail(rd->err, NB_ERR_FORMAT, "%s: \"memory_series\" must hold lists of 3 numbers", rd->where);
    w->series[w->n_series].done = v[0];
    w->series[w->n_series].file_bytes = v[1], w->series[w->n_series].anon_bytes = v[2];
  }
  return NB_OK;
}

static nb_status read_measured(reader *rd, const cJSON *root) {
  const cJSON *o = NULL;
  NB_TRY(nb_json_optional_object(root, rd->where, "measured", &o, rd->err));
  if (!o) return NB_OK;
  NB_TRY(read_fields(rd, o, WITH(measured_fields), &rd->r->measured));
  NB_TRY(read_fields(rd, o, WITH(written_fields), &rd->r->measured));
  NB_TRY(read_series(rd, o, &rd->r->measured.memory));
  return rd->r->has_measured = true, NB_OK;
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
  if (n > NB_MAX_QUESTIONS)
    return nb_fail(rd->err, NB_ERR_UNSUPPORTED, "%s: %zu answers, at most %d are read", file, n, NB_MAX_QUESTIONS);
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
  st = nb_json_parse(json, n, file, &root, err);
  if (st != NB_OK) return nb_explain_bytes(file, json, n, NB_FILE_RESULT, st, err);
  const cJSON *said = nb_json_get(root, "format");
  format = cJSON_IsString(said) ? said->valuestring : "";
  if (strcmp(format, "nibble-result")) {
    st = nb_fail(err, NB_ERR_FORMAT, "%s: not a result of nibble eval (\"format\": \"nibble-result\")", file);
    NB_GOTO(nb_explain_bytes(file, json, n, NB_FILE_RESULT, st, err));
  }
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
  NB_TRY(nb_mapfile_read(path, RESULT_MAX_BYTES, &bytes, &n, err));
  nb_status st = nb_result_parse(bytes, n, path, out, err);
  free(bytes);
  return st;
}
