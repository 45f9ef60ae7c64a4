/* SPDX-License-Identifier: MIT */
/* The goldens in tests/golden/safetensors are the safetensors library's: make_safetensors_goldens.py. */
#include "formats/safetensors.h"
#include "base/f16.h"
#include "tempdir.h"
#include "test.h"

#include <xxhash.h>

static nb_err err;

static float element(const nb_tensor *t, size_t i) {
  uint16_t h;
  float f;
  if (t->dtype == NB_F32) return memcpy(&f, (const char *)t->data + 4 * i, 4), f;
  memcpy(&h, (const char *)t->data + 2 * i, 2);
  return t->dtype == NB_F16 ? nb_f16_f32(h) : nb_bf16_f32(h);
}

static void check_ramp(const nb_safetensors *st, const char *name, nb_dtype dtype, unsigned n_dims,
                       const size_t shape[4]) {
  const size_t n = shape[0] * shape[1] * shape[2] * shape[3];
  nb_tensor_source source;
  nb_tensor t;
  nb_safetensors_source(st, &source);
  CHECK_OK(source.find(source.ctx, name, &t, &err));
  CHECK(t.dtype == dtype && t.n_dims == n_dims);
  CHECK(!memcmp(t.shape, shape, 4 * sizeof *shape));
  CHECK(t.n_bytes == n * nb_dtype_bytes(dtype));
  for (size_t i = 0; i < n; i++) CHECK(element(&t, i) == (float)i - 2.5f);
}

static void check_readable(const nb_safetensors *st) {
  check_ramp(st, "a.f32", NB_F32, 2, (size_t[]){2, 3, 1, 1});
  check_ramp(st, "b.f16", NB_F16, 1, (size_t[]){7, 1, 1, 1});
  check_ramp(st, "c.bf16", NB_BF16, 4, (size_t[]){1, 2, 2, 2});
  check_ramp(st, "d.scalar", NB_F32, 1, (size_t[]){1, 1, 1, 1});
  check_ramp(st, "e.empty", NB_F32, 2, (size_t[]){0, 4, 1, 1});
}

TEST(reads_what_the_library_wrote) {
  nb_safetensors st;
  CHECK_OK(nb_safetensors_open("tests/golden/safetensors/all.safetensors", &st, &err));
  CHECK(st.n_tensors == 8 && st.n_shards == 1);
  check_readable(&st);
  nb_tensor_source source;
  nb_tensor t;
  nb_safetensors_source(&st, &source);
  CHECK(source.find(source.ctx, "f.i64", &t, &err) == NB_ERR_UNSUPPORTED && strstr(err.msg, "type I64"));
  CHECK(source.find(source.ctx, "g.bool", &t, &err) == NB_ERR_UNSUPPORTED);
  CHECK(source.find(source.ctx, "h.five", &t, &err) == NB_ERR_UNSUPPORTED);
  CHECK(source.find(source.ctx, "nope", &t, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "tests/golden/safetensors/all.safetensors: there is no tensor \"nope\"");
  for (size_t i = 1; i < st.n_tensors; i++) CHECK(strcmp(st.tensors[i - 1].name, st.tensors[i].name) < 0);
  nb_safetensors_close(&st);
  nb_safetensors_close(&st);
}

TEST(reads_shards) {
  nb_safetensors st;
  CHECK_OK(nb_safetensors_open("tests/golden/safetensors/shards", &st, &err));
  CHECK(st.n_tensors == 5 && st.n_shards == 2);
  check_readable(&st);
  CHECK(nb_safetensors_lookup(&st, "a.f32")->shard == 0 && nb_safetensors_lookup(&st, "c.bf16")->shard == 1);
  nb_safetensors_close(&st);
  CHECK_OK(nb_safetensors_open("tests/golden/safetensors/shards/model.safetensors.index.json", &st, &err));
  CHECK(st.n_shards == 2);
  nb_safetensors_close(&st);
  CHECK_OK(nb_safetensors_open("tests/golden/safetensors", &st, &err)); /* the only file there */
  CHECK(st.n_tensors == 8);
  nb_safetensors_close(&st);
}

/* A file with this header and n bytes of data; the caller frees it. */
static char *build(const char *header, size_t data_bytes, size_t *n) {
  size_t h = strlen(header);
  *n = 8 + h + data_bytes;
  char *p = calloc(1, *n);
  for (int i = 0; i < 8; i++) p[i] = (char)(h >> 8 * i);
  memcpy(p + 8, header, h);
  return p;
}

static void refused(const char *header, size_t data_bytes, const char *message) {
  size_t n;
  char *p = build(header, data_bytes, &n);
  nb_safetensors st;
  nb_status s = nb_safetensors_open_memory(p, n, "f", &st, &err);
  CHECK_MSG(s == NB_ERR_FORMAT, "status %d for %s", (int)s, header);
  if (s != NB_OK) CHECK_STR(err.msg, message);
  nb_safetensors_close(&st);
  free(p);
}
#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

TEST(refuses_bad_headers) {
  refused("[]", 0, "f: the header is not a JSON object");
  refused("{\"a\":1}", 0, "f: tensor \"a\": not a JSON object");
  refused("{\"a\":{}}", 0, "f: tensor \"a\": \"dtype\" is missing");
  refused("{", 0, "f:1:2: expected a key in double quotes");
  refused("{}", 0, "f: no tensors");
  refused("{}", 3, "f: the last 3 bytes belong to no tensor");
  refused("{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "f:1:55: duplicate key \"a\"");
  refused("{\"a\":" T("F32", "{}", "[0,4]") "}", 4, "f: tensor \"a\": \"shape\" is an object, not an array");
  refused("{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4,
          "f: tensor \"a\": \"shape\" is -1, not between 0 and 9007199254740992");
  refused("{\"a\":" T("F32", "[1.5]", "[0,4]") "}", 4, "f: tensor \"a\": \"shape\" is 1.5, not a whole number");
  refused("{\"a\":" T("F32", "[1]", "[0]") "}", 4, "f: tensor \"a\": \"data_offsets\" has 1 numbers, not 2");
  refused("{\"a\":" T("F32", "[1]", "[0,4,8]") "}", 4, "f: tensor \"a\": \"data_offsets\" has 3 numbers, not 2");
}

TEST(refuses_bad_extents) {
  refused("{\"a\":" T("F32", "[2]", "[4,0]") "}", 4, "f: tensor \"a\": it ends at byte 0, before its begin 4");
  refused("{\"a\":" T("F32", "[2]", "[0,8]") "}", 7,
          "f: tensor \"a\": it ends at byte 8 of the data, but the file has only 7: it is truncated, "
          "download it again");
  refused("{\"a\":" T("F32", "[2]", "[0,4]") "}", 4,
          "f: tensor \"a\": 2 elements of F32 are not the 4 bytes of its data_offsets");
  refused("{\"a\":" T("F4", "[1]", "[0,1]") "}", 1,
          "f: tensor \"a\": 1 elements of F4 are not the 1 bytes of its data_offsets");
  /* 2^33 * 2^33 wraps to 2^2 in 64 bits, and 2^62 elements to 0 bytes */
  refused("{\"a\":" T("F32", "[8589934592,8589934592]", "[0,16]") "}", 16,
          "f: tensor \"a\": the product of its shape overflows");
  refused("{\"a\":" T("F32", "[2147483648,2147483648]", "[0,0]") "}", 0,
          "f: tensor \"a\": the product of its shape overflows");
  refused("{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[2,6]") "}", 6,
          "f: the tensors \"a\" and \"b\" overlap");
  refused("{\"b\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4,
          "f: the tensors \"a\" and \"b\" overlap");
  refused("{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[5,9]") "}", 9,
          "f: bytes 4 to 5 of the data belong to no tensor");
  refused("{\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "f: bytes 0 to 4 of the data belong to no tensor");
  refused("{\"a\":" T("XYZ", "[1]", "[0,4]") "}", 5, "f: the last 1 bytes belong to no tensor");
}

TEST(refuses_bad_sizes) {
  nb_safetensors st;
  CHECK(nb_safetensors_open_memory("\1\0\0", 3, "f", &st, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "f: 3 bytes are too few for a safetensors file");
  CHECK(nb_safetensors_open_memory("\3\0\0\0\0\0\0\0{}", 10, "f", &st, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "f: a header of 3 bytes does not fit: the file is truncated or not in safetensors format");
  CHECK(nb_safetensors_open_memory("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "f", &st, &err) == NB_ERR_FORMAT);
  /* an unknown type is no obstacle until the tensor is asked for */
  size_t n;
  char *p = build("{\"a\":" T("F9_NEW", "[3]", "[0,5]") "}", 5, &n);
  CHECK_OK(nb_safetensors_open_memory(p, n, "f", &st, &err));
  nb_tensor_source source;
  nb_tensor t;
  nb_safetensors_source(&st, &source);
  CHECK(source.find(source.ctx, "a", &t, &err) == NB_ERR_UNSUPPORTED && strstr(err.msg, "F9_NEW"));
  nb_safetensors_close(&st);
  free(p);
}

static void write_file(const char *name, const char *header, size_t data_bytes) {
  size_t n;
  char *p = build(header, data_bytes, &n);
  free(temp_file(name, p, n));
  free(p);
}

static void refused_directory(const char *name, const char *part) {
  nb_safetensors st;
  char *dir = temp_path(name);
  CHECK_MSG(nb_safetensors_open(dir, &st, &err) != NB_OK, "%s is accepted", name);
  CHECK_MSG(strstr(err.msg, part) != NULL, "%s", err.msg);
  CHECK(!st.shards && !st.tensors);
  free(dir);
}

TEST(refuses_bad_shards) {
  const char *a = "{\"a\":" T("F32", "[1]", "[0,4]") "}", *b = "{\"b\":" T("F32", "[1]", "[0,4]") "}";
  const char *index = "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}";
  free(temp_subdir("s"));
  refused_directory("s", "s: no model.safetensors or model.safetensors.index.json (weights in .bin");
  free(temp_text("s/model.safetensors.index.json", index));
  write_file("s/1.safetensors", a, 4);
  refused_directory("s", "a shard named by ");
  CHECK(strstr(err.msg, "2.safetensors: cannot open: No such file") != NULL);
  write_file("s/2.safetensors", b, 3);
  refused_directory("s", "2.safetensors: tensor \"b\": it ends at byte 4 of the data, but the file has only 3");
  write_file("s/2.safetensors", a, 4);
  refused_directory("s", "tensor \"a\" is in both ");
  write_file("s/2.safetensors", "{\"c\":" T("F32", "[1]", "[0,4]") "}", 4);
  nb_safetensors st;
  char *dir = temp_path("s");
  CHECK_OK(nb_safetensors_open(dir, &st, &err));
  CHECK(st.n_missing == 1 && !strcmp(st.missing, "b"));
  nb_safetensors_close(&st);
  write_file("s/2.safetensors", b, 4);
  CHECK_OK(nb_safetensors_open(dir, &st, &err));
  CHECK(st.n_missing == 0 && !st.missing);
  nb_safetensors_close(&st);
  free(temp_subdir("s/more"));
  write_file("s/more/2.safetensors", b, 4);
  free(temp_text("s/model.safetensors.index.json",
                 "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"more/2.safetensors\"}}"));
  CHECK_OK(nb_safetensors_open(dir, &st, &err));
  CHECK(st.n_tensors == 2 && st.n_missing == 0);
  nb_safetensors_close(&st);
  free(dir);
  static const char *const bad[][2] = {
      {"{\"weight_map\":{\"a\":\"../s/1.safetensors\"}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{\"a\":\"more/../1.safetensors\"}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{\"a\":\"more/\"}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{\"a\":\"/1.safetensors\"}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{\"a\":7}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{\"a\":\"\"}}", "no file of its folder for \"a\""},
      {"{\"weight_map\":{}}", "weight_map is empty"},
      {"{}", "\"weight_map\" is missing"},
      {"{\"weight_map\":{\"a\":\"x\",\"a\":\"y\"}}", "index.json:1:24: duplicate key \"a\""},
      {"", "expected a value"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    free(temp_text("s/model.safetensors.index.json", bad[i][0]));
    refused_directory("s", bad[i][1]);
  }
  free(temp_subdir("two"));
  write_file("two/1.safetensors", a, 4);
  write_file("two/2.safetensors", b, 4);
  refused_directory("two", "2 .safetensors files but no model.safetensors.index.json");
  refused_directory("nowhere", "nowhere: cannot open: No such file or directory");
  free(temp_text("empty.safetensors", ""));
  refused_directory("empty.safetensors", "the file is empty");
}

TEST(writes_what_it_reads) {
  static const nb_st_spec specs[] = {
      {"model.z", NB_F32, 2, {2, 3}}, {"model.a", NB_BF16, 1, {5}}, {"model.\xc3\xa9", NB_F16, 3, {1, 1, 1}}};
  char *path = temp_path("written.safetensors"), bytes[36];
  for (int i = 0; i < 36; i++) bytes[i] = (char)(i + 1);
  nb_outfile f;
  nb_st_writer w;
  CHECK_OK(nb_outfile_create(path, &f, &err));
  CHECK_OK(nb_safetensors_begin(&f, specs, 3, &w, &err));
  CHECK(w.left == 36 && f.size % 8 == 0);
  CHECK(nb_safetensors_end(&w, &err) == NB_ERR_ARG);
  CHECK_OK(nb_safetensors_put(&w, bytes, 20, &err));
  CHECK(nb_safetensors_put(&w, bytes, 17, &err) == NB_ERR_ARG);
  CHECK_OK(nb_safetensors_put(&w, bytes + 20, 16, &err));
  CHECK_OK(nb_safetensors_end(&w, &err));
  CHECK_OK(nb_outfile_commit(&f, &err));
  nb_safetensors st;
  CHECK_OK(nb_safetensors_open(path, &st, &err));
  CHECK(st.n_tensors == 3);
  const nb_st_tensor *z = nb_safetensors_lookup(&st, "model.z"), *a = nb_safetensors_lookup(&st, "model.a");
  CHECK(z && a && z->view.shape[1] == 3 && z->n_bytes == 24 && a->n_bytes == 10);
  CHECK(!memcmp(z->data, bytes, 24) && !memcmp(a->data, bytes + 24, 10));
  nb_safetensors_close(&st);
  static const nb_st_spec bad[] = {{"a\"b", NB_F32, 1, {1}}, {"a", NB_F32, 3, {SIZE_MAX, 2, 1}}, {"a", NB_F32, 0, {1}}};
  CHECK_OK(nb_outfile_create(path, &f, &err));
  for (int i = 0; i < 3; i++) CHECK(nb_safetensors_begin(&f, &bad[i], 1, &w, &err) == NB_ERR_ARG);
  nb_outfile_abort(&f);
  free(path);
}

TEST(fingerprints) {
  size_t n;
  char *p = build("{\"b\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8, &n);
  p[n - 8] = 'x';
  nb_safetensors st;
  CHECK_OK(nb_safetensors_open_memory(p, n, "f", &st, &err));
  nb_hash h[2], print, other;
  for (int i = 0; i < 2; i++) h[i] = nb_safetensors_hash(&st.tensors[i]);
  XXH128_canonical_t want;
  XXH128_canonicalFromHash(&want, XXH3_128bits("x\0\0\0", 4));
  CHECK(!memcmp(&h[1], &want, 16)); /* tensors[1] is b, whose bytes come first */
  CHECK_OK(nb_safetensors_fingerprint(&st, 0, h, &print, &err));
  char text[256];
  size_t header = n - 8;
  memcpy(text, p, header);
  memcpy(text + header, &h[1], 16);
  memcpy(text + header + 16, &h[0], 16);
  XXH128_canonicalFromHash(&want, XXH3_128bits(text, header + 32));
  CHECK(!memcmp(&print, &want, 16));
  p[n - 1] = 1;
  h[0] = nb_safetensors_hash(&st.tensors[0]);
  CHECK_OK(nb_safetensors_fingerprint(&st, 0, h, &other, &err));
  CHECK(memcmp(&print, &other, 16));
  nb_safetensors_close(&st);
  free(p);
}

TEST(survives_damage) {
  char *p;
  size_t n;
  CHECK_OK(nb_mapfile_read("tests/golden/safetensors/all.safetensors", 1 << 20, &p, &n, &err));
  nb_safetensors st;
  for (size_t cut = 0; cut < n; cut++) {
    char *exact = malloc(cut ? cut : 1);
    memcpy(exact, p, cut);
    CHECK(nb_safetensors_open_memory(exact, cut, "cut", &st, &err) != NB_OK);
    free(exact);
  }
  unsigned seed = (unsigned)test_seed(7), opened = 0;
  for (int i = 0; i < 20000; i++) {
    seed = seed * 1664525 + 1013904223;
    size_t at = (seed >> 8) % n;
    char old = p[at];
    p[at] = (char)(seed >> 3);
    if (nb_safetensors_open_memory(p, n, "flipped", &st, &err) == NB_OK) {
      opened++;
      for (size_t k = 0; k < st.n_tensors; k++) nb_safetensors_hash(&st.tensors[k]); /* reads every byte */
    }
    nb_safetensors_close(&st);
    p[at] = old;
  }
  CHECK(opened > 0); /* flips in the tensors' bytes */
  free(p);
}

/* Binary search over many names, in the time of a blink. */
TEST(many_tensors) {
  size_t cap = 4 << 20, h = 0, n;
  char *header = malloc(cap);
  for (size_t i = 0; i < 20000; i++) {
    h += (size_t)snprintf(header + h, cap - h, "%c\"layers.%zu.weight\":" T("F16", "[1]", "[%zu,%zu]"), i ? ',' : '{',
                          i, 2 * i, 2 * i + 2);
  }
  snprintf(header + h, cap - h, "}");
  char *p = build(header, 40000, &n);
  nb_safetensors st;
  CHECK_OK(nb_safetensors_open_memory(p, n, "many", &st, &err));
  for (size_t i = 0; i < 20000; i++) {
    char name[64];
    snprintf(name, sizeof name, "layers.%zu.weight", i);
    const nb_st_tensor *t = nb_safetensors_lookup(&st, name);
    CHECK(t && (const char *)t->data == p + n - 40000 + 2 * i);
  }
  nb_safetensors_close(&st);
  free(header), free(p);
}

int main(void) {
  RUN(reads_what_the_library_wrote);
  RUN(reads_shards);
  RUN(refuses_bad_headers);
  RUN(refuses_bad_extents);
  RUN(refuses_bad_sizes);
  RUN(refuses_bad_shards);
  RUN(writes_what_it_reads);
  RUN(fingerprints);
  RUN(survives_damage);
  RUN(many_tensors);
  temp_remove();
  return test_end();
}
