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

static nb_status positive(const char *field, double v, double max, nb_err *err) {
  if (v > 0 && v <= max) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is %g, not above 0 and at most %g", field, v, max);
}

static nb_status check_rope(const nb_config *c, nb_err *err) {
  if ((unsigned)c->rope_kind > NB_ROPE_DYNAMIC)
    return nb_fail(err, NB_ERR_FORMAT, "unknown kind of rotary embedding %d", (int)c->rope_kind);
  if (!(c->rope_theta >= 1 && c->rope_theta <= 1e15))
    return nb_fail(err, NB_ERR_FORMAT, "rope_theta is %g, not between 1 and 1e15", c->rope_theta);
  if (c->rope_local_theta != 0 && !(c->rope_local_theta >= 1 && c->rope_local_theta <= 1e15))
    return nb_fail(err, NB_ERR_FORMAT, "the local rope_theta is %g, not between 1 and 1e15", c->rope_local_theta);
  if (!(c->rope_scale > 0 && c->rope_scale <= 1000) || !(c->rope_scale_long > 0 && c->rope_scale_long <= 1000))
    return nb_fail(err, NB_ERR_FORMAT, "the rotary attention scaling is %g, not between 0 and 1000",
                   (double)c->rope_scale);
  NB_TRY(in_range("original_max_position_embeddings", c->original_max_position, 1, NB_MAX_POSITION, err));
  if (c->rope_kind == NB_ROPE_DEFAULT) return NB_OK;
  if (c->rope_kind == NB_ROPE_LONGROPE) {
    NB_TRY(check_factors("short_factor", c->short_factor, c->rotary_dim / 2, err));
    return check_factors("long_factor", c->long_factor, c->rotary_dim / 2, err);
  }
  const nb_rope_scaling *r = &c->rope_scaling;
  if (!(r->factor >= 1 && r->factor <= 1e6))
    return nb_fail(err, NB_ERR_FORMAT, "the rotary embedding's factor is %g, not between 1 and 1e6", r->factor);
  if (c->rope_kind == NB_ROPE_LLAMA3) {
    NB_TRY(positive("low_freq_factor", r->low_freq_factor, 1e6, err));
    if (!(r->high_freq_factor > r->low_freq_factor && r->high_freq_factor <= 1e6))
      return nb_fail(err, NB_ERR_FORMAT, "high_freq_factor is %g, not above low_freq_factor %g", r->high_freq_factor,
                     r->low_freq_factor);
  }
  if (c->rope_kind == NB_ROPE_YARN) {
    NB_TRY(positive("beta_fast", r->beta_fast, 1e6, err));
    NB_TRY(positive("beta_slow", r->beta_slow, 1e6, err));
  }
  return NB_OK;
}

static nb_status check_attention(const nb_config *c, nb_err *err) {
  NB_TRY(in_range("max_position_embeddings", c->max_position, 1, NB_MAX_POSITION, err));
  NB_TRY(in_range("sliding_window", c->sliding_window, 0, NB_MAX_POSITION, err));
  for (size_t l = 0; l < c->layers; l++) {
    if (c->attend[l] > NB_ATTEND_SPARSE)
      return nb_fail(err, NB_ERR_FORMAT, "layer %zu: unknown kind of attention %d", l, c->attend[l]);
    if (c->attend[l] == NB_ATTEND_WINDOW && !c->sliding_window)
      return nb_fail(err, NB_ERR_FORMAT, "layer %zu attends to a window, but sliding_window is not given", l);
    if (c->attend[l] == NB_ATTEND_SPARSE) {
      NB_TRY(in_range("blocksparse_num_local_blocks", c->sparse_local, 1, NB_MAX_POSITION, err));
      NB_TRY(in_range("blocksparse_vert_stride", c->sparse_stride, 1, NB_MAX_POSITION, err));
    }
  }
  NB_TRY(positive("the attention multiplier", (double)c->attn_scale, 1e4, err));
  if (c->attn_softcap != 0) NB_TRY(positive("attn_logit_softcapping", (double)c->attn_softcap, 1e6, err));
  return NB_OK;
}

static nb_status check_block(const nb_config *c, nb_err *err) {
  if ((unsigned)c->norm > NB_NORM_LAYER) return nb_fail(err, NB_ERR_FORMAT, "unknown norm %d", (int)c->norm);
  if ((unsigned)c->block > NB_BLOCK_SANDWICH) return nb_fail(err, NB_ERR_FORMAT, "unknown block %d", (int)c->block);
  if ((unsigned)c->activation >= NB_ACTIVATIONS)
    return nb_fail(err, NB_ERR_FORMAT, "unknown activation %d", (int)c->activation);
  if (c->activation == NB_ACT_GEGELU && !c->gated) return nb_fail(err, NB_ERR_FORMAT, "gegelu needs a gate");
  NB_TRY(in_range("the number of experts", c->experts, 0, NB_MAX_EXPERTS, err));
  if (!c->experts) return NB_OK;
  NB_TRY(in_range("num_experts_per_tok", c->experts_per_token, 1, c->experts, err));
  if ((unsigned)c->routing > NB_ROUTE_SPARSEMIX)
    return nb_fail(err, NB_ERR_FORMAT, "unknown routing %d", (int)c->routing);
  if (c->routing == NB_ROUTE_SPARSEMIX) NB_TRY(in_range("num_experts_per_tok", c->experts_per_token, 2, 2, err));
  if (!c->gated || c->ffn_bias || c->block == NB_BLOCK_PARALLEL)
    return nb_fail(err, NB_ERR_FORMAT, "experts have a gate and no biases, in a sequential block");
  return NB_OK;
}

static nb_status check_outputs(const nb_config *c, nb_err *err) {
  NB_TRY(positive("the embedding's multiplier", (double)c->embed_scale, 1e6, err));
  NB_TRY(positive("the logits' multiplier", (double)c->logit_scale, 1e6, err));
  if (c->logit_softcap != 0) NB_TRY(positive("final_logit_softcapping", (double)c->logit_softcap, 1e6, err));
  NB_TRY(in_range("the number of ranges of masked ids", c->n_masked, 0, NB_MAX_MASKED, err));
  for (size_t i = 0; i < c->n_masked; i++)
    if (c->masked[i][0] < 0 || c->masked[i][1] < c->masked[i][0] || (size_t)c->masked[i][1] >= c->vocab)
      return nb_fail(err, NB_ERR_FORMAT, "the masked ids %d to %d are outside the vocabulary of %zu", c->masked[i][0],
                     c->masked[i][1], c->vocab);
  return NB_OK;
}

nb_status nb_config_check(const nb_config *c, nb_err *err) {
  if (!memchr(c->architecture, 0, sizeof c->architecture) || !c->architecture[0])
    return nb_fail(err, NB_ERR_FORMAT, "the name of the architecture is empty or too long");
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
  if (!(c->norm_eps > 0 && c->norm_eps < 1))
    return nb_fail(err, NB_ERR_FORMAT, "%s is %g, not between 0 and 1",
                   c->norm == NB_NORM_LAYER ? "layer_norm_eps" : "rms_norm_eps", (double)c->norm_eps);
  NB_TRY(check_block(c, err));
  NB_TRY(check_attention(c, err));
  NB_TRY(check_rope(c, err));
  NB_TRY(check_outputs(c, err));
  return check_ids(c, err);
}

bool nb_config_ends(const nb_config *c, int32_t id) {
  for (size_t i = 0; i < c->n_eos; i++)
    if (c->eos_ids[i] == id) return true;
  return false;
}

nb_status nb_config_check_ids(const nb_config *c, const int32_t *ids, size_t n, nb_err *err) {
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= c->vocab)
      return nb_fail(err, NB_ERR_ARG, "token id %d is out of range (0 to %zu)", ids[i], c->vocab - 1);
  return NB_OK;
}

/* ---- rotation ---- */

size_t nb_config_stretch(const nb_config *c, size_t length) {
  bool stretches = c->rope_kind == NB_ROPE_LONGROPE || c->rope_kind == NB_ROPE_DYNAMIC;
  if (!stretches || length <= c->original_max_position) return 0;
  return c->rope_kind == NB_ROPE_LONGROPE ? 1 : length;
}

/* In double and rounded: the last bit of powf is not the same in every C library. */
static float power(float base, float exponent) { return (float)pow(base, exponent); }

/* The frequencies of a plain rotation by theta. */
static void plain(const nb_config *c, float theta, float *inv_freq) {
  for (size_t i = 0; i < c->rotary_dim / 2; i++)
    inv_freq[i] = 1.0f / power(theta, (float)(2 * i) / (float)c->rotary_dim);
}

/* Llama 3.1: wavelengths beyond original / low_freq_factor are stretched whole, those below original / high_freq_factor
 * not at all, those between in part. */
static void llama3(const nb_config *c, float *inv_freq) {
  const nb_rope_scaling *r = &c->rope_scaling;
  float old = (float)c->original_max_position, factor = (float)r->factor;
  float low = (float)r->low_freq_factor, high = (float)r->high_freq_factor;
  for (size_t i = 0; i < c->rotary_dim / 2; i++) {
    float wave = 2 * 3.14159265358979323846f / inv_freq[i];
    if (wave < old / high) continue;
    float part = wave > old / low ? 0 : (old / wave - low) / (high - low);
    inv_freq[i] = (1 - part) * (inv_freq[i] / factor) + part * inv_freq[i];
  }
}

/* The dimension whose frequency turns `rotations` times within the original positions. */
static double yarn_dimension(const nb_config *c, double rotations) {
  double turn = (double)c->original_max_position / (rotations * 2 * 3.14159265358979323846);
  return (double)c->rotary_dim * log(turn) / (2 * log(c->rope_theta));
}

static void yarn(const nb_config *c, float *inv_freq) {
  const nb_rope_scaling *r = &c->rope_scaling;
  double low = yarn_dimension(c, r->beta_fast), high = yarn_dimension(c, r->beta_slow);
  if (r->truncate) low = floor(low), high = ceil(high);
  low = fmax(low, 0), high = fmin(high, (double)c->rotary_dim - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < c->rotary_dim / 2; i++) {
    float keep = 1 - fminf(1, fmaxf(0, ((float)i - (float)low) / (float)(high - low)));
    inv_freq[i] = inv_freq[i] / (float)r->factor * (1 - keep) + inv_freq[i] * keep;
  }
}

/* Theta for a sequence of `length` tokens. */
static double dynamic_theta(const nb_config *c, size_t length) {
  double d = (double)c->rotary_dim, f = c->rope_scaling.factor;
  double grown = f * (double)length / (double)c->original_max_position - (f - 1);
  return c->rope_theta * pow(grown, d / (d - 2));
}

void nb_config_inv_freq(const nb_config *c, size_t stretch, bool local, float *inv_freq) {
  size_t half = c->rotary_dim / 2;
  if (local && c->rope_local_theta != 0) {
    plain(c, (float)c->rope_local_theta, inv_freq);
    return;
  }
  if (c->rope_kind == NB_ROPE_LONGROPE) {
    const float *factor = stretch ? c->long_factor : c->short_factor;
    for (size_t i = 0; i < half; i++)
      inv_freq[i] = 1.0f / (factor[i] * power((float)c->rope_theta, (float)(2 * i) / (float)c->rotary_dim));
    return;
  }
  bool grown = c->rope_kind == NB_ROPE_DYNAMIC && stretch;
  plain(c, (float)(grown ? dynamic_theta(c, stretch) : c->rope_theta), inv_freq);
  if (c->rope_kind == NB_ROPE_LINEAR)
    for (size_t i = 0; i < half; i++) inv_freq[i] /= (float)c->rope_scaling.factor;
  if (c->rope_kind == NB_ROPE_LLAMA3) llama3(c, inv_freq);
  if (c->rope_kind == NB_ROPE_YARN) yarn(c, inv_freq);
}

void nb_config_rope(const nb_config *c, const float *inv_freq, float scale, size_t position, float *cosines,
                    float *sines) {
  for (size_t i = 0; i < c->rotary_dim / 2; i++) {
    double angle = (float)position * inv_freq[i];
    cosines[i] = (float)cos(angle) * scale;
    sines[i] = (float)sin(angle) * scale;
  }
}
