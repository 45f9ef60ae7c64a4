/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* memmem, which is linear whatever it looks for */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/tokenizer_regex.h"
#include "base/unicode_recent.h"
#include "base/utf8.h"

#include <pcre2.h>
#include <stdio.h>

enum { DEPTH_LIMIT = 100000, HEAP_LIMIT_KIB = 64 * 1024, PATTERN_LIMIT = 1 << 16 };

struct nb_regex {
  pcre2_code *code; /* NULL: find the string */
  nb_text literal;
};

/* Oniguruma's classes, as the inside of a bracket: \s is Unicode's White_Space (PCRE2 counts U+180E too),
 * \w is alphabetic, mark, decimal digit or connector (PCRE2 before 10.43 has other marks and numbers). */
static const char space_class[] = "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
                                  "\\x{205f}\\x{3000}";
static const char word_class[] = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"
                                 "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";

static nb_status unsupported(const char *what, size_t n, size_t at, nb_err *err) {
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "the regular expression uses \"%.*s\" at offset %zu, which this version cannot translate from "
                 "Oniguruma to PCRE2",
                 (int)n, what, at);
}

/* Appends, as the inside of a bracket, the characters of a general category that are newer than Unicode 14.
 */
static nb_status put_recent(const char *name, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < sizeof unicode_recent / sizeof *unicode_recent; i++) {
    char range[40];
    if (n > 2 || strncmp(unicode_recent[i].category, name, n)) continue;
    uint32_t last = unicode_recent[i].last;
    int k = snprintf(range, sizeof range, "\\x{%x}-\\x{%x}", unicode_recent[i].first, last);
    NB_TRY(nb_text_append(out, range, (size_t)k, err));
  }
  return NB_OK;
}

/* Translates the property \p{name} or \P{name}, s[0..len). Categories are completed by the newest characters,
 * so that ids do not depend on the system's version of Unicode. A longer name is a script: by itself, not by
 * its extensions, which newer versions of PCRE2 would take. */
static nb_status put_property(const char *s, size_t len, bool in_class, nb_text *out, nb_err *err) {
  const char *name = s + 3;
  size_t n = len - 4;
  bool negated = s[1] == 'P';
  if (n && *name == '^') name++, n--, negated = !negated;
  const char *sc =
      PCRE2_MAJOR * 100 + PCRE2_MINOR >= 1040 && n > 2 && !memchr(name, ':', n) && memcmp(name, "Any", 3) ? "sc:" : "";
  nb_text body = {0};
  nb_status st;
  NB_GOTO(put_recent(name, n, &body, err));
  bool bracket = body.n && !in_class;
  if (in_class && negated && body.n) nb_text_clear(&body); /* a complement inside a class cannot be completed */
  NB_GOTO(nb_text_append_str(out, bracket ? negated ? "[^" : "[" : "", err));
  NB_GOTO(nb_text_append_str(out, negated && !bracket ? "\\P{" : "\\p{", err));
  NB_GOTO(nb_text_append_str(out, sc, err));
  NB_GOTO(nb_text_append(out, name, n, err));
  NB_GOTO(nb_text_append_str(out, "}", err));
  NB_GOTO(nb_text_append(out, body.s, body.n, err));
  st = nb_text_append_str(out, bracket ? "]" : "", err);
fail:
  nb_text_free(&body);
  return st;
}

/* Appends a list like word_class. */
static nb_status put_set(const char *set, nb_text *out, nb_err *err) {
  while (*set) {
    size_t len = set[1] == 'p' ? (size_t)(strchr(set, '}') - set) + 1 : 1;
    NB_TRY(len > 1 ? put_property(set, len, true, out, err) : nb_text_append(out, set, 1, err));
    set += len;
  }
  return NB_OK;
}

/* Copies one backslash escape, p[i] == '\\', translated; *len is its length in the pattern. */
static nb_status put_escape(const char *p, size_t n, size_t i, bool in_class, nb_text *out, size_t *len, nb_err *err) {
  if (i + 1 >= n) return nb_fail(err, NB_ERR_FORMAT, "the regular expression ends in a backslash");
  char c = p[i + 1];
  *len = 2;
  const char *set = c == 's' || c == 'S' ? space_class : c == 'w' || c == 'W' ? word_class : NULL;
  if (set) {
    bool negated = c == 'S' || c == 'W';
    if (in_class && negated) return unsupported(p + i, 2, i, err);
    if (!in_class) NB_TRY(nb_text_append_str(out, negated ? "[^" : "[", err));
    NB_TRY(put_set(set, out, err));
    return in_class ? NB_OK : nb_text_append_str(out, "]", err);
  }
  if (c == 'p' || c == 'P' || c == 'x') {
    if (i + 2 < n && p[i + 2] == '{') {
      const char *end = memchr(p + i, '}', n - i);
      if (!end) return nb_fail(err, NB_ERR_FORMAT, "the regular expression has \\%c{ without }", c);
      *len = (size_t)(end - (p + i)) + 1;
    } else if (c == 'x') {
      while (*len < 4 && i + *len < n && strchr("0123456789abcdefABCDEF", p[i + *len])) (*len)++;
    } else {
      return unsupported(p + i, 2, i, err);
    }
    if (c != 'x') return put_property(p + i, *len, in_class, out, err);
    return nb_text_append(out, p + i, *len, err);
  }
  bool plain = !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
  if (!plain && !strchr(in_class ? "rntfvaedD" : "rntfvaedDAzZ", c)) return unsupported(p + i, 2, i, err);
  if (plain && (unsigned char)c >= 0x80) nb_utf8_get(p + i + 1, len), (*len)++;
  if (c == 'v') return nb_text_append_str(out, "\\x0b", err);
  return nb_text_append(out, p + i, *len, err);
}

/* Copies a bracketed class, p[i] == '['. Nested classes and intersections are Oniguruma's alone. */
static nb_status put_class(const char *p, size_t n, size_t i, nb_text *out, size_t *len, nb_err *err) {
  size_t k = i + 1;
  NB_TRY(nb_text_append_str(out, "[", err));
  if (k < n && p[k] == '^') NB_TRY(nb_text_append(out, p + k++, 1, err));
  for (bool first = true; k < n && (p[k] != ']' || first); first = false) {
    size_t step = 1;
    if (p[k] == '[' || (p[k] == '&' && k + 1 < n && p[k + 1] == '&') || p[k] == ']')
      return unsupported(p + k, nb_min(n - k, 2), k, err);
    if (p[k] == '\\') NB_TRY(put_escape(p, n, k, true, out, &step, err));
    else NB_TRY(nb_text_append(out, p + k, 1, err));
    k += step;
  }
  if (k >= n) return nb_fail(err, NB_ERR_FORMAT, "the regular expression has [ without ]");
  *len = k + 1 - i;
  return nb_text_append_str(out, "]", err);
}

/* Groups that mean the same in both: ( (?: (?i: (?= (?! (?<= (?<! (?> . */
static nb_status check_group(const char *p, size_t n, size_t i, nb_err *err) {
  static const char *const known[] = {"?:", "?i:", "?=", "?!", "?<=", "?<!", "?>"};
  if (i + 1 >= n || (p[i + 1] != '?' && p[i + 1] != '*')) return NB_OK;
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (n - i - 1 >= strlen(known[k]) && !memcmp(p + i + 1, known[k], strlen(known[k]))) return NB_OK;
  return unsupported(p + i, nb_min(n - i, 4), i, err);
}

/* Length of a counted repeat {n}, {n,}, {,m} or {n,m} at p[i], 0 when the brace is an ordinary character. */
static size_t count_repeat(const char *p, size_t n, size_t i) {
  size_t k = i + 1;
  bool digits = false;
  while (k < n && ((p[k] >= '0' && p[k] <= '9') || p[k] == ',')) digits = digits || p[k] != ',', k++;
  return digits && k < n && p[k] == '}' ? k + 1 - i : 0;
}

static nb_status translate(const char *p, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < n;) {
    size_t len = 1;
    if (p[i] == '\\') {
      NB_TRY(put_escape(p, n, i, false, out, &len, err));
    } else if (p[i] == '[') {
      NB_TRY(put_class(p, n, i, out, &len, err));
    } else {
      if (p[i] == '(') NB_TRY(check_group(p, n, i, err));
      if (p[i] == '{' && (len = count_repeat(p, n, i)) == 0) {
        len = 1;
        NB_TRY(nb_text_append_str(out, "\\", err));
      } else if (p[i] == '{') { /* {n}+ repeats again for Ruby but is possessive for PCRE2; {,m} is newer there */
        if ((i + len < n && (p[i + len] == '+' || p[i + len] == '?')) || p[i + 1] == ',')
          return unsupported(p + i, nb_min(len + 1, n - i), i, err);
      }
      NB_TRY(nb_text_append(out, p + i, len, err));
    }
    i += len;
    if (out->n > PATTERN_LIMIT) return nb_fail(err, NB_ERR_FORMAT, "the regular expression is absurdly long");
  }
  return nb_text_append(out, "", 0, err);
}

nb_status nb_regex_new(const char *pattern, size_t n, bool is_regex, nb_regex **out, nb_err *err) {
  *out = NULL;
  if (n == 0) return nb_fail(err, NB_ERR_FORMAT, "a tokenizer's pattern is empty");
  nb_regex *r;
  nb_text text = {0};
  nb_status st;
  NB_TRY(nb_new(&r, 1, sizeof *r, "a pattern", err));
  if (!is_regex) {
    NB_GOTO(nb_text_append(&r->literal, pattern, n, err));
    *out = r;
    return NB_OK;
  }
  NB_GOTO(translate(pattern, n, &text, err));
  int code;
  size_t at;
  pcre2_compile_context *ctx = pcre2_compile_context_create(NULL);
  if (ctx) pcre2_set_newline(ctx, PCRE2_NEWLINE_LF), pcre2_set_parens_nest_limit(ctx, 100);
  r->code = pcre2_compile((PCRE2_SPTR)text.s, text.n, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                          &code, &at, ctx);
  pcre2_compile_context_free(ctx);
  if (!r->code) {
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(code, why, sizeof why);
    st = nb_fail(err, NB_ERR_FORMAT, "the regular expression \"%.200s\" does not compile: %s at offset %zu", text.s,
                 (char *)why, at);
    goto fail;
  }
  pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* where there is no JIT the interpreter does it */
  nb_text_free(&text);
  *out = r;
  return NB_OK;
fail:
  nb_text_free(&text);
  nb_regex_free(r);
  return st;
}

void nb_regex_free(nb_regex *r) {
  if (!r) return;
  pcre2_code_free(r->code);
  nb_text_free(&r->literal);
  nb_free(r);
}

void nb_regex_scratch_free(nb_regex_scratch *s) {
  pcre2_match_data_free(s->data);
  pcre2_match_context_free(s->limits);
  *s = (nb_regex_scratch){0};
}

/* The first place of the string at or after it->at. */
static bool next_literal(const nb_regex *r, nb_regex_iter *it) {
  const char *p = memmem(it->s + it->at, it->n - it->at, r->literal.s, r->literal.n);
  if (!p) return false;
  it->start = (size_t)(p - it->s);
  it->end = it->at = it->start + r->literal.n;
  return true;
}

/* One match at it->at. The library can only be told how many steps it may take, not asked how many it took: it is
 * given few at first, and when they do not suffice ten times as many, which then count. */
static int match(const nb_regex *r, const nb_regex_iter *it, nb_regex_scratch *s) {
  for (uint32_t limit = NB_REGEX_CHEAP;; limit *= 10) {
    pcre2_set_match_limit(s->limits, limit);
    int rc = pcre2_match(r->code, (PCRE2_SPTR)it->s, it->n, it->at, PCRE2_NO_UTF_CHECK, s->data, s->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
      rc =
          pcre2_match(r->code, (PCRE2_SPTR)it->s, it->n, it->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data, s->limits);
    if (rc != PCRE2_ERROR_MATCHLIMIT) return rc;
    s->spent += 10 * (size_t)limit;
    if (limit > NB_REGEX_WORK || s->spent > NB_REGEX_WORK + NB_REGEX_WORK_BYTE * it->n) return rc;
  }
}

nb_status nb_regex_next(const nb_regex *r, nb_regex_iter *it, nb_regex_scratch *scratch, bool *found, nb_err *err) {
  if (!r->code) {
    *found = next_literal(r, it);
    return NB_OK;
  }
  if (!scratch->data) scratch->data = pcre2_match_data_create(1, NULL);
  if (!scratch->limits && (scratch->limits = pcre2_match_context_create(NULL)) != NULL) {
    pcre2_set_depth_limit(scratch->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(scratch->limits, HEAP_LIMIT_KIB);
  }
  if (!scratch->data || !scratch->limits) return nb_fail(err, NB_ERR_MEMORY, "out of memory: pattern matching");
  *found = false;
  while (it->at <= it->n) {
    int rc = match(r, it, scratch);
    if (rc == PCRE2_ERROR_NOMATCH) return NB_OK;
    if (rc < 0) {
      PCRE2_UCHAR why[128];
      pcre2_get_error_message(rc, why, sizeof why);
      return nb_fail(err, NB_ERR_FORMAT, "the tokenizer's regular expression fails on this text: %s", (char *)why);
    }
    const size_t *v = pcre2_get_ovector_pointer(scratch->data);
    size_t before = it->end;
    if (v[0] == v[1] && ((it->any && v[1] == before) || v[1] < v[0])) { /* empty, right behind the last match */
      size_t k = 1;
      if (it->at < it->n) nb_utf8_get(it->s + it->at, &k);
      it->at += k;
      continue;
    }
    it->start = v[0];
    it->end = it->at = v[1];
    it->any = *found = true;
    return NB_OK;
  }
  return NB_OK;
}
