/* SPDX-License-Identifier: MIT */
#include "formats/json.h"

#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* --- the scan: RFC 8259 by recursive descent, at most NB_JSON_MAX_DEPTH deep --- */

typedef struct seen_key {
  XXH128_hash_t hash; /* of the decoded text */
  const char *at;     /* its opening quote */
  size_t n;           /* bytes between the quotes */
  uint64_t value;     /* hash of its value as it is written */
} seen_key;

typedef struct scan {
  const char *begin, *p, *end;
  const char *file;
  size_t first_line;
  int depth;
  size_t values;
  seen_key *keys; /* of the objects that are open, outermost first */
  size_t n_keys, cap_keys;
  char *text; /* scratch for a decoded key */
  size_t cap_text;
  nb_err *err;
} scan;

static nb_status fail_at(const scan *s, const char *at, const char *what) {
  size_t line = s->first_line, column = 1;
  for (const char *q = s->begin; q < at; q++) {
    if (*q == '\n') line++, column = 1;
    else if (((unsigned char)*q & 0xc0) != 0x80) column++;
  }
  return nb_fail(s->err, NB_ERR_FORMAT, "%s:%zu:%zu: %s", s->file, line, column, what);
}

static void skip_space(scan *s) {
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) s->p++;
}

/* The length of the valid UTF-8 sequence at p, 0 when there is none. */
static size_t utf8_len(const char *p, const char *end) {
  const unsigned char *u = (const unsigned char *)p;
  size_t left = (size_t)(end - p), n;
  uint32_t c;
  if (u[0] < 0x80) return 1;
  if (u[0] < 0xc2 || u[0] > 0xf4) return 0;
  n = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
  if (left < n) return 0;
  c = u[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((u[i] & 0xc0) != 0x80) return 0;
    c = c << 6 | (u[i] & 0x3f);
  }
  if (n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) return 0;
  if (n == 4 && (c < 0x10000 || c > 0x10ffff)) return 0;
  return n;
}

/* Four hexadecimal digits at p, or -1. */
static long hex4(const char *p, const char *end) {
  long v = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *d = p[i] ? strchr(digits, p[i]) : NULL;
    if (!d) return -1;
    v = v * 16 + (d - digits < 16 ? d - digits : d - digits - 6);
  }
  return v;
}

/* Reads the escape at *p (a backslash), moves *p behind it and gives its code point; NULL, or what is wrong.
 */
static const char *read_escape(const char **p, const char *end, uint32_t *code) {
  const char *q = *p + 1;
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (q == end) return "unterminated string";
  const char *simple = *q ? strchr(from, *q) : NULL;
  *p = q + 1;
  if (simple) {
    *code = (unsigned char)to[simple - from];
    return NULL;
  }
  long hi = *q == 'u' ? hex4(q + 1, end) : -1;
  if (hi < 0) return "invalid escape in a string";
  if (hi == 0) return "a NUL character in a string";
  *p = q + 5;
  *code = (uint32_t)hi;
  if (hi < 0xd800 || hi > 0xdfff) return NULL;
  long lo = hi < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex4(*p + 2, end) : -1;
  if (lo < 0xdc00 || lo > 0xdfff) return "half of a surrogate pair in a string";
  *p += 6;
  *code = 0x10000 + ((uint32_t)(hi - 0xd800) << 10) + (uint32_t)(lo - 0xdc00);
  return NULL;
}

/* Moves behind the string at s->p. *escaped says whether its text differs from its bytes. */
static nb_status scan_string(scan *s, bool *escaped) {
  *escaped = false;
  for (s->p++; s->p < s->end;) {
    unsigned char c = (unsigned char)*s->p;
    if (c == '"') {
      s->p++;
      return NB_OK;
    }
    if (c == '\\') {
      const char *at = s->p;
      uint32_t code;
      const char *wrong = read_escape(&s->p, s->end, &code);
      if (wrong) return fail_at(s, at, wrong);
      *escaped = true;
    } else if (c < 0x20) {
      return fail_at(s, s->p, c ? "a control character in a string (write it as an escape)" : "a NUL character");
    } else {
      size_t n = utf8_len(s->p, s->end);
      if (!n) return fail_at(s, s->p, "invalid UTF-8");
      s->p += n;
    }
  }
  return fail_at(s, s->end, "unterminated string");
}

/* The bytes between the quotes, which scan_string has accepted, as text; never longer than the bytes. */
static size_t decode(const char *p, const char *end, char *out) {
  char *o = out;
  while (p < end) {
    uint32_t c = 0;
    if (*p != '\\') {
      *o++ = *p++;
      continue;
    }
    read_escape(&p, end, &c);
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3; /* bytes behind the first */
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *o++ = (char)(lead[more] | c >> 6 * more);
    while (more--) *o++ = (char)(0x80 | (c >> 6 * more & 0x3f));
  }
  return (size_t)(o - out);
}

static nb_status scan_key(scan *s) {
  const char *at = s->p;
  bool escaped;
  NB_TRY(scan_string(s, &escaped));
  const char *text = at + 1;
  size_t raw = (size_t)(s->p - 1 - text), n = raw;
  if (escaped) {
    NB_TRY(nb_grow(&s->text, &s->cap_text, raw, 1, s->err));
    n = decode(text, text + raw, s->text);
    text = s->text;
  }
  NB_TRY(nb_grow(&s->keys, &s->cap_keys, s->n_keys + 1, sizeof *s->keys, s->err));
  s->keys[s->n_keys++] = (seen_key){.hash = XXH3_128bits(text, n), .at = at, .n = raw};
  return NB_OK;
}

static int compare_keys(const void *a, const void *b) {
  const seen_key *x = a, *y = b;
  if (x->hash.high64 != y->hash.high64) return x->hash.high64 < y->hash.high64 ? -1 : 1;
  if (x->hash.low64 != y->hash.low64) return x->hash.low64 < y->hash.low64 ? -1 : 1;
  return x->at < y->at ? -1 : x->at > y->at;
}

/* The keys from `first` on belong to the object that ends here: they must differ, unless their values are written the
 * same. */
static nb_status close_keys(scan *s, size_t first) {
  size_t n = s->n_keys - first;
  if (n == 0) return NB_OK;
  seen_key *k = s->keys + first;
  qsort(k, n, sizeof *k, compare_keys);
  for (size_t i = 1; i < n; i++) {
    if (!XXH128_isEqual(k[i].hash, k[i - 1].hash) || k[i].value == k[i - 1].value) continue;
    char what[96];
    size_t shown = nb_min(k[i].n, 60);
    while (shown && (k[i].at[1 + shown] & 0xc0) == 0x80) shown--;
    snprintf(what, sizeof what, "duplicate key \"%.*s\"", (int)shown, k[i].at + 1);
    return fail_at(s, k[i].at, what);
  }
  s->n_keys = first;
  return NB_OK;
}

static nb_status scan_value(scan *s);

static nb_status scan_object(scan *s) {
  size_t first = s->n_keys;
  bool more = false;
  for (s->p++;;) {
    skip_space(s);
    if (!more && s->p < s->end && *s->p == '}') break;
    if (s->p == s->end || *s->p != '"') return fail_at(s, s->p, "expected a key in double quotes");
    NB_TRY(scan_key(s));
    skip_space(s);
    if (s->p == s->end || *s->p != ':') return fail_at(s, s->p, "expected ':' after a key");
    s->p++;
    skip_space(s);
    const char *value = s->p, *after;
    NB_TRY(scan_value(s));
    for (after = s->p; after > value && strchr(" \t\r\n", after[-1]); after--) {
    }
    s->keys[s->n_keys - 1].value = XXH3_64bits(value, (size_t)(after - value));
    more = s->p < s->end && *s->p == ',';
    if (!more && (s->p == s->end || *s->p != '}')) return fail_at(s, s->p, "expected ',' or '}' in an object");
    if (!more) break;
    s->p++;
  }
  s->p++;
  return close_keys(s, first);
}

static nb_status scan_array(scan *s) {
  s->p++;
  skip_space(s);
  if (s->p < s->end && *s->p == ']') {
    s->p++;
    return NB_OK;
  }
  for (;;) {
    NB_TRY(scan_value(s));
    if (s->p == s->end || (*s->p != ',' && *s->p != ']')) return fail_at(s, s->p, "expected ',' or ']' in an array");
    if (*s->p++ == ']') return NB_OK;
  }
}

static size_t scan_digits(scan *s) {
  const char *from = s->p;
  while (s->p < s->end && *s->p >= '0' && *s->p <= '9') s->p++;
  return (size_t)(s->p - from);
}

static nb_status scan_number(scan *s) {
  const char *at = s->p;
  if (*s->p == '-') s->p++;
  bool zero = s->p < s->end && *s->p == '0';
  size_t n = scan_digits(s);
  if (n == 0 || (zero && n > 1)) return fail_at(s, at, n ? "a number begins with 0" : "expected a value");
  if (s->p < s->end && *s->p == '.') {
    s->p++;
    if (!scan_digits(s)) return fail_at(s, at, "a number without digits after its point");
  }
  if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
    s->p++;
    if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
    if (!scan_digits(s)) return fail_at(s, at, "a number without digits in its exponent");
  }
  if (s->p - at > NB_JSON_MAX_NUMBER) return fail_at(s, at, "a number of more than 63 characters");
  return NB_OK;
}

static nb_status scan_word(scan *s) {
  static const char *const words[] = {"true", "false", "null"};
  for (size_t i = 0; i < 3; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(s->end - s->p) >= n && !memcmp(s->p, words[i], n)) {
      s->p += n;
      return NB_OK;
    }
  }
  return fail_at(s, s->p, *s->p ? "expected a value" : "a NUL character");
}

/* One value and the space around it. */
static nb_status scan_value(scan *s) {
  bool escaped;
  skip_space(s);
  if (++s->values > NB_JSON_MAX_VALUES) return fail_at(s, s->p, "more than 33554432 values");
  if (s->p == s->end) return fail_at(s, s->p, "expected a value, but the text ends");
  char c = *s->p;
  if (c == '{' || c == '[') {
    if (s->depth == NB_JSON_MAX_DEPTH) return fail_at(s, s->p, "nested deeper than 64 levels");
    s->depth++;
    NB_TRY(c == '{' ? scan_object(s) : scan_array(s));
    s->depth--;
  } else if (c == '"') {
    NB_TRY(scan_string(s, &escaped));
  } else {
    NB_TRY(c == '-' || (c >= '0' && c <= '9') ? scan_number(s) : scan_word(s));
  }
  skip_space(s);
  return NB_OK;
}

nb_status nb_json_parse_at(const char *bytes, size_t n, const char *file, size_t first_line, cJSON **out, nb_err *err) {
  *out = NULL;
  if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) bytes += 3, n -= 3;
  scan s = {.begin = bytes, .p = bytes, .end = bytes + n, .file = file, .first_line = first_line, .err = err};
  nb_status st = scan_value(&s);
  if (st == NB_OK && s.p != s.end) st = fail_at(&s, s.p, *s.p ? "something follows the JSON value" : "a NUL character");
  free(s.keys);
  free(s.text);
  if (st != NB_OK) return st;
  *out = cJSON_ParseWithLengthOpts(bytes, n, NULL, 0);
  return *out ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory while reading JSON", file);
}

nb_status nb_json_parse(const char *bytes, size_t n, const char *file, cJSON **out, nb_err *err) {
  return nb_json_parse_at(bytes, n, file, 1, out, err);
}

/* --- the getters --- */

const cJSON *nb_json_get(const cJSON *obj, const char *key) {
  const cJSON *item = cJSON_IsObject(obj) ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
  return cJSON_IsNull(item) ? NULL : item;
}

static nb_status wrong_type(const cJSON *item, const char *where, const char *what, const char *wanted, nb_err *err) {
  static const char *const names[] = {"false", "true", "null", "a number", "a string", "an array", "an object"};
  int bit = 0;
  while (bit < 6 && !(item->type >> bit & 1)) bit++;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %s, not %s", where, what, names[bit], wanted);
}

/* The member, which must be there. */
static nb_status get(const cJSON *obj, const char *where, const char *key, const cJSON **item, nb_err *err) {
  if (!cJSON_IsObject(obj)) return nb_fail(err, NB_ERR_FORMAT, "%s: not a JSON object", where);
  *item = nb_json_get(obj, key);
  if (*item) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is missing", where, key);
}

nb_status nb_json_as_size(const cJSON *item, const char *where, const char *what, size_t min, size_t max, size_t *out,
                          nb_err *err) {
  if (!cJSON_IsNumber(item)) return wrong_type(item, where, what, "a whole number", err);
  double v = item->valuedouble;
  if (v != floor(v)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %.17g, not a whole number", where, what, v);
  if (!(v >= (double)min && v <= (double)max && v <= 0x1p53))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %.17g, not between %zu and %zu", where, what, v, min,
                   nb_min(max, NB_JSON_WHOLE));
  *out = (size_t)v;
  return NB_OK;
}

nb_status nb_json_as_f64(const cJSON *item, const char *where, const char *what, double *out, nb_err *err) {
  if (!cJSON_IsNumber(item)) return wrong_type(item, where, what, "a number", err);
  if (!isfinite(item->valuedouble))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is too large for a floating-point number", where, what);
  *out = item->valuedouble;
  return NB_OK;
}

nb_status nb_json_size(const cJSON *obj, const char *where, const char *key, size_t min, size_t max, size_t *out,
                       nb_err *err) {
  const cJSON *item;
  NB_TRY(get(obj, where, key, &item, err));
  return nb_json_as_size(item, where, key, min, max, out, err);
}

nb_status nb_json_f64(const cJSON *obj, const char *where, const char *key, double *out, nb_err *err) {
  const cJSON *item;
  NB_TRY(get(obj, where, key, &item, err));
  return nb_json_as_f64(item, where, key, out, err);
}

nb_status nb_json_bool(const cJSON *obj, const char *where, const char *key, bool *out, nb_err *err) {
  const cJSON *item;
  NB_TRY(get(obj, where, key, &item, err));
  if (!cJSON_IsBool(item)) return wrong_type(item, where, key, "true or false", err);
  *out = cJSON_IsTrue(item);
  return NB_OK;
}

nb_status nb_json_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err) {
  const cJSON *item;
  NB_TRY(get(obj, where, key, &item, err));
  if (!cJSON_IsString(item)) return wrong_type(item, where, key, "a string", err);
  *out = item->valuestring;
  return NB_OK;
}

nb_status nb_json_object(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err) {
  NB_TRY(get(obj, where, key, out, err));
  return cJSON_IsObject(*out) ? NB_OK : wrong_type(*out, where, key, "an object", err);
}

nb_status nb_json_array(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err) {
  NB_TRY(get(obj, where, key, out, err));
  return cJSON_IsArray(*out) ? NB_OK : wrong_type(*out, where, key, "an array", err);
}

/* Whether an optional getter has something to get; a value that is no object has, and fails there. */
static bool present(const cJSON *obj, const char *key) { return !cJSON_IsObject(obj) || nb_json_get(obj, key); }

nb_status nb_json_word(const cJSON *obj, const char *where, const char *key, const char *const *words, unsigned *out,
                       nb_err *err) {
  const char *s;
  char list[120] = "";
  NB_TRY(nb_json_string(obj, where, key, &s, err));
  for (unsigned i = 0; words[i]; i++) {
    if (!strcmp(words[i], s)) return *out = i, NB_OK;
    size_t n = strlen(list);
    snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
  }
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is \"%s\"; want one of %s", where, key, s, list);
}

nb_status nb_json_optional_size(const cJSON *obj, const char *where, const char *key, size_t min, size_t max,
                                size_t *out, nb_err *err) {
  return present(obj, key) ? nb_json_size(obj, where, key, min, max, out, err) : NB_OK;
}

nb_status nb_json_optional_f64(const cJSON *obj, const char *where, const char *key, double *out, nb_err *err) {
  return present(obj, key) ? nb_json_f64(obj, where, key, out, err) : NB_OK;
}

nb_status nb_json_optional_bool(const cJSON *obj, const char *where, const char *key, bool *out, nb_err *err) {
  return present(obj, key) ? nb_json_bool(obj, where, key, out, err) : NB_OK;
}

nb_status nb_json_optional_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err) {
  return present(obj, key) ? nb_json_string(obj, where, key, out, err) : NB_OK;
}

nb_status nb_json_optional_object(const cJSON *obj, const char *where, const char *key, const cJSON **out,
                                  nb_err *err) {
  return present(obj, key) ? nb_json_object(obj, where, key, out, err) : NB_OK;
}

nb_status nb_json_optional_array(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err) {
  return present(obj, key) ? nb_json_array(obj, where, key, out, err) : NB_OK;
}

nb_status nb_json_optional_word(const cJSON *obj, const char *where, const char *key, const char *const *words,
                                unsigned *out, nb_err *err) {
  return present(obj, key) ? nb_json_word(obj, where, key, words, out, err) : NB_OK;
}
