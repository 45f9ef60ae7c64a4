/* SPDX-License-Identifier: MIT */
#include "eval/item.h"

#include "eval/template.h"

#include <stdio.h>

static nb_status out_of_memory(const char *where, nb_err *err) {
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
}

/* The values of the first of the paths that finds any. */
static nb_status find_first(const cJSON *paths, const cJSON *row, nb_pool *pool, nb_values *out, bool *found,
                            nb_err *err) {
  *found = false, *out = (nb_values){0};
  const cJSON *first = cJSON_IsArray(paths) ? paths->child : paths;
  for (const cJSON *p = first; p && !*found; p = p == paths ? NULL : p->next)
    NB_TRY(nb_rowpath_find(row, p->valuestring, pool, out, found, err));
  return NB_OK;
}

/* "question" or "question.stem or question": the paths, for a message. */
static const char *paths_text(const cJSON *paths, char buf[160]) {
  const cJSON *first = cJSON_IsArray(paths) ? paths->child : paths;
  *buf = 0;
  for (const cJSON *p = first; p; p = p == paths ? NULL : p->next)
    snprintf(buf + strlen(buf), 160 - strlen(buf), "%s%s", *buf ? " or " : "", p->valuestring);
  return buf;
}

/* One text at paths; *out stays "" when paths is NULL. */
static nb_status one_text(const cJSON *paths, const cJSON *row, nb_pool *pool, const char *where, const char **out,
                          nb_err *err) {
  *out = "";
  if (!paths) return NB_OK;
  nb_values v;
  bool found;
  char names[160];
  NB_TRY(find_first(paths, row, pool, &v, &found, err));
  if (!found) return nb_fail(err, NB_ERR_FORMAT, "%s: no field %s", where, paths_text(paths, names));
  if (v.n != 1 || !v.text[0])
    return nb_fail(err, NB_ERR_FORMAT, "%s: field %s is not one text", where, paths_text(paths, names));
  *out = v.text[0];
  return NB_OK;
}

/* The row's own subject; where it has none, that of the file's name. */
static nb_status read_subject(const nb_task *t, const cJSON *row, const char *named, nb_pool *pool, const char *where,
                              const char **out, nb_err *err) {
  nb_values v;
  bool found = false;
  if (named && t->subject) NB_TRY(find_first(t->subject, row, pool, &v, &found, err));
  if (named && !(found && v.n == 1 && v.text[0] && *v.text[0])) return *out = named, NB_OK;
  return one_text(t->subject, row, pool, where, out, err);
}

/* ---- choices ---- */

static nb_status read_choices(const nb_task *t, const cJSON *row, nb_pool *pool, const char *where, nb_item *item,
                              nb_err *err) {
  nb_values v = {0};
  char names[160];
  if (cJSON_IsObject(t->choices)) {
    bool found;
    NB_TRY(nb_rowpath_find(t->choices, "constant[]", pool, &v, &found, err));
  } else {
    bool found;
    NB_TRY(find_first(t->choices, row, pool, &v, &found, err));
    if (!found) return nb_fail(err, NB_ERR_FORMAT, "%s: no field %s", where, paths_text(t->choices, names));
  }
  if (v.n < 2 || v.n > NB_MAX_CHOICES)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu choices; want 2 to %d", where, v.n, NB_MAX_CHOICES);
  for (size_t i = 0; i < v.n; i++)
    if (!v.text[i]) return nb_fail(err, NB_ERR_FORMAT, "%s: choice %zu is not a text", where, i + 1);
  item->n_choices = v.n, item->choice = v.text;
  if (!t->choice_filter) return NB_OK;
  for (size_t i = 0; i < v.n; i++) {
    nb_text text = {0};
    nb_status st = nb_text_append_str(&text, v.text[i], err);
    if (st == NB_OK) st = nb_template_filter(t->choice_filter, &text, where, err);
    if (st == NB_OK && !(item->choice[i] = nb_pool_copy(pool, text.s, text.n))) st = out_of_memory(where, err);
    nb_text_free(&text);
    NB_TRY(st);
  }
  return NB_OK;
}

/* ---- the answer ---- */

static nb_status read_correct(const nb_values *v, const char *where, nb_item *item, nb_err *err) {
  if (v->n != item->n_choices)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu marks of right and wrong for %zu choices", where, v->n,
                   item->n_choices);
  size_t first = v->n;
  for (size_t i = v->n; i-- > 0;) {
    const char *s = v->text[i] ? v->text[i] : "";
    bool yes = !strcmp(s, "1") || !strcmp(s, "true");
    if (!yes && strcmp(s, "0") && strcmp(s, "false"))
      return nb_fail(err, NB_ERR_FORMAT, "%s: mark %zu is \"%s\"; want 0 or 1", where, i + 1, s);
    item->correct[i] = yes;
    if (yes) first = i;
  }
  if (first == v->n) return nb_fail(err, NB_ERR_FORMAT, "%s: no choice is marked right", where);
  item->answer = first;
  return NB_OK;
}

/* Text without ASCII blanks at its ends: begin and length. */
static size_t trim(const char **s) {
  while (**s == ' ' || **s == '\t' || **s == '\r' || **s == '\n') (*s)++;
  size_t n = strlen(*s);
  while (n && strchr(" \t\r\n", (*s)[n - 1])) n--;
  return n;
}

static bool same(const char *s, size_t n, const char *b) {
  size_t m = trim(&b);
  return n == m && !memcmp(s, b, n);
}

/* The item's answer is the choice that the text means: by label; a number; a letter; a choice's own text. */
static nb_status find_choice(const char *text, const cJSON *node, const nb_values *labels, size_t base,
                             const char *where, nb_item *item, nb_err *err) {
  const char *s = text;
  size_t n = trim(&s), n_choices = item->n_choices;
  if (labels->n) {
    if (labels->n != n_choices)
      return nb_fail(err, NB_ERR_FORMAT, "%s: %zu labels for %zu choices", where, labels->n, n_choices);
    for (size_t i = 0; i < n_choices; i++)
      if (labels->text[i] && same(s, n, labels->text[i])) return item->answer = i, NB_OK;
    return nb_fail(err, NB_ERR_FORMAT, "%s: answer \"%s\" is none of the choices' labels", where, text);
  }
  if (cJSON_IsBool(node)) return item->answer = cJSON_IsTrue(node), NB_OK;
  size_t k = n_choices, by_text = n_choices;
  bool digits = n > 0 && n < 7 && strspn(s, "0123456789") >= n;
  if (digits) k = strtoul(s, NULL, 10) - base; /* wraps to a large number below base */
  else if (n == 1 && *s >= 'A' && *s <= 'Z') k = (size_t)(*s - 'A');
  if (!cJSON_IsNumber(node))
    for (size_t i = 0; i < n_choices; i++)
      if (same(s, n, item->choice[i])) by_text = i;
  if (digits && by_text < n_choices && by_text != k)
    return nb_fail(err, NB_ERR_FORMAT, "%s: answer \"%s\" may be a number or a choice's text; write it as a letter",
                   where, text);
  if (k >= n_choices && !digits) k = by_text;
  if (k >= n_choices)
    return nb_fail(err, NB_ERR_FORMAT, "%s: answer \"%s\" is outside its %zu choices", where, text, n_choices);
  item->answer = k;
  return NB_OK;
}

static nb_status read_answer(const nb_task *t, const cJSON *row, const char *given, nb_pool *pool, const char *where,
                             nb_item *item, nb_err *err) {
  nb_values v = {0}, labels = {0};
  bool found = false;
  char names[160];
  if (!(item->correct = nb_pool_get(pool, item->n_choices * sizeof *item->correct))) return out_of_memory(where, err);
  if (t->correct && !given) {
    NB_TRY(find_first(t->correct, row, pool, &v, &found, err));
    if (found) return read_correct(&v, where, item, err);
    if (!t->answer) return nb_fail(err, NB_ERR_FORMAT, "%s: no field %s", where, paths_text(t->correct, names));
  }
  const cJSON *node = NULL;
  if (!given) {
    NB_TRY(find_first(t->answer, row, pool, &v, &found, err));
    if (!found)
      return nb_fail(err, NB_ERR_FORMAT, "%s: no answer (field %s%s%s)", where, paths_text(t->answer, names),
                     t->answers_file ? ", or a file beside this one that ends in " : "",
                     t->answers_file ? t->answers_file : "");
    if (v.n != 1 || !v.text[0]) return nb_fail(err, NB_ERR_FORMAT, "%s: the answer is not one text", where);
    given = v.text[0], node = v.node[0];
  }
  if (t->labels) NB_TRY(find_first(t->labels, row, pool, &labels, &found, err));
  NB_TRY(find_choice(given, node, &labels, t->answer_base, where, item, err));
  item->correct[item->answer] = true;
  return NB_OK;
}

/* The right answers of a question that is answered in writing: every text that the path finds. */
static nb_status read_targets(const nb_task *t, const cJSON *row, nb_pool *pool, const char *where, nb_item *item,
                              nb_err *err) {
  nb_values v = {0};
  bool found = false;
  char names[160];
  if (!t->targets) return NB_OK;
  NB_TRY(find_first(t->targets, row, pool, &v, &found, err));
  if (!found) return nb_fail(err, NB_ERR_FORMAT, "%s: no field %s", where, paths_text(t->targets, names));
  for (size_t i = 0; i < v.n; i++)
    if (!v.text[i]) return nb_fail(err, NB_ERR_FORMAT, "%s: a right answer is not a text", where);
  if (!v.n) return nb_fail(err, NB_ERR_FORMAT, "%s: no right answer in %s", where, paths_text(t->targets, names));
  item->target = v.text, item->n_targets = v.n;
  return NB_OK;
}

/* ---- the whole ---- */

/* Whether the task's "where" asks for the row. */
static nb_status is_wanted(const nb_task *t, const cJSON *row, const char *where, nb_pool *pool, bool *wanted,
                           nb_err *err) {
  *wanted = true;
  for (const cJSON *w = t->where ? t->where->child : NULL; w && *wanted; w = w->next) {
    nb_values v;
    bool found;
    NB_TRY(nb_rowpath_find(row, w->string, pool, &v, &found, err));
    if (!found || v.n != 1 || !v.text[0])
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"where\": field %s is not one text in this row", where, w->string);
    *wanted = false;
    for (const cJSON *e = cJSON_IsArray(w) ? w->child : w; e; e = e == w ? NULL : e->next)
      *wanted = *wanted || !strcmp(v.text[0], e->valuestring);
  }
  return NB_OK;
}

nb_status nb_item_read(const nb_task *t, const cJSON *row, const nb_item_source *from, nb_pool *pool, nb_item *item,
                       nb_err *err) {
  const char *where = from->where;
  bool wanted;
  *item = (nb_item){.row = row, .subject = ""};
  if (!cJSON_IsObject(row)) return nb_fail(err, NB_ERR_FORMAT, "%s: a row must be an object", where);
  NB_TRY(read_subject(t, row, from->subject, pool, where, &item->subject, err));
  NB_TRY(is_wanted(t, row, where, pool, &wanted, err));
  if (!wanted) return item->left_out = true, NB_OK;
  NB_TRY(one_text(t->question, row, pool, where, &item->question, err));
  if (t->choices) NB_TRY(read_choices(t, row, pool, where, item, err));
  if (t->score == NB_SCORE_GENERATE) NB_TRY(read_targets(t, row, pool, where, item, err));
  else NB_TRY(read_answer(t, row, from->answer, pool, where, item, err));

  nb_values v = {0};
  bool found = false;
  if (t->id) NB_TRY(find_first(t->id, row, pool, &v, &found, err));
  if (found && v.n == 1 && v.text[0] && *v.text[0]) item->id = v.text[0];
  return NB_OK;
}

void nb_item_write_texts(nb_jsonout *j, const nb_item *item) {
  nb_jsonout_string(j, "question", item->question);
  const struct {
    const char *key;
    const char *const *text;
    size_t n;
  } list[] = {{"choices", item->choice, item->n_choices}, {"targets", item->target, item->n_targets}};
  for (size_t i = 0; i < 2; i++) {
    if (!list[i].n) continue;
    nb_jsonout_open(j, list[i].key, '[');
    for (size_t c = 0; c < list[i].n; c++) nb_jsonout_string(j, NULL, list[i].text[c]);
    nb_jsonout_close(j, ']');
  }
}
