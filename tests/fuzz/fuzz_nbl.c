/* SPDX-License-Identifier: MIT */
/* Opening, verifying and binding the weights of hostile .nbl bytes, and reading how they were made. The header's
 * checksum is made right first, since no fuzzer would guess it. */
#include "base/mem.h"
#include "convert/reproduce.h"
#include "formats/nbl.h"
#include "formats/nbl_layout.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < NB_NBL_HEADER || size > 1 << 20) return 0;
  uint8_t *p = nb_alloc(size, 1);
  if (!p) return 0;
  memcpy(p, data, size);
  uint64_t head = 0;
  for (int i = 0; i < 8; i++) head |= (uint64_t)p[56 + i] << 8 * i;
  if (head >= 64 && head <= size) nb_nbl_header_hash(p, head, p + 16);
  nb_nbl *f;
  if (nb_nbl_open_memory(p, size, "fuzz", false, 1, &f, NULL) == NB_OK) {
    (void)nb_nbl_verify(f, 1, NULL);
    nb_weight_source src;
    nb_weights w;
    nb_reproduce_plan plan;
    (void)nb_reproduce_read(f, "fuzz", NULL, 0, &plan, NULL);
    nb_reproduce_free(&plan);
    nb_nbl_source(f, &src);
    if (nb_weights_bind(nb_nbl_config(f), &src, &w, NULL) == NB_OK) nb_weights_free(&w);
    nb_nbl_close(f);
  }
  nb_free(p);
  return 0;
}
