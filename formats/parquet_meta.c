/* SPDX-License-Identifier: MIT */
/* The footer of a Parquet file: the schema, as nodes and columns, and where each row group keeps each column. */
#include "base/utf8.h"
#include "formats/parquet_impl.h"
#include "formats/thrift.h"

#include <stdio.h>

enum { MAGIC = 4, TAIL = 8, MAX_ELEMENTS = 4 * NB_PARQUET_MAX_COLUMNS };
enum { REQUIRED, OPTIONAL, REPEATED }; /* FieldRepetitionType */
enum {
  UTF8 = 0,
  MAP = 1,
  LIST = 3,
  ENUM = 4,
  DECIMAL = 5,
  DATE = 6,
  TIME_MILLIS = 7,
  TIME_MICROS = 8,
  TIMESTAMP_MILLIS = 9,
  TIMESTAMP_MICROS = 10,
  UINT_8 = 11,
  UINT_64 = 14,
  JSON = 19,
  INTERVAL = 21
}; /* ConvertedType */

/* One SchemaElement, as it stands in the file. */
typedef struct element {
  const uint8_t *name;
  size_t n_name;
  int64_t type, length, repetition, children, scale;
  int converted, logical; /* -1, 0: not said */
  int64_t unit;           /* of a logical time: units a second */
  bool utc, is_unsigned;
} element;

typedef struct reading {
  nb_parquet *p;
  nb_thrift t;
  element *el; /* (n) */
  size_t n, at;
} reading;

static nb_status damaged(const nb_parquet *p, const char *what, nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT, "%s: damaged Parquet file: %s", p->file, what);
}

/* ---- schema elements ---- */

/* The members of TimeType and TimestampType, DecimalType and IntType are numbered alike; want says which this is. */
static void read_logical_body(nb_thrift *t, int kind, element *e) {
  nb_thrift_field f = {0}, unit = {0};
  while (nb_thrift_next(t, &f)) {
    if ((kind == 7 || kind == 8) && f.id == 1) e->utc = nb_thrift_bool(t, &f);
    else if ((kind == 7 || kind == 8) && f.id == 2 && nb_thrift_struct(t, &f)) {
      while (nb_thrift_next(t, &unit)) {
        e->unit = unit.id == 1 ? 1000 : unit.id == 2 ? 1000000 : 1000000000;
        nb_thrift_skip(t, &unit);
      }
    } else if (kind == 5 && f.id == 1) e->scale = nb_thrift_int(t, &f);
    else if (kind == 10 && f.id == 2) e->is_unsigned = !nb_thrift_bool(t, &f);
    else nb_thrift_skip(t, &f);
  }
}

static void read_element(nb_thrift *t, element *e) {
  nb_thrift_field f = {0}, kind = {0};
  *e = (element){.type = -1, .converted = -1};
  while (nb_thrift_next(t, &f)) {
    switch (f.id) {
    case 1: e->type = nb_thrift_int(t, &f); break;
    case 2: e->length = nb_thrift_int(t, &f); break;
    case 3: e->repetition = nb_thrift_int(t, &f); break;
    case 4: e->name = nb_thrift_bytes(t, &f, &e->n_name); break;
    case 5: e->children = nb_thrift_int(t, &f); break;
    case 6: e->converted = (int)nb_thrift_int(t, &f); break;
    case 7: e->scale = nb_thrift_int(t, &f); break;
    case 10:
      if (!nb_thrift_struct(t, &f)) break;
      while (nb_thrift_next(t, &kind)) {
        if (!nb_thrift_struct(t, &kind)) break;
        e->logical = kind.id;
        read_logical_body(t, kind.id, e);
      }
      break;
    default: nb_thrift_skip(t, &f);
    }
  }
}

/* ---- what a leaf means ---- */

static bool is_list(const element *e) { return e->logical == 3 || (!e->logical && e->converted == LIST); }
static bool is_map(const element *e) {
  return e->logical == 2 || (!e->logical && (e->converted == MAP || e->converted == 2));
}

/* What is not read, or NULL. */
static const char *unread(const element *e) {
  if (e->type == NB_PARQUET_INT96) return "the type INT96 is";
  switch (e->logical) {
  case 13: return "BSON is";
  case 16: return "variants are";
  case 17: return "geometries are";
  case 18: return "geographies are";
  default: break;
  }
  if (!e->logical && e->converted == 20) return "BSON is";
  return !e->logical && e->converted == INTERVAL ? "intervals are" : NULL;
}

/* The meaning by the logical type, else by the older converted type. Whether it goes with the physical type is looked
 * at by fits. */
static nb_parquet_meaning meaning_of(const element *e, nb_parquet_column *c) {
  int conv = e->logical ? -1 : e->converted;
  c->scale = (int)e->scale, c->unit = e->unit, c->utc = e->utc;
  if (conv == TIME_MILLIS || conv == TIMESTAMP_MILLIS) c->unit = 1000, c->utc = true;
  if (conv == TIME_MICROS || conv == TIMESTAMP_MICROS) c->unit = 1000000, c->utc = true;
  switch (e->logical) {
  case 1:
  case 4:
  case 12: return NB_PARQUET_TEXT;
  case 5: return NB_PARQUET_DECIMAL;
  case 6: return NB_PARQUET_DATE;
  case 7: return NB_PARQUET_TIME;
  case 8: return NB_PARQUET_TIMESTAMP;
  case 10: return e->is_unsigned ? NB_PARQUET_UNSIGNED : NB_PARQUET_NUMBER;
  case 11: return NB_PARQUET_NOTHING;
  case 14: return NB_PARQUET_UUID;
  case 15: return NB_PARQUET_FLOAT16;
  default: break;
  }
  switch (conv) {
  case UTF8:
  case ENUM:
  case JSON: return NB_PARQUET_TEXT;
  case DECIMAL: return NB_PARQUET_DECIMAL;
  case DATE: return NB_PARQUET_DATE;
  case TIME_MILLIS:
  case TIME_MICROS: return NB_PARQUET_TIME;
  case TIMESTAMP_MILLIS:
  case TIMESTAMP_MICROS: return NB_PARQUET_TIMESTAMP;
  default: break;
  }
  if (conv >= UINT_8 && conv <= UINT_64) return NB_PARQUET_UNSIGNED;
  return e->type == NB_PARQUET_BYTE_ARRAY || e->type == NB_PARQUET_FIXED ? NB_PARQUET_BYTES : NB_PARQUET_NUMBER;
}

static bool fits(const nb_parquet_column *c) {
  bool int32 = c->type == NB_PARQUET_INT32, int64 = c->type == NB_PARQUET_INT64;
  bool fixed = c->type == NB_PARQUET_FIXED, array = c->type == NB_PARQUET_BYTE_ARRAY;
  switch (c->meaning) {
  case NB_PARQUET_NUMBER: return !array && !fixed;
  case NB_PARQUET_UNSIGNED: return int32 || int64;
  case NB_PARQUET_TEXT: return array;
  case NB_PARQUET_BYTES: return array || fixed;
  case NB_PARQUET_UUID: return fixed && c->length == 16;
  case NB_PARQUET_DATE: return int32;
  case NB_PARQUET_TIME:
  case NB_PARQUET_TIMESTAMP: return (int32 || int64) && c->unit > 0;
  case NB_PARQUET_DECIMAL: return c->scale >= 0 && c->scale <= 38 && (int32 || int64 || array || fixed);
  case NB_PARQUET_FLOAT16: return fixed && c->length == 2;
  case NB_PARQUET_NOTHING: return true;
  }
  return false;
}

/* ---- nodes ---- */

static nb_status copy_text(const uint8_t *s, size_t n, char **out, nb_err *err) {
  *out = malloc(n + 1);
  if (!*out) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a Parquet schema");
  if (n) memcpy(*out, s, n);
  (*out)[n] = 0;
  return NB_OK;
}

static nb_status add_node(nb_parquet *p, const element *e, nb_parquet_node node, size_t *out, nb_err *err) {
  NB_TRY(nb_grow(&p->node, &p->cap_nodes, p->n_nodes + 1, sizeof *p->node, err));
  node.column = p->n_columns;
  if (memchr(e->name ? (const char *)e->name : "", 0, e->n_name) ||
      nb_utf8_valid_prefix((const char *)e->name, e->n_name) != e->n_name)
    return damaged(p, "a column's name is no UTF-8 text", err);
  NB_TRY(copy_text(e->name, e->n_name, &node.name, err));
  *out = p->n_nodes;
  p->node[p->n_nodes++] = node;
  return NB_OK;
}

static nb_status add_column(nb_parquet *p, const element *e, const char *path, uint8_t def, uint8_t rep, nb_err *err) {
  if (p->n_columns >= NB_PARQUET_MAX_COLUMNS)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: more than %d columns", p->file, NB_PARQUET_MAX_COLUMNS);
  NB_TRY(nb_grow(&p->column, &p->cap_columns, p->n_columns + 1, sizeof *p->column, err));
  nb_parquet_column *c = &p->column[p->n_columns];
  *c = (nb_parquet_column){.type = (nb_parquet_type)e->type, .def = def, .rep = rep};
  NB_TRY(copy_text((const uint8_t *)path, strlen(path), &c->name, err));
  p->n_columns++;
  if (unread(e)) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s: %s not read", p->file, path, unread(e));
  if (e->type < NB_PARQUET_BOOLEAN || e->type > NB_PARQUET_FIXED ||
      (e->type == NB_PARQUET_FIXED && (e->length < 1 || e->length > 1 << 20)))
    return nb_fail(err, NB_ERR_FORMAT, "%s: column %s has no valid type", p->file, path);
  c->length = e->type == NB_PARQUET_FIXED ? (size_t)e->length : 0;
  c->meaning = meaning_of(e, c);
  if (!fits(c))
    return nb_fail(err, NB_ERR_FORMAT, "%s: column %s: its logical and its physical type do not go together", p->file,
                   path);
  return NB_OK;
}

static nb_status next_element(reading *r, const element **out, nb_err *err) {
  if (r->at == r->n) return damaged(r->p, "the schema lacks elements", err);
  *out = &r->el[r->at++];
  return NB_OK;
}

typedef struct level {
  uint8_t def, rep;
  int depth;
  char path[200];
} level;

static void extend_path(level *v, const element *e) {
  size_t n = strlen(v->path);
  snprintf(v->path + n, sizeof v->path - n, "%s%.*s", n ? "." : "", (int)nb_min(e->n_name, 60),
           e->name ? (const char *)e->name : "");
  for (char *c = v->path + n; *c; c++)
    if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
}

static nb_status read_field(reading *r, level v, size_t *out, nb_err *err);

/* The members of a group, whose element has been read: nodes in a chain from node `self` on. */
static nb_status read_members(reading *r, const element *e, level v, size_t self, nb_err *err) {
  nb_parquet *p = r->p;
  size_t last = 0, member;
  for (int64_t i = 0; i < e->children; i++) {
    NB_TRY(read_field(r, v, &member, err));
    if (last) p->node[last].next = member;
    else p->node[self].child = member;
    for (size_t m = p->node[self].child; m && m != member; m = p->node[m].next)
      if (!strcmp(p->node[m].name, p->node[member].name)) return damaged(p, "two columns have one name", err);
    last = member;
  }
  p->node[self].n_columns = p->n_columns - p->node[self].column;
  return NB_OK;
}

/* A node for element e, whose own repetition is dealt with: v holds the levels at which it is there. */
static nb_status read_value(reading *r, const element *e, level v, bool optional, size_t *out, nb_err *err) {
  nb_parquet *p = r->p;
  nb_parquet_node node = {.optional = optional, .def = v.def};
  if (++v.depth > NB_PARQUET_MAX_DEPTH)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s is nested more than %d deep", p->file, v.path,
                   NB_PARQUET_MAX_DEPTH);
  if (!e->children) {
    node.kind = NB_PARQUET_LEAF, node.n_columns = 1;
    NB_TRY(add_node(p, e, node, out, err));
    return add_column(p, e, v.path, v.def, v.rep, err);
  }
  if (is_map(e)) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s: maps are not read", p->file, v.path);
  const element *inner = r->at < r->n ? &r->el[r->at] : NULL;
  if (!is_list(e) || e->children != 1 || !inner || inner->repetition != REPEATED) {
    node.kind = NB_PARQUET_STRUCT;
    NB_TRY(add_node(p, e, node, out, err));
    return read_members(r, e, v, *out, err);
  }
  /* The repeated group is the element itself in old files, else a wrapping around it (the format's LogicalTypes.md). */
  node.kind = NB_PARQUET_LIST, node.item_def = (uint8_t)(v.def + 1), node.rep = (uint8_t)(v.rep + 1);
  v.def = node.item_def, v.rep = node.rep;
  NB_TRY(add_node(p, e, node, out, err));
  NB_TRY(next_element(r, &inner, err));
  extend_path(&v, inner);
  size_t element_node, self = *out;
  bool itself = inner->children != 1 || (inner->n_name == 5 && !memcmp(inner->name, "array", 5)) ||
                (inner->n_name == e->n_name + 6 && !memcmp(inner->name, e->name, e->n_name) &&
                 !memcmp(inner->name + e->n_name, "_tuple", 6));
  if (itself) NB_TRY(read_value(r, inner, v, false, &element_node, err));
  else NB_TRY(read_field(r, v, &element_node, err));
  p->node[self].child = element_node;
  p->node[self].n_columns = p->n_columns - p->node[self].column;
  return NB_OK;
}

/* A field: the next element with all below it. */
static nb_status read_field(reading *r, level v, size_t *out, nb_err *err) {
  const element *e = NULL;
  NB_TRY(next_element(r, &e, err));
  extend_path(&v, e);
  if (e->children < 0 || e->repetition < REQUIRED || e->repetition > REPEATED)
    return damaged(r->p, "an element of the schema makes no sense", err);
  if (e->repetition != REPEATED) {
    v.def = (uint8_t)(v.def + (e->repetition == OPTIONAL));
    return read_value(r, e, v, e->repetition == OPTIONAL, out, err);
  }
  /* Repeated without being called a list: a list that cannot be null. */
  nb_parquet_node node = {.kind = NB_PARQUET_LIST, .def = v.def};
  v.def = node.item_def = (uint8_t)(v.def + 1), v.rep = node.rep = (uint8_t)(v.rep + 1);
  if (++v.depth > NB_PARQUET_MAX_DEPTH) return damaged(r->p, "lists in lists without end", err);
  size_t child, self;
  NB_TRY(add_node(r->p, e, node, &self, err));
  NB_TRY(read_value(r, e, v, false, &child, err));
  r->p->node[self].child = child, r->p->node[self].n_columns = r->p->n_columns - r->p->node[self].column;
  *out = self;
  return NB_OK;
}

static nb_status read_schema(reading *r, const nb_thrift_field *f, nb_err *err) {
  nb_thrift_field item;
  size_t root;
  if (r->el) return damaged(r->p, "two schemas", err);
  r->n = nb_thrift_list(&r->t, f, &item);
  if (r->n > MAX_ELEMENTS)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a schema of %zu elements; at most %d are read", r->p->file, r->n,
                   MAX_ELEMENTS);
  NB_TRY(nb_new(&r->el, nb_max(r->n, 1), sizeof *r->el, "a Parquet schema", err));
  for (size_t i = 0; i < r->n && nb_thrift_struct(&r->t, &item); i++) read_element(&r->t, &r->el[i]);
  if (r->t.failed || !r->n) return damaged(r->p, "the schema cannot be read", err);
  const element *e = NULL;
  level v = {0};
  NB_TRY(next_element(r, &e, err));
  if (e->children < 1) return nb_fail(err, NB_ERR_FORMAT, "%s: a Parquet file without columns", r->p->file);
  NB_TRY(add_node(r->p, e, (nb_parquet_node){.kind = NB_PARQUET_STRUCT}, &root, err));
  NB_TRY(read_members(r, e, v, root, err));
  return r->at == r->n ? NB_OK : damaged(r->p, "the schema has elements that belong nowhere", err);
}

/* ---- row groups ---- */

typedef struct column_meta {
  int64_t type, codec, n_values, size, data, dict;
} column_meta;

static column_meta read_column_meta(nb_thrift *t) {
  column_meta m = {.type = -1, .codec = -1, .n_values = -1, .size = -1, .data = -1, .dict = -1};
  nb_thrift_field f = {0};
  while (nb_thrift_next(t, &f)) {
    switch (f.id) {
    case 1: m.type = nb_thrift_int(t, &f); break;
    case 4: m.codec = nb_thrift_int(t, &f); break;
    case 5: m.n_values = nb_thrift_int(t, &f); break;
    case 7: m.size = nb_thrift_int(t, &f); break;
    case 9: m.data = nb_thrift_int(t, &f); break;
    case 11: m.dict = nb_thrift_int(t, &f); break;
    default: nb_thrift_skip(t, &f);
    }
  }
  return m;
}

static nb_status read_chunk(reading *r, const nb_parquet_column *c, nb_err *err) {
  nb_parquet *p = r->p;
  nb_thrift_field f = {0};
  column_meta m = {.type = -1};
  while (nb_thrift_next(&r->t, &f)) {
    if (f.id == 3 && nb_thrift_struct(&r->t, &f)) m = read_column_meta(&r->t);
    else if (f.id == 1) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: columns in other files are not read", p->file);
    else if (f.id == 8 || f.id == 9)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: column %s is encrypted, which is not read", p->file, c->name);
    else nb_thrift_skip(&r->t, &f);
  }
  if (r->t.failed || m.type != (int64_t)c->type) return damaged(p, "a row group does not go with the schema", err);
  /* A file without a dictionary may say 0 for its place. */
  if (!m.n_values) m.size = 0, m.data = MAGIC; /* nothing is anywhere */
  int64_t begin = m.dict > 0 && m.dict < m.data ? m.dict : m.data, data_end = (int64_t)p->size - TAIL;
  if (begin < MAGIC || m.size < 0 || begin > data_end || m.size > data_end - begin || m.n_values < 0)
    return nb_fail(err, NB_ERR_FORMAT, "%s: damaged Parquet file: column %s lies outside the file", p->file, c->name);
  if (!nb_parquet_codec_name((int)m.codec) || m.codec < 0 || m.codec > 100)
    return nb_fail(err, NB_ERR_FORMAT, "%s: column %s: unknown compression %lld", p->file, c->name, (long long)m.codec);
  NB_TRY(nb_grow(&p->chunk, &p->cap_chunks, p->n_chunks + 1, sizeof *p->chunk, err));
  p->chunk[p->n_chunks++] = (nb_parquet_chunk){(size_t)begin, (size_t)m.size, (size_t)m.n_values, (int)m.codec};
  return NB_OK;
}

static nb_status read_group(reading *r, nb_err *err) {
  nb_parquet *p = r->p;
  nb_thrift_field f = {0}, item;
  int64_t rows = -1;
  size_t before = p->n_chunks;
  while (nb_thrift_next(&r->t, &f)) {
    if (f.id == 1) {
      size_t n = nb_thrift_list(&r->t, &f, &item);
      if (n != p->n_columns) return damaged(p, "a row group has another number of columns than the schema", err);
      for (size_t i = 0; i < n && nb_thrift_struct(&r->t, &item); i++) NB_TRY(read_chunk(r, &p->column[i], err));
    } else if (f.id == 3) rows = nb_thrift_int(&r->t, &f);
    else nb_thrift_skip(&r->t, &f);
  }
  if (r->t.failed || rows < 0 || p->n_chunks - before != p->n_columns)
    return damaged(p, "a row group cannot be read", err);
  NB_TRY(nb_grow(&p->rows, &p->cap_groups, p->n_groups + 1, sizeof *p->rows, err));
  p->rows[p->n_groups++] = (size_t)rows;
  return NB_OK;
}

/* ---- the whole ---- */

static nb_status read_metadata(reading *r, nb_err *err) {
  nb_parquet *p = r->p;
  nb_thrift_field f = {0}, item;
  int64_t total = -1;
  while (nb_thrift_next(&r->t, &f)) {
    if (f.id == 2) NB_TRY(read_schema(r, &f, err));
    else if (f.id == 3) total = nb_thrift_int(&r->t, &f);
    else if (f.id == 4) {
      size_t n = nb_thrift_list(&r->t, &f, &item);
      if (!p->n_columns) return damaged(p, "row groups before the schema", err);
      for (size_t i = 0; i < n && nb_thrift_struct(&r->t, &item); i++) NB_TRY(read_group(r, err));
    } else if (f.id == 8)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: an encrypted Parquet file, which is not read", p->file);
    else nb_thrift_skip(&r->t, &f);
  }
  if (r->t.failed) return damaged(p, "the footer cannot be read", err);
  if (!p->n_columns) return damaged(p, "the footer has no schema", err);
  size_t rows = 0;
  for (size_t g = 0; g < p->n_groups; g++)
    if (!nb_add(rows, p->rows[g], &rows)) return damaged(p, "too many rows", err);
  return total >= 0 && (size_t)total == rows ? NB_OK : damaged(p, "its row groups do not have the rows it says", err);
}

nb_status nb_parquet_meta_read(nb_parquet *p, nb_err *err) {
  if (p->size >= MAGIC && !memcmp(p->bytes, "PARE", MAGIC))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: an encrypted Parquet file, which is not read", p->file);
  if (p->size < MAGIC || memcmp(p->bytes, "PAR1", MAGIC))
    return nb_fail(err, NB_ERR_FORMAT, "%s: not a Parquet file (it does not begin with PAR1)", p->file);
  const uint8_t *tail = p->bytes + (p->size < TAIL ? 0 : p->size - TAIL);
  if (p->size < MAGIC + TAIL || memcmp(tail + 4, "PAR1", MAGIC))
    return nb_fail(err, NB_ERR_FORMAT, "%s: a Parquet file that was cut short (it does not end with PAR1)", p->file);
  size_t n = (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
  if (!n || n > p->size - MAGIC - TAIL)
    return nb_fail(err, NB_ERR_FORMAT, "%s: damaged Parquet file: a footer of %zu bytes", p->file, n);
  reading r = {.p = p, .t = {tail - n, tail, false}};
  nb_status st = read_metadata(&r, err);
  nb_free(r.el);
  return st;
}
