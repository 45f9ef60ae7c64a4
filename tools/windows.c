/* SPDX-License-Identifier: MIT */
#include "tools/windows.h"

#include "eval/overlap.h"
#include "tools/cli.h"

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
