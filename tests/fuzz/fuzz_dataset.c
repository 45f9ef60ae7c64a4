/* SPDX-License-Identifier: MIT */
/* A line "TASK FILE" or "TASK:PRESET FILE", the bytes of that data file, and behind a NUL those of its answers file:
 * read with the built-in task, as items with ids, from which prompts are built. FILE may be a path of two parts,
 * "test/law_test.csv": then the file is put into such a directory, which is read, and without a directory, "./x.zip",
 * the file alone; there is no answers file, as a zip archive holds NULs. */
#include "eval/prompt.h"
#include "eval/result.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Ids are unique, answers are among the choices unless they are written, and the same items have the same hash. */
static void check(const nb_task *t, const nb_dataset *d) {
  nb_err err;
  char a[NB_HASH_TEXT], b[NB_HASH_TEXT];
  const nb_item *items[64];
  size_t n = d->n < 64 ? d->n : 64;
  for (size_t i = 0; i < n; i++) {
    const nb_item *it = items[i] = &d->item[i];
    if (!it->id) abort();
    if (t->score != NB_SCORE_GENERATE &&
        (it->n_choices < 2 || it->n_choices > NB_MAX_CHOICES || !it->correct[it->answer]))
      abort();
    for (size_t k = 0; k < i; k++)
      if (!strcmp(it->id, items[k]->id)) abort();
  }
  if (nb_result_items_hash(items, n, a, &err) != NB_OK || nb_result_items_hash(items, n, b, &err) != NB_OK) return;
  if (strcmp(a, b)) abort();
}

static void build_prompts(const nb_task *t, const nb_dataset *d, size_t shots) {
  nb_err err;
  nb_prompter p;
  if (nb_prompter_create(t, shots, shots ? d : NULL, d, &p, &err) != NB_OK) return;
  for (size_t i = 0; i < d->n && i < 8; i++) {
    nb_prompt prompt;
    if (nb_prompt_build(&p, &d->item[i], shots, &prompt, &err) == NB_OK) nb_prompt_free(&prompt);
  }
  nb_prompter_free(&p);
}

/* Reads the bytes from a file system. */
static nb_status read_path(const nb_task *t, const char *folder, const char *name, const char *bytes, size_t n,
                           nb_dataset *d) {
  static char dir[] = "/tmp/nibble-fuzz-dataset.XXXXXX";
  nb_err err;
  char sub[160], path[300];
  if (dir[strlen(dir) - 1] == 'X' && !mkdtemp(dir)) return NB_ERR_IO;
  snprintf(sub, sizeof sub, "%s/%s", dir, folder);
  snprintf(path, sizeof path, "%s/%s", sub, name);
  bool alone = !strcmp(folder, ".");
  if (!alone && mkdir(sub, 0700)) return NB_ERR_IO;
  FILE *f = fopen(path, "wb");
  bool written = f && fwrite(bytes, 1, n, f) == n;
  if (f) fclose(f);
  bool has;
  if (written) (void)nb_dataset_has(t, alone ? path : dir, t->split, &has, &err);
  nb_status st = written ? nb_dataset_read(t, alone ? path : dir, t->split, d, &err) : NB_ERR_IO;
  unlink(path);
  if (!alone) rmdir(sub);
  rmdir(dir);
  strcpy(dir + strlen(dir) - 6, "XXXXXX");
  return st;
}

static nb_status read_bytes(const nb_task *t, const char *file, const char *rows, size_t n, nb_dataset *d) {
  nb_err err;
  const char *nul = memchr(rows, 0, n), *answers = nul ? nul + 1 : NULL;
  size_t n_answers = nul ? n - (size_t)(answers - rows) : 0;
  const char *subject = strstr(file, "law") ? "law" : NULL;
  const nb_dataset_file f = {file, subject, rows, nul ? (size_t)(nul - rows) : n, answers, n_answers};
  nb_status st = nb_dataset_add(t, &f, d, &err);
  return st == NB_OK ? nb_dataset_finish(d, file, &err) : st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const char *s = (const char *)data, *nl = memchr(s, '\n', n);
  char task[32] = "", folder[64] = "", name[64] = "", line[100] = "";
  nb_err err;
  nb_task t;
  nb_dataset d = {0};
  if (!nl || nl - s >= (long)sizeof line) return 0;
  memcpy(line, s, (size_t)(nl - s));
  int parts = sscanf(line, "%31[a-z0-9_:-] %63[a-zA-Z0-9_.]/%63[a-zA-Z0-9_.]", task, folder, name);
  if (parts < 2 || !strcmp(folder, "..") || name[0] == '.') return 0;
  char *preset = strchr(task, ':');
  if (preset) *preset++ = 0;
  if (nb_task_open(task, preset, &t, &err) != NB_OK) return 0;
  size_t n_rows = n - (size_t)(nl + 1 - s);
  nb_status st =
      parts == 3 ? read_path(&t, folder, name, nl + 1, n_rows, &d) : read_bytes(&t, folder, nl + 1, n_rows, &d);
  if (st == NB_OK) {
    check(&t, &d);
    build_prompts(&t, &d, 0);
    build_prompts(&t, &d, d.n > 1);
  }
  nb_dataset_free(&d);
  nb_task_free(&t);
  return 0;
}
