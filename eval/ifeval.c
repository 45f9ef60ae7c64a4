/* SPDX-License-Identifier: MIT */
/* Patterns as in lm-evaluation-harness 0.4.13, tasks/ifeval/instructions.py. Two things lean on models of other
 * libraries there: the language of a text (langdetect, which answers by chance) and its number of sentences (NLTK's
 * Punkt). Where they decide, and may do so in another way there, the answer is marked as approximate. */
#include "eval/ifeval.h"

#include "eval/language.h"
#include "eval/regexp.h"
#include "eval/sentences.h"
#include "eval/strings.h"
#include "formats/json.h"

#include <stdio.h>

const char *const nb_ifeval_mark_names[NB_IFEVAL_MARKS] = {"prompt_strict", "inst_strict", "prompt_loose",
                                                           "inst_loose"};

/* One instruction and the text that is to follow it. */
typedef struct check {
  const cJSON *args;
  const char *id, *text;
  size_t n;
  bool *approximate; /* set by a verdict that may be another one there */
  nb_err *err;
} check;

/* ---- helpers ---- */

static nb_status argument_missing(const check *c, const char *key) {
  return nb_fail(c->err, NB_ERR_FORMAT, "instruction %s: no \"%s\"", c->id, key);
}

static nb_status number(const check *c, const char *key, double *out) {
  const cJSON *v = nb_json_get(c->args, key);
  *out = 0;
  if (!cJSON_IsNumber(v)) return argument_missing(c, key);
  return *out = v->valuedouble, NB_OK;
}

static nb_status string(const check *c, const char *key, const char **out) {
  const cJSON *v = nb_json_get(c->args, key);
  *out = "";
  if (!cJSON_IsString(v)) return argument_missing(c, key);
  return *out = v->valuestring, NB_OK;
}

/* Whether `have` is "less than" or "at least" the number in key. */
static nb_status relates(const check *c, double have, const char *key, const char *relation_key, bool *out) {
  const char *relation;
  double want;
  NB_TRY(number(c, key, &want));
  NB_TRY(string(c, relation_key, &relation));
  *out = strcmp(relation, "less than") ? have >= want : have < want;
  return NB_OK;
}

typedef struct tally {
  size_t n;
  bool (*counts)(const char *s, size_t n); /* NULL: every match */
} tally;

static nb_status tally_match(void *ctx, const char *s, size_t n, nb_err *err) {
  tally *t = ctx;
  (void)err;
  t->n += !t->counts || t->counts(s, n);
  return NB_OK;
}

/* How many matches of the pattern count. */
static nb_status count(const check *c, const char *pattern, bool any_case, bool (*counts)(const char *, size_t),
                       size_t *out) {
  nb_regexp *p;
  tally t = {0, counts};
  NB_TRY(nb_regexp_compile(pattern, any_case, c->id, &p, c->err));
  nb_status st = nb_regexp_each(p, c->text, c->n, tally_match, &t, c->err);
  nb_regexp_free(p);
  return *out = t.n, st;
}

static nb_status stripped(const char *s, size_t n, bool lower, nb_text *out, nb_err *err) {
  NB_TRY(lower ? nb_strings_lower(s, n, out, err) : nb_text_append(out, s, n, err));
  nb_strings_strip(out);
  return NB_OK;
}

static bool is_blank(const char *s, size_t n) {
  size_t len;
  for (size_t i = 0; i < n; i += len)
    if (!nb_strings_is_space(nb_strings_char(s, n, i, &len))) return false;
  return true;
}

static bool is_capitals(const char *s, size_t n) { return nb_strings_all_case(s, n, true); }

/* ---- pieces between separators ---- */

typedef struct pieces {
  size_t n, empty;     /* all, and those of blanks */
  bool inner_empty;    /* one of those is neither the first nor the last */
  const char *text[3]; /* of the first that are not blank */
  size_t bytes[3], found;
} pieces;

static void add_piece(pieces *p, const char *s, size_t n, bool last) {
  bool blank = is_blank(s, n);
  p->empty += blank;
  if (blank && p->n > 0 && !last) p->inner_empty = true;
  if (!blank && p->found < 3) p->text[p->found] = s, p->bytes[p->found] = n;
  if (!blank) p->found++;
  p->n++;
}

static pieces cut_at(const char *s, const char *separator) {
  pieces p = {.n = 0};
  for (const char *hit; (hit = strstr(s, separator)); s = hit + strlen(separator))
    add_piece(&p, s, (size_t)(hit - s), false);
  add_piece(&p, s, strlen(s), true);
  return p;
}

/* ---- the checkers ---- */

static nb_status keywords(const check *c, bool *out) {
  const cJSON *list = nb_json_get(c->args, "keywords");
  if (!cJSON_IsArray(list)) return argument_missing(c, "keywords");
  *out = true;
  for (const cJSON *k = list->child; k && *out; k = k->next) {
    size_t n;
    if (!cJSON_IsString(k)) return argument_missing(c, "keywords");
    NB_TRY(count(c, k->valuestring, true, NULL, &n));
    *out = n > 0;
  }
  return NB_OK;
}

static nb_status keyword_frequency(const check *c, bool *out) {
  const char *keyword;
  size_t n;
  nb_text trimmed = {0};
  NB_TRY(string(c, "keyword", &keyword));
  nb_status st = stripped(keyword, strlen(keyword), false, &trimmed, c->err);
  if (st == NB_OK) st = count(c, trimmed.s, true, NULL, &n);
  nb_text_free(&trimmed);
  return st == NB_OK ? relates(c, (double)n, "frequency", "relation", out) : st;
}

static nb_status forbidden_words(const check *c, bool *out) {
  const cJSON *list = nb_json_get(c->args, "forbidden_words");
  if (!cJSON_IsArray(list)) return argument_missing(c, "forbidden_words");
  *out = true;
  for (const cJSON *k = list->child; k && *out; k = k->next) {
    size_t n;
    nb_text pattern = {0};
    if (!cJSON_IsString(k)) return argument_missing(c, "forbidden_words");
    nb_status st = nb_text_append_str(&pattern, "\\b", c->err);
    if (st == NB_OK) st = nb_text_append_str(&pattern, k->valuestring, c->err);
    if (st == NB_OK) st = nb_text_append_str(&pattern, "\\b", c->err);
    if (st == NB_OK) st = count(c, pattern.s, true, NULL, &n);
    nb_text_free(&pattern);
    NB_TRY(st);
    *out = n == 0;
  }
  return NB_OK;
}

static nb_status letter_frequency(const check *c, bool *out) {
  const char *letter;
  nb_text low = {0};
  size_t n = 0;
  NB_TRY(string(c, "letter", &letter));
  char want = *letter >= 'A' && *letter <= 'Z' ? (char)(*letter + 32) : *letter;
  nb_status st = nb_strings_lower(c->text, c->n, &low, c->err);
  for (size_t i = 0; st == NB_OK && i < low.n; i++) n += low.s[i] == want;
  *c->approximate |= want < 'a' || want > 'z' || letter[1]; /* another one is drawn by chance there */
  nb_text_free(&low);
  return st == NB_OK ? relates(c, (double)n, "let_frequency", "let_relation", out) : st;
}

static nb_status response_language(const check *c, bool *out) {
  const char *want, *have = nb_language_of(c->text, c->n);
  NB_TRY(string(c, "language", &want));
  *c->approximate |= have != NULL;
  *out = !have || !strcmp(want, have);
  return NB_OK;
}

static nb_status english_case(const check *c, bool upper, bool *out) {
  *out = nb_strings_all_case(c->text, c->n, upper);
  if (!*out) return NB_OK;
  const char *have = nb_language_of(c->text, c->n);
  *c->approximate |= have != NULL;
  *out = !have || !strcmp(have, "en");
  return NB_OK;
}

static nb_status number_sentences(const check *c, bool *out) {
  nb_sentences n;
  bool fewest, most;
  NB_TRY(nb_sentences_count(c->text, c->n, &n, c->err));
  NB_TRY(relates(c, (double)n.fewest, "num_sentences", "relation", &fewest));
  NB_TRY(relates(c, (double)n.most, "num_sentences", "relation", &most));
  *c->approximate |= fewest != most;
  return relates(c, (double)n.likely, "num_sentences", "relation", out);
}

static nb_status number_words(const check *c, bool *out) {
  size_t n;
  NB_TRY(count(c, "\\w+", false, NULL, &n));
  return relates(c, (double)n, "num_words", "relation", out);
}

static nb_status number_paragraphs(const check *c, bool *out) {
  double want;
  nb_regexp *p;
  nb_text t = {0};
  NB_TRY(number(c, "num_paragraphs", &want));
  NB_TRY(nb_regexp_compile("\\s?\\*\\*\\*\\s?", false, c->id, &p, c->err));
  nb_status st = nb_text_append(&t, c->text, c->n, c->err);
  if (st == NB_OK) st = nb_regexp_replace(p, "\x01", &t, c->err);
  if (st == NB_OK) {
    pieces k = cut_at(t.s, "\x01");
    *out = !k.inner_empty && (double)(k.n - k.empty) == want;
  }
  nb_regexp_free(p), nb_text_free(&t);
  return st;
}

static nb_status nth_paragraph_first_word(const check *c, bool *out) {
  double want, nth;
  const char *word, *s = c->text, *end;
  nb_text first = {0}, wanted = {0};
  NB_TRY(number(c, "num_paragraphs", &want));
  NB_TRY(number(c, "nth_paragraph", &nth));
  NB_TRY(string(c, "first_word", &word));
  pieces k = cut_at(c->text, "\n\n");
  double have = (double)(k.n - k.empty);
  *out = false;
  if (nth > have) return NB_OK;
  for (double i = 1; i < nth; i++) s = strstr(s, "\n\n") + 2;
  end = strstr(s, "\n\n");
  nb_status st = stripped(s, end ? (size_t)(end - s) : strlen(s), true, &first, c->err);
  if (st == NB_OK) st = nb_strings_lower(word, strlen(word), &wanted, c->err);
  if (st == NB_OK && first.n) {
    const char *f = first.s + strspn(first.s, "'");
    f += strspn(f, "\"");
    size_t n = strcspn(f, ".,?!'\" \t\r\n\v\f");
    *out = have == want && n == wanted.n && !memcmp(f, wanted.s, n);
  }
  nb_text_free(&first), nb_text_free(&wanted);
  return st;
}

static nb_status number_placeholders(const check *c, bool *out) {
  double want;
  size_t n;
  NB_TRY(number(c, "num_placeholders", &want));
  NB_TRY(count(c, "\\[.*?\\]", false, NULL, &n));
  return *out = (double)n >= want, NB_OK;
}

static nb_status postscript(const check *c, bool *out) {
  const char *marker;
  nb_text low = {0}, pattern = {0}, trimmed = {0};
  nb_status st;
  size_t n = 0;
  NB_TRY(string(c, "postscript_marker", &marker));
  NB_GOTO(stripped(marker, strlen(marker), false, &trimmed, c->err));
  NB_GOTO(nb_text_append_str(&pattern, "(?m)\\s*", c->err));
  if (!strcmp(trimmed.s, "P.P.S")) NB_GOTO(nb_text_append_str(&pattern, "p\\.\\s?p\\.\\s?s", c->err));
  else if (!strcmp(trimmed.s, "P.S.")) NB_GOTO(nb_text_append_str(&pattern, "p\\.\\s?s\\.", c->err));
  else NB_GOTO(nb_strings_lower(trimmed.s, trimmed.n, &pattern, c->err));
  NB_GOTO(nb_text_append_str(&pattern, ".*$", c->err));
  NB_GOTO(nb_strings_lower(c->text, c->n, &low, c->err));
  check lower = *c;
  lower.text = low.s, lower.n = low.n;
  st = count(&lower, pattern.s, false, NULL, &n);
  *out = n > 0;
fail:
  nb_text_free(&low), nb_text_free(&pattern), nb_text_free(&trimmed);
  return st;
}

static nb_status number_bullet_lists(const check *c, bool *out) {
  double want;
  size_t stars, dashes;
  NB_TRY(number(c, "num_bullets", &want));
  NB_TRY(count(c, "(?m)^\\s*\\*[^\\*].*$", false, NULL, &stars));
  NB_TRY(count(c, "(?m)^\\s*-.*$", false, NULL, &dashes));
  return *out = (double)(stars + dashes) == want, NB_OK;
}

static nb_status constrained_response(const check *c, bool *out) {
  *out = strstr(c->text, "My answer is yes.") || strstr(c->text, "My answer is no.") ||
         strstr(c->text, "My answer is maybe.");
  return NB_OK;
}

/* Something between the stars. */
static bool highlights(const char *s, size_t n) {
  while (n && *s == '*') s++, n--;
  while (n && s[n - 1] == '*') n--;
  return !is_blank(s, n);
}

static nb_status number_highlighted(const check *c, bool *out) {
  double want;
  size_t one, two;
  NB_TRY(number(c, "num_highlights", &want));
  NB_TRY(count(c, "\\*[^\\n\\*]*\\*", false, highlights, &one));
  NB_TRY(count(c, "\\*\\*[^\\n\\*]*\\*\\*", false, highlights, &two));
  return *out = (double)(one + two) >= want, NB_OK;
}

static nb_status multiple_sections(const check *c, bool *out) {
  double want;
  const char *splitter;
  size_t n;
  nb_text pattern = {0};
  NB_TRY(number(c, "num_sections", &want));
  NB_TRY(string(c, "section_spliter", &splitter));
  nb_text trimmed = {0};
  nb_status st = stripped(splitter, strlen(splitter), false, &trimmed, c->err);
  if (st == NB_OK) st = nb_text_append_str(&pattern, "\\s?", c->err);
  if (st == NB_OK) st = nb_text_append_str(&pattern, trimmed.s, c->err);
  if (st == NB_OK) st = nb_text_append_str(&pattern, "\\s?\\d+\\s?", c->err);
  if (st == NB_OK) st = count(c, pattern.s, false, NULL, &n);
  nb_text_free(&pattern), nb_text_free(&trimmed);
  return *out = st == NB_OK && (double)n >= want, st;
}

static nb_status json_format(const check *c, bool *out) {
  static const char *const fences[] = {"```json", "```Json", "```JSON", "```"};
  nb_text t = {0};
  cJSON *json = NULL;
  nb_status st = stripped(c->text, c->n, false, &t, c->err);
  if (st != NB_OK) return st;
  for (size_t i = 0; i < 4; i++) {
    size_t n = strlen(fences[i]);
    if (t.n >= n && !memcmp(t.s, fences[i], n)) memmove(t.s, t.s + n, t.n - n + 1), t.n -= n;
  }
  if (t.n >= 3 && !memcmp(t.s + t.n - 3, "```", 3)) t.n -= 3, t.s[t.n] = 0;
  nb_strings_strip(&t);
  nb_err ignored;
  *out = nb_json_parse(t.s, t.n, "", &json, &ignored) == NB_OK;
  cJSON_Delete(json);
  nb_text_free(&t);
  return NB_OK;
}

static bool is_title(const char *s, size_t n) {
  while (n && *s == '<') s++, n--;
  while (n && s[n - 1] == '>') n--;
  return !is_blank(s, n);
}

static nb_status title(const check *c, bool *out) {
  size_t n;
  NB_TRY(count(c, "<<[^\\n]+>>", false, is_title, &n));
  return *out = n > 0, NB_OK;
}

static nb_status two_responses(const check *c, bool *out) {
  pieces k = cut_at(c->text, "******");
  nb_text a = {0}, b = {0};
  *out = false;
  if (k.inner_empty || k.found != 2) return NB_OK;
  nb_status st = stripped(k.text[0], k.bytes[0], false, &a, c->err);
  if (st == NB_OK) st = stripped(k.text[1], k.bytes[1], false, &b, c->err);
  *out = st == NB_OK && (a.n != b.n || memcmp(a.s, b.s, a.n));
  nb_text_free(&a), nb_text_free(&b);
  return st;
}

static nb_status repeat_prompt(const check *c, bool *out) {
  const char *prompt;
  nb_text a = {0}, b = {0};
  NB_TRY(string(c, "prompt_to_repeat", &prompt));
  nb_status st = stripped(c->text, c->n, true, &a, c->err);
  if (st == NB_OK) st = stripped(prompt, strlen(prompt), true, &b, c->err);
  *out = st == NB_OK && a.n >= b.n && !memcmp(a.s, b.s, b.n);
  nb_text_free(&a), nb_text_free(&b);
  return st;
}

static nb_status end_checker(const check *c, bool *out) {
  const char *phrase;
  nb_text a = {0}, b = {0};
  NB_TRY(string(c, "end_phrase", &phrase));
  nb_status st = stripped(c->text, c->n, true, &a, c->err);
  if (st == NB_OK) st = stripped(phrase, strlen(phrase), true, &b, c->err);
  while (st == NB_OK && a.n && a.s[a.n - 1] == '"') a.n--;
  size_t from = 0;
  while (st == NB_OK && from < a.n && a.s[from] == '"') from++;
  *out = st == NB_OK && a.n - from >= b.n && !memcmp(a.s + a.n - b.n, b.s, b.n);
  nb_text_free(&a), nb_text_free(&b);
  return st;
}

/* Where the Penn Treebank's rules, as NLTK has them, put blanks between words, in their order; each rule works on what
 * the one before left. (Which sentences Punkt finds does not matter here: it decides only about points and marks at
 * their ends, which are no capitals and change no word's.) */
static nb_status treebank_words(const check *c, nb_text *t) {
  static const struct {
    const char *pattern, *with;
    bool any_case;
  } rules[] = {
      {"([\xc2\xab\xe2\x80\x9c\xe2\x80\x98\xe2\x80\x9e]|`+)", " ${1} ", false},
      {"^\"", " `` ", false},
      {"(``)", " ${1} ", false},
      {"([ (\\[{<])(?:\"|'{2})", "${1} `` ", false},
      {"(?<!\\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\\b)(?=\\w)", "${1} ", true},
      {"([:,])([^\\d])", " ${1} ${2}", false},
      {"(\\.{2,}|[;@#$%&?!*\\]\\[(){}<>]|[\xe2\x80\x92-\xe2\x80\x95]|--)", " ${1} ", false},
      {"([^'])' ", "${1} ' ", false},
      {"([\xc2\xbb\xe2\x80\x9d\xe2\x80\x99])", " ${1} ", false},
      {"(''|\")", " '' ", false},
      {"\\s+", " ", false},
      {"([^' ])('[sS]|'[mM]|'[dD]|') ", "${1} ${2} ", false},
      {"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", "${1} ${2} ", false},
      {"\\b(can)(not)\\b", " ${1} ${2} ", true},
      {"\\b(d)('ye)\\b", " ${1} ${2} ", true},
      {"\\b(gim|lem)(me)\\b", " ${1} ${2} ", true},
      {"\\b(gon|wan)(na)\\b", " ${1} ${2} ", true},
      {"\\b(got)(ta)\\b", " ${1} ${2} ", true},
      {"\\b(more)('n)\\b", " ${1} ${2} ", true},
      {"\\b(wan)(na)(?=\\s)", " ${1} ${2} ", true},
      {" ('t)(is|was)\\b", " ${1} ${2} ", true},
  };
  NB_TRY(nb_text_append_str(t, " ", c->err));
  NB_TRY(nb_text_append(t, c->text, c->n, c->err));
  NB_TRY(nb_text_append_str(t, " ", c->err));
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    nb_regexp *p;
    NB_TRY(nb_regexp_compile(rules[i].pattern, rules[i].any_case, c->id, &p, c->err));
    nb_status st = nb_regexp_replace(p, rules[i].with, t, c->err);
    nb_regexp_free(p);
    NB_TRY(st);
  }
  return NB_OK;
}

static nb_status capital_word_frequency(const check *c, bool *out) {
  nb_text words = {0};
  size_t n = 0;
  nb_status st = treebank_words(c, &words);
  check split = *c;
  split.text = words.s, split.n = words.n;
  if (st == NB_OK) st = count(&split, "\\S+", false, is_capitals, &n);
  nb_text_free(&words);
  return st == NB_OK ? relates(c, (double)n, "capital_frequency", "capital_relation", out) : st;
}

static nb_status english_capital(const check *c, bool *out) { return english_case(c, true, out); }
static nb_status english_lowercase(const check *c, bool *out) { return english_case(c, false, out); }
static nb_status no_comma(const check *c, bool *out) { return *out = !strchr(c->text, ','), NB_OK; }

static nb_status quotation(const check *c, bool *out) {
  nb_text t = {0};
  nb_status st = stripped(c->text, c->n, false, &t, c->err);
  *out = st == NB_OK && t.n > 1 && t.s[0] == '"' && t.s[t.n - 1] == '"';
  nb_text_free(&t);
  return st;
}

/* ---- a row ---- */

static const struct {
  const char *id;
  nb_status (*follows)(const check *c, bool *out);
} checkers[] = {{"keywords:existence", keywords},
                {"keywords:frequency", keyword_frequency},
                {"keywords:forbidden_words", forbidden_words},
                {"keywords:letter_frequency", letter_frequency},
                {"language:response_language", response_language},
                {"length_constraints:number_sentences", number_sentences},
                {"length_constraints:number_paragraphs", number_paragraphs},
                {"length_constraints:number_words", number_words},
                {"length_constraints:nth_paragraph_first_word", nth_paragraph_first_word},
                {"detectable_content:number_placeholders", number_placeholders},
                {"detectable_content:postscript", postscript},
                {"detectable_format:number_bullet_lists", number_bullet_lists},
                {"detectable_format:constrained_response", constrained_response},
                {"detectable_format:number_highlighted_sections", number_highlighted},
                {"detectable_format:multiple_sections", multiple_sections},
                {"detectable_format:json_format", json_format},
                {"detectable_format:title", title},
                {"combination:two_responses", two_responses},
                {"combination:repeat_prompt", repeat_prompt},
                {"startend:end_checker", end_checker},
                {"startend:quotation", quotation},
                {"change_case:capital_word_frequency", capital_word_frequency},
                {"change_case:english_capital", english_capital},
                {"change_case:english_lowercase", english_lowercase},
                {"punctuation:no_comma", no_comma}};

static nb_status follows(const char *id, const cJSON *args, const char *text, bool *out, bool *approximate,
                         nb_err *err) {
  check c = {args, id, text, strlen(text), approximate, err};
  *out = false;
  for (size_t i = 0; i < sizeof checkers / sizeof *checkers; i++)
    if (!strcmp(checkers[i].id, id)) return is_blank(text, c.n) ? NB_OK : checkers[i].follows(&c, out);
  return nb_fail(err, NB_ERR_FORMAT, "no instruction \"%s\" is known", id);
}

enum { VARIANTS = 8 };

/* What the loose marks also try: without the first line, the last, both; each also without stars. */
static nb_status make_variants(const char *text, nb_text v[VARIANTS], nb_err *err) {
  const char *first = strchr(text, '\n'), *last = strrchr(text, '\n');
  const char *begin = first ? first + 1 : text + strlen(text);
  size_t n = strlen(text), to_last = last ? (size_t)(last - text) : 0;
  NB_TRY(nb_text_append(&v[0], text, n, err));
  NB_TRY(stripped(begin, strlen(begin), false, &v[1], err));
  NB_TRY(stripped(text, to_last, false, &v[2], err));
  NB_TRY(stripped(begin, last && last >= begin ? (size_t)(last - begin) : 0, false, &v[3], err));
  for (size_t i = 0; i < 4; i++) {
    NB_TRY(nb_text_append(&v[i + 4], v[i].s, v[i].n, err));
    NB_TRY(nb_strings_replace(&v[i + 4], "*", "", err));
  }
  return NB_OK;
}

nb_status nb_ifeval_mark(const cJSON *row, const char *text, nb_ifeval_marks *out, nb_err *err) {
  const cJSON *ids, *args;
  nb_text v[VARIANTS] = {{0}};
  nb_status st;
  size_t n = 0, strict = 0, loose = 0;
  *out = (nb_ifeval_marks){.approximate = false};
  NB_TRY(nb_json_array(row, "the row", "instruction_id_list", &ids, err));
  NB_TRY(nb_json_array(row, "the row", "kwargs", &args, err));
  NB_GOTO(make_variants(text, v, err));
  const cJSON *a = args->child;
  for (const cJSON *id = ids->child; id; id = id->next, a = a ? a->next : NULL, n++) {
    bool yes = false;
    if (!cJSON_IsString(id) || !cJSON_IsObject(a))
      NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "instruction_id_list and kwargs do not go together"));
    for (size_t i = 0; i < VARIANTS && !yes; i++) {
      NB_GOTO(follows(id->valuestring, a, v[i].s, &yes, &out->approximate, err));
      strict += yes && i == 0;
    }
    loose += yes;
  }
  if (!n) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "the row has no instruction"));
  out->value[0] = strict == n, out->value[1] = (double)strict;
  out->value[2] = loose == n, out->value[3] = (double)loose;
  out->weight[0] = out->weight[2] = 1, out->weight[1] = out->weight[3] = (double)n;
fail:
  for (size_t i = 0; i < VARIANTS; i++) nb_text_free(&v[i]);
  return st;
}
