/* SPDX-License-Identifier: MIT */
#include "eval/rowpath.h"

#include <stdio.h>

typedef enum step_kind { STEP_NAME, STEP_INDEX, STEP_ALL, STEP_KEYS, STEP_VALUES } step_kind;

typedef struct step {
  step_kind kind;
  const char *name; /* STEP_NAME: n bytes */
  size_t n;
  size_t index;
} step;

static bool name_char(char c) { return c && !strchr(".,[]{}", c); }

static nb_status bad_path(const char *path, nb_err *err) {
  return nb_fail(err, NB_ERR_ARG, "field path \"%s\": want NAME, then any of .NAME [N] [] {keys} {values}", path);
}

/* Reads one step at *p; `first` steps are bare names. */
static nb_status next_step(const char **p, bool first, step *s, const char *path, nb_err *err) {
  const char *c = *p;
  if (first || *c == '.') {
    if (!first) c++;
    const char *begin = c;
    while (name_char(*c)) c++;
    if (c == begin) return bad_path(path, err);
    *s = (step){STEP_NAME, begin, (size_t)(c - begin), 0};
  } else if (!strncmp(c, "[]", 2)) {
    *s = (step){STEP_ALL, NULL, 0, 0}, c += 2;
  } else if (!strncmp(c, "{keys}", 6)) {
    *s = (step){STEP_KEYS, NULL, 0, 0}, c += 6;
  } else if (!strncmp(c, "{values}", 8)) {
    *s = (step){STEP_VALUES, NULL, 0, 0}, c += 8;
  } else if (*c == '[') {
    size_t i = 0, digits = 0;
    for (c++; *c >= '0' && *c <= '9' && digits < 9; c++, digits++) i = 10 * i + (size_t)(*c - '0');
    if (!digits || *c++ != ']') return bad_path(path, err);
    *s = (step){STEP_INDEX, NULL, 0, i};
  } else {
    return bad_path(path, err);
  }
  *p = c;
  return NB_OK;
}

static const cJSON *member(const cJSON *obj, const char *name, size_t n) {
  if (!cJSON_IsObject(obj)) return NULL;
  for (const cJSON *m = obj->child; m; m = m->next)
    if (m->string && strlen(m->string) == n && !memcmp(m->string, name, n)) return m;
  return NULL;
}

/* A node as text: strings as they are. */
static const char *node_text(const cJSON *v, nb_pool *pool) {
  if (cJSON_IsString(v)) return v->valuestring;
  if (cJSON_IsBool(v)) return cJSON_IsTrue(v) ? "true" : "false";
  if (!cJSON_IsNumber(v)) return NULL;
  char buf[40];
  double d = v->valuedouble;
  int n = d > -1e15 && d < 1e15 && d == (double)(int64_t)d ? snprintf(buf, sizeof buf, "%lld", (long long)d)
                                                           : snprintf(buf, sizeof buf, "%.17g", d);
  return nb_pool_copy(pool, buf, (size_t)n);
}

static nb_status out_of_memory(nb_err *err) { return nb_fail(err, NB_ERR_MEMORY, "out of memory: a row's fields"); }

/* Appends a value. */
static nb_status push(nb_values *v, const char *key, const cJSON *node, nb_pool *pool, nb_err *err) {
  if ((v->n & (v->n + 1)) == 0) { /* grows at 0, 1, 3, 7, ...: to twice the size and one more */
    size_t cap = 2 * v->n + 1;
    const char **text = nb_pool_get(pool, cap * sizeof *text);
    const cJSON **nodes = nb_pool_get(pool, cap * sizeof *nodes);
    if (!text || !nodes) return out_of_memory(err);
    if (v->n) memcpy(text, v->text, v->n * sizeof *text), memcpy(nodes, v->node, v->n * sizeof *nodes);
    v->text = text, v->node = nodes;
  }
  v->text[v->n] = key ? key : node_text(node, pool);
  v->node[v->n] = key ? NULL : node;
  v->n++;
  return NB_OK;
}

/* Follows the steps from p on below `node`; stops at a comma or the end. At most NB_JSON_MAX_DEPTH deep. */
static nb_status follow(const cJSON *node, const char *p, const char *path, nb_pool *pool, nb_values *out, bool *found,
                        nb_err *err) {
  if (!node || cJSON_IsNull(node)) return *found = false, NB_OK;
  if (!*p || *p == ',') return push(out, NULL, node, pool, err);
  step s;
  NB_TRY(next_step(&p, false, &s, path, err));
  switch (s.kind) {
  case STEP_NAME: return follow(member(node, s.name, s.n), p, path, pool, out, found, err);
  case STEP_INDEX:
    return follow(cJSON_IsArray(node) ? cJSON_GetArrayItem(node, (int)s.index) : NULL, p, path, pool, out, found, err);
  case STEP_ALL:
    if (!cJSON_IsArray(node)) return *found = false, NB_OK;
    break;
  case STEP_KEYS:
  case STEP_VALUES:
    if (!cJSON_IsObject(node)) return *found = false, NB_OK;
    break;
  }
  for (const cJSON *e = node->child; e; e = e->next) {
    if (s.kind != STEP_ALL && cJSON_IsNull(e)) continue; /* a table's way to say that a member is not there */
    if (s.kind == STEP_KEYS) NB_TRY(push(out, e->string ? e->string : "", NULL, pool, err));
    else NB_TRY(follow(e, p, path, pool, out, found, err));
  }
  return NB_OK;
}

nb_status nb_rowpath_find(const cJSON *row, const char *path, nb_pool *pool, nb_values *out, bool *found, nb_err *err) {
  *out = (nb_values){0}, *found = true;
  const char *p = path;
  for (;;) {
    step s;
    NB_TRY(next_step(&p, true, &s, path, err));
    NB_TRY(follow(member(row, s.name, s.n), p, path, pool, out, found, err));
    while (*p && *p != ',') NB_TRY(next_step(&p, false, &s, path, err));
    if (!*p) break;
    p++;
  }
  return NB_OK;
}

nb_status nb_rowpath_check(const char *path, nb_err *err) {
  const char *p = path;
  for (;;) {
    step s;
    NB_TRY(next_step(&p, true, &s, path, err));
    while (*p && *p != ',') NB_TRY(next_step(&p, false, &s, path, err));
    if (!*p++) return NB_OK;
  }
}

void nb_rowpath_names(const char *path, void (*see)(void *ctx, const char *name, size_t n), void *ctx) {
  for (const char *p = path;;) {
    step s;
    if (next_step(&p, true, &s, path, NULL) != NB_OK) return;
    see(ctx, s.name, s.n);
    p += strcspn(p, ",");
    if (!*p++) return;
  }
}
