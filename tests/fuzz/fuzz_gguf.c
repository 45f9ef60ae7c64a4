/* SPDX-License-Identifier: MIT */
#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "scratch.h"
#include "tokenizer_use.h"

#include <math.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A type is found by its name. Finite weights are written again in a type that can be; floats are the same then. */
static void write_again(const nb_ggml_type *t, const float *x) {
  float y[NB_GGML_MAX_BLOCK];
  uint8_t block[4 * NB_GGML_MAX_BLOCK];
  bool one = t->block == 1;
  if (nb_ggml_find_name(t->name) != t) abort();
  for (size_t i = 0; i < t->block; i++)
    if (!(fabsf(x[i]) < 1e6f)) return;
  if (!t->write && !one) return;
  nb_ggml_write(t, x, NULL, t->block, block);
  nb_ggml_read(t, block, t->block, y);
  if (one && x[0] != y[0]) abort();
}

/* Everything that an accepted file names lies inside it: each byte of each value and tensor is touched. Then it serves
 * as a tokenizer, a configuration and a checkpoint. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_gguf g;
  if (nb_gguf_open_memory(data, n, "fuzz", &g, NULL) != NB_OK) return 0;
  volatile double sum = 0; /* reads that are not left out */
  for (size_t i = 0; i < g.n_values; i++) {
    const nb_gguf_value *v = &g.values[i];
    if (nb_gguf_get(&g, v->key) != v) abort();
    nb_gguf_strings s = nb_gguf_strings_begin(v);
    const char *text;
    size_t len;
    while (nb_gguf_strings_next(&s, &text, &len))
      for (size_t k = 0; k < len; k++) sum += text[k];
    for (size_t k = 0; v->kind != NB_GGUF_STRING && k < v->n; k++) sum += nb_gguf_number(v, k);
  }
  float x[NB_GGML_MAX_BLOCK];
  for (size_t i = 0; i < g.n_tensors; i++) {
    const nb_gguf_tensor *t = &g.tensors[i];
    if (nb_gguf_tensor_find(&g, t->name) != t) abort();
    for (size_t k = 0; t->type->read && k < t->n_bytes; k += t->type->bytes) {
      nb_ggml_read(t->type, t->data + k, t->type->block, x);
      if (k == 0) write_again(t->type, x);
      sum += x[0];
    }
  }
  (void)sum;
  nb_tokenizer *t;
  if (nb_gguf_tokenizer_read(&g, &t, NULL) == NB_OK) {
    nb_tokenizer *same;
    if (nb_gguf_tokenizer_open(scratch_write("x.gguf", data, n), &same, NULL) != NB_OK) abort();
    nb_tokenizer_free(same);
    tokenizer_use(t, (const char *)data, n < 200 ? n : 200, n % 4, n % 2);
  }
  nb_config config;
  nb_safetensors checkpoint;
  (void)nb_gguf_config_read(&g, &config, NULL);
  if (nb_gguf_checkpoint_make(&g, 1, &checkpoint, NULL) == NB_OK) {
    for (size_t i = 0; i < checkpoint.n_tensors; i++) nb_safetensors_hash(&checkpoint.tensors[i]);
    nb_safetensors_close(&checkpoint);
  }
  nb_gguf_close(&g);
  return 0;
}
