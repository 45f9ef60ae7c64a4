/* SPDX-License-Identifier: MIT */
#include "model/config.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

static nb_status in_range(const char *field, size_t v, size_t min, size_t max, nb_err *err) {
  if (v >= min && v <= max) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is %zu, not between %zu and %zu", field, v, min, max);
}

static nb_status check_factors(const char *field, const float *f, size_t n, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (!(f[i] > 0) || !isfinite(f[i]))
      return nb_fail(err, NB_ERR_FORMAT, "%s[%zu] is %g, not a positive number", field, i, (double)f[i]);
  }
  return NB_OK;
}

static nb_status check_ids(const nb_config *c, nb_err *err) {
  if (c->n_eos > NB_MAX_EOS)
    return nb_fail(err, NB_ERR_FORMAT, "%zu end-of-text ids, at most %d are supported", c->n_eos, NB_MAX_EOS);
  if (c->bos_id < -1 || (c->bos_id >= 0 && (size_t)c->bos_id >= c->vocab))
    return nb_fail(err, NB_ERR_FORMAT, "the beginning-of-text id %d is outside the vocabulary of %zu", c->bos_id,
                   c->vocab);
  for (size_t i = 0; i < c->n_eos; i++) {
    if (c->eos_ids[i] < 0 || (size_t)c->eos_ids[i] >= c->vocab)
      return nb_fail(err, NB_ERR_FORMAT, "the end-of-text id %d is outside the vocabulary of %zu", c->eos_ids[i],
                     c->vocab);
  }
  return NB_OK;
}

static nb_status check_rope(const nb_config *c, nb_err *err) {
  if (c->rope_kind != NB_ROPE_DEFAULT && c->rope_kind != NB_ROPE_LONGROPE)
    return nb_fail(err, NB_ERR_FORMAT, "unknown kind of rotary embedding %d", (int)c->rope_kind);
  if (!(c->rope_theta >= 1 && c->rope_theta <= 1e15))
    return nb_fail(err, NB_ERR_FORMAT, "rope_theta is %g, not between 1 and 1e15", c->rope_theta);
  if (!(c->rope_scale > 0 && c->rope_scale <= 1000))
    return nb_fail(err, NB_ERR_FORMAT, "the rotary attention scaling is %g, not between 0 and 1000",
                   (double)c->rope_scale);
  NB_TRY(in_range("original_max_position_embeddings", c->original_max_position, 1, NB_MAX_POSITION, err));
  if (c->rope_kind == NB_ROPE_DEFAULT) return NB_OK;
  NB_TRY(check_factors("short_factor", c->short_factor, c->rotary_dim / 2, err));
  return check_factors("long_factor", c->long_factor, c->rotary_dim / 2, err);
}

nb_status nb_config_check(const nb_config *c, nb_err *err) {
  if (!memchr(c->architecture, 0, sizeof c->architecture) || !c->architecture[0])
    return nb_fail(err, NB_ERR_FORMAT, "the name of the architecture is empty or too long");
  if (c->activation != NB_ACT_SILU) return nb_fail(err, NB_ERR_FORMAT, "unknown activation %d", (int)c->activation);
  if (c->dtype != NB_F32 && c->dtype != NB_F16 && c->dtype != NB_BF16)
    return nb_fail(err, NB_ERR_FORMAT, "unknown data type %d", (int)c->dtype);
  NB_TRY(in_range("hidden_size", c->hidden, 1, NB_MAX_HIDDEN, err));
  NB_TRY(in_range("intermediate_size", c->ffn, 1, NB_MAX_FFN, err));
  NB_TRY(in_range("num_hidden_layers", c->layers, 1, NB_MAX_LAYERS, err));
  NB_TRY(in_range("num_attention_heads", c->heads, 1, NB_MAX_HEADS, err));
  NB_TRY(in_range("num_key_value_heads", c->kv_heads, 1, c->heads, err));
  if (c->heads % c->kv_heads)
    return nb_fail(err, NB_ERR_FORMAT, "num_attention_heads %zu is not a multiple of num_key_value_heads %zu", c->heads,
                   c->kv_heads);
  NB_TRY(in_range("head_dim", c->head_dim, 2, NB_MAX_HEAD_DIM, err));
  NB_TRY(in_range("partial_rotary_factor * head_dim", c->rotary_dim, 2, c->head_dim, err));
  if (c->rotary_dim % 2)
    return nb_fail(err, NB_ERR_FORMAT, "partial_rotary_factor * head_dim, %zu, is odd", c->rotary_dim);
  NB_TRY(in_range("vocab_size", c->vocab, 1, NB_MAX_VOCAB, err));
  if (!(c->rms_eps > 0 && c->rms_eps < 1))
    return nb_fail(err, NB_ERR_FORMAT, "rms_norm_eps is %g, not between 0 and 1", (double)c->rms_eps);
  NB_TRY(in_range("max_position_embeddings", c->max_position, 1, NB_MAX_POSITION, err));
  NB_TRY(in_range("sliding_window", c->sliding_window, 0, NB_MAX_POSITION, err));
  NB_TRY(check_rope(c, err));
  return check_ids(c, err);
}

void nb_config_inv_freq(const nb_config *c, bool long_factors, float *inv_freq) {
  const float *factor = long_factors ? c->long_factor : c->short_factor;
  for (size_t i = 0; i < c->rotary_dim / 2; i++) {
    float f = powf((float)c->rope_theta, (float)(2 * i) / (float)c->rotary_dim);
    inv_freq[i] = 1.0f / (c->rope_kind == NB_ROPE_LONGROPE ? factor[i] * f : f);
  }
}

void nb_config_rope(const nb_config *c, const float *inv_freq, size_t position, float *cosines, float *sines) {
  for (size_t i = 0; i < c->rotary_dim / 2; i++) {
    double angle = (float)position * inv_freq[i];
    cosines[i] = (float)cos(angle) * c->rope_scale;
    sines[i] = (float)sin(angle) * c->rope_scale;
  }
}
