/* SPDX-License-Identifier: MIT */
#include "eval/suite.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* By a path, by the name of one that is built in, and by a name that nobody has. The folder has what a row may name. */
static void reopen(const uint8_t *data, size_t n, size_t rows) {
  const char *const names[] = {scratch_write("fuzz.json", data, n), "phi3-report", "nobody's"};
  nb_err err;
  nb_suite s;
  mkdir(scratch("sub"), 0700);
  scratch_write("sub/a", "", 0), scratch_write("b.zip", "", 0);
  for (size_t i = 0; i < 3; i++) {
    if ((nb_suite_open(names[i], &s, &err) == NB_OK) != (i < 2)) abort();
    if (i == 0 && s.n != rows) abort();
    nb_suite_free(&s);
  }
}

/* A suite's description; what is published of its rows and where their questions lie is looked up, and its rows'
 * variants are read as tasks. What parses opens as a file, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_suite s;
  if (nb_suite_parse((const char *)data, n, "fuzz.json", &s, &err) != NB_OK) return 0;
  reopen(data, n, s.n);
  for (size_t m = 0; m < nb_suite_n_published(&s); m++)
    if (!nb_suite_published_model(&s, m)) abort();
  for (size_t i = 0; i < s.n; i++) {
    nb_task t;
    nb_text found = {0};
    if (nb_suite_find_data(&s.row[i], temp_dir(), &found, &err) != NB_OK) abort();
    if (found.n && access(found.s, R_OK)) abort();
    nb_text_free(&found);
    size_t shots;
    for (size_t m = 0; m < nb_suite_n_published(&s); m++) nb_suite_published(&s, &s.row[i], m, &shots);
    if (s.row[i].needs || nb_task_open_with("mmlu", s.row[i].preset, s.row[i].with, "fuzz", &t, &err) != NB_OK)
      continue;
    nb_task_free(&t);
  }
  nb_suite_free(&s);
  return 0;
}
