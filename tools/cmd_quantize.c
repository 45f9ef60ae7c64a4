/* SPDX-License-Identifier: MIT */
/* nibble quantize: a Hugging Face checkpoint to one .nbl file. */
#include "convert/allocate.h"
#include "convert/calib_file.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "base/mem.h"
#include "formats/outfile.h"
#include "tools/progress_cli.h"
#include "convert/quantize.h"
#include "tools/table.h"
#include "convert/tune_file.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
  const char *out, *codes, *embed, *head, *calib, *stats, *budget, *preset, *tune;
  int bits, group, sweeps;
  nb_calib_numbers n;
  uint64_t seed;
  double damp, alpha, linear_bpw, tune_rate;
  bool fast, no_gptq, no_tables, no_head, no_fold, sequential, rotate;
  cli_list set;
} options;

static bool has_budget(const options *o) { return o->budget || o->preset || o->linear_bpw > 0; }

/* ---- formats ---- */

/* "t4g64", "6" (bits, with the other options' codes and group), "dense". */
static nb_status parse_format(const char *s, const options *o, nb_qfmt *f, nb_err *err) {
  if (!strcmp(s, "dense")) {
    *f = (nb_qfmt){0, 0, 0};
    return NB_OK;
  }
  if (s[0] >= '3' && s[0] <= '8' && !s[1]) {
    uint8_t bits = (uint8_t)(s[0] - '0');
    *f = (nb_qfmt){bits, bits <= 5 && o->codes[0] == 't', (uint16_t)o->group};
    return NB_OK;
  }
  return nb_qfmt_parse(s, f, err);
}

/* "[LAYER.]MATRIX=FORMAT" */
static nb_status apply_set(const char *s, const options *o, const nb_parts *parts, nb_qfmt *f, nb_err *err) {
  const char *eq = strchr(s, '='), *p = s;
  char *end;
  long layer = -1;
  bool found = false;
  nb_qfmt q = {0, 0, 0};
  if (*p >= '0' && *p <= '9') {
    layer = strtol(p, &end, 10);
    p = *end == '.' ? end + 1 : end;
  }
  nb_role role = eq ? nb_role_parse(p, (size_t)(eq - p)) : NB_ROLES;
  for (size_t i = 0; i < parts->embed && role != NB_ROLES; i++) {
    const nb_part *x = nb_parts_matrix(parts, i);
    if (x->role != role || (layer >= 0 && x->layer != layer)) continue;
    if (!found) NB_TRY(parse_format(eq + 1, o, &q, err));
    found = true;
    f[i] = q;
  }
  if (found) return NB_OK;
  return nb_fail(err, NB_ERR_ARG,
                 "'%s' is not [LAYER.]MATRIX=FORMAT with a matrix of this model: q, k, v, o, gate, up, down or router",
                 s);
}

/* Routers decide between experts by small differences, and are small: 8 bits. */
static const nb_qfmt router_format = {8, 0, 64};

static nb_status choose_formats(const options *o, const nb_parts *parts, nb_qfmt *f, nb_err *err) {
  char bits[2] = {(char)('0' + o->bits), 0};
  nb_qfmt all;
  NB_TRY(parse_format(bits, o, &all, err));
  for (size_t i = 0; i < parts->embed; i++) f[i] = nb_parts_matrix(parts, i)->role == NB_ROUTER ? router_format : all;
  NB_TRY(parse_format(o->head ? o->head : "u6g64", o, &f[parts->head], err));
  NB_TRY(parse_format(o->embed ? o->embed : "4", o, &f[parts->embed], err)); /* the head's, too, when they are tied */
  for (size_t i = 0; i < o->set.n; i++) NB_TRY(apply_set(o->set.items[i], o, parts, f, err));
  return NB_OK;
}

/* What the budget may be spent on: what the options leave open. ao->fixed is released with nb_free. */
static nb_status read_budget(const options *o, const nb_quantize_job *j, nb_allocate_opts *ao, nb_err *err) {
  const nb_parts *parts = &j->model->model.weights.parts;
  size_t n = parts->n_matrices;
  bool linears = o->linear_bpw > 0;
  nb_qfmt *probe = NULL;
  nb_status st;
  *ao = (nb_allocate_opts){
      .probe_tokens = (size_t)o->n.probe_tokens, .probe_layers = (size_t)o->n.probe_layers, .measured = o->stats};
  const char *text = o->budget;
  if (o->preset) text = !strcmp(o->preset, "phone") ? "1932735283" : "1800000000";
  if (linears) ao->linear_bpw = o->linear_bpw;
  else NB_TRY(nb_allocate_parse(text, parts, &ao->budget, err));
  NB_GOTO(nb_new(&ao->fixed, n, sizeof *ao->fixed, "the formats", err));
  NB_GOTO(nb_new(&probe, n, sizeof *probe, "the formats", err));
  for (size_t i = 0; i < n; i++) probe[i].bits = 255;
  for (size_t i = 0; i < o->set.n; i++) NB_GOTO(apply_set(o->set.items[i], o, parts, probe, err));
  for (size_t i = 0; i < n; i++) ao->fixed[i] = probe[i].bits != 255 || nb_parts_matrix(parts, i)->role == NB_ROUTER;
  if (parts->head != parts->embed) ao->fixed[parts->head] = linears || o->head;
  ao->fixed[parts->embed] = linears || o->embed;
fail:
  nb_free(probe);
  return st;
}

/* Spends it. */
static nb_status spend_budget(const options *o, const cli_common *common, nb_quantize_job *j, nb_err *err) {
  nb_allocate_opts ao = {.fixed = NULL};
  cli_progress p;
  double predicted = 0;
  nb_status st = read_budget(o, j, &ao, err);
  nb_progress cb = cli_progress_begin(&p, common, "measuring sensitivities", "layer passes");
  ao.progress = &cb;
  if (st == NB_OK) st = nb_allocate_formats(j, &ao, &predicted, err);
  cli_progress_end(&p);
  nb_free(ao.fixed);
  if (st == NB_OK) cli_note(common, "predicted KL divergence of the rounding: %.4f", predicted);
  return st;
}

/* ---- reporting ---- */

static cJSON *make_recipe(const options *o) {
  cJSON *r = cJSON_CreateObject();
  cJSON_AddStringToObject(r, "method", o->fast ? "plain" : o->no_gptq ? "search" : "gptq");
  cJSON_AddNumberToObject(r, "bits", o->bits);
  cJSON_AddNumberToObject(r, "group", o->group);
  cJSON_AddStringToObject(r, "codes", o->codes);
  if (o->embed) cJSON_AddStringToObject(r, "embed", o->embed);
  if (o->head) cJSON_AddStringToObject(r, "head", o->head);
  if (o->budget) cJSON_AddStringToObject(r, "budget", o->budget);
  if (o->preset) cJSON_AddStringToObject(r, "preset", o->preset);
  if (has_budget(o)) {
    if (o->linear_bpw > 0) cJSON_AddNumberToObject(r, "linear_bpw", o->linear_bpw);
    cJSON_AddNumberToObject(r, "probe_tokens", o->n.probe_tokens);
    cJSON_AddNumberToObject(r, "probe_layers", o->n.probe_layers);
  }
  cJSON *set = cJSON_AddArrayToObject(r, "set");
  for (size_t i = 0; i < o->set.n; i++) cJSON_AddItemToArray(set, cJSON_CreateString(o->set.items[i]));
  if (o->fast) return r;
  cJSON_AddNumberToObject(r, "damp", o->damp);
  cJSON_AddNumberToObject(r, "alpha", o->alpha);
  cJSON_AddNumberToObject(r, "sweeps", o->sweeps);
  cJSON_AddBoolToObject(r, "tables", !o->no_tables);
  cJSON_AddBoolToObject(r, "head_calibrated", !o->no_head);
  cJSON_AddBoolToObject(r, "sequential", o->sequential);
  cJSON_AddBoolToObject(r, "fold", !o->no_fold);
  cJSON_AddBoolToObject(r, "rotate", o->rotate);
  if (o->tune) cJSON_AddStringToObject(r, "tune", o->tune);
  if (o->tune) cJSON_AddNumberToObject(r, "tune_rate", o->tune_rate);
  return r;
}

/* The mean loss by role over the matrices of this run, relative to the outputs' energy. */
static void print_losses(const nb_parts *parts, const nb_quantized *q) {
  cli_table t;
  cli_table_begin(&t, "lrrr");
  cli_table_cell(&t, "matrix");
  cli_table_cell(&t, "plain loss");
  cli_table_cell(&t, "loss");
  cli_table_cell(&t, "rows kept plain");
  cli_table_rule(&t);
  for (int r = 0; r < NB_ROLES; r++) {
    double plain = 0, loss = 0, n = 0;
    size_t fell = 0;
    for (size_t i = 0; i < parts->embed; i++) {
      if ((int)nb_parts_matrix(parts, i)->role != r || q[i].loss < 0) continue; /* or from an earlier run */
      plain += q[i].plain, loss += q[i].loss, fell += q[i].fell_back, n++;
    }
    if (n == 0) continue;
    cli_table_cell(&t, "%s", nb_role_name((nb_role)r));
    cli_table_cell(&t, "%.5f", plain / n);
    cli_table_cell(&t, "%.5f", loss / n);
    cli_table_cell(&t, "%zu", fell);
  }
  cli_table_end(&t, stdout);
}

static const char *format_text(nb_qfmt f, char name[16]) {
  if (f.bits) nb_qfmt_name(f, name);
  else strcpy(name, "dense");
  return name;
}

/* How many matrices of a role have each format, in the order of their first ones. */
static void print_role(const nb_parts *parts, const nb_qfmt *f, nb_role role) {
  char name[16];
  for (size_t i = 0; i < parts->embed; i++) {
    size_t before = 0, n = 0;
    if (nb_parts_matrix(parts, i)->role != role) continue;
    for (size_t k = 0; k < parts->embed; k++) {
      bool same = f[k].bits == f[i].bits && f[k].table == f[i].table && f[k].group == f[i].group;
      same = same && nb_parts_matrix(parts, k)->role == role;
      n += same, before += same && k < i;
    }
    if (!before) printf("  %s x %zu", format_text(f[i], name), n);
  }
}

static void print_formats(const nb_parts *parts, const nb_qfmt *f) {
  char embed[16], head[16];
  for (int r = 0; r < NB_ROLES; r++) {
    bool any = false;
    for (size_t i = 0; i < parts->per_layer; i++) any |= (int)nb_parts_matrix(parts, i)->role == r;
    if (!any) continue;
    printf("%-5s", nb_role_name((nb_role)r));
    print_role(parts, f, (nb_role)r);
    printf("\n");
  }
  format_text(f[parts->embed], embed);
  format_text(f[parts->head], head);
  printf("embedding %s, head %s\n\n", embed, parts->head == parts->embed ? "the same" : head);
}

static void note_fallbacks(const nb_quantize_job *j, const cli_common *common) {
  size_t fell = 0, few = 0;
  for (size_t i = 0; i < j->model->model.weights.parts.n_matrices; i++)
    fell += j->report[i].fell_back, few += j->report[i].few;
  if (fell) cli_note(common, "%zu rows kept plain rounding, which loses less there than calibration", fell);
  if (few)
    cli_note(common,
             "%zu matrices are of experts that saw too few tokens to be calibrated: they were rounded by their inputs' "
             "sizes; give more --tokens",
             few);
}

static cJSON *matrix_json(const nb_quantize_job *j, size_t i) {
  const nb_part *p = nb_parts_matrix(&j->model->model.weights.parts, i);
  const nb_quantized *q = &j->report[i];
  cJSON *s = cJSON_CreateObject();
  char fmt[16];
  cJSON_AddNumberToObject(s, "layer", p->layer);
  if (p->expert >= 0) cJSON_AddNumberToObject(s, "expert", p->expert);
  cJSON_AddStringToObject(s, "slot", nb_role_name(p->role));
  cJSON_AddStringToObject(s, "format", format_text(j->formats[i], fmt));
  cJSON_AddNumberToObject(s, "plain_loss", q->plain);
  cJSON_AddNumberToObject(s, "loss", q->loss);
  cJSON_AddNumberToObject(s, "rows_kept_plain", (double)q->fell_back);
  return s;
}

static int report(const nb_quantize_job *j, const cli_common *common, double seconds) {
  const nb_parts *parts = &j->model->model.weights.parts;
  note_fallbacks(j, common);
  double bpw = nb_quantize_linear_bpw(parts, j->formats);
  char size[CLI_TEXT], time[CLI_TEXT];
  if (common->json) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", j->out);
    cJSON_AddNumberToObject(o, "bytes", (double)j->file_bytes);
    cJSON_AddNumberToObject(o, "linear_bpw", bpw);
    cJSON_AddNumberToObject(o, "seconds", seconds);
    cJSON_AddItemToObject(o, "recipe", cJSON_Duplicate(j->recipe, 1));
    cJSON *all = cJSON_AddArrayToObject(o, "slices");
    for (size_t i = 0; i < parts->embed; i++) cJSON_AddItemToArray(all, matrix_json(j, i));
    return cli_print_json(o);
  }
  print_formats(parts, j->formats);
  if (!j->fast) print_losses(parts, j->report);
  printf("%s: %s (%llu bytes), linears at %.3f bits a weight, in %s\n", j->out, cli_bytes_text(size, j->file_bytes),
         (unsigned long long)j->file_bytes, bpw, cli_seconds_text(time, seconds));
  return 0;
}

/* ---- the command ---- */

static nb_status read_text(const options *o, const cli_common *common, const nb_quantize_job *j, nb_calib_text *text,
                           nb_err *err) {
  cli_reporting r;
  nb_reporter reporter = cli_reporter(&r, common);
  nb_calib_text_opts opts = {.tokens = (size_t)o->n.tokens,
                             .seq = (size_t)o->n.seq,
                             .seed = o->seed,
                             .threads = common->threads,
                             .cpu_features = common->features,
                             .reporter = &reporter};
  return nb_calib_text_read(o->calib, j->model, &opts, text, err);
}

/* The sensitivities were measured before. */
static nb_status take_stored(options *o, const cli_common *common, nb_quantize_job *j, nb_calib_text *text,
                             nb_err *err) {
  nb_calfile f;
  nb_status st;
  nb_calib_text given = {.n_seqs = 0};
  NB_GOTO(nb_calib_file_load(o->stats, j, &o->n, text, &f, err));
  if (o->calib) NB_GOTO(read_text(o, common, j, &given, err));
  if (o->calib) NB_GOTO(nb_calib_file_same_text(o->stats, &f, &given, err));
  if (j->choice) memcpy(j->choice->probe_kl, f.probe_kl, f.n_matrices * sizeof *f.probe_kl);
  if (j->choice) memcpy(j->choice->probe_error, f.probe_error, f.n_matrices * sizeof *f.probe_error);
fail:
  nb_calib_text_free(&given);
  nb_calfile_free(&f);
  return st;
}

/* A place that cannot be written to and a budget that is too small are refused before the model writes its text. */
static nb_status check_before_work(options *o, nb_quantize_job *j, nb_err *err) {
  nb_outfile out;
  nb_allocate_opts ao = {.fixed = NULL};
  if (o->fast) return NB_OK;
  NB_TRY(nb_outfile_create(o->out, &out, err));
  nb_outfile_abort(&out);
  NB_TRY(nb_resume_lock(o->out, &j->resume, err));
  if (o->stats || strcmp(o->calib, "self") || !has_budget(o)) return NB_OK;
  nb_calib_numbers_default(&o->n);
  cJSON *origin = nb_calib_text_expect((size_t)o->n.tokens, (size_t)o->n.seq, o->seed);
  j->origin = origin, j->recipe = make_recipe(o);
  nb_status st = read_budget(o, j, &ao, err);
  if (st == NB_OK) st = nb_allocate_check(j, &ao, err);
  nb_free(ao.fixed);
  cJSON_Delete(j->recipe), cJSON_Delete(origin);
  j->origin = NULL, j->recipe = NULL;
  return st;
}

/* What the statistics come from. */
static nb_status read_calibration(options *o, const cli_common *common, nb_quantize_job *j, nb_calib_text *text,
                                  nb_err *err) {
  if (o->stats) NB_TRY(take_stored(o, common, j, text, err));
  nb_calib_numbers_default(&o->n);
  if (!o->stats && o->calib) NB_TRY(read_text(o, common, j, text, err));
  j->calib.tokens = text->ids.id, j->calib.n_seqs = text->n_seqs, j->calib.seq_len = text->seq;
  j->origin = text->origin;
  const nb_config *c = &j->model->model.config;
  size_t tokens = text->n_seqs * text->seq, inputs = c->hidden > c->ffn ? c->hidden : c->ffn;
  if (!o->fast && tokens < inputs)
    cli_note(common,
             "%zu tokens for matrices of up to %zu inputs: calibration learns so few by heart; give it more text",
             tokens, inputs);
  return NB_OK;
}

/* Formats from an earlier run that was killed, or by the budget. */
static nb_status settle_formats(const options *o, const cli_common *common, nb_quantize_job *j, nb_err *err) {
  bool found = false;
  if (!o->fast) {
    uint8_t signature[16];
    nb_quantize_signature(j, signature);
    const nb_parts *parts = &j->model->model.weights.parts;
    NB_TRY(nb_resume_read(j->resume, signature, parts->n_matrices, j->formats, j->choice, &found, err));
    if (found)
      cli_note(common, "going on after %zu of %zu matrices of an earlier run", nb_resume_count(j->resume),
               parts->embed);
  }
  if (!found && has_budget(o)) NB_TRY(spend_budget(o, common, j, err));
  return o->fast ? NB_OK : nb_resume_begin(j->resume, j->formats, j->choice, err);
}

static nb_status new_job(const options *o, nb_quantize_job *j, nb_quantize_choice *choice, nb_err *err) {
  size_t n = j->model->model.weights.parts.n_matrices;
  NB_TRY(nb_new(&j->formats, n, sizeof(nb_qfmt), "the formats", err));
  NB_TRY(nb_new(&j->report, n, sizeof(nb_quantized), "the report", err));
  if (!has_budget(o)) return NB_OK;
  j->choice = choice;
  NB_TRY(nb_new(&choice->probe_kl, n, sizeof(double), "the allocation", err));
  NB_TRY(nb_new(&choice->probe_error, n, sizeof(double), "the allocation", err));
  return nb_new(&choice->predicted, n, sizeof(double), "the allocation", err);
}

static nb_status quantize(options *o, const cli_common *common, const nb_opened *m, nb_err *err) {
  nb_calib_text text = {.n_seqs = 0};
  nb_quantize_choice choice = {NULL, NULL, NULL};
  nb_quantize_tune tune = {.rate = o->tune_rate};
  nb_status st;
  cli_progress p;
  nb_quantize_job j = {.model = m, .out = o->out, .fast = o->fast};
  j.calib = (nb_calib_opts){.damp = o->damp,
                            .alpha = o->alpha,
                            .sweeps = o->sweeps,
                            .gptq = !o->no_gptq,
                            .fit_tables = !o->no_tables,
                            .sequential = o->sequential,
                            .fold = !o->fast && !o->no_fold,
                            .rotate = o->rotate,
                            .calibrate_head = !o->no_head,
                            .threads = common->threads,
                            .cpu_features = common->features};
  if (!nb_opened_checkpoint(m))
    return nb_fail(err, NB_ERR_ARG, "this is a .nbl file already: give the directory of a Hugging Face checkpoint");
  if (o->tune) {
    j.tune = &tune;
    NB_TRY(nb_tune_file_parse(o->tune, &tune, err));
    NB_TRY(nb_tune_file_name(&j, err));
  }
  NB_GOTO(new_job(o, &j, &choice, err));
  NB_GOTO(choose_formats(o, &m->model.weights.parts, j.formats, err));
  NB_GOTO(check_before_work(o, &j, err));
  NB_GOTO(read_calibration(o, common, &j, &text, err));
  j.recipe = make_recipe(o);
  NB_GOTO(settle_formats(o, common, &j, err));
  NB_GOTO(nb_quantize_size(&j, err));
  char size[CLI_TEXT];
  cli_note(common, "%s will have %llu bytes (%s)", o->out, (unsigned long long)j.file_bytes,
           cli_bytes_text(size, j.file_bytes));
  double began = cli_clock();
  nb_progress cb = cli_progress_begin(&p, common, "quantizing", "weights");
  j.calib.progress = &cb;
  st = nb_quantize_run(&j, err);
  cli_progress_end(&p);
  cli_reporting r;
  nb_reporter reporter = cli_reporter(&r, common);
  if (st == NB_OK && j.tune) st = nb_tune_file_run(&j, &reporter, err);
  if (st == NB_OK && report(&j, common, cli_clock() - began)) st = NB_ERR_MEMORY;
fail:
  nb_resume_close(j.resume, st == NB_OK);
  nb_calib_text_free(&text);
  cJSON_Delete(j.recipe);
  nb_free(j.formats);
  nb_free(j.hash), nb_free(j.hashed);
  nb_free(j.report);
  free(j.untuned);
  nb_free(choice.probe_kl), nb_free(choice.probe_error), nb_free(choice.predicted);
  return nb_opened_explain(m, st, err);
}

int cmd_quantize(int argc, char **argv) {
  options o = {.codes = "table",
               .n = {-1, -1, -1, -1},
               .bits = 4,
               .group = 64,
               .sweeps = 2,
               .damp = 0.01,
               .alpha = 0.25,
               .tune_rate = 5e-4};
  const cli_opt opts[] = {
      CLI_PATH("out", 'o', "FILE", CLI_NBL, &o.out, "the file to write (required)"),
      CLI_INT("bits", 'b', "N", 3, 8, &o.bits, "bits a weight of the layers' matrices (4)"),
      CLI_INT("group", 'g', "N", 32, 256, &o.group, "inputs that share a scale: 32, 64, 128 or 256 (64)"),
      CLI_CHOICE("codes", 0, "table|uniform", &o.codes, "what codes of 3 to 5 bits mean (table)"),
      CLI_STRING("embed", 0, "FORMAT", &o.embed, "the embedding: bits, a format such as u6g64, or dense (4)"),
      CLI_STRING("head", 0, "FORMAT", &o.head, "the head, likewise (u6g64)"),
      CLI_LIST("set", 0, "MATRIX=FORMAT", &o.set,
               "the format of a matrix (q, k, v, o, gate, up, down, router) or of one layer's: 3.v=t5g64"),
      CLI_STRING("budget", 0, "SIZE", &o.budget,
                 "choose the formats so that the file has at most this size: 1.8GiB, 1800MB, 4.05bpw"),
      CLI_DOUBLE("linear-bpw", 0, "X", 3, 8, &o.linear_bpw, "instead: stored bits a weight of the layers' matrices"),
      CLI_CHOICE("preset", 0, "phone|phone-small", &o.preset, "a budget of 1.8 GiB or of 1.8 GB"),
      CLI_INT("probe-tokens", 0, "N", 16, 65536, &o.n.probe_tokens,
              "tokens by which the budget's sensitivities are measured (256)"),
      CLI_INT("probe-layers", 0, "N", 0, 1024, &o.n.probe_layers,
              "layers that are measured, the others interpolated; 0: all (12)"),
      CLI_FLAG("fast", 0, &o.fast, "no calibration: the search for scales only"),
      CLI_PATH(
          "calib", 'c', "FILE", CLI_READ, &o.calib,
          "what to calibrate on: a text, chats (.jsonl), or self for text that the model writes; without it --fast"),
      CLI_PATH("stats", 0, "FILE", CLI_READ, &o.stats, "instead: what `nibble calibrate` measured on such a text"),
      CLI_U64("seed", 0, "N", &o.seed, "seed of the text that the model writes (0)"),
      CLI_INT("tokens", 0, "N", 1, 1 << 24, &o.n.tokens, "tokens of it to use (16384)"),
      CLI_INT("seq", 0, "N", 16, 8192, &o.n.seq, "tokens of a sequence (512)"),
      CLI_DOUBLE("damp", 0, "X", 0, 1, &o.damp, "damping of the statistics, as a part of their mean diagonal (0.01)"),
      CLI_DOUBLE("alpha", 0, "X", 0, 1, &o.alpha, "how much of earlier layers' distortion to make good (0.25)"),
      CLI_INT("sweeps", 0, "N", 0, 20, &o.sweeps, "coordinate descent sweeps (2)"),
      CLI_FLAG("no-gptq", 0, &o.no_gptq, "without GPTQ: the weighted search and the sweeps only"),
      CLI_FLAG("no-tables", 0, &o.no_tables, "the default tables instead of one fitted to each matrix"),
      CLI_FLAG("no-head", 0, &o.no_head, "the head without calibration"),
      CLI_FLAG("no-fold", 0, &o.no_fold,
               "without scales of the linears' inputs (AWQ), which are folded into norms and weights"),
      CLI_FLAG("rotate", 0, &o.rotate, "rotate the value heads, folded into v and o"),
      CLI_STRING("tune", 0, "TIME|N", &o.tune,
                 "then tune norms and row scales to predict like the checkpoint: 20m, or 50steps"),
      CLI_DOUBLE("tune-rate", 0, "X", 1e-6, 0.1, &o.tune_rate, "the rate of --tune (0.0005)"),
      CLI_FLAG("sequential", 0, &o.sequential,
               "take each slice's inputs after quantizing those before it in its layer"),
      CLI_END,
  };
  const cli_command cmd = {.name = "quantize",
                           .args = "DIR -o FILE.nbl",
                           .opts = opts,
                           .about =
                               "Converts the Hugging Face checkpoint in DIR to one file with weights of 3 to 8 bits.",
                           .common = CLI_JSON | CLI_THREADS | CLI_CPU,
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!o.out) return cli_usage(&cmd, "-o FILE is missing");
  if (o.group & (o.group - 1)) return cli_usage(&cmd, "--group is 32, 64, 128 or 256");
  if (o.fast && (o.calib || o.stats) && !has_budget(&o))
    return cli_usage(&cmd, "--fast makes no use of %s: leave one of them out", o.calib ? "--calib" : "--stats");
  if (!o.calib && !o.stats) o.fast = true;
  if (o.fast && (o.rotate || o.tune)) return cli_usage(&cmd, "--rotate and --tune need calibration: --calib FILE");
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], 0, &common, &m, &err);
  if (st == NB_OK) st = quantize(&o, &common, &m, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
