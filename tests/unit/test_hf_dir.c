/* SPDX-License-Identifier: MIT */
#include "hf_dir.h"
#include "tempdir.h"
#include "test.h"

static nb_err err;

static const char config[] = "{\"architectures\":[\"Phi3ForCausalLM\"],\"hidden_size\":64,\"intermediate_"
                             "size\":96,\"num_hidden_layers\":2,"
                             "\"num_attention_heads\":4,\"vocab_size\":100}";

TEST(opens_what_is_there) {
  nb_hf_dir d;
  char *dir = temp_subdir("model");
  CHECK(nb_hf_dir_open(dir, &d, &err) == NB_ERR_IO && strstr(err.msg, "there is no config.json in it"));
  free(temp_text("model/config.json", config));
  CHECK(nb_hf_dir_open(dir, &d, &err) == NB_ERR_FORMAT && strstr(err.msg, "no model.safetensors"));
  CHECK(!d.config_json && !d.weights.shards && !d.config.hidden);
  static const char file[] =
      "\x3a\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}    \1\2\3\4";
  free(temp_file("model/model.safetensors", file, sizeof file - 1));
  CHECK_OK(nb_hf_dir_open(dir, &d, &err));
  CHECK(d.config.hidden == 64 && d.weights.n_tensors == 1 && d.config.n_eos == 0);
  CHECK(d.config_json && !d.tokenizer_json && !d.tokenizer_config_json && !d.generation_config_json);
  nb_hf_dir_close(&d);
  nb_hf_dir_close(&d);
  free(temp_text("model/tokenizer.json", "{}")), free(temp_text("model/chat_template.jinja", "x"));
  free(temp_text("model/generation_config.json", "{\"eos_token_id\":[7]}"));
  CHECK_OK(nb_hf_dir_open(dir, &d, &err));
  CHECK(d.tokenizer_json && strstr(d.tokenizer_json, "/model/tokenizer.json"));
  CHECK(d.chat_template_jinja && d.config.n_eos == 1 && d.config.eos_ids[0] == 7);
  nb_hf_dir_close(&d);
  free(dir);
}

TEST(refuses_what_is_no_directory) {
  nb_hf_dir d;
  char *file = temp_text("file.nbl", "x");
  CHECK(nb_hf_dir_open(file, &d, &err) == NB_ERR_ARG && strstr(err.msg, "file.nbl: is not a directory"));
  CHECK(nb_hf_dir_open("/no/such", &d, &err) == NB_ERR_IO);
  CHECK_STR(err.msg, "/no/such: cannot open: No such file or directory");
  free(file);
}

/* The real checkpoint, where it is there. */
TEST(opens_a_real_checkpoint) {
  const char *dir = getenv("NB_SMOLLM2");
  if (!dir) SKIP("set NB_SMOLLM2 to the directory that ../shared/tools/make_smollm2_phi3.py made");
  nb_hf_dir d;
  CHECK_OK(nb_hf_dir_open(dir, &d, &err));
  CHECK(d.config.layers == 30 && d.config.kv_heads == 4 && d.config.head_dim == 64 && d.tokenizer_json);
  nb_tensor_source source;
  nb_tensor t;
  nb_safetensors_source(&d.weights, &source);
  CHECK_OK(source.find(source.ctx, "model.layers.29.self_attn.qkv_proj.weight", &t, &err));
  CHECK(t.n_dims == 2 && t.shape[0] == nb_config_qkv_rows(&d.config) && t.shape[1] == d.config.hidden);
  nb_hf_dir_close(&d);
}

int main(void) {
  RUN(opens_what_is_there);
  RUN(refuses_what_is_no_directory);
  RUN(opens_a_real_checkpoint);
  temp_remove();
  return test_end();
}
