/* SPDX-License-Identifier: MIT */
#include "eval/task.h"

#include "eval/dataset.h"
#include "eval/marker.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "eval/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const nb_score_words[] = {"letter", "continuation", "partial", "generate", NULL};
const char *const nb_metric_words[] = {"acc", "acc_norm", "acc_bytes", "mass", "mark", NULL};
const char *const nb_tie_words[] = {"first", "wrong", NULL};
const char *nb_metric_name(nb_metric m) { return nb_metric_words[m]; }

/* ---- unknown keys ---- */

static const char *const task_keys[] = {
    "task",          "version", "about",   "source",     "data",       "split",     "shots",
    "header",        "prompt",  "option",  "target",     "delimiter",  "separator", "prompt_filter",
    "choice_filter", "score",   "metric",  "ties",       "categories", "preset",    "presets",
    "generate",      "extract", "compare", "by_subject", NULL};
static const char *const data_keys[] = {"splits",       "columns", "subject", "id",     "question",
                                        "choices",      "labels",  "correct", "answer", "answer_base",
                                        "answers_file", "targets", "rows",    "where",  NULL};
static const char *const shots_keys[] = {"count", "from", "select", "drop_to_fit", "examples", NULL};
static const char *const generate_keys[] = {"stop", "max_tokens", "temperature", "top_p", "samples", NULL};
static const char *const subject_keys[] = {"header", "prompt", "examples", "extract", NULL};

static nb_status check_keys(const cJSON *obj, const char *where, const char *const *known, nb_err *err) {
  for (const cJSON *m = obj ? obj->child : NULL; m; m = m->next) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], m->string)) i++;
    if (!known[i]) return nb_fail(err, NB_ERR_FORMAT, "%s: unknown key \"%s\"", where, m->string);
  }
  return NB_OK;
}

/* ---- reading ---- */

/* A path or a list of paths, each spelt right. */
static nb_status paths(const cJSON *data, const char *where, const char *key, const cJSON **out, nb_err *err) {
  const cJSON *v = *out = nb_json_get(data, key);
  if (!v) return NB_OK;
  if (cJSON_IsObject(v) && !strcmp(key, "choices")) { /* {"constant": ["no", "yes"]} */
    static const char *const keys[] = {"constant", NULL};
    char sub[200];
    snprintf(sub, sizeof sub, "%s: \"choices\"", where);
    const cJSON *list;
    NB_TRY(check_keys(v, sub, keys, err));
    return nb_json_array(v, sub, "constant", &list, err);
  }
  const cJSON *first = cJSON_IsArray(v) ? v->child : v;
  if (!first) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is an empty list", where, key);
  for (const cJSON *p = first; p; p = p == v ? NULL : p->next) {
    if (!cJSON_IsString(p))
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must be a field path or a list of them", where, key);
    if (nb_rowpath_check(p->valuestring, err) != NB_OK) return nb_fail_in(err, NB_ERR_FORMAT, "%s: \"%s\"", where, key);
  }
  return NB_OK;
}

static nb_status string_list(const cJSON *v, const char *where, const char *key, nb_err *err) {
  if (!cJSON_IsArray(v) || !v->child)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must be a list of strings", where, key);
  for (const cJSON *e = v->child; e; e = e->next)
    if (!cJSON_IsString(e)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must be a list of strings", where, key);
  return NB_OK;
}

/* {"error_type": "ok"} or {"level": ["1", "2"]}: paths, and the texts that are wanted there. */
static nb_status where_object(const cJSON *data, const char *where, const cJSON **out, nb_err *err) {
  NB_TRY(nb_json_optional_object(data, where, "where", out, err));
  for (const cJSON *w = *out ? (*out)->child : NULL; w; w = w->next) {
    if (nb_rowpath_check(w->string, err) != NB_OK) return nb_fail_in(err, NB_ERR_FORMAT, "%s: \"where\"", where);
    if (!cJSON_IsString(w)) NB_TRY(string_list(w, where, w->string, err));
  }
  return NB_OK;
}

static nb_status read_data(nb_task *t, const char *where, nb_err *err) {
  const cJSON *data;
  NB_TRY(nb_json_object(t->json, where, "data", &data, err));
  NB_TRY(check_keys(data, where, data_keys, err));
  NB_TRY(nb_json_object(data, where, "splits", &t->splits, err));
  for (const cJSON *s = t->splits->child; s; s = s->next) NB_TRY(string_list(s, where, s->string, err));
  if ((t->columns = nb_json_get(data, "columns"))) NB_TRY(string_list(t->columns, where, "columns", err));
  NB_TRY(paths(data, where, "subject", &t->subject, err));
  NB_TRY(paths(data, where, "id", &t->id, err));
  NB_TRY(paths(data, where, "question", &t->question, err));
  NB_TRY(paths(data, where, "choices", &t->choices, err));
  NB_TRY(paths(data, where, "labels", &t->labels, err));
  NB_TRY(paths(data, where, "correct", &t->correct, err));
  NB_TRY(paths(data, where, "answer", &t->answer, err));
  NB_TRY(paths(data, where, "targets", &t->targets, err));
  NB_TRY(nb_json_optional_string(data, where, "rows", &t->rows, err));
  NB_TRY(where_object(data, where, &t->where, err));
  const cJSON *score = nb_json_get(t->json, "score");
  if (cJSON_IsString(score) && !strcmp(score->valuestring, "generate")) return NB_OK;
  if (!t->choices) return nb_fail(err, NB_ERR_FORMAT, "%s: \"data\" says no \"choices\"", where);
  if (!t->answer && !t->correct)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"data\" says neither \"answer\" nor \"correct\"", where);
  NB_TRY(nb_json_optional_string(data, where, "answers_file", &t->answers_file, err));
  return nb_json_optional_size(data, where, "answer_base", 0, 1, &t->answer_base, err);
}

static nb_status template_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err) {
  NB_TRY(nb_json_optional_string(obj, where, key, out, err));
  if (*out && nb_template_check(*out, where, err) != NB_OK) return nb_fail_in(err, NB_ERR_FORMAT, "\"%s\"", key);
  return NB_OK;
}

static nb_status filter_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err) {
  NB_TRY(nb_json_optional_string(obj, where, key, out, err));
  if (!*out) return NB_OK;
  nb_text none = {0};
  nb_status st = nb_text_append_str(&none, "", err);
  if (st == NB_OK) st = nb_template_filter(*out, &none, where, err);
  nb_text_free(&none);
  return st;
}

static nb_status read_prompt(nb_task *t, const char *where, nb_err *err) {
  static const char *const select_words[] = {"subject", "spread", "first", "random", NULL};
  const cJSON *shots = NULL, *j = t->json;
  NB_TRY(nb_json_optional_object(j, where, "shots", &shots, err));
  if (shots) {
    unsigned select = NB_SHOTS_SUBJECT;
    NB_TRY(check_keys(shots, where, shots_keys, err));
    NB_TRY(nb_json_optional_size(shots, where, "count", 0, NB_MAX_SHOTS, &t->shots, err));
    NB_TRY(nb_json_optional_string(shots, where, "from", &t->shots_from, err));
    NB_TRY(nb_json_optional_word(shots, where, "select", select_words, &select, err));
    NB_TRY(nb_json_optional_bool(shots, where, "drop_to_fit", &t->drop_shots, err));
    t->shots_select = (nb_shots_select)select;
    NB_TRY(nb_json_optional_array(shots, where, "examples", &t->examples, err));
    if (t->shots_from && !nb_json_get(t->splits, t->shots_from))
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"shots\" come from \"%s\", which \"splits\" does not have", where,
                     t->shots_from);
    if (t->shots && !t->shots_from && !t->examples && !nb_json_get(j, "by_subject"))
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"shots\" says no \"from\"", where);
  }
  t->header = "", t->delimiter = " ", t->separator = "\n\n", t->option = "{{letter}}. {{choice}}\n";
  t->prompt = "";
  if (!nb_json_get(j, "by_subject")) NB_TRY(nb_json_string(j, where, "prompt", &t->prompt, err));
  NB_TRY(template_string(j, where, "prompt", &t->prompt, err));
  NB_TRY(template_string(j, where, "header", &t->header, err));
  NB_TRY(template_string(j, where, "option", &t->option, err));
  NB_TRY(template_string(j, where, "target", &t->target, err));
  NB_TRY(nb_json_optional_string(j, where, "delimiter", &t->delimiter, err));
  NB_TRY(nb_json_optional_string(j, where, "separator", &t->separator, err));
  NB_TRY(filter_string(j, where, "prompt_filter", &t->prompt_filter, err));
  return filter_string(j, where, "choice_filter", &t->choice_filter, err);
}

/* How a text is written, and the rules that mark it. */
static nb_status read_written(nb_task *t, const char *where, nb_err *err) {
  const cJSON *o = NULL, *stop = NULL;
  t->max_tokens = 256, t->samples = 1, t->top_p = 1;
  NB_TRY(nb_json_optional_object(t->json, where, "generate", &o, err));
  NB_TRY(nb_json_optional_object(t->json, where, "by_subject", &t->by_subject, err));
  if (t->score != NB_SCORE_GENERATE) {
    if (o || t->by_subject || t->targets || nb_json_get(t->json, "extract") || nb_json_get(t->json, "compare"))
      return nb_fail(err, NB_ERR_FORMAT,
                     "%s: \"generate\", \"extract\", \"compare\", \"by_subject\" and \"targets\" are for score "
                     "\"generate\"",
                     where);
    return NB_OK;
  }
  t->metric = NB_METRIC_MARK;
  if (!t->target) t->target = "{{target}}";
  for (const cJSON *s = t->by_subject ? t->by_subject->child : NULL; s; s = s->next) {
    const char *text = NULL;
    if (!cJSON_IsObject(s)) return nb_fail(err, NB_ERR_FORMAT, "%s: by_subject \"%s\" is no object", where, s->string);
    NB_TRY(check_keys(s, where, subject_keys, err));
    NB_TRY(template_string(s, where, "header", &text, err));
    NB_TRY(template_string(s, where, "prompt", &text, err));
  }
  if (o) {
    NB_TRY(check_keys(o, where, generate_keys, err));
    NB_TRY(nb_json_optional_size(o, where, "max_tokens", 1, 1 << 20, &t->max_tokens, err));
    NB_TRY(nb_json_optional_size(o, where, "samples", 1, NB_MAX_SAMPLES, &t->samples, err));
    NB_TRY(nb_json_optional_f64(o, where, "temperature", &t->temperature, err));
    NB_TRY(nb_json_optional_f64(o, where, "top_p", &t->top_p, err));
    NB_TRY(nb_json_optional_array(o, where, "stop", &stop, err));
    if (!(t->temperature >= 0 && t->temperature <= 100 && t->top_p >= 0 && t->top_p <= 1))
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"temperature\" must be 0 to 100 and \"top_p\" 0 to 1", where);
    if (stop && stop->child) NB_TRY(string_list(stop, where, "stop", err));
  }
  const char **list;
  NB_TRY(nb_new(&list, (size_t)(stop ? cJSON_GetArraySize(stop) : 0) + 1, sizeof *list, "stop strings", err));
  t->stop = list;
  for (const cJSON *e = stop ? stop->child : NULL; e; e = e->next) {
    if (!*e->valuestring) return nb_fail(err, NB_ERR_FORMAT, "%s: an empty stop string", where);
    list[t->n_stop++] = e->valuestring;
  }
  return nb_marker_create(t->json, where, &t->marker, err);
}

static nb_status read_score(nb_task *t, const char *where, nb_err *err) {
  unsigned score = NB_SCORE_LETTER, metric = NB_METRIC_ACC, ties = 0;
  NB_TRY(nb_json_optional_word(t->json, where, "score", nb_score_words, &score, err));
  NB_TRY(nb_json_optional_word(t->json, where, "metric", nb_metric_words, &metric, err));
  NB_TRY(nb_json_optional_word(t->json, where, "ties", nb_tie_words, &ties, err));
  t->score = (nb_score_by)score, t->metric = (nb_metric)metric, t->ties_wrong = ties == 1;
  if (t->score == NB_SCORE_PARTIAL && !t->target)
    return nb_fail(err, NB_ERR_FORMAT, "%s: score \"partial\" needs a \"target\" template", where);
  if (t->score != NB_SCORE_PARTIAL && t->score != NB_SCORE_GENERATE && t->target)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"target\" is for scores \"partial\" and \"generate\" only", where);
  if ((t->metric == NB_METRIC_MARK) != (t->score == NB_SCORE_GENERATE) && nb_json_get(t->json, "metric"))
    return nb_fail(err, NB_ERR_FORMAT, "%s: metric \"mark\" is for score \"generate\", which has no other", where);
  if (t->score == NB_SCORE_GENERATE && !t->targets && !nb_json_get(t->json, "compare"))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"data\" says no \"targets\"", where);
  NB_TRY(read_written(t, where, err));
  NB_TRY(nb_json_optional_object(t->json, where, "categories", &t->categories, err));
  for (const cJSON *c = t->categories ? t->categories->child : NULL; c; c = c->next)
    NB_TRY(string_list(c, where, c->string, err));
  return NB_OK;
}

/* ---- presets ---- */

/* Puts copies of over's members into base: objects are merged, everything else is replaced, null removes. */
static bool merge(cJSON *base, const cJSON *over) {
  for (const cJSON *m = over->child; m; m = m->next) {
    cJSON *old = cJSON_GetObjectItemCaseSensitive(base, m->string);
    if (old && cJSON_IsObject(old) && cJSON_IsObject(m)) {
      if (!merge(old, m)) return false;
      continue;
    }
    if (old) cJSON_DeleteItemFromObjectCaseSensitive(base, m->string);
    cJSON *copy = cJSON_Duplicate(m, 1);
    if (!copy || !cJSON_AddItemToObject(base, m->string, copy)) return cJSON_Delete(copy), false;
  }
  return true;
}

static nb_status take_preset(nb_task *t, const char *where, const char *want, nb_err *err) {
  const cJSON *presets = NULL;
  NB_TRY(nb_json_optional_object(t->json, where, "presets", &presets, err));
  NB_TRY(nb_json_optional_string(t->json, where, "preset", &t->preset, err));
  if (!presets) {
    if (want && *want) return nb_fail(err, NB_ERR_ARG, "%s: no preset \"%s\": this task has none", where, want);
    return t->preset = "", NB_OK;
  }
  if (want) t->preset = want;
  char list[200] = "";
  for (const cJSON *p = presets->child; p; p = p->next) {
    if (!cJSON_IsObject(p)) return nb_fail(err, NB_ERR_FORMAT, "%s: preset \"%s\" is no object", where, p->string);
    char sub[300];
    snprintf(sub, sizeof sub, "%s: preset \"%s\"", where, p->string);
    NB_TRY(check_keys(p, sub, task_keys, err));
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", p->string);
  }
  const cJSON *p = t->preset ? cJSON_GetObjectItemCaseSensitive(presets, t->preset) : NULL;
  if (!p)
    return nb_fail(err, NB_ERR_ARG, "%s: no preset \"%s\"; there are %s", where, t->preset ? t->preset : "", list);
  t->preset = p->string;
  return merge(t->json, p) ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
}

/* ---- the whole ---- */

nb_status nb_task_parse(const char *json, size_t n, const char *file, const char *preset, nb_task *out, nb_err *err) {
  nb_status st;
  *out = (nb_task){0};
  NB_TRY(nb_json_parse(json, n, file, &out->json, err));
  if (!cJSON_IsObject(out->json)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: not a JSON object", file));
  NB_GOTO(check_keys(out->json, file, task_keys, err));
  NB_GOTO(nb_json_string(out->json, file, "task", &out->name, err));
  NB_GOTO(take_preset(out, file, preset, err));
  out->about = "";
  NB_GOTO(nb_json_optional_string(out->json, file, "about", &out->about, err));
  NB_GOTO(read_data(out, file, err));
  out->split = out->splits->child ? out->splits->child->string : "";
  NB_GOTO(nb_json_optional_string(out->json, file, "split", &out->split, err));
  if (!nb_json_get(out->splits, out->split))
    NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: \"splits\" does not have the split \"%s\"", file, out->split));
  NB_GOTO(read_prompt(out, file, err));
  NB_GOTO(read_score(out, file, err));
  return NB_OK;
fail:
  nb_task_free(out);
  return st;
}

enum { TASK_MAX_BYTES = 1 << 20 };

nb_status nb_task_open(const char *name, const char *preset, nb_task *out, nb_err *err) {
  *out = (nb_task){0};
  size_t n = strlen(name);
  if (strchr(name, '/') || (n > 5 && !strcmp(name + n - 5, ".json"))) {
    char *bytes;
    NB_TRY(nb_mapfile_read(name, TASK_MAX_BYTES, &bytes, &n, err));
    nb_status st = nb_task_parse(bytes, n, name, preset, out, err);
    free(bytes);
    return st;
  }
  char list[400] = "";
  for (size_t i = 0; i < nb_n_builtin_tasks; i++) {
    const nb_builtin *b = &nb_builtin_tasks[i];
    char file[80];
    snprintf(file, sizeof file, "task %s", b->name);
    if (!strcmp(b->name, name)) return nb_task_parse((const char *)b->json, b->n, file, preset, out, err);
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", b->name);
  }
  return nb_fail(err, NB_ERR_ARG, "no task \"%s\"; there are %s, and any task file's path", name, list);
}

void nb_task_free(nb_task *t) {
  nb_marker_free(t->marker);
  nb_free((void *)(uintptr_t)t->stop);
  cJSON_Delete(t->json);
  *t = (nb_task){0};
}

const char *nb_task_text(const nb_task *t, const char *subject, const char *key, const char *whole) {
  const cJSON *s = t->by_subject ? cJSON_GetObjectItemCaseSensitive(t->by_subject, subject) : NULL;
  const cJSON *own = s ? cJSON_GetObjectItemCaseSensitive(s, key) : NULL;
  return own && cJSON_IsString(own) ? own->valuestring : whole;
}

const char *nb_task_category(const nb_task *t, const char *subject) {
  for (const cJSON *c = t->categories ? t->categories->child : NULL; c; c = c->next)
    for (const cJSON *s = c->child; s; s = s->next)
      if (!strcmp(s->valuestring, subject)) return c->string;
  return "";
}
