/* SPDX-License-Identifier: MIT */
/* nibble kld: how far models are from their reference, over a text. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "eval/fidelity.h"
#include "base/mem.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
#include "tools/table.h"
#include "tools/windows.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>

typedef struct options {
  const char *text, *bos, *ref_kv, *kv;
  int ctx, chunks;
  bool special; /* their names in the text are the tokens, not text */
} options;

/* Beyond its positions a model was never trained, and its perplexity says nothing of it. */
static void warn_of_length(const nb_opened *m, const char *name, size_t ctx) {
  if (ctx > m->model.config.max_position)
    cli_warn("windows of %zu tokens are longer than the %zu that %s takes; --ctx %zu or less measures what it can do",
             ctx, m->model.config.max_position, name, m->model.config.max_position);
}

/* A standard error, where there is one. */
static void print_error(int decimals, double se) {
  if (isfinite(se)) printf(" +- %.*f", decimals, se);
}

/* The reference and its candidates, in the order of the command line. */
typedef struct models {
  size_t n;                /* candidates */
  const char *const *name; /* (1 + n) the reference's first, in all that follow */
  nb_opened *model;        /* (1 + n) */
  nb_fidelity_side *side;  /* (1 + n) */
  size_t *overlap;         /* (1 + n) windows of the text that it was calibrated on */
  nb_fidelity *result;     /* (n) */
  double *window_kl;       /* (n, windows) */
} models;

static void print_text(const models *m, const nb_fidelity_opts *o, const cli_window_text *text) {
  const nb_fidelity *f = m->result;
  printf("%zu window%s of %zu tokens, %zu predictions scored\n", f->chunks, f->chunks > 1 ? "s" : "", o->ctx,
         f->scored);
  cli_windows_print_specials(text);
  printf("\n");
}

static void print_one(const nb_fidelity *f, size_t ctx) {
  printf("perplexity     reference %.4f   candidate %.4f   (ratio %.4f)\n", f->ref_ppl, f->cand_ppl,
         f->cand_ppl / f->ref_ppl);
  printf("KL divergence  mean %.5f", f->kl_mean);
  print_error(5, f->kl_mean_se);
  printf("   median %.5f   90 %% %.4f   99 %% %.4f   max %.3f\n", f->kl_median, f->kl_p90, f->kl_p99, f->kl_max);
  printf("same top token %.3f %%", 100 * f->top1);
  print_error(3, 100 * f->top1_se);
  printf("\n");
  printf("tokens/s       reference %.1f   candidate %.1f\n", (double)(f->chunks * ctx) / f->ref_seconds,
         (double)(f->chunks * ctx) / f->cand_seconds);
}

/* Several candidates, a row each. */
static void print_table(const models *m, size_t ctx) {
  static const char *const head[] = {"model",  "MB",   "perplexity", "ratio",          "divergence", "+-",
                                     "median", "99 %", "max",        "same top token", "tokens/s"};
  cli_table t;
  cli_table_begin(&t, "lrrrrrrrrrr");
  for (size_t i = 0; i < sizeof head / sizeof *head; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i <= m->n; i++) {
    const nb_fidelity *f = &m->result[i ? i - 1 : 0];
    double tokens = (double)(f->chunks * ctx);
    cli_table_cell(&t, "%s", m->name[i]);
    cli_table_cell(&t, "%.1f", (double)m->model[i].file_bytes / 1e6);
    cli_table_cell(&t, "%.4f", i ? f->cand_ppl : f->ref_ppl);
    if (i == 0) {
      for (int k = 0; k < 7; k++) cli_table_cell(&t, "%s", k < 6 ? "" : "reference");
      cli_table_cell(&t, "%.1f", tokens / f->ref_seconds);
      continue;
    }
    cli_table_cell(&t, "%.4f", f->cand_ppl / f->ref_ppl);
    cli_table_cell(&t, "%.5f", f->kl_mean);
    if (isfinite(f->kl_mean_se)) cli_table_cell(&t, "%.5f", f->kl_mean_se);
    else cli_table_cell(&t, "-");
    cli_table_cell(&t, "%.5f", f->kl_median);
    cli_table_cell(&t, "%.4f", f->kl_p99);
    cli_table_cell(&t, "%.3f", f->kl_max);
    cli_table_cell(&t, "%.2f %%", 100 * f->top1);
    cli_table_cell(&t, "%.1f", tokens / f->cand_seconds);
  }
  cli_table_end(&t, stdout);
}

/* Candidate k. */
static cJSON *as_json(const models *m, size_t k, const nb_fidelity_opts *o, const cli_window_text *text) {
  const nb_fidelity *f = &m->result[k];
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "reference", m->name[0]);
  cJSON_AddStringToObject(j, "candidate", m->name[1 + k]);
  const struct {
    const char *name;
    double value;
  } number[] = {{"ref_bytes", (double)m->model[0].file_bytes},
                {"cand_bytes", (double)m->model[1 + k].file_bytes},
                {"ref_calibrated_on", (double)m->overlap[0]},
                {"calibrated_on", (double)m->overlap[1 + k]},
                {"ctx", (double)o->ctx},
                {"chunks", (double)f->chunks},
                {"scored", (double)f->scored},
                {"bos", o->bos},
                {"ref_ppl", f->ref_ppl},
                {"cand_ppl", f->cand_ppl},
                {"kl_mean", f->kl_mean},
                {"kl_mean_se", f->kl_mean_se},
                {"kl_median", f->kl_median},
                {"kl_p90", f->kl_p90},
                {"kl_p99", f->kl_p99},
                {"kl_max", f->kl_max},
                {"top1", f->top1},
                {"top1_se", f->top1_se},
                {"ref_seconds", f->ref_seconds},
                {"cand_seconds", f->cand_seconds}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    cJSON_AddNumberToObject(j, number[i].name, number[i].value);
  cli_windows_add_specials(text, j);
  cJSON_AddItemToObject(j, "window_kl", cJSON_CreateDoubleArray(m->window_kl + k * f->chunks, (int)f->chunks));
  return j;
}

/* An object, of several candidates a list of them. */
static void print_json(const models *m, const nb_fidelity_opts *o, const cli_window_text *text) {
  if (m->n == 1) {
    cli_print_json(as_json(m, 0, o, text));
    return;
  }
  cJSON *list = cJSON_CreateArray();
  for (size_t k = 0; k < m->n; k++) cJSON_AddItemToArray(list, as_json(m, k, o, text));
  cli_print_json(list);
}

static nb_status measure(const options *o, const cli_common *common, models *m, nb_err *err) {
  nb_status st;
  const nb_tokenizer *t = m->model[0].tokenizer;
  cli_window_text text = {.n = 0};
  cli_progress p;
  nb_fidelity_opts fo = {.ctx = (size_t)o->ctx, .bos = -1};
  const nb_session_opts so = {.threads = common->threads, .max_tokens = fo.ctx, .cpu_features = common->features};
  NB_GOTO(cli_windows_read(o->text, t, o->special, &text, err));
  NB_GOTO(cli_windows_begin(t, o->bos, &fo.bos, err));
  fo.tokens = text.ids.id, fo.n = text.ids.n;
  size_t windows = text.ids.n / fo.ctx;
  if (o->chunks) windows = nb_min(windows, (size_t)o->chunks);
  fo.max_chunks = nb_max(1, windows);
  NB_GOTO(nb_new(&m->window_kl, m->n * fo.max_chunks, sizeof *m->window_kl, "the windows", err));
  fo.window_kl = m->window_kl;
  const cli_windows seen = {t, text.ids.id, windows, fo.ctx};
  for (size_t i = 0; i <= m->n; i++) {
    const char *kv = i ? o->kv : o->ref_kv;
    nb_fidelity_side *x = &m->side[i];
    *x = (nb_fidelity_side){.model = &m->model[i].model, .kv = m->model[i].kv, .name = m->name[i]};
    if (kv) NB_GOTO(nb_kv_type_parse(kv, &x->kv, err));
    NB_GOTO(nb_session_create(&x->model->config, &so, &x->session, err));
    if (windows) warn_of_length(&m->model[i], m->name[i], fo.ctx);
    if (i) cli_windows_warn_of_vocabulary(m->name[i], &seen);
    NB_GOTO(cli_windows_overlap(&m->model[i], m->name[i], &seen, &m->overlap[i], err));
  }
  nb_progress cb = cli_progress_begin(&p, common, "comparing", "windows");
  fo.progress = &cb;
  st = nb_fidelity_measure(m->side, m->side + 1, m->n, &fo, m->result, err);
  cli_progress_end(&p);
  if (st != NB_OK) goto fail;
  if (common->json) {
    print_json(m, &fo, &text);
  } else {
    print_text(m, &fo, &text);
    if (m->n > 1) print_table(m, fo.ctx);
    else print_one(m->result, fo.ctx);
  }
fail:
  for (size_t i = 0; i <= m->n; i++) nb_session_free(m->side[i].session);
  cli_windows_free(&text);
  return st;
}

static nb_status compare(const options *o, const cli_common *common, const cli_args *args, nb_err *err) {
  nb_status st;
  models m = {.n = (size_t)args->n - 1, .name = args->items};
  NB_GOTO(nb_new(&m.model, m.n + 1, sizeof *m.model, "the models", err));
  NB_GOTO(nb_new(&m.side, m.n + 1, sizeof *m.side, "the models", err));
  NB_GOTO(nb_new(&m.overlap, m.n + 1, sizeof *m.overlap, "the models", err));
  NB_GOTO(nb_new(&m.result, m.n, sizeof *m.result, "the models", err));
  for (size_t i = 0; i <= m.n; i++)
    NB_GOTO(cli_open(m.name[i], i ? NB_OPEN_NO_TOKENIZER : 0, common, &m.model[i], err));
  st = measure(o, common, &m, err);
fail:
  for (size_t i = 0; m.model && i <= m.n; i++) nb_opened_free(&m.model[i]);
  nb_free(m.model), nb_free(m.side), nb_free(m.overlap);
  nb_free(m.result), nb_free(m.window_kl);
  return st;
}

int cmd_kld(int argc, char **argv) {
  options o = {.bos = "auto", .ctx = 512};
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("text", 'f', "FILE", NB_PATH_READ, &o.text, "the text"),
      CLI_INT("ctx", 0, "N", 2, 65536, &o.ctx, "tokens of a window (512); the second half of each is scored"),
      CLI_INT("chunks", 0, "N", 0, 1e9, &o.chunks, "windows at most (0: all)"),
      CLI_CHOICE("bos", 0, "auto|yes|no", &o.bos,
                 "start each window with the begin token (auto: as the tokenizer says)"),
      CLI_WINDOWS_SPECIAL(&o.special),
      CLI_KV(&o.kv, "the candidates' cache"),
      CLI_CHOICE("ref-kv", 0, CLI_KV_TYPES, &o.ref_kv, "the reference's cache"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "kld",
      .args = "REF CAND... --text FILE",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .about =
          "Measures perplexity of all models, the Kullback-Leibler divergence of each CAND from REF, and how often\n"
          "they agree on the most likely token. Each is a .nbl or .gguf file or a checkpoint's directory. Several\n"
          "candidates go through the text together, all of them open, and make one table.",
      .min_args = 2,
      .max_args = CLI_MAX_ITEMS};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_status st = compare(&o, &common, &args, &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
