/* SPDX-License-Identifier: MIT */
/* nibble calibrate: what quantizing to several budgets has in common, measured once. */
#include "convert/recipe.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "quant/importance.h"
#include "base/mem.h"
#include "formats/outfile.h"
#include "tools/progress_cli.h"

#include <stdlib.h>

typedef struct options {
  const char *out;
  cli_list calib;
  nb_calib_numbers n;
  uint64_t seed;
} options;

static nb_status measure_inputs(const cli_common *common, const nb_quantize_job *j, nb_calfile *f, nb_err *err) {
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "measuring inputs", "sequences");
  nb_importance_opts o = {.tokens = f->tokens,
                          .n_seqs = f->n_seqs,
                          .seq_len = f->seq,
                          .threads = common->threads,
                          .cpu_features = common->features,
                          .progress = &cb};
  nb_status st = nb_importance_measure(&j->model->model.config, &j->model->model.weights, &o, f->importance, err);
  cli_progress_end(&p);
  return st;
}

static nb_status measure_sensitivities(const options *o, const cli_common *common, nb_quantize_job *j, nb_err *err) {
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "measuring sensitivities", "probes");
  nb_allocate_opts ao = {
      .probe_tokens = (size_t)o->n.probe_tokens, .probe_layers = (size_t)o->n.probe_layers, .progress = &cb};
  nb_status st = nb_allocate_measure(j, &ao, err);
  cli_progress_end(&p);
  return st;
}

/* The metadata; the origin moves into it. */
static nb_status describe(const options *o, nb_quantize_job *j, nb_calib_text *text, nb_calfile *f, nb_err *err) {
  cJSON *sources;
  NB_TRY(nb_quantize_hash(j, err));
  NB_TRY(nb_quantize_sources(j, &sources, err));
  f->meta = cJSON_CreateObject();
  cJSON_AddStringToObject(f->meta, "nibble", NB_VERSION);
  cJSON_AddItemToObject(f->meta, "sources", sources);
  cJSON_AddItemToObject(f->meta, "calibration", text->origin);
  text->origin = NULL;
  cJSON *probe = cJSON_AddObjectToObject(f->meta, "probe");
  cJSON_AddNumberToObject(probe, "text_tokens", o->n.tokens);
  cJSON_AddNumberToObject(probe, "tokens", o->n.probe_tokens);
  cJSON_AddNumberToObject(probe, "layers", o->n.probe_layers);
  return probe ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory");
}

static nb_status new_file(const nb_model *m, const nb_calib_text *text, nb_calfile *f, nb_err *err) {
  size_t all = text->n_seqs * text->seq;
  f->n_seqs = text->n_seqs, f->seq = text->seq;
  f->n_matrices = m->weights.parts.n_matrices, f->n_inputs = nb_importance_count(&m->config);
  NB_TRY(nb_new(&f->tokens, all, sizeof *f->tokens, "the tokens", err));
  memcpy(f->tokens, text->ids.id, all * sizeof *f->tokens);
  NB_TRY(nb_new(&f->probe_kl, f->n_matrices, sizeof *f->probe_kl, "sensitivities", err));
  NB_TRY(nb_new(&f->probe_error, f->n_matrices, sizeof *f->probe_error, "sensitivities", err));
  return nb_new(&f->importance, f->n_inputs, sizeof *f->importance, "importances", err);
}

static int report(const options *o, const cli_common *common, const nb_calfile *f, double seconds) {
  char time[CLI_TEXT];
  if (!common->json) {
    printf("%s: %zu tokens, %zu matrices, in %s\n", o->out, f->n_seqs * f->seq, f->n_matrices,
           cli_seconds_text(time, seconds));
    return 0;
  }
  cJSON *r = cJSON_CreateObject();
  cJSON_AddStringToObject(r, "file", o->out);
  cJSON_AddNumberToObject(r, "tokens", (double)(f->n_seqs * f->seq));
  cJSON_AddItemToObject(r, "probe_kl", cJSON_CreateDoubleArray(f->probe_kl, (int)f->n_matrices));
  cJSON_AddItemToObject(r, "probe_error", cJSON_CreateDoubleArray(f->probe_error, (int)f->n_matrices));
  cJSON_AddNumberToObject(r, "seconds", seconds);
  return cli_print_json(r);
}

static nb_status calibrate(const options *o, const cli_common *common, const nb_opened *m, nb_err *err) {
  nb_calib_text text = {.n_seqs = 0};
  nb_calfile f = {.meta = NULL};
  nb_quantize_job j = {.model = m, .calib = {.threads = common->threads, .cpu_features = common->features}};
  nb_status st;
  nb_outfile out;
  double began = cli_clock();
  if (!nb_opened_checkpoint(m))
    return nb_fail(err, NB_ERR_ARG, "this is a .nbl file already: give the directory of a Hugging Face checkpoint");
  NB_GOTO(nb_outfile_create(o->out, &out, err)); /* a place that cannot be written to is known before the work */
  nb_outfile_abort(&out);
  cli_reporting r;
  nb_reporter reporter = cli_reporter(&r, common);
  nb_calib_text_opts opts = {.tokens = (size_t)o->n.tokens,
                             .seq = (size_t)o->n.seq,
                             .seed = o->seed,
                             .threads = common->threads,
                             .cpu_features = common->features,
                             .reporter = &reporter};
  NB_GOTO(nb_calib_text_read(o->calib.items, o->calib.n, m, &opts, &text, err));
  NB_GOTO(new_file(&m->model, &text, &f, err));
  nb_quantize_choice choice = {.probe_kl = f.probe_kl, .probe_error = f.probe_error};
  j.choice = &choice;
  j.calib.tokens = f.tokens, j.calib.n_seqs = f.n_seqs, j.calib.seq_len = f.seq;
  NB_GOTO(measure_inputs(common, &j, &f, err));
  NB_GOTO(measure_sensitivities(o, common, &j, err));
  NB_GOTO(describe(o, &j, &text, &f, err));
  NB_GOTO(nb_calfile_save(&f, o->out, err));
  if (report(o, common, &f, cli_clock() - began)) st = NB_ERR_MEMORY;
fail:
  nb_calib_text_free(&text);
  nb_calfile_free(&f);
  nb_free(j.hash), nb_free(j.hashed);
  return nb_opened_explain(m, st, err);
}

int cmd_calibrate(int argc, char **argv) {
  options o = {.n = {-1, -1, -1, -1}};
  nb_calib_numbers_default(&o.n);
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_STATS, &o.out, "the file to write"),
      CLI_PATHS("calib", 'c', "PATH", NB_PATH_READ, &o.calib,
                "a text, chats (.jsonl), a folder of such, or self for text that the model writes; may be given "
                "several times; without it the texts that come with nibble"),
      CLI_U64("seed", 0, "N", &o.seed, "seed of the draw from the texts, or of the text that the model writes (0)"),
      CLI_INT("tokens", 0, "N", 1, NB_RECIPE_MAX_TOKENS, &o.n.tokens, "tokens to draw from the texts (32768)"),
      CLI_INT("seq", 0, "N", NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ, &o.n.seq, "tokens of a sequence (512)"),
      CLI_INT("probe-tokens", 0, "N", 16, 65536, &o.n.probe_tokens, "tokens by which sensitivities are measured (256)"),
      CLI_INT("probe-layers", 0, "N", 0, 1024, &o.n.probe_layers,
              "layers that are measured, the others interpolated; 0: all (12)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "calibrate",
      .args = "DIR -o STATS",
      .opts = opts,
      .about =
          "Measures what does not depend on the budget: how sensitive each matrix of the checkpoint in DIR is, and\n"
          "how much each input of it matters. `nibble quantize --stats STATS` then writes what it writes with\n"
          "the same texts, for any number of budgets; `nibble diff --stats STATS` weighs errors by it.",
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], 0, &common, &m, &err);
  if (st == NB_OK) st = calibrate(&o, &common, &m, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
