/* SPDX-License-Identifier: MIT */
#include "tools/windows.h"

#include "eval/overlap.h"
#include "formats/explain.h"
#include "tools/cli.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 30 };

nb_status cli_windows_read(const char *file, const nb_tokenizer *t, bool special, cli_window_text *out, nb_err *err) {
  *out = (cli_window_text){.as_tokens = special};
  NB_TRY(nb_explain_read_text(file, MAX_TEXT, &out->bytes, &out->n, err));
  NB_TRY(nb_tokenizer_encode(t, out->bytes, out->n, 0, &out->ids, err));
  for (size_t i = 0; i < out->ids.n; i++) out->specials += nb_tokenizer_is_special(t, out->ids.id[i]);
  if (special || !out->specials) return NB_OK;
  nb_ids_free(&out->ids);
  return nb_tokenizer_encode(t, out->bytes, out->n, NB_ENCODE_PLAIN_SPECIAL, &out->ids, err);
}

void cli_windows_free(cli_window_text *t) {
  nb_ids_free(&t->ids);
  free(t->bytes);
  *t = (cli_window_text){.n = 0};
}

void cli_windows_print_specials(const cli_window_text *t) {
  if (t->specials)
    printf("%zu names of special tokens in the text, read as %s\n", t->specials,
           t->as_tokens ? "those tokens" : "text (--special reads them as tokens)");
}

void cli_windows_add_specials(const cli_window_text *t, cJSON *object) {
  cJSON_AddNumberToObject(object, "special_names", (double)t->specials);
  cJSON_AddStringToObject(object, "special_names_as", t->as_tokens ? "tokens" : "text");
}

nb_status cli_windows_begin(const nb_tokenizer *t, const char *choice, int32_t *begin, nb_err *err) {
  nb_ids ids = {0};
  *begin = -1;
  if (choice[0] == 'n') return NB_OK;
  nb_status st = nb_tokenizer_encode(t, "", 0, NB_ENCODE_ADD_SPECIAL, &ids, err);
  if (ids.n) *begin = ids.id[0];
  else if (choice[0] != 'a') *begin = nb_tokenizer_bos(t);
  nb_ids_free(&ids);
  return st;
}

nb_status cli_windows_overlap(const nb_opened *m, const char *name, const cli_windows *w, size_t *count, nb_err *err) {
  nb_sketch sketch;
  NB_TRY(nb_overlap_sketch(m, name, &sketch, err));
  nb_status st = nb_overlap_windows(&sketch, w->t, w->ids, w->n, w->ctx, count, err);
  nb_sketch_free(&sketch);
  if (st == NB_OK && *count)
    cli_warn("%s was calibrated on text of %zu of the %zu windows: it looks better here than it is", name, *count,
             w->n);
  return st;
}

void cli_windows_warn_of_vocabulary(const char *name, const cli_windows *w) {
  nb_tokenizer *t = NULL;
  nb_err none;
  size_t other = 0, first = 0, total = w->n * w->ctx;
  if (nb_open_tokenizer(name, &t, &none) != NB_OK) return; /* it needs none */
  for (size_t i = 0; i < total; i++) {
    size_t a, b;
    const char *x = nb_tokenizer_token_text(w->t, w->ids[i], &a), *y = nb_tokenizer_token_text(t, w->ids[i], &b);
    if (x && y && a == b && !memcmp(x, y, a)) continue;
    if (!other++) first = i;
  }
  if (other)
    cli_warn("%s has another vocabulary: of %zu of the %zu tokens it has another text, of id %d first: numbers that "
             "compare the two mean little",
             name, other, total, (int)w->ids[first]);
  nb_tokenizer_free(t);
}
