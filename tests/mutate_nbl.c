/* SPDX-License-Identifier: MIT */
/* For the tests of hostile files: copies a .nbl file with one change that a fuzzer would not find behind the checksums,
 * chosen by SEED, and makes all checksums right again.
 * usage: mutate_nbl IN.nbl OUT.nbl SEED */
#include "eval/rng.h"
#include "formats/mapfile.h"
#include "formats/nbl_layout.h"
#include "formats/outfile.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct nbl {
  uint8_t *p;
  size_t n;             /* bytes, with room for as many more */
  size_t tensors, meta; /* how many; where the metadata begins */
  size_t meta_n, tokenizer_n, data;
} nbl;

static uint64_t rng;
static uint64_t below(uint64_t n) { return n ? nb_rng_below(&rng, n) : 0; }

static uint64_t get(const uint8_t *p, int n) {
  uint64_t v = 0;
  for (int i = 0; i < n; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

static void put(uint8_t *p, uint64_t v, int n) {
  for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

static void read_header(nbl *f) {
  f->tensors = get(f->p + 12, 4), f->meta = NB_NBL_HEADER + f->tensors * NB_NBL_RECORD;
  f->meta_n = get(f->p + 40, 8), f->tokenizer_n = get(f->p + 48, 8), f->data = get(f->p + 56, 8);
}

static uint64_t nasty(uint64_t old) {
  const uint64_t list[] = {0,         1,          old + 1,    old - 1,     2 * old,    old / 2,           old + 64,
                           old ^ 128, 0x7fffffff, 0xffffffff, 0x100000000, UINT64_MAX, (uint64_t)1 << 63, below(256)};
  return list[below(sizeof list / sizeof *list)];
}

/* Moves what follows the metadata's n bytes at `at`, so that m bytes stand there: the header follows. */
static void replace_meta(nbl *f, size_t at, size_t n, const char *with) {
  size_t m = strlen(with), old_data = f->data, end = f->meta + f->meta_n + f->tokenizer_n, tail = f->n - old_data;
  uint8_t *data = malloc(tail + 1);
  if (!data) exit(1);
  memcpy(data, f->p + old_data, tail);
  memmove(f->p + at + m, f->p + at + n, end - at - n);
  memcpy(f->p + at, with, m);
  f->meta_n += m - n, end += m - n;
  f->data = nb_nbl_pad(end), f->n = f->data + tail;
  memset(f->p + end, 0, f->data - end);
  memcpy(f->p + f->data, data, tail);
  free(data);
  put(f->p + 32, f->n, 8), put(f->p + 40, f->meta_n, 8), put(f->p + 56, f->data, 8);
  for (size_t i = 0; i < f->tensors; i++) {
    uint8_t *offset = f->p + NB_NBL_HEADER + i * NB_NBL_RECORD + 32;
    put(offset, get(offset, 8) + f->data - old_data, 8);
  }
}

/* A number in the metadata becomes another. */
static void change_number(nbl *f) {
  static const char *const with[] = {"0",   "1",    "-1",    "2",    "3",    "7",  "64",         "65536",
                                     "1.5", "1e30", "1e-30", "null", "true", "[]", "4294967296", "9007199254740993"};
  size_t at = f->meta + below(f->meta_n), end = f->meta + f->meta_n;
  while (at < end && !isdigit(f->p[at])) at++;
  while (at > f->meta && (isdigit(f->p[at - 1]) || f->p[at - 1] == '.')) at--;
  size_t n = 0;
  while (at + n < end && (isdigit(f->p[at + n]) || f->p[at + n] == '.')) n++;
  if (n) replace_meta(f, at, n, with[below(sizeof with / sizeof *with)]);
}

/* One change; the header's hash and those of the tensors that lie inside follow. */
static void mutate(nbl *f) {
  uint8_t *record = f->p + NB_NBL_HEADER + below(f->tensors) * NB_NBL_RECORD;
  static const struct {
    int at, n;
  } fields[] = {{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {6, 2}, {8, 4}, {16, 8}, {24, 8}, {32, 8}, {40, 8}};
  static const struct { int at, n; } head[] = {{8, 4}, {12, 4}, {32, 8}, {40, 8}, {48, 8}, {56, 8}};
  size_t k, tokenizer = f->meta + f->meta_n;
  switch (below(8)) {
  case 0:
    k = below(sizeof head / sizeof *head);
    put(f->p + head[k].at, nasty(get(f->p + head[k].at, head[k].n)), head[k].n);
    break;
  case 1:
  case 2:
    k = below(sizeof fields / sizeof *fields);
    put(record + fields[k].at, nasty(get(record + fields[k].at, fields[k].n)), fields[k].n);
    break;
  case 3:
  case 4: change_number(f); break;
  case 5: f->p[tokenizer + below(f->tokenizer_n)] = (uint8_t)nasty(f->p[tokenizer + below(f->tokenizer_n)]); break;
  case 6: /* weights: NaN, Inf, wild scales */
    for (int i = 0; i < 200; i++) f->p[f->data + below(f->n - f->data)] = (uint8_t)(below(2) ? 0xff : below(256));
    break;
  default: /* a text in the metadata */
    k = f->meta + below(f->meta_n);
    if (isalpha(f->p[k])) f->p[k] = (uint8_t)('a' + below(26));
  }
}

static void make_hashes(nbl *f) {
  for (size_t i = 0; i < f->tensors; i++) {
    uint8_t *r = f->p + NB_NBL_HEADER + i * NB_NBL_RECORD;
    uint64_t offset = get(r + 32, 8), size = get(r + 40, 8);
    if (offset <= f->n && size <= f->n - offset && nb_nbl_pad(size) <= f->n - offset)
      put(r + 48, nb_nbl_hash(f->p + offset, nb_nbl_pad(size)), 8);
  }
  uint64_t data = get(f->p + 56, 8);
  if (data >= 32 && data <= f->n) nb_nbl_header_hash(f->p, data, f->p + 16);
}

int main(int argc, char **argv) {
  nb_err err;
  nbl f = {0};
  char *bytes;
  if (argc != 4) return fprintf(stderr, "usage: mutate_nbl IN.nbl OUT.nbl SEED\n"), 2;
  rng = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u + 1;
  nb_status st = nb_mapfile_read(argv[1], (size_t)1 << 26, &bytes, &f.n, &err);
  if (st == NB_OK && f.n > NB_NBL_HEADER && (f.p = calloc(2, f.n + 4096))) {
    memcpy(f.p, bytes, f.n);
    read_header(&f);
    mutate(&f);
    make_hashes(&f);
    st = nb_outfile_save(argv[2], f.p, f.n, &err);
    free(f.p);
  }
  if (st == NB_OK) free(bytes);
  if (st != NB_OK) fprintf(stderr, "mutate_nbl: %s\n", err.msg);
  return st != NB_OK;
}
