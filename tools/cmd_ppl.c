/* SPDX-License-Identifier: MIT */
/* nibble ppl: how well one model predicts a text. */
#include "base/mem.h"
#include "eval/perplexity.h"
#include "formats/open.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"
#include "tools/windows.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>

typedef struct options {
  const char *text, *bos, *kv;
  int ctx, stride, windows, batch;
  bool special; /* their names in the text are the tokens, not text */
  bool each;    /* the tokens' log-probs, too */
} options;

/* What the sums are divided by, of the part of the text that was predicted. */
typedef struct sizes {
  size_t bytes, words;
} sizes;

/* Words are what lies between runs of white space, as lm-evaluation-harness counts them; n bytes of text. */
static size_t count_words(const char *text, size_t n) {
  size_t words = 1;
  for (size_t i = 0; i < n; i++) {
    bool blank = strchr(" \t\n\v\f\r", text[i]) && text[i];
    words += blank && (i + 1 == n || !strchr(" \t\n\v\f\r", text[i + 1]) || !text[i + 1]);
  }
  return words;
}

/* All of the text where all of its tokens were predicted, else that share of it which their texts have. */
static nb_status measure_text(const nb_tokenizer *t, const sizes *whole, const nb_ids *ids, const nb_perplexity *p,
                              bool first_too, sizes *out, nb_err *err) {
  nb_text all = {0}, part = {0};
  nb_status st = NB_OK;
  *out = *whole;
  if (first_too && p->end == ids->n) return NB_OK;
  size_t from = first_too ? 0 : 1;
  NB_GOTO(nb_tokenizer_decode(t, ids->id, ids->n, false, &all, err));
  NB_GOTO(nb_tokenizer_decode(t, ids->id + from, p->end - from, false, &part, err));
  double share = all.n ? (double)part.n / (double)all.n : 1;
  out->bytes = (size_t)(share * (double)whole->bytes + 0.5), out->words = part.n ? count_words(part.s, part.n) : 1;
fail:
  nb_text_free(&all), nb_text_free(&part);
  return st;
}

/* Everything that is said of it. */
typedef struct measured {
  nb_perplexity p;
  sizes z;
  int32_t bos;
  size_t overlap; /* windows that the model was calibrated on */
  double *each;   /* (p.scored) or NULL */
  cli_window_text text;
} measured;

static void report(const options *o, bool json, const char *name, const measured *m) {
  const nb_perplexity *p = &m->p;
  const sizes *z = &m->z;
  double mean = p->nll / (double)p->scored, ppl = exp(mean), bits = p->nll / log(2) / (double)nb_max(z->bytes, 1);
  double word = exp(p->nll / (double)z->words), per_s = (double)p->scored / p->seconds;
  double low = exp(mean - 1.96 * p->nll_se), high = exp(mean + 1.96 * p->nll_se);
  if (!json) {
    printf("%zu window%s of %d tokens, %d apart; %zu tokens predicted (%zu bytes, %zu words)\n", p->windows,
           p->windows > 1 ? "s" : "", o->ctx, o->stride, p->scored, z->bytes, z->words);
    cli_windows_print_specials(&m->text);
    printf("\nperplexity     %.4f a token", ppl);
    if (isfinite(p->nll_se)) printf(" (95 %% of texts like it: %.4f to %.4f)", low, high);
    printf("   %.4f a word\nbits a byte    %.5f\ntokens/s       %.1f\n", word, bits, per_s);
    return;
  }
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "model", name);
  cJSON_AddStringToObject(j, "text", o->text);
  const struct {
    const char *name;
    double value;
  } number[] = {{"ctx", o->ctx},
                {"stride", o->stride},
                {"windows", (double)p->windows},
                {"tokens", (double)p->scored},
                {"bytes", (double)z->bytes},
                {"words", (double)z->words},
                {"bos", m->bos},
                {"calibrated_on", (double)m->overlap},
                {"nll", p->nll},
                {"ppl", ppl},
                {"ppl_low", low},
                {"ppl_high", high},
                {"word_ppl", word},
                {"bits_per_byte", bits},
                {"seconds", p->seconds}};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++)
    cJSON_AddNumberToObject(j, number[i].name, number[i].value);
  cli_windows_add_specials(&m->text, j);
  if (m->each) cJSON_AddItemToObject(j, "logprobs", cJSON_CreateDoubleArray(m->each, (int)p->scored));
  cli_print_json(j);
}

static nb_status measure(options *o, const cli_common *common, const char *name, const nb_opened *m, nb_err *err) {
  measured r = {.overlap = 0};
  nb_session *s = NULL;
  nb_status st;
  cli_progress p;
  size_t longest = m->model.config.max_position;
  if (!o->ctx) o->ctx = (int)nb_min(longest, 2048);
  if (!o->stride) o->stride = (o->ctx + 1) / 2;
  nb_perplexity_opts po = {.ctx = (size_t)o->ctx,
                           .stride = (size_t)o->stride,
                           .max_windows = (size_t)o->windows,
                           .bos = -1,
                           .bos_each = o->bos[0] == 'e',
                           .kv = m->kv};
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &po.kv, err));
  NB_GOTO(cli_windows_read(o->text, m->tokenizer, o->special, &r.text, err));
  NB_GOTO(cli_windows_begin(m->tokenizer, o->bos, &po.bos, err));
  if (o->each) NB_GOTO(nb_new(&r.each, r.text.ids.n, sizeof *r.each, "the log-probs", err));
  po.each = r.each;
  const cli_windows seen = {m->tokenizer, r.text.ids.id, r.text.ids.n / po.ctx, po.ctx};
  NB_GOTO(cli_windows_overlap(m, name, &seen, &r.overlap, err));
  nb_session_opts so = {.threads = common->threads,
                        .max_tokens = o->batch ? nb_min((size_t)o->batch, po.ctx) : 0,
                        .cpu_features = common->features};
  NB_GOTO(nb_session_create(&m->model.config, &so, &s, err));
  nb_progress cb = cli_progress_begin(&p, common, "reading", "windows");
  po.progress = &cb;
  st = nb_perplexity_measure(s, &m->model, r.text.ids.id, r.text.ids.n, &po, &r.p, err);
  cli_progress_end(&p);
  if (st != NB_OK) goto fail;
  r.bos = po.bos;
  const sizes whole = {r.text.n, count_words(r.text.bytes, r.text.n)};
  NB_GOTO(measure_text(m->tokenizer, &whole, &r.text.ids, &r.p, po.bos >= 0, &r.z, err));
  report(o, common->json, name, &r);
fail:
  nb_session_free(s);
  nb_free(r.each);
  cli_windows_free(&r.text);
  return st;
}

int cmd_ppl(int argc, char **argv) {
  options o = {.bos = "auto"};
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("text", 'f', "FILE", NB_PATH_READ, &o.text, "the text"),
      CLI_INT("ctx", 0, "N", 1, 1 << 20, &o.ctx, "tokens read at a time (2048, or all that the model takes)"),
      CLI_INT("stride", 0, "N", 1, 1 << 20, &o.stride,
              "tokens predicted by each window after the first (half of --ctx)"),
      CLI_INT("windows", 0, "N", 0, 1e9, &o.windows, "windows at most (0: all)"),
      CLI_CHOICE("bos", 0, "auto|yes|each|no", &o.bos,
                 "a begin token before the text (auto: as the tokenizer says; each: in every window)"),
      CLI_WINDOWS_SPECIAL(&o.special),
      CLI_FLAG("each", 0, &o.each, "with --json: the log-prob of every predicted token"),
      CLI_KV(&o.kv, "type of the cache"),
      CLI_INT("batch", 0, "N", 16, 8192, &o.batch,
              "tokens run at a time (512, fewer of a wide model); results do not depend on it"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "ppl",
      .args = "MODEL --text FILE",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .about =
          "Measures how well a model predicts a text: perplexity a token and a word, bits a byte (which models with\n"
          "different tokenizers can be compared by). Every token is predicted once. With a stride of --ctx, windows "
          "do\n"
          "not overlap; a smaller one gives each token more to go by, and takes longer.",
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.each && !common.json) return cli_usage(&cmd, "--each is for --json");
  if (o.ctx && o.stride > o.ctx) return cli_usage(&cmd, "--stride %d is more than --ctx %d", o.stride, o.ctx);
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], 0, &common, &m, &err);
  if (st == NB_OK && !m.tokenizer) st = nb_fail(&err, NB_ERR_ARG, "%s has no tokenizer", args.items[0]);
  if (st == NB_OK) st = measure(&o, &common, args.items[0], &m, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
