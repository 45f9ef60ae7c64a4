/* SPDX-License-Identifier: MIT */
/* A column of a row group, page after page: header, checksum, unpacking, levels, values. */
#include "formats/parquet_impl.h"
#include "formats/thrift.h"

#include <stdio.h>
#include <zlib.h>

enum { DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 }; /* PageType */
enum { LEVELS_RLE = 3, LEVELS_BIT_PACKED = 4 };

typedef struct page_header {
  int64_t type, size, packed, crc, n, encoding, def_encoding, rep_encoding, def_bytes, rep_bytes;
  bool has_crc, has_data, is_packed;
} page_header;

/* The three kinds of data page headers; their numbers of the same things differ. */
static void read_page_kind(nb_thrift *t, int16_t kind, page_header *h) {
  nb_thrift_field f = {0};
  bool v2 = kind == 8;
  h->has_data = true;
  while (nb_thrift_next(t, &f)) {
    if (f.id == 1) h->n = nb_thrift_int(t, &f);
    else if (f.id == (v2 ? 4 : 2)) h->encoding = nb_thrift_int(t, &f);
    else if (kind == 5 && f.id == 3) h->def_encoding = nb_thrift_int(t, &f);
    else if (kind == 5 && f.id == 4) h->rep_encoding = nb_thrift_int(t, &f);
    else if (v2 && f.id == 5) h->def_bytes = nb_thrift_int(t, &f);
    else if (v2 && f.id == 6) h->rep_bytes = nb_thrift_int(t, &f);
    else if (v2 && f.id == 7) h->is_packed = nb_thrift_bool(t, &f);
    else nb_thrift_skip(t, &f);
  }
}

static bool read_header(nb_thrift *t, page_header *h) {
  nb_thrift_field f = {0};
  *h = (page_header){.type = -1,
                     .size = -1,
                     .packed = -1,
                     .n = -1,
                     .def_encoding = LEVELS_RLE,
                     .rep_encoding = LEVELS_RLE,
                     .is_packed = true};
  while (nb_thrift_next(t, &f)) {
    switch (f.id) {
    case 1: h->type = nb_thrift_int(t, &f); break;
    case 2: h->size = nb_thrift_int(t, &f); break;
    case 3: h->packed = nb_thrift_int(t, &f); break;
    case 4: h->crc = nb_thrift_int(t, &f), h->has_crc = true; break;
    case 5:
    case 7:
    case 8:
      if (nb_thrift_struct(t, &f)) read_page_kind(t, f.id, h);
      break;
    default: nb_thrift_skip(t, &f);
    }
  }
  return !t->failed && h->size >= 0 && h->size <= NB_PARQUET_MAX_PAGE && h->packed >= 0 && h->packed <= t->end - t->p &&
         (h->type == INDEX_PAGE || (h->has_data && h->n >= 0 && h->n <= INT32_MAX));
}

static void drop_page(nb_parquet_column *c) {
  free(c->bytes), free(c->strings), free(c->levels), nb_free(c->value);
  c->bytes = c->strings = c->levels = NULL, c->value = NULL;
  c->n = c->n_values = c->at = c->value_at = 0;
}

void nb_parquet_page_free(nb_parquet_column *c) {
  drop_page(c);
  free(c->dict_bytes), nb_free(c->dict);
  c->dict_bytes = NULL, c->dict = NULL, c->n_dict = 0;
}

void nb_parquet_page_begin(const nb_parquet *p, nb_parquet_column *c, const nb_parquet_chunk *chunk) {
  nb_parquet_page_free(c);
  c->chunk = *chunk;
  c->p = p->bytes + chunk->offset, c->end = c->p + chunk->size;
  c->values_left = chunk->n_values;
}

/* The page's bytes behind the first `plain` ones (levels that are never packed), all unpacked into c->bytes or, for a
 * dictionary, *out. */
static nb_status unpack(nb_parquet *p, nb_parquet_column *c, const page_header *h, const uint8_t *in, size_t plain,
                        uint8_t **out, nb_err *err) {
  char where[300];
  size_t size = (size_t)h->size, packed = (size_t)h->packed;
  NB_TRY(nb_parquet_spend(p, size, err));
  if (!(*out = malloc(size + 1))) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
  if (plain) memcpy(*out, in, plain);
  snprintf(where, sizeof where, "%.150s: column %.120s", p->file, c->name);
  if (size == plain) return NB_OK; /* nothing but nulls */
  return nb_parquet_codec_unpack(h->is_packed ? c->chunk.codec : 0, in + plain, packed - plain, *out + plain,
                                 size - plain, where, err);
}

static nb_status read_dictionary(nb_parquet *p, nb_parquet_column *c, const page_header *h, const uint8_t *in,
                                 nb_err *err) {
  size_t n = (size_t)h->n;
  if (c->dict) return nb_parquet_fail(p, c, "two dictionaries", err);
  /* A value takes at least a bit. */
  if (n > 8 * (size_t)h->size) return nb_parquet_fail(p, c, "a dictionary of more values than bytes", err);
  NB_TRY(unpack(p, c, h, in, 0, &c->dict_bytes, err));
  NB_TRY(nb_parquet_spend(p, n * sizeof *c->dict, err));
  NB_TRY(nb_new(&c->dict, nb_max(n, 1), sizeof *c->dict, "a Parquet dictionary", err));
  uint8_t *none = NULL;
  const nb_parquet_coded v = {0, c->dict_bytes, (size_t)h->size, c->dict, n, &none};
  NB_TRY(nb_parquet_encoding_read(p, c, &v, err));
  c->n_dict = n;
  return NB_OK;
}

/* Where levels of a version 1 page are: behind their length. *at moves behind them. */
static bool take_levels(const uint8_t *bytes, size_t size, size_t *at, const uint8_t **levels, size_t *n) {
  if (size - *at < 4) return false;
  const uint8_t *b = bytes + *at;
  *n = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
  if (*n > size - *at - 4) return false;
  *levels = b + 4, *at += 4 + *n;
  return true;
}

static nb_status read_data(nb_parquet *p, nb_parquet_column *c, const page_header *h, const uint8_t *in, nb_err *err) {
  bool v2 = h->type == DATA_PAGE_V2;
  size_t n = (size_t)h->n, size = (size_t)h->size, at = 0, n_rep = 0, n_def = 0, plain = 0;
  const uint8_t *rep = NULL, *def = NULL;
  if (!v2 && ((c->rep && h->rep_encoding != LEVELS_RLE) || (c->def && h->def_encoding != LEVELS_RLE)))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s: levels in the encoding BIT_PACKED are not read", p->file,
                   c->name);
  if (n > c->values_left) return nb_parquet_fail(p, c, "a page of more values than its column has", err);
  if (v2) {
    if (h->def_bytes < 0 || h->rep_bytes < 0 || h->def_bytes > h->size || h->rep_bytes > h->size - h->def_bytes ||
        h->def_bytes + h->rep_bytes > h->packed)
      return nb_parquet_fail(p, c, "levels that reach out of their page", err);
    n_rep = (size_t)h->rep_bytes, n_def = (size_t)h->def_bytes, plain = n_rep + n_def;
  }
  NB_TRY(unpack(p, c, h, in, plain, &c->bytes, err));
  if (v2) rep = c->bytes, def = c->bytes + n_rep, at = plain;
  else if ((c->rep && !take_levels(c->bytes, size, &at, &rep, &n_rep)) ||
           (c->def && !take_levels(c->bytes, size, &at, &def, &n_def)))
    return nb_parquet_fail(p, c, "levels that reach out of their page", err);

  NB_TRY(nb_parquet_spend(p, n * (2 + sizeof *c->value), err));
  if (!(c->levels = calloc(n + 1, 2))) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
  if ((c->rep && !nb_parquet_encoding_levels(rep, n_rep, n, c->rep, c->levels)) ||
      (c->def && !nb_parquet_encoding_levels(def, n_def, n, c->def, c->levels + n)))
    return nb_parquet_fail(p, c, "damaged levels", err);
  size_t n_values = 0;
  for (size_t i = 0; i < n; i++) n_values += c->levels[n + i] == c->def;
  NB_TRY(nb_new(&c->value, nb_max(n_values, 1), sizeof *c->value, "a Parquet page", err));
  const nb_parquet_coded v = {(int)h->encoding, c->bytes + at, size - at, c->value, n_values, &c->strings};
  NB_TRY(nb_parquet_encoding_read(p, c, &v, err));
  c->n = n, c->n_values = n_values, c->values_left -= n;
  return NB_OK;
}

static nb_status next_page(nb_parquet *p, nb_parquet_column *c, nb_err *err) {
  nb_thrift t = {c->p, c->end, false};
  page_header h;
  drop_page(c);
  if (!read_header(&t, &h)) return nb_parquet_fail(p, c, "a page's header cannot be read", err);
  const uint8_t *in = t.p;
  NB_TRY(nb_parquet_spend(p, (size_t)(in + h.packed - c->p), err)); /* chunks may share bytes: each reading counts */
  c->p = in + h.packed;
  if (h.has_crc && (uint32_t)crc32(0, in, (uInt)h.packed) != (uint32_t)h.crc)
    return nb_parquet_fail(p, c, "a page's checksum does not match: the file is damaged", err);
  switch (h.type) {
  case DATA_PAGE:
  case DATA_PAGE_V2: return read_data(p, c, &h, in, err);
  case DICTIONARY_PAGE: return read_dictionary(p, c, &h, in, err);
  default: return NB_OK; /* an index, or something newer */
  }
}

nb_status nb_parquet_page_need(nb_parquet *p, nb_parquet_column *c, nb_err *err) {
  while (c->at == c->n) {
    if (!c->values_left || c->p == c->end) return nb_parquet_fail(p, c, "it ends too early", err);
    NB_TRY(next_page(p, c, err));
  }
  return NB_OK;
}
