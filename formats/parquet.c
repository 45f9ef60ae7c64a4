/* SPDX-License-Identifier: MIT */
/* Rows of a Parquet file, put together from its columns: each entry of a column says by its repetition level which list
 * it goes on with, and by its definition level how much of its path is there (Melnik et al. 2010, "Dremel"). */
#include "formats/parquet.h"

#include "formats/parquet_impl.h"

#include <stdio.h>

enum { NODE_BYTES = 96 }; /* about what a JSON value takes */

nb_status nb_parquet_spend(nb_parquet *p, size_t bytes, nb_err *err) {
  if (bytes > p->left)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s: its %zu bytes expand too far (by row %zu), refused as a decompression bomb", p->file, p->size,
                   p->row_number);
  p->left -= bytes;
  return NB_OK;
}

nb_status nb_parquet_fail(const nb_parquet *p, const nb_parquet_column *c, const char *what, nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT, "%s: damaged Parquet file: column %s, row %zu: %s", p->file, c->name,
                 p->row_number, what);
}

const char *nb_parquet_where(const nb_parquet *p) { return p->where; }

nb_status nb_parquet_open(const void *bytes, size_t n, const char *file, nb_parquet **out, nb_err *err) {
  size_t most;
  nb_parquet *p = *out = calloc(1, sizeof *p);
  if (!p) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", file);
  p->bytes = bytes, p->size = n, p->file = file;
  if (!nb_mul(n, NB_PARQUET_MAX_RATIO, &most) || !nb_add(most, NB_PARQUET_FREE, &most)) most = NB_PARQUET_MAX;
  p->left = nb_min(most, NB_PARQUET_MAX);
  nb_status st = nb_parquet_meta_read(p, err);
  if (st == NB_OK) return NB_OK;
  nb_parquet_close(p);
  *out = NULL;
  return st;
}

void nb_parquet_close(nb_parquet *p) {
  if (!p) return;
  for (size_t i = 0; i < p->n_nodes; i++) free(p->node[i].name);
  for (size_t i = 0; i < p->n_columns; i++) {
    nb_parquet_page_free(&p->column[i]);
    free(p->column[i].name);
  }
  free(p->node), free(p->column), free(p->rows), free(p->chunk);
  free(p);
}

/* ---- one value of the schema ---- */

static uint8_t def_of(const nb_parquet_column *c) { return c->levels[c->n + c->at]; }

/* Sees to it that every column below the node has an entry of repetition level rep, and that their definition levels
 * say the same about whether level `def` is reached; *there. Not reached, each entry must be of level def - 1. */
static nb_status look(nb_parquet *p, const nb_parquet_node *node, uint8_t rep, uint8_t def, bool *there, nb_err *err) {
  for (size_t i = 0; i < node->n_columns; i++) {
    nb_parquet_column *c = &p->column[node->column + i];
    NB_TRY(nb_parquet_page_need(p, c, err));
    bool reached = def_of(c) >= def;
    if (!i) *there = reached;
    if (c->levels[c->at] != rep || reached != *there || (!reached && def_of(c) != def - 1))
      return nb_parquet_fail(p, c, "its levels contradict the schema or the columns beside it", err);
  }
  return NB_OK;
}

/* Passes over an entry of each column below the node. */
static void pass(nb_parquet *p, const nb_parquet_node *node) {
  for (size_t i = 0; i < node->n_columns; i++) p->column[node->column + i].at++;
}

static nb_status build(nb_parquet *p, const nb_parquet_node *node, uint8_t rep, cJSON **out, nb_err *err);

static nb_status build_leaf(nb_parquet *p, const nb_parquet_node *node, cJSON **out, nb_err *err) {
  nb_parquet_column *c = &p->column[node->column];
  NB_TRY(nb_parquet_value_json(p, c, &c->value[c->value_at++], out, err));
  c->at++;
  return NB_OK;
}

static nb_status build_struct(nb_parquet *p, const nb_parquet_node *node, uint8_t rep, cJSON *object, nb_err *err) {
  for (size_t m = node->child; m; m = p->node[m].next) {
    const nb_parquet_node *member = &p->node[m];
    cJSON *value = NULL;
    NB_TRY(nb_parquet_spend(p, strlen(member->name), err));
    NB_TRY(build(p, member, rep, &value, err));
    if (!cJSON_AddItemToObject(object, member->name, value)) {
      cJSON_Delete(value);
      return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
    }
  }
  return NB_OK;
}

/* Whether the list goes on: an entry of its repetition level follows in its first column. At the end of the row group
 * there is none. */
static nb_status goes_on(nb_parquet *p, const nb_parquet_node *node, bool *more, nb_err *err) {
  nb_parquet_column *c = &p->column[node->column];
  *more = false;
  if (c->at == c->n && !c->values_left) return NB_OK;
  NB_TRY(nb_parquet_page_need(p, c, err));
  *more = c->levels[c->at] == node->rep;
  return NB_OK;
}

static nb_status build_list(nb_parquet *p, const nb_parquet_node *node, uint8_t rep, cJSON *array, nb_err *err) {
  bool more;
  NB_TRY(look(p, node, rep, node->item_def, &more, err));
  if (!more) return pass(p, node), NB_OK;
  while (more) {
    cJSON *item = NULL;
    NB_TRY(build(p, &p->node[node->child], rep, &item, err));
    cJSON_AddItemToArray(array, item);
    rep = node->rep;
    NB_TRY(goes_on(p, node, &more, err));
  }
  return NB_OK;
}

static nb_status build(nb_parquet *p, const nb_parquet_node *node, uint8_t rep, cJSON **out, nb_err *err) {
  bool there = true;
  NB_TRY(nb_parquet_spend(p, NODE_BYTES, err));
  if (node->optional || node->kind == NB_PARQUET_LEAF) {
    NB_TRY(look(p, node, rep, node->def, &there, err));
    if (!there && !node->optional)
      return nb_parquet_fail(p, &p->column[node->column], "a null where the schema has none", err);
  }
  if (!there) {
    pass(p, node);
    *out = cJSON_CreateNull();
    return *out ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
  }
  if (node->kind == NB_PARQUET_LEAF) return build_leaf(p, node, out, err);
  bool list = node->kind == NB_PARQUET_LIST;
  cJSON *v = list ? cJSON_CreateArray() : cJSON_CreateObject();
  if (!v) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", p->file);
  nb_status st = list ? build_list(p, node, rep, v, err) : build_struct(p, node, rep, v, err);
  if (st != NB_OK) return cJSON_Delete(v), st;
  *out = v;
  return NB_OK;
}

/* ---- rows ---- */

/* After the last row of a group nothing may be left over. */
static nb_status end_group(nb_parquet *p, nb_err *err) {
  for (size_t i = 0; i < p->n_columns; i++) {
    nb_parquet_column *c = &p->column[i];
    if (c->at != c->n || c->values_left) return nb_parquet_fail(p, c, "it has more values than there are rows", err);
    nb_parquet_page_free(c);
  }
  return NB_OK;
}

nb_status nb_parquet_next(nb_parquet *p, cJSON **row, nb_err *err) {
  *row = NULL;
  while (p->group < p->n_groups && p->row == p->rows[p->group]) {
    if (p->row) NB_TRY(end_group(p, err));
    p->group++, p->row = 0;
  }
  if (p->group == p->n_groups) return NB_OK;
  if (!p->row)
    for (size_t i = 0; i < p->n_columns; i++)
      nb_parquet_page_begin(p, &p->column[i], &p->chunk[p->group * p->n_columns + i]);
  p->row++, p->row_number++;
  snprintf(p->where, sizeof p->where, "%.240s: row %zu", p->file, p->row_number);
  return build(p, &p->node[0], 0, row, err);
}
