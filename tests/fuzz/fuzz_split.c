/* SPDX-License-Identifier: MIT */
/* Hostile parts of a .nbl file: the input is up to four of them, each with its size before it (4 bytes). Checksums of
 * heads are made right first, which no fuzzer would guess. What opens is the whole file to every reader: joined and cut
 * again it opens as before. */
#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "formats/split.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 4 };

static void mend(uint8_t *p, size_t size, int i, const uint8_t *whole) {
  if (size < NB_SPLIT_HEAD) return;
  if (whole) memcpy(p + 16, whole + 16, 16);
  if (i == 0 && size >= NB_SPLIT_HEAD + NB_NBL_HEADER) {
    const uint64_t head = nb_little_get(p + NB_SPLIT_HEAD + 56, 8);
    if (head >= 64 && head <= size - NB_SPLIT_HEAD) nb_nbl_header_hash(p + NB_SPLIT_HEAD, head, p + NB_SPLIT_HEAD + 16);
    memcpy(p + 16, p + NB_SPLIT_HEAD + 16, 16);
  }
  nb_little_put(p + 56, nb_nbl_hash(p, 56), 8);
}

static void again(const nb_nbl *f) {
  nb_split_plan plan;
  nb_nbl *g;
  nb_err err;
  char first[NB_SPLIT_PATH];
  const char *joined = scratch("joined.nbl"), *prefix = scratch("parts");
  if (nb_split_join(f, joined, NULL, &err) != NB_OK) abort();
  if (nb_nbl_open(joined, false, 1, &g, &err) != NB_OK) abort();
  if (nb_nbl_file_bytes(g) != nb_nbl_file_bytes(f) || memcmp(nb_nbl_hash_of(f), nb_nbl_hash_of(g), 16)) abort();
  if (nb_split_plan_make(g, nb_nbl_file_bytes(g) / 2 + 4096, &plan, &err) == NB_OK) {
    nb_nbl *h;
    if (nb_split_write(g, &plan, prefix, NULL, &err) != NB_OK) abort();
    if (nb_split_name(prefix, 1, (unsigned)plan.n, first, &err) != NB_OK) abort();
    if (nb_nbl_open(first, false, 1, &h, &err) != NB_OK) abort();
    for (size_t i = 0; i < nb_nbl_count(h); i++)
      if (memcmp(nb_nbl_data(h, i), nb_nbl_data(f, i), nb_nbl_at(h, i)->size)) abort();
    nb_nbl_close(h);
    nb_split_plan_free(&plan);
  }
  nb_nbl_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nb_nbl_bytes part[PARTS];
  size_t n = 0;
  nb_nbl *f;
  nb_err err;
  if (size > 1 << 20) return 0;
  while (n < PARTS && size >= 4) {
    const size_t take = nb_min((size_t)nb_little_get(data, 4), size - 4);
    uint8_t *p = nb_alloc(take + 1, 1);
    if (!p) break;
    memcpy(p, data + 4, take);
    mend(p, take, (int)n, n && part[0].size >= NB_SPLIT_HEAD ? part[0].data : NULL);
    part[n++] = (nb_nbl_bytes){p, take, "fuzz"};
    data += 4 + take, size -= 4 + take;
  }
  if (n && nb_nbl_open_bytes(part, n, false, 1, &f, &err) == NB_OK) {
    (void)nb_nbl_verify(f, 1, NULL);
    nb_weight_source src;
    nb_weights w;
    nb_nbl_source(f, &src);
    if (nb_weights_bind(nb_nbl_config(f), &src, &w, NULL) == NB_OK) nb_weights_free(&w);
    again(f);
    nb_nbl_close(f);
  }
  for (size_t i = 0; i < n; i++) nb_free((void *)(uintptr_t)part[i].data);
  return 0;
}
