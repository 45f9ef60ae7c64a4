/* SPDX-License-Identifier: MIT */
/* The steps follow the filters of lm-evaluation-harness 0.4.13 (filters/extraction.py,
 * tasks/bbh/cot_zeroshot/utils.py), so that the same texts give the same answers. */
#include "eval/extract.h"

#include "eval/math_answer.h"
#include "eval/regexp.h"
#include "eval/rowpath.h"
#include "eval/strings.h"
#include "formats/json.h"

#include <stdio.h>

typedef enum step_kind { REGEX, CHOICE, LOOKUP, WORDS, TRIM, LOWER, UPPER, APPEND, MATH, BOXED } step_kind;

typedef struct nb_step {
  step_kind kind;
  long which;
  const char *text; /* fallback; what is appended; a row's path */
  nb_regexp *regex;
  bool number_words; /* REGEX: numbers may be written in words */
  const char **to;   /* LOOKUP: (n) values, */
  nb_regexp **from;  /* (n) of these patterns */
  size_t n;
} nb_step;

static const char *const step_words[] = {"regex", "choice", "lookup", "words", "strip", "lower",
                                         "upper", "append", "math",   "boxed", NULL};
static const char *const take_words[] = {"first", "last", "majority", NULL};

/* ---- reading ---- */

static nb_status read_which(const cJSON *o, const char *where, long *out, nb_err *err) {
  const cJSON *m = nb_json_get(o, "match");
  double v = 0;
  if (m) NB_TRY(nb_json_as_f64(m, where, "\"match\"", &v, err));
  if (v != (double)(long)v || v < -1 || v > 1e6)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"match\" must be -1 (the last) or a number from 0 on", where);
  *out = (long)v;
  return NB_OK;
}

/* {"yes": "Yes", ...}: the patterns joined find the match, the first that is in it gives the value. */
static nb_status read_lookup(const cJSON *o, const char *where, nb_step *s, nb_err *err) {
  nb_text all = {0};
  nb_status st;
  NB_GOTO(nb_new(&s->to, (size_t)cJSON_GetArraySize(o) + 1, sizeof *s->to, "a step", err));
  NB_GOTO(nb_new(&s->from, (size_t)cJSON_GetArraySize(o) + 1, sizeof *s->from, "a step", err));
  for (const cJSON *m = o->child; m; m = m->next) {
    if (!cJSON_IsString(m)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: \"lookup\" must map patterns to texts", where));
    if (s->n) NB_GOTO(nb_text_append_str(&all, "|", err));
    NB_GOTO(nb_text_append_str(&all, m->string, err));
    s->to[s->n] = m->valuestring;
    NB_GOTO(nb_regexp_compile(m->string, false, where, &s->from[s->n++], err));
  }
  if (!s->n) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: \"lookup\" is empty", where));
  NB_GOTO(nb_regexp_compile(all.s, false, where, &s->regex, err));
fail:
  nb_text_free(&all);
  return st;
}

static nb_status read_step(const cJSON *o, const char *where, nb_step *s, nb_err *err) {
  static const char *const extra[] = {"match", "fallback", "any_case", "number_words", NULL};
  const char *pattern = NULL;
  bool any_case = false;
  *s = (nb_step){.kind = BOXED + 1};
  if (cJSON_IsString(o)) { /* "strip" */
    for (unsigned k = 0; step_words[k]; k++)
      if (k >= TRIM && k != APPEND && !strcmp(o->valuestring, step_words[k])) s->kind = (step_kind)k;
    if (s->kind > BOXED)
      return nb_fail(err, NB_ERR_FORMAT, "%s: no step \"%s\"; there are strip, lower, upper, math, boxed", where,
                     o->valuestring);
    return NB_OK;
  }
  if (!cJSON_IsObject(o)) return nb_fail(err, NB_ERR_FORMAT, "%s: a step must be a word or an object", where);
  for (const cJSON *m = o->child; m; m = m->next) {
    size_t e = 0;
    unsigned k = 0;
    while (extra[e] && strcmp(extra[e], m->string)) e++;
    while (step_words[k] && strcmp(step_words[k], m->string)) k++;
    if (extra[e]) continue;
    if (!step_words[k] || s->kind <= BOXED)
      return nb_fail(err, NB_ERR_FORMAT, "%s: unknown key \"%s\" in a step", where, m->string);
    s->kind = (step_kind)k;
  }
  if (s->kind > BOXED) return nb_fail(err, NB_ERR_FORMAT, "%s: a step says not what it does", where);
  s->text = "[invalid]";
  NB_TRY(read_which(o, where, &s->which, err));
  NB_TRY(nb_json_optional_string(o, where, "fallback", &s->text, err));
  NB_TRY(nb_json_optional_bool(o, where, "any_case", &any_case, err));
  NB_TRY(nb_json_optional_bool(o, where, "number_words", &s->number_words, err));
  if (s->kind == LOOKUP) {
    const cJSON *map;
    NB_TRY(nb_json_object(o, where, "lookup", &map, err));
    return read_lookup(map, where, s, err);
  }
  if (s->kind == APPEND || s->kind == WORDS) return nb_json_string(o, where, step_words[s->kind], &s->text, err);
  if (s->kind != REGEX && s->kind != CHOICE)
    return nb_fail(err, NB_ERR_FORMAT, "%s: write the step as \"%s\"", where, step_words[s->kind]);
  NB_TRY(nb_json_string(o, where, step_words[s->kind], &pattern, err));
  if (s->kind == CHOICE) { /* the value names the row's field that lists the choices */
    s->to = calloc(1, sizeof *s->to);
    if (!s->to) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
    s->to[0] = pattern;
    pattern = "(\\([A-Z]\\))";
  }
  return nb_regexp_compile(pattern, any_case, where, &s->regex, err);
}

/* {"take": "majority", "of": 8}, behind the steps. */
static nb_status read_take(const cJSON *o, const char *where, nb_extract *e, nb_err *err) {
  unsigned take = NB_TAKE_FIRST;
  if (o->next) return nb_fail(err, NB_ERR_FORMAT, "%s: \"take\" must be the last step", where);
  NB_TRY(nb_json_word(o, where, "take", take_words, &take, err));
  NB_TRY(nb_json_optional_size(o, where, "of", 1, 1024, &e->of, err));
  e->take = (nb_take)take;
  return NB_OK;
}

nb_status nb_extract_parse(const char *name, const cJSON *steps, const char *where, nb_extract *out, nb_err *err) {
  nb_status st;
  char sub[300];
  snprintf(sub, sizeof sub, "%.200s: \"%.60s\"", where, name);
  *out = (nb_extract){.name = name};
  if (!cJSON_IsArray(steps)) return nb_fail(err, NB_ERR_FORMAT, "%s must be a list of steps", sub);
  NB_TRY(nb_new(&out->step, (size_t)cJSON_GetArraySize(steps) + 1, sizeof *out->step, "steps", err));
  for (const cJSON *o = steps->child; o; o = o->next) {
    if (cJSON_IsObject(o) && nb_json_get(o, "take")) {
      NB_GOTO(read_take(o, sub, out, err));
      continue;
    }
    NB_GOTO(read_step(o, sub, &out->step[out->n++], err));
  }
  return NB_OK;
fail:
  nb_extract_free(out);
  return st;
}

void nb_extract_free(nb_extract *e) {
  for (size_t i = 0; e->step && i < e->n; i++) {
    nb_step *s = &e->step[i];
    nb_regexp_free(s->regex);
    for (size_t k = 0; s->from && k < s->n; k++) nb_regexp_free(s->from[k]);
    nb_free(s->from);
    if (s->kind == CHOICE) free(s->to);
    else nb_free(s->to);
  }
  nb_free(e->step);
  *e = (nb_extract){0};
}

/* ---- running ---- */

static nb_status set(nb_text *t, const char *s, nb_err *err) {
  nb_text_clear(t);
  return nb_text_append_str(t, s, err);
}

static nb_status run_regex(const nb_step *s, nb_text *t, nb_err *err) {
  nb_text found = {0};
  bool hit;
  nb_status st = nb_regexp_find(s->regex, t->s, t->n, s->which, &found, &hit, err);
  if (st == NB_OK) nb_strings_strip(&found);
  if (st == NB_OK && (!hit || !found.n) && s->number_words)
    st = nb_strings_number_in_words(t, s->which, &found, &hit, err);
  if (st == NB_OK) st = hit ? set(t, found.s, err) : set(t, s->text, err);
  nb_text_free(&found);
  return st;
}

static nb_status run_lookup(const nb_step *s, nb_text *t, nb_err *err) {
  nb_text low = {0}, found = {0};
  bool hit;
  nb_status st;
  const char *value = s->text;
  NB_GOTO(nb_strings_lower(t->s ? t->s : "", t->n, &low, err));
  NB_GOTO(nb_regexp_find(s->regex, low.s, low.n, s->which, &found, &hit, err));
  nb_strings_strip(&found);
  for (size_t i = 0; i < s->n && found.n; i++) {
    nb_text part = {0};
    st = nb_regexp_find(s->from[i], found.s, found.n, s->which, &part, &hit, err);
    bool some = hit && part.n;
    nb_text_free(&part);
    if (st != NB_OK) goto fail;
    if (!some) continue;
    value = s->to[i];
    break;
  }
  st = set(t, value, err);
fail:
  nb_text_free(&low), nb_text_free(&found);
  return st;
}

/* ---- the letter of a choice that is named or quoted ---- */

enum { MOST_CHOICES = 26 };

typedef struct choices {
  nb_text text[MOST_CHOICES]; /* lower case, without punctuation */
  size_t n;
} choices;

static nb_status plain_form(const char *s, size_t n, nb_text *out, nb_err *err) {
  NB_TRY(nb_strings_lower(s, n, out, err));
  return nb_strings_drop_punctuation(out, err);
}

static nb_status add_choice(void *ctx, const char *s, size_t n, nb_err *err) {
  choices *c = ctx;
  nb_text text = {0};
  if (c->n == MOST_CHOICES) return NB_OK;
  nb_status st = nb_text_append(&text, s, n, err);
  if (st == NB_OK) nb_strings_strip(&text), st = plain_form(text.s, text.n, &c->text[c->n], err);
  nb_text_free(&text);
  c->n += st == NB_OK;
  return st;
}

/* The last (or first) choice whose own words stand in the text: where several begin at one place, the longest. */
static nb_status find_quoted(const choices *c, const nb_step *s, const nb_text *t, nb_text *found, bool *hit,
                             nb_err *err) {
  nb_text plain = {0}, pattern = {0};
  nb_regexp *r = NULL;
  nb_status st;
  bool used[MOST_CHOICES] = {false};
  NB_GOTO(plain_form(t->s, t->n, &plain, err));
  for (size_t k = 0; k < c->n; k++) {
    size_t longest = c->n;
    for (size_t i = 0; i < c->n; i++)
      if (!used[i] && (longest == c->n || c->text[i].n > c->text[longest].n)) longest = i;
    used[longest] = true;
    if (k) NB_GOTO(nb_text_append_str(&pattern, "|", err));
    NB_GOTO(nb_regexp_quote(c->text[longest].s, c->text[longest].n, &pattern, err));
  }
  NB_GOTO(nb_regexp_compile(pattern.s ? pattern.s : "", false, "choices", &r, err));
  NB_GOTO(nb_regexp_find(r, plain.s, plain.n, s->which, found, hit, err));
  nb_strings_strip(found);
  *hit = *hit && found->n;
  for (size_t i = c->n; *hit && i-- > 0;)
    if (c->text[i].n == found->n && !memcmp(c->text[i].s, found->s, found->n)) {
      char letter[4] = {'(', (char)('A' + i), ')', 0};
      NB_GOTO(set(found, letter, err));
      break;
    }
fail:
  nb_regexp_free(r);
  nb_text_free(&plain), nb_text_free(&pattern);
  return st;
}

/* ": B" and the like. */
static nb_status find_bare(const choices *c, const nb_step *s, const nb_text *t, nb_text *found, bool *hit,
                           nb_err *err) {
  char pattern[40 + 2 * MOST_CHOICES] = ":[\\s]*(";
  for (size_t i = 0; i < c->n; i++)
    snprintf(pattern + strlen(pattern), sizeof pattern - strlen(pattern), "%s%c", i ? "|" : "", (char)('A' + i));
  strcat(pattern, ")");
  nb_regexp *r;
  NB_TRY(nb_regexp_compile(pattern, false, "choices", &r, err));
  nb_status st = nb_regexp_find(r, t->s, t->n, s->which, found, hit, err);
  nb_regexp_free(r);
  *hit = *hit && found->n;
  if (st != NB_OK || !*hit) return st;
  char letter[4] = {'(', found->s[0], ')', 0};
  return set(found, letter, err);
}

static nb_status run_choice(const nb_step *s, const cJSON *row, nb_text *t, nb_err *err) {
  choices c = {.n = 0};
  nb_text found = {0};
  nb_regexp *list = NULL;
  const cJSON *field = row ? nb_json_get(row, s->to[0]) : NULL;
  bool hit;
  nb_status st;
  NB_GOTO(nb_regexp_find(s->regex, t->s, t->n, s->which, &found, &hit, err));
  nb_strings_strip(&found);
  if (!hit || !found.n) {
    if (!cJSON_IsString(field)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "step \"choice\": no text in field %s", s->to[0]));
    NB_GOTO(nb_regexp_compile("\\([A-Z]\\)([^\\n^(]*)", false, "choices", &list, err));
    NB_GOTO(nb_regexp_each(list, field->valuestring, strlen(field->valuestring), add_choice, &c, err));
    NB_GOTO(find_quoted(&c, s, t, &found, &hit, err));
    if (!hit) NB_GOTO(find_bare(&c, s, t, &found, &hit, err));
  }
  st = set(t, hit && found.n ? found.s : s->text, err);
fail:
  for (size_t i = 0; i < c.n; i++) nb_text_free(&c.text[i]);
  nb_regexp_free(list);
  nb_text_free(&found);
  return st;
}

/* ---- the words of a list, in the order that the text last names them ---- */

typedef struct word_list {
  nb_text word[512];
  size_t n;
} word_list;

static nb_status add_word(void *ctx, const char *s, size_t n, nb_err *err) {
  word_list *l = ctx;
  size_t i = 0;
  while (i < l->n && (l->word[i].n != n || memcmp(l->word[i].s, s, n))) i++;
  if (i == l->n && l->n == sizeof l->word / sizeof *l->word) return NB_OK;
  if (i == l->n) {
    NB_TRY(nb_text_append(&l->word[i], s, n, err));
    l->n++;
  }
  nb_text last = l->word[i]; /* it moves behind the others */
  memmove(&l->word[i], &l->word[i + 1], (l->n - 1 - i) * sizeof last);
  l->word[l->n - 1] = last;
  return NB_OK;
}

static nb_status run_words(const nb_step *s, const cJSON *row, nb_text *t, nb_err *err) {
  const cJSON *field = row ? nb_json_get(row, s->text) : NULL;
  const char *list = cJSON_IsString(field) ? strstr(field->valuestring, "List:") : NULL;
  nb_text pattern = {0};
  nb_regexp *r = NULL;
  nb_status st;
  word_list *found = calloc(1, sizeof *found);
  if (!found) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory: words"));
  if (!list) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "step \"words\": field %s has no \"List:\"", s->text));
  list += 5;
  const char *end = strstr(list, "List:");
  for (const char *p = list; *p && p != end;) {
    size_t blank = strspn(p, " \t\r\n"), n = strcspn(p + blank, " \t\r\n");
    if (end && p + blank + n > end) n = (size_t)(end - p) - nb_min(blank, (size_t)(end - p));
    p += blank;
    if (!n) break;
    NB_GOTO(nb_text_append_str(&pattern, pattern.n ? "|\\b" : "\\b", err));
    NB_GOTO(nb_text_append(&pattern, p, n, err)); /* as it is: a word of letters */
    NB_GOTO(nb_text_append_str(&pattern, "\\b", err));
    p += n;
  }
  NB_GOTO(nb_regexp_compile(pattern.s ? pattern.s : "", false, "step \"words\"", &r, err));
  NB_GOTO(nb_regexp_each(r, t->s, t->n, add_word, found, err));
  nb_text_clear(t);
  for (size_t i = 0; i < found->n; i++) {
    if (i) NB_GOTO(nb_text_append_str(t, " ", err));
    NB_GOTO(nb_text_append(t, found->word[i].s, found->word[i].n, err));
  }
  st = nb_text_append_str(t, "", err);
fail:
  for (size_t i = 0; found && i < found->n; i++) nb_text_free(&found->word[i]);
  free(found);
  nb_regexp_free(r);
  nb_text_free(&pattern);
  return st;
}

/* ---- all ---- */

static nb_status run_case(const nb_step *s, nb_text *t, nb_err *err) {
  nb_text out = {0};
  nb_status st = s->kind == LOWER ? nb_strings_lower(t->s, t->n, &out, err) : nb_strings_upper(t->s, t->n, &out, err);
  if (st != NB_OK) return nb_text_free(&out), st;
  nb_text_free(t);
  *t = out;
  return NB_OK;
}

static nb_status run_step(const nb_step *s, const cJSON *row, nb_text *t, nb_err *err) {
  switch (s->kind) {
  case REGEX: return run_regex(s, t, err);
  case CHOICE: return run_choice(s, row, t, err);
  case LOOKUP: return run_lookup(s, t, err);
  case WORDS: return run_words(s, row, t, err);
  case TRIM: return nb_strings_strip(t), NB_OK;
  case LOWER:
  case UPPER: return run_case(s, t, err);
  case APPEND: return nb_text_append_str(t, s->text, err);
  case MATH: return nb_math_normalize(t, err);
  case BOXED: return nb_math_boxed(t, err);
  }
  return NB_OK;
}

nb_status nb_extract_run(const nb_extract *e, const cJSON *row, nb_text *text, nb_err *err) {
  NB_TRY(nb_text_append_str(text, "", err));
  for (size_t i = 0; i < e->n; i++) NB_TRY(run_step(&e->step[i], row, text, err));
  return NB_OK;
}

size_t nb_extract_choose(const nb_extract *e, const nb_text *answer, size_t n) {
  size_t best = 0, most = 0;
  if (e->of) n = nb_min(n, e->of);
  if (e->take == NB_TAKE_FIRST || n == 0) return 0;
  if (e->take == NB_TAKE_LAST) return n - 1;
  for (size_t i = 0; i < n; i++) {
    size_t same = 0;
    for (size_t k = 0; k < n; k++) same += answer[k].n == answer[i].n && !memcmp(answer[k].s, answer[i].s, answer[i].n);
    if (same > most) most = same, best = i;
  }
  return best;
}
