/* SPDX-License-Identifier: MIT */
/* What may stand behind a journal's header. What is taken up of it is taken up again the same way. The bytes are read
 * as a record's written texts, too, which a checksum would keep mutations from. */
#include "eval/journal.h"

#include "eval/written.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { QUESTIONS = 4 };

static size_t count(const nb_answer *a, const bool *done) {
  size_t n = 0;
  for (size_t i = 0; i < QUESTIONS; i++) {
    n += done[i];
    if (!isfinite(a[i].logprob[0])) abort();
  }
  return n;
}

static void pack_again(const nb_written *w, nb_pool *pool) {
  nb_text bytes = {0};
  nb_written *again;
  nb_err err;
  if (nb_written_pack(w, &bytes, &err) != NB_OK) abort();
  if (!nb_written_unpack((const unsigned char *)bytes.s, bytes.n, pool, &again) || again->n != w->n) abort();
  for (size_t i = 0; i < w->n; i++)
    if (strcmp(w->text[i], again->text[i]) || w->tokens[i] != again->tokens[i]) abort();
  nb_text_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_pool pool = {0};
  nb_written *written;
  if (nb_written_unpack(data, n, &pool, &written)) pack_again(written, &pool);
  char path[] = "/tmp/nibble-fuzz-journal.XXXXXX";
  nb_err err;
  int fd = mkstemp(path);
  for (int pass = 0; fd >= 0 && pass < 3; pass++) { /* the first makes the header */
    nb_answer answer[QUESTIONS] = {0};
    bool done[QUESTIONS] = {false};
    nb_journal_answers to = {.n = QUESTIONS, .answer = answer, .done = done, .pool = &pool};
    nb_journal *j;
    if (nb_journal_open(path, "fuzz", &to, &j, &err) != NB_OK) break;
    if (to.resumed != count(answer, done)) abort();
    if (pass == 1)
      for (size_t i = 0; i < QUESTIONS; i++)
        if (!done[i] && nb_journal_add(j, i, &answer[i], &err) != NB_OK) abort();
    if (pass == 2 && to.resumed != QUESTIONS) abort();
    nb_journal_close(j);
    if (pass == 0 && (lseek(fd, 0, SEEK_END) < 0 || write(fd, data, n) != (ssize_t)n)) break;
  }
  if (fd >= 0) close(fd), unlink(path);
  nb_pool_free(&pool);
  return 0;
}
