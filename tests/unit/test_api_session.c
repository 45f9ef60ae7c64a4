/* SPDX-License-Identifier: MIT */
/* What an app needs of the library: models from descriptors, from within archives and from parts; conversations that go
 * on, are cancelled, saved and restored; answers about memory before loading, which are then kept; threads' priority.
 */
#include "api_checks.h"

#include "tempdir.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char program[600], nbl[600]; /* the command of the same build; the demo as a .nbl file */
static nibble_model *demo;

typedef struct taken {
  char text[2000];
  size_t n, pieces, stop_at; /* pieces to take; 0: all */
  nibble_model *interrupt;   /* asked to end after the first piece; NULL: not */
} taken;

static int take(void *ctx, const char *piece, size_t n) {
  taken *t = ctx;
  if (t->n + n < sizeof t->text) memcpy(t->text + t->n, piece, n), t->n += n;
  if (t->interrupt) nibble_interrupt(t->interrupt, 1);
  return ++t->pieces != t->stop_at;
}

static bool same(const taken *a, const taken *b) { return a->n == b->n && !memcmp(a->text, b->text, a->n); }

/* The ids of a text that is told in so many words. */
static int32_t *words(size_t n_words, size_t *n) {
  static const char *const word[] = {"the", "ant", "and", "a", "red", "house", "saw", "his"};
  char text[8000] = "";
  int32_t *ids = NULL;
  for (size_t i = 0; i < n_words; i++) strcat(strcat(text, word[(i * i + i / 3) % 8]), " ");
  nibble_tokenize(demo, text, strlen(text), 1, &ids, n, &err);
  return ids;
}

/* ---- places ---- */

/* What a model says of a short prompt. */
static void says(nibble_model *m, taken *t) {
  size_t n;
  int32_t *ids = words(5, &n);
  const nibble_generation g = {.max_tokens = 16, .text = take, .ctx = t};
  *t = (taken){.n = 0};
  nibble_status s = nibble_generate(m, ids, n, &g, NULL, &err);
  CHECK_MSG(s == NIBBLE_OK, "%s", err.text);
  nibble_free(ids);
}

static char *read_file(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  if (!f) perror(path), exit(1);
  fseek(f, 0, SEEK_END);
  *n = (size_t)ftell(f);
  rewind(f);
  char *bytes = malloc(*n);
  if (fread(bytes, 1, *n, f) != *n) perror(path), exit(1);
  fclose(f);
  return bytes;
}

TEST(from_an_archive) {
  taken want, have;
  size_t n;
  char *bytes = read_file(nbl, &n), *archive = temp_path("base.apk"), *room = calloc(1, n + 5000);
  says(demo, &want);
  for (size_t at = 4; at < 5000; at = at * 9 + 4) {
    memcpy(room + at, bytes, n);
    temp_write(archive, room, n + at + 100);
    int fd = open(archive, O_RDONLY);
    const nibble_source by_fd = {.fd = fd, .offset = at, .length = n}, by_path = {archive, 0, at, n};
    nibble_model *m;
    CHECK_DONE(nibble_open_sources(&by_fd, 1, NULL, &m, &err));
    close(fd);
    says(m, &have);
    CHECK(same(&want, &have));
    nibble_close(m);
    const nibble_options o = {.size = sizeof o, .verify = 1};
    CHECK_DONE(nibble_open_sources(&by_path, 1, &o, &m, &err));
    nibble_close(m);
  }
  const nibble_source odd = {archive, 0, 7, n}, far = {archive, 0, 1 << 30, 5}, none = {NULL, -1, 0, 0};
  nibble_model *m;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "no multiple of 4", nibble_open_sources(&odd, 1, NULL, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "are not in it", nibble_open_sources(&far, 1, NULL, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_IO, "file descriptor -1", nibble_open_sources(&none, 1, NULL, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "no sources", nibble_open_sources(&none, 0, NULL, &m, &err));
  CHECK(!m);
  free(bytes), free(room), free(archive);
}

TEST(from_parts) {
  char command[2000], *prefix = temp_path("parts"), path[3][700];
  taken want, have;
  snprintf(command, sizeof command, "'%s' split '%s' --size 700kB -o '%s' -q >/dev/null", program, nbl, prefix);
  CHECK(system(command) == 0);
  nibble_source part[2] = {{.path = path[0]}, {.path = path[1]}};
  for (int i = 0; i < 2; i++) snprintf(path[i], sizeof path[i], "%s-%05d-of-00002.nbl", prefix, i + 1);
  nibble_model *m;
  says(demo, &want);
  CHECK_DONE(nibble_open_sources(part, 2, NULL, &m, &err));
  says(m, &have);
  CHECK(same(&want, &have));
  nibble_close(m);
  CHECK_DONE(nibble_open(path[0], NULL, &m, &err));
  nibble_close(m);
  part[0].path = path[1], part[1].path = path[0];
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "is part 2 of 2", nibble_open_sources(part, 2, NULL, &m, &err));
  part[0].path = path[0], part[1].path = nbl;
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "is not a part", nibble_open_sources(part, 2, NULL, &m, &err));
  free(prefix);
}

/* ---- sessions ---- */

TEST(turns_are_what_generate_gives) {
  static const char *const kv[] = {NULL, "f16", "q16", "f32"};
  for (int k = 0; k < 4; k++) {
    const nibble_options o = {.size = sizeof o, .kv = kv[k], .batch = k == 1 ? 7 : 0};
    const nibble_session_options so = {.size = sizeof so, .context = 400, .kv = kv[k]};
    nibble_model *m;
    nibble_session *s;
    CHECK_DONE(nibble_open(nbl, &o, &m, &err));
    CHECK_DONE(nibble_session_open(m, &so, &s, &err));
    size_t held = 0;
    for (size_t turn = 1; turn < 5; turn++) {
      size_t n, reused = 99;
      taken want = {.n = 0}, have = {.n = 0};
      nibble_stats a, b;
      int32_t *ids = words(turn == 4 ? 9 : turn * 30, &n); /* the last one begins otherwise further on */
      nibble_generation g = {
          .max_tokens = 20, .temperature = turn % 2 ? 0 : 0.8, .seed = turn, .text = take, .ctx = &want};
      CHECK_DONE(nibble_generate(m, ids, n, &g, &a, &err));
      g.ctx = &have;
      CHECK_DONE(nibble_session_generate(s, ids, n, &g, &b, &reused, &err));
      CHECK_MSG(same(&want, &have), "turn %zu: \"%.*s\", not \"%.*s\"", turn, (int)have.n, have.text, (int)want.n,
                want.text);
      CHECK(a.new_tokens == b.new_tokens && a.prompt_tokens == b.prompt_tokens && a.ended == b.ended);
      CHECK_MSG(turn == 1 ? reused == 0 : reused > 3 && reused < n && reused <= held, "%zu reused", reused);
      nibble_session_tokens(s, NULL, &held);
      CHECK(held >= n && held < n + 20);
      int32_t *copy = calloc(held, sizeof *copy);
      nibble_session_tokens(s, copy, &held);
      CHECK(!memcmp(copy, ids, n * sizeof *ids));
      free(copy), nibble_free(ids);
    }
    nibble_session_reset(s);
    nibble_session_tokens(s, NULL, &held);
    CHECK(held == 0);
    nibble_session_close(s);
    nibble_close(m);
  }
}

TEST(beyond_the_context) {
  const nibble_session_options so = {.size = sizeof so, .context = 64},
                               huge = {.size = sizeof huge, .context = 1 << 20}, old = {.size = 4};
  nibble_session *s;
  size_t n;
  int32_t *ids = words(50, &n);
  const nibble_generation g = {.max_tokens = 60};
  CHECK_DONE(nibble_session_open(demo, &so, &s, &err));
  CHECK(n > 4);
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "do not fit the context's 64",
              nibble_session_generate(s, ids, n, &g, NULL, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "empty", nibble_session_generate(s, ids, 0, &g, NULL, NULL, &err));
  ids[2] = -5;
  const nibble_generation few = {.max_tokens = 1};
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "out of range", nibble_session_generate(s, ids, 4, &few, NULL, NULL, &err));
  nibble_session_close(s);
  nibble_session_close(NULL);
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "out of range", nibble_session_open(demo, &huge, &s, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "set it to sizeof(nibble_session_options)",
              nibble_session_open(demo, &old, &s, &err));
  CHECK(!s);
  nibble_free(ids);
}

/* ---- ending ---- */

static void *interrupt_soon(void *m) {
  usleep(3000);
  nibble_interrupt(m, 1);
  return NULL;
}

TEST(cancelled_and_gone_on) {
  const nibble_session_options so = {.size = sizeof so, .context = 1000};
  nibble_session *s;
  size_t n, reused;
  int32_t *ids = words(300, &n);
  taken want = {.n = 0}, cut = {.stop_at = 3}, have = {.n = 0}, inside = {.interrupt = demo};
  nibble_generation g = {.max_tokens = 24, .text = take, .ctx = &want};
  CHECK_DONE(nibble_generate(demo, ids, n, &g, NULL, &err));
  CHECK_DONE(nibble_session_open(demo, &so, &s, &err));
  g.ctx = &cut; /* by the callback */
  CHECK_DONE(nibble_session_generate(s, ids, n, &g, NULL, &reused, &err));
  CHECK(cut.pieces == 3 && cut.n < want.n && !memcmp(cut.text, want.text, cut.n));
  g.ctx = &inside; /* by an interrupt while an answer is made */
  CHECK_FAILS(NIBBLE_STOPPED, "interrupted", nibble_session_generate(s, ids, n, &g, NULL, &reused, &err));
  CHECK(inside.pieces == 1 && reused == n - 1);
  nibble_interrupt(demo, 0);
  nibble_session_reset(s);
  pthread_t other; /* by another thread, anywhere */
  CHECK(pthread_create(&other, NULL, interrupt_soon, demo) == 0);
  for (nibble_status st = NIBBLE_OK; st == NIBBLE_OK;) {
    g.text = NULL;
    nibble_session_reset(s);
    st = nibble_session_generate(s, ids, n, &g, NULL, NULL, &err);
    CHECK_MSG(st == NIBBLE_OK || st == NIBBLE_STOPPED, "%s", err.text);
  }
  pthread_join(other, NULL);
  nibble_interrupt(demo, 0);
  g.text = take, g.ctx = &have;
  CHECK_DONE(nibble_session_generate(s, ids, n, &g, NULL, &reused, &err));
  CHECK(same(&want, &have));
  nibble_session_close(s);
  nibble_free(ids);
}

/* ---- saving ---- */

static nibble_session *session_of(nibble_model *m, size_t context, const char *kv) {
  const nibble_session_options so = {.size = sizeof so, .context = context, .kv = kv};
  nibble_session *s;
  if (nibble_session_open(m, &so, &s, &err)) printf("  %s\n", err.text), exit(1);
  return s;
}

TEST(saved_and_restored) {
  static const char *const kv[] = {NULL, "q16", "f16", "f32"};
  char *path = temp_path("cache");
  for (int k = 0; k < 4; k++) {
    nibble_session *a = session_of(demo, 300, kv[k]), *b = session_of(demo, 200, kv[k]);
    size_t n, more, held, reused;
    int32_t *ids = words(40, &n), *longer = words(60, &more);
    taken want = {.n = 0}, have = {.n = 0};
    nibble_generation g = {.max_tokens = 9};
    remove(path);
    CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "no tokens to save", nibble_session_save(a, path, &err));
    CHECK_DONE(nibble_session_generate(a, ids, n, &g, NULL, NULL, &err));
    CHECK_DONE(nibble_session_save(a, path, &err));
    CHECK_DONE(nibble_session_load(b, path, &err));
    nibble_session_tokens(b, NULL, &held);
    CHECK(held >= n);
    g = (nibble_generation){.max_tokens = 20, .text = take, .ctx = &want};
    CHECK_DONE(nibble_session_generate(a, longer, more, &g, NULL, NULL, &err));
    g.ctx = &have;
    CHECK_DONE(nibble_session_generate(b, longer, more, &g, NULL, &reused, &err));
    CHECK_MSG(reused >= n - 1, "%zu of %zu", reused, n);
    CHECK(same(&want, &have));
    CHECK_DONE(nibble_session_save(b, path, &err)); /* over an earlier one */
    nibble_session *small = session_of(demo, 30, kv[k]), *type = session_of(demo, 300, k ? NULL : "f32");
    CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "has room for 30", nibble_session_load(small, path, &err));
    CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "of type", nibble_session_load(type, path, &err));
    nibble_session_close(a), nibble_session_close(b), nibble_session_close(small), nibble_session_close(type);
    nibble_free(ids), nibble_free(longer);
  }
  free(path);
}

TEST(caches_that_do_not_fit) {
  char *path = temp_path("cache2"), *bad = temp_path("bad"), *other = temp_path("other.nbl"), command[2000];
  nibble_session *s = session_of(demo, 100, NULL);
  nibble_model *m;
  size_t n, size;
  int32_t *ids = words(20, &n);
  const nibble_generation g = {.max_tokens = 5};
  CHECK_DONE(nibble_session_generate(s, ids, n, &g, NULL, NULL, &err));
  CHECK_DONE(nibble_session_save(s, path, &err));
  char *bytes = read_file(path, &size);
  for (size_t at = 0; at < size; at += at < 140 ? 3 : 4999) {
    bytes[at] ^= 16;
    temp_write(bad, bytes, size);
    nibble_status st = nibble_session_load(s, bad, &err);
    CHECK_MSG(st == NIBBLE_ERROR_FORMAT || st == NIBBLE_ERROR_ARGUMENT, "byte %zu: %d", at, (int)st);
    bytes[at] ^= 16;
  }
  temp_write(bad, bytes, size / 2);
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "is damaged", nibble_session_load(s, bad, &err));
  CHECK_FAILS(NIBBLE_ERROR_FORMAT, "is a .nbl file, not a session's cache", nibble_session_load(s, nbl, &err));
  CHECK_FAILS(NIBBLE_ERROR_IO, "cannot open", nibble_session_load(s, "/no/such", &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "would write over", nibble_session_save(s, nbl, &err));
  CHECK_DONE(nibble_session_load(s, path, &err)); /* the session is of use after all that */
  CHECK_DONE(nibble_session_generate(s, ids, n, &g, NULL, NULL, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "not a session's cache", nibble_session_save(s, "README.md", &err));
  snprintf(command, sizeof command, "'%s' quantize data/demo -o '%s' --fast --bits 5 -q >/dev/null", program, other);
  CHECK(system(command) == 0);
  CHECK_DONE(nibble_open(other, NULL, &m, &err));
  nibble_session *t = session_of(m, 100, NULL);
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "another model", nibble_session_load(t, path, &err));
  nibble_session_close(t), nibble_close(m);
  CHECK_DONE(nibble_open("data/demo", NULL, &m, &err));
  t = session_of(m, 100, NULL);
  CHECK_FAILS(NIBBLE_ERROR_UNSUPPORTED, "a .nbl file only", nibble_session_save(t, path, &err));
  nibble_session_close(t), nibble_close(m);
  nibble_session_close(s), nibble_free(ids);
  free(bytes), free(path), free(bad), free(other);
}

/* ---- memory ---- */

TEST(fits) {
  const nibble_source file = {.path = nbl};
  nibble_fit fit = {.size = sizeof fit}, small = {.size = sizeof small}, old = {.size = 8};
  nibble_options o = {.size = sizeof o, .batch = 64, .threads = 2};
  struct stat st;
  CHECK(stat(nbl, &st) == 0);
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 512, &fit, &err));
  CHECK(fit.mapped == (uint64_t)st.st_size && fit.own == fit.workspace + fit.cache + fit.tables && fit.fits == 1);
  CHECK(fit.workspace > 100000 && fit.cache > 10000 && fit.tables > 10000 && fit.most_tokens == 1024);
  o.memory_limit = fit.workspace + fit.tables + fit.cache / 2;
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 512, &small, &err));
  CHECK(!small.fits && small.most_tokens == 256 && small.own == fit.own);
  nibble_fit all = {.size = sizeof all}, more = {.size = sizeof more};
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 0, &all, &err));
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 5000, &more, &err)); /* an app does not know the positions yet */
  CHECK(all.cache == more.cache && all.cache > fit.cache);
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "sizeof(nibble_fit)", nibble_fit_sources(&file, 1, &o, 0, &old, &err));
  /* The limit is kept. */
  nibble_model *m;
  nibble_session *s, *t;
  nibble_session_options so = {.size = sizeof so, .context = 257};
  size_t n;
  int32_t *ids = words(250, &n);
  nibble_generation g = {.max_tokens = 256};
  CHECK_DONE(nibble_open(nbl, &o, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_MEMORY, "256 tokens would fit", nibble_session_open(m, &so, &s, &err));
  CHECK(n + 256 > 320);
  CHECK_FAILS(NIBBLE_ERROR_MEMORY, "tokens would fit", nibble_generate(m, ids, n, &g, NULL, &err));
  so.context = 0;
  CHECK_DONE(nibble_session_open(m, &so, &s, &err));
  g.max_tokens = 257;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "the context's 256", nibble_session_generate(s, ids, 3, &g, NULL, NULL, &err));
  so.context = 64;
  CHECK_FAILS(NIBBLE_ERROR_MEMORY, "0 tokens would fit", nibble_session_open(m, &so, &t, &err));
  nibble_session_close(s);
  CHECK_DONE(nibble_session_open(m, &so, &t, &err));
  nibble_session_close(t), nibble_close(m);
  o.memory_limit = 1000;
  CHECK_FAILS(NIBBLE_ERROR_MEMORY, "a smaller batch", nibble_open(nbl, &o, &m, &err));
  nibble_free(ids);
}

/* What a process really holds after it ran all of its context is what was said, or less. */
TEST(fits_as_it_says) {
  if (TEST_SHADOWED) SKIP("a sanitizer keeps memory of its own");
  const nibble_source file = {.path = nbl};
  nibble_fit fit = {.size = sizeof fit};
  const nibble_options o = {.size = sizeof o, .threads = 1};
  nibble_memory before, after;
  nibble_model *m;
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 1024, &fit, &err));
  nibble_memory_now(&before);
  if (!before.peak) return;
  CHECK_DONE(nibble_open(nbl, &o, &m, &err));
  nibble_session *s = session_of(m, 1024, NULL);
  size_t n;
  int32_t *ids = words(900, &n);
  const nibble_generation g = {.max_tokens = 1};
  CHECK_DONE(nibble_session_generate(s, ids, n < 1000 ? n : 1000, &g, NULL, NULL, &err));
  nibble_memory_now(&after);
  const double took = (double)after.anon - (double)before.anon;
  CHECK_MSG(took < (double)fit.own * 1.05 + 1e6, "%.0f bytes, not %.0f", took, (double)fit.own);
  CHECK_MSG(took > (double)fit.own * 0.4, "%.0f bytes, not %.0f", took, (double)fit.own);
  nibble_session_close(s), nibble_close(m), nibble_free(ids);
}

/* The heap and caches at a token, in bytes. */
static int weigh(void *ctx, const char *piece, size_t n) {
  nibble_memory now;
  (void)piece, (void)n;
  nibble_memory_now(&now);
  if (now.anon > *(uint64_t *)ctx) *(uint64_t *)ctx = now.anon;
  return 1;
}

/* From turn to turn, and when a saved one is loaded, memory holds one cache. */
TEST(never_two_caches) {
  if (TEST_SHADOWED) SKIP("a sanitizer keeps memory of its own");
  const nibble_source file = {.path = nbl};
  const nibble_options o = {.size = sizeof o, .threads = 1, .kv = "f32", .batch = 32};
  nibble_fit fit = {.size = sizeof fit};
  char *path = temp_path("weighed");
  nibble_model *m;
  size_t n, reused;
  uint64_t first = 0;
  CHECK_DONE(nibble_fit_sources(&file, 1, &o, 1024, &fit, &err));
  CHECK_DONE(nibble_open(nbl, &o, &m, &err));
  nibble_session *s = session_of(m, 1024, "f32");
  for (size_t turn = 0; turn < 5; turn++) {
    int32_t *ids = words(turn == 3 ? 4 : 900, &n); /* the fourth begins so, and goes on otherwise */
    if (turn == 3)
      for (size_t i = 0; i < 100; i++) ids = realloc(ids, (n + 1) * sizeof *ids), ids[n] = ids[1 + n % 3], n++;
    if (n > 980) n = 980;
    uint64_t most = 0;
    const nibble_generation g = {.max_tokens = 4 + 10 * turn, .text = weigh, .ctx = &most};
    CHECK_DONE(nibble_session_generate(s, ids, n, &g, NULL, &reused, &err));
    if (!first) first = most;
    CHECK(turn == 0 || reused > 3);
    CHECK_MSG(most < first + fit.cache / 3, "turn %zu: %llu bytes, at first %llu, a cache has %llu", turn,
              (unsigned long long)most, (unsigned long long)first, (unsigned long long)fit.cache);
    if (!most) break; /* the system does not say */
    CHECK_DONE(nibble_session_save(s, path, &err));
    CHECK_DONE(nibble_session_load(s, path, &err));
    nibble_memory now;
    nibble_memory_now(&now);
    CHECK(now.anon < first + fit.cache / 3);
    nibble_free(ids);
  }
  nibble_session_close(s), nibble_close(m), free(path);
}

/* ---- guesses ---- */

/* A text that repeats itself: guesses are tried where that gains, and change no text. What gains is timed, so that it
 * is not known how many are tried; without guesses it is known. */
TEST(guesses_change_no_text) {
  static const char *const kv[] = {NULL, "q16", "f16", "f32"};
  char *path = temp_path("guessed");
  size_t tried_in_all = 0;
  for (int k = 0; k < 4; k++) {
    const nibble_session_options with = {.size = sizeof with, .context = 600, .kv = kv[k]},
                                 without = {.size = sizeof without, .context = 600, .kv = kv[k], .no_guesses = 1};
    nibble_session *a, *b;
    CHECK_DONE(nibble_session_open(demo, &with, &a, &err));
    CHECK_DONE(nibble_session_open(demo, &without, &b, &err));
    for (size_t turn = 1; turn < 6; turn++) {
      size_t n, tried = 9, right = 9, reused, again;
      taken want = {.n = 0}, have = {.n = 0};
      int32_t *ids = words(turn * 25, &n);
      nibble_generation g = {
          .max_tokens = 100, .temperature = turn % 2 ? 0 : 0.5, .seed = turn, .text = take, .ctx = &want};
      CHECK_DONE(nibble_session_generate(b, ids, n, &g, NULL, &reused, &err));
      nibble_session_guesses(b, &tried, &right);
      CHECK(tried == 0 && right == 0);
      g.ctx = &have;
      CHECK_DONE(nibble_session_generate(a, ids, n, &g, NULL, &again, &err));
      nibble_session_guesses(a, &tried, &right);
      CHECK(right <= tried && again == reused && same(&want, &have));
      tried_in_all += tried;
      if (turn == 3) {
        CHECK_DONE(nibble_session_save(a, path, &err));
        nibble_session_reset(a);
        CHECK_DONE(nibble_session_load(a, path, &err));
      }
      nibble_free(ids);
    }
    nibble_session_close(a), nibble_session_close(b);
  }
  CHECK(tried_in_all > 0);
  free(path);
}

/* ---- threads, words ---- */

static void hear(void *ctx, const char *line) {
  char *all = ctx;
  if (strlen(all) + strlen(line) < 900) strcat(strcat(all, line), "\n");
}

TEST(options_and_words) {
  char heard[1000] = "";
  nibble_model *m;
  nibble_options o = {
      .size = sizeof o, .log = hear, .ctx = heard, .priority = NIBBLE_PRIORITY_BACKGROUND, .threads = 2};
  const nibble_options without = {.threads = 1}, wrong = {.size = sizeof o, .priority = (nibble_priority)9};
  taken want, have;
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "sizeof(nibble_options)", nibble_open(nbl, &without, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "priority 9", nibble_open(nbl, &wrong, &m, &err));
  CHECK_FAILS(NIBBLE_ERROR_ARGUMENT, "name a model", nibble_open(NULL, NULL, &m, &err));
  const int nice = getpriority(PRIO_PROCESS, 0);
  CHECK_DONE(nibble_open(nbl, &o, &m, &err));
  CHECK_MSG(strstr(heard, "mapped") && strstr(heard, "Phi3ForCausalLM"), "%s", heard);
  says(demo, &want), says(m, &have);
  CHECK(same(&want, &have));
  CHECK(getpriority(PRIO_PROCESS, 0) == nice); /* the calling thread's own stays */
  nibble_close(m);
  int all = 0, fast = 0;
  nibble_cores(&all, &fast);
  CHECK(all >= 1 && fast >= 1 && fast <= all);
}

int main(int argc, char **argv) {
  (void)argc;
  char *slash = strrchr(argv[0], '/'), command[2000], *file = temp_path("demo.nbl");
  snprintf(program, sizeof program, "%.*s/../nibble", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
  snprintf(nbl, sizeof nbl, "%s", file);
  free(file);
  snprintf(command, sizeof command, "'%s' quantize data/demo -o '%s' --fast -q >/dev/null", program, nbl);
  if (system(command)) return fprintf(stderr, "cannot make %s\n", nbl), 1;
  if (nibble_open(nbl, NULL, &demo, &err)) return fprintf(stderr, "%s\n", err.text), 1;
  RUN(fits_as_it_says); /* first: afterwards the heap holds what others gave back */
  RUN(never_two_caches);
  RUN(from_an_archive);
  RUN(from_parts);
  RUN(turns_are_what_generate_gives);
  RUN(beyond_the_context);
  RUN(cancelled_and_gone_on);
  RUN(saved_and_restored);
  RUN(caches_that_do_not_fit);
  RUN(fits);
  RUN(guesses_change_no_text);
  RUN(options_and_words);
  nibble_close(demo);
  temp_remove();
  return test_end();
}
