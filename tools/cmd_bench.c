/* SPDX-License-Identifier: MIT */
/* nibble bench: speed and memory of a model beside the machine's limits; `nibble bench kernels`: each kernel alone. */
#include "base/parallel.h"
#include "eval/bench.h"
#include "eval/bench_first.h"
#include "eval/bench_together.h"
#include "tools/replay.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "base/cpu.h"
#include "formats/mapfile.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
#include "tools/table.h"

#include <cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const double MOST_LEFT = 0.02; /* of a file that counts as cold */

typedef struct options {
  const char *prefill, *decode, *kv, *by_threads, *html, *replay;
  int n, rows, inputs, together, shared, repeat;
  double seconds;
  bool cold;
} options;

typedef struct result {
  nb_bench bench[NB_BENCH_MAX]; /* by number of threads */
  size_t threads[NB_BENCH_MAX], n;
  double load_s;
  nb_bench_first warm, cold;
  double left;       /* cold: the part of the file that was in memory all the same */
  char not_cold[96]; /* why cold says nothing; "": it does, or nobody asked for it */
} result;

/* "128,512,2048", the value of an option. */
static nb_status parse_list(const char *option, const char *text, size_t least, size_t most, size_t *out, size_t *n,
                            nb_err *err) {
  const char *p = text;
  for (*n = 0; *n < NB_BENCH_MAX; p++) {
    char *end;
    long v = strtol(p, &end, 10);
    if (!isdigit((unsigned char)*p) || v < (long)least || v > (long)most) break;
    out[(*n)++] = (size_t)v;
    p = end;
    if (!*p) return NB_OK;
    if (*p != ',') break;
  }
  return nb_fail(err, NB_ERR_ARG, "--%s takes at most %d numbers from %zu to %zu with commas between, not '%s'", option,
                 NB_BENCH_MAX, least, most, text);
}

static int by_length(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

static nb_status measure(const options *o, const cli_common *common, const nb_opened *m, nb_bench_opts *bo, result *r,
                         nb_err *err) {
  nb_status st = NB_OK;
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "measuring", "measurements");
  bo->progress = &cb;
  bo->decode_tokens = (size_t)o->n;
  bo->min_seconds = o->seconds;
  for (size_t i = 0; i < r->n && st == NB_OK; i++) {
    nb_session *s = NULL;
    nb_session_opts so = {.threads = (int)r->threads[i], .cpu_features = common->features};
    cli_progress_detail(&p, "%zu thread%s", r->threads[i], r->threads[i] > 1 ? "s" : "");
    st = nb_session_create(&m->model.config, &so, &s, err);
    if (st == NB_OK) st = nb_bench_run(s, &m->model, bo, &r->bench[i], err);
    nb_session_free(s);
  }
  cli_progress_end(&p);
  return st;
}

/* How long the first token takes: with nothing of the file in memory, where that is asked for and can be had, and with
 * all of it. */
static nb_status measure_first(const options *o, const cli_common *common, const char *path, nb_kv_type kv, result *r,
                               nb_err *err) {
  const nb_session_opts so = {.threads = common->threads, .cpu_features = common->features};
  nb_err why;
  if (o->cold) {
    const nb_status st = nb_mapfile_forget(&r->left, &why);
    if (st != NB_OK) snprintf(r->not_cold, sizeof r->not_cold, "%.95s", why.msg);
    else if (r->left > MOST_LEFT)
      snprintf(r->not_cold, sizeof r->not_cold, "%.0f %% of the file stay in memory, which another program may use",
               100 * r->left);
    else NB_TRY(nb_bench_first_token(path, &so, kv, &r->cold, err));
  }
  for (int i = 0; i < 3; i++) { /* the best; the first may have to read the file */
    nb_bench_first x;
    NB_TRY(nb_bench_first_token(path, &so, kv, &x, err));
    if (!i || x.first_s < r->warm.first_s) r->warm = x;
  }
  return NB_OK;
}

/* What is neither weights nor cache. */
static uint64_t other_bytes(const nb_bench *b) {
  return b->memory.anon_bytes > b->kv_bytes ? b->memory.anon_bytes - b->kv_bytes : 0;
}

/* ---- text ---- */

static void print_rows(cli_table *t, const char *what, int decimals, const char *unit, const nb_bench_row *row,
                       size_t n) {
  for (size_t i = 0; i < n; i++) {
    const nb_bench_row *r = &row[i];
    cli_table_cell(t, "%s %zu", what, r->tokens);
    cli_table_cell(t, "%.*f", decimals, r->per_s);
    cli_table_cell(t, "%.1f %s", r->per_s * r->work / 1e9, unit);
    cli_table_cell(t, "%.1f %%", 100 * nb_bench_fraction(r, false));
    cli_table_cell(t, "%.1f %%", 100 * nb_bench_fraction(r, true));
  }
}

/* By nb_peak_unit: in words, and in JSON. */
static const struct {
  const char *text, *name;
} units[NB_PEAK_UNITS] = {
    {"G int8 multiply-adds/s", "int8_macs"}, {"G float multiply-adds/s", "f32_macs"}, {"GB/s read", "read_bytes"}};

static void print_faults(const char *what, const nb_bench_row *row, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (nb_bench_fault(&row[i]))
      printf("fault of the measurement: %s %zu is above its limit, which was higher in between: measure again\n", what,
             row[i].tokens);
}

static void print_run(size_t threads, const nb_bench_opts *o, const nb_bench *x) {
  char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], d[CLI_TEXT], loop[128];
  printf("\n%zu thread%s; this machine's limits:\n", threads, threads > 1 ? "s" : "");
  for (int u = 0; u < NB_PEAK_UNITS; u++) {
    nb_limit_describe(&x->limits[u], (int)threads, loop);
    printf("%.1f %s (%s)\n", x->limits[u].per_s / 1e9, units[u].text, loop);
  }
  cli_table t;
  cli_table_begin(&t, "lrrrr");
  const char *head[] = {"", "tokens/s", "reached", "of the limit", "with attention"};
  for (int i = 0; i < 5; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  print_rows(&t, "prompt of", 1, "GMAC/s", x->prefill, o->n_prefill);
  print_rows(&t, "decode after", 2, "GB/s", x->decode, o->n_context);
  cli_table_end(&t, stdout);
  print_faults("prompt of", x->prefill, o->n_prefill);
  print_faults("decode after", x->decode, o->n_context);
  printf("memory: %s of the file's pages, %s cache, %s else, %s together\n", nb_bytes_text(a, x->memory.file_bytes),
         nb_bytes_text(b, x->kv_bytes), nb_bytes_text(c, other_bytes(x)), nb_bytes_text(d, x->memory.peak_bytes));
}

static void print_text(const nb_opened *m, const nb_kernels *k, const nb_bench_opts *o, const result *r) {
  char cpu[128], a[CLI_TEXT], b[CLI_TEXT];
  const nb_bench *x = &r->bench[0];
  nb_cpu_name(cpu);
  printf("%s, kernels %s, nibble %s, compiled by %s\n", cpu, k->name, NB_VERSION, __VERSION__);
  printf("model: %s, %.3f G weights a prompt token, %s a decoded token, cache %s of %.0f bytes a position; opened in "
         "%.1f ms\n",
         nb_bytes_text(a, m->file_bytes), x->macs_per_token / 1e9, nb_bytes_text(b, (uint64_t)x->bytes_per_token),
         nb_kv_type_name(o->kv), x->kv_bytes_per_position, 1e3 * r->load_s);
  printf("first token of a prompt of %zu: after %.3f s, %.1f ms of them for opening", r->warm.tokens, r->warm.first_s,
         1e3 * r->warm.open_s);
  if (r->cold.tokens)
    printf("; with %.1f %% of the file in memory after %.3f s, %.1f ms", 100 * r->left, r->cold.first_s,
           1e3 * r->cold.open_s);
  printf("\n");
  if (*r->not_cold) printf("not measured cold: %s\n", r->not_cold);
  for (size_t i = 0; i < r->n; i++) print_run(r->threads[i], o, &r->bench[i]);
}

/* ---- JSON and the page ---- */

typedef struct number {
  const char *name;
  double value;
} number;

static void add_numbers(cJSON *j, const number *x, size_t n) {
  for (size_t i = 0; i < n; i++) cJSON_AddNumberToObject(j, x[i].name, x[i].value);
}

/* A limit, and the loop that it is of. */
static void add_limit(cJSON *j, const char *name, const nb_limit *l) {
  const nb_peak *p = l->loop;
  const number x[] = {{"per_s", l->per_s},
                      {"clock_hz", l->clock_hz},
                      {p->macs ? "chains" : "streams", p->chains},
                      {"bytes_asked_ahead", p->ahead},
                      {"bytes", (double)l->bytes}};
  cJSON *e = cJSON_AddObjectToObject(j, name);
  cJSON_AddStringToObject(e, "instruction", p->instruction);
  add_numbers(e, x, p->macs ? 3 : 5);
  if (!p->macs) cJSON_AddBoolToObject(e, "huge_pages", l->huge);
}

static void add_rows(cJSON *j, const char *name, const nb_bench_row *row, size_t n) {
  cJSON *list = cJSON_AddArrayToObject(j, name);
  for (size_t i = 0; i < n; i++) {
    const nb_bench_row *r = &row[i];
    const number x[] = {{"tokens", (double)r->tokens},
                        {"tokens_per_s", r->per_s},
                        {"fraction", nb_bench_fraction(r, false)},
                        {"fraction_with_attention", nb_bench_fraction(r, true)}};
    cJSON *e = cJSON_CreateObject();
    add_numbers(e, x, sizeof x / sizeof *x);
    cJSON_AddBoolToObject(e, "fault", nb_bench_fault(r));
    add_limit(e, "limit", &r->limit);
    cJSON_AddItemToArray(list, e);
  }
}

static cJSON *run_json(size_t threads, const nb_bench_opts *o, const nb_bench *b) {
  cJSON *j = cJSON_CreateObject();
  const number x[] = {{"threads", (double)threads},
                      {"memory_file_bytes", (double)b->memory.file_bytes},
                      {"memory_kv_bytes", (double)b->kv_bytes},
                      {"memory_other_bytes", (double)other_bytes(b)},
                      {"memory_peak_bytes", (double)b->memory.peak_bytes}};
  add_numbers(j, x, sizeof x / sizeof *x);
  cJSON *limits = cJSON_AddObjectToObject(j, "limits");
  for (int u = 0; u < NB_PEAK_UNITS; u++) add_limit(limits, units[u].name, &b->limits[u]);
  add_rows(j, "prefill", b->prefill, o->n_prefill);
  add_rows(j, "decode", b->decode, o->n_context);
  return j;
}

static void add_first(cJSON *j, const result *r) {
  const number warm[] = {{"tokens", (double)r->warm.tokens}, {"open_s", r->warm.open_s}, {"first_s", r->warm.first_s}};
  const number cold[] = {{"in_memory", r->left}, {"open_s", r->cold.open_s}, {"first_s", r->cold.first_s}};
  cJSON *first = cJSON_AddObjectToObject(j, "first_token");
  add_numbers(first, warm, sizeof warm / sizeof *warm);
  if (r->cold.tokens) add_numbers(cJSON_AddObjectToObject(first, "cold"), cold, sizeof cold / sizeof *cold);
  if (*r->not_cold) cJSON_AddStringToObject(first, "not_measured_cold", r->not_cold);
}

static cJSON *make_json(const char *path, const nb_opened *m, const nb_kernels *k, const nb_bench_opts *o,
                        const result *r) {
  char cpu[128];
  const nb_bench *b = &r->bench[0];
  const number x[] = {{"file_bytes", (double)m->file_bytes},
                      {"load_ms", 1e3 * r->load_s},
                      {"macs_per_token", b->macs_per_token},
                      {"bytes_per_token", b->bytes_per_token},
                      {"kv_bytes_per_position", b->kv_bytes_per_position}};
  cJSON *j = cJSON_CreateObject();
  nb_cpu_name(cpu);
  cJSON_AddStringToObject(j, "nibble", NB_VERSION);
  cJSON_AddStringToObject(j, "compiler", __VERSION__);
  cJSON_AddStringToObject(j, "cpu", cpu);
  cJSON_AddStringToObject(j, "kernels", k->name);
  cJSON_AddStringToObject(j, "model", path);
  cJSON_AddStringToObject(j, "kv", nb_kv_type_name(o->kv));
  add_numbers(j, x, sizeof x / sizeof *x);
  add_first(j, r);
  cJSON *runs = cJSON_AddArrayToObject(j, "runs");
  for (size_t i = 0; i < r->n; i++) cJSON_AddItemToArray(runs, run_json(r->threads[i], o, &r->bench[i]));
  return j;
}

static nb_status bench_model(const options *o, const cli_common *common, const char *path, nb_err *err) {
  nb_opened m = {0};
  nb_bench_opts bo = {0};
  result r = {.threads = {(size_t)common->threads}, .n = 1};
  NB_TRY(parse_list("prefill", o->prefill, 1, NB_MAX_POSITION, bo.prefill, &bo.n_prefill, err));
  NB_TRY(parse_list("decode", o->decode, 0, NB_MAX_POSITION, bo.context, &bo.n_context, err));
  if (o->by_threads) NB_TRY(parse_list("by-threads", o->by_threads, 1, NB_MAX_THREADS, r.threads, &r.n, err));
  qsort(bo.context, bo.n_context, sizeof *bo.context, by_length);
  double start = cli_clock();
  nb_status st = cli_open(path, 0, common, &m, err);
  r.load_s = cli_clock() - start;
  bo.kv = m.kv;
  if (st == NB_OK && o->kv) st = nb_kv_type_parse(o->kv, &bo.kv, err);
  if (st == NB_OK) st = measure_first(o, common, path, bo.kv, &r, err);
  if (st == NB_OK) st = measure(o, common, &m, &bo, &r, err);
  if (st == NB_OK) {
    nb_kernels k = nb_kernels_select(common->features);
    cJSON *j = make_json(path, &m, &k, &bo, &r);
    if (o->html) st = cli_save_page(o->html, "bench", j, err);
    if (st == NB_OK && !common->json) print_text(&m, &k, &bo, &r);
    if (st == NB_OK && common->json) cli_print_json(j);
    else cJSON_Delete(j);
  }
  nb_opened_free(&m);
  return st;
}

/* ---- kernels ---- */

static void add_timing(const char *table, const nb_kernel_timing *x, cli_table *t, cJSON *list) {
  double per_s = x->work / x->seconds, fraction = per_s / x->limit.per_s;
  cJSON *e = cJSON_CreateObject();
  cJSON_AddStringToObject(e, "kernels", table);
  cJSON_AddStringToObject(e, "kernel", x->kernel);
  cJSON_AddNumberToObject(e, "tokens", (double)x->tokens);
  cJSON_AddNumberToObject(e, "seconds", x->seconds);
  cJSON_AddNumberToObject(e, x->bytes ? "bytes_per_s" : "macs_per_s", per_s);
  cJSON_AddNumberToObject(e, "fraction", fraction);
  cJSON_AddBoolToObject(e, "fault", fraction > 1);
  add_limit(e, "limit", &x->limit);
  cJSON_AddItemToArray(list, e);
  cli_table_cell(t, "%s", table);
  cli_table_cell(t, "%s", x->kernel);
  cli_table_cell(t, "%zu", x->tokens);
  cli_table_cell(t, "%.1f", 1e6 * x->seconds);
  cli_table_cell(t, "%.1f %s", per_s / 1e9, x->bytes ? "GB/s" : "GMAC/s");
  cli_table_cell(t, "%.1f %%%s", 100 * fraction, fraction > 1 ? " (fault)" : "");
}

/* Every table that the processor allows, one after another. */
static nb_status bench_kernels(const options *o, const cli_common *common, nb_err *err) {
  nb_kernels tables[NB_KERNEL_SETS];
  size_t n_tables = nb_kernels_all(common->features, tables), n;
  nb_kernel_timing timing[NB_KERNEL_TIMINGS];
  cJSON *j = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(j, "timings");
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "measuring", "kernels");
  nb_status st = NB_OK;
  cli_table t;
  cli_table_begin(&t, "llrrrr");
  const char *head[] = {"kernels", "kernel", "tokens", "us a call", "reached", "of the limit"};
  for (int i = 0; i < 6; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = n_tables > 1; i < n_tables && st == NB_OK; i++) { /* the plain C ones are only for comparing bits */
    cli_progress_detail(&p, "%s", tables[i].name);
    st = nb_bench_kernels(&tables[i], (size_t)o->rows, (size_t)o->inputs, &cb, timing, &n, err);
    for (size_t k = 0; k < n && st == NB_OK; k++) add_timing(tables[i].name, &timing[k], &t, list);
  }
  cli_progress_end(&p);
  cli_table_end(&t, st == NB_OK && !common->json ? stdout : NULL);
  if (st == NB_OK && common->json) cli_print_json(j);
  else cJSON_Delete(j);
  return st;
}

/* Many texts at once, after each of the contexts. */
static nb_status bench_together(const options *o, const cli_common *common, const char *name, nb_err *err) {
  nb_opened m = {0};
  nb_session *s = NULL;
  nb_kv_type kv;
  size_t context[NB_BENCH_MAX], n_context = 0;
  nb_session_opts so = {.threads = common->threads, .cpu_features = common->features};
  cJSON *j = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(j, "together");
  nb_status st;
  NB_GOTO(parse_list("decode", o->decode, 0, NB_MAX_POSITION, context, &n_context, err));
  NB_GOTO(cli_open(name, 0, common, &m, err));
  kv = m.kv;
  if (o->kv) NB_GOTO(nb_kv_type_parse(o->kv, &kv, err));
  NB_GOTO(nb_session_create(&m.model.config, &so, &s, err));
  for (size_t i = 0; i < n_context; i++) {
    nb_bench_together b;
    char bytes[CLI_TEXT];
    size_t shared = context[i] < (size_t)o->shared ? context[i] : (size_t)o->shared;
    const nb_bench_together_opts how = {kv, (size_t)o->together, context[i], shared, (size_t)o->n};
    NB_GOTO(nb_bench_together_run(s, &m.model, &how, &b, err));
    const number x[] = {{"texts", o->together},
                        {"context", (double)context[i]},
                        {"shared", (double)shared},
                        {"prompt_per_s", b.prompt_per_s},
                        {"written_per_s", b.written_per_s},
                        {"fraction", b.written_per_s / b.prompt_per_s}};
    cJSON *e = cJSON_CreateObject();
    add_numbers(e, x, sizeof x / sizeof *x);
    cJSON_AddItemToArray(list, e);
    if (!common->json)
      printf("%d texts after %zu tokens (%zu in common): %.1f tokens/s written, %.1f as a prompt, %.0f %%; caches %s\n",
             o->together, context[i], shared, b.written_per_s, b.prompt_per_s, 100 * b.written_per_s / b.prompt_per_s,
             nb_bytes_text(bytes, b.kv_bytes));
  }
  if (common->json) cli_print_json(j), j = NULL;
fail:
  cJSON_Delete(j);
  nb_session_free(s);
  nb_opened_free(&m);
  return st;
}

int cmd_bench(int argc, char **argv) {
  options o = {.prefill = "128,512,2048",
               .decode = "0,512,2048",
               .n = 16,
               .rows = 3072,
               .inputs = 3072,
               .repeat = 3,
               .seconds = 1};
  const cli_opt opts[] = {
      CLI_STRING("prefill", 0, "N,N", &o.prefill, "prompts' lengths (128,512,2048)"),
      CLI_STRING("decode", 0, "N,N", &o.decode, "tokens in the cache before decoding (0,512,2048)"),
      CLI_INT("tokens", 'n', "N", 1, 4096, &o.n, "tokens decoded at each (16)"),
      CLI_DOUBLE("seconds", 0, "S", 0, 3600, &o.seconds, "repeat short measurements for so long; the best counts (1)"),
      CLI_KV(&o.kv, "the cache"),
      CLI_STRING("by-threads", 0, "N,N", &o.by_threads, "measure with each of these numbers of threads"),
      CLI_PATH("html", 0, "FILE", NB_FILE_PAGE, &o.html, "write a page that draws the speeds by prompt and context"),
      CLI_FLAG("cold", 0, &o.cold,
               "the first token also with nothing of the file in memory (the system drops its pages)"),
      CLI_INT("together", 0, "N", 1, 512, &o.together, "instead: N texts at once, beside a prompt of N tokens"),
      CLI_INT("shared", 0, "N", 0, 1 << 20, &o.shared,
              "with --together: tokens of the contexts that all have in common"),
      CLI_PATH("replay", 0, "FILE", NB_PATH_READ, &o.replay,
               "instead: how fast its answers are written with guesses of the next tokens and without"),
      CLI_INT("repeat", 0, "N", 1, 1000, &o.repeat, "with --replay: times each way; the best counts (3)"),
      CLI_INT("rows", 0, "N", 16, 1 << 20, &o.rows, "kernels: rows of the matrices (3072)"),
      CLI_INT("inputs", 0, "K", 32, 1 << 17, &o.inputs, "kernels: their inputs (3072)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "bench",
      .args = "MODEL | kernels",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .about =
          "Times prompts and decoding of a model beside this machine's limits (read bandwidth, int8 multiply-adds),\n"
          "measured in the same run; or, with the word `kernels`, each kernel alone on one thread.",
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.html && !strcmp(args.items[0], "kernels"))
    return cli_usage(&cmd, "--html draws a model's speeds, not kernels'");
  nb_err err;
  const replay_opts replay = {args.items[0], o.replay, o.kv, o.repeat};
  nb_status st = o.replay                           ? replay_texts(&replay, &common, &err)
                 : o.together                       ? bench_together(&o, &common, args.items[0], &err)
                 : strcmp(args.items[0], "kernels") ? bench_model(&o, &common, args.items[0], &err)
                                                    : bench_kernels(&o, &common, &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
