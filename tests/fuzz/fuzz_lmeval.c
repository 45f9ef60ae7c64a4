/* SPDX-License-Identifier: MIT */
#include "eval/lmeval.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Samples of lm-evaluation-harness, alone and beside a run of the same documents or, behind a NUL, of others; then from
 * files, by their own name and by that of the sums beside them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_result alone = {0}, beside = {0};
  nb_lmeval_found f;
  const char *file = "samples_fuzz_2026.jsonl", *s = (const char *)data, *nul = memchr(s, 0, n);
  const char *second = nul ? nul + 1 : s;
  size_t n_first = nul ? (size_t)(nul - s) : n, n_second = nul ? n - n_first - 1 : n;
  if (nb_lmeval_add(s, n_first, file, &alone, &err) == NB_OK &&
      nb_lmeval_finish(file, NULL, &alone, &f, &err) == NB_OK &&
      nb_lmeval_add(second, n_second, file, &beside, &err) == NB_OK &&
      nb_lmeval_finish(file, &alone, &beside, &f, &err) == NB_OK && beside.n > alone.n)
    abort();
  nb_result_free(&beside), nb_result_free(&alone);
  scratch_write(file, s, n_first);
  const char *const paths[] = {scratch(file), scratch("results_2026.json"), scratch("results_2025.json")};
  for (size_t i = 0; i < 3; i++) {
    bool loaded = nb_lmeval_load(paths[i], NULL, &alone, &f, &err) == NB_OK;
    if (!nb_lmeval_named(paths[i]) || (loaded && (i == 2 || !alone.n))) abort();
    if (loaded) nb_result_free(&alone);
  }
  return 0;
}
