/* SPDX-License-Identifier: MIT */
/* A configuration as transformers 5 writes it: what a .nbl file holds and what an exported checkpoint gets. */
#include "formats/hf_config.h"
#include "formats/hf_family.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

static void put_windows(const nb_config *c, const nb_hf_family *f, nb_jsonout *j) {
  bool window = false;
  if (f->windows == NB_HF_WINDOW_NONE || f->windows == NB_HF_WINDOW_SPARSE) return;
  for (size_t l = 0; l < c->layers; l++) window |= c->attend[l] == NB_ATTEND_WINDOW;
  if (f->windows == NB_HF_WINDOW_ASKED) nb_jsonout_bool(j, "use_sliding_window", window);
  if (c->sliding_window) nb_jsonout_u64(j, "sliding_window", c->sliding_window);
  else nb_jsonout_null(j, "sliding_window");
  if (f->windows == NB_HF_WINDOW_ALL) return;
  nb_jsonout_open(j, "layer_types", '[');
  for (size_t l = 0; l < c->layers; l++)
    nb_jsonout_string(j, NULL, c->attend[l] == NB_ATTEND_WINDOW ? "sliding_attention" : "full_attention");
  nb_jsonout_close(j, ']');
}

static void put_factors(nb_jsonout *j, const char *key, const float *f, size_t n) {
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < n; i++) nb_jsonout_f32(j, NULL, f[i]);
  nb_jsonout_close(j, ']');
}

/* What a scaled kind needs besides theta. */
static void put_scaling(const nb_config *c, nb_jsonout *j) {
  const nb_rope_scaling *r = &c->rope_scaling;
  if (c->rope_kind == NB_ROPE_LONGROPE) {
    nb_jsonout_u64(j, "original_max_position_embeddings", c->original_max_position);
    nb_jsonout_f32(j, "attention_factor", c->rope_scale);
    if (c->rope_scale_long != c->rope_scale) {
      nb_jsonout_f32(j, "short_mscale", c->rope_scale);
      nb_jsonout_f32(j, "long_mscale", c->rope_scale_long);
    }
    put_factors(j, "short_factor", c->short_factor, c->rotary_dim / 2);
    put_factors(j, "long_factor", c->long_factor, c->rotary_dim / 2);
    return;
  }
  nb_jsonout_f64(j, "factor", r->factor);
  if (c->rope_kind == NB_ROPE_LLAMA3) {
    nb_jsonout_f64(j, "low_freq_factor", r->low_freq_factor);
    nb_jsonout_f64(j, "high_freq_factor", r->high_freq_factor);
  }
  if (c->rope_kind == NB_ROPE_YARN) {
    nb_jsonout_f32(j, "attention_factor", c->rope_scale);
    nb_jsonout_f64(j, "beta_fast", r->beta_fast);
    nb_jsonout_f64(j, "beta_slow", r->beta_slow);
    nb_jsonout_bool(j, "truncate", r->truncate);
  }
  if (c->rope_kind == NB_ROPE_LLAMA3 || c->rope_kind == NB_ROPE_YARN)
    nb_jsonout_u64(j, "original_max_position_embeddings", c->original_max_position);
}

static void put_rope(const nb_config *c, nb_jsonout *j) {
  double partial = (double)c->rotary_dim / (double)c->head_dim;
  if ((size_t)((double)c->head_dim * partial) < c->rotary_dim) partial = nextafter(partial, 2);
  nb_jsonout_open(j, "rope_parameters", '{');
  if (c->rope_local_theta != 0) {
    nb_jsonout_open(j, "sliding_attention", '{');
    nb_jsonout_string(j, "rope_type", nb_hf_rope_names[NB_ROPE_DEFAULT]);
    nb_jsonout_f64(j, "rope_theta", c->rope_local_theta);
    nb_jsonout_close(j, '}');
    nb_jsonout_open(j, "full_attention", '{');
  }
  nb_jsonout_string(j, "rope_type", nb_hf_rope_names[c->rope_kind]);
  nb_jsonout_f64(j, "rope_theta", c->rope_theta);
  nb_jsonout_f64(j, "partial_rotary_factor", partial);
  if (c->rope_kind != NB_ROPE_DEFAULT) put_scaling(c, j);
  if (c->rope_local_theta != 0) nb_jsonout_close(j, '}');
  nb_jsonout_close(j, '}');
}

static void put_ids(const nb_config *c, nb_jsonout *j) {
  if (c->bos_id >= 0) nb_jsonout_u64(j, "bos_token_id", (uint64_t)c->bos_id);
  else nb_jsonout_null(j, "bos_token_id");
  if (c->n_eos) {
    nb_jsonout_open(j, "eos_token_id", '[');
    for (size_t i = 0; i < c->n_eos; i++) nb_jsonout_u64(j, NULL, (uint64_t)c->eos_ids[i]);
    nb_jsonout_close(j, ']');
  } else nb_jsonout_null(j, "eos_token_id");
  nb_jsonout_null(j, "pad_token_id");
}

static void put_all(const nb_config *c, const nb_arch *a, const nb_hf_family *f, nb_jsonout *j) {
  size_t max = c->rope_kind == NB_ROPE_DYNAMIC ? c->original_max_position : c->max_position;
  nb_jsonout_open(j, NULL, '{');
  j->lines = true;
  nb_jsonout_open(j, "architectures", '[');
  nb_jsonout_string(j, NULL, c->architecture);
  nb_jsonout_close(j, ']');
  nb_jsonout_string(j, "model_type", a->model_type);
  nb_jsonout_string(j, "dtype", nb_hf_dtype_names[c->dtype]);
  nb_jsonout_string(j, f->activation, nb_hf_activation_name(f, c->activation));
  nb_jsonout_u64(j, "hidden_size", c->hidden);
  nb_jsonout_u64(j, f->ffn, c->ffn);
  nb_jsonout_u64(j, "num_hidden_layers", c->layers);
  nb_jsonout_u64(j, "num_attention_heads", c->heads);
  nb_jsonout_u64(j, "num_key_value_heads", c->kv_heads);
  nb_jsonout_u64(j, "head_dim", c->head_dim);
  nb_jsonout_u64(j, "vocab_size", c->vocab);
  nb_jsonout_bool(j, "tie_word_embeddings", c->tie_embeddings);
  nb_jsonout_f32(j, f->eps, c->norm_eps);
  nb_jsonout_u64(j, "max_position_embeddings", max);
  if (c->rope_kind == NB_ROPE_LONGROPE) nb_jsonout_u64(j, "original_max_position_embeddings", c->original_max_position);
  put_windows(c, f, j);
  put_rope(c, j);
  put_ids(c, j);
  if (f->write) f->write(c, j);
  nb_jsonout_bool(j, "attention_bias", f->attention_bias && c->qkv_bias);
  if (f->mlp_bias) nb_jsonout_bool(j, "mlp_bias", c->ffn_bias);
  nb_jsonout_bool(j, "use_cache", true);
  j->lines = false;
  nb_jsonout_close(j, '}');
}

nb_status nb_hf_config_print(const nb_config *c, char **out, size_t *n, nb_err *err) {
  NB_TRY(nb_config_check(c, err));
  const nb_arch *a = nb_arch_find(c->architecture);
  const nb_hf_family *f = a ? nb_hf_family_find(a->architecture) : NULL;
  if (!f) return nb_hf_unknown(c->architecture, "", "the configuration", err);
  nb_text text = {0};
  nb_jsonout j = {.out = &text, .err = err};
  put_all(c, a, f, &j);
  if (j.st == NB_OK) j.st = nb_text_append(&text, "\n", 1, err);
  if (j.st != NB_OK) {
    nb_text_free(&text);
    return j.st;
  }
  *out = text.s, *n = text.n;
  return NB_OK;
}
