/* SPDX-License-Identifier: MIT */
#include "formats/jsonout.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void emit(nb_jsonout *j, const char *s, size_t n) {
  if (j->st == NB_OK) j->st = nb_text_append(j->out, s, n, j->err);
}

/* Bytes that are no UTF-8 (a path may have some) become U+FFFD, as no JSON may hold them. */
static void quoted(nb_jsonout *j, const char *s, size_t bytes) {
  const char *end = s + bytes;
  emit(j, "\"", 1);
  for (const char *p = s; p < end;) {
    size_t n = nb_utf8_valid_prefix(p, (size_t)(end - p)), k = 0;
    while (k < n && (unsigned char)p[k] >= 0x20 && p[k] != '"' && p[k] != '\\') k++;
    emit(j, p, k);
    p += k;
    if (p == end) break;
    char buf[8];
    uint32_t cp;
    size_t bad = 1;
    int b = k == n ? (nb_utf8_check(p, (size_t)(end - p), &cp, &bad), snprintf(buf, sizeof buf, "\xef\xbf\xbd"))
            : *p == '"' || *p == '\\' ? snprintf(buf, sizeof buf, "\\%c", *p)
            : *p == '\n'              ? snprintf(buf, sizeof buf, "\\n")
            : *p == '\t'              ? snprintf(buf, sizeof buf, "\\t")
                                      : snprintf(buf, sizeof buf, "\\u%04x", (unsigned)(unsigned char)*p);
    emit(j, buf, (size_t)b);
    p += bad;
  }
  emit(j, "\"", 1);
}

static void begin(nb_jsonout *j, const char *key) {
  if (j->comma) emit(j, ",", 1);
  if (j->lines) emit(j, "\n", 1);
  else if (j->comma) emit(j, " ", 1);
  j->comma = true;
  if (!key) return;
  quoted(j, key, strlen(key));
  emit(j, ": ", 2);
}

void nb_jsonout_open(nb_jsonout *j, const char *key, char bracket) {
  begin(j, key);
  emit(j, &bracket, 1);
  j->comma = false;
}

void nb_jsonout_close(nb_jsonout *j, char bracket) {
  if (j->lines) emit(j, "\n", 1);
  emit(j, &bracket, 1);
  j->comma = true;
}

void nb_jsonout_string(nb_jsonout *j, const char *key, const char *value) {
  nb_jsonout_text(j, key, value, strlen(value));
}

void nb_jsonout_text(nb_jsonout *j, const char *key, const char *value, size_t n) {
  begin(j, key), quoted(j, value, n);
}

static void number(nb_jsonout *j, const char *key, const char *format, int digits, double value) {
  char buf[400];
  begin(j, key);
  if (!isfinite(value)) emit(j, "null", 4);
  else emit(j, buf, (size_t)snprintf(buf, sizeof buf, format, digits, value));
}

void nb_jsonout_double(nb_jsonout *j, const char *key, double value) { number(j, key, "%.*g", 17, value); }
void nb_jsonout_fixed(nb_jsonout *j, const char *key, double value, int digits) {
  number(j, key, "%.*f", digits, value);
}

void nb_jsonout_u64(nb_jsonout *j, const char *key, uint64_t value) {
  char buf[24];
  begin(j, key);
  emit(j, buf, (size_t)snprintf(buf, sizeof buf, "%llu", (unsigned long long)value));
}

void nb_jsonout_bool(nb_jsonout *j, const char *key, bool value) {
  begin(j, key);
  if (value) emit(j, "true", 4);
  else emit(j, "false", 5);
}

/* With the fewest digits that are read back as the same number, and a point whatever the locale. */
static void shortest(nb_jsonout *j, const char *key, double v, bool single) {
  char digits[32];
  if (!isfinite(v)) {
    nb_jsonout_null(j, key);
    return;
  }
  for (int n = 1; n <= 17; n++) {
    snprintf(digits, sizeof digits, "%.*g", n, v);
    double read = strtod(digits, NULL);
    if ((single ? (double)(float)read : read) == v) break;
  }
  for (char *p = digits; *p; p++)
    if (!strchr("0123456789+-e", *p)) *p = '.';
  begin(j, key);
  emit(j, digits, strlen(digits));
}

void nb_jsonout_f64(nb_jsonout *j, const char *key, double value) { shortest(j, key, value, false); }
void nb_jsonout_f32(nb_jsonout *j, const char *key, float value) { shortest(j, key, (double)value, true); }

void nb_jsonout_null(nb_jsonout *j, const char *key) {
  begin(j, key);
  emit(j, "null", 4);
}
