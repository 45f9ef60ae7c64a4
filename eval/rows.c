/* SPDX-License-Identifier: MIT */
#include "eval/rows.h"

#include "base/mem.h"
#include "formats/csv.h"
#include "formats/explain.h"
#include "formats/jsonl.h"
#include "formats/parquet.h"
#include "eval/rowpath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef nb_status (*row_fn)(void *ctx, cJSON *row, const char *where, nb_err *err);

enum { WHERE_MAX = 300 };

static nb_status out_of_memory(const char *where, nb_err *err) {
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
}

/* ---- JSON ---- */

/* Lines of objects, or one array of them. */
static nb_status read_json(const nb_task *t, const char *file, const char *bytes, size_t n, row_fn see, void *ctx,
                           nb_err *err) {
  nb_jsonl it;
  const cJSON *record;
  nb_status st;
  NB_TRY(nb_jsonl_open(bytes, n, file, &it, err));
  for (;;) {
    NB_GOTO(nb_jsonl_next(&it, &record, err));
    if (!record) break;
    const cJSON *list = t->rows && cJSON_IsObject(record) ? cJSON_GetObjectItemCaseSensitive(record, t->rows) : NULL;
    bool listed = cJSON_IsArray(list); /* else the record is a row itself */
    for (const cJSON *r = listed ? list->child : record; r; r = listed ? r->next : NULL) {
      cJSON *row = cJSON_Duplicate(r, 1);
      if (!row) NB_GOTO(out_of_memory(it.where, err));
      NB_GOTO(see(ctx, row, it.where, err));
    }
  }
fail:
  nb_jsonl_close(&it);
  return st;
}

/* ---- CSV ---- */

typedef struct names {
  const nb_csv *csv;
  bool all;
} names;

static void see_name(void *ctx, const char *name, size_t n) {
  names *h = ctx;
  bool found = false;
  for (size_t i = 0; i < h->csv->n_fields; i++)
    found = found || (strlen(h->csv->fields[i]) == n && !memcmp(h->csv->fields[i], name, n));
  h->all = h->all && found;
}

/* Whether every name of one of the paths is a cell of the line. */
static bool line_names(const cJSON *paths, const nb_csv *csv) {
  if (!paths || cJSON_IsObject(paths)) return true;
  const cJSON *first = cJSON_IsArray(paths) ? paths->child : paths;
  for (const cJSON *p = first; p; p = p == paths ? NULL : p->next) {
    names h = {csv, true};
    nb_rowpath_names(p->valuestring, see_name, &h);
    if (h.all) return true;
  }
  return false;
}

/* The line as an object. */
static nb_status csv_row(const nb_csv *csv, const cJSON *columns, size_t n_columns, const char *where, cJSON **out,
                         nb_err *err) {
  if (csv->n_fields != n_columns)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu columns; want %zu", where, csv->n_fields, n_columns);
  cJSON *row = cJSON_CreateObject();
  const cJSON *name = columns->child;
  for (size_t i = 0; row && i < csv->n_fields; i++, name = name->next)
    if (!cJSON_AddStringToObject(row, name->valuestring, csv->fields[i])) {
      cJSON_Delete(row);
      row = NULL;
    }
  return (*out = row) ? NB_OK : out_of_memory(where, err);
}

static nb_status read_csv(const nb_task *t, const char *file, const char *bytes, size_t n, row_fn see, void *ctx,
                          nb_err *err) {
  nb_csv csv;
  nb_status st;
  const cJSON *columns = t->columns;
  cJSON *header = NULL;
  size_t n_columns = columns ? (size_t)cJSON_GetArraySize(columns) : 0;
  bool more, first = true;
  NB_GOTO(nb_csv_open(bytes, n, file, &csv, err));
  for (;;) {
    NB_GOTO(nb_csv_next(&csv, &more, err));
    if (!more) break;
    char where[WHERE_MAX];
    snprintf(where, sizeof where, "%.250s:%zu", file, csv.row_line);
    if (first && line_names(t->question, &csv) && line_names(t->choices, &csv) && line_names(t->answer, &csv) &&
        line_names(t->targets, &csv)) {
      header = cJSON_CreateStringArray(csv.fields, (int)csv.n_fields);
      if (!header) NB_GOTO(out_of_memory(where, err));
      columns = header, n_columns = csv.n_fields, first = false;
      continue;
    }
    first = false;
    if (!columns)
      NB_GOTO(
          nb_fail(err, NB_ERR_FORMAT, "%s: the first line is no header with the fields of task %s", where, t->name));
    cJSON *row;
    NB_GOTO(csv_row(&csv, columns, n_columns, where, &row, err));
    NB_GOTO(see(ctx, row, where, err));
  }
fail:
  cJSON_Delete(header);
  nb_csv_close(&csv);
  return st;
}

/* ---- Parquet ---- */

static nb_status read_parquet(const char *file, const char *bytes, size_t n, row_fn see, void *ctx, nb_err *err) {
  nb_parquet *p;
  nb_status st;
  NB_TRY(nb_parquet_open(bytes, n, file, &p, err));
  for (;;) {
    cJSON *row;
    NB_GOTO(nb_parquet_next(p, &row, err));
    if (!row) break;
    NB_GOTO(see(ctx, row, nb_parquet_where(p), err));
  }
fail:
  nb_parquet_close(p);
  return st;
}

/* ---- by name ---- */

enum { ENDING_JSONL, ENDING_JSON, ENDING_CSV, ENDING_PARQUET, ENDINGS };
const char *const nb_rows_endings[] = {".jsonl", ".json", ".csv", ".parquet"};
const size_t nb_rows_n_endings = ENDINGS;

size_t nb_rows_ending(const char *path, size_t *length) {
  size_t n = strlen(path), kind = 0;
  if (n > 3 && !strcmp(path + n - 3, ".gz")) n -= 3;
  for (; kind < ENDINGS; kind++) {
    size_t k = *length = strlen(nb_rows_endings[kind]);
    if (n >= k && !memcmp(path + n - k, nb_rows_endings[kind], k)) break;
  }
  return kind;
}

static nb_status read_by_name(const nb_task *t, const char *file, const char *bytes, size_t n, row_fn see, void *ctx,
                              nb_err *err) {
  size_t length;
  switch (nb_rows_ending(file, &length)) {
  case ENDING_JSONL:
  case ENDING_JSON: return read_json(t, file, bytes, n, see, ctx, err);
  case ENDING_CSV: return read_csv(t, file, bytes, n, see, ctx, err);
  case ENDING_PARQUET: return read_parquet(file, bytes, n, see, ctx, err);
  default:
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s: want a name that ends in .csv, .jsonl, .json or .parquet (or that and .gz)", file);
  }
}

nb_status nb_rows_read(const nb_task *t, const char *file, const char *bytes, size_t n, row_fn see, void *ctx,
                       nb_err *err) {
  size_t length, head = nb_min(n, NB_FILE_HEAD); /* rows may say anything: no word is sought in all of them */
  nb_file_kind wanted = nb_rows_ending(file, &length) == ENDING_PARQUET ? NB_FILE_PARQUET : NB_FILE_QUESTION;
  return nb_explain_bytes(file, bytes, head, wanted, read_by_name(t, file, bytes, n, see, ctx, err), err);
}
