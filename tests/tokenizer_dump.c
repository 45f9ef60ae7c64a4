/* SPDX-License-Identifier: MIT */
/* Ids and decoded text of many strings, for comparison with other tokenizers (tests/golden/).
 * TOKENIZER: a folder, a .nbl or a .gguf file.
 * usage: tokenizer_dump TOKENIZER hostile SEED N   the strings of tests/hostile_strings.h
 *        tokenizer_dump TOKENIZER stdin            records of stdin: u32 length, bytes
 *        tokenizer_dump TOKENIZER bench FILE       speed on a text, to standard error
 * Writes for each string, little-endian: u32 length, bytes; u32 count, i32 ids, with the template's special
 * tokens; u32 length, the text decoded from them; the same decoded without special tokens. */
#include "formats/open.h"
#include "formats/mapfile.h"
#include "hostile_strings.h"

#include <stdio.h>
#include <time.h>

static nb_err err;

static void must(nb_status st) {
  if (st == NB_OK) return;
  fprintf(stderr, "tokenizer_dump: %s\n", err.msg);
  exit(1);
}

static void put(const void *p, size_t n, size_t size) {
  uint32_t count = (uint32_t)n;
  if (fwrite(&count, 4, 1, stdout) != 1 || fwrite(p, size, n, stdout) != n) exit(1);
}

static void dump(const nb_tokenizer *t, const char *s, size_t n) {
  nb_ids ids = {0};
  nb_text text = {0}, bare = {0}, streamed = {0};
  nb_decoder *d;
  must(nb_tokenizer_encode(t, s, n, NB_ENCODE_ADD_SPECIAL, &ids, &err));
  must(nb_tokenizer_decode(t, ids.id, ids.n, false, &text, &err));
  must(nb_tokenizer_decode(t, ids.id, ids.n, true, &bare, &err));
  must(nb_decoder_new(t, false, &d, &err));
  for (size_t i = 0; i < ids.n; i++) must(nb_decoder_step(d, ids.id[i], &streamed, &err));
  must(nb_decoder_finish(d, &streamed, &err));
  nb_decoder_free(d);
  if (streamed.n != text.n || (text.n && memcmp(streamed.s, text.s, text.n))) {
    fprintf(stderr, "streamed text differs:\n%s\n%s\n", text.s, streamed.s);
    exit(1);
  }
  put(s, n, 1);
  put(ids.id, ids.n, 4);
  put(text.s, text.n, 1);
  put(bare.s, bare.n, 1);
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_text_free(&bare);
  nb_text_free(&streamed);
}

/* Processor time: other programs on the machine do not count. */
static double now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void bench(const nb_tokenizer *t, const char *file) {
  char *s;
  size_t n;
  must(nb_mapfile_read(file, (size_t)1 << 30, &s, &n, &err));
  for (int whole = 0; whole < 2; whole++) { /* lines and paragraphs; then all at once */
    nb_ids ids = {0};
    double best = 1e9;
    for (int r = 0; r < 5; r++) {
      ids.n = 0;
      double t0 = now();
      for (size_t i = 0; i < n;) {
        size_t k = whole ? n : nb_min(n - i, 4000);
        must(nb_tokenizer_encode(t, s + i, k, 0, &ids, &err));
        i += k;
      }
      double dt = now() - t0;
      if (dt < best) best = dt;
    }
    double t0 = now();
    nb_text text = {0};
    must(nb_tokenizer_decode(t, ids.id, ids.n, false, &text, &err));
    double decode = now() - t0;
    fprintf(stderr, "%s: %zu bytes, %zu ids, encode %.1f MB/s, decode %.1f MB/s\n", whole ? "whole" : "4000-byte texts",
            n, ids.n, (double)n / best / 1e6, (double)n / decode / 1e6);
    nb_ids_free(&ids);
    nb_text_free(&text);
  }
  nb_text saved = {0};
  must(nb_tokenizer_save(t, &saved, &err));
  double best = 1e9;
  for (int r = 0; r < 10; r++) {
    nb_tokenizer *u;
    double t0 = now();
    must(nb_tokenizer_load(saved.s, saved.n, &u, &err));
    double dt = now() - t0;
    if (dt < best) best = dt;
    nb_tokenizer_free(u);
  }
  fprintf(stderr, "compact form: %zu bytes for %zu ids, loads in %.2f ms\n", saved.n, nb_tokenizer_n_vocab(t),
          best * 1e3);
  nb_text_free(&saved);
  free(s);
}

int main(int argc, char **argv) {
  nb_tokenizer *t;
  if (argc < 3)
    return fprintf(stderr, "usage: tokenizer_dump TOKENIZER hostile SEED N | TOKENIZER stdin | TOKENIZER bench FILE\n"),
           2;
  must(nb_open_tokenizer(argv[1], &t, &err));
  nb_text s = {0};
  if (!strcmp(argv[2], "hostile") && argc == 5) {
    uint64_t n = strtoull(argv[4], NULL, 10);
    for (uint64_t i = 0; i < n; i++) {
      hostile_string(strtoull(argv[3], NULL, 10), i, &s);
      dump(t, s.s, s.n);
    }
  } else if (!strcmp(argv[2], "stdin")) {
    uint32_t n;
    while (fread(&n, 4, 1, stdin) == 1) {
      nb_text_clear(&s);
      must(nb_text_reserve(&s, n, &err));
      if (fread(s.s, 1, n, stdin) != n) return 1;
      dump(t, s.s, n);
    }
  } else if (!strcmp(argv[2], "bench") && argc == 4) {
    bench(t, argv[3]);
  }
  nb_text_free(&s);
  nb_tokenizer_free(t);
  return 0;
}
