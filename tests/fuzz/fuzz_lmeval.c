/* SPDX-License-Identifier: MIT */
#include "eval/lmeval.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Samples of lm-evaluation-harness, alone and beside a run of the same documents. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_result alone = {0}, beside = {0};
  nb_lmeval_found f;
  const char *file = "samples_fuzz_2026.jsonl";
  if (nb_lmeval_add((const char *)data, n, file, &alone, &err) == NB_OK &&
      nb_lmeval_finish(file, NULL, &alone, &f, &err) == NB_OK &&
      nb_lmeval_add((const char *)data, n, file, &beside, &err) == NB_OK)
    nb_lmeval_finish(file, &alone, &beside, &f, &err);
  nb_result_free(&beside), nb_result_free(&alone);
  return 0;
}
