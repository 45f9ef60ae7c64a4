/* SPDX-License-Identifier: MIT */
#include "eval/regexp.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct nb_regexp {
  pcre2_code *code;
  pcre2_match_context *limits;
  uint32_t groups;
};

enum { MATCH_STEPS = 20000000 }; /* of backtracking: a pattern that needs more on a text ends the run */

nb_status nb_regexp_compile(const char *pattern, bool any_case, const char *where, nb_regexp **out, nb_err *err) {
  int code;
  PCRE2_SIZE at;
  pcre2_compile_context *c = pcre2_compile_context_create(NULL);
  nb_regexp *r = calloc(1, sizeof *r);
  *out = NULL;
  if (!c || !r || !(r->limits = pcre2_match_context_create(NULL))) {
    pcre2_compile_context_free(c);
    nb_regexp_free(r);
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  }
  pcre2_set_newline(c, PCRE2_NEWLINE_LF);
  pcre2_set_match_limit(r->limits, MATCH_STEPS);
  r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | (any_case ? PCRE2_CASELESS : 0), &code, &at, c);
  pcre2_compile_context_free(c);
  if (!r->code) {
    PCRE2_UCHAR why[120] = "";
    pcre2_get_error_message(code, why, sizeof why);
    nb_regexp_free(r);
    return nb_fail(err, NB_ERR_FORMAT, "%s: the pattern \"%.100s\" is wrong at character %zu: %s", where, pattern,
                   (size_t)at, (const char *)why);
  }
  pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &r->groups);
  *out = r;
  return NB_OK;
}

void nb_regexp_free(nb_regexp *r) {
  if (!r) return;
  pcre2_code_free(r->code);
  pcre2_match_context_free(r->limits);
  free(r);
}

static nb_status match_error(int code, nb_err *err) {
  PCRE2_UCHAR why[120] = "";
  pcre2_get_error_message(code, why, sizeof why);
  return nb_fail(err, NB_ERR_FORMAT, "a pattern of the task cannot be matched with this text: %s", (const char *)why);
}

typedef nb_status (*see_spans)(void *ctx, const PCRE2_SIZE *span, nb_err *err);

/* Every match, left to right. After an empty one the search goes on from the same place, but not for an empty one. */
static nb_status each_span(const nb_regexp *r, const char *text, size_t n, see_spans see, void *ctx, nb_err *err) {
  pcre2_match_data *d = pcre2_match_data_create_from_pattern(r->code, NULL);
  if (!d) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a match");
  nb_status st = NB_OK;
  uint32_t options = 0;
  for (size_t at = 0; at <= n && st == NB_OK;) {
    int hit = pcre2_match(r->code, (PCRE2_SPTR)(text ? text : ""), n, at, options, d, r->limits);
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(d);
    if (hit == PCRE2_ERROR_NOMATCH && !options) break;
    if (hit == PCRE2_ERROR_NOMATCH) { /* nothing but an empty match here: one character on */
      at++;
      while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80) at++;
      options = 0;
      continue;
    }
    if (hit < 0) {
      st = match_error(hit, err);
      break;
    }
    if (span[0] > span[1]) break; /* \K in a lookbehind */
    st = see(ctx, span, err);
    at = span[1];
    options = span[0] == span[1] ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0;
  }
  pcre2_match_data_free(d);
  return st;
}

typedef struct listing {
  const nb_regexp *r;
  const char *text;
  nb_status (*see)(void *ctx, const char *match, size_t bytes, nb_err *err);
  void *ctx;
} listing;

static nb_status list_span(void *ctx, const PCRE2_SIZE *span, nb_err *err) {
  const listing *l = ctx;
  uint32_t g = l->r->groups ? 1 : 0;
  for (; g < l->r->groups; g++)
    if (span[2 * g] != PCRE2_UNSET && span[2 * g + 1] > span[2 * g]) break;
  bool set = span[2 * g] != PCRE2_UNSET && span[2 * g + 1] >= span[2 * g];
  return l->see(l->ctx, set ? l->text + span[2 * g] : "", set ? span[2 * g + 1] - span[2 * g] : 0, err);
}

nb_status nb_regexp_each(const nb_regexp *r, const char *text, size_t n,
                         nb_status (*see)(void *ctx, const char *match, size_t bytes, nb_err *err), void *ctx,
                         nb_err *err) {
  listing l = {r, text ? text : "", see, ctx};
  return each_span(r, text, n, list_span, &l, err);
}

typedef struct finding {
  const char *match;
  size_t bytes;
  long which, seen;
} finding;

static nb_status find_one(void *ctx, const char *match, size_t bytes, nb_err *err) {
  finding *f = ctx;
  (void)err;
  if (f->which < 0 || f->seen == f->which) f->match = match, f->bytes = bytes;
  f->seen++;
  return NB_OK;
}

nb_status nb_regexp_find(const nb_regexp *r, const char *text, size_t n, long which, nb_text *out, bool *found,
                         nb_err *err) {
  finding f = {.which = which};
  NB_TRY(nb_regexp_each(r, text, n, find_one, &f, err));
  *found = f.match && (r->groups < 2 || f.bytes);
  nb_text copy = {0};
  nb_status st = nb_text_append(&copy, *found ? f.match : "", *found ? f.bytes : 0, err);
  nb_text_free(out);
  *out = copy;
  return st;
}

nb_status nb_regexp_replace(const nb_regexp *r, const char *with, nb_text *text, nb_err *err) {
  nb_text out = {0};
  NB_TRY(nb_text_append(text, "", 0, err));
  NB_TRY(nb_text_reserve(&out, text->n + 64, err));
  for (;;) {
    PCRE2_SIZE n = out.cap;
    int hits =
        pcre2_substitute(r->code, (PCRE2_SPTR)text->s, text->n, 0,
                         PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_UNSET_EMPTY | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH,
                         NULL, r->limits, (PCRE2_SPTR)with, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out.s, &n);
    if (hits >= 0) {
      out.n = n;
      nb_text_free(text);
      *text = out;
      return NB_OK;
    }
    nb_status st = hits == PCRE2_ERROR_NOMEMORY ? nb_text_reserve(&out, n, err) : match_error(hits, err);
    if (st != NB_OK) return nb_text_free(&out), st;
  }
}

nb_status nb_regexp_quote(const char *text, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (strchr("\\^$.|?*+()[]{}#&-~ \t\n\r\v\f", text[i]) && text[i]) NB_TRY(nb_text_append(out, "\\", 1, err));
    NB_TRY(nb_text_append(out, text + i, 1, err));
  }
  return nb_text_append(out, "", 0, err);
}
