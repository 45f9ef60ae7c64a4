/* SPDX-License-Identifier: MIT */
/* nibble_quantize writes what `nibble quantize` writes, stops when it is told to and goes on from there, and never
 * writes over what it reads. */
#include "api_checks.h"

#include "tempdir.h"

#include <stdbool.h>
#include <unistd.h>

static char program[600]; /* the command of the same build */
static char *toy, *text;

/* ---- files ---- */

static char *read_all(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  *n = 0;
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  *n = (size_t)ftell(f);
  rewind(f);
  char *bytes = malloc(*n + 1);
  if (fread(bytes, 1, *n, f) != *n) perror(path), exit(1);
  bytes[*n] = 0;
  fclose(f);
  return bytes;
}

static void copy(const char *from, const char *name) {
  size_t n;
  char to[700], *bytes = read_all(from, &n);
  if (!bytes) perror(from), exit(1);
  snprintf(to, sizeof to, "%s/%s", toy, name);
  temp_write(to, bytes, n);
  free(bytes);
}

/* The checkpoint of the command-line tests: random weights, two layers. */
static void make_toy(void) {
  toy = temp_subdir("toy");
  copy("tests/golden/model/gqa_f16/config.json", "config.json");
  copy("tests/golden/model/gqa_f16/model.safetensors", "model.safetensors");
  copy("tests/cli/toy/tokenizer.json", "tokenizer.json");
  copy("tests/cli/toy/tokenizer_config.json", "tokenizer_config.json");
  char *lines = calloc(1, 40000);
  for (int i = 1; i <= 400; i++)
    sprintf(lines + strlen(lines), "line %d with %d and %d in it\n", i, i * 7919 % 1000, i);
  text = temp_text("text", lines);
  free(lines);
}

static bool same_files(const char *a, const char *b) {
  size_t n, m;
  char *x = read_all(a, &n), *y = read_all(b, &m);
  bool same = x && y && n == m && !memcmp(x, y, n);
  free(x), free(y);
  return same;
}

/* ---- one run ---- */

typedef struct watcher {
  bool stop;          /* in the middle of quantizing */
  int steps, resumed; /* calls; notes that say that an earlier run goes on */
  uint64_t last, total;
} watcher;

static int watch(void *ctx, const char *what, uint64_t done, uint64_t total) {
  watcher *w = ctx;
  if (strcmp(what, "quantizing")) return 0;
  w->steps++, w->last = done, w->total = total;
  return w->stop && done * 2 >= total;
}

static void take_note(void *ctx, const char *line) {
  watcher *w = ctx;
  int n;
  if (sscanf(line, "going on after %d of", &n) == 1) w->resumed = n;
}

static nibble_quantize_options calibrated(watcher *w) {
  return (nibble_quantize_options){.size = sizeof(nibble_quantize_options),
                                   .calib = text,
                                   .tokens = 512,
                                   .seq = 64,
                                   .group = 32,
                                   .threads = 1,
                                   .progress = watch,
                                   .note = take_note,
                                   .ctx = w};
}

/* Runs the command with the toy. */
static bool command(const char *out, const char *arguments) {
  char line[4000];
  snprintf(line, sizeof line, "'%s' quantize -q '%s' -o '%s' %s >'%s.log' 2>&1", program, toy, out, arguments, out);
  return system(line) == 0;
}

/* Both ways with the same arguments. */
static void check_same(const nibble_quantize_options *o, const char *arguments) {
  char *a = temp_path("a.nbl"), *b = temp_path("b.nbl"), line[3000];
  snprintf(line, sizeof line, "%s%s%s%s", arguments, o && o->calib ? " --calib '" : "", o && o->calib ? o->calib : "",
           o && o->calib ? "'" : "");
  CHECK_MSG(nibble_quantize(toy, a, o, &err) == NIBBLE_OK, "%s", err.text);
  CHECK_MSG(command(b, line), "the command failed: %s", line);
  CHECK_MSG(same_files(a, b), "other bytes than those of: %s", line);
  CHECK(temp_count(temp_dir(), ".part") == 0);
  unlink(a), unlink(b), free(a), free(b);
}

/* ---- tests ---- */

TEST(fast_as_the_command) {
  nibble_quantize_options o = {.size = sizeof o, .bits = 6, .group = 128, .cpu = "ref", .threads = 2, .fast = 1};
  check_same(&o, "-b 6 -g 128 --fast");
}

TEST(bundled_texts_as_the_command) {
  nibble_quantize_options o = {.size = sizeof o, .tokens = 512, .seq = 64, .seed = 3};
  check_same(&o, "--tokens 512 --seq 64 --seed 3");
}

TEST(calibrated_as_the_command) {
  watcher w = {0};
  nibble_quantize_options o = calibrated(&w);
  check_same(&o, "--tokens 512 --seq 64 -g 32");
  CHECK(w.steps > 1 && w.last == w.total && w.resumed == 0);
}

TEST(budgets_as_the_command) {
  watcher w = {0};
  nibble_quantize_options o = calibrated(&w);
  o.budget = 60000;
  check_same(&o, "--tokens 512 --seq 64 -g 32 --budget 60000");
  o.budget = 0, o.preset = "phone-small", o.fast = 1;
  check_same(&o, "--tokens 512 --seq 64 -g 32 --preset phone-small --fast");
  o.preset = NULL, o.fast = 0, o.linear_bpw = 6;
  check_same(&o, "--tokens 512 --seq 64 -g 32 --linear-bpw 6");
}

TEST(self_as_the_command) {
  watcher w = {0};
  nibble_quantize_options o = calibrated(&w);
  o.calib = "self", o.seed = 7;
  check_same(&o, "--tokens 512 --seq 64 -g 32 --seed 7");
}

TEST(stopped_and_gone_on) {
  watcher w = {.stop = true};
  nibble_quantize_options o = calibrated(&w);
  char *whole = temp_path("whole.nbl"), *out = temp_path("stopped.nbl"), *part = temp_path("stopped.nbl.part");
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_quantize(toy, out, &o, &err));
  CHECK(access(out, F_OK) != 0 && access(part, F_OK) == 0);
  CHECK(w.last < w.total);
  o.group = 64;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "other settings", nibble_quantize(toy, out, &o, &err));
  o.group = 32, w.stop = false;
  CHECK_MSG(nibble_quantize(toy, out, &o, &err) == NIBBLE_OK, "%s", err.text);
  CHECK_MSG(w.resumed > 0, "nothing was resumed");
  CHECK(access(part, F_OK) != 0);
  o.progress = NULL, o.note = NULL;
  CHECK_MSG(nibble_quantize(toy, whole, &o, &err) == NIBBLE_OK, "%s", err.text);
  CHECK(same_files(whole, out));
  /* A fast run leaves nothing, and an earlier file as it was. */
  watcher fast = {.stop = true};
  nibble_quantize_options p = {.size = sizeof p, .progress = watch, .ctx = &fast, .fast = 1};
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_quantize(toy, out, &p, &err));
  CHECK(same_files(whole, out) && access(part, F_OK) != 0);
  unlink(whole), unlink(out);
  free(whole), free(out), free(part);
}

TEST(wrong_paths) {
  char *out = temp_path("x.nbl"), *nowhere = temp_path("nowhere/x.nbl");
  watcher w = {0};
  nibble_quantize_options o = calibrated(&w);
  CHECK_FAILS(NIBBLE_ERROR_IO, "no-checkpoint", nibble_quantize("/no-checkpoint", out, &o, &err));
  CHECK_FAILS(NIBBLE_ERROR_IO, "nowhere", nibble_quantize(toy, nowhere, &o, &err));
  o.calib = "/no-text";
  CHECK_FAILS(NIBBLE_ERROR_IO, "no-text", nibble_quantize(toy, out, &o, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "checkpoint", nibble_quantize(NULL, out, NULL, &err));
  CHECK(nibble_quantize("/no-checkpoint", out, NULL, NULL) == NIBBLE_ERROR_IO); /* without a message */
  o = (nibble_quantize_options){.size = sizeof o, .fast = 1};
  CHECK(nibble_quantize(toy, out, &o, &err) == NIBBLE_OK);
  char *again = temp_path("again.nbl");
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, ".nbl file already", nibble_quantize(out, again, NULL, &err));
  CHECK(temp_count(temp_dir(), "nibble-") == 0 && temp_count(temp_dir(), ".part") == 0);
  unlink(out), free(out), free(nowhere), free(again);
}

/* Runs onto `out` and checks that it is refused and the file is as it was. */
static void check_kept(const char *out, const char *why, const nibble_quantize_options *o) {
  size_t n, m;
  char *before = read_all(out, &n);
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, why, nibble_quantize(toy, out, o, &err));
  char *after = read_all(out, &m);
  CHECK(before && after && n == m && !memcmp(before, after, n));
  free(before), free(after);
}

TEST(inputs_are_kept) {
  watcher w = {0};
  nibble_quantize_options o = calibrated(&w);
  char weights[700], *link = temp_path("link.nbl"), *notes = temp_text("notes", "my notes\n");
  snprintf(weights, sizeof weights, "%s/model.safetensors", toy);
  check_kept(weights, "would write over", &o);
  check_kept(text, "would write over", &o);
  CHECK(symlink(weights, link) == 0);
  check_kept(link, "would write over", &o);
  o.force = 1;
  check_kept(weights, "would write over", &o);
  check_kept(text, "would write over", &o);
  o.force = 0;
  check_kept(notes, "there already", &o);
  o.force = 1;
  CHECK_MSG(nibble_quantize(toy, notes, &o, &err) == NIBBLE_OK, "%s", err.text);
  unlink(link), unlink(notes), free(link), free(notes);
}

TEST(options_are_checked) {
  struct {
    nibble_quantize_options o;
    char later[64];
  } newer = {.o = {.size = sizeof newer, .fast = 1}};
  char *out = temp_path("x.nbl");
  nibble_quantize_options o = {.size = 0};
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "size", nibble_quantize(toy, out, &o, &err));
  CHECK_MSG(nibble_quantize(toy, out, &newer.o, &err) == NIBBLE_OK, "%s", err.text);
  newer.later[9] = 1;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "newer", nibble_quantize(toy, out, &newer.o, &err));
  static const struct {
    nibble_quantize_options o;
    const char *part;
  } bad[] = {{{.bits = 9}, "bits"},
             {{.bits = -1}, "bits"},
             {{.group = 48}, "group"},
             {{.tokens = (size_t)-1, .calib = "self"}, "tokens"},
             {{.seq = 1, .calib = "self"}, "seq"},
             {{.linear_bpw = 2, .calib = "self"}, "linear-bpw"},
             {{.linear_bpw = NAN, .calib = "self"}, "linear-bpw"},
             {{.preset = "tablet", .calib = "self"}, "phone|phone-small"},
             {{.preset = "phone", .budget = 60000, .calib = "self"}, "exclude"},
             {{.fast = 1, .calib = "self"}, "no use of"},
             {{.budget = 1000, .calib = "self", .tokens = 512, .seq = 64}, "smallest possible"},
             {{.threads = 5000}, "threads"},
             {{.cpu = "pdp11"}, "pdp11"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    o = bad[i].o, o.size = sizeof o;
    CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, bad[i].part, nibble_quantize(toy, out, &o, &err));
  }
  unlink(out), free(out);
}

int main(int argc, char **argv) {
  const char *slash = argc ? strrchr(argv[0], '/') : NULL;
  snprintf(program, sizeof program, "%.*s/../nibble", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
  make_toy();
  RUN(fast_as_the_command);
  RUN(bundled_texts_as_the_command);
  RUN(calibrated_as_the_command);
  RUN(budgets_as_the_command);
  RUN(self_as_the_command);
  RUN(stopped_and_gone_on);
  RUN(wrong_paths);
  RUN(inputs_are_kept);
  RUN(options_are_checked);
  free(toy), free(text);
  temp_remove();
  return test_end();
}
