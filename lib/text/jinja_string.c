/* SPDX-License-Identifier: MIT */
/* Python's methods of strings, for chat templates. */
#define _GNU_SOURCE /* memmem, which is linear whatever it looks for */
#include "text/jinja.h"
#include "base/unicode_case.h"
#include "base/utf8.h"

#include <utf8proc.h>

/* ---- characters ---- */

static bool is_space(uint32_t cp) { return nb_utf8_is_space(cp) || (cp >= 0x1c && cp <= 0x1f); }

static bool in_set(const char *c, size_t k, value set) { /* of characters to strip: none given means white space */
  if (set.type != V_STRING) return is_space(nb_utf8_get(c, &k));
  for (size_t i = 0, n; i < set.n; i += n) {
    nb_utf8_get(set.u.s + i, &n);
    if (n == k && !memcmp(set.u.s + i, c, k)) return true;
  }
  return false;
}

value nb_jinja_strip(value s, value set, bool left, bool right) {
  size_t a = 0, b = s.n, k;
  while (left && a < b && (nb_utf8_get(s.u.s + a, &k), in_set(s.u.s + a, k, set))) a += k;
  while (right && a < b && (k = nb_utf8_back(s.u.s, b), in_set(s.u.s + b - k, k, set))) b -= k;
  return nb_jinja_string(s.u.s + a, b - a);
}

const char *nb_jinja_find(const char *s, size_t n, const char *w, size_t n_w) {
  return n_w == 0 ? s : memmem(s, n, w, n_w);
}

static const char *find_last(const char *s, size_t n, const char *w, size_t n_w) {
  for (size_t i = n; i + 1 > n_w; i--)
    if (!memcmp(s + i - n_w, w, n_w)) return s + i - n_w;
  return NULL;
}

/* find_last compares at every place: what that may cost. */
static nb_status work_backwards(jinja *j, value s, value w) { return nb_jinja_work(j, s.n / 16 * (1 + w.n / 16)); }

static bool is_cased(utf8proc_int32_t c) {
  utf8proc_category_t k = utf8proc_category(c);
  return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT ||
         utf8proc_toupper(c) != c || utf8proc_tolower(c) != c;
}

static bool is_case_ignorable(utf8proc_int32_t c) {
  utf8proc_category_t k = utf8proc_category(c);
  return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' || c == 0xa8 || c == 0xad || c == 0xb7 ||
         c == 0x2019 || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || k == UTF8PROC_CATEGORY_CF ||
         k == UTF8PROC_CATEGORY_LM || k == UTF8PROC_CATEGORY_SK;
}

/* Whether the sigma at s[i] ends a word, so that it is written differently. */
static bool is_final_sigma(value s, size_t i, size_t len) {
  size_t k;
  utf8proc_int32_t c = 0;
  for (size_t p = i; p > 0; p -= k) {
    k = nb_utf8_back(s.u.s, p);
    size_t n;
    c = (utf8proc_int32_t)nb_utf8_get(s.u.s + p - k, &n);
    if (!is_case_ignorable(c)) break;
    c = 0;
  }
  if (!c || !is_cased(c)) return false;
  for (size_t p = i + len; p < s.n; p += k) {
    c = (utf8proc_int32_t)nb_utf8_get(s.u.s + p, &k);
    if (!is_case_ignorable(c)) return !is_cased(c);
  }
  return true;
}

static size_t put_case(char *p, const uint32_t *several, uint32_t one) {
  size_t n = 0;
  if (!several) return nb_utf8_put(one, p);
  for (int i = 0; i < 3 && several[i]; i++) n += nb_utf8_put(several[i], p + n);
  return n;
}

nb_status nb_jinja_change_case(jinja *j, value s, char how, value *out) {
  enum { SPECIAL = sizeof unicode_case / sizeof *unicode_case };
  char *p;
  size_t n = 0;
  bool inside = false;
  NB_TRY(nb_jinja_alloc(j, 3 * s.n + 16, &p)); /* one of two or three bytes becomes at most three of two or three */
  for (size_t i = 0, k; i < s.n; i += k) {
    uint32_t cp = nb_utf8_get(s.u.s + i, &k);
    utf8proc_int32_t c = (utf8proc_int32_t)cp;
    bool title = (how == 't' && !inside) || (how == 'c' && i == 0);
    bool up = how == 'u' || (how == 's' && utf8proc_tolower(c) != c ? false : how == 's' && is_cased(c));
    inside = is_cased(c);
    const uint32_t *several = NULL;
    for (size_t m = 0; (up || title) && cp >= 0x80 && m < SPECIAL; m++)
      if (unicode_case[m].cp == cp) several = title ? unicode_case[m].title : unicode_case[m].upper;
    if (title) n += put_case(p + n, several, (uint32_t)utf8proc_totitle(c));
    else if (up) n += put_case(p + n, several, (uint32_t)utf8proc_toupper(c));
    else if (cp == 0x3a3) n += nb_utf8_put(is_final_sigma(s, i, k) ? 0x3c2 : 0x3c3, p + n);
    else if (cp == 0x130) n += nb_utf8_put('i', p + n), n += nb_utf8_put(0x307, p + n);
    else n += nb_utf8_put((uint32_t)utf8proc_tolower(c), p + n);
  }
  *out = nb_jinja_string(p, n);
  return nb_jinja_work(j, s.n);
}

/* ---- tests ---- */

/* isalpha and its like: all characters of a kind, and at least one. */
static bool all_are(value s, const char *name) {
  bool cased = false, start = true, title = true, lower = true, upper = true, kind = true;
  for (size_t i = 0, k; i < s.n; i += k) {
    utf8proc_int32_t c = (utf8proc_int32_t)nb_utf8_get(s.u.s + i, &k);
    utf8proc_category_t g = utf8proc_category(c);
    bool letter = g >= UTF8PROC_CATEGORY_LU && g <= UTF8PROC_CATEGORY_LO,
         lu = g == UTF8PROC_CATEGORY_LU || g == UTF8PROC_CATEGORY_LT;
    bool decimal = g == UTF8PROC_CATEGORY_ND, is_lower = g == UTF8PROC_CATEGORY_LL;
    cased = cased || lu || is_lower;
    lower = lower && !lu, upper = upper && !is_lower;
    title = title && (lu ? start : is_lower ? !start : true);
    start = !(lu || is_lower);
    if (!strcmp(name, "isalpha")) kind = kind && letter;
    else if (!strcmp(name, "isalnum"))
      kind = kind && (letter || g == UTF8PROC_CATEGORY_ND || g == UTF8PROC_CATEGORY_NL || g == UTF8PROC_CATEGORY_NO);
    else if (!strcmp(name, "isdigit") || !strcmp(name, "isdecimal")) kind = kind && decimal;
    else if (!strcmp(name, "isnumeric")) kind = kind && nb_utf8_is_numeric((uint32_t)c);
    else if (!strcmp(name, "isspace")) kind = kind && is_space((uint32_t)c);
    else if (!strcmp(name, "isascii")) kind = kind && c < 128;
  }
  if (!strcmp(name, "isascii")) return kind;
  if (!strcmp(name, "islower")) return cased && lower;
  if (!strcmp(name, "isupper")) return cased && upper;
  if (!strcmp(name, "istitle")) return cased && title;
  return s.n && kind;
}

/* ---- methods ---- */

static nb_status want_string(jinja *j, unsigned line, const char *who, value v) {
  if (v.type == V_STRING) return NB_OK;
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  return nb_jinja_fail(j, line, "%s needs a string, not %s", who, nb_jinja_type_name(v));
}

static nb_status want_count(jinja *j, unsigned line, const char *who, value v, int64_t *out) {
  if (!nb_jinja_is_int(v)) return nb_jinja_fail(j, line, "%s needs a whole number, not %s", who, nb_jinja_type_name(v));
  *out = v.u.i < 0 ? INT64_MAX : v.u.i;
  return NB_OK;
}

static nb_status split_spaces(jinja *j, value s, int64_t left,
                              value *out) { /* at runs of white space, none at the ends */
  const value none = nb_jinja_none();
  s = nb_jinja_strip(s, none, true, left == INT64_MAX);
  while (s.n) {
    size_t i = 0, k;
    while (left && i < s.n && (nb_utf8_get(s.u.s + i, &k), !in_set(s.u.s + i, k, none))) i += k;
    if (!left) i = s.n;
    left--;
    NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_string(s.u.s, i)));
    s = nb_jinja_strip(nb_jinja_string(s.u.s + i, s.n - i), none, true, false);
  }
  return NB_OK;
}

static void reverse(list *l) {
  for (size_t i = 0; i < l->n / 2; i++) {
    value v = l->v[i];
    l->v[i] = l->v[l->n - 1 - i];
    l->v[l->n - 1 - i] = v;
  }
}

static nb_status split(jinja *j, unsigned line, value s, const arguments *a, bool from_right, value *out) {
  value v[2] = {nb_jinja_none(), nb_jinja_int(-1)};
  int64_t left = 0;
  NB_TRY(nb_jinja_bind(j, line, "split", a, "sep maxsplit", 0, v));
  NB_TRY(want_count(j, line, "split", v[1], &left));
  NB_TRY(nb_jinja_new_list(j, V_LIST, out));
  if (v[0].type == V_NONE) {
    if (from_right && left != INT64_MAX)
      return nb_jinja_fail(j, line, "rsplit at white space with a count is not supported");
    return split_spaces(j, s, left, out);
  }
  NB_TRY(want_string(j, line, "split", v[0]));
  if (!v[0].n) return nb_jinja_fail(j, line, "split needs a separator that is not empty");
  for (; left > 0; left--) {
    if (from_right) NB_TRY(work_backwards(j, s, v[0]));
    const char *p = from_right ? find_last(s.u.s, s.n, v[0].u.s, v[0].n) : nb_jinja_find(s.u.s, s.n, v[0].u.s, v[0].n);
    if (!p) break;
    size_t before = (size_t)(p - s.u.s), after = s.n - before - v[0].n;
    value head = nb_jinja_string(s.u.s, before), tail = nb_jinja_string(p + v[0].n, after);
    NB_TRY(nb_jinja_list_push(j, out->u.list, from_right ? tail : head));
    s = from_right ? head : tail;
  }
  NB_TRY(nb_jinja_list_push(j, out->u.list, s));
  if (from_right) reverse(out->u.list);
  return NB_OK;
}

static nb_status split_lines(jinja *j, unsigned line, value s, const arguments *a, value *out) {
  value keep = nb_jinja_bool(false);
  NB_TRY(nb_jinja_bind(j, line, "splitlines", a, "keepends", 0, &keep));
  NB_TRY(nb_jinja_new_list(j, V_LIST, out));
  for (size_t i = 0, from = 0, k; i < s.n; i += k) {
    uint32_t c = nb_utf8_get(s.u.s + i, &k);
    bool ends = (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    size_t end = i;
    if (c == '\r' && i + 1 < s.n && s.u.s[i + 1] == '\n') k = 2;
    if (!ends && i + k < s.n) continue;
    if (!ends || nb_jinja_true(keep)) end = i + k;
    NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_string(s.u.s + from, end - from)));
    from = i + k;
  }
  return NB_OK;
}

static nb_status partition(jinja *j, unsigned line, value s, const arguments *a, bool from_right, value *out) {
  value w;
  NB_TRY(nb_jinja_bind(j, line, "partition", a, ".sep", 1, &w));
  NB_TRY(want_string(j, line, "partition", w));
  if (from_right) NB_TRY(work_backwards(j, s, w));
  if (!w.n) return nb_jinja_fail(j, line, "partition needs a separator that is not empty");
  const char *p = from_right ? find_last(s.u.s, s.n, w.u.s, w.n) : nb_jinja_find(s.u.s, s.n, w.u.s, w.n);
  size_t k = p ? (size_t)(p - s.u.s) : 0;
  value parts[3] = {s, nb_jinja_string("", 0), nb_jinja_string("", 0)};
  if (p) parts[0] = nb_jinja_string(s.u.s, k), parts[1] = w, parts[2] = nb_jinja_string(p + w.n, s.n - k - w.n);
  else if (from_right) parts[2] = s, parts[0] = parts[1];
  NB_TRY(nb_jinja_new_list(j, V_TUPLE, out));
  for (int i = 0; i < 3; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, parts[i]));
  return NB_OK;
}

nb_status nb_jinja_replace(jinja *j, unsigned line, value s, value from, value to, value most, value *out) {
  NB_TRY(want_string(j, line, "replace", from));
  NB_TRY(want_string(j, line, "replace", to));
  int64_t left = nb_jinja_is_int(most) && most.u.i >= 0 ? most.u.i : INT64_MAX;
  nb_text t = {0};
  nb_status st = NB_OK;
  for (bool first = true; left > 0; left--, first = false) {
    const char *p = nb_jinja_find(s.u.s, s.n, from.u.s, from.n);
    size_t k = p ? (size_t)(p - s.u.s) : 0;
    if (p && !from.n && !first) { /* an empty text is found before every character and at the end */
      if (!s.n) break;
      nb_utf8_get(s.u.s, &k);
    }
    if (!p) break;
    if (t.n > JINJA_MAX_OUTPUT) st = nb_jinja_fail(j, line, "replace makes too long a text");
    if (st == NB_OK) st = nb_jinja_work(j, 1 + (k + to.n) / 16);
    if (st != NB_OK) goto fail;
    NB_GOTO(nb_text_append(&t, s.u.s, k, j->err));
    NB_GOTO(nb_text_append(&t, to.u.s, to.n, j->err));
    s = nb_jinja_string(s.u.s + k + from.n, s.n - k - from.n);
  }
  NB_GOTO(nb_text_append(&t, s.u.s, s.n, j->err));
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

static nb_status affix(jinja *j, unsigned line, value s, const arguments *a, bool start, value *out) {
  const char *who = start ? "startswith" : "endswith";
  value what;
  list l = {0};
  NB_TRY(nb_jinja_bind(j, line, who, a, ".prefix", 1, &what));
  if (what.type == V_TUPLE) l = *what.u.list; /* any of several */
  else NB_TRY(nb_jinja_list_push(j, &l, what));
  *out = nb_jinja_bool(false);
  for (size_t i = 0; i < l.n; i++) {
    value w = l.v[i];
    NB_TRY(want_string(j, line, who, w));
    if (w.n <= s.n && (!w.n || !memcmp(s.u.s + (start ? 0 : s.n - w.n), w.u.s, w.n))) *out = nb_jinja_bool(true);
  }
  return NB_OK;
}

static nb_status remove_affix(jinja *j, unsigned line, value s, const arguments *a, bool prefix, value *out) {
  value w;
  NB_TRY(nb_jinja_bind(j, line, prefix ? "removeprefix" : "removesuffix", a, ".prefix", 1, &w));
  NB_TRY(want_string(j, line, "removeprefix", w));
  bool has = w.n && w.n <= s.n && !memcmp(s.u.s + (prefix ? 0 : s.n - w.n), w.u.s, w.n);
  *out = has ? nb_jinja_string(s.u.s + (prefix ? w.n : 0), s.n - w.n) : s;
  return NB_OK;
}

static nb_status join(jinja *j, unsigned line, value sep, const arguments *a, value *out) {
  value items;
  list l;
  nb_text t = {0};
  nb_status st = NB_OK;
  NB_TRY(nb_jinja_bind(j, line, "join", a, ".iterable", 1, &items));
  NB_TRY(nb_jinja_iterate(j, line, items, &l));
  for (size_t i = 0; i < l.n; i++) {
    NB_GOTO(want_string(j, line, "join", l.v[i]));
    if (i) NB_GOTO(nb_jinja_print(j, sep, false, &t));
    NB_GOTO(nb_jinja_print(j, l.v[i], false, &t));
  }
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

/* find, rfind, index, rindex, count: with a text only, not a part of the string. */
static nb_status search(jinja *j, unsigned line, value s, const char *name, const arguments *a, value *out) {
  value w;
  bool has;
  NB_TRY(nb_jinja_bind(j, line, name, a, ".sub", 1, &w));
  NB_TRY(want_string(j, line, name, w));
  if (name[0] == 'r') NB_TRY(work_backwards(j, s, w));
  if (!strcmp(name, "count")) {
    int64_t n = 0;
    if (!w.n) n = (int64_t)nb_jinja_length(s, &has) + 1;
    for (const char *p = s.u.s, *end = s.u.s + s.n; w.n && (p = nb_jinja_find(p, (size_t)(end - p), w.u.s, w.n));
         p += w.n)
      n++;
    return *out = nb_jinja_int(n), NB_OK;
  }
  const char *p = name[0] == 'r' ? find_last(s.u.s, s.n, w.u.s, w.n) : nb_jinja_find(s.u.s, s.n, w.u.s, w.n);
  if (!p && strstr(name, "index")) return nb_jinja_fail(j, line, "%s does not find this text", name);
  *out = nb_jinja_int(p ? (int64_t)nb_jinja_length(nb_jinja_string(s.u.s, (size_t)(p - s.u.s)), &has) : -1);
  return NB_OK;
}

/* ljust, rjust, center, zfill */
static nb_status pad(jinja *j, unsigned line, value s, const char *name, const arguments *a, value *out) {
  value v[2] = {nb_jinja_none(), nb_jinja_cstring(" ")};
  bool has, zero = name[0] == 'z';
  NB_TRY(nb_jinja_bind(j, line, name, a, zero ? ".width" : ".width .fillchar", 1, v));
  if (!nb_jinja_is_int(v[0]) || v[0].u.i > 10000) return nb_jinja_fail(j, line, "%s needs a width up to 10000", name);
  if (v[1].type != V_STRING || nb_jinja_length(v[1], &has) != 1)
    return nb_jinja_fail(j, line, "%s needs one character", name);
  NB_TRY(nb_jinja_work(j, (size_t)(v[0].u.i > 0 ? v[0].u.i : 0) / 16));
  int64_t n = (int64_t)nb_jinja_length(s, &has), more = v[0].u.i > n ? v[0].u.i - n : 0, left = more;
  if (name[0] == 'l') left = 0;
  if (name[0] == 'c') left = more / 2 + (more & v[0].u.i & 1);
  if (zero) v[1] = nb_jinja_cstring("0");
  nb_text t = {0};
  nb_status st = NB_OK;
  bool sign = zero && s.n && (s.u.s[0] == '-' || s.u.s[0] == '+');
  if (sign) NB_GOTO(nb_text_append(&t, s.u.s, 1, j->err));
  for (int64_t i = 0; i < left; i++) NB_GOTO(nb_text_append(&t, v[1].u.s, v[1].n, j->err));
  NB_GOTO(nb_text_append(&t, s.u.s + sign, s.n - sign, j->err));
  for (int64_t i = left; i < more; i++) NB_GOTO(nb_text_append(&t, v[1].u.s, v[1].n, j->err));
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

static const char *const no_arguments[] = {"upper",   "lower",   "title",   "capitalize", "swapcase",  "isalpha",
                                           "isalnum", "isdigit", "isspace", "isdecimal",  "isnumeric", "isascii",
                                           "islower", "isupper", "istitle", "casefold"};
static const char *const others[] = {"strip",      "lstrip",       "rstrip",       "split",       "rsplit",
                                     "splitlines", "partition",    "rpartition",   "replace",     "startswith",
                                     "endswith",   "removeprefix", "removesuffix", "join",        "find",
                                     "rfind",      "index",        "rindex",       "count",       "ljust",
                                     "rjust",      "center",       "zfill",        "format",      "encode",
                                     "expandtabs", "format_map",   "isidentifier", "isprintable", "maketrans",
                                     "translate"}; /* from encode on known and refused */

static bool is_in(const char *name, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!strcmp(name, names[i])) return true;
  return false;
}

bool nb_jinja_has_string_method(const char *name) {
  return is_in(name, no_arguments, sizeof no_arguments / sizeof *no_arguments) ||
         is_in(name, others, sizeof others / sizeof *others);
}

nb_status nb_jinja_string_method(jinja *j, unsigned line, value s, const char *name, const arguments *a, bool *known,
                                 value *out) {
  value v[3] = {nb_jinja_none(), nb_jinja_none(), nb_jinja_int(-1)};
  *known = true;
  NB_TRY(nb_jinja_work(j, 1 + s.n / 16));
  if (is_in(name, no_arguments, sizeof no_arguments / sizeof *no_arguments)) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, v));
    if (name[0] == 'i') return *out = nb_jinja_bool(all_are(s, name)), NB_OK;
    if (!strcmp(name, "casefold")) *known = false;
    else return nb_jinja_change_case(j, s, name[0], out);
  }
  if (!strcmp(name, "strip") || !strcmp(name, "lstrip") || !strcmp(name, "rstrip")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, ".chars", 0, v));
    if (v[0].type != V_NONE) NB_TRY(want_string(j, line, name, v[0]));
    *out = nb_jinja_strip(s, v[0], name[0] != 'r', name[0] != 'l');
    return NB_OK;
  }
  if (!strcmp(name, "split") || !strcmp(name, "rsplit")) return split(j, line, s, a, name[0] == 'r', out);
  if (!strcmp(name, "splitlines")) return split_lines(j, line, s, a, out);
  if (!strcmp(name, "partition") || !strcmp(name, "rpartition")) return partition(j, line, s, a, name[0] == 'r', out);
  if (!strcmp(name, "replace")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, ".old .new .count", 2, v));
    return nb_jinja_replace(j, line, s, v[0], v[1], v[2], out);
  }
  if (!strcmp(name, "startswith") || !strcmp(name, "endswith")) return affix(j, line, s, a, name[0] == 's', out);
  if (!strcmp(name, "removeprefix") || !strcmp(name, "removesuffix"))
    return remove_affix(j, line, s, a, name[6] == 'p', out);
  if (!strcmp(name, "join")) return join(j, line, s, a, out);
  if (!strcmp(name, "find") || !strcmp(name, "rfind") || !strcmp(name, "index") || !strcmp(name, "rindex") ||
      !strcmp(name, "count"))
    return search(j, line, s, name, a, out);
  if (!strcmp(name, "ljust") || !strcmp(name, "rjust") || !strcmp(name, "center") || !strcmp(name, "zfill"))
    return pad(j, line, s, name, a, out);
  if (!strcmp(name, "format")) return nb_jinja_format_braces(j, line, s, a, out);
  *known = false;
  return NB_OK;
}
