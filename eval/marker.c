/* SPDX-License-Identifier: MIT */
#include "eval/marker.h"

#include "eval/extract.h"
#include "eval/ifeval.h"
#include "eval/math_answer.h"
#include "eval/regexp.h"
#include "eval/strings.h"
#include "formats/json.h"

#include <math.h>
#include <stdio.h>

typedef enum comparing { EXACT, NUMBER, F1, MATH, IFEVAL } comparing;
static const char *const how_words[] = {"exact", "number", "f1", "math", "ifeval", NULL};

/* The rules of one subject, or of all that have none of their own. */
typedef struct rules {
  const char *subject; /* NULL: the task's */
  nb_extract *extract; /* (n_marks) */
} rules;

enum { MOST_REMOVED = 16 };

struct nb_marker {
  comparing how;
  bool ignore_case, ignore_punctuation;
  nb_regexp *remove[MOST_REMOVED];
  size_t n_remove;
  nb_extract target; /* steps for the right answers */
  const char *name[NB_MAX_MARKS];
  size_t n_marks;
  rules *rules; /* (n_rules) the task's first */
  size_t n_rules;
};

/* ---- reading ---- */

static nb_status check_keys(const cJSON *o, const char *where, const char *const *known, nb_err *err) {
  for (const cJSON *m = o->child; m; m = m->next) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], m->string)) i++;
    if (!known[i]) return nb_fail(err, NB_ERR_FORMAT, "%s: unknown key \"%s\"", where, m->string);
  }
  return NB_OK;
}

static nb_status read_compare(nb_marker *m, const cJSON *task, const char *where, nb_err *err) {
  static const char *const known[] = {"how", "ignore_case", "ignore_punctuation", "remove", "target", NULL};
  const cJSON *o = NULL, *remove = NULL, *target = NULL;
  unsigned how = EXACT;
  char sub[300];
  snprintf(sub, sizeof sub, "%.200s: \"compare\"", where);
  NB_TRY(nb_json_optional_object(task, where, "compare", &o, err));
  if (!o) return NB_OK;
  NB_TRY(check_keys(o, sub, known, err));
  NB_TRY(nb_json_optional_word(o, sub, "how", how_words, &how, err));
  NB_TRY(nb_json_optional_bool(o, sub, "ignore_case", &m->ignore_case, err));
  NB_TRY(nb_json_optional_bool(o, sub, "ignore_punctuation", &m->ignore_punctuation, err));
  NB_TRY(nb_json_optional_array(o, sub, "remove", &remove, err));
  NB_TRY(nb_json_optional_array(o, sub, "target", &target, err));
  m->how = how;
  if (target) NB_TRY(nb_extract_parse("target", target, sub, &m->target, err));
  for (const cJSON *e = remove ? remove->child : NULL; e; e = e->next) {
    if (!cJSON_IsString(e) || m->n_remove == MOST_REMOVED)
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"remove\" must be a list of at most %d patterns", sub, MOST_REMOVED);
    NB_TRY(nb_regexp_compile(e->valuestring, false, sub, &m->remove[m->n_remove], err));
    m->n_remove++;
  }
  return NB_OK;
}

/* The task's rules name the marks; a subject's may replace any of them. */
static nb_status read_extract(nb_marker *m, const cJSON *extract, const char *subject, const char *where, nb_err *err) {
  rules *r = &m->rules[m->n_rules];
  *r = (rules){.subject = subject};
  NB_TRY(nb_new(&r->extract, NB_MAX_MARKS, sizeof *r->extract, "rules", err));
  m->n_rules++;
  for (const cJSON *e = extract ? extract->child : NULL; e; e = e->next) {
    size_t k = 0;
    while (k < m->n_marks && strcmp(m->name[k], e->string)) k++;
    if (k == m->n_marks) {
      if (subject || k == NB_MAX_MARKS)
        return nb_fail(err, NB_ERR_FORMAT,
                       subject ? "%s: the task's \"extract\" has no \"%s\""
                               : "%s: \"extract\" has too many rules (\"%s\")",
                       where, e->string);
      m->name[m->n_marks++] = e->string;
    }
    NB_TRY(nb_extract_parse(m->name[k], e, where, &r->extract[k], err));
  }
  return NB_OK;
}

static nb_status read_rules(nb_marker *m, const cJSON *task, const char *where, nb_err *err) {
  const cJSON *extract = NULL, *subjects = NULL;
  NB_TRY(read_compare(m, task, where, err));
  NB_TRY(nb_json_optional_object(task, where, "extract", &extract, err));
  NB_TRY(nb_json_optional_object(task, where, "by_subject", &subjects, err));
  NB_TRY(nb_new(&m->rules, 1 + (size_t)(subjects ? cJSON_GetArraySize(subjects) : 0), sizeof *m->rules, "rules", err));
  if (m->how == IFEVAL) {
    if (extract) return nb_fail(err, NB_ERR_FORMAT, "%s: \"ifeval\" takes no \"extract\"", where);
    for (; m->n_marks < NB_IFEVAL_MARKS; m->n_marks++) m->name[m->n_marks] = nb_ifeval_mark_names[m->n_marks];
    return read_extract(m, NULL, NULL, where, err);
  }
  NB_TRY(read_extract(m, extract, NULL, where, err));
  if (!m->n_marks) m->name[m->n_marks++] = how_words[m->how];
  for (const cJSON *s = subjects ? subjects->child : NULL; s; s = s->next) {
    const cJSON *own = NULL;
    char sub[300];
    snprintf(sub, sizeof sub, "%.150s: by_subject \"%.100s\"", where, s->string);
    NB_TRY(nb_json_optional_object(s, sub, "extract", &own, err));
    if (own) NB_TRY(read_extract(m, own, s->string, sub, err));
  }
  return NB_OK;
}

nb_status nb_marker_create(const cJSON *task, const char *where, nb_marker **out, nb_err *err) {
  *out = NULL;
  nb_marker *m = calloc(1, sizeof *m);
  if (!m) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  nb_status st = read_rules(m, task, where, err);
  if (st != NB_OK) return nb_marker_free(m), st;
  *out = m;
  return NB_OK;
}

void nb_marker_free(nb_marker *m) {
  if (!m) return;
  for (size_t i = 0; i < m->n_rules; i++) {
    for (size_t k = 0; k < NB_MAX_MARKS; k++) nb_extract_free(&m->rules[i].extract[k]);
    nb_free(m->rules[i].extract);
  }
  for (size_t i = 0; i < m->n_remove; i++) nb_regexp_free(m->remove[i]);
  nb_extract_free(&m->target);
  nb_free(m->rules);
  free(m);
}

size_t nb_marker_count(const nb_marker *m) { return m->n_marks; }
const char *nb_marker_name(const nb_marker *m, size_t mark) { return m->name[mark]; }

/* ---- comparing ---- */

static nb_status replace_with(nb_text *t, nb_status st, nb_text *by) {
  if (st != NB_OK) return nb_text_free(by), st;
  nb_text_free(t);
  *t = *by;
  return NB_OK;
}

/* What is compared of an answer: patterns removed, case and punctuation dropped where the task says so. */
static nb_status normalize(const nb_marker *m, nb_text *t, nb_err *err) {
  for (size_t i = 0; i < m->n_remove; i++) NB_TRY(nb_regexp_replace(m->remove[i], "", t, err));
  nb_text low = {0};
  if (m->ignore_case) NB_TRY(replace_with(t, nb_strings_lower(t->s ? t->s : "", t->n, &low, err), &low));
  if (m->ignore_punctuation) nb_strings_drop_ascii_punctuation(t);
  return nb_text_append(t, "", 0, err);
}

/* The number that a text is, commas, dollar and percent signs aside; NaN: none. */
static double number_of(const char *s) {
  char buf[64];
  size_t n = 0;
  for (; *s && n < sizeof buf - 1; s++)
    if (!strchr(",$% \n\t", *s)) buf[n++] = *s;
  buf[n] = 0;
  if (n && buf[n - 1] == '.') buf[--n] = 0;
  if (!n || strspn(buf, "+-.0123456789eE") != n) return NAN;
  char *end;
  double v = strtod(buf, &end);
  return *end ? NAN : v;
}

/* The next word, without articles (SQuAD's normal form; Rajpurkar et al. 2016). */
static const char *next_word(const char *s, size_t *n) {
  for (;;) {
    s += strspn(s, " \t\r\n");
    *n = strcspn(s, " \t\r\n");
    bool article = (*n == 1 && *s == 'a') || (*n == 2 && !memcmp(s, "an", 2)) || (*n == 3 && !memcmp(s, "the", 3));
    if (!article) return s;
    s += *n;
  }
}

/* Twice the words in common over the words of both. */
static double f1(const char *a, const char *b) {
  size_t na = 0, nb = 0, common = 0, n, k;
  unsigned char used[1024] = {0};
  for (const char *q = next_word(b, &k); k; q = next_word(q + k, &k)) nb++;
  for (const char *p = next_word(a, &n); n; p = next_word(p + n, &n), na++) {
    size_t i = 0;
    for (const char *q = next_word(b, &k); k && i < sizeof used; q = next_word(q + k, &k), i++)
      if (!used[i] && k == n && !memcmp(p, q, n)) {
        used[i] = 1, common++;
        break;
      }
  }
  if (!na || !nb) return na == nb;
  return 2.0 * (double)common / (double)(na + nb);
}

static double value_of(const nb_marker *m, const char *found, const char *target) {
  switch (m->how) {
  case NUMBER: return number_of(found) == number_of(target);
  case F1: return f1(found, target);
  case MATH: return nb_math_equal(found, target);
  default: return !strcmp(found, target);
  }
}

/* The best value over the right answers. */
static nb_status compare(const nb_marker *m, const nb_item *item, const char *found, double *out, nb_err *err) {
  nb_text a = {0}, b = {0};
  nb_status st;
  *out = 0;
  NB_GOTO(nb_text_append_str(&a, found, err));
  NB_GOTO(normalize(m, &a, err));
  for (size_t i = 0; i < item->n_targets; i++) {
    nb_text_clear(&b);
    NB_GOTO(nb_text_append_str(&b, item->target[i], err));
    NB_GOTO(nb_extract_run(&m->target, item->row, &b, err));
    NB_GOTO(normalize(m, &b, err));
    *out = fmax(*out, value_of(m, a.s, b.s));
  }
fail:
  nb_text_free(&a), nb_text_free(&b);
  return st;
}

/* ---- marking ---- */

static const nb_extract *rule_of(const nb_marker *m, const char *subject, size_t mark) {
  for (size_t i = 1; i < m->n_rules; i++)
    if (!strcmp(m->rules[i].subject, subject) && m->rules[i].extract[mark].name) return &m->rules[i].extract[mark];
  return &m->rules[0].extract[mark];
}

static nb_status mark_one(const nb_marker *m, const nb_item *item, size_t mark, nb_pool *pool, nb_written *w,
                          nb_err *err) {
  const nb_extract *e = rule_of(m, item->subject, mark);
  nb_text *answer;
  nb_status st = NB_OK;
  NB_TRY(nb_new(&answer, w->n, sizeof *answer, "answers", err));
  for (size_t i = 0; i < w->n; i++) {
    NB_GOTO(nb_text_append_str(&answer[i], w->text[i], err));
    NB_GOTO(nb_extract_run(e, item->row, &answer[i], err));
  }
  const nb_text *chosen = &answer[nb_extract_choose(e, answer, w->n)];
  w->found[mark] = nb_pool_copy(pool, chosen->s, chosen->n);
  if (!w->found[mark]) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory: answers"));
  w->weight[mark] = 1;
  st = compare(m, item, w->found[mark], &w->value[mark], err);
fail:
  for (size_t i = 0; i < w->n; i++) nb_text_free(&answer[i]);
  nb_free(answer);
  return st;
}

nb_status nb_marker_mark(const nb_marker *m, const nb_item *item, nb_pool *pool, nb_written *w, nb_err *err) {
  w->n_marks = m->n_marks;
  w->found = nb_pool_get(pool, m->n_marks * sizeof *w->found);
  if (!w->found) return nb_fail(err, NB_ERR_MEMORY, "out of memory: answers");
  for (size_t k = 0; k < m->n_marks; k++) w->found[k] = "";
  nb_status st = NB_OK;
  if (m->how == IFEVAL) {
    nb_ifeval_marks marks;
    st = nb_ifeval_mark(item->row, w->text[0], &marks, err);
    for (size_t k = 0; k < NB_IFEVAL_MARKS; k++) w->value[k] = marks.value[k], w->weight[k] = marks.weight[k];
    w->approximate = marks.approximate;
  }
  for (size_t k = 0; k < m->n_marks && m->how != IFEVAL && st == NB_OK; k++) st = mark_one(m, item, k, pool, w, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "question %s", item->id);
}
