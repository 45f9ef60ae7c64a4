/* SPDX-License-Identifier: MIT */
/* In Punkt's words: a context is the word before a point, question or exclamation mark, the mark, and what follows; the
 * text is cut there if one of the context's tokens but the last ends a sentence. Which abbreviations the English model
 * knows (abbrev_types) is said below: words by kind, single letters, letters with points between. */
#include "eval/sentences.h"

#include "eval/regexp.h"
#include "eval/strings.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- what the model knows ---- */

static const char *const titles = " mr mrs ms dr prof sen gen rep reps col maj lt adm messrs st ";
static const char *const abbreviations =
    " jan feb aug sep sept oct nov dec tues wed fri"                                            /* months and days */
    " ala ariz calif colo conn fla ga ill kan ky mich minn nev okla ore pa tenn va vt wash wis" /* states */
    " inc corp co cos ltd bros cie jr sr ave ft mg yr vs chg ct ok sw ";
static const char *const letters = "cdefghklmnprstvw"; /* single ones that it takes for abbreviations */
/* Words that begin sentences so often that a capital one does behind any abbreviation. */
static const char *const starters =
    " he since so both these it this however instead some though while when in although "
    "thus there if the moreover but they yet many among meanwhile even i most under ";
/* Words that belong to a number before them. */
static const char *const after_numbers = " international commodities insider credit corrections financing business "
                                         "pay-fone leisure dividend review abreast who letters notable ";

/* ---- tokens ---- */

typedef struct token {
  const char *s;
  size_t n;
} token;

/* Whether it ends a sentence; the two in the middle are not decided without the statistics. */
typedef enum ending { NO, LIKELY_NO, LIKELY, YES } ending;

static bool listed(const char *list, const char *word, size_t n) {
  for (const char *hit = list; n && (hit = strstr(hit + 1, word));)
    if (hit[-1] == ' ' && hit[n] == ' ') return true;
  return false;
}

static bool is_mark(token t) { return t.n == 1 && memchr(";:,.!?", *t.s, 6); }

static bool begins_in(token t, bool upper) {
  size_t len;
  nb_strings_char(t.s, t.n, 0, &len);
  return nb_strings_all_case(t.s, len, upper);
}

static bool is_number(token t) {
  size_t i = t.s[0] == '-';
  i += i < t.n && (t.s[i] == '.' || t.s[i] == ',');
  if (i == t.n || t.s[i] < '0' || t.s[i] > '9') return false;
  while (i < t.n && strchr("0123456789,.-", t.s[i])) i++;
  return i == t.n;
}

/* "u.s", "ph.d": parts of at most two letters with points between; those the model knows, nearly all. */
static bool has_points(const char *word) {
  size_t part = 0, points = 0;
  if (!strcmp(word, "e.g") || !strcmp(word, "i.e")) return false; /* it does not know these */
  for (; *word; word++) {
    part = *word == '.' ? 0 : part + ((*word & 0xc0) != 0x80);
    points += *word == '.';
    if (part > 2) return false;
  }
  return points > 0 && part > 0;
}

static bool is_known(const char *word) {
  size_t n = strlen(word);
  return listed(titles, word, n) || listed(abbreviations, word, n) || (n == 1 && strchr(letters, *word)) ||
         !strcmp(word, ". . ");
}

/* One character that may stand in a word and is no digit. */
static bool is_letter(const char *word) {
  size_t len;
  int32_t c = nb_strings_char(word, strlen(word), 0, &len);
  utf8proc_category_t k = c >= 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;
  bool letter = (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) || *word == '_';
  return !word[len] && (letter || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO);
}

/* A token that ends in a point and is no number, with its letters in lower case and without the point. */
static ending word_ends(const char *word, token next, bool starts) {
  const char *hyphen = strrchr(word, '-'), *part = hyphen ? hyphen + 1 : word;
  bool upper = begins_in(next, true);
  bool initial = is_letter(word);
  if (initial && strchr(letters, *word)) return NO;
  if (initial) {
    if (is_mark(next)) return NO;
    return begins_in(next, false) || (upper && !starts) ? LIKELY_NO : YES;
  }
  if (is_known(word) || is_known(part)) {
    if (!upper) return NO;
    return starts ? YES : listed(titles, word, strlen(word)) ? LIKELY_NO : LIKELY;
  }
  if (!has_points(word) && !has_points(part)) return YES;
  return !upper ? LIKELY_NO : starts ? YES : LIKELY;
}

static nb_status token_ends(token t, token next, ending *out, nb_err *err) {
  nb_text word = {0}, after = {0};
  nb_status st;
  NB_GOTO(nb_strings_lower(next.s, next.n, &after, err));
  if (after.n > 1 && after.s[after.n - 1] == '.') after.s[--after.n] = 0;
  bool starts = begins_in(next, true) && listed(starters, after.s, after.n);
  *out = NO;
  if (t.n == 1 && strchr(".?!", *t.s)) {
    *out = YES;
  } else if (t.s[t.n - 1] != '.') {
    *out = NO;
  } else if (t.s[t.n - 2] == '.') { /* points alone: a word ends before two of them */
    *out = !begins_in(next, true) ? NO : starts ? YES : LIKELY;
  } else if (is_number(t)) {
    *out = is_mark(next) ? NO : begins_in(next, false) || listed(after_numbers, after.s, after.n) ? LIKELY_NO : YES;
  } else {
    NB_GOTO(nb_strings_lower(t.s, t.n - 1, &word, err));
    *out = word_ends(word.s, next, starts);
  }
fail:
  nb_text_free(&word), nb_text_free(&after);
  return st;
}

/* The tokens of a context as they come: the last one is only looked at from the one before. */
typedef struct reading {
  token last;
  ending ends;
} reading;

static nb_status see_token(void *ctx, const char *s, size_t n, nb_err *err) {
  reading *r = ctx;
  ending ends = NO;
  token t = {s, n};
  if (r->last.n) NB_TRY(token_ends(r->last, t, &ends, err));
  if (ends > r->ends) r->ends = ends;
  r->last = t;
  return NB_OK;
}

#define CLOSER "\xe2\x80\x98\xe2\x80\x99\xe2\x80\x9c\xe2\x80\x9d\xc2\xab\xc2\xbb"
#define NON_WORD "[)\";}\\]*:@'({\\[" CLOSER "?!]"
#define POINTS "(?:-{2,}|\\.{2,}|(?:\\.\\s){2,}\\.)"

/* Line by line, as a token may not hold the blanks of two lines. */
static nb_status context_ends(const nb_regexp *tokens, const char *s, size_t n, ending *out, nb_err *err) {
  reading r = {.ends = NO};
  for (const char *end = s + n, *line = s, *next; line < end; line = next + 1) {
    next = memchr(line, '\n', (size_t)(end - line));
    if (!next) next = end;
    NB_TRY(nb_regexp_each(tokens, line, (size_t)(next - line), see_token, &r, err));
  }
  return *out = r.ends, NB_OK;
}

/* ---- places ---- */

/* Where a sentence may end and the next begin. */
typedef struct place {
  size_t end, next;
  ending ends;
} place;

typedef struct places {
  const char *text;
  size_t n;
  place *at; /* (count of cap) */
  size_t count, cap;
} places;

static size_t blanks(const places *p, size_t from, size_t to) {
  size_t i = from, len;
  while (i < to && nb_strings_is_space(nb_strings_char(p->text, to, i, &len))) i += len;
  return i - from;
}

/* Bytes of the one of these characters that stands there; 0: none does. */
static size_t one_of(const places *p, size_t i, const char *ascii) {
  size_t len;
  if (i >= p->n) return 0;
  if (p->text[i] && strchr(ascii, p->text[i])) return 1;
  int32_t c = nb_strings_char(p->text, p->n, i, &len);
  return (c >= 0x2018 && c <= 0x201d && c != 0x201a && c != 0x201b) || c == 0xab || c == 0xbb ? len : 0;
}

/* What follows the mark at i: one of the characters that end a word, or blanks and another token. 0: neither, so that
 * no sentence can end here. */
static size_t follows(const places *p, size_t i, size_t *next) {
  size_t len = one_of(p, i, ")\";}]*:@'({[?!"), gap, end;
  *next = i;
  if (len) return len;
  gap = blanks(p, i, p->n), end = *next = i + gap;
  if (!gap) return 0;
  while (end < p->n && !nb_strings_is_space(nb_strings_char(p->text, p->n, end, &len))) end += len;
  return end > *next ? end - i : 0;
}

static nb_status add_place(places *p, place at, nb_err *err) {
  if (p->count == p->cap) {
    size_t cap = p->cap ? 2 * p->cap : 64;
    place *more = realloc(p->at, cap * sizeof *more);
    if (!more) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a text's sentences");
    p->at = more, p->cap = cap;
  }
  return p->at[p->count++] = at, NB_OK;
}

/* Marks in a row have one word before them and count as the last of them. */
static nb_status find_places(places *p, const nb_regexp *tokens, nb_err *err) {
  size_t word = 0, mark = 0, after = 0, next = 0; /* of the mark before */
  bool any = false;
  for (size_t i = 0; i <= p->n; i++) {
    size_t then = 0, length = i < p->n && memchr(".?!", p->text[i], 3) ? follows(p, i + 1, &then) : 0, from = word;
    if (i < p->n && !length) continue;
    for (size_t k = i; k-- > mark + 1;) /* the first character is not looked at, whatever it is */
      if (strchr(" \t\n\r\v\f", p->text[k])) {
        from = k + 1;
        break;
      }
    if (any && (i == p->n || mark <= from)) {
      place at = {mark + 1, next, NO};
      NB_TRY(context_ends(tokens, p->text + word, mark + 1 + after - word, &at.ends, err));
      if (at.ends > NO) NB_TRY(add_place(p, at, err));
    }
    word = from, mark = i, after = length, next = then, any = true;
  }
  return NB_OK;
}

/* Quotes and brackets at the beginning of a sentence that close what stands in the one before, with the blanks behind
 * them. */
static size_t closing(const places *p, size_t from, size_t to) {
  size_t i = from, len, gap;
  while (i < to && (len = one_of(p, i, "\"')]}"))) {
    i += len;
    if ((gap = blanks(p, i, to)) || i >= to || (to - i > 1 && !memcmp(p->text + i, "--", 2))) return i + gap - from;
  }
  return 0;
}

static size_t count_cut(const places *p, ending least, size_t end) {
  size_t count = 0, begin = 0, taken = 0;
  for (size_t i = 0; i <= p->count; i++) {
    if (i < p->count && p->at[i].ends < least) continue;
    size_t stop = i < p->count ? p->at[i].end : end, then = i < p->count ? p->at[i].next : end, k = i + 1;
    while (k < p->count && p->at[k].ends < least) k++;
    size_t closes = i < p->count ? closing(p, then, k < p->count ? p->at[k].end : end) : 0;
    count += closes || begin + taken < stop;
    begin = then, taken = closes;
  }
  return count;
}

nb_status nb_sentences_count(const char *text, size_t n, nb_sentences *out, nb_err *err) {
  static const char pattern[] = POINTS "|(?=[^(\"`{\\[:;&#*@)}\\],-])\\S+?(?=\\s|$|" NON_WORD "|" POINTS
                                       "|,(?=$|\\s|" NON_WORD "|" POINTS "))|\\S";
  places p = {.text = text, .n = n};
  nb_regexp *tokens = NULL;
  nb_status st;
  NB_GOTO(nb_regexp_compile(pattern, false, "sentences", &tokens, err));
  NB_GOTO(find_places(&p, tokens, err));
  size_t end = 0, len;
  for (size_t i = 0; i < n; i += len)
    if (!nb_strings_is_space(nb_strings_char(text, n, i, &len))) end = i + len;
  *out = (nb_sentences){count_cut(&p, YES, end), count_cut(&p, LIKELY, end), count_cut(&p, LIKELY_NO, end)};
fail:
  nb_regexp_free(tokens);
  free(p.at);
  return st;
}
