/* SPDX-License-Identifier: MIT */
#include "formats/unused.h"

#include <stdio.h>
#include <string.h>

typedef enum reason { NEEDED, ROTARY, MASK, POSITIONS, VALUE_HEAD, EMPTY, ZERO_BIAS, REASONS } reason;

static const char *const why[REASONS] = {"",
                                         "tables of the rotary embedding, which are computed",
                                         "attention masks, which are computed",
                                         "positions, which are counted",
                                         "value heads of a training, which generate no text",
                                         "tensors without elements",
                                         "biases that are all 0"};

/* How their names end; only buffers of two dimensions and more are called bias without being one (GPT-2's masks). */
static const struct {
  const char *ending;
  reason reason;
  unsigned min_dims;
} endings[] = {
    {"rotary_emb.inv_freq", ROTARY, 1},
    {"rotary_emb.original_inv_freq", ROTARY, 1},
    {"rotary_emb.long_inv_freq", ROTARY, 1},
    {"rotary_emb.cos_cached", ROTARY, 1},
    {"rotary_emb.sin_cached", ROTARY, 1},
    {"rotary_pos_emb.inv_freq", ROTARY, 1},
    {".attn.bias", MASK, 2},
    {".attn.masked_bias", MASK, 0},
    {".attention.bias", MASK, 2},
    {".attention.masked_bias", MASK, 0},
    {"causal_mask", MASK, 2},
    {"attn_mask", MASK, 2},
    {"attention_mask", MASK, 2},
    {"position_ids", POSITIONS, 1},
};

/* AutoGPTQ gives a bias to every matrix, of models that have none too. */
static bool is_zero_bias(const nb_st_tensor *t) {
  size_t n = strlen(t->name);
  if (!t->readable || t->view.n_dims != 1 || n < 5 || strcmp(t->name + n - 5, ".bias")) return false;
  const uint8_t *b = t->data;
  for (size_t i = 0; i < t->n_bytes; i++)
    if (b[i]) return false;
  return true;
}

static reason reason_of(const nb_st_tensor *t) {
  size_t n = strlen(t->name);
  if (t->n_bytes == 0) return EMPTY;
  if (!strncmp(t->name, "v_head.", 7)) return VALUE_HEAD;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t m = strlen(endings[i].ending);
    if (n >= m && !strcmp(t->name + n - m, endings[i].ending) && t->view.n_dims >= endings[i].min_dims)
      return endings[i].reason;
  }
  return is_zero_bias(t) ? ZERO_BIAS : NEEDED;
}

nb_status nb_unused_check(const nb_safetensors *c, nb_unused_known *known, const void *ctx, const char *model,
                          nb_text *notes, nb_err *err) {
  size_t count[REASONS] = {0};
  const char *example[REASONS] = {NULL};
  char line[512];
  for (size_t i = 0; i < c->n_tensors; i++) {
    const nb_st_tensor *t = &c->tensors[i];
    if (known(ctx, t->name)) continue;
    reason r = reason_of(t);
    if (r == NEEDED)
      return nb_fail(err, NB_ERR_UNSUPPORTED,
                     "%s: tensor \"%.100s\" has no place in %s: without it results would be wrong",
                     c->shards[t->shard].path, t->name, model);
    if (!count[r]++) example[r] = t->name;
  }
  for (int r = NEEDED + 1; r < REASONS; r++) {
    if (!count[r]) continue;
    snprintf(line, sizeof line, "left out: %zu %s (%.100s%s)\n", count[r], why[r], example[r],
             count[r] > 1 ? " and others" : "");
    NB_TRY(nb_text_append_str(notes, line, err));
  }
  if (c->n_missing) {
    snprintf(line, sizeof line, "the index names %zu tensors that no file has and the model does not need (%.100s%s)\n",
             c->n_missing, c->missing, c->n_missing > 1 ? " and others" : "");
    NB_TRY(nb_text_append_str(notes, line, err));
  }
  return NB_OK;
}
