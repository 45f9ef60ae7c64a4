/* SPDX-License-Identifier: MIT */
/* nibble quantize: a Hugging Face checkpoint to one .nbl file. */
#include "convert/conversion.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"
#include "tools/table.h"

#include <string.h>

/* ---- reporting ---- */

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
      bool same = f[k].bits == f[i].bits && f[k].kind == f[i].kind && f[k].group == f[i].group;
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
  printf("%s: %s (%llu bytes), linears at %.3f bits a weight, in %s\n", j->out, nb_bytes_text(size, j->file_bytes),
         (unsigned long long)j->file_bytes, bpw, cli_seconds_text(time, seconds));
  return 0;
}

/* ---- the command ---- */

int cmd_quantize(int argc, char **argv) {
  const char *out = NULL;
  cli_list set = {.n = 0}, calib = {.n = 0};
  nb_recipe r = nb_recipe_default;
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_NBL, &out, "the file to write"),
      CLI_INT("bits", 'b', "N", NB_RECIPE_MIN_BITS, NB_RECIPE_MAX_BITS, &r.bits,
              "bits a weight of the layers' matrices (4)"),
      CLI_INT("group", 'g', "N", NB_RECIPE_MIN_GROUP, NB_RECIPE_MAX_GROUP, &r.group,
              "inputs that share a scale: 32, 64, 128 or 256 (64)"),
      CLI_CHOICE("codes", 0, "trellis|table|uniform", &r.codes, "what codes of 3 to 5 bits mean (trellis)"),
      CLI_STRING("embed", 0, "FORMAT", &r.embed, "the embedding: bits, a format such as u6g64, or dense (4)"),
      CLI_STRING("head", 0, "FORMAT", &r.head, "the head, likewise (u6g64)"),
      CLI_LIST("set", 0, "MATRIX=FORMAT", &set,
               "the format of a matrix (q, k, v, o, gate, up, down, router) or of one layer's: 3.v=t5g64"),
      CLI_STRING("budget", 0, "SIZE", &r.budget,
                 "choose the formats so that the file has at most this size: 1.8GiB, 1800MB, 4.05bpw"),
      CLI_DOUBLE("linear-bpw", 0, "X", NB_RECIPE_MIN_BITS, NB_RECIPE_MAX_BITS, &r.linear_bpw,
                 "instead: stored bits a weight of the layers' matrices"),
      CLI_CHOICE("preset", 0, NB_RECIPE_PRESETS, &r.preset, "a budget of 1.8 GiB or of 1.8 GB"),
      CLI_INT("probe-tokens", 0, "N", 16, 65536, &r.n.probe_tokens,
              "tokens by which the budget's sensitivities are measured (256)"),
      CLI_INT("probe-layers", 0, "N", 0, 1024, &r.n.probe_layers,
              "layers that are measured, the others interpolated; 0: all (12)"),
      CLI_FLAG("fast", 0, &r.fast, "no calibration: the search for scales only"),
      CLI_PATHS("calib", 'c', "PATH", NB_PATH_READ, &calib,
                "what to calibrate on: a text, chats (.jsonl), a folder of such, or self for text that the model "
                "writes; may be given several times; without it the texts that come with nibble"),
      CLI_PATH("stats", 0, "FILE", NB_PATH_READ, &r.stats, "instead: what `nibble calibrate` measured on such a text"),
      CLI_U64("seed", 0, "N", &r.seed, "seed of the draw from the texts, or of the text that the model writes (0)"),
      CLI_INT("tokens", 0, "N", 1, NB_RECIPE_MAX_TOKENS, &r.n.tokens, "tokens to draw from the texts (32768)"),
      CLI_INT("seq", 0, "N", NB_RECIPE_MIN_SEQ, NB_RECIPE_MAX_SEQ, &r.n.seq, "tokens of a sequence (512)"),
      CLI_DOUBLE("damp", 0, "X", 0, 1, &r.damp, "damping of the statistics, as a part of their mean diagonal (0.01)"),
      CLI_INT("sweeps", 0, "N", 0, 20, &r.sweeps, "coordinate descent sweeps (2)"),
      CLI_INT("fisher-tokens", 0, "N", 0, NB_RECIPE_MAX_TOKENS, &r.fisher_tokens,
              "tokens whose gradients say how rows make good each other's errors; 0: rows are rounded alone (by the "
              "model's size: 4096 to 16384)"),
      CLI_FLAG("no-gptq", 0, &r.no_gptq, "without GPTQ: the weighted search and the sweeps only"),
      CLI_FLAG("no-tables", 0, &r.no_tables, "the default tables instead of one fitted to each matrix"),
      CLI_FLAG("no-head", 0, &r.no_head, "the head without calibration"),
      CLI_FLAG("no-fold", 0, &r.no_fold,
               "without scales of the linears' inputs (AWQ), which are folded into norms and weights"),
      CLI_STRING("tune", 0, "TIME|N", &r.tune,
                 "then tune norms and row scales to predict like the checkpoint: 20m, or 50steps"),
      CLI_DOUBLE("tune-rate", 0, "X", 1e-6, 0.1, &r.tune_rate, "the rate of --tune (0.0005)"),
      CLI_FLAG("sequential", 0, &r.sequential,
               "take each slice's inputs after quantizing those before it in its layer"),
      CLI_END,
  };
  const cli_command cmd = {.name = "quantize",
                           .args = "DIR -o FILE.nbl",
                           .opts = opts,
                           .about =
                               "Converts the Hugging Face checkpoint in DIR to one file with weights of 3 to 8 bits.",
                           .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_opened m = {0};
  nb_conversion c = {.seconds = 0};
  cli_reporting reporting;
  nb_reporter reporter = cli_reporter(&reporting, &common);
  r.set = set.items, r.n_set = set.n;
  r.calib = calib.items, r.n_calib = calib.n;
  if (nb_recipe_check(&r, &err) != NB_OK) return cli_usage(&cmd, "%s", err.msg);
  nb_status st = cli_open(args.items[0], 0, &common, &m, &err);
  const nb_conversion_opts how = {out, common.threads, common.features, &reporter};
  if (st == NB_OK) st = nb_conversion_run(&m, &r, &how, &c, &err);
  int code = st == NB_OK ? report(&c.job, &common, c.seconds) : cli_fail(st, &err);
  nb_conversion_free(&c);
  nb_opened_free(&m);
  return code;
}
