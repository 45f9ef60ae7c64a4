/* SPDX-License-Identifier: MIT */
/* nibble_quantize: its options as a recipe (convert/recipe.h), its callbacks as a reporter. */
#include "api/libnibble.h"

#include "convert/conversion.h"
#include "formats/paths.h"

#include <stdio.h>
#include <string.h>

typedef nibble_quantize_options options;

/* A size that is not 0 as a number of the recipe; one that is too large stays so. */
static int number(size_t n) { return n == 0 ? -1 : n > NB_RECIPE_MAX_TOKENS ? NB_RECIPE_MAX_TOKENS + 1 : (int)n; }

/* budget: room for the number of bytes. */
static nb_recipe recipe_of(const options *o, char budget[32]) {
  nb_recipe r = nb_recipe_default;
  r.calib = &o->calib, r.n_calib = o->calib != NULL, r.fast = o->fast != 0, r.seed = o->seed;
  r.n.tokens = number(o->tokens), r.n.seq = number(o->seq);
  r.preset = o->preset, r.linear_bpw = o->linear_bpw;
  if (o->budget) {
    snprintf(budget, 32, "%llu", (unsigned long long)o->budget);
    r.budget = budget;
  }
  if (o->bits) r.bits = o->bits;
  if (o->group) r.group = o->group;
  return r;
}

/* ---- reporting ---- */

typedef struct listener {
  const options *o;
  const char *what;
} listener;

static bool step(void *ctx, uint64_t done, uint64_t total) {
  const listener *l = ctx;
  return !l->o->progress || l->o->progress(l->o->ctx, l->what, done, total) == 0;
}

static nb_progress begin(void *ctx, const char *what, const char *unit) {
  (void)unit;
  ((listener *)ctx)->what = what;
  return (nb_progress){step, ctx};
}

static void note(void *ctx, const char *text) {
  const listener *l = ctx;
  if (l->o->note) l->o->note(l->o->ctx, text);
}

static void pass_notes(const char *path, const nb_opened *m, const nb_reporter *reporter) {
  for (const char *line = m->notes.s; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
    nb_reporter_note(reporter, "%s: %.*s", path, (int)strcspn(line, "\n"), line);
}

/* ---- the whole ---- */

static nb_status quantize(const char *checkpoint, const char *path, const options *o, nb_err *err) {
  char budget[32];
  int threads = o->threads;
  unsigned cpu_features;
  listener l = {o, ""};
  const nb_reporter reporter = {begin, NULL, note, &l};
  nb_recipe r = recipe_of(o, budget);
  nb_opened m = {0};
  nb_conversion c = {.seconds = 0};
  nb_status st;
  NB_TRY(nb_recipe_check(&r, err));
  NB_TRY(nb_api_machine(o->cpu, &threads, &cpu_features, err));
  const nb_path paths[] = {{checkpoint, NULL, NB_PATH_READ},
                           {path, NULL, NB_FILE_NBL},
                           {o->calib, NULL, o->calib ? NB_PATH_READ : NB_PATH_NONE}};
  NB_TRY(nb_path_check(paths, sizeof paths / sizeof *paths, o->force != 0, err));
  NB_GOTO(nb_open(checkpoint, 0, threads, &m, err));
  pass_notes(checkpoint, &m, &reporter);
  const nb_conversion_opts how = {path, threads, cpu_features, &reporter};
  NB_GOTO(nb_conversion_run(&m, &r, &how, &c, err));
fail:
  nb_conversion_free(&c);
  nb_opened_free(&m);
  return st;
}

nibble_status nibble_quantize(const char *checkpoint, const char *out, const nibble_quantize_options *given,
                              nibble_error *err) {
  nb_err e;
  options o;
  nb_status st =
      nb_api_options(given, offsetof(options, ctx) + sizeof o.ctx, "nibble_quantize_options", &o, sizeof o, &e);
  if (st == NB_OK && (!checkpoint || !out)) st = nb_fail(&e, NB_ERR_ARG, "name a checkpoint and an output");
  if (st == NB_OK) st = quantize(checkpoint, out, &o, &e);
  return nb_api_report(st, &e, err);
}
