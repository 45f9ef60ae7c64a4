/* SPDX-License-Identifier: MIT */
#include "convert/reproduce.h"

#include "base/mem.h"
#include "formats/json.h"

#include <stdio.h>
#include <string.h>

enum { LISTED = 8 }; /* tensors that are named */

static const cJSON *calibration_of(const cJSON *provenance) { return nb_json_get(provenance, "calibration"); }

static nb_status provenance_of(const nb_nbl *f, const char *name, const cJSON **out, nb_err *err) {
  *out = nb_json_get(nb_nbl_meta(f), "provenance");
  if (cJSON_IsObject(*out) && cJSON_IsObject(nb_json_get(*out, "recipe"))) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s does not say how it was made: its metadata have no recipe", name);
}

/* ---- the recipe ---- */

static nb_status read_tuning(const cJSON *provenance, const char *name, nb_reproduce_plan *p, nb_err *err) {
  const cJSON *tuned;
  double steps;
  if (!p->recipe.tune) return NB_OK;
  NB_TRY(nb_json_array(provenance, name, "tuned", &tuned, err));
  NB_TRY(nb_json_as_f64(cJSON_GetArrayItem(tuned, 0), name, "tuned", &steps, err));
  if (!(steps >= 1 && steps < 1e9)) return nb_fail(err, NB_ERR_FORMAT, "%s: a tuning of %g steps", name, steps);
  snprintf(p->tune, sizeof p->tune, "%.0fsteps", steps);
  p->recipe.tune = p->tune;
  return NB_OK;
}

static nb_status read_numbers(const cJSON *provenance, const char *name, nb_reproduce_plan *p, nb_err *err) {
  const cJSON *c = calibration_of(provenance);
  size_t tokens, seq;
  double seed = 0;
  if (!c) return NB_OK;
  NB_TRY(nb_json_string(c, name, "kind", &p->text, err));
  NB_TRY(nb_json_size(c, name, "tokens", 1, NB_RECIPE_MAX_TOKENS, &tokens, err));
  NB_TRY(nb_json_size(c, name, "seq", NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ, &seq, err));
  NB_TRY(nb_json_optional_f64(c, name, "seed", &seed, err));
  if (!(seed >= 0 && seed < 1e19)) return nb_fail(err, NB_ERR_FORMAT, "%s: a seed of %g", name, seed);
  p->recipe.n.tokens = (int)tokens, p->recipe.n.seq = (int)seq, p->recipe.seed = (uint64_t)seed;
  return NB_OK;
}

static nb_status choose_texts(const char *name, const char *const *calib, size_t n, nb_reproduce_plan *p, nb_err *err) {
  static const char *const self[] = {"self"};
  bool texts = p->text && !strcmp(p->text, "texts");
  if (texts && !n)
    return nb_fail(err, NB_ERR_ARG, "%s was calibrated on texts that it does not hold: give them with --calib", name);
  if (n && !texts) return nb_fail(err, NB_ERR_ARG, "%s was made without texts of one's own: leave --calib out", name);
  if (p->text && !strcmp(p->text, "self")) p->recipe.calib = self, p->recipe.n_calib = 1;
  else p->recipe.calib = calib, p->recipe.n_calib = n;
  return NB_OK;
}

nb_status nb_reproduce_read(const nb_nbl *f, const char *name, const char *const *calib, size_t n_calib,
                            nb_reproduce_plan *out, nb_err *err) {
  const cJSON *provenance;
  memset(out, 0, sizeof *out);
  NB_TRY(provenance_of(f, name, &provenance, err));
  NB_TRY(nb_recipe_read(nb_json_get(provenance, "recipe"), name, &out->recipe, &out->set, err));
  NB_TRY(read_tuning(provenance, name, out, err));
  NB_TRY(read_numbers(provenance, name, out, err));
  NB_TRY(choose_texts(name, calib, n_calib, out, err));
  return nb_recipe_check(&out->recipe, err);
}

void nb_reproduce_free(nb_reproduce_plan *p) {
  nb_free(p->set);
  memset(p, 0, sizeof *p);
}

/* ---- before the work ---- */

static nb_status check_sources(const cJSON *provenance, const nb_opened *m, int threads, nb_err *err) {
  nb_quantize_job j = {.model = m, .calib = {.threads = threads}};
  cJSON *sources = NULL;
  nb_status st = nb_quantize_hash(&j, err);
  if (st == NB_OK) st = nb_quantize_sources(&j, &sources, err);
  if (st == NB_OK && !cJSON_Compare(sources, nb_json_get(provenance, "sources"), true))
    st = nb_fail(err, NB_ERR_ARG,
                 "this is not the checkpoint that the file was made of: its files have other names, sizes or hashes");
  cJSON_Delete(sources);
  nb_free(j.hash), nb_free(j.hashed);
  return st;
}

static nb_status check_texts(const cJSON *provenance, const nb_opened *m, const nb_reproduce_plan *p, nb_err *err) {
  const nb_recipe *r = &p->recipe;
  nb_calib_text_opts o = {.tokens = (size_t)r->n.tokens, .seq = (size_t)r->n.seq, .seed = r->seed};
  nb_calib_text text;
  if (!p->text || !strcmp(p->text, "self")) return NB_OK;
  NB_TRY(nb_calib_text_read(r->calib, r->n_calib, m, &o, &text, err));
  bool same = cJSON_Compare(nb_json_get(text.origin, "tokens_xxh3"),
                            nb_json_get(calibration_of(provenance), "tokens_xxh3"), true);
  nb_calib_text_free(&text);
  return same ? NB_OK
              : nb_fail(err, NB_ERR_ARG,
                        "the %s are not those that the file was calibrated on: other tokens are drawn from them",
                        r->n_calib ? "texts given with --calib" : "texts that come with this version");
}

nb_status nb_reproduce_check(const nb_nbl *f, const nb_opened *m, const nb_reproduce_plan *p, int threads,
                             nb_err *err) {
  const cJSON *provenance = nb_json_get(nb_nbl_meta(f), "provenance");
  if (!nb_opened_checkpoint(m))
    return nb_fail(err, NB_ERR_ARG, "this is a .nbl file: give the directory of the checkpoint that it was made of");
  NB_TRY(check_sources(provenance, m, threads, err));
  return check_texts(provenance, m, p, err);
}

/* ---- after it ---- */

static nb_status note(nb_text *where, const char *what, const char *name, nb_err *err) {
  NB_TRY(nb_text_append_str(where, what, err));
  NB_TRY(nb_text_append_str(where, name, err));
  return nb_text_append_str(where, "\n", err);
}

/* The keys of two objects whose values differ. */
static nb_status compare_keys(const cJSON *a, const cJSON *b, const char *what, nb_text *where, nb_err *err) {
  const cJSON *i;
  cJSON_ArrayForEach(i, a) {
    if (i->string && !cJSON_Compare(i, cJSON_GetObjectItemCaseSensitive(b, i->string), true))
      NB_TRY(note(where, what, i->string, err));
  }
  cJSON_ArrayForEach(i, b) {
    if (i->string && !cJSON_GetObjectItemCaseSensitive(a, i->string)) NB_TRY(note(where, what, i->string, err));
  }
  return NB_OK;
}

static bool same_record(const nb_nbl_tensor *a, const nb_nbl_tensor *b) {
  bool kind = a->coded == b->coded && a->size == b->size;
  if (!kind || !a->coded) return kind && a->dtype == b->dtype;
  return a->fmt.bits == b->fmt.bits && a->fmt.kind == b->fmt.kind && a->fmt.group == b->fmt.group;
}

static nb_status compare_tensors(const nb_nbl *a, const nb_nbl *b, nb_text *where, nb_err *err) {
  size_t n = nb_min(nb_nbl_count(a), nb_nbl_count(b)), differ = 0;
  if (nb_nbl_count(a) != nb_nbl_count(b)) NB_TRY(note(where, "the number of tensors", "", err));
  for (size_t i = 0; i < n; i++) {
    const nb_nbl_tensor *x = nb_nbl_at(a, i), *y = nb_nbl_at(b, i);
    bool same = same_record(x, y);
    if (same && !memcmp(nb_nbl_data(a, i), nb_nbl_data(b, i), x->size)) continue;
    char name[64], text[160], fx[16], fy[16];
    if (differ++ >= LISTED) continue;
    nb_part_describe(&x->part, name);
    nb_nbl_format_name(x, fx), nb_nbl_format_name(y, fy);
    if (same) snprintf(text, sizeof text, "%s", name);
    else snprintf(text, sizeof text, "%s, which is %s in one and %s in the other", name, fx, fy);
    NB_TRY(note(where, "tensor: ", text, err));
  }
  char more[64];
  snprintf(more, sizeof more, "%zu more tensors", differ - nb_min(differ, LISTED));
  return differ > LISTED ? note(where, more, "", err) : NB_OK;
}

static nb_status compare_parts(const nb_nbl *a, const nb_nbl *b, nb_text *where, nb_err *err) {
  const cJSON *p = nb_json_get(nb_nbl_meta(a), "provenance"), *q = nb_json_get(nb_nbl_meta(b), "provenance");
  size_t n, m;
  const void *s = nb_nbl_tokenizer(a, &n), *t = nb_nbl_tokenizer(b, &m);
  if (!cJSON_Compare(nb_json_get(nb_nbl_meta(a), "config"), nb_json_get(nb_nbl_meta(b), "config"), true))
    NB_TRY(note(where, "metadata: config", "", err));
  NB_TRY(compare_keys(p, q, "metadata: provenance.", where, err));
  if (n != m || memcmp(s, t, n)) NB_TRY(note(where, "the tokenizer", "", err));
  return compare_tensors(a, b, where, err);
}

/* Whether the whole files are equal, whatever parts they lie in. */
static bool same_bytes(const nb_nbl *f, const nb_nbl *g) {
  if (nb_nbl_file_bytes(f) != nb_nbl_file_bytes(g)) return false;
  for (uint64_t at = 0; at < nb_nbl_file_bytes(f);) {
    size_t n, m;
    const void *x = nb_nbl_run(f, at, &n), *y = nb_nbl_run(g, at, &m);
    n = nb_min(n, m);
    if (memcmp(x, y, n)) return false;
    at += n;
  }
  return true;
}

nb_status nb_reproduce_compare(const char *a, const char *b, nb_text *where, nb_err *err) {
  nb_nbl *f = NULL, *g = NULL;
  nb_status st;
  NB_GOTO(nb_nbl_open(a, false, 1, &f, err));
  NB_GOTO(nb_nbl_open(b, false, 1, &g, err));
  if (same_bytes(f, g)) goto fail;
  NB_GOTO(compare_parts(f, g, where, err));
  if (!where->n) st = note(where, "padding, or the form of the metadata", "", err);
fail:
  nb_nbl_close(f), nb_nbl_close(g);
  return st;
}
