/* SPDX-License-Identifier: MIT */
/* How the values of a Parquet page are written (Encodings.md of apache/parquet-format). */
#include "base/little.h"
#include "formats/parquet_impl.h"

#include <stdio.h>

enum {
  PLAIN = 0,
  PLAIN_DICTIONARY = 2,
  RLE = 3,
  DELTA_BINARY_PACKED = 5,
  DELTA_LENGTH_BYTE_ARRAY = 6,
  DELTA_BYTE_ARRAY = 7,
  RLE_DICTIONARY = 8,
  BYTE_STREAM_SPLIT = 9
}; /* Encoding */

enum { MAX_BLOCK = 1 << 20 }; /* values of a block of deltas; writers use 128 to 256 */

/* `width` bits (at most 64) from bit `at` on, the lowest first; they lie inside the n bytes. */
static uint64_t bits(const uint8_t *p, size_t at, unsigned width) {
  uint64_t v = 0;
  for (unsigned got = 0; got < width;) {
    unsigned skip = (unsigned)(at & 7), take = (unsigned)nb_min(8 - skip, width - got);
    v |= (uint64_t)(p[at >> 3] >> skip & ((1u << take) - 1)) << got;
    got += take, at += take;
  }
  return v;
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *out) {
  *out = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (*p == end) return false;
    uint8_t b = *(*p)++;
    *out |= (uint64_t)(b & 127) << shift;
    if (!(b & 128)) return true;
  }
  return false;
}

/* ---- runs and packed bits, mixed ---- */

typedef struct hybrid {
  const uint8_t *p, *end;
  unsigned width; /* bits of a value, at most 32 */
  uint64_t left;  /* values of the run at hand */
  bool packed;
  uint32_t same; /* the run's value */
  size_t bit;    /* of the next packed value, from p on */
} hybrid;

static bool begin_run(hybrid *h) {
  uint64_t head;
  if (!varint(&h->p, h->end, &head)) return false;
  h->packed = head & 1, h->left = head >> 1, h->bit = 0;
  size_t bytes = (h->width + 7) / 8, room = (size_t)(h->end - h->p);
  if (!h->packed) {
    if (bytes > room) return false;
    h->same = (uint32_t)nb_little_get(h->p, bytes);
    h->p += bytes;
    return h->width == 32 || !(h->same >> h->width);
  }
  if (h->left > (uint64_t)room * 8) return false; /* with width 0 no more than that either */
  h->left *= 8;
  return true;
}

static bool next_hybrid(hybrid *h, uint32_t *v) {
  while (!h->left)
    if (!begin_run(h)) return false;
  h->left--;
  *v = h->same;
  if (!h->packed) return true;
  size_t room = (size_t)(h->end - h->p) * 8;
  if (h->bit > room || h->width > room - h->bit) return false;
  *v = (uint32_t)bits(h->p, h->bit, h->width);
  h->bit += h->width;
  if (!h->left) h->p += nb_min((h->bit + 7) / 8, (size_t)(h->end - h->p));
  return true;
}

bool nb_parquet_encoding_levels(const uint8_t *in, size_t n, size_t count, uint8_t most, uint8_t *out) {
  hybrid h = {.p = in, .end = in + n};
  while (most >> h.width) h.width++;
  for (size_t i = 0; i < count; i++) {
    uint32_t v;
    if (!next_hybrid(&h, &v) || v > most) return false;
    out[i] = (uint8_t)v;
  }
  return true;
}

/* ---- the encodings, each of exactly `count` values ---- */

static bool plain(const nb_parquet_column *c, const uint8_t *p, size_t n, size_t count, nb_parquet_value *v) {
  static const uint8_t sizes[] = {0, 4, 8, 12, 4, 8, 0, 0};
  size_t size = c->type == NB_PARQUET_FIXED ? c->length : sizes[c->type];
  if (c->type == NB_PARQUET_BOOLEAN) {
    if (count > 8 * n) return false;
    for (size_t i = 0; i < count; i++) v[i].i = p[i >> 3] >> (i & 7) & 1;
    return true;
  }
  if (c->type == NB_PARQUET_BYTE_ARRAY) {
    for (size_t i = 0; i < count; i++) {
      if (n < 4) return false;
      uint32_t length = (uint32_t)nb_little_get(p, 4);
      p += 4, n -= 4;
      if (length > n) return false;
      v[i].bytes = p, v[i].n = length;
      p += length, n -= length;
    }
    return true;
  }
  if (count > n / size) return false;
  for (size_t i = 0; i < count; i++, p += size) {
    float f;
    switch (c->type) {
    case NB_PARQUET_INT32: v[i].i = (int32_t)nb_little_get(p, 4); break;
    case NB_PARQUET_INT64: v[i].i = (int64_t)nb_little_get(p, 8); break;
    case NB_PARQUET_FLOAT: {
      uint32_t u = (uint32_t)nb_little_get(p, 4);
      memcpy(&f, &u, 4);
      v[i].f = f;
      break;
    }
    case NB_PARQUET_DOUBLE: {
      uint64_t u = nb_little_get(p, 8);
      memcpy(&v[i].f, &u, 8);
      break;
    }
    default: v[i].bytes = p, v[i].n = (uint32_t)size;
    }
  }
  return true;
}

static bool from_dictionary(const nb_parquet_column *c, const uint8_t *p, size_t n, size_t count, nb_parquet_value *v) {
  if (!count) return true;
  if (!n || p[0] > 32) return false;
  hybrid h = {.p = p + 1, .end = p + n, .width = p[0]};
  for (size_t i = 0; i < count; i++) {
    uint32_t k;
    if (!next_hybrid(&h, &k) || k >= c->n_dict) return false;
    v[i] = c->dict[k];
  }
  return true;
}

/* Truth values in runs: their length, then the runs. */
static bool run_length(const uint8_t *p, size_t n, size_t count, nb_parquet_value *v) {
  if (n < 4 || nb_little_get(p, 4) > n - 4) return false;
  hybrid h = {.p = p + 4, .end = p + 4 + nb_little_get(p, 4), .width = 1};
  for (size_t i = 0; i < count; i++) {
    uint32_t k;
    if (!next_hybrid(&h, &k)) return false;
    v[i].i = k;
  }
  return true;
}

/* Integers as differences, modulo 2^64 (of 32 bits: the caller cuts). *p moves behind them. */
static bool deltas(const uint8_t **p, const uint8_t *end, size_t count, nb_parquet_value *v) {
  uint64_t block, minis, total, zigzag, value, per;
  if (!varint(p, end, &block) || !varint(p, end, &minis) || !varint(p, end, &total) || !varint(p, end, &zigzag))
    return false;
  if (!block || block > MAX_BLOCK || !minis || minis > block || total != count) return false;
  per = block / minis;
  if (block % minis || per % 8) return false;
  value = zigzag >> 1 ^ (0 - (zigzag & 1));
  if (count) v[0].i = (int64_t)value;
  for (size_t i = 1; i < count;) {
    if (!varint(p, end, &zigzag) || minis > (uint64_t)(end - *p)) return false;
    uint64_t least = zigzag >> 1 ^ (0 - (zigzag & 1));
    const uint8_t *widths = *p;
    *p += minis;
    for (uint64_t m = 0; m < minis && i < count; m++) {
      size_t bytes = (size_t)(widths[m] * per / 8);
      if (widths[m] > 64 || bytes > (size_t)(end - *p)) return false;
      for (size_t k = 0; k < per && i < count; k++, i++) {
        value += least + bits(*p, k * widths[m], widths[m]);
        v[i].i = (int64_t)value;
      }
      *p += bytes;
    }
  }
  return true;
}

static bool delta_integers(const nb_parquet_column *c, const uint8_t *p, size_t n, size_t count, nb_parquet_value *v) {
  if (!deltas(&p, p + n, count, v)) return false;
  for (size_t i = 0; i < count && c->type == NB_PARQUET_INT32; i++) v[i].i = (int32_t)(uint32_t)v[i].i;
  return true;
}

/* All lengths, then all texts. *p moves behind them. */
static bool delta_lengths(const uint8_t **p, const uint8_t *end, size_t count, nb_parquet_value *v) {
  if (!deltas(p, end, count, v)) return false;
  for (size_t i = 0; i < count; i++) {
    int64_t length = v[i].i;
    if (length < 0 || length > end - *p) return false;
    v[i].bytes = *p, v[i].n = (uint32_t)length;
    *p += length;
  }
  return true;
}

/* How much each text shares with the one before, then the rest of each: put together in *strings. */
static nb_status delta_strings(nb_parquet *f, const nb_parquet_column *c, const nb_parquet_coded *coded, bool *good,
                               nb_err *err) {
  const uint8_t *p = coded->in, *end = p + coded->n;
  nb_parquet_value *v = coded->value, *shared;
  size_t count = coded->count;
  size_t total = 0, length, before = 0;
  NB_TRY(nb_new(&shared, nb_max(count, 1), sizeof *shared, "a Parquet page", err));
  nb_status st = NB_OK;
  *good = deltas(&p, end, count, shared) && delta_lengths(&p, end, count, v);
  for (size_t i = 0; i < count && *good; i++, before = length) {
    *good = shared[i].i >= 0 && (uint64_t)shared[i].i <= before;
    length = *good ? (size_t)shared[i].i + v[i].n : 0;
    *good = *good && length <= NB_PARQUET_MAX_PAGE && (c->type != NB_PARQUET_FIXED || length == c->length);
    total += length; /* at most 2^28 for each of at most 2^28 values */
    if (*good && total > f->left) NB_GOTO(nb_parquet_spend(f, total, err)); /* which it cannot */
  }
  if (!*good) goto fail;
  NB_GOTO(nb_parquet_spend(f, total, err));
  uint8_t *at = *coded->strings = malloc(total + 1);
  if (!at) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", f->file));
  for (size_t i = 0; i < count; i++) {
    size_t keep = (size_t)shared[i].i;
    if (keep) memcpy(at, v[i - 1].bytes, keep);
    if (v[i].n) memcpy(at + keep, v[i].bytes, v[i].n);
    v[i].bytes = at, v[i].n += (uint32_t)keep;
    at += v[i].n;
  }
fail:
  nb_free(shared);
  return st;
}

/* The first bytes of all values, then the second ones, ...: put together in *strings. */
static nb_status split_streams(nb_parquet *f, const nb_parquet_column *c, const nb_parquet_coded *coded, bool *good,
                               nb_err *err) {
  size_t n = coded->n, count = coded->count;
  size_t size = c->type == NB_PARQUET_FIXED                                  ? c->length
                : c->type == NB_PARQUET_INT32 || c->type == NB_PARQUET_FLOAT ? 4
                                                                             : 8;
  *good = n % size == 0 && n / size == count;
  if (!*good || !count) return NB_OK;
  NB_TRY(nb_parquet_spend(f, n, err));
  uint8_t *whole = *coded->strings = malloc(n);
  if (!whole) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", f->file);
  for (size_t b = 0; b < size; b++)
    for (size_t i = 0; i < count; i++) whole[i * size + b] = coded->in[b * count + i];
  *good = plain(c, whole, n, count, coded->value);
  return NB_OK;
}

static const char *encoding_name(int encoding) {
  static const char *const names[] = {"PLAIN",
                                      "GROUP_VAR_INT",
                                      "PLAIN_DICTIONARY",
                                      "RLE",
                                      "BIT_PACKED",
                                      "DELTA_BINARY_PACKED",
                                      "DELTA_LENGTH_BYTE_ARRAY",
                                      "DELTA_BYTE_ARRAY",
                                      "RLE_DICTIONARY",
                                      "BYTE_STREAM_SPLIT",
                                      "ALP"};
  return encoding >= 0 && encoding < (int)(sizeof names / sizeof *names) ? names[encoding] : "unknown";
}

nb_status nb_parquet_encoding_read(nb_parquet *p, const nb_parquet_column *c, const nb_parquet_coded *v, nb_err *err) {
  const uint8_t *in = v->in;
  size_t n = v->n, count = v->count;
  nb_parquet_value *value = v->value;
  int encoding = v->encoding;
  bool number = c->type == NB_PARQUET_INT32 || c->type == NB_PARQUET_INT64, known = true, good = false;
  bool array = c->type == NB_PARQUET_BYTE_ARRAY, fixed = c->type == NB_PARQUET_FIXED;
  const uint8_t *at = in;
  char what[120];
  if (!count) return NB_OK;
  switch (encoding) {
  case PLAIN: good = plain(c, in, n, count, value); break;
  case PLAIN_DICTIONARY:
  case RLE_DICTIONARY: good = from_dictionary(c, in, n, count, value); break;
  case RLE:
    if ((known = c->type == NB_PARQUET_BOOLEAN)) good = run_length(in, n, count, value);
    break;
  case DELTA_BINARY_PACKED:
    if ((known = number)) good = delta_integers(c, in, n, count, value);
    break;
  case DELTA_LENGTH_BYTE_ARRAY:
    if ((known = array)) good = delta_lengths(&at, in + n, count, value);
    break;
  case DELTA_BYTE_ARRAY:
    if ((known = array || fixed)) NB_TRY(delta_strings(p, c, v, &good, err));
    break;
  case BYTE_STREAM_SPLIT:
    if ((known = number || fixed || c->type == NB_PARQUET_FLOAT || c->type == NB_PARQUET_DOUBLE))
      NB_TRY(split_streams(p, c, v, &good, err));
    break;
  default: known = false;
  }
  if (good) return NB_OK;
  if (!known)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s: the encoding %s (%d) is not read here", p->file, c->name,
                   encoding_name(encoding), encoding);
  snprintf(what, sizeof what, "damaged values (encoding %s)", encoding_name(encoding));
  return nb_parquet_fail(p, c, what, err);
}
