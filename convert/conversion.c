/* SPDX-License-Identifier: MIT */
#include "convert/conversion.h"

#include "base/clock.h"
#include "base/mem.h"
#include "convert/tune_file.h"
#include "formats/outfile.h"
#include "quant/curvature.h"

#include <stdlib.h>
#include <string.h>

/* What a run has at hand. */
typedef struct run {
  nb_recipe *r;
  nb_conversion *c;
  const nb_reporter *reporter;
} run;

static const nb_parts *parts_of(const run *u) { return &u->c->job.model->model.weights.parts; }

/* ---- what is known before any work ---- */

static nb_status new_job(run *u, nb_err *err) {
  nb_quantize_job *j = &u->c->job;
  nb_quantize_choice *choice = &u->c->choice;
  size_t n = parts_of(u)->n_matrices;
  NB_TRY(nb_new(&j->formats, n, sizeof(nb_qfmt), "the formats", err));
  NB_TRY(nb_new(&j->report, n, sizeof(nb_quantized), "the report", err));
  if (u->r->tune) {
    u->c->tune.rate = u->r->tune_rate;
    j->tune = &u->c->tune;
    NB_TRY(nb_tune_file_parse(u->r->tune, j->tune, err));
    NB_TRY(nb_tune_file_name(j, err));
  }
  if (!nb_recipe_has_budget(u->r)) return NB_OK;
  j->choice = choice;
  NB_TRY(nb_new(&choice->probe_kl, n, sizeof(double), "the allocation", err));
  NB_TRY(nb_new(&choice->probe_error, n, sizeof(double), "the allocation", err));
  return nb_new(&choice->predicted, n, sizeof(double), "the allocation", err);
}

/* A place that cannot be written to and a budget that is too small are refused before the model writes its text. */
static nb_status check_before_work(run *u, nb_err *err) {
  nb_recipe *r = u->r;
  nb_quantize_job *j = &u->c->job;
  nb_outfile out;
  nb_allocate_opts ao = {.fixed = NULL};
  if (r->fast) return NB_OK;
  NB_TRY(nb_outfile_create(j->out, &out, err));
  nb_outfile_abort(&out);
  NB_TRY(nb_resume_lock(j->out, &j->resume, err));
  if (!nb_calib_text_is_self(r->calib, r->n_calib) || !nb_recipe_has_budget(r)) return NB_OK;
  nb_calib_numbers_default(&r->n);
  cJSON *origin = nb_calib_text_expect((size_t)r->n.tokens, (size_t)r->n.seq, r->seed);
  j->origin = origin, j->recipe = nb_recipe_print(r);
  nb_status st = nb_recipe_budget(r, parts_of(u), &ao, err);
  if (st == NB_OK) st = nb_allocate_check(j, &ao, err);
  nb_free(ao.fixed);
  cJSON_Delete(j->recipe), cJSON_Delete(origin);
  j->origin = NULL, j->recipe = NULL;
  return st;
}

/* ---- what the statistics come from ---- */

static nb_status read_text(const run *u, nb_calib_text *text, nb_err *err) {
  const nb_quantize_job *j = &u->c->job;
  nb_calib_text_opts opts = {.tokens = (size_t)u->r->n.tokens,
                             .seq = (size_t)u->r->n.seq,
                             .seed = u->r->seed,
                             .threads = j->calib.threads,
                             .cpu_features = j->calib.cpu_features,
                             .reporter = u->reporter};
  return nb_calib_text_read(u->r->calib, u->r->n_calib, j->model, &opts, text, err);
}

/* The sensitivities were measured before. */
static nb_status take_stored(run *u, nb_err *err) {
  nb_recipe *r = u->r;
  nb_quantize_job *j = &u->c->job;
  nb_calfile f;
  nb_status st;
  nb_calib_text given = {.n_seqs = 0};
  NB_GOTO(nb_calib_file_load(r->stats, j, &r->n, &u->c->text, &f, err));
  if (r->n_calib) NB_GOTO(read_text(u, &given, err));
  if (r->n_calib) NB_GOTO(nb_calib_file_same_text(r->stats, &f, &given, err));
  if (j->choice) memcpy(j->choice->probe_kl, f.probe_kl, f.n_matrices * sizeof *f.probe_kl);
  if (j->choice) memcpy(j->choice->probe_error, f.probe_error, f.n_matrices * sizeof *f.probe_error);
fail:
  nb_calib_text_free(&given);
  nb_calfile_free(&f);
  return st;
}

static nb_status read_calibration(run *u, nb_err *err) {
  nb_recipe *r = u->r;
  nb_quantize_job *j = &u->c->job;
  nb_calib_text *text = &u->c->text;
  if (r->stats) NB_TRY(take_stored(u, err));
  nb_calib_numbers_default(&r->n);
  if (nb_recipe_reads_text(r)) NB_TRY(read_text(u, text, err));
  j->calib.tokens = text->ids.id, j->calib.n_seqs = text->n_seqs, j->calib.seq_len = text->seq;
  j->origin = text->origin;
  const nb_config *c = &j->model->model.config;
  size_t tokens = text->n_seqs * text->seq, inputs = c->hidden > c->ffn ? c->hidden : c->ffn;
  if (!r->fast && tokens < inputs)
    nb_reporter_note(u->reporter,
                     "%zu tokens for matrices of up to %zu inputs: calibration learns so few by heart; give it more "
                     "text",
                     tokens, inputs);
  return NB_OK;
}

/* ---- formats ---- */

static nb_status spend_budget(run *u, nb_err *err) {
  nb_allocate_opts ao = {.fixed = NULL};
  double predicted = 0;
  nb_status st = nb_recipe_budget(u->r, parts_of(u), &ao, err);
  ao.reporter = u->reporter;
  if (st == NB_OK) st = nb_allocate_formats(&u->c->job, &ao, &predicted, err);
  nb_free(ao.fixed);
  if (st == NB_OK) nb_reporter_note(u->reporter, "predicted KL divergence of the rounding: %.4f", predicted);
  return st;
}

/* Formats from an earlier run that was killed, or by the budget. */
static nb_status settle_formats(run *u, nb_err *err) {
  nb_quantize_job *j = &u->c->job;
  bool found = false;
  if (!u->r->fast) {
    uint8_t signature[16];
    nb_quantize_signature(j, signature);
    NB_TRY(nb_resume_read(j->resume, signature, parts_of(u)->n_matrices, j->formats, j->choice, &found, err));
    if (found)
      nb_reporter_note(u->reporter, "going on after %zu of %zu matrices of an earlier run", nb_resume_count(j->resume),
                       parts_of(u)->embed);
  }
  if (!found && nb_recipe_has_budget(u->r)) NB_TRY(spend_budget(u, err));
  return u->r->fast ? NB_OK : nb_resume_begin(j->resume, j->formats, j->choice, err);
}

/* ---- the whole ---- */

static void note_outcome(const run *u) {
  const nb_quantize_job *j = &u->c->job;
  size_t fell = 0, few = 0;
  for (size_t i = 0; i < parts_of(u)->n_matrices; i++) fell += j->report[i].fell_back, few += j->report[i].few;
  if (fell)
    nb_reporter_note(u->reporter, "%zu rows kept plain rounding, which loses less there than calibration", fell);
  if (few)
    nb_reporter_note(u->reporter,
                     "%zu matrices are of experts that saw too few tokens to be calibrated: they were rounded by their "
                     "inputs' sizes; give more --tokens",
                     few);
}

static nb_status convert(run *u, nb_err *err) {
  nb_conversion *c = u->c;
  nb_quantize_job *j = &c->job;
  if (!nb_opened_checkpoint(j->model))
    return nb_fail(err, NB_ERR_ARG, "this is a .nbl file already: give the directory of a Hugging Face checkpoint");
  NB_TRY(new_job(u, err));
  NB_TRY(nb_recipe_formats(u->r, parts_of(u), j->formats, err));
  NB_TRY(check_before_work(u, err));
  NB_TRY(read_calibration(u, err));
  j->recipe = c->recipe = nb_recipe_print(u->r);
  NB_TRY(settle_formats(u, err));
  NB_TRY(nb_quantize_size(j, err));
  nb_reporter_note(u->reporter, "%s will have %llu bytes", j->out, (unsigned long long)j->file_bytes);
  double began = nb_clock();
  nb_progress cb = nb_reporter_begin(u->reporter, "quantizing", "weights");
  j->calib.progress = &cb;
  nb_status st = nb_quantize_run(j, err);
  nb_reporter_end(u->reporter);
  j->calib.progress = NULL;
  if (st == NB_OK && j->tune) st = nb_tune_file_run(j, u->reporter, err);
  c->seconds = nb_clock() - began;
  if (st == NB_OK) note_outcome(u);
  return st;
}

nb_status nb_conversion_run(const nb_opened *m, nb_recipe *r, const nb_conversion_opts *o, nb_conversion *out,
                            nb_err *err) {
  run u = {r, out, o->reporter};
  if (r->fisher_tokens < 0) r->fisher_tokens = (int)nb_curvature_tokens(&m->model.config);
  *out = (nb_conversion){.job = {.model = m, .out = o->path, .fast = r->fast}};
  out->job.calib = (nb_calib_opts){.damp = r->damp,
                                   .fisher_tokens = (size_t)r->fisher_tokens,
                                   .sweeps = r->sweeps,
                                   .gptq = !r->no_gptq,
                                   .fit_tables = !r->no_tables,
                                   .sequential = r->sequential,
                                   .fold = !r->fast && !r->no_fold,
                                   .calibrate_head = !r->no_head,
                                   .threads = o->threads,
                                   .cpu_features = o->cpu_features};
  nb_status st = convert(&u, err);
  nb_resume_close(out->job.resume, st == NB_OK);
  out->job.resume = NULL;
  return nb_opened_explain(m, st, err);
}

void nb_conversion_free(nb_conversion *c) {
  nb_quantize_job *j = &c->job;
  nb_calib_text_free(&c->text);
  cJSON_Delete(c->recipe);
  nb_free(j->formats), nb_free(j->report);
  nb_free(j->hash), nb_free(j->hashed);
  free(j->untuned);
  nb_free(c->choice.probe_kl), nb_free(c->choice.probe_error), nb_free(c->choice.predicted);
  *c = (nb_conversion){.seconds = 0};
}
