/* SPDX-License-Identifier: MIT */
/* Opening, verifying and binding the weights of hostile .nbl bytes, and reading how they were made. The header's
 * checksum is made right first, since no fuzzer would guess it. A copy with another weight and another digit in its
 * metadata is said to differ. */
#include "base/mem.h"
#include "convert/reproduce.h"
#include "formats/nbl.h"
#include "formats/nbl_layout.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The header's checksum as it should be. */
static void mend(uint8_t *p, size_t size) {
  uint64_t head = 0;
  for (int i = 0; i < 8; i++) head |= (uint64_t)p[56 + i] << 8 * i;
  if (head >= 64 && head <= size) nb_nbl_header_hash(p, head, p + 16);
}

/* p, size: of f, and changed here. Not every digit can be another; a weight can. */
static void compare(const nb_nbl *f, uint8_t *p, size_t size) {
  nb_text where = {0};
  nb_err err;
  const char *a = scratch_write("a.nbl", p, size), *b = scratch("b.nbl");
  size_t n = nb_nbl_count(f), from = NB_NBL_HEADER + n * NB_NBL_RECORD, n_tokenizer;
  for (size_t i = 0; i < n; i++) {
    char name[16];
    nb_nbl_format_name(nb_nbl_at(f, i), name);
    if (!*name) abort();
  }
  (void)nb_nbl_tokenizer(f, &n_tokenizer);
  if (nb_nbl_file_bytes(f) != size || nb_nbl_data_offset(f) > size || n_tokenizer > size) abort();
  for (size_t k = 0; k < 2; k++) {
    if (k)
      for (size_t i = from; i + 1 < nb_nbl_data_offset(f); i++)
        if (p[i] == ':' && p[i + 1] >= '2' && p[i + 1] <= '8') p[i + 1] ^= 1;
    for (size_t i = 0; i < n; i++) p[nb_nbl_at(f, i)->offset] ^= 1;
    mend(p, size);
    temp_write(b, p, size);
    nb_text_clear(&where);
    nb_status st = nb_reproduce_compare(a, b, &where, &err);
    if (k == 0 && (st != NB_OK || !where.n)) abort();
  }
  nb_text_free(&where);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < NB_NBL_HEADER || size > 1 << 20) return 0;
  uint8_t *p = nb_alloc(size, 1);
  if (!p) return 0;
  memcpy(p, data, size);
  mend(p, size);
  nb_nbl *f;
  if (nb_nbl_open_memory(p, size, "fuzz", false, 1, &f, NULL) == NB_OK) {
    (void)nb_nbl_verify(f, 1, NULL);
    nb_weight_source src;
    nb_weights w;
    nb_reproduce_plan plan;
    const char *const text = "x.txt";
    (void)nb_reproduce_read(f, "fuzz", size % 2 ? &text : NULL, size % 2, &plan, NULL);
    nb_reproduce_free(&plan);
    nb_nbl_source(f, &src);
    if (nb_weights_bind(nb_nbl_config(f), &src, &w, NULL) == NB_OK) nb_weights_free(&w);
    compare(f, p, size);
    nb_nbl_close(f);
  }
  nb_free(p);
  return 0;
}
