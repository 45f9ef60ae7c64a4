/* SPDX-License-Identifier: MIT */
#include "eval/overlap.h"

#include "formats/json.h"
#include "formats/nbl.h"

nb_status nb_overlap_sketch(const nb_opened *m, const char *name, nb_sketch *out, nb_err *err) {
  *out = (nb_sketch){0};
  if (!nb_opened_nbl(m)) return NB_OK;
  const cJSON *o = nb_nbl_meta(nb_opened_nbl(m));
  for (const char *const *key = (const char *const[]){"provenance", "calibration", "sketch", NULL}; *key; key++) {
    o = cJSON_IsObject(o) ? nb_json_get(o, *key) : NULL;
    if (!o) return NB_OK;
  }
  if (!cJSON_IsString(o)) return nb_fail(err, NB_ERR_FORMAT, "%s: provenance.calibration.sketch is no text", name);
  nb_status st = nb_sketch_parse(o->valuestring, out, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s: provenance.calibration.sketch", name);
}

/* Appends every text of a row, whatever its fields are called. Rows are at most as deep as the JSON reader allows. */
static nb_status append_texts(const cJSON *j, nb_text *out, nb_err *err) {
  for (; j; j = j->next) {
    if (cJSON_IsString(j)) NB_TRY(nb_text_append_str(out, j->valuestring, err));
    if (cJSON_IsString(j)) NB_TRY(nb_text_append_str(out, "\n", err));
    NB_TRY(append_texts(j->child, out, err));
  }
  return NB_OK;
}

nb_status nb_overlap_items(const nb_sketch *s, const nb_item *const *items, size_t n, bool *found, size_t *count,
                           nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  *count = 0;
  for (size_t i = 0; s->n && i < n && st == NB_OK; i++) {
    nb_text_clear(&text);
    st = append_texts(items[i]->row ? items[i]->row->child : NULL, &text, err);
    bool is = st == NB_OK && nb_sketch_finds(s, text.s ? text.s : "", text.n);
    if (found) found[i] = is;
    *count += is;
  }
  nb_text_free(&text);
  return st;
}

nb_status nb_overlap_windows(const nb_sketch *s, const nb_tokenizer *t, const int32_t *ids, size_t n, size_t ctx,
                             size_t *count, nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  *count = 0;
  for (size_t i = 0; s->n && i < n && st == NB_OK; i++) {
    nb_text_clear(&text);
    st = nb_tokenizer_decode(t, ids + i * ctx, ctx, true, &text, err);
    *count += st == NB_OK && nb_sketch_finds(s, text.s ? text.s : "", text.n);
  }
  nb_text_free(&text);
  return st;
}
