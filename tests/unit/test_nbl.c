/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "formats/hf_config.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "formats/nbl_layout.h"
#include "formats/outfile.h"

#include <unistd.h>

enum { MAX_TENSORS = 64 };
static nb_err err;

/* ---- a small file ---- */

typedef struct file {
  nb_config c;
  nb_nbl_tensor t[MAX_TENSORS];
  size_t n, size;
  uint8_t *bytes; /* aligned */
} file;

static const char path[] = "/tmp/nibble_test_nbl.nbl";

static nb_config small_config(bool tied) {
  char json[1024];
  nb_config c;
  snprintf(
      json, sizeof json,
      "{\"architectures\":[\"Phi3ForCausalLM\"],\"model_type\":\"phi3\",\"hidden_act\":\"silu\",\"hidden_size\":80,"
      "\"intermediate_size\":150,\"num_hidden_layers\":2,\"num_attention_heads\":5,\"num_key_value_heads\":1,"
      "\"vocab_size\":50,\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0,\"rope_scaling\":null,"
      "\"max_position_embeddings\":512,\"original_max_position_embeddings\":512,\"sliding_window\":null,"
      "\"tie_word_embeddings\":%s,\"bos_token_id\":1,\"eos_token_id\":2,\"torch_dtype\":\"bfloat16\"}",
      tied ? "true" : "false");
  if (nb_hf_config_parse(json, strlen(json), "test", &c, &err) != NB_OK) printf("  %s\n", err.msg), exit(1);
  return c;
}

static void make_bytes(uint8_t *p, size_t n, unsigned seed) {
  seed = (unsigned)test_seed(seed);
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24) & 0xbf; /* no NaN */
}

static char *make_meta(const nb_config *c) {
  char *config;
  size_t n;
  if (nb_hf_config_print(c, &config, &n, &err) != NB_OK) printf("  %s\n", err.msg), exit(1);
  char *meta = malloc(n + 200);
  sprintf(meta, "{\"config\":%s,\"provenance\":{\"nibble\":\"t\"}}", config);
  free(config);
  return meta;
}

/* Writes the file and reads it back into memory. */
static nb_status build(file *f, bool tied) {
  memset(f, 0, sizeof *f);
  f->c = small_config(tied);
  static const char *const fmt[] = {"t4g64", "u4g32", "t3g128", "u6g256", "t5g64", "u8g32", "u7g64"};
  static const nb_dtype vector[5] = {NB_BF16, NB_F32, NB_F16, NB_BF16, NB_F32};
  nb_nbl_choice how[MAX_TENSORS];
  nb_parts parts;
  NB_TRY(nb_parts_create(&f->c, &parts, &err));
  size_t matrices = 0, vectors = 0;
  for (size_t i = 0; i < parts.n; i++) {
    const nb_part *p = &parts.part[i];
    how[i] = (nb_nbl_choice){.dtype = NB_F16};
    if (!p->matrix) how[i].dtype = vector[vectors++];
    else if (p->role == NB_EMBED) how[i] = (nb_nbl_choice){.coded = true, .fmt = {8, 0, 64}};
    else if (p->role == NB_HEAD) how[i].dtype = NB_BF16;
    else {
      how[i].coded = matrices != 3;
      if (how[i].coded && nb_qfmt_parse(fmt[matrices % 7], &how[i].fmt, &err) != NB_OK) return NB_ERR_ARG;
      matrices++;
    }
  }
  char *meta = make_meta(&f->c);
  static const char tok[] = "not a real tokenizer";
  const nb_nbl_head head = {meta, strlen(meta), tok, sizeof tok};
  uint64_t size;
  f->n = parts.n;
  NB_TRY(nb_nbl_plan(&parts, how, &head, f->t, &size, &err));
  nb_parts_free(&parts);
  nb_nbl_writer *w;
  NB_TRY(nb_nbl_writer_open(path, f->t, f->n, &head, &w, &err));
  free(meta);
  for (size_t i = 0; i < f->n; i++) {
    uint8_t *p = nb_alloc(f->t[i].size, 1);
    make_bytes(p, f->t[i].size, (unsigned)i);
    NB_TRY(nb_nbl_writer_put(w, p, f->t[i].size, &err));
    nb_free(p);
  }
  NB_TRY(nb_nbl_writer_commit(w, &err));
  FILE *in = fopen(path, "rb");
  fseek(in, 0, SEEK_END);
  f->size = (size_t)ftell(in);
  rewind(in);
  f->bytes = nb_alloc(f->size + 64, 1);
  size_t got = fread(f->bytes, 1, f->size, in);
  fclose(in);
  return got == f->size && f->size == size
             ? NB_OK
             : nb_fail(&err, NB_ERR_FORMAT, "%zu bytes, not %llu", f->size, (unsigned long long)size);
}

static nb_status open_bytes(const uint8_t *p, size_t n, bool verify, nb_nbl **out) {
  return nb_nbl_open_memory(p, n, "test.nbl", verify, 2, out, &err);
}

/* ---- round trips ---- */

TEST(everything_comes_back) {
  for (int tied = 0; tied < 2; tied++) {
    file f;
    CHECK_OK(build(&f, tied));
    nb_nbl *r;
    CHECK_OK(nb_nbl_open(path, true, 2, &r, &err));
    CHECK(memcmp(nb_nbl_config(r), &f.c, sizeof f.c) == 0);
    CHECK(nb_nbl_count(r) == 1 + 2 * 9 + 1 + !tied);
    CHECK_STR(cJSON_GetObjectItem(cJSON_GetObjectItem(nb_nbl_meta(r), "provenance"), "nibble")->valuestring, "t");
    size_t n_tok;
    CHECK(memcmp(nb_nbl_tokenizer(r, &n_tok), "not a real tokenizer", 20) == 0 && n_tok == 21);
    uint64_t sum = nb_nbl_data_offset(r);
    for (size_t i = 0; i < f.n; i++) {
      const nb_nbl_tensor *t = nb_nbl_at(r, i);
      const nb_part *a = &t->part, *b = &f.t[i].part; /* by members: padding may hold anything */
      CHECK(a->role == b->role && a->layer == b->layer && a->expert == b->expert && a->matrix == b->matrix);
      CHECK(a->N == b->N && a->K == b->K && a->site == b->site);
      CHECK(t->coded == f.t[i].coded && t->size == f.t[i].size && t->offset % 64 == 0);
      CHECK((uintptr_t)nb_nbl_data(r, i) % 64 == 0);
      uint8_t *p = nb_alloc(t->size, 1);
      make_bytes(p, t->size, (unsigned)i);
      CHECK(memcmp(p, nb_nbl_data(r, i), t->size) == 0);
      nb_free(p);
      sum += nb_nbl_pad(t->size);
    }
    CHECK(sum == nb_nbl_file_bytes(r) && sum == f.size);
    nb_weight_source src;
    nb_weights w;
    nb_nbl_source(r, &src);
    CHECK_OK(nb_weights_bind(nb_nbl_config(r), &src, &w, &err));
    const nb_linear *down = nb_layer_matrix(&f.c, &w.layer[1], NB_DOWN, 0),
                    *o = nb_layer_matrix(&f.c, &w.layer[0], NB_O, 0);
    const nb_linear *v = nb_layer_matrix(&f.c, &w.layer[0], NB_V, 0);
    CHECK(down->coded && down->N == 80 && down->K == 150);
    CHECK(!o->coded && o->dense.dtype == NB_F16);
    CHECK(v->qmat.fmt.bits == 3 && v->qmat.table);
    CHECK(nb_weights_head(&w)->coded == tied);
    nb_weights_free(&w);
    nb_nbl_close(r);
    nb_free(f.bytes);
  }
}

TEST(the_same_bytes_twice) {
  file a, b;
  CHECK_OK(build(&a, false));
  CHECK_OK(build(&b, false));
  CHECK(a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0);
  nb_free(a.bytes), nb_free(b.bytes);
}

/* ---- damage ---- */

TEST(any_flipped_byte_fails_verify) {
  file f;
  CHECK_OK(build(&f, false));
  size_t missed = 0;
  for (size_t i = 0; i < f.size; i++) {
    nb_nbl *r;
    f.bytes[i] ^= (uint8_t)(1u << i % 8);
    if (open_bytes(f.bytes, f.size, true, &r) == NB_OK) missed++, nb_nbl_close(r);
    f.bytes[i] ^= (uint8_t)(1u << i % 8);
  }
  CHECK_MSG(missed == 0, "%zu of %zu flips were not noticed", missed, f.size);
  nb_nbl *r;
  CHECK_OK(open_bytes(f.bytes, f.size, true, &r));
  nb_nbl_close(r);
  nb_free(f.bytes);
}

TEST(any_cut_fails) {
  file f;
  CHECK_OK(build(&f, true));
  for (size_t n = 0; n < f.size; n += n < 4096 ? 1 : 61) {
    nb_nbl *r;
    CHECK(open_bytes(f.bytes, n, false, &r) != NB_OK);
  }
  nb_nbl *r;
  CHECK(open_bytes(f.bytes, f.size + 1, false, &r) != NB_OK);
  nb_free(f.bytes);
}

static void put(uint8_t *p, uint64_t v, int n) {
  for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* Changes n bytes at `at` and makes the header's checksum right again: the structural checks must notice. */
static void expect_refused(file *f, size_t at, uint64_t v, int n, const char *message) {
  uint8_t old[8];
  memcpy(old, f->bytes + at, 8);
  put(f->bytes + at, v, n);
  nb_nbl_header_hash(f->bytes, f->t[0].offset, f->bytes + 16);
  nb_nbl *r;
  nb_status st = open_bytes(f->bytes, f->size, false, &r);
  if (st == NB_OK) nb_nbl_close(r);
  CHECK_MSG(st == NB_ERR_FORMAT || st == NB_ERR_UNSUPPORTED, "%zu = %llu was accepted", at, (unsigned long long)v);
  CHECK_MSG(strstr(err.msg, message) != NULL, "%zu: \"%s\" lacks \"%s\"", at, err.msg, message);
  memcpy(f->bytes + at, old, 8);
  nb_nbl_header_hash(f->bytes, f->t[0].offset, f->bytes + 16);
}

TEST(structural_damage_is_named) {
  file f;
  CHECK_OK(build(&f, false));
  expect_refused(&f, 0, 0, 1, "not a .nbl file");
  expect_refused(&f, 8, 2, 4, "get a newer one");
  expect_refused(&f, 8, 0, 4, "does not exist");
  expect_refused(&f, 12, f.n - 1, 4, "do not fit");
  expect_refused(&f, 12, UINT32_MAX, 4, "do not fit");
  expect_refused(&f, 32, f.size - 64, 8, "copy it again");
  expect_refused(&f, 40, UINT64_MAX, 8, "do not fit");
  expect_refused(&f, 48, UINT64_MAX - 5, 8, "do not fit");
  expect_refused(&f, 56, f.t[0].offset + 64, 8, "do not fit");
  size_t rec = 64 + 3 * 64; /* layer 0, k: u4g32 */
  expect_refused(&f, rec + 0, NB_Q, 1, "should be layer 0 k");
  expect_refused(&f, rec + 0, 200, 1, "should be layer 0 k");
  expect_refused(&f, rec + 8, 1, 4, "should be layer 0 k");
  expect_refused(&f, rec + 1, 4, 1, "storage type");
  expect_refused(&f, rec + 1, 1, 1, "unknown format");
  expect_refused(&f, rec + 2, 2, 1, "unknown format");
  expect_refused(&f, rec + 2, 9, 1, "unknown format");
  expect_refused(&f, rec + 3, 7, 1, "unknown format");
  expect_refused(&f, rec + 4, 0, 2, "unknown format");
  expect_refused(&f, rec + 4, 48, 2, "unknown format");
  expect_refused(&f, rec + 6, 1, 2, "storage type");
  expect_refused(&f, rec + 56, 1, 8, "storage type");
  expect_refused(&f, rec + 16, 33, 8, "should be 16 x 80");
  expect_refused(&f, rec + 24, UINT64_MAX, 8, "should be 16 x 80");
  expect_refused(&f, rec + 32, f.t[3].offset + 64, 8, "the tensor before it ends at");
  expect_refused(&f, rec + 32, f.t[2].offset, 8, "the tensor before it ends at");
  expect_refused(&f, rec + 40, f.t[3].size + 64, 8, "its format takes");
  expect_refused(&f, rec + 2, 5, 1, "its format takes");
  expect_refused(&f, 64 + 64 + 1, 3, 1, "storage type"); /* a coded norm */
  expect_refused(&f, 64 + f.n * 64, ' ', 1, "test.nbl"); /* the metadata's brace */
  nb_free(f.bytes);
}

TEST(padding_must_be_zero) {
  file f;
  CHECK_OK(build(&f, false));
  size_t at;
  size_t i = 0;
  while (i < f.n && f.t[i].size % 64 == 0) i++;
  if (i < f.n) {
    at = f.t[i].offset + f.t[i].size;
    f.bytes[at] = 1;
    put(f.bytes + 64 + i * 64 + 48, nb_nbl_hash(f.bytes + f.t[i].offset, nb_nbl_pad(f.t[i].size)), 8);
    nb_nbl_header_hash(f.bytes, f.t[0].offset, f.bytes + 16);
    nb_nbl *r;
    CHECK(open_bytes(f.bytes, f.size, true, &r) == NB_ERR_FORMAT);
  }
  CHECK_MSG(i < f.n, "no tensor of the test needs padding");
  nb_free(f.bytes);
}

TEST(writer_keeps_to_the_plan) {
  file f;
  CHECK_OK(build(&f, true));
  nb_nbl_writer *w;
  char *meta = make_meta(&f.c);
  const nb_nbl_head head = {meta, strlen(meta), "not a real tokenizer", 21}, shorter = {meta, strlen(meta) - 40, "", 0};
  CHECK(nb_nbl_writer_open(path, f.t, f.n, &shorter, &w, &err) == NB_ERR_ARG);
  CHECK_OK(nb_nbl_writer_open(path, f.t, f.n, &head, &w, &err));
  CHECK(nb_nbl_writer_put(w, f.bytes, f.t[0].size - 64, &err) == NB_ERR_ARG);
  CHECK(nb_nbl_writer_commit(w, &err) == NB_ERR_ARG);
  nb_nbl *r; /* the earlier file is still there */
  CHECK_OK(nb_nbl_open(path, true, 1, &r, &err));
  nb_nbl_close(r);
  free(meta);
  nb_free(f.bytes);
}

int main(void) {
  RUN(everything_comes_back);
  RUN(the_same_bytes_twice);
  RUN(any_flipped_byte_fails_verify);
  RUN(any_cut_fails);
  RUN(structural_damage_is_named);
  RUN(padding_must_be_zero);
  RUN(writer_keeps_to_the_plan);
  unlink(path);
  return test_end();
}
