/* SPDX-License-Identifier: MIT */
/* A sketch and, after a NUL, a text that it is looked for in: a sketch that is accepted prints and reads as the same. A
 * sketch of the text is made as well, and found in it. */
#include "eval/sketch.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const uint8_t *nul = memchr(data, 0, n);
  nb_err err;
  nb_sketch s, again;
  nb_text text = {0};
  if (!nul || nb_sketch_parse((const char *)data, &s, &err) != NB_OK) return 0;
  const char *body = (const char *)nul + 1;
  size_t n_body = (size_t)(data + n - nul) - 1;
  nb_sketch_finds(&s, body, n_body);
  if (nb_sketch_make(body, n_body, &again, &err) != NB_OK || (again.n && !nb_sketch_finds(&again, body, n_body)))
    abort();
  nb_sketch_free(&again);
  if (nb_sketch_print(&s, &text, &err) != NB_OK) abort();
  if (nb_sketch_parse(text.s ? text.s : "", &again, &err) != NB_OK || again.n != s.n) abort();
  if (s.n && memcmp(s.gram, again.gram, s.n * sizeof *s.gram)) abort();
  nb_sketch_free(&s), nb_sketch_free(&again);
  nb_text_free(&text);
  return 0;
}
