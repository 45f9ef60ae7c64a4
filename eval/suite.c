/* SPDX-License-Identifier: MIT */
#include "eval/suite.h"

#include "eval/prompt.h"
#include "formats/json.h"
#include "formats/mapfile.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { SUITE_MAX_BYTES = 1 << 20, MAX_ROWS = 256, MAX_PUBLISHED = 64 };

static const char *const suite_keys[] = {"suite", "version", "about", "source", "published", "rows", NULL};
static const char *const row_keys[] = {"name",  "task", "needs", "preset",   "split",
                                       "shots", "with", "data",  "examples", NULL};

static nb_status check_keys(const cJSON *obj, const char *where, const char *const *known, nb_err *err) {
  for (const cJSON *m = obj->child; m; m = m->next) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], m->string)) i++;
    if (!known[i]) return nb_fail(err, NB_ERR_FORMAT, "%s: unknown key \"%s\"", where, m->string);
  }
  return NB_OK;
}

static nb_status strings(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err) {
  NB_TRY(nb_json_optional_array(obj, where, key, out, err));
  for (const cJSON *e = *out ? (*out)->child : NULL; e; e = e->next)
    if (!cJSON_IsString(e) || !*e->valuestring)
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must be a list of strings", where, key);
  return NB_OK;
}

/* "BigBench-Hard" -> "bigbench_hard". */
static void make_id(nb_suite_row *row) {
  size_t n = 0;
  for (const char *s = row->name; *s && n + 1 < sizeof row->id; s++) {
    bool upper = *s >= 'A' && *s <= 'Z', kept = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9');
    row->id[n++] = upper ? (char)(*s - 'A' + 'a') : kept ? *s : '_';
  }
  row->id[n] = 0;
}

static nb_status read_row(const cJSON *json, const char *where, nb_suite_row *row, nb_err *err) {
  size_t shots = 0;
  if (!cJSON_IsObject(json)) return nb_fail(err, NB_ERR_FORMAT, "%s: want an object", where);
  NB_TRY(check_keys(json, where, row_keys, err));
  NB_TRY(nb_json_string(json, where, "name", &row->name, err));
  if (!*row->name || strlen(row->name) >= sizeof row->id)
    return nb_fail(err, NB_ERR_FORMAT, "%s: a name of 1 to %zu bytes is wanted", where, sizeof row->id - 1);
  make_id(row);
  row->shots = -1;
  NB_TRY(nb_json_optional_string(json, where, "needs", &row->needs, err));
  NB_TRY(nb_json_optional_string(json, where, "task", &row->task, err));
  if (!row->task != !!row->needs)
    return nb_fail(err, NB_ERR_FORMAT, "%s: a row has either a \"task\" or says what it \"needs\"", where);
  NB_TRY(nb_json_optional_string(json, where, "preset", &row->preset, err));
  NB_TRY(nb_json_optional_string(json, where, "split", &row->split, err));
  NB_TRY(nb_json_optional_size(json, where, "shots", 0, NB_MAX_SHOTS, &shots, err));
  if (nb_json_get(json, "shots")) row->shots = (int)shots;
  NB_TRY(nb_json_optional_object(json, where, "with", &row->with, err));
  NB_TRY(strings(json, where, "examples", &row->examples, err));
  NB_TRY(strings(json, where, "data", &row->data, err));
  if (row->task && !(row->data && row->data->child))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"data\" names no folder", where);
  return NB_OK;
}

static nb_status read_rows(nb_suite *s, const char *file, nb_err *err) {
  const cJSON *rows;
  NB_TRY(nb_json_array(s->json, file, "rows", &rows, err));
  size_t n = (size_t)cJSON_GetArraySize(rows);
  if (!n || n > MAX_ROWS) return nb_fail(err, NB_ERR_FORMAT, "%s: %zu rows; want 1 to %d", file, n, MAX_ROWS);
  NB_TRY(nb_new(&s->row, n, sizeof *s->row, "a suite", err));
  for (const cJSON *r = rows->child; r; r = r->next, s->n++) {
    char where[300];
    snprintf(where, sizeof where, "%.250s: row %zu", file, s->n + 1);
    NB_TRY(read_row(r, where, &s->row[s->n], err));
    for (size_t i = 0; i < s->n; i++)
      if (!strcmp(s->row[i].id, s->row[s->n].id))
        return nb_fail(err, NB_ERR_FORMAT, "%s: the name \"%s\" is that of another row", where, s->row[s->n].name);
  }
  return NB_OK;
}

/* What is published under a name. The file is nibble's own; a suite may name only what is in it. */
static nb_status read_published(nb_suite *s, const char *file, nb_err *err) {
  const char *name = NULL;
  const nb_builtin *b = &nb_builtin_published;
  NB_TRY(nb_json_optional_string(s->json, file, "published", &name, err));
  if (!name) return NB_OK;
  NB_TRY(nb_json_parse((const char *)b->json, b->n, "published.json", &s->published_json, err));
  s->published = nb_json_get(s->published_json, name);
  if (!s->published) return nb_fail(err, NB_ERR_FORMAT, "%s: nothing is published under \"%s\"", file, name);
  return NB_OK;
}

nb_status nb_suite_parse(const char *json, size_t n, const char *file, nb_suite *out, nb_err *err) {
  nb_status st;
  *out = (nb_suite){.about = "", .source = ""};
  NB_GOTO(nb_json_parse(json, n, file, &out->json, err));
  if (!cJSON_IsObject(out->json)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: not a JSON object", file));
  NB_GOTO(check_keys(out->json, file, suite_keys, err));
  NB_GOTO(nb_json_string(out->json, file, "suite", &out->name, err));
  NB_GOTO(nb_json_optional_string(out->json, file, "about", &out->about, err));
  NB_GOTO(nb_json_optional_string(out->json, file, "source", &out->source, err));
  NB_GOTO(read_rows(out, file, err));
  NB_GOTO(read_published(out, file, err));
  return NB_OK;
fail:
  nb_suite_free(out);
  return st;
}

nb_status nb_suite_open(const char *name, nb_suite *out, nb_err *err) {
  size_t n = strlen(name);
  *out = (nb_suite){.n = 0};
  if (strchr(name, '/') || (n > 5 && !strcmp(name + n - 5, ".json"))) {
    char *bytes;
    NB_TRY(nb_mapfile_read(name, SUITE_MAX_BYTES, &bytes, &n, err));
    nb_status st = nb_suite_parse(bytes, n, name, out, err);
    free(bytes);
    return st;
  }
  char list[400] = "";
  for (size_t i = 0; i < nb_n_builtin_suites; i++) {
    const nb_builtin *b = &nb_builtin_suites[i];
    if (!strcmp(b->name, name)) return nb_suite_parse((const char *)b->json, b->n, name, out, err);
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", b->name);
  }
  return nb_fail(err, NB_ERR_ARG, "no suite \"%s\"; there are %s, and any suite file's path", name, list);
}

void nb_suite_free(nb_suite *s) {
  nb_free(s->row);
  cJSON_Delete(s->json), cJSON_Delete(s->published_json);
  *s = (nb_suite){.n = 0};
}

/* ---- where the questions are ---- */

/* Sets *out to dir/name or dir/name.zip, whichever is there; else it becomes empty. */
static nb_status look(const char *dir, const char *name, nb_text *out, nb_err *err) {
  static const char *const ends[] = {"", ".zip"};
  for (size_t i = 0; i < 2; i++) {
    nb_text_clear(out);
    NB_TRY(nb_text_append_str(out, dir, err));
    NB_TRY(nb_text_append_str(out, "/", err));
    NB_TRY(nb_text_append_str(out, name, err));
    NB_TRY(nb_text_append_str(out, ends[i], err));
    if (!access(out->s, R_OK)) return NB_OK;
  }
  nb_text_clear(out);
  return NB_OK;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* The same in the folders of dir, by name. */
static nb_status look_below(const char *dir, const char *name, nb_text *out, nb_err *err) {
  struct dirent **entry = NULL;
  int n = scandir(dir, &entry, visible, alphasort);
  nb_text sub = {0};
  nb_status st = NB_OK;
  for (int i = 0; i < n; i++) {
    if (st == NB_OK && !out->n) {
      nb_text_clear(&sub);
      st = nb_text_append_str(&sub, dir, err);
      if (st == NB_OK) st = nb_text_append_str(&sub, "/", err);
      if (st == NB_OK) st = nb_text_append_str(&sub, entry[i]->d_name, err);
      if (st == NB_OK) st = look(sub.s, name, out, err);
    }
    free(entry[i]);
  }
  free(entry);
  nb_text_free(&sub);
  return st;
}

nb_status nb_suite_find_data(const nb_suite_row *row, const char *dir, nb_text *out, nb_err *err) {
  nb_text_clear(out);
  for (const cJSON *d = row->data ? row->data->child : NULL; d && !out->n; d = d->next) {
    NB_TRY(look(dir, d->valuestring, out, err));
    if (!out->n) NB_TRY(look_below(dir, d->valuestring, out, err));
  }
  return NB_OK;
}

/* ---- what is published ---- */

size_t nb_suite_n_published(const nb_suite *s) {
  const cJSON *models = s->published ? nb_json_get(s->published, "models") : NULL;
  return models ? nb_min((size_t)cJSON_GetArraySize(models), MAX_PUBLISHED) : 0;
}

const char *nb_suite_published_model(const nb_suite *s, size_t model) {
  const cJSON *m = cJSON_GetArrayItem(nb_json_get(s->published, "models"), (int)model);
  return cJSON_IsString(m) ? m->valuestring : "";
}

static const cJSON *published_row(const nb_suite *s, const nb_suite_row *row) {
  const cJSON *rows = s->published ? nb_json_get(s->published, "rows") : NULL;
  return rows ? nb_json_get(rows, row->name) : NULL;
}

bool nb_suite_unconfirmed(const nb_suite *s, const nb_suite_row *row, size_t model) {
  const cJSON *r = published_row(s, row), *list = r ? nb_json_get(r, "unconfirmed") : NULL;
  for (const cJSON *m = list ? list->child : NULL; m; m = m->next)
    if (cJSON_IsString(m) && !strcmp(m->valuestring, nb_suite_published_model(s, model))) return true;
  return false;
}

double nb_suite_published(const nb_suite *s, const nb_suite_row *row, size_t model, size_t *shots) {
  const cJSON *r = published_row(s, row);
  const cJSON *k = r ? nb_json_get(r, "shots") : NULL, *scores = r ? nb_json_get(r, "scores") : NULL;
  const cJSON *score = scores ? cJSON_GetArrayItem(scores, (int)model) : NULL;
  if (shots) *shots = cJSON_IsNumber(k) ? (size_t)k->valuedouble : 0;
  return cJSON_IsNumber(score) ? score->valuedouble : NAN;
}
