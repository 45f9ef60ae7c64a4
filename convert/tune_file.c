/* SPDX-License-Identifier: MIT */
#include "convert/tune_file.h"

#include "base/mem.h"
#include "formats/nbl.h"
#include "quant/tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

nb_status nb_tune_file_parse(const char *s, nb_quantize_tune *out, nb_err *err) {
  static const struct {
    const char *unit;
    double seconds;
  } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}};
  char *end;
  double x = strtod(s, &end);
  if (end != s && x > 0 && x < 1e9) {
    if (!strcmp(end, "steps") && x == (double)(size_t)x) {
      out->max_steps = (size_t)x;
      return NB_OK;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
      if (!strcmp(end, units[i].unit)) {
        out->max_seconds = x * units[i].seconds;
        return NB_OK;
      }
  }
  return nb_fail(err, NB_ERR_ARG, "--tune is a time (20m, 90s, 2h) or a number of steps (50steps), not '%s'", s);
}

/* ---- the file ---- */

/* Matrix m of the file, with its rows' scales. */
static nb_status put_matrix(nb_nbl_writer *w, const nb_nbl *f, size_t i, size_t m, const nb_tuned *tuned, nb_err *err) {
  const nb_nbl_tensor *t = nb_nbl_at(f, i);
  nb_qmat q;
  nb_qmat_layout l;
  char *data;
  NB_TRY(nb_qmat_plan(t->part.N, t->part.K, t->fmt, &q, &l, err));
  NB_TRY(nb_new(&data, t->size, 1, "a matrix", err));
  memcpy(data, nb_nbl_data(f, i), t->size);
  memcpy(data + l.row_scale, tuned->row_scale + tuned->row_at[m], t->part.N * sizeof(uint16_t));
  nb_status st = nb_nbl_writer_put(w, data, t->size, err);
  nb_free(data);
  return st;
}

/* All tensors with what was tuned in them. */
static nb_status put_all(nb_nbl_writer *w, const nb_nbl *f, const nb_tuned *tuned, nb_err *err) {
  size_t m = 0, at = 0; /* the layers' matrices come in the order of their numbers */
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(f, i);
    if (!t->part.matrix) {
      NB_TRY(nb_nbl_writer_put(w, tuned->vectors + at, t->part.K * sizeof(float), err));
      at += t->part.K;
    } else if (t->part.layer < 0) NB_TRY(nb_nbl_writer_put(w, nb_nbl_data(f, i), t->size, err));
    else NB_TRY(put_matrix(w, f, i, m++, tuned, err));
  }
  return NB_OK;
}

static nb_status rewrite(nb_quantize_job *j, const nb_nbl *f, const nb_tuned *tuned, nb_err *err) {
  nb_status st;
  size_t n = nb_nbl_count(f);
  nb_nbl_head head;
  nb_nbl_tensor *dir = NULL;
  nb_nbl_writer *w = NULL;
  char *meta = NULL;
  NB_GOTO(nb_quantize_meta(j, &meta, err));
  NB_GOTO(nb_new(&dir, n, sizeof *dir, "the directory", err));
  for (size_t i = 0; i < n; i++) dir[i] = *nb_nbl_at(f, i);
  head.meta = meta, head.meta_bytes = strlen(meta);
  head.tokenizer = nb_nbl_tokenizer(f, &head.tokenizer_bytes);
  NB_GOTO(nb_nbl_writer_open(j->out, dir, n, &head, &w, err));
  NB_GOTO(put_all(w, f, tuned, err));
  st = nb_nbl_writer_commit(w, err);
  w = NULL;
fail:
  nb_nbl_writer_abort(w);
  nb_free(dir);
  free(meta);
  return st;
}

/* ---- the work ---- */

static nb_status tune(nb_quantize_job *j, const nb_opened *coded, const nb_reporter *reporter, nb_tuned *tuned,
                      nb_err *err) {
  const nb_calib_opts *c = &j->calib;
  nb_progress cb = nb_reporter_begin(reporter, "tuning", j->tune->max_steps ? "steps" : "seconds");
  nb_tune_opts o = {.tokens = c->tokens,
                    .n_seqs = c->n_seqs,
                    .seq_len = c->seq_len,
                    .n_check = nb_max(1, c->n_seqs / 4),
                    .max_steps = j->tune->max_steps,
                    .max_seconds = j->tune->max_seconds,
                    .rate = j->tune->rate,
                    .threads = c->threads,
                    .cpu_features = c->cpu_features,
                    .progress = &cb};
  o.batch = nb_min(4, nb_max(1, o.n_seqs - o.n_check));
  nb_status st = nb_tune(&j->model->model, &coded->model, &o, tuned, err);
  nb_reporter_end(reporter);
  if (st == NB_OK)
    nb_reporter_note(reporter,
                     "tuned for %zu steps: KL divergence %.4f on the text kept for judging, %.4f before (step %zu)",
                     tuned->steps, tuned->after, tuned->before, tuned->kept);
  return st;
}

nb_status nb_tune_file_name(nb_quantize_job *j, nb_err *err) {
  j->untuned = malloc(strlen(j->out) + sizeof ".untuned");
  if (!j->untuned) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  sprintf(j->untuned, "%s.untuned", j->out);
  return NB_OK;
}

nb_status nb_tune_file_run(nb_quantize_job *j, const nb_reporter *reporter, nb_err *err) {
  nb_opened coded = {0};
  nb_tuned tuned = {0};
  nb_status st;
  NB_GOTO(nb_open(j->untuned, NB_OPEN_NO_TOKENIZER, j->calib.threads, &coded, err));
  NB_GOTO(tune(j, &coded, reporter, &tuned, err));
  j->tune->steps = tuned.steps, j->tune->kept = tuned.kept;
  j->tune->before = tuned.before, j->tune->after = tuned.after;
  NB_GOTO(rewrite(j, nb_opened_nbl(&coded), &tuned, err));
fail:
  nb_tuned_free(&tuned);
  nb_opened_free(&coded);
  unlink(j->untuned);
  return st;
}
