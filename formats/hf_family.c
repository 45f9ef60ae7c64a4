/* SPDX-License-Identifier: MIT */
#include "formats/hf_family.h"

#include <math.h>
#include <string.h>

const char *const nb_hf_dtype_names[] = {[NB_F32] = "float32", [NB_F16] = "float16", [NB_BF16] = "bfloat16"};

const char *const nb_hf_rope_names[] = {
    [NB_ROPE_DEFAULT] = "default", [NB_ROPE_LONGROPE] = "longrope", [NB_ROPE_LINEAR] = "linear",
    [NB_ROPE_LLAMA3] = "llama3",   [NB_ROPE_YARN] = "yarn",         [NB_ROPE_DYNAMIC] = "dynamic"};

nb_status nb_hf_unknown(const char *architecture, const char *model_type, const char *file, nb_err *err) {
  char list[512];
  const nb_arch *same = nb_arch_of_type(model_type);
  nb_arch_list(list, sizeof list);
  if (same)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s: the architecture %.80s is not supported, but its model_type is that of %s: if its tensors and "
                   "its arithmetic are the same, write that name into \"architectures\". Supported: %s",
                   file, architecture, same->architecture, list);
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the architecture %.80s is not supported; supported: %s", file,
                 architecture, list);
}

/* A float, or null for 0. */
static void put_or_null(nb_jsonout *out, const char *key, float v) {
  if (v == 0) nb_jsonout_null(out, key);
  else nb_jsonout_f32(out, key, v);
}

/* ---- activations ---- */

static const struct {
  const char *name;
  nb_activation act;
} activations[] = {
    {"silu", NB_ACT_SILU},          {"swish", NB_ACT_SILU},          {"gelu_pytorch_tanh", NB_ACT_GELU_TANH},
    {"gelu_new", NB_ACT_GELU_TANH}, {"gelu_fast", NB_ACT_GELU_TANH}, {"gegelu", NB_ACT_GEGELU}};

nb_status nb_hf_activation(const char *name, const char *file, nb_activation *out, nb_err *err) {
  for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
    if (strcmp(activations[i].name, name)) continue;
    *out = activations[i].act;
    return NB_OK;
  }
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the activation \"%.40s\" is not supported; supported: silu, gelu_pytorch_tanh, gelu_new, gegelu",
                 file, name);
}

const char *nb_hf_activation_name(const nb_hf_family *f, nb_activation a) {
  nb_activation own;
  if (nb_hf_activation(f->default_activation, "", &own, NULL) == NB_OK && own == a) return f->default_activation;
  for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
    if (activations[i].act == a) return activations[i].name;
  return "unknown";
}

/* ---- Gemma ---- */

static nb_status read_gemma(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  (void)j, (void)file, (void)err;
  c->embed_scale = sqrtf((float)c->hidden);
  return NB_OK;
}

static nb_status read_gemma2(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  double scalar = 256, attn = 0, final = 0;
  bool second = !strcmp(c->architecture, "Gemma2ForCausalLM");
  if (second && !cJSON_HasObjectItem(j, "attn_logit_softcapping")) attn = 50;
  if (second && !cJSON_HasObjectItem(j, "final_logit_softcapping")) final = 30;
  NB_TRY(nb_json_optional_f64(j, file, "query_pre_attn_scalar", &scalar, err));
  if (second) NB_TRY(nb_json_optional_f64(j, file, "attn_logit_softcapping", &attn, err)); /* Gemma 3 ignores it */
  NB_TRY(nb_json_optional_f64(j, file, "final_logit_softcapping", &final, err));
  if (!(scalar > 0)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"query_pre_attn_scalar\" is %g", file, scalar);
  c->attn_scale = (float)(1 / sqrt(scalar));
  c->attn_softcap = (float)attn, c->logit_softcap = (float) final;
  c->embed_scale = sqrtf((float)c->hidden);
  return NB_OK;
}

static void write_gemma2(const nb_config *c, nb_jsonout *out) {
  double scalar = 1 / ((double)c->attn_scale * (double)c->attn_scale);
  const double whole[] = {floor(scalar), ceil(scalar)}; /* it is a whole number in all files */
  for (size_t i = 0; i < 2; i++)
    if ((float)(1 / sqrt(whole[i])) == c->attn_scale) scalar = whole[i];
  nb_jsonout_f64(out, "query_pre_attn_scalar", scalar);
  put_or_null(out, "attn_logit_softcapping", c->attn_softcap);
  put_or_null(out, "final_logit_softcapping", c->logit_softcap);
}

/* ---- phi ---- */

static nb_status read_phi(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  c->head_bias = true;
  return nb_json_optional_bool(j, file, "qk_layernorm", &c->qk_norm, err);
}

static void write_phi(const nb_config *c, nb_jsonout *out) {
  if (c->qk_norm) nb_jsonout_bool(out, "qk_layernorm", true);
}

/* ---- experts ---- */

static nb_status read_experts(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  c->experts_per_token = 2;
  NB_TRY(nb_json_size(j, file, "num_local_experts", 1, NB_MAX_EXPERTS, &c->experts, err));
  return nb_json_optional_size(j, file, "num_experts_per_tok", 1, NB_MAX_EXPERTS, &c->experts_per_token, err);
}

static void write_experts(const nb_config *c, nb_jsonout *out) {
  nb_jsonout_u64(out, "num_local_experts", c->experts);
  nb_jsonout_u64(out, "num_experts_per_tok", c->experts_per_token);
}

static nb_status read_phimoe(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  double jitter = 0.01;
  NB_TRY(read_experts(j, file, c, err));
  NB_TRY(nb_json_optional_f64(j, file, "router_jitter_noise", &jitter, err));
  NB_TRY(nb_json_optional_bool(j, file, "lm_head_bias", &c->head_bias, err));
  c->routing = NB_ROUTE_SPARSEMIX;
  c->router_jitter = (float)jitter;
  return NB_OK;
}

static void write_phimoe(const nb_config *c, nb_jsonout *out) {
  write_experts(c, out);
  nb_jsonout_f32(out, "router_jitter_noise", c->router_jitter);
  nb_jsonout_bool(out, "lm_head_bias", c->head_bias);
}

/* ---- phi-3-small ---- */

static nb_status add_masked(nb_config *c, const char *file, int32_t id, nb_err *err) {
  if (c->n_masked && c->masked[c->n_masked - 1][1] + 1 == id) {
    c->masked[c->n_masked - 1][1] = id;
    return NB_OK;
  }
  if (c->n_masked == NB_MAX_MASKED)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"dummy_token_indices\" has more than %d ranges", file, NB_MAX_MASKED);
  c->masked[c->n_masked][0] = c->masked[c->n_masked][1] = id;
  c->n_masked++;
  return NB_OK;
}

/* The ids that the vocabulary has only for its size to be a round number. */
static nb_status read_masked(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  static const int32_t usual[][2] = {{100256, 100256}, {100258, 100260}, {100264, 100265}, {100267, 100351}};
  const cJSON *list = NULL;
  NB_TRY(nb_json_optional_array(j, file, "dummy_token_indices", &list, err));
  if (!list && c->vocab == 100352) memcpy(c->masked, usual, sizeof usual), c->n_masked = 4;
  for (const cJSON *i = list ? list->child : NULL; i; i = i->next) {
    size_t id;
    NB_TRY(nb_json_as_size(i, file, "dummy_token_indices", 0, INT32_MAX, &id, err));
    NB_TRY(add_masked(c, file, (int32_t)id, err));
  }
  return NB_OK;
}

static nb_status fixed_number(const cJSON *j, const char *file, const char *key, double only, nb_err *err) {
  double v = only;
  NB_TRY(nb_json_optional_f64(j, file, key, &v, err));
  if (v == only) return NB_OK;
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"%s\" is %g; only %g is supported", file, key, v, only);
}

static nb_status read_phi3small(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  double embed = 10, attn = 1, width = 8;
  bool mup = true;
  NB_TRY(fixed_number(j, file, "gegelu_limit", 20, err));
  NB_TRY(fixed_number(j, file, "rope_position_scale", 1, err));
  NB_TRY(fixed_number(j, file, "blocksparse_block_size", NB_KV_BLOCK, err));
  NB_TRY(nb_json_optional_bool(j, file, "mup_use_scaling", &mup, err));
  NB_TRY(nb_json_optional_f64(j, file, "mup_embedding_multiplier", &embed, err));
  NB_TRY(nb_json_optional_f64(j, file, "mup_attn_multiplier", &attn, err));
  NB_TRY(nb_json_optional_f64(j, file, "mup_width_multiplier", &width, err));
  c->embed_scale = (float)embed;
  if (mup) c->attn_scale = (float)(attn / (double)c->head_dim), c->logit_scale = (float)(1 / width);
  return read_masked(j, file, c, err);
}

static void write_phi3small(const nb_config *c, nb_jsonout *out) {
  size_t every = 0; /* the first dense layer's number plus 1 */
  bool scaled = c->attn_scale != 1.0f / sqrtf((float)c->head_dim);
  while (every < c->layers && c->attend[every] != NB_ATTEND_FULL) every++;
  nb_jsonout_f32(out, "mup_embedding_multiplier", c->embed_scale);
  nb_jsonout_bool(out, "mup_use_scaling", scaled);
  nb_jsonout_f32(out, "mup_attn_multiplier", scaled ? c->attn_scale * (float)c->head_dim : 1);
  nb_jsonout_f32(out, "mup_width_multiplier", 1 / c->logit_scale);
  nb_jsonout_bool(out, "blocksparse_homo_head_pattern", c->sparse_shift == 0);
  nb_jsonout_f64(out, "gegelu_limit", 20);
  nb_jsonout_u64(out, "blocksparse_block_size", NB_KV_BLOCK);
  nb_jsonout_u64(out, "blocksparse_num_local_blocks", c->sparse_local);
  nb_jsonout_u64(out, "blocksparse_vert_stride", c->sparse_stride);
  nb_jsonout_u64(out, "dense_attention_every_n_layers", every + 1);
  nb_jsonout_open(out, "dummy_token_indices", '[');
  for (size_t i = 0; i < c->n_masked; i++)
    for (int32_t id = c->masked[i][0]; id <= c->masked[i][1]; id++) nb_jsonout_u64(out, NULL, (uint64_t)id);
  nb_jsonout_close(out, ']');
}

/* ---- StarCoder 2 ---- */

/* One key for the biases of all linears. */
static nb_status read_starcoder2(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  bool use = true;
  NB_TRY(nb_json_optional_bool(j, file, "use_bias", &use, err));
  c->qkv_bias = c->o_bias = c->ffn_bias = use;
  return NB_OK;
}

static void write_starcoder2(const nb_config *c, nb_jsonout *out) { nb_jsonout_bool(out, "use_bias", c->ffn_bias); }

/* ---- StableLM ---- */

static nb_status read_stablelm(const cJSON *j, const char *file, nb_config *c, nb_err *err) {
  static const char *const other[] = {"use_parallel_residual", "qk_layernorm"};
  for (size_t i = 0; i < 2; i++) {
    bool use = false;
    NB_TRY(nb_json_optional_bool(j, file, other[i], &use, err));
    if (use) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: \"%s\" is true; only false is supported", file, other[i]);
  }
  return nb_json_optional_bool(j, file, "use_qkv_bias", &c->qkv_bias, err);
}

static void write_stablelm(const nb_config *c, nb_jsonout *out) { nb_jsonout_bool(out, "use_qkv_bias", c->qkv_bias); }

/* ---- the table ---- */

#define SIZE_KEYS .ffn = "intermediate_size", .eps = "rms_norm_eps", .theta = "rope_theta"
#define LLAMA_KEYS SIZE_KEYS, .activation = "hidden_act"
#define SILU .default_activation = "silu", .gated = true
#define GEMMA                                                                                                          \
  .default_activation = "gelu_pytorch_tanh", .gated = true, .tied = true, .default_eps = 1e-6, .head_dim = 256,        \
  .attention_bias = true
/* Gemma 2 and 3: norms before and behind the branches, windows in all but every pattern-th layer. */
#define GEMMA2                                                                                                         \
  GEMMA, SIZE_KEYS, .activation = "hidden_activation", .window = 4096, .block = NB_BLOCK_SANDWICH,                     \
                    .windows = NB_HF_WINDOW_EVERY, .read = read_gemma2, .write = write_gemma2

static const nb_hf_family families[] = {
    {.architecture = "Phi3ForCausalLM",
     LLAMA_KEYS,
     SILU,
     .max_position = 4096,
     .default_eps = 1e-5,
     .default_theta = 1e4},
    {.architecture = "LlamaForCausalLM",
     LLAMA_KEYS,
     SILU,
     .max_position = 2048,
     .default_eps = 1e-6,
     .default_theta = 1e4,
     .attention_bias = true,
     .mlp_bias = true,
     .windows = NB_HF_WINDOW_NONE},
    {.architecture = "MistralForCausalLM",
     .kv_heads = 8,
     .window = 4096,
     LLAMA_KEYS,
     SILU,
     .max_position = 131072,
     .default_eps = 1e-6,
     .default_theta = 1e4},
    {.architecture = "Qwen2ForCausalLM",
     .kv_heads = 32,
     LLAMA_KEYS,
     SILU,
     .max_position = 32768,
     .default_eps = 1e-6,
     .default_theta = 1e4,
     .qkv_bias = true,
     .windows = NB_HF_WINDOW_ASKED},
    {.architecture = "Qwen3ForCausalLM",
     .kv_heads = 32,
     LLAMA_KEYS,
     SILU,
     .max_position = 32768,
     .default_eps = 1e-6,
     .default_theta = 1e4,
     .head_dim = 128,
     .qk_norm = true,
     .attention_bias = true,
     .windows = NB_HF_WINDOW_ASKED},
    {.architecture = "GemmaForCausalLM",
     LLAMA_KEYS,
     GEMMA,
     .max_position = 8192,
     .default_theta = 1e4,
     .gelu_is_tanh = true,
     .windows = NB_HF_WINDOW_NONE,
     .read = read_gemma},
    {.architecture = "Gemma2ForCausalLM", GEMMA2, .max_position = 8192, .default_theta = 1e4, .pattern = 2},
    {.architecture = "Gemma3ForCausalLM",
     GEMMA2,
     .max_position = 131072,
     .default_theta = 1e6,
     .qk_norm = true,
     .pattern = 6},
    {.architecture = "PhiForCausalLM",
     .default_partial = 0.5,
     .ffn = "intermediate_size",
     .eps = "layer_norm_eps",
     .theta = "rope_theta",
     .activation = "hidden_act",
     .default_activation = "gelu_new",
     .max_position = 2048,
     .default_eps = 1e-5,
     .default_theta = 1e4,
     .norm = NB_NORM_LAYER,
     .block = NB_BLOCK_PARALLEL,
     .biases = true,
     .windows = NB_HF_WINDOW_NONE,
     .read = read_phi,
     .write = write_phi},
    {.architecture = "Phi3SmallForCausalLM",
     .ffn = "ff_intermediate_size",
     .eps = "layer_norm_epsilon",
     .theta = "rope_embedding_base",
     .activation = "hidden_act",
     .default_activation = "gegelu",
     .gated = true,
     .tied = true,
     .max_position = 8192,
     .default_eps = 1e-5,
     .default_theta = 1e6,
     .norm = NB_NORM_LAYER,
     .biases = true,
     .windows = NB_HF_WINDOW_SPARSE,
     .read = read_phi3small,
     .write = write_phi3small},
    {.architecture = "StableLmForCausalLM",
     .default_partial = 0.25,
     .ffn = "intermediate_size",
     .eps = "layer_norm_eps",
     .theta = "rope_theta",
     .activation = "hidden_act",
     SILU,
     .max_position = 4096,
     .default_eps = 1e-5,
     .default_theta = 1e4,
     .norm = NB_NORM_LAYER,
     .windows = NB_HF_WINDOW_NONE,
     .read = read_stablelm,
     .write = write_stablelm},
    {.architecture = "MixtralForCausalLM",
     .kv_heads = 8,
     LLAMA_KEYS,
     SILU,
     .max_position = 131072,
     .default_eps = 1e-5,
     .default_theta = 1e6,
     .read = read_experts,
     .write = write_experts},
    {.architecture = "PhiMoEForCausalLM",
     .kv_heads = 8,
     LLAMA_KEYS,
     SILU,
     .max_position = 131072,
     .default_eps = 1e-5,
     .default_theta = 1e6,
     .norm = NB_NORM_LAYER,
     .attention_bias = true,
     .read = read_phimoe,
     .write = write_phimoe},
    {.architecture = "Starcoder2ForCausalLM",
     .kv_heads = 2,
     .ffn = "intermediate_size",
     .eps = "norm_epsilon",
     .theta = "rope_theta",
     .activation = "hidden_act",
     .default_activation = "gelu_pytorch_tanh",
     .tied = true,
     .max_position = 4096,
     .default_eps = 1e-5,
     .default_theta = 1e4,
     .norm = NB_NORM_LAYER,
     .read = read_starcoder2,
     .write = write_starcoder2},
};

const nb_hf_family *nb_hf_family_find(const char *architecture) {
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    if (!strcmp(families[i].architecture, architecture)) return &families[i];
  return NULL;
}
