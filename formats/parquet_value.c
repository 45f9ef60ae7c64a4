/* SPDX-License-Identifier: MIT */
/* A value of a Parquet column as JSON: what JSON lacks is text. */
#include "base/f16.h"
#include "base/utf8.h"
#include "formats/parquet_impl.h"

#include <stdio.h>

enum { TEXT_MAX = 64, DECIMAL_BYTES = 16 };

static nb_status out_of_memory(const nb_parquet *p, nb_err *err) {
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
}

/* ---- dates and times ---- */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Days since 1970 as YYYY-MM-DD, by Howard Hinnant's arithmetic (chrono-Compatible Low-Level Date Algorithms). */
static void put_date(int64_t days, char *out) {
  int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
  snprintf(out, TEXT_MAX, "%04lld-%02lld-%02lld", (long long)(yoe + era * 400 + (month <= 2)), (long long)month,
           (long long)day);
}

/* A time of day as HH:MM:SS, with six digits where there is a fraction, and nine where six do not say it. */
static void put_time(int64_t units, int64_t per_second, char *out) {
  int s = (int)(units / per_second % 86400), nanos = (int)(units % per_second * (1000000000 / per_second));
  int n = snprintf(out, TEXT_MAX, "%02d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  if (nanos % 1000) snprintf(out + n, TEXT_MAX - 20, ".%09d", nanos);
  else if (nanos) snprintf(out + n, TEXT_MAX - 20, ".%06d", nanos / 1000);
}

static bool put_moment(const nb_parquet_column *c, int64_t v, char *out) {
  int64_t day = 86400 * (c->unit > 0 ? c->unit : 1), days = floor_div(v, day);
  if (c->meaning == NB_PARQUET_DATE) return put_date(v, out), true;
  if (c->meaning == NB_PARQUET_TIME) {
    if (v < 0 || v >= day) return false;
    return put_time(v, c->unit, out), true;
  }
  put_date(days, out);
  strcat(out, "T");
  put_time(v - days * day, c->unit, out + strlen(out));
  if (c->utc) strcat(out, "+00:00");
  return true;
}

/* ---- decimals ---- */

/* The digits of a two's complement number of n big-endian bytes, with a point before the last `scale`. */
static bool put_decimal(const uint8_t *b, size_t n, int scale, char *out) {
  char digits[TEXT_MAX];
  while (n > DECIMAL_BYTES && (*b == 0 || *b == 0xff) && (*b & 0x80) == (b[1] & 0x80)) b++, n--;
  if (!n || n > DECIMAL_BYTES) return false;
  unsigned __int128 v = b[0] & 0x80 ? ~(unsigned __int128)0 : 0;
  bool negative = v != 0;
  for (size_t i = 0; i < n; i++) v = v << 8 | b[i];
  if (negative) v = ~v + 1;
  int k = 0;
  for (; v || k <= scale; v /= 10) digits[k++] = (char)('0' + (int)(v % 10));
  if (negative) *out++ = '-';
  while (k > 0) {
    if (k == scale) *out++ = '.';
    *out++ = digits[--k];
  }
  *out = 0;
  return true;
}

static bool put_decimal_value(const nb_parquet_column *c, const nb_parquet_value *v, char *out) {
  uint8_t big[8];
  if (c->type == NB_PARQUET_BYTE_ARRAY || c->type == NB_PARQUET_FIXED)
    return put_decimal(v->bytes, v->n, c->scale, out);
  for (int i = 0; i < 8; i++) big[i] = (uint8_t)((uint64_t)v->i >> (56 - 8 * i));
  return put_decimal(big, 8, c->scale, out);
}

/* ---- texts ---- */

static nb_status make_text(nb_parquet *p, const nb_parquet_column *c, const nb_parquet_value *v, cJSON **out,
                           nb_err *err) {
  const char *s = (const char *)v->bytes;
  if (v->n && memchr(s, 0, v->n))
    return nb_fail(err, NB_ERR_FORMAT, "%s: row %zu: column %s: a text with a NUL character", p->file, p->row_number,
                   c->name);
  if (nb_utf8_valid_prefix(s, v->n) != v->n) return nb_parquet_fail(p, c, "a text that is not UTF-8", err);
  char *copy = malloc((size_t)v->n + 1); /* cJSON wants a NUL behind it */
  if (!copy) return out_of_memory(p, err);
  if (v->n) memcpy(copy, s, v->n);
  copy[v->n] = 0;
  *out = cJSON_CreateString(copy);
  free(copy);
  return *out ? NB_OK : out_of_memory(p, err);
}

static nb_status make_hex(nb_parquet *p, const nb_parquet_value *v, bool uuid, cJSON **out, nb_err *err) {
  static const char digits[] = "0123456789abcdef";
  NB_TRY(nb_parquet_spend(p, v->n, err));
  char *s = malloc(2 * (size_t)v->n + 5), *at = s;
  if (!s) return out_of_memory(p, err);
  for (size_t i = 0; i < v->n; i++) {
    if (uuid && (i == 4 || i == 6 || i == 8 || i == 10)) *at++ = '-';
    *at++ = digits[v->bytes[i] >> 4], *at++ = digits[v->bytes[i] & 15];
  }
  *at = 0;
  *out = cJSON_CreateString(s);
  free(s);
  return *out ? NB_OK : out_of_memory(p, err);
}

/* ---- all ---- */

static double number(const nb_parquet_column *c, const nb_parquet_value *v) {
  if (c->meaning == NB_PARQUET_FLOAT16) return (double)nb_f16_f32((uint16_t)(v->bytes[0] | v->bytes[1] << 8));
  if (c->type == NB_PARQUET_FLOAT || c->type == NB_PARQUET_DOUBLE) return v->f;
  if (c->meaning != NB_PARQUET_UNSIGNED) return (double)v->i;
  return c->type == NB_PARQUET_INT32 ? (double)(uint32_t)v->i : (double)(uint64_t)v->i;
}

nb_status nb_parquet_value_json(nb_parquet *p, const nb_parquet_column *c, const nb_parquet_value *v, cJSON **out,
                                nb_err *err) {
  char text[2 * TEXT_MAX] = "";
  double d;
  bool array = c->type == NB_PARQUET_BYTE_ARRAY || c->type == NB_PARQUET_FIXED;
  NB_TRY(nb_parquet_spend(p, array ? v->n : 0, err));
  switch (c->meaning) {
  case NB_PARQUET_TEXT: return make_text(p, c, v, out, err);
  case NB_PARQUET_BYTES: return make_hex(p, v, false, out, err);
  case NB_PARQUET_UUID: return make_hex(p, v, true, out, err);
  case NB_PARQUET_DATE:
  case NB_PARQUET_TIME:
  case NB_PARQUET_TIMESTAMP:
    if (!put_moment(c, v->i, text)) return nb_parquet_fail(p, c, "a time that no day has", err);
    *out = cJSON_CreateString(text);
    break;
  case NB_PARQUET_DECIMAL:
    if (!put_decimal_value(c, v, text)) return nb_parquet_fail(p, c, "a decimal number of no or too many bytes", err);
    *out = cJSON_CreateString(text);
    break;
  case NB_PARQUET_NOTHING: *out = cJSON_CreateNull(); break;
  case NB_PARQUET_NUMBER:
  case NB_PARQUET_UNSIGNED:
  case NB_PARQUET_FLOAT16:
    d = c->type == NB_PARQUET_BOOLEAN ? 0 : number(c, v);
    if (c->type == NB_PARQUET_BOOLEAN) *out = cJSON_CreateBool(v->i != 0);
    else *out = d - d == 0 ? cJSON_CreateNumber(d) : cJSON_CreateNull();
    break;
  }
  return *out ? NB_OK : out_of_memory(p, err);
}
