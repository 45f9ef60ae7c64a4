/* SPDX-License-Identifier: MIT */
#include "eval/strings.h"

#include "eval/regexp.h"

#include <stdio.h>
#include <utf8proc.h>

int32_t nb_strings_char(const char *s, size_t n, size_t i, size_t *len) {
  utf8proc_int32_t c;
  utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(n - i), &c);
  *len = k > 0 ? (size_t)k : 1;
  return k > 0 ? c : -1;
}

bool nb_strings_is_space(int32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

typedef struct range {
  int32_t from, to;
} range;

/* Unicode's Other_Uppercase and Other_Lowercase, which Python's isupper and islower count too: numerals, circled and
 * raised letters. */
static const range other_upper[] = {
    {0x2160, 0x216f}, {0x24b6, 0x24cf}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};
static const range other_lower[] = {
    {0xaa, 0xaa},     {0xba, 0xba},     {0x2b0, 0x2b8},     {0x2c0, 0x2c1},     {0x2e0, 0x2e4},     {0x345, 0x345},
    {0x37a, 0x37a},   {0x1d2c, 0x1d6a}, {0x1d78, 0x1d78},   {0x1d9b, 0x1dbf},   {0x2071, 0x2071},   {0x207f, 0x207f},
    {0x2090, 0x209c}, {0x2170, 0x217f}, {0x24d0, 0x24e9},   {0x2c7c, 0x2c7d},   {0xa69c, 0xa69d},   {0xa770, 0xa770},
    {0xa7f8, 0xa7f9}, {0xab5c, 0xab5f}, {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107b0}, {0x107b2, 0x107ba}};

static bool within(const range *r, size_t n, int32_t c) {
  for (size_t i = 0; i < n; i++)
    if (c >= r[i].from && c <= r[i].to) return true;
  return false;
}

bool nb_strings_all_case(const char *s, size_t n, bool upper) {
  bool any = false;
  size_t len;
  for (size_t i = 0; i < n; i += len) {
    int32_t c = nb_strings_char(s, n, i, &len);
    utf8proc_category_t k = c >= 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;
    bool is_upper = k == UTF8PROC_CATEGORY_LU || within(other_upper, sizeof other_upper / sizeof *other_upper, c);
    bool is_lower = k == UTF8PROC_CATEGORY_LL || within(other_lower, sizeof other_lower / sizeof *other_lower, c);
    if (k == UTF8PROC_CATEGORY_LT || (upper ? is_lower : is_upper)) return false;
    any = any || is_upper || is_lower;
  }
  return any;
}

void nb_strings_strip(nb_text *t) {
  size_t begin = t->n, end = 0, len;
  for (size_t i = 0; i < t->n; i += len)
    if (!nb_strings_is_space(nb_strings_char(t->s, t->n, i, &len))) {
      if (begin == t->n) begin = i;
      end = i + len;
    }
  if (end < begin) begin = end = 0;
  if (t->s) memmove(t->s, t->s + begin, end - begin);
  t->n = end - begin;
  if (t->s) t->s[t->n] = 0;
}

nb_status nb_strings_replace(nb_text *t, const char *what, const char *with, nb_err *err) {
  nb_text out = {0};
  nb_status st = NB_OK;
  for (const char *p = t->s ? t->s : "";;) {
    const char *hit = strstr(p, what);
    NB_GOTO(nb_text_append(&out, p, hit ? (size_t)(hit - p) : strlen(p), err));
    if (!hit) break;
    NB_GOTO(nb_text_append_str(&out, with, err));
    p = hit + strlen(what);
  }
  nb_text_free(t);
  *t = out;
  return NB_OK;
fail:
  nb_text_free(&out);
  return st;
}

static nb_status map(const char *s, size_t n, utf8proc_int32_t (*to)(utf8proc_int32_t), nb_text *out, nb_err *err) {
  size_t len;
  for (size_t i = 0; i < n; i += len) {
    int32_t c = nb_strings_char(s, n, i, &len);
    utf8proc_uint8_t buf[4];
    if (c >= 0) {
      utf8proc_ssize_t k = utf8proc_encode_char(to(c), buf);
      NB_TRY(nb_text_append(out, (const char *)buf, (size_t)k, err));
    } else {
      NB_TRY(nb_text_append(out, s + i, 1, err));
    }
  }
  return nb_text_append(out, "", 0, err);
}

nb_status nb_strings_lower(const char *s, size_t n, nb_text *out, nb_err *err) {
  return map(s, n, utf8proc_tolower, out, err);
}
nb_status nb_strings_upper(const char *s, size_t n, nb_text *out, nb_err *err) {
  return map(s, n, utf8proc_toupper, out, err);
}

nb_status nb_strings_drop_punctuation(nb_text *t, nb_err *err) {
  nb_text out = {0};
  size_t len;
  nb_status st = nb_text_append(&out, "", 0, err);
  for (size_t i = 0; i < t->n && st == NB_OK; i += len) {
    int32_t c = nb_strings_char(t->s, t->n, i, &len);
    utf8proc_category_t k = c >= 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;
    if (k < UTF8PROC_CATEGORY_PC || k > UTF8PROC_CATEGORY_PO) st = nb_text_append(&out, t->s + i, len, err);
  }
  if (st != NB_OK) return nb_text_free(&out), st;
  nb_text_free(t);
  *t = out;
  return NB_OK;
}

void nb_strings_drop_ascii_punctuation(nb_text *t) {
  size_t to = 0;
  for (size_t i = 0; i < t->n; i++)
    if (!strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", t->s[i]) || !t->s[i]) t->s[to++] = t->s[i];
  t->n = to;
  if (t->s) t->s[to] = 0;
}

/* ---- numbers in words ---- */

#define UNITS                                                                                                          \
  "zero|one|two|three|four|five|(?:twen|thir|for|fif|six|seven|nine)(?:|teen|ty)|eight(?:|een|y)|ten|eleven|twelve|"   \
  "fourteen|hundred|thousand|(?:m|b|tr)illion"

static const struct {
  const char *word;
  long value;
} numbers[] = {{"zero", 0},     {"one", 1},      {"two", 2},        {"three", 3},     {"four", 4},
               {"five", 5},     {"six", 6},      {"seven", 7},      {"eight", 8},     {"nine", 9},
               {"ten", 10},     {"eleven", 11},  {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14},
               {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19},
               {"twenty", 20},  {"thirty", 30},  {"forty", 40},     {"fifty", 50},    {"sixty", 60},
               {"seventy", 70}, {"eighty", 80},  {"ninety", 90}};

/* The value of words in a row; false when there is no number word among them. */
static bool value_of(const char *s, double *out) {
  double total = 0, part = 0;
  bool any = false;
  while (*s) {
    size_t n = strcspn(s, " \t,&");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      if (strlen(numbers[i].word) == n && !memcmp(numbers[i].word, s, n)) part += (double)numbers[i].value, any = true;
    static const struct {
      const char *word;
      double value;
    } scale[] = {{"thousand", 1e3}, {"million", 1e6}, {"billion", 1e9}, {"trillion", 1e12}};
    if (n == 7 && !memcmp(s, "hundred", 7)) part = (part > 0 ? part : 1) * 100, any = true;
    for (size_t i = 0; i < 4; i++)
      if (strlen(scale[i].word) == n && !memcmp(scale[i].word, s, n))
        total += (part > 0 ? part : 1) * scale[i].value, part = 0, any = true;
    s += n;
    s += strspn(s, " \t,&");
  }
  *out = total + part;
  return any;
}

nb_status nb_strings_number_in_words(const nb_text *t, long which, nb_text *out, bool *found, nb_err *err) {
  nb_text low = {0};
  nb_regexp *r = NULL;
  nb_status st;
  double v;
  *found = false;
  NB_GOTO(nb_regexp_compile("((?:(?:" UNITS ")(?:" UNITS "|[^\\S\\r\\n]|,|and|&)+)?(?:" UNITS "))", false, "numbers",
                            &r, err));
  NB_GOTO(nb_strings_lower(t->s ? t->s : "", t->n, &low, err));
  NB_GOTO(nb_regexp_find(r, low.s, low.n, which, out, found, err));
  *found = *found && out->n && value_of(out->s, &v);
  if (*found) {
    char digits[40];
    snprintf(digits, sizeof digits, "%.0f", v);
    nb_text_clear(out);
    NB_GOTO(nb_text_append_str(out, digits, err));
  }
fail:
  nb_regexp_free(r);
  nb_text_free(&low);
  return st;
}
