/* SPDX-License-Identifier: MIT */
/* The goldens in tests/golden/config are transformers': tests/golden/make_config_goldens.py. */
#include "formats/hf_config.h"
#include "model/model.h"
#include "model/arch.h"
#include "model/parts.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "tempdir.h"
#include "test.h"

#include <dirent.h>

static nb_err err;

static cJSON *load(const char *path) {
  char *text;
  size_t n;
  cJSON *j = NULL;
  if (nb_mapfile_read(path, 1 << 20, &text, &n, &err) || nb_json_parse(text, n, path, &j, &err)) puts(err.msg);
  free(text);
  return j;
}

static double number(const cJSON *j, const char *key) {
  double v = -12345;
  if (nb_json_f64(j, "expected.json", key, &v, &err)) puts(err.msg);
  return v;
}

static nb_status parse(const char *text, nb_config *c) {
  return nb_hf_config_parse(text, strlen(text), "config.json", c, &err);
}

static void compare_frequencies(const cJSON *want, const char *key, const nb_config *c, size_t stretch) {
  float have[NB_MAX_ROPE_FACTORS];
  size_t i = 0;
  const cJSON *list = nb_json_get(want, key);
  nb_config_inv_freq(c, stretch, false, have);
  CHECK(cJSON_GetArraySize(list) == (int)(c->rotary_dim / 2));
  for (const cJSON *v = list->child; v && i < c->rotary_dim / 2; v = v->next, i++) {
    /* two roundings of a power that is good to one unit in the last place: 2^-22 relative */
    CHECK_MSG(fabs(have[i] - v->valuedouble) <= 0x1p-22 * v->valuedouble, "%s[%zu]: %.9g, not %.9g", key, i,
              (double)have[i], v->valuedouble);
  }
}

static void compare_fields(const cJSON *want, const char *name, const nb_config *c) {
  const struct {
    const char *key;
    double have;
  } fields[] = {
      {"hidden", (double)c->hidden},
      {"ffn", (double)c->ffn},
      {"layers", (double)c->layers},
      {"heads", (double)c->heads},
      {"kv_heads", (double)c->kv_heads},
      {"head_dim", (double)c->head_dim},
      {"rotary_dim", (double)c->rotary_dim},
      {"vocab", (double)c->vocab},
      {"max_position", (double)c->max_position},
      {"original_max_position", (double)c->original_max_position},
      {"sliding_window", (double)c->sliding_window},
      {"theta", c->rope_theta},
      {"bos", c->bos_id},
  };
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    CHECK_MSG(fields[i].have == number(want, fields[i].key), "%s: %s is %g", name, fields[i].key, fields[i].have);
  }
  CHECK(c->norm_eps == (float)number(want, "rms_eps"));
  CHECK_MSG(c->rope_scale == (float)number(want, "rope_scale"), "%s: scale %.9g", name, (double)c->rope_scale);
  CHECK((c->rope_kind == NB_ROPE_LONGROPE) == cJSON_IsTrue(nb_json_get(want, "longrope")));
  CHECK(c->tie_embeddings == (bool)cJSON_IsTrue(nb_json_get(want, "tie")));
  const cJSON *eos = nb_json_get(want, "eos");
  CHECK((int)c->n_eos == cJSON_GetArraySize(eos));
  for (size_t i = 0; i < c->n_eos; i++) CHECK(c->eos_ids[i] == cJSON_GetArrayItem(eos, (int)i)->valuedouble);
  const char *dtype = c->dtype == NB_F32 ? "float32" : c->dtype == NB_F16 ? "float16" : "bfloat16";
  CHECK_STR(dtype, cJSON_GetStringValue(nb_json_get(want, "dtype")));
}

static nb_status load_config(const char *name, const char *form, nb_config *c) {
  char path[256], *text;
  size_t n;
  snprintf(path, sizeof path, "tests/golden/config/%s/%s", name, form);
  NB_TRY(nb_mapfile_read(path, 1 << 20, &text, &n, &err));
  nb_status st = nb_hf_config_parse(text, n, path, c, &err);
  free(text);
  return st;
}

/* Reads both forms of a configuration, which must say the same, and what it prints. */
static cJSON *read_forms(const char *name, nb_config *hub) {
  char path[256], *text;
  nb_config saved, again;
  size_t n;
  if (load_config(name, "hub.json", hub) != NB_OK) return NULL;
  if (load_config(name, "saved.json", &saved) == NB_OK) /* phi-3-small has one form */
    CHECK_MSG(!memcmp(hub, &saved, sizeof saved), "%s: the two forms differ", name);
  if (nb_hf_config_print(hub, &text, &n, &err) != NB_OK) return NULL;
  CHECK(strlen(text) == n);
  nb_status st = nb_hf_config_parse(text, n, "canonical", &again, &err);
  free(text);
  CHECK(st == NB_OK);
  CHECK_MSG(!memcmp(hub, &again, sizeof again), "%s: printed and read again it differs", name);
  snprintf(path, sizeof path, "tests/golden/config/%s/expected.json", name);
  return load(path);
}

/* ---- the other families, whose answers have other keys ---- */

static void same_number(const cJSON *want, const char *name, const char *key, double have) {
  const cJSON *v = nb_json_get(want, key);
  if (v)
    CHECK_MSG(fabs(have - v->valuedouble) <= 1e-6 * fabs(v->valuedouble), "%s: %s is %.9g, not %.9g", name, key, have,
              v->valuedouble);
}

static void same_frequencies(const cJSON *rotary, const char *name, const char *key, const nb_config *c, size_t stretch,
                             bool local) {
  float have[NB_MAX_ROPE_FACTORS] = {0};
  const cJSON *list = nb_json_get(rotary, key);
  size_t i = 0;
  if (!list) return;
  nb_config_inv_freq(c, stretch, local, have);
  CHECK(cJSON_GetArraySize(list) == (int)(c->rotary_dim / 2));
  for (const cJSON *v = list->child; v && i < c->rotary_dim / 2; v = v->next, i++)
    CHECK_MSG(fabs(have[i] - v->valuedouble) <= 4e-7 * v->valuedouble, "%s: %s[%zu]: %.9g, not %.9g", name, key, i,
              (double)have[i], v->valuedouble);
}

static void same_rotation(const cJSON *want, const char *name, const nb_config *c) {
  const cJSON *list = nb_json_get(want, "rotary");
  for (int i = 0; i < cJSON_GetArraySize(list); i++) {
    const cJSON *r = cJSON_GetArrayItem(list, i), *mscale = nb_json_get(r, "mscale");
    same_number(r, name, "theta", i ? c->rope_local_theta : c->rope_theta);
    same_frequencies(r, name, "inv_freq", c, 0, i == 1);
    same_frequencies(r, name, "inv_freq_long", c, 1, false);
    if (i) continue;
    same_number(r, name, "original_max_position", (double)c->original_max_position);
    if (!mscale) same_number(r, name, "scale", (double)c->rope_scale);
    else CHECK(fabs(cJSON_GetArrayItem(mscale, 0)->valuedouble - (double)c->rope_scale) < 1e-6);
  }
}

static void compare_family(const cJSON *want, const char *name, const nb_config *config) {
  const nb_config c = *config;
  const struct {
    const char *key;
    double have;
  } fields[] = {{"hidden", (double)c.hidden},
                {"ffn", (double)c.ffn},
                {"layers", (double)c.layers},
                {"heads", (double)c.heads},
                {"kv_heads", (double)c.kv_heads},
                {"head_dim", (double)c.head_dim},
                {"rotary_dim", (double)c.rotary_dim},
                {"vocab", (double)c.vocab},
                {"eps", (double)c.norm_eps},
                {"scale", (double)c.attn_scale},
                {"attention_cap", (double)c.attn_softcap},
                {"logit_cap", (double)c.logit_softcap},
                {"embedding_scale", (double)c.embed_scale},
                {"logit_scale", (double)c.logit_scale},
                {"experts", (double)c.experts},
                {"experts_per_token", (double)c.experts_per_token},
                {"bos", c.bos_id}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) same_number(want, name, fields[i].key, fields[i].have);
  CHECK(c.tie_embeddings == (bool)cJSON_IsTrue(nb_json_get(want, "tie")));
  const cJSON *windows = nb_json_get(want, "windows");
  for (int l = 0; l < cJSON_GetArraySize(windows); l++)
    CHECK_MSG(cJSON_GetArrayItem(windows, l)->valuedouble ==
                  (c.attend[l] == NB_ATTEND_WINDOW ? (double)c.sliding_window : 0),
              "%s: the window of layer %d", name, l);
  size_t masked = 0;
  for (size_t i = 0; i < c.n_masked; i++) masked += (size_t)(c.masked[i][1] - c.masked[i][0] + 1);
  same_number(want, name, "masked", (double)masked);
  same_rotation(want, name, &c);
  nb_parts parts;
  double weights = 0;
  CHECK_OK(nb_parts_create(&c, &parts, &err));
  for (size_t i = 0; i < parts.n; i++) weights += (double)parts.part[i].N * (double)parts.part[i].K;
  nb_parts_free(&parts);
  CHECK_MSG(weights == number(want, "parameters"), "%s: %.0f parameters, not %.0f", name, weights,
            number(want, "parameters"));
}

/* What a session of two threads takes for itself, without the cache: the rule of docs/models.md. */
static void check_memory(const char *name, const nb_config *c) {
  nb_session *s;
  nb_session_opts o = {.threads = 2};
  CHECK_OK(nb_session_create(c, &o, &s, &err));
  size_t batch = nb_session_max_tokens(s);
  CHECK_MSG(nb_session_bytes(s) < 150000000 && batch >= 256 && batch <= 512, "%s: %zu bytes for batches of %zu", name,
            nb_session_bytes(s), batch);
  nb_session_free(s);
}

static void check_model(const char *name) {
  nb_config c;
  cJSON *want = read_forms(name, &c);
  CHECK_MSG(want != NULL, "%s: %s", name, err.msg);
  if (!want) return;
  if (nb_json_get(want, "model_type")) compare_family(want, name, &c);
  else {
    compare_fields(want, name, &c);
    compare_frequencies(want, "inv_freq_short", &c, 0);
    compare_frequencies(want, "inv_freq_long", &c, 1);
  }
  check_memory(name, &c);
  cJSON_Delete(want);
}

static int is_model(const struct dirent *e) { return e->d_name[0] != '.'; }

/* Every folder of tests/golden/config. */
TEST(agrees_with_transformers) {
  struct dirent **models = NULL;
  int n = scandir("tests/golden/config", &models, is_model, alphasort);
  CHECK(n > 0);
  for (int i = 0; i < n; i++) {
    check_model(models[i]->d_name);
    free(models[i]);
  }
  free(models);
}

#define ARCH "\"architectures\":[\"Phi3ForCausalLM\"],"
#define DIMS                                                                                                           \
  "\"hidden_size\":64,\"intermediate_size\":96,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_"             \
  "size\":100"

TEST(defaults) {
  nb_config c;
  CHECK_OK(parse("{\"model_type\":\"phi3\"," DIMS "}", &c));
  CHECK(c.kv_heads == 4 && c.head_dim == 16 && c.rotary_dim == 16 && c.max_position == 4096 && !c.sliding_window);
  CHECK(c.norm_eps == 1e-5f && c.rope_theta == 10000 && c.rope_scale == 1 && c.bos_id == -1 && c.n_eos == 0);
  CHECK(c.rope_kind == NB_ROPE_DEFAULT && c.original_max_position == 4096 && !c.tie_embeddings);
  CHECK_STR(c.architecture, "Phi3ForCausalLM");
  /* an original length inside rope_parameters only */
  CHECK_OK(parse("{" ARCH DIMS ",\"max_position_embeddings\":64,\"partial_rotary_factor\":0.25,\"rope_parameters\":"
                 "{\"rope_type\":\"longrope\",\"original_max_position_embeddings\":32,\"short_factor\":[1,2],"
                 "\"long_factor\":[3,4]}}",
                 &c));
  CHECK(c.rotary_dim == 4 && c.original_max_position == 32 && c.long_factor[1] == 4 && c.short_factor[0] == 1);
  CHECK(c.rope_scale == (float)sqrt(1 + log(2.0) / log(32.0)));
}

static void refused(const char *text, nb_status code, const char *message) {
  nb_config c;
  nb_status st = parse(text, &c);
  CHECK_MSG(st == code, "status %d for %s", (int)st, text);
  if (st != NB_OK) CHECK_STR(err.msg, message);
}
#define F NB_ERR_FORMAT
#define U NB_ERR_UNSUPPORTED

TEST(refuses_what_is_not_supported) {
  char known[512], text[1024];
  nb_arch_list(known, sizeof known);
  CHECK(strstr(known, "LlamaForCausalLM, ") && strstr(known, nb_arch_all[nb_arch_count - 1]->architecture));
#define REFUSED(json, message)                                                                                         \
  do {                                                                                                                 \
    snprintf(text, sizeof text, "config.json: %s%s%s", message, "upported: ", known);                                  \
    refused(json, U, text);                                                                                            \
  } while (0)
  REFUSED("{\"architectures\":[\"GPT2LMHeadModel\"]}", "the architecture GPT2LMHeadModel is not supported; s");
  REFUSED("{\"architectures\":[]}", "the architecture none is not supported; s");
  REFUSED("{}", "the architecture none is not supported; s");
  REFUSED("{\"architectures\":[\"MyLlama\"],\"model_type\":\"llama\"}",
          "the architecture MyLlama is not supported, but its model_type is that of LlamaForCausalLM: if its tensors "
          "and its arithmetic are the same, write that name into \"architectures\". S");
#undef REFUSED
  refused(
      "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"mistral\"}", F,
      "config.json: \"architectures\" says LlamaForCausalLM, but \"model_type\" is MistralForCausalLM's: one of them "
      "is wrong");
  refused("{\"architectures\":[\"MixtralForCausalLM\"]," DIMS ",\"num_key_value_heads\":4}", F,
          "config.json: \"num_local_experts\" is missing");
  refused("{\"architectures\":[\"MixtralForCausalLM\"]," DIMS
          ",\"num_key_value_heads\":4,\"num_local_experts\":2,\"num_experts_per_tok\":3}",
          F, "config.json: num_experts_per_tok is 3, not between 1 and 2");
  refused(
      "{" ARCH DIMS ",\"hidden_act\":\"gelu\"}", U,
      "config.json: the activation \"gelu\" is not supported; supported: silu, gelu_pytorch_tanh, gelu_new, gegelu");
  refused("{" ARCH DIMS ",\"torch_dtype\":\"float8_e4m3fn\"}", U,
          "config.json: the data type \"float8_e4m3fn\" is not supported; supported: float32, float16, bfloat16");
  refused("{" ARCH DIMS ",\"attention_bias\":true}", U,
          "config.json: \"attention_bias\" is true; Phi3ForCausalLM has no such biases");
  refused(
      "{" ARCH DIMS ",\"rope_scaling\":{\"type\":\"mrope\",\"factor\":2}}", U,
      "config.json: the rotary embedding type \"mrope\" is not supported; supported: default, longrope (su), linear, "
      "llama3, yarn, dynamic");
}

TEST(refuses_absurd_numbers) {
  refused("[1]", F, "config.json: not a JSON object");
  refused("{\"a\":1,\"a\":2}", F, "config.json:1:8: duplicate key \"a\"");
  refused("{\n" ARCH DIMS ",}", F, "config.json:2:140: expected a key in double quotes");
  refused("{" ARCH "\"hidden_size\":64}", F, "config.json: \"intermediate_size\" is missing");
  refused("{" ARCH "\"hidden_size\":1e12}", F,
          "config.json: \"hidden_size\" is 1000000000000, not between 1 and 131072");
  refused("{" ARCH "\"hidden_size\":\"64\"}", F, "config.json: \"hidden_size\" is a string, not a whole number");
  refused("{" ARCH "\"hidden_size\":63.5}", F, "config.json: \"hidden_size\" is 63.5, not a whole number");
  refused("{" ARCH "\"hidden_size\":65,\"intermediate_size\":96,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
          "\"vocab_size\":9}",
          F, "config.json: \"hidden_size\" 65 is not a multiple of \"num_attention_heads\" 4");
  refused("{" ARCH DIMS ",\"num_key_value_heads\":3}", F,
          "config.json: num_attention_heads 4 is not a multiple of num_key_value_heads 3");
  refused("{" ARCH DIMS ",\"num_key_value_heads\":8}", F, "config.json: num_key_value_heads is 8, not between 1 and 4");
  refused("{" ARCH DIMS ",\"head_dim\":15}", F, "config.json: partial_rotary_factor * head_dim, 15, is odd");
  refused("{" ARCH DIMS ",\"partial_rotary_factor\":1.5}", F,
          "config.json: \"partial_rotary_factor\" is 1.5, not above 0 and at most 1");
  refused("{" ARCH DIMS ",\"partial_rotary_factor\":0.01}", F,
          "config.json: partial_rotary_factor * head_dim is 0, not between 2 and 16");
  refused("{" ARCH DIMS ",\"rms_norm_eps\":-1e-5}", F, "config.json: rms_norm_eps is -1e-05, not between 0 and 1");
  refused("{" ARCH DIMS ",\"rms_norm_eps\":1e-60}", F, "config.json: rms_norm_eps is 0, not between 0 and 1");
  refused("{" ARCH DIMS ",\"rope_theta\":0}", F, "config.json: rope_theta is 0, not between 1 and 1e15");
  refused("{" ARCH DIMS ",\"rope_theta\":1e999}", F,
          "config.json: \"rope_theta\" is too large for a floating-point number");
  refused("{" ARCH DIMS ",\"sliding_window\":0}", F,
          "config.json: \"sliding_window\" is 0, not between 1 and 16777216");
  refused("{" ARCH DIMS ",\"bos_token_id\":100}", F,
          "config.json: the beginning-of-text id 100 is outside the vocabulary of 100");
  refused("{" ARCH DIMS ",\"eos_token_id\":[1,-2]}", F,
          "config.json: \"eos_token_id\" is -2, not between 0 and 2147483647");
  refused("{" ARCH DIMS ",\"eos_token_id\":[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}", U,
          "config.json: \"eos_token_id\" has more than 16 ids");
}

#define ROPE(fields) "{" ARCH DIMS ",\"head_dim\":4,\"rope_scaling\":{\"type\":\"longrope\"," fields "}}"

TEST(refuses_bad_factors) {
  refused(ROPE("\"short_factor\":[1,1]"), F, "config.json: \"long_factor\" is missing");
  refused(ROPE("\"short_factor\":[1,1],\"long_factor\":[1]"), F,
          "config.json: \"long_factor\" has 1 numbers, the rotary dimension needs 2");
  refused(ROPE("\"short_factor\":[1,1,1],\"long_factor\":[1,1]"), F,
          "config.json: \"short_factor\" has 3 numbers, the rotary dimension needs 2");
  refused(ROPE("\"short_factor\":[1,\"x\"],\"long_factor\":[1,1]"), F,
          "config.json: \"short_factor\" is a string, not a number");
  refused(ROPE("\"short_factor\":[1,0],\"long_factor\":[1,1]"), F,
          "config.json: short_factor[1] is 0, not a positive number");
  refused(ROPE("\"short_factor\":[1,1],\"long_factor\":[1e300,1]"), F,
          "config.json: long_factor[0] is inf, not a positive number");
  refused(ROPE("\"original_max_position_embeddings\":1,\"short_factor\":[1,1],\"long_factor\":[1,1]"), F,
          "config.json: the rotary attention scaling is inf, not between 0 and 1000");
  refused(ROPE("\"attention_factor\":-1,\"short_factor\":[1,1],\"long_factor\":[1,1]"), F,
          "config.json: the rotary attention scaling is -1, not between 0 and 1000");
}

/* As transformers reads them: torch.bfloat16, half; -1 for no token; a key that stands twice with one value. */
TEST(other_spellings) {
  nb_config c;
  CHECK_OK(parse("{" ARCH DIMS ",\"torch_dtype\":\"torch.bfloat16\"}", &c));
  CHECK(c.dtype == NB_BF16);
  CHECK_OK(parse("{" ARCH DIMS ",\"dtype\":\"half\"}", &c));
  CHECK(c.dtype == NB_F16);
  CHECK_OK(parse("{" ARCH DIMS ",\"dtype\":\"torch.float\"}", &c));
  CHECK(c.dtype == NB_F32);
  CHECK_OK(parse("{" ARCH DIMS ",\"bos_token_id\":-1,\"eos_token_id\":[-1,2]}", &c));
  CHECK(c.bos_id == -1 && c.n_eos == 1 && c.eos_ids[0] == 2);
  CHECK_OK(parse("{" ARCH DIMS ",\"bos_token_id\":1,\"bos_token_id\": 1 }", &c));
  CHECK(c.bos_id == 1);
  refused("{" ARCH DIMS ",\"bos_token_id\":-2}", F,
          "config.json: \"bos_token_id\" is -2, not between 0 and 2147483647");
}

TEST(reads_a_directory) {
  nb_config c;
  char *config = temp_text("config.json", "{" ARCH DIMS ",\"bos_token_id\":1,\"eos_token_id\":2}"), *more;
  CHECK_OK(nb_hf_config_read(temp_dir(), &c, &err));
  CHECK(c.bos_id == 1 && c.n_eos == 1 && c.eos_ids[0] == 2);
  more = temp_text("generation_config.json", "{\"eos_token_id\":[7,2,9],\"bos_token_id\":null}");
  CHECK_OK(nb_hf_config_read(temp_dir(), &c, &err));
  CHECK(c.bos_id == 1 && c.n_eos == 3 && c.eos_ids[0] == 7 && c.eos_ids[1] == 2 && c.eos_ids[2] == 9);
  temp_write(more, "{\"eos_token_id\":100}", 20);
  CHECK(nb_hf_config_read(temp_dir(), &c, &err) == F && strstr(err.msg, "generation_config.json: the end-of-text"));
  CHECK(nb_hf_config_read("/no/such", &c, &err) == NB_ERR_IO);
  CHECK_STR(err.msg, "/no/such/config.json: cannot open: No such file or directory");
  free(config), free(more);
}

/* Every rotary_dim that a head can have survives the way through partial_rotary_factor. */
TEST(rotary_dimension_survives) {
  nb_config c, again;
  CHECK_OK(parse("{" ARCH DIMS "}", &c));
  for (c.head_dim = 2; c.head_dim <= NB_MAX_HEAD_DIM; c.head_dim += 7) {
    for (c.rotary_dim = 2; c.rotary_dim <= c.head_dim; c.rotary_dim += 2) {
      char *text;
      size_t n;
      c.attn_scale = 1.0f / sqrtf((float)c.head_dim);
      CHECK_OK(nb_hf_config_print(&c, &text, &n, &err));
      nb_status st = nb_hf_config_parse(text, n, "printed", &again, &err);
      free(text);
      CHECK_OK(st);
      CHECK_MSG(!memcmp(&c, &again, sizeof c), "%zu of %zu", c.rotary_dim, c.head_dim);
    }
  }
}

TEST(survives_damage) {
  static const char text[] = "{" ARCH DIMS ",\"head_dim\":4,\"eos_token_id\":[1,2],\"rope_scaling\":{\"type\":\"su\","
                             "\"short_factor\":[1,1.5],\"long_factor\":[2,4e1]}}";
  nb_config c;
  CHECK_OK(parse(text, &c));
  for (size_t n = 0; n < sizeof text - 1; n++) CHECK(nb_hf_config_parse(text, n, "cut", &c, &err) == F);
  unsigned seed = (unsigned)test_seed(1);
  char buf[sizeof text];
  for (int i = 0; i < 20000; i++) {
    memcpy(buf, text, sizeof text);
    for (int k = 0; k < 1 + i % 3; k++) {
      seed = seed * 1664525 + 1013904223;
      buf[(seed >> 8) % (sizeof text - 1)] = "0123456789-.e\"[]{},:nul\\x\xc3"[(seed >> 3) % 26];
    }
    nb_status st = nb_hf_config_parse(buf, sizeof text - 1, "damaged", &c, &err);
    CHECK(st != NB_OK || nb_config_check(&c, &err) == NB_OK);
  }
}

int main(void) {
  RUN(agrees_with_transformers);
  RUN(defaults);
  RUN(refuses_what_is_not_supported);
  RUN(refuses_absurd_numbers);
  RUN(refuses_bad_factors);
  RUN(other_spellings);
  RUN(reads_a_directory);
  RUN(rotary_dimension_survives);
  RUN(survives_damage);
  temp_remove();
  return test_end();
}
