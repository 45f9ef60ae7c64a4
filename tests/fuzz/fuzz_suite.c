/* SPDX-License-Identifier: MIT */
#include "eval/suite.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A suite's description; what is published of its rows is looked up, and its rows' variants are read as tasks. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_suite s;
  if (nb_suite_parse((const char *)data, n, "fuzz.json", &s, &err) != NB_OK) return 0;
  for (size_t i = 0; i < s.n; i++) {
    nb_task t;
    size_t shots;
    for (size_t m = 0; m < nb_suite_n_published(&s); m++) nb_suite_published(&s, &s.row[i], m, &shots);
    if (s.row[i].needs || nb_task_open_with("mmlu", s.row[i].preset, s.row[i].with, "fuzz", &t, &err) != NB_OK)
      continue;
    nb_task_free(&t);
  }
  nb_suite_free(&s);
  return 0;
}
