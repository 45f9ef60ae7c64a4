/* SPDX-License-Identifier: MIT */
/* Hostile files of `nibble calibrate`. The checksum is made right first, since no fuzzer would guess it. What is
 * accepted is saved and read again as the same. */
#include "formats/calfile.h"
#include "scratch.h"

#include <stdint.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void save_and_read(const nb_calfile *f) {
  nb_calfile g;
  const char *path = scratch("x.stats");
  if (nb_calfile_save(f, path, NULL) != NB_OK || nb_calfile_read(path, &g, NULL) != NB_OK) abort();
  if (g.n_seqs != f->n_seqs || g.seq != f->seq || g.n_matrices != f->n_matrices || g.n_inputs != f->n_inputs) abort();
  if (memcmp(g.tokens, f->tokens, f->n_seqs * f->seq * sizeof *f->tokens)) abort();
  if (memcmp(g.importance, f->importance, f->n_inputs * sizeof *f->importance)) abort();
  nb_calfile_free(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8 || size > 1 << 20) return 0;
  uint8_t *p = malloc(size);
  nb_calfile f;
  if (!p) return 0;
  memcpy(p, data, size);
  uint64_t hash = XXH3_64bits(p, size - 8);
  memcpy(p + size - 8, &hash, 8);
  if (nb_calfile_parse(p, size, "fuzz", &f, NULL) == NB_OK) {
    save_and_read(&f);
    nb_calfile_free(&f);
  }
  free(p);
  return 0;
}
