/* SPDX-License-Identifier: MIT */
#include "tools/messages.h"

#include "base/mem.h"
#include "formats/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nb_status messages_add(messages *list, const char *role, const char *content, nb_err *err) {
  NB_TRY(nb_grow(&list->m, &list->cap, list->n + 1, sizeof *list->m, err));
  char *r = strdup(role), *c = strdup(content);
  if (!r || !c) {
    free(r), free(c);
    return nb_fail(err, NB_ERR_MEMORY, "out of memory: a message of %zu bytes", strlen(content));
  }
  list->m[list->n++] = (nb_chat_message){r, c};
  return NB_OK;
}

void messages_remove(messages *list, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) free((char *)list->m[i].role), free((char *)list->m[i].content);
  memmove(list->m + from, list->m + to, (list->n - to) * sizeof *list->m);
  list->n -= to - from;
}

void messages_free(messages *list) {
  if (list->n) messages_remove(list, 0, list->n);
  free(list->m);
  *list = (messages){0};
}

/* The text of an array of parts, which are texts: one after another. */
static nb_status read_parts(const cJSON *parts, const char *where, nb_text *out, nb_err *err) {
  for (const cJSON *p = parts->child; p; p = p->next) {
    const char *type, *text;
    NB_TRY(nb_json_string(p, where, "type", &type, err));
    if (strcmp(type, "text"))
      return nb_fail(err, NB_ERR_FORMAT, "%s: a part of type \"%s\"; only parts of text are understood", where, type);
    NB_TRY(nb_json_string(p, where, "text", &text, err));
    NB_TRY(nb_text_append_str(out, text, err));
  }
  return nb_text_append(out, "", 0, err);
}

nb_status messages_read(const cJSON *array, const char *where, messages *list, nb_err *err) {
  size_t i = 0;
  for (const cJSON *m = array->child; m; m = m->next, i++) {
    char place[280];
    const char *role;
    nb_text parts = {0};
    snprintf(place, sizeof place, "%.240s[%zu]", where, i);
    if (list->n == MESSAGES_MAX) return nb_fail(err, NB_ERR_FORMAT, "%s: more than %d messages", where, MESSAGES_MAX);
    NB_TRY(nb_json_string(m, place, "role", &role, err));
    const cJSON *content = nb_json_get(m, "content");
    if (cJSON_IsString(content)) {
      NB_TRY(messages_add(list, role, content->valuestring, err));
      continue;
    }
    if (!cJSON_IsArray(content))
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"content\" is neither a string nor an array of parts", place);
    nb_status st = read_parts(content, place, &parts, err);
    if (st == NB_OK) st = messages_add(list, role, parts.s, err);
    nb_text_free(&parts);
    NB_TRY(st);
  }
  return NB_OK;
}

void messages_write(const messages *list, nb_jsonout *j, const char *key) {
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < list->n; i++) {
    nb_jsonout_open(j, NULL, '{');
    nb_jsonout_string(j, "role", list->m[i].role);
    nb_jsonout_string(j, "content", list->m[i].content);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
}
