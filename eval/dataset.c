/* SPDX-License-Identifier: MIT */
#include "eval/dataset.h"

#include "base/utf8.h"
#include "formats/archive.h"
#include "eval/item.h"
#include "formats/mapfile.h"
#include "eval/pattern.h"
#include "eval/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWERS_MAX_BYTES = 1 << 28 };

/* ---- one file ---- */

typedef struct adding {
  const nb_task *t;
  const char *subject;
  const char *answers, *answers_end; /* the rest of the answers file; NULL: none */
  nb_dataset *d;
} adding;

/* The next line of the answers file, in the pool. */
static nb_status next_answer(adding *a, const char *where, const char **out, nb_err *err) {
  *out = NULL;
  if (!a->answers) return NB_OK;
  if (a->answers == a->answers_end)
    return nb_fail(err, NB_ERR_FORMAT, "%s: the file with the answers has fewer lines than there are rows", where);
  const char *nl = memchr(a->answers, '\n', (size_t)(a->answers_end - a->answers));
  const char *end = nl ? nl : a->answers_end;
  *out = nb_pool_copy(&a->d->pool, a->answers, (size_t)(end - a->answers));
  a->answers = nl ? nl + 1 : end;
  return *out ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
}

/* Whatever a row was read from, its names and texts are UTF-8 and not beyond measure. Rows are at most as deep as the
 * JSON reader allows. */
static nb_status check_texts(nb_dataset *d, const cJSON *j, const char *where, nb_err *err) {
  for (; j; j = j->next) {
    if (++d->n_values > NB_MAX_ROW_VALUES)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the rows hold more than %d values", where, NB_MAX_ROW_VALUES);
    const char *text[] = {j->string, cJSON_IsString(j) ? j->valuestring : NULL};
    for (size_t i = 0; i < 2; i++) {
      size_t n = text[i] ? strlen(text[i]) : 0;
      if (n && nb_utf8_valid_prefix(text[i], n) < n)
        return nb_fail(err, NB_ERR_FORMAT, "%s: a field's %s is not UTF-8; save the file as UTF-8", where,
                       i ? "text" : "name");
      if (n > NB_MAX_FIELD_BYTES)
        return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a field of %zu bytes, at most %d are read", where, n,
                       NB_MAX_FIELD_BYTES);
    }
    NB_TRY(check_texts(d, j->child, where, err));
  }
  return NB_OK;
}

/* Takes a row, which it then owns. */
static nb_status add_row(void *ctx, cJSON *row, const char *where, nb_err *err) {
  adding *a = ctx;
  nb_dataset *d = a->d;
  if (nb_grow(&d->row, &d->cap_rows, d->n_rows + 1, sizeof *d->row, err) != NB_OK) {
    cJSON_Delete(row);
    return NB_ERR_MEMORY;
  }
  d->row[d->n_rows++] = row;
  NB_TRY(nb_grow(&d->item, &d->cap_items, d->n + 1, sizeof *d->item, err));
  if (d->n == NB_MAX_QUESTIONS)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: more than %d questions", where, NB_MAX_QUESTIONS);
  NB_TRY(check_texts(d, row->child, where, err));
  const char *answer;
  NB_TRY(next_answer(a, where, &answer, err));
  const nb_item_source from = {where, a->subject, answer};
  NB_TRY(nb_item_read(a->t, row, &from, &d->pool, &d->item[d->n], err));
  d->item[d->n].at = d->n;
  d->n++;
  return NB_OK;
}

nb_status nb_dataset_add(const nb_task *t, const nb_dataset_file *file, nb_dataset *d, nb_err *err) {
  adding a = {t, file->subject, file->answers, file->answers ? file->answers + file->n_answers : NULL, d};
  size_t before = d->n;
  NB_TRY(nb_rows_read(t, file->name, file->bytes, file->n, add_row, &a, err));
  if (d->n == before) return nb_fail(err, NB_ERR_FORMAT, "%s: the file holds no question", file->name);
  while (a.answers && a.answers < a.answers_end && strchr(" \r\n", *a.answers)) a.answers++;
  if (a.answers != a.answers_end)
    return nb_fail(err, NB_ERR_FORMAT, "%s: the file with the answers has more lines than there are rows", file->name);
  return NB_OK;
}

/* ---- a split ---- */

/* The name of the answers file beside `name`: its extensions replaced by the suffix. */
static char *answers_name(const char *name, const char *suffix) {
  const char *base = strrchr(name, '/');
  const char *dot = strchr(base ? base : name, '.');
  size_t n = dot ? (size_t)(dot - name) : strlen(name);
  char *out = malloc(n + strlen(suffix) + 1);
  if (out) memcpy(out, name, n), strcpy(out + n, suffix);
  return out;
}

/* Reads the answers beside the data file, which is member m of the archive or, given alone, a file of its own; *out =
 * NULL when the task has none or the file is not there. */
static nb_status read_answers(const nb_task *t, nb_archive *a, size_t m, char **out, size_t *n, nb_err *err) {
  *out = NULL, *n = 0;
  if (!t->answers_file) return NB_OK;
  char *beside = answers_name(nb_archive_name(a, m), t->answers_file);
  char *path = answers_name(nb_archive_where(a, m), t->answers_file);
  nb_status st = beside && path ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < nb_archive_count(a) && !*out && st == NB_OK; i++)
    if (!strcmp(nb_archive_name(a, i), beside)) st = nb_archive_read(a, i, out, n, err);
  if (st == NB_OK && !*out && access(path, F_OK) == 0) st = nb_mapfile_read(path, ANSWERS_MAX_BYTES, out, n, err);
  free(beside), free(path);
  return st;
}

static nb_status add_member(const nb_task *t, nb_archive *a, size_t i, const char *subject, nb_dataset *d,
                            nb_err *err) {
  char *bytes = NULL, *answers = NULL;
  nb_dataset_file file = {.name = nb_archive_where(a, i), .subject = subject};
  nb_status st;
  NB_GOTO(nb_archive_read(a, i, &bytes, &file.n, err));
  NB_GOTO(read_answers(t, a, i, &answers, &file.n_answers, err));
  file.bytes = bytes, file.answers = answers;
  NB_GOTO(nb_dataset_add(t, &file, d, err));
fail:
  free(bytes), free(answers);
  return st;
}

/* Whether path is a single file; a zip archive counts as a directory. */
static bool is_one_file(const nb_archive *a, const char *path) {
  return nb_archive_count(a) == 1 && !strcmp(nb_archive_where(a, 0), path);
}

/* The subject in the name of a file that is given alone: what {subject} is in the last component of a pattern that
 * its name matches; NULL: none does. */
static nb_status file_subject(const nb_task *t, const char *split, const char *path, nb_pool *pool, const char **out,
                              nb_err *err) {
  const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(t->splits, split);
  *out = NULL;
  for (const cJSON *p = patterns ? patterns->child : NULL; p; p = p->next) {
    const char *last = strrchr(p->valuestring, '/');
    last = last ? last + 1 : p->valuestring;
    for (size_t kind = 0; kind < nb_pattern_kinds(last); kind++) {
      size_t begin = 0, length;
      if (!nb_pattern_match(last, path, kind, &begin, &length) || !length) continue;
      *out = nb_pool_copy(pool, path + begin, length);
      return *out ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
    }
  }
  return NB_OK;
}

/* Adds all the files that match one pattern; *hits counts them. */
static nb_status add_pattern(const nb_task *t, nb_archive *a, const char *pattern, size_t kind, nb_dataset *d,
                             size_t *hits, nb_err *err) {
  size_t begin = 0, length;
  for (size_t i = 0; i < nb_archive_count(a); i++) {
    const char *name = nb_archive_name(a, i), *subject = NULL;
    if (!nb_pattern_match(pattern, name, kind, &begin, &length)) continue;
    if (length && !(subject = nb_pool_copy(&d->pool, name + begin, length)))
      return nb_fail(err, NB_ERR_MEMORY, "out of memory");
    NB_TRY(add_member(t, a, i, subject, d, err));
    ++*hits;
  }
  return NB_OK;
}

static nb_status add_matching(const nb_task *t, nb_archive *a, const char *path, const char *split, nb_dataset *d,
                              nb_err *err) {
  char list[300] = "";
  const cJSON *patterns = cJSON_GetObjectItemCaseSensitive(t->splits, split);
  if (!patterns) return nb_fail(err, NB_ERR_ARG, "task %s has no split \"%s\"", t->name, split);
  for (const cJSON *p = patterns->child; p; p = p->next) {
    size_t hits = 0;
    for (size_t kind = 0; kind < nb_pattern_kinds(p->valuestring) && !hits; kind++)
      NB_TRY(add_pattern(t, a, p->valuestring, kind, d, &hits, err));
    if (hits) return NB_OK;
    if (strlen(list) < 200)
      snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", *list ? ", " : "", p->valuestring);
  }
  return nb_fail(err, NB_ERR_ARG, "%s: no file for split \"%s\" of task %s; looked for %s", path, split, t->name, list);
}

/* ---- all files together ---- */

static int by_subject(const void *a, const void *b) {
  const nb_item *x = a, *y = b;
  int c = strcmp(x->subject, y->subject);
  return c ? c : (x->at > y->at) - (x->at < y->at);
}

static int by_id(const void *a, const void *b) {
  const nb_item *x = *(nb_item *const *)a, *y = *(nb_item *const *)b;
  int c = strcmp(x->id, y->id);
  return c ? c : (x->at > y->at) - (x->at < y->at);
}

static nb_status refuse_duplicates(const nb_dataset *d, const char *path, nb_err *err) {
  nb_item **sorted = calloc(d->n + 1, sizeof *sorted);
  if (!sorted) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  for (size_t i = 0; i < d->n; i++) sorted[i] = &d->item[i];
  qsort(sorted, d->n, sizeof *sorted, by_id);
  nb_status st = NB_OK;
  for (size_t i = 1; i < d->n && st == NB_OK; i++)
    if (!strcmp(sorted[i - 1]->id, sorted[i]->id))
      st = nb_fail(err, NB_ERR_FORMAT, "%s: two questions have the id \"%.100s\" (rows %zu and %zu)", path,
                   sorted[i]->id, sorted[i - 1]->at + 1, sorted[i]->at + 1);
  free(sorted);
  return st;
}

nb_status nb_dataset_finish(nb_dataset *d, const char *path, nb_err *err) {
  if (d->n) qsort(d->item, d->n, sizeof *d->item, by_subject);
  size_t number = 0;
  for (size_t i = 0; i < d->n; i++, number++) {
    nb_item *it = &d->item[i];
    if (i && strcmp(it->subject, it[-1].subject)) number = 0;
    if (it->id) continue;
    char buf[300];
    int n = snprintf(buf, sizeof buf, "%.250s%s%zu", it->subject, *it->subject ? ":" : "", number);
    if (!(it->id = nb_pool_copy(&d->pool, buf, (size_t)n)))
      return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
  }
  size_t kept = 0; /* rows that "where" leaves out have counted, so that ids do not depend on it */
  for (size_t i = 0; i < d->n; i++)
    if (!d->item[i].left_out) d->item[kept++] = d->item[i];
  d->n = kept;
  return refuse_duplicates(d, path, err);
}

nb_status nb_dataset_read(const nb_task *t, const char *path, const char *split, nb_dataset *out, nb_err *err) {
  *out = (nb_dataset){0};
  nb_archive *a = NULL;
  nb_status st;
  NB_GOTO(nb_archive_open(path, &a, err));
  snprintf(out->split, sizeof out->split, "%s", split);
  if (is_one_file(a, path)) {
    if (strcmp(split, t->split))
      NB_GOTO(nb_fail(err, NB_ERR_ARG, "%s is one file, the split \"%s\"; split \"%s\" needs a directory or a .zip",
                      path, t->split, split));
    const char *subject;
    NB_GOTO(file_subject(t, split, path, &out->pool, &subject, err));
    NB_GOTO(add_member(t, a, 0, subject, out, err));
  } else {
    NB_GOTO(add_matching(t, a, path, split, out, err));
  }
  NB_GOTO(nb_dataset_finish(out, path, err));
  if (!out->n)
    NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: no row is as the \"where\" of task %s wants it", path, t->name));
  nb_archive_close(a);
  return NB_OK;
fail:
  nb_archive_close(a);
  nb_dataset_free(out);
  return st;
}

void nb_dataset_free(nb_dataset *d) {
  for (size_t i = 0; i < d->n_rows; i++) cJSON_Delete(d->row[i]);
  free(d->row), free(d->item);
  nb_pool_free(&d->pool);
  *d = (nb_dataset){0};
}
