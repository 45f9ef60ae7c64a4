/* SPDX-License-Identifier: MIT */
#include "formats/jsonl.h"

#include <stdio.h>
#include <string.h>

static bool blank(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
  return p == end;
}

nb_status nb_jsonl_open(const char *bytes, size_t n, const char *file, nb_jsonl *it, nb_err *err) {
  *it = (nb_jsonl){.file = file};
  if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) bytes += 3, n -= 3;
  it->p = bytes, it->end = bytes + n;
  const char *first = bytes;
  while (first < it->end && blank(first, first + 1)) first++;
  it->array = first < it->end && *first == '[';
  if (!it->array) return NB_OK;
  NB_TRY(nb_json_parse(bytes, n, file, &it->doc, err));
  it->item = it->doc->child;
  return NB_OK;
}

void nb_jsonl_close(nb_jsonl *it) {
  cJSON_Delete(it->doc);
  *it = (nb_jsonl){0};
}

static nb_status next_element(nb_jsonl *it, const cJSON **out) {
  *out = it->item;
  if (!it->item) return NB_OK;
  it->item = it->item->next;
  it->number++;
  snprintf(it->where, sizeof it->where, "%.240s: record %zu", it->file, it->number);
  return NB_OK;
}

static nb_status next_line(nb_jsonl *it, const cJSON **out, nb_err *err) {
  cJSON_Delete(it->doc);
  it->doc = NULL;
  while (it->p < it->end && !it->doc) {
    const char *begin = it->p, *stop = memchr(begin, '\n', (size_t)(it->end - begin));
    it->p = stop ? stop + 1 : it->end;
    it->line++;
    if (!blank(begin, it->p))
      NB_TRY(nb_json_parse_at(begin, (size_t)(it->p - begin), it->file, it->line, &it->doc, err));
  }
  *out = it->doc;
  it->number = it->line;
  snprintf(it->where, sizeof it->where, "%.240s:%zu", it->file, it->number);
  return NB_OK;
}

nb_status nb_jsonl_next(nb_jsonl *it, const cJSON **out, nb_err *err) {
  *out = NULL;
  NB_TRY(it->array ? next_element(it, out) : next_line(it, out, err));
  if (!*out || cJSON_IsObject(*out)) return NB_OK;
  *out = NULL;
  return nb_fail(err, NB_ERR_FORMAT, "%s: not a JSON object", it->where);
}
