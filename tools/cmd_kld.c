/* SPDX-License-Identifier: MIT */
/* nibble kld: how far a model is from its reference, over a text. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "eval/fidelity.h"
#include "base/mem.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
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

static void print_text(const nb_fidelity *f, const nb_fidelity_opts *o, const cli_window_text *text) {
  printf("%zu window%s of %zu tokens, %zu predictions scored\n", f->chunks, f->chunks > 1 ? "s" : "", o->ctx,
         f->scored);
  cli_windows_print_specials(text);
  printf("\n");
  printf("perplexity     reference %.4f   candidate %.4f   (ratio %.4f)\n", f->ref_ppl, f->cand_ppl,
         f->cand_ppl / f->ref_ppl);
  printf("KL divergence  mean %.5f", f->kl_mean);
  print_error(5, f->kl_mean_se);
  printf("   median %.5f   90 %% %.4f   99 %% %.4f   max %.3f\n", f->kl_median, f->kl_p90, f->kl_p99, f->kl_max);
  printf("same top token %.3f %%", 100 * f->top1);
  print_error(3, 100 * f->top1_se);
  printf("\n");
  printf("tokens/s       reference %.1f   candidate %.1f\n", (double)(f->chunks * o->ctx) / f->ref_seconds,
         (double)(f->chunks * o->ctx) / f->cand_seconds);
}

static cJSON *as_json(const nb_fidelity *f, const nb_fidelity_opts *o, const char *names[2], const size_t overlap[2],
                      const cli_window_text *text) {
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "reference", names[0]);
  cJSON_AddStringToObject(j, "candidate", names[1]);
  cJSON_AddNumberToObject(j, "ref_calibrated_on", (double)overlap[0]);
  cJSON_AddNumberToObject(j, "calibrated_on", (double)overlap[1]);
  const struct {
    const char *name;
    double value;
  } number[] = {{"ctx", (double)o->ctx},
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
  cJSON_AddItemToObject(j, "window_kl", cJSON_CreateDoubleArray(o->window_kl, (int)f->chunks));
  return j;
}

static nb_status measure(const options *o, const cli_common *common, nb_opened *ref, nb_opened *cand,
                         const char *names[2], nb_err *err) {
  nb_status st;
  nb_session *s[2] = {NULL, NULL};
  cli_window_text text = {.n = 0};
  cli_progress p;
  nb_fidelity result;
  size_t overlap[2];
  nb_fidelity_opts fo = {.ctx = (size_t)o->ctx, .max_chunks = (size_t)o->chunks, .bos = -1};
  nb_kv_type kv[2] = {ref->kv, cand->kv};
  nb_session_opts so = {.threads = common->threads, .max_tokens = (size_t)o->ctx, .cpu_features = common->features};
  if (o->ref_kv) NB_TRY(nb_kv_type_parse(o->ref_kv, &kv[0], err));
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &kv[1], err));
  NB_GOTO(cli_windows_read(o->text, ref->tokenizer, o->special, &text, err));
  NB_GOTO(cli_windows_begin(ref->tokenizer, o->bos, &fo.bos, err));
  size_t whole = nb_max(1, text.ids.n / fo.ctx);
  fo.max_chunks = fo.max_chunks ? nb_min(fo.max_chunks, whole) : whole;
  NB_GOTO(nb_new(&fo.window_kl, fo.max_chunks, sizeof *fo.window_kl, "the windows", err));
  NB_GOTO(nb_session_create(&ref->model.config, &so, &s[0], err));
  NB_GOTO(nb_session_create(&cand->model.config, &so, &s[1], err));
  size_t windows = text.ids.n / fo.ctx;
  if (fo.max_chunks) windows = nb_min(windows, fo.max_chunks);
  const nb_opened *model[] = {ref, cand};
  for (int i = 0; i < 2 && windows; i++) warn_of_length(model[i], names[i], fo.ctx);
  const cli_windows seen = {ref->tokenizer, text.ids.id, windows, fo.ctx};
  cli_windows_warn_of_vocabulary(names[1], &seen);
  for (int i = 0; i < 2; i++) NB_GOTO(cli_windows_overlap(model[i], names[i], &seen, &overlap[i], err));
  nb_progress cb = cli_progress_begin(&p, common, "comparing", "windows");
  fo.progress = &cb;
  const nb_fidelity_side a = {s[0], &ref->model, kv[0]}, b = {s[1], &cand->model, kv[1]};
  st = nb_fidelity_measure(&a, &b, text.ids.id, text.ids.n, &fo, &result, err);
  cli_progress_end(&p);
  if (st != NB_OK) goto fail;
  if (common->json) cli_print_json(as_json(&result, &fo, names, overlap, &text));
  else print_text(&result, &fo, &text);
fail:
  nb_session_free(s[0]);
  nb_session_free(s[1]);
  nb_free(fo.window_kl);
  cli_windows_free(&text);
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
      CLI_KV(&o.kv, "the candidate's cache"),
      CLI_CHOICE("ref-kv", 0, CLI_KV_TYPES, &o.ref_kv, "the reference's cache"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "kld",
      .args = "REF CAND --text FILE",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU,
      .about =
          "Measures perplexity of both models, the Kullback-Leibler divergence of CAND from REF, and how often they\n"
          "agree on the most likely token. Each is a .nbl file or a checkpoint's directory.",
      .min_args = 2,
      .max_args = 2};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_opened ref = {0}, cand = {0};
  nb_status st = cli_open(args.items[0], 0, &common, &ref, &err);
  if (st == NB_OK) st = cli_open(args.items[1], NB_OPEN_NO_TOKENIZER, &common, &cand, &err);
  if (st == NB_OK) st = measure(&o, &common, &ref, &cand, (const char *[]){args.items[0], args.items[1]}, &err);
  nb_opened_free(&ref);
  nb_opened_free(&cand);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
