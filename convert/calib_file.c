/* SPDX-License-Identifier: MIT */
#include "convert/calib_file.h"

#include "quant/importance.h"
#include "formats/json.h"

#include <string.h>

void nb_calib_numbers_default(nb_calib_numbers *n) {
  if (n->tokens < 0) n->tokens = 32768;
  if (n->seq < 0) n->seq = 512;
  if (n->probe_tokens < 0) n->probe_tokens = 256;
  if (n->probe_layers < 0) n->probe_layers = 12;
}

nb_status nb_calib_file_open(const char *path, const nb_model *m, nb_calfile *out, nb_err *err) {
  size_t n = m->weights.parts.n_matrices, inputs = nb_importance_count(&m->config);
  NB_TRY(nb_calfile_read(path, out, err));
  if (out->n_matrices == n && out->n_inputs == inputs) return NB_OK;
  nb_status st =
      nb_fail(err, NB_ERR_ARG, "%s is of another model: it has %zu matrices with %zu inputs, this one %zu with %zu",
              path, out->n_matrices, out->n_inputs, n, inputs);
  nb_calfile_free(out);
  return st;
}

static nb_status check_model(const char *path, const nb_calfile *f, nb_quantize_job *j, nb_err *err) {
  cJSON *sources;
  const char *version = nb_json_get(f->meta, "nibble")->valuestring;
  if (strcmp(version, NB_VERSION))
    return nb_fail(err, NB_ERR_ARG, "%s was made by nibble %s, this is %s: run `nibble calibrate` again", path, version,
                   NB_VERSION);
  NB_TRY(nb_quantize_hash(j, err));
  NB_TRY(nb_quantize_sources(j, &sources, err));
  bool same = cJSON_Compare(sources, nb_json_get(f->meta, "sources"), true);
  cJSON_Delete(sources);
  return same ? NB_OK
              : nb_fail(err, NB_ERR_ARG, "%s was made on another checkpoint (its files have other hashes)", path);
}

/* Whether a number agrees with the one given, which is filled when it was not. */
static nb_status agree(const char *path, const char *option, size_t have, int *given, nb_err *err) {
  if (*given >= 0 && (size_t)*given != have)
    return nb_fail(err, NB_ERR_ARG, "%s was made with --%s %zu, not %d", path, option, have, *given);
  *given = (int)have;
  return NB_OK;
}

static nb_status check_numbers(const char *path, const nb_calfile *f, nb_calib_numbers *n, nb_err *err) {
  const cJSON *probe = nb_json_get(f->meta, "probe");
  size_t asked, tokens, layers;
  NB_TRY(nb_json_size(probe, path, "text_tokens", 1, 1 << 24, &asked, err));
  NB_TRY(nb_json_size(probe, path, "tokens", 1, 1 << 24, &tokens, err));
  NB_TRY(nb_json_size(probe, path, "layers", 0, 1 << 24, &layers, err));
  NB_TRY(agree(path, "tokens", asked, &n->tokens, err));
  NB_TRY(agree(path, "seq", f->seq, &n->seq, err));
  NB_TRY(agree(path, "probe-tokens", tokens, &n->probe_tokens, err));
  return agree(path, "probe-layers", layers, &n->probe_layers, err);
}

nb_status nb_calib_file_same_text(const char *path, const nb_calfile *f, const nb_calib_text *t, nb_err *err) {
  if (f->n_seqs == t->n_seqs && f->seq == t->seq &&
      !memcmp(f->tokens, t->ids.id, t->n_seqs * t->seq * sizeof *f->tokens))
    return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s was made on another text than the one given with --calib", path);
}

nb_status nb_calib_file_load(const char *path, nb_quantize_job *j, nb_calib_numbers *n, nb_calib_text *text,
                             nb_calfile *out, nb_err *err) {
  const nb_config *c = &j->model->model.config;
  NB_TRY(nb_calib_file_open(path, &j->model->model, out, err));
  NB_TRY(check_numbers(path, out, n, err));
  NB_TRY(check_model(path, out, j, err));
  *text = (nb_calib_text){.n_seqs = out->n_seqs, .seq = out->seq};
  for (size_t i = 0; i < out->n_seqs * out->seq; i++) {
    if ((size_t)out->tokens[i] >= c->vocab)
      return nb_fail(err, NB_ERR_FORMAT, "%s: token %zu is outside the vocabulary", path, i);
    NB_TRY(nb_ids_push(&text->ids, out->tokens[i], err));
  }
  text->origin = cJSON_Duplicate(nb_json_get(out->meta, "calibration"), 1);
  return text->origin ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
}
