/* SPDX-License-Identifier: MIT */
/* For the tests of the gate: copies a .nbl file with a bad layer in it. Every row scale of the layer's coded matrices
 * is multiplied by 1 + PERCENT/100 or 1 - PERCENT/100, which of both being drawn from SEED. The copy is a good file
 * by its checksums; only an evaluation tells.
 * usage: damage_nbl IN.nbl OUT.nbl LAYER PERCENT SEED */
#include "base/f16.h"
#include "formats/nbl.h"
#include "eval/rng.h"

#include <stdio.h>
#include <stdlib.h>

static void damage(const nb_nbl_tensor *t, unsigned char *bytes, double share, uint64_t *state) {
  nb_qmat m;
  nb_qmat_layout l;
  nb_err err;
  if (nb_qmat_plan(t->part.N, t->part.K, t->fmt, &m, &l, &err) != NB_OK) return;
  uint16_t *scale = (uint16_t *)(void *)(bytes + l.row_scale);
  for (size_t n = 0; n < t->part.N; n++)
    scale[n] = nb_f32_bf16(nb_bf16_f32(scale[n]) * (float)(nb_rng_below(state, 2) ? 1 + share : 1 - share));
}

static nb_status copy(char **argv, size_t *changed, nb_err *err) {
  nb_nbl *in = NULL;
  nb_nbl_writer *out = NULL;
  char *meta = NULL;
  unsigned char *bytes = NULL;
  int layer = atoi(argv[3]);
  uint64_t state = strtoull(argv[5], NULL, 10);
  nb_status st;
  NB_GOTO(nb_nbl_open(argv[1], true, 1, &in, err));
  if (!(meta = cJSON_PrintUnformatted(nb_nbl_meta(in)))) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory"));
  nb_nbl_head head = {.meta = meta, .meta_bytes = strlen(meta)};
  head.tokenizer = nb_nbl_tokenizer(in, &head.tokenizer_bytes);
  NB_GOTO(nb_nbl_writer_open(argv[2], nb_nbl_at(in, 0), nb_nbl_count(in), &head, &out, err));
  for (size_t i = 0; i < nb_nbl_count(in); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(in, i);
    NB_GOTO(nb_new(&bytes, t->size, 1, "a tensor", err));
    memcpy(bytes, nb_nbl_data(in, i), t->size);
    if (t->part.layer == layer && t->coded) damage(t, bytes, atof(argv[4]) / 100, &state), ++*changed;
    NB_GOTO(nb_nbl_writer_put(out, bytes, t->size, err));
    nb_free(bytes), bytes = NULL;
  }
  st = nb_nbl_writer_commit(out, err), out = NULL;
fail:
  nb_free(bytes), cJSON_free(meta);
  nb_nbl_writer_abort(out), nb_nbl_close(in);
  return st;
}

int main(int argc, char **argv) {
  size_t changed = 0;
  nb_err err;
  if (argc != 6) return fprintf(stderr, "usage: damage_nbl IN.nbl OUT.nbl LAYER PERCENT SEED\n"), 2;
  if (copy(argv, &changed, &err) != NB_OK) return fprintf(stderr, "damage_nbl: %s\n", err.msg), 1;
  if (!changed) return fprintf(stderr, "damage_nbl: no coded matrix in layer %s\n", argv[3]), 1;
  return 0;
}
