/* SPDX-License-Identifier: MIT */
/* GGUF files that llama.cpp's converter made (tests/golden/make_gguf_archs.py) against the checkpoints that it made
 * them of: the same tensors, bit for bit, and the same configuration. */
#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/hf_config.h"
#include "model/weights.h"
#include "test.h"

#include <stdio.h>

#define GOLDEN "tests/golden/gguf/archs/"

static nb_err err;
static const char *const names[] = {"llama", "llama3", "mistral", "qwen2", "qwen3",
                                    "gemma", "gemma2", "gemma3",  "phi3",  "phi2"};
enum { N = sizeof names / sizeof *names };

static void same_tensor(const char *model, const nb_st_tensor *a, const nb_st_tensor *b) {
  enum { MOST = 1 << 14 };
  static float x[MOST], y[MOST];
  size_t n = a->n_bytes / nb_dtype_bytes(a->view.dtype);
  CHECK_STR(a->name, b->name);
  CHECK_MSG(a->view.n_dims == b->view.n_dims && !memcmp(a->view.shape, b->view.shape, sizeof a->view.shape), "%s: %s",
            model, a->name);
  CHECK(n <= MOST && n == b->n_bytes / nb_dtype_bytes(b->view.dtype));
  if (n > MOST) return;
  nb_tensor_floats(&a->view, 0, n, x);
  nb_tensor_floats(&b->view, 0, n, y);
  CHECK_MSG(!memcmp(x, y, n * sizeof *x), "%s: %s", model, a->name);
}

TEST(the_same_tensors) {
  for (size_t i = 0; i < N; i++) {
    char path[256];
    nb_gguf g;
    nb_safetensors a, b;
    snprintf(path, sizeof path, GOLDEN "%s.gguf", names[i]);
    CHECK_OK(nb_gguf_open(path, &g, &err));
    CHECK_OK(nb_gguf_checkpoint_make(&g, 2, &a, &err));
    snprintf(path, sizeof path, GOLDEN "%s", names[i]);
    CHECK_OK(nb_safetensors_open(path, &b, &err));
    /* a head that is tied is stored by neither */
    CHECK_MSG(a.n_tensors == b.n_tensors, "%s: %zu and %zu tensors", names[i], a.n_tensors, b.n_tensors);
    for (size_t k = 0; k < a.n_tensors && k < b.n_tensors; k++) same_tensor(names[i], &a.tensors[k], &b.tensors[k]);
    nb_safetensors_close(&a);
    nb_safetensors_close(&b);
    nb_gguf_close(&g);
  }
}

/* Ids are left out, for these files have no vocabulary; so are Llama 3.1's scaling, which the converter works out, and
 * Mistral, whose files say that they are Llama's. */
TEST(the_same_configuration) {
  size_t compared = 0;
  for (size_t i = 0; i < N; i++) {
    char path[256], *text[2] = {NULL, NULL};
    size_t n;
    nb_gguf g;
    nb_config c[2];
    snprintf(path, sizeof path, GOLDEN "%s.gguf", names[i]);
    CHECK_OK(nb_gguf_open(path, &g, &err));
    nb_status st = nb_gguf_config_read(&g, &c[0], &err);
    nb_gguf_close(&g);
    snprintf(path, sizeof path, GOLDEN "%s", names[i]);
    nb_status want = nb_hf_config_read(path, &c[1], &err);
    CHECK_MSG(st == want, "%s: status %d, the checkpoint's %d: %s", names[i], (int)st, (int)want, err.msg);
    if (st != NB_OK || want != NB_OK || !strcmp(names[i], "llama3") || !strcmp(names[i], "mistral")) continue;
    for (int k = 0; k < 2; k++) {
      c[k].bos_id = -1;
      c[k].n_eos = 0;
      CHECK_OK(nb_hf_config_print(&c[k], &text[k], &n, &err));
    }
    CHECK_STR(text[0], text[1]);
    for (int k = 0; k < 2; k++) free(text[k]);
    compared++;
  }
  CHECK(compared == N - 2);
}

/* CVE-2024-8063: a model of no blocks ended Ollama's server by a division. Neither do other numbers of a model that
 * are 0 or much too large get further than their own check. */
TEST(cve_2024_8063_no_blocks) {
  static const char *const keys[] = {"llama.block_count", "llama.embedding_length", "llama.attention.head_count",
                                     "llama.attention.head_count_kv", "llama.feed_forward_length"};
  static const uint32_t values[] = {0, 0x7fffffff, 0xffffffff};
  char *bytes;
  size_t n;
  CHECK_OK(nb_mapfile_read(GOLDEN "llama.gguf", 1 << 20, &bytes, &n, &err));
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
    size_t len = strlen(keys[k]), at = 0;
    while (at + len + 8 < n && (memcmp(bytes + at, keys[k], len) || memcmp(bytes + at + len, "\4\0\0\0", 4))) at++;
    CHECK_MSG(at + len + 8 < n, "%s", keys[k]);
    uint32_t old;
    memcpy(&old, bytes + at + len + 4, 4);
    for (size_t v = 0; v < 3; v++) {
      nb_gguf g;
      nb_config c;
      nb_safetensors st;
      memcpy(bytes + at + len + 4, &values[v], 4);
      CHECK_OK(nb_gguf_open_memory(bytes, n, "f", &g, &err));
      nb_status got = nb_gguf_config_read(&g, &c, &err);
      CHECK_MSG(got == NB_ERR_FORMAT || got == NB_ERR_UNSUPPORTED, "%s is %u: %d", keys[k], values[v], (int)got);
      if (nb_gguf_checkpoint_make(&g, 1, &st, &err) == NB_OK) nb_safetensors_close(&st);
      nb_gguf_close(&g);
    }
    memcpy(bytes + at + len + 4, &old, 4);
  }
  free(bytes);
}

TEST(names_there_and_back) {
  const nb_gguf_arch *llama = nb_gguf_arch_of("MistralForCausalLM"), *phi3 = nb_gguf_arch_find("phi3", 4);
  char out[NB_GGUF_ROOM], back[NB_GGUF_ROOM];
  CHECK(llama == nb_gguf_arch_find("llama", 5) && phi3 && !nb_gguf_arch_find("llama4", 6) && !nb_gguf_arch_of("Bert"));
  CHECK(nb_gguf_arch_to_hf(llama, "blk.12.attn_q.weight", out));
  CHECK_STR(out, "model.layers.12.self_attn.q_proj.weight");
  CHECK(nb_gguf_arch_from_hf(llama, out, back) && !strcmp(back, "blk.12.attn_q.weight"));
  CHECK(nb_gguf_arch_from_hf(phi3, "model.layers.0.mlp.gate_up_proj.weight", out));
  CHECK_STR(out, "blk.0.ffn_up.weight");
  CHECK(!nb_gguf_arch_to_hf(llama, "blk.01.attn_q.weight", out) &&
        !nb_gguf_arch_to_hf(llama, "blk..attn_q.weight", out));
  CHECK(!nb_gguf_arch_to_hf(llama, "blk.1.attn_qkv.weight", out) && !nb_gguf_arch_to_hf(llama, "token_embd", out));
  CHECK(!nb_gguf_arch_to_hf(llama, "token_embd.weight.x", out));
}

int main(void) {
  RUN(the_same_tensors);
  RUN(the_same_configuration);
  RUN(cve_2024_8063_no_blocks);
  RUN(names_there_and_back);
  return test_end();
}
