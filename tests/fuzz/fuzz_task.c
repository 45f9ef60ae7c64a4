/* SPDX-License-Identifier: MIT */
#include "eval/prompt.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A task description, a NUL, and rows for it as JSON lines: prompts are built from whatever can be read. The
 * description opens as a file, too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const char *s = (const char *)data, *nul = memchr(s, 0, n);
  size_t n_task = nul ? (size_t)(nul - s) : n;
  nb_err err;
  nb_task t;
  nb_dataset d = {0};
  nb_prompter p;
  if (nb_task_parse(s, n_task, "fuzz.json", NULL, &t, &err) != NB_OK) return 0;
  nb_task same;
  if (nb_task_open(scratch_write("fuzz.json", s, n_task), NULL, &same, &err) != NB_OK) abort();
  if (strcmp(nb_task_category(&t, "s"), nb_task_category(&same, "s"))) abort();
  nb_task_free(&same);
  if (nul) {
    const char *rows = nul + 1;
    size_t n_rows = n - n_task - 1;
    if (nb_dataset_add(&t, &(nb_dataset_file){"fuzz.jsonl", NULL, rows, n_rows, NULL, 0}, &d, &err) != NB_OK)
      nb_dataset_add(&t, &(nb_dataset_file){"fuzz.csv", "subject", rows, n_rows, NULL, 0}, &d, &err);
  }
  if (nb_dataset_finish(&d, "fuzz", &err) != NB_OK) d.n = 0;
  size_t shots = d.n > 1 ? 1 : 0;
  if (nb_prompter_create(&t, shots, shots ? &d : NULL, &d, &p, &err) == NB_OK) {
    for (size_t i = 0; i < d.n && i < 16; i++) {
      nb_prompt prompt;
      if (nb_prompt_build(&p, &d.item[i], shots, &prompt, &err) == NB_OK) nb_prompt_free(&prompt);
    }
    nb_prompter_free(&p);
  }
  nb_dataset_free(&d);
  nb_task_free(&t);
  return 0;
}
