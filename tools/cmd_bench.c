/* SPDX-License-Identifier: MIT */
/* nibble bench: speed and memory of a model beside the machine's limits; `nibble bench kernels`: each kernel alone. */
#include "bench.h"
#include "cli.h"
#include "commands.h"
#include "cpu.h"
#include "memory.h"
#include "open.h"
#include "progress_cli.h"
#include "table.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
  const char *prefill, *decode, *kv;
  int n, rows, inputs;
  double seconds;
} options;

typedef struct result {
  nb_limits limits;
  nb_bench bench;
  double load_s;
  nb_memory memory;
} result;

/* "128,512,2048" */
static nb_status parse_lengths(const char *text, size_t *out, size_t *n, bool zero, nb_err *err) {
  const char *p = text;
  for (*n = 0; *n < NB_BENCH_MAX; p++) {
    char *end;
    long v = strtol(p, &end, 10);
    if (end == p || v < (zero ? 0 : 1) || v > NB_MAX_POSITION) break;
    out[(*n)++] = (size_t)v;
    p = end;
    if (!*p) return NB_OK;
    if (*p != ',') break;
  }
  return nb_fail(err, NB_ERR_ARG, "'%s' is not a list of at most %d lengths, like 128,512", text, NB_BENCH_MAX);
}

static int by_length(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

static nb_status measure(const options *o, const cli_common *common, const nb_opened *m, nb_bench_opts *bo, result *r,
                         nb_err *err) {
  nb_session *s = NULL;
  nb_session_opts so = {.threads = common->threads, .cpu_features = common->features};
  NB_TRY(nb_session_create(&m->model.config, &so, &s, err));
  nb_status st = nb_bench_limits(nb_session_kernels(s), common->threads, &r->limits, err);
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "measuring", "measurements");
  bo->progress = &cb;
  bo->decode_tokens = (size_t)o->n;
  bo->min_seconds = o->seconds;
  if (st == NB_OK) st = nb_bench_run(s, &m->model, bo, &r->bench, err);
  cli_progress_end(&p);
  nb_memory_read(&r->memory);
  nb_session_free(s);
  return st;
}

static void print_text(const nb_opened *m, const nb_kernels *k, int threads, const nb_bench_opts *o, const result *r) {
  char cpu[128], a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT];
  const nb_limits *l = &r->limits;
  const nb_bench *x = &r->bench;
  double peak = m->coded ? l->int8_macs_per_s : l->f32_macs_per_s;
  nb_cpu_name(cpu);
  printf("%s, %d thread%s, kernels %s, nibble %s\n", cpu, threads, threads > 1 ? "s" : "", k->name, NB_VERSION);
  printf("limits: %.1f GB/s read, %.1f G int8 and %.1f G float multiply-adds/s\n", l->read_bytes_per_s / 1e9,
         l->int8_macs_per_s / 1e9, l->f32_macs_per_s / 1e9);
  printf("model: %s, %.3f G weights a prompt token, %s a decoded token, cache %s of %.0f bytes a position; opened in "
         "%.1f ms\n\n",
         cli_bytes_text(a, m->file_bytes), x->macs_per_token / 1e9, cli_bytes_text(b, (uint64_t)x->bytes_per_token),
         nb_kv_type_name(o->kv), x->kv_bytes_per_position, 1e3 * r->load_s);
  cli_table t;
  cli_table_begin(&t, "lrrrr");
  const char *head[] = {"", "tokens/s", "reached", "of the limit", "with attention"};
  for (int i = 0; i < 5; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i < o->n_prefill; i++) {
    double macs = x->prefill_per_s[i] * x->macs_per_token;
    cli_table_cell(&t, "prompt of %zu", o->prefill[i]);
    cli_table_cell(&t, "%.1f", x->prefill_per_s[i]);
    cli_table_cell(&t, "%.1f GMAC/s", macs / 1e9);
    cli_table_cell(&t, "%.1f %%", 100 * macs / peak);
    cli_table_cell(&t, "%.1f GMAC/s", x->prefill_per_s[i] * (x->macs_per_token + x->attention_macs[i]) / 1e9);
  }
  for (size_t i = 0; i < o->n_context; i++) {
    double bytes = x->decode_per_s[i] * x->bytes_per_token,
           kv = x->decode_per_s[i] * x->kv_bytes_per_position * (double)o->context[i];
    cli_table_cell(&t, "decode after %zu", o->context[i]);
    cli_table_cell(&t, "%.2f", x->decode_per_s[i]);
    cli_table_cell(&t, "%.1f GB/s", bytes / 1e9);
    cli_table_cell(&t, "%.1f %%", 100 * bytes / l->read_bytes_per_s);
    cli_table_cell(&t, "%.1f GB/s", (bytes + kv) / 1e9);
  }
  cli_table_end(&t, stdout);
  printf("\nmemory: %s file-backed, %s anonymous, peak %s\n", cli_bytes_text(a, r->memory.file_bytes),
         cli_bytes_text(b, r->memory.anon_bytes), cli_bytes_text(c, r->memory.peak_bytes));
}

static void print_json(const nb_opened *m, const nb_kernels *k, int threads, const nb_bench_opts *o, const result *r) {
  char cpu[128];
  cJSON *j = cJSON_CreateObject(), *list;
  nb_cpu_name(cpu);
  cJSON_AddStringToObject(j, "nibble", NB_VERSION);
  cJSON_AddStringToObject(j, "cpu", cpu);
  cJSON_AddStringToObject(j, "kernels", k->name);
  cJSON_AddStringToObject(j, "kv", nb_kv_type_name(o->kv));
  const struct { const char *name; double value; } number[] = {
      {"threads", threads}, {"file_bytes", (double)m->file_bytes}, {"load_ms", 1e3 * r->load_s},
      {"read_bytes_per_s", r->limits.read_bytes_per_s}, {"int8_macs_per_s", r->limits.int8_macs_per_s},
      {"f32_macs_per_s", r->limits.f32_macs_per_s}, {"macs_per_token", r->bench.macs_per_token},
      {"bytes_per_token", r->bench.bytes_per_token}, {"kv_bytes_per_position", r->bench.kv_bytes_per_position},
      {"memory_file_bytes", (double)r->memory.file_bytes}, {"memory_anon_bytes", (double)r->memory.anon_bytes},
      {"memory_peak_bytes", (double)r->memory.peak_bytes}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    cJSON_AddNumberToObject(j, number[i].name, number[i].value);
  list = cJSON_AddArrayToObject(j, "prefill");
  double peak = m->coded ? r->limits.int8_macs_per_s : r->limits.f32_macs_per_s;
  for (size_t i = 0; i < o->n_prefill; i++) {
    cJSON *e = cJSON_CreateObject();
    cJSON_AddNumberToObject(e, "tokens", (double)o->prefill[i]);
    cJSON_AddNumberToObject(e, "tokens_per_s", r->bench.prefill_per_s[i]);
    cJSON_AddNumberToObject(e, "fraction", r->bench.prefill_per_s[i] * r->bench.macs_per_token / peak);
    cJSON_AddNumberToObject(e, "attention_macs_per_token", r->bench.attention_macs[i]);
    cJSON_AddItemToArray(list, e);
  }
  list = cJSON_AddArrayToObject(j, "decode");
  for (size_t i = 0; i < o->n_context; i++) {
    cJSON *e = cJSON_CreateObject();
    cJSON_AddNumberToObject(e, "context", (double)o->context[i]);
    cJSON_AddNumberToObject(e, "tokens_per_s", r->bench.decode_per_s[i]);
    cJSON_AddNumberToObject(e, "fraction",
                            r->bench.decode_per_s[i] * r->bench.bytes_per_token / r->limits.read_bytes_per_s);
    cJSON_AddItemToArray(list, e);
  }
  cli_print_json(j);
}

static nb_status bench_model(const options *o, const cli_common *common, const char *path, nb_err *err) {
  nb_opened m = {0};
  nb_bench_opts bo = {0};
  result r = {0};
  NB_TRY(parse_lengths(o->prefill, bo.prefill, &bo.n_prefill, false, err));
  NB_TRY(parse_lengths(o->decode, bo.context, &bo.n_context, true, err));
  qsort(bo.context, bo.n_context, sizeof *bo.context, by_length);
  double start = cli_clock();
  nb_status st = nb_open(path, 0, common->threads, &m, err);
  r.load_s = cli_clock() - start;
  bo.kv = m.kv;
  if (st == NB_OK && o->kv) st = nb_kv_type_parse(o->kv, &bo.kv, err);
  if (st == NB_OK) st = measure(o, common, &m, &bo, &r, err);
  if (st == NB_OK) {
    nb_kernels k = nb_kernels_select(common->features);
    (common->json ? print_json : print_text)(&m, &k, common->threads, &bo, &r);
  }
  nb_close(&m);
  return st;
}

/* Every table that the processor allows, one after another. */
static nb_status bench_kernels(const options *o, const cli_common *common, nb_err *err) {
  nb_kernels tables[8];
  size_t n_tables = nb_kernels_all(common->features, tables), n;
  nb_kernel_timing timing[NB_KERNEL_TIMINGS];
  cJSON *list = cJSON_CreateArray();
  cli_table t;
  cli_table_begin(&t, "llrrrr");
  const char *head[] = {"kernels", "kernel", "tokens", "us a call", "reached", "of the limit"};
  for (int i = 0; i < 6; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = n_tables > 1; i < n_tables; i++) { /* the plain C ones are only for comparing bits */
    NB_TRY(nb_bench_kernels(&tables[i], (size_t)o->rows, (size_t)o->inputs, timing, &n, err));
    for (size_t j = 0; j < n; j++) {
      const nb_kernel_timing *x = &timing[j];
      double per_s = x->work / x->seconds;
      cJSON *e = cJSON_CreateObject();
      cJSON_AddStringToObject(e, "kernels", tables[i].name);
      cJSON_AddStringToObject(e, "kernel", x->kernel);
      cJSON_AddNumberToObject(e, "tokens", (double)x->tokens);
      cJSON_AddNumberToObject(e, "seconds", x->seconds);
      cJSON_AddNumberToObject(e, x->bytes ? "bytes_per_s" : "macs_per_s", per_s);
      cJSON_AddNumberToObject(e, "fraction", per_s / x->limit);
      cJSON_AddItemToArray(list, e);
      cli_table_cell(&t, "%s", tables[i].name);
      cli_table_cell(&t, "%s", x->kernel);
      cli_table_cell(&t, "%zu", x->tokens);
      cli_table_cell(&t, "%.1f", 1e6 * x->seconds);
      cli_table_cell(&t, "%.1f %s", per_s / 1e9, x->bytes ? "GB/s" : "GMAC/s");
      cli_table_cell(&t, "%.1f %%", 100 * per_s / x->limit);
    }
  }
  cli_table_end(&t, common->json ? stderr : stdout);
  if (!common->json) {
    cJSON_Delete(list);
    return NB_OK;
  }
  cJSON *j = cJSON_CreateObject();
  cJSON_AddItemToObject(j, "timings", list);
  cli_print_json(j);
  return NB_OK;
}

int cmd_bench(int argc, char **argv) {
  options o = {.prefill = "128,512,2048", .decode = "0,512,2048", .n = 16, .rows = 3072, .inputs = 3072, .seconds = 1};
  const cli_opt opts[] = {
      CLI_STRING("prefill", 0, "N,N", &o.prefill, "prompts' lengths (128,512,2048)"),
      CLI_STRING("decode", 0, "N,N", &o.decode, "tokens in the cache before decoding (0,512,2048)"),
      CLI_INT("tokens", 'n', "N", 1, 4096, &o.n, "tokens decoded at each (16)"),
      CLI_DOUBLE("seconds", 0, "S", 0, 3600, &o.seconds, "repeat short measurements for so long; the best counts (1)"),
      CLI_CHOICE("kv", 0, "f32|f16|q8", &o.kv, "the cache (f16 for .nbl files, f32 for checkpoints)"),
      CLI_INT("rows", 0, "N", 16, 1 << 20, &o.rows, "kernels: rows of the matrices (3072)"),
      CLI_INT("inputs", 0, "K", 32, 1 << 17, &o.inputs, "kernels: their inputs (3072)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "bench",
      .args = "MODEL | kernels",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU,
      .about =
          "Times prompts and decoding of a model beside this machine's limits (read bandwidth, int8 multiply-adds),\n"
          "measured in the same run; or, with the word `kernels`, each kernel alone on one thread.",
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_status st = strcmp(args.items[0], "kernels") ? bench_model(&o, &common, args.items[0], &err)
                                                  : bench_kernels(&o, &common, &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
