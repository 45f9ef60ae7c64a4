/* SPDX-License-Identifier: MIT */
/* A name and, behind a newline, the bytes of a file to calibrate on: texts, chats, archives of them, read with the
 * tokenizer of the command-line tests. What is accepted has an origin and ids of the vocabulary. */
#include "convert/calib_source.h"
#include "formats/tokenizer_dir.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const endings[] = {".txt", ".jsonl", ".json", ".zip"};

static void check(const nb_calib_sources *s, const nb_tokenizer *t) {
  for (size_t i = 0; i < s->n; i++) {
    if (!cJSON_GetObjectItem(s->items[i].origin, "xxh3")) abort();
    for (size_t k = 0; k < s->items[i].ids.n; k++)
      if ((size_t)s->items[i].ids.id[k] >= nb_tokenizer_n_vocab(t)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static nb_tokenizer *t;
  const char *nl = memchr(data, '\n', n < 20 ? n : 20), *path = NULL;
  nb_calib_sources s;
  nb_err err;
  if (!t) {
    if (nb_tokenizer_read_dir("tests/cli/toy", &t, &err) != NB_OK) abort();
    if (nb_calib_sources_read(NULL, 0, t, &s, &err) != NB_OK || !s.n) abort(); /* what comes with the program */
    check(&s, t);
    nb_calib_sources_free(&s);
  }
  if (!nl) return 0;
  const char *rest = nl + 1;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    char name[16];
    snprintf(name, sizeof name, "x%s", endings[i]);
    if (!strncmp((const char *)data, name, strlen(name)))
      path = scratch_write(name, rest, n - (size_t)(rest - (const char *)data));
  }
  if (!path) return 0;
  if (nb_calib_sources_read(&path, 1, t, &s, &err) != NB_OK) {
    if (!*err.msg || s.n) abort();
    return 0;
  }
  check(&s, t);
  nb_calib_sources_free(&s);
  return 0;
}
