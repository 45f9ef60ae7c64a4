/* SPDX-License-Identifier: MIT */
/* A small program against the installed library, and the example for it: asks a model something.
 * cc example.c $(pkg-config --cflags --libs nibble) -o example && ./example MODEL "a question" */
#include <nibble.h>
#include <stdio.h>
#include <string.h>

static int print_piece(void *ctx, const char *piece, size_t n) {
  (void)ctx;
  fwrite(piece, 1, n, stdout);
  fflush(stdout);
  return 1;
}

static int fail(const nibble_error *err) {
  fprintf(stderr, "example: %s\n", err->text);
  return 1;
}

int main(int argc, char **argv) {
  nibble_error err;
  nibble_model *m;
  if (argc != 3) return fprintf(stderr, "usage: example MODEL QUESTION\n"), 2;
  if (nibble_open(argv[1], NULL, &m, &err)) return fail(&err);

  /* The question in the model's own chat form, then as ids. */
  nibble_message message = {"user", argv[2]};
  char *text;
  int32_t *ids;
  size_t n_bytes, n;
  if (nibble_chat(m, &message, 1, &text, &n_bytes, &err)) return fail(&err);
  if (nibble_tokenize(m, text, n_bytes, 0, &ids, &n, &err)) return fail(&err);

  nibble_generation g = {.max_tokens = 16, .text = print_piece};
  nibble_stats stats;
  if (nibble_generate(m, ids, n, &g, &stats, &err)) return fail(&err);

  double logprob;
  if (nibble_score(m, ids, 1, ids + 1, n - 1, &logprob, NULL, &err)) return fail(&err);
  nibble_memory mem;
  nibble_memory_now(&mem);
  fprintf(stderr, "\nnibble %s: %zu prompt tokens, %zu new ones; log-prob of the prompt %.4f; %.1f MB of heap\n",
          nibble_version(), stats.prompt_tokens, stats.new_tokens, logprob, (double)mem.anon / 1e6);
  nibble_free(text);
  nibble_free(ids);
  nibble_close(m);
  return 0;
}
