/* SPDX-License-Identifier: MIT */
#include "formats/safetensors.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every byte of every tensor of an accepted file must be inside it, and all of them together the data. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_safetensors st;
  if (nb_safetensors_open_memory(data, n, "fuzz", &st, &err) != NB_OK) return 0;
  size_t sum = st.shards[0].header_bytes;
  for (size_t i = 0; i < st.n_tensors; i++) {
    nb_safetensors_hash(&st.tensors[i]);
    sum += st.tensors[i].n_bytes;
    if (nb_safetensors_lookup(&st, st.tensors[i].name) != &st.tensors[i]) abort();
  }
  if (sum != n) abort();
  nb_safetensors_close(&st);
  return 0;
}
