/* SPDX-License-Identifier: MIT */
#include "eval/written.h"

#include "formats/json.h"

/* ---- JSON ---- */

static void write_texts(nb_jsonout *j, const char *key, const char *const *text, size_t n) {
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < n; i++) nb_jsonout_string(j, NULL, text[i]);
  nb_jsonout_close(j, ']');
}

static void write_numbers(nb_jsonout *j, const char *key, const double *v, size_t n) {
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < n; i++) nb_jsonout_double(j, NULL, v[i]);
  nb_jsonout_close(j, ']');
}

void nb_written_write(nb_jsonout *j, const nb_written *w) {
  write_texts(j, "written", w->text, w->n);
  nb_jsonout_open(j, "new_tokens", '[');
  for (size_t i = 0; i < w->n; i++) nb_jsonout_u64(j, NULL, w->tokens[i]);
  nb_jsonout_close(j, ']');
  write_texts(j, "found", w->found, w->n_marks);
  write_numbers(j, "marks", w->value, w->n_marks);
  write_numbers(j, "weights", w->weight, w->n_marks);
  if (w->approximate) nb_jsonout_bool(j, "approximate", true);
  if (w->prompt) nb_jsonout_string(j, "prompt", w->prompt);
}

typedef struct texts {
  const char **s; /* (n) */
  size_t n;
} texts;

/* 1 to `most` texts. */
static nb_status read_texts(const cJSON *o, const char *where, const char *key, size_t most, nb_pool *pool, texts *out,
                            nb_err *err) {
  const cJSON *list;
  NB_TRY(nb_json_array(o, where, key, &list, err));
  size_t count = (size_t)cJSON_GetArraySize(list), i = 0;
  if (!count || count > most)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" holds %zu texts; want 1 to %zu", where, key, count, most);
  if (!(out->s = nb_pool_get(pool, count * sizeof *out->s)))
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  for (const cJSON *e = list->child; e; e = e->next) {
    if (!cJSON_IsString(e)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must hold texts", where, key);
    if (!(out->s[i++] = nb_pool_copy(pool, e->valuestring, strlen(e->valuestring))))
      return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  }
  return out->n = count, NB_OK;
}

/* n numbers from 0 to a million. */
static nb_status read_numbers(const cJSON *o, const char *where, const char *key, size_t n, double *out, nb_err *err) {
  const cJSON *list;
  size_t i = 0;
  NB_TRY(nb_json_array(o, where, key, &list, err));
  for (const cJSON *e = list->child; e; e = e->next, i++) {
    double v;
    NB_TRY(nb_json_as_f64(e, where, key, &v, err));
    if (i == n || v < 0 || v > 1e6) break;
    out[i] = v;
  }
  if (i != n || (size_t)cJSON_GetArraySize(list) != n)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" must hold %zu numbers from 0 on", where, key, n);
  return NB_OK;
}

nb_status nb_written_read(const cJSON *answer, const char *where, size_t n_marks, nb_pool *pool, const nb_written **out,
                          nb_err *err) {
  nb_written *w = nb_pool_get(pool, sizeof *w);
  double tokens[NB_MAX_SAMPLES];
  const char *prompt = NULL;
  if (!w) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  texts written, found;
  NB_TRY(read_texts(answer, where, "written", NB_MAX_SAMPLES, pool, &written, err));
  NB_TRY(read_texts(answer, where, "found", NB_MAX_MARKS, pool, &found, err));
  w->text = written.s, w->n = written.n;
  w->found = found.s, w->n_marks = found.n;
  if (w->n_marks != n_marks)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu answers \"found\"; the protocol names %zu marks", where, w->n_marks,
                   n_marks);
  NB_TRY(read_numbers(answer, where, "new_tokens", w->n, tokens, err));
  NB_TRY(read_numbers(answer, where, "marks", n_marks, w->value, err));
  NB_TRY(read_numbers(answer, where, "weights", n_marks, w->weight, err));
  for (size_t k = 0; k < n_marks; k++)
    if (!(w->weight[k] > 0 && w->value[k] <= w->weight[k]))
      return nb_fail(err, NB_ERR_FORMAT, "%s: a mark is larger than its weight, or that is 0", where);
  if (!(w->tokens = nb_pool_get(pool, w->n * sizeof *w->tokens)))
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  for (size_t i = 0; i < w->n; i++) w->tokens[i] = (uint32_t)tokens[i];
  NB_TRY(nb_json_optional_bool(answer, where, "approximate", &w->approximate, err));
  NB_TRY(nb_json_optional_string(answer, where, "prompt", &prompt, err));
  if (prompt && !(w->prompt = nb_pool_copy(pool, prompt, strlen(prompt))))
    return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  return *out = w, NB_OK;
}

/* ---- bytes ---- */

static nb_status append_u32(nb_text *out, uint32_t v, nb_err *err) {
  const char b[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
  return nb_text_append(out, b, 4, err);
}

static nb_status put_text(nb_text *out, const char *s, nb_err *err) {
  NB_TRY(append_u32(out, (uint32_t)strlen(s), err));
  return nb_text_append_str(out, s, err);
}

nb_status nb_written_pack(const nb_written *w, nb_text *out, nb_err *err) {
  NB_TRY(append_u32(out, (uint32_t)w->n, err));
  NB_TRY(append_u32(out, w->prompt != NULL, err));
  NB_TRY(put_text(out, w->prompt ? w->prompt : "", err));
  for (size_t i = 0; i < w->n; i++) {
    NB_TRY(append_u32(out, w->tokens[i], err));
    NB_TRY(put_text(out, w->text[i], err));
  }
  return NB_OK;
}

typedef struct bytes {
  const unsigned char *p;
  size_t left;
} bytes;

static bool get(bytes *b, uint32_t *v) {
  if (b->left < 4) return false;
  *v = (uint32_t)b->p[0] | (uint32_t)b->p[1] << 8 | (uint32_t)b->p[2] << 16 | (uint32_t)b->p[3] << 24;
  b->p += 4, b->left -= 4;
  return true;
}

static const char *get_text(bytes *b, nb_pool *pool) {
  uint32_t n;
  if (!get(b, &n) || n > b->left || (n && memchr(b->p, 0, n))) return NULL;
  const char *s = nb_pool_copy(pool, (const char *)b->p, n);
  b->p += n, b->left -= n;
  return s;
}

bool nb_written_unpack(const unsigned char *p, size_t n, nb_pool *pool, nb_written **out) {
  bytes b = {p, n};
  uint32_t samples, prompt;
  nb_written *w = nb_pool_get(pool, sizeof *w);
  if (!w || !get(&b, &samples) || !samples || samples > NB_MAX_SAMPLES || !get(&b, &prompt)) return false;
  const char *text = get_text(&b, pool);
  if (!text) return false;
  *w = (nb_written){.n = samples, .prompt = prompt ? text : NULL};
  w->text = nb_pool_get(pool, samples * sizeof *w->text);
  w->tokens = nb_pool_get(pool, samples * sizeof *w->tokens);
  for (size_t i = 0; i < samples; i++)
    if (!w->text || !w->tokens || !get(&b, &w->tokens[i]) || !(w->text[i] = get_text(&b, pool))) return false;
  return *out = w, b.left == 0;
}
