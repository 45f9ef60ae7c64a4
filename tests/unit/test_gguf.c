/* SPDX-License-Identifier: MIT */
/* GGUF files: those in tests/golden/gguf are the gguf package's (make_gguf_goldens.py); the hostile ones are built
 * here, each published defect of another reader as a test of its own. */
#include "formats/gguf.h"
#include "base/f16.h"
#include "base/text.h"
#include "tempdir.h"
#include "test.h"

#include <math.h>

static nb_err err;

/* ---- the package's files ---- */

static int64_t integer(const nb_gguf *g, const char *key) {
  const nb_gguf_value *v = nb_gguf_get(g, key);
  int64_t i = -1;
  CHECK_MSG(v && nb_gguf_integer(v, 0, &i), "%s", key);
  return i;
}

static void check_values(const nb_gguf *g) {
  CHECK(integer(g, "t.u8") == 200 && integer(g, "t.i8") == -100);
  CHECK(integer(g, "t.u16") == 60000 && integer(g, "t.i16") == -30000);
  CHECK(integer(g, "t.u32") == 4000000000 && integer(g, "t.i32") == -2000000000);
  CHECK(integer(g, "t.i64") == -((int64_t)1 << 62));
  int64_t i;
  CHECK(!nb_gguf_integer(nb_gguf_get(g, "t.u64"), 0, &i) && nb_gguf_number(nb_gguf_get(g, "t.u64"), 0) == 0x1p63);
  size_t n, size = 0;
  double d = 0;
  bool yes = false;
  const char *text;
  CHECK_OK(nb_gguf_f64(g, "t.f32", NB_GGUF_REQUIRED, &d, &err));
  CHECK(d == (double)0.1f);
  CHECK_OK(nb_gguf_f64(g, "t.f64", NB_GGUF_REQUIRED, &d, &err));
  CHECK(d == 0.1);
  CHECK_OK(nb_gguf_bool(g, "t.yes", NB_GGUF_REQUIRED, &yes, &err));
  CHECK(yes);
  CHECK_OK(nb_gguf_bool(g, "t.no", NB_GGUF_REQUIRED, &yes, &err));
  CHECK(!yes);
  CHECK_OK(nb_gguf_string(g, "t.text", NB_GGUF_REQUIRED, &text, &n, &err));
  CHECK(n == 6 && !memcmp(text, "h\xc3\xa9llo", 6));
  const nb_gguf_value *v = nb_gguf_get(g, "t.texts");
  CHECK(v && v->array && v->n == 3);
  static const char *const want[] = {"", "one", "two words"};
  nb_gguf_strings s = nb_gguf_strings_begin(v);
  for (int k = 0; k < 3; k++)
    CHECK(nb_gguf_strings_next(&s, &text, &n) && n == strlen(want[k]) && !memcmp(text, want[k], n));
  CHECK(!nb_gguf_strings_next(&s, &text, &n));
  CHECK(nb_gguf_number(nb_gguf_get(g, "t.numbers"), 1) == 1 && nb_gguf_number(nb_gguf_get(g, "t.floats"), 1) == -1.5);
  CHECK_OK(nb_gguf_size(g, "t.none", NB_GGUF_OPTIONAL, 0, 9, &size, &err));
  CHECK(size == 0 && nb_gguf_size(g, "t.none", NB_GGUF_REQUIRED, 0, 9, &size, &err) == NB_ERR_FORMAT);
  CHECK(nb_gguf_size(g, "t.u8", NB_GGUF_REQUIRED, 0, 9, &size, &err) == NB_ERR_FORMAT &&
        strstr(err.msg, "is 200, not"));
  CHECK(nb_gguf_size(g, "t.f64", NB_GGUF_REQUIRED, 0, 9, &size, &err) == NB_ERR_FORMAT);
  CHECK(nb_gguf_size(g, "t.numbers", NB_GGUF_REQUIRED, 0, 9, &size, &err) == NB_ERR_FORMAT);
  CHECK(nb_gguf_string(g, "t.u8", NB_GGUF_REQUIRED, &text, &n, &err) == NB_ERR_FORMAT);
  CHECK(nb_gguf_bool(g, "t.u8", NB_GGUF_REQUIRED, &yes, &err) == NB_ERR_FORMAT);
}

static void check_tensors(const nb_gguf *g) {
  CHECK(g->n_tensors == 4);
  const nb_gguf_tensor *a = nb_gguf_tensor_find(g, "a.f32"), *b = nb_gguf_tensor_find(g, "b.f16"),
                       *c = nb_gguf_tensor_find(g, "c.bf16"), *d = nb_gguf_tensor_find(g, "d.q8_0");
  CHECK(a && b && c && d && !nb_gguf_tensor_find(g, "e"));
  CHECK(a->n_dims == 2 && a->shape[0] == 2 && a->shape[1] == 3 && b->n_dims == 1 && b->shape[0] == 7);
  CHECK(c->n_dims == 3 && c->shape[0] == 4 && c->shape[1] == 2 && c->shape[2] == 3 && d->n_bytes == 4 * 34);
  const nb_gguf_tensor *ramps[] = {a, b, c};
  for (int k = 0; k < 3; k++) {
    float x[24];
    size_t n = ramps[k]->n_bytes / ramps[k]->type->bytes;
    nb_ggml_read(ramps[k]->type, ramps[k]->data, n, x);
    for (size_t i = 0; i < n; i++) CHECK(x[i] == (float)i - 2.5f);
  }
  float x[128];
  nb_ggml_read(d->type, d->data, 128, x);
  for (int i = 0; i < 128; i++) CHECK(fabsf(x[i] - (float)(i - 127)) < 0.51f);
}

TEST(reads_what_the_package_wrote) {
  nb_gguf g;
  CHECK(nb_gguf_is("tests/golden/gguf/all.gguf") && !nb_gguf_is("Makefile") && !nb_gguf_is("tests") &&
        !nb_gguf_is("no"));
  CHECK_OK(nb_gguf_open("tests/golden/gguf/all.gguf", &g, &err));
  check_values(&g);
  check_tensors(&g);
  nb_gguf_close(&g);
  CHECK_OK(nb_gguf_open("tests/golden/gguf/version2.gguf", &g, &err));
  check_values(&g);
  check_tensors(&g);
  nb_gguf_close(&g);
  nb_gguf_close(&g);
}

TEST(reads_splits) {
  nb_gguf g;
  CHECK_OK(nb_gguf_open("tests/golden/gguf/parts-00001-of-00002.gguf", &g, &err));
  CHECK(g.n_shards == 2);
  check_values(&g);
  check_tensors(&g);
  nb_gguf_close(&g);
  CHECK(nb_gguf_open("tests/golden/gguf/parts-00002-of-00002.gguf", &g, &err) == NB_ERR_ARG);
  CHECK(strstr(err.msg, "give the first part"));
}

static void copy_to(const char *from, const char *name) {
  char *bytes, *to = temp_path(name);
  size_t n;
  CHECK_OK(nb_mapfile_read(from, 1 << 20, &bytes, &n, &err));
  temp_write(to, bytes, n);
  free(bytes);
  free(to);
}

TEST(splits_that_do_not_belong_together) {
  nb_gguf g;
  char *first = temp_path("x-00001-of-00002.gguf"), *renamed = temp_path("renamed.gguf");
  copy_to("tests/golden/gguf/parts-00001-of-00002.gguf", "x-00001-of-00002.gguf");
  CHECK(nb_gguf_open(first, &g, &err) == NB_ERR_IO && strstr(err.msg, "x-00002-of-00002.gguf"));
  copy_to("tests/golden/gguf/all.gguf", "x-00002-of-00002.gguf");
  CHECK(nb_gguf_open(first, &g, &err) == NB_ERR_FORMAT && strstr(err.msg, "there is no \"split.no\""));
  copy_to("tests/golden/gguf/parts-00001-of-00002.gguf", "x-00002-of-00002.gguf");
  CHECK(nb_gguf_open(first, &g, &err) == NB_ERR_FORMAT && strstr(err.msg, "says that it is part 1 of 2"));
  copy_to("tests/golden/gguf/parts-00001-of-00002.gguf", "renamed.gguf");
  CHECK(nb_gguf_open(renamed, &g, &err) == NB_ERR_FORMAT && strstr(err.msg, "does not end in -00001-of-00002.gguf"));
  free(first);
  free(renamed);
}

/* ---- writing ---- */

static nb_status write_all(nb_outfile *out, const nb_gguf *g, nb_gguf_writer **w) {
  static const float floats[] = {0.5f, -1.5f};
  static const int32_t numbers[] = {3, 1, 2};
  static const char *const texts[] = {"", "one", "two words"}, *const names[] = {"a.f32", "b.f16", "c.bf16", "d.q8_0"};
  NB_TRY(nb_gguf_writer_new(out, w, &err));
  NB_TRY(nb_gguf_put_string(*w, "general.architecture", "toy", 3, &err));
  NB_TRY(nb_gguf_put_u32(*w, "t.u32", 4000000000, &err));
  NB_TRY(nb_gguf_put_f32(*w, "t.f32", 0.1f, &err));
  NB_TRY(nb_gguf_put_bool(*w, "t.yes", true, &err));
  NB_TRY(nb_gguf_put_string(*w, "t.text", "h\xc3\xa9llo", 6, &err));
  NB_TRY(nb_gguf_put_strings(*w, "t.texts", 3, &err));
  for (int i = 0; i < 3; i++) NB_TRY(nb_gguf_put_element(*w, texts[i], strlen(texts[i]), &err));
  NB_TRY(nb_gguf_put_i32s(*w, "t.numbers", numbers, 3, &err));
  NB_TRY(nb_gguf_put_f32s(*w, "t.floats", floats, 2, &err));
  for (int i = 0; i < 4; i++) {
    const nb_gguf_tensor *t = nb_gguf_tensor_find(g, names[i]);
    NB_TRY(nb_gguf_put_tensor(*w, t->name, t->type, t->shape, t->n_dims, &err));
  }
  NB_TRY(nb_gguf_writer_head(*w, NULL, &err));
  for (int i = 0; i < 4; i++) {
    const nb_gguf_tensor *t = nb_gguf_tensor_find(g, names[i]);
    NB_TRY(nb_gguf_writer_data(*w, t->data, 2, &err));
    NB_TRY(nb_gguf_writer_data(*w, t->data + 2, t->n_bytes - 2, &err));
  }
  NB_TRY(nb_gguf_writer_end(*w, &err));
  return nb_outfile_commit(out, &err);
}

TEST(writes_the_bytes_that_the_package_writes) {
  static const char golden[] = "tests/golden/gguf/written.gguf";
  nb_gguf g;
  nb_outfile out;
  nb_gguf_writer *w = NULL;
  char *path = temp_path("out.gguf"), *a, *b;
  size_t na, nb;
  CHECK_OK(nb_gguf_open(golden, &g, &err));
  CHECK_OK(nb_outfile_create(path, &out, &err));
  CHECK_OK(write_all(&out, &g, &w));
  nb_gguf_writer_free(w);
  nb_gguf_close(&g);
  CHECK_OK(nb_mapfile_read(golden, 1 << 20, &a, &na, &err));
  CHECK_OK(nb_mapfile_read(path, 1 << 20, &b, &nb, &err));
  CHECK(na == nb && !memcmp(a, b, na));
  free(a);
  free(b);
  free(path);
}

TEST(what_a_writer_is_not_asked_for) {
  nb_outfile out;
  nb_gguf_writer *w = NULL;
  char *path = temp_path("never.gguf");
  size_t shape[] = {2, 33}, one[] = {1};
  CHECK_OK(nb_outfile_create(path, &out, &err));
  CHECK_OK(nb_gguf_writer_new(&out, &w, &err));
  CHECK(nb_gguf_put_tensor(w, "x", nb_ggml_find_name("q8_0"), shape, 2, &err) == NB_ERR_ARG);
  CHECK(nb_gguf_put_tensor(w, "", nb_ggml_find_name("f32"), shape, 2, &err) == NB_ERR_ARG);
  CHECK(nb_gguf_put_element(w, "x", 1, &err) == NB_ERR_ARG);
  CHECK_OK(nb_gguf_put_strings(w, "s", 1, &err));
  CHECK(nb_gguf_put_bool(w, "b", true, &err) == NB_ERR_ARG && nb_gguf_writer_head(w, NULL, &err) == NB_ERR_ARG);
  CHECK_OK(nb_gguf_put_element(w, "x", 1, &err));
  CHECK_OK(nb_gguf_put_tensor(w, "x", nb_ggml_find_name("f32"), one, 1, &err));
  CHECK_OK(nb_gguf_writer_head(w, NULL, &err));
  CHECK(nb_gguf_writer_end(w, &err) == NB_ERR_ARG && nb_gguf_writer_data(w, "12345", 5, &err) == NB_ERR_ARG);
  nb_gguf_writer_free(w);
  nb_outfile_abort(&out);
  free(path);
}

/* ---- hostile files, built piece by piece ---- */

static nb_text file;

static void put(const void *p, size_t n) { (void)nb_text_append(&file, p, n, NULL); }
static void num(uint64_t v, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) put(&(char){(char)(uint8_t)(v >> 8 * i)}, 1);
}
static void text(const char *s) {
  num(strlen(s), 8);
  put(s, strlen(s));
}
static void head(uint64_t n_tensors, uint64_t n_keys) {
  nb_text_clear(&file);
  put("GGUF", 4);
  num(3, 4);
  num(n_tensors, 8);
  num(n_keys, 8);
}
static void key(const char *name, uint32_t kind) {
  text(name);
  num(kind, 4);
}
static void tensor1(const char *name, uint64_t n, uint32_t type, uint64_t offset) {
  text(name);
  num(1, 4);
  num(n, 8);
  num(type, 4);
  num(offset, 8);
}
static void data(size_t n) { /* after padding to 32 */
  while (file.n % 32) num(0, 1);
  for (size_t i = 0; i < n; i++) num(i, 1);
}
static nb_status open_built(void) {
  nb_gguf g;
  uint8_t *copy = malloc(file.n + 1); /* its exact size, so that a sanitizer sees a byte too far */
  memcpy(copy, file.s, file.n);
  uint8_t *exact = realloc(copy, file.n ? file.n : 1);
  nb_status st = nb_gguf_open_memory(exact, file.n, "f", &g, &err);
  if (st == NB_OK) nb_gguf_close(&g);
  else CHECK(!g.n_values && !g.n_tensors && !g.n_shards);
  free(exact);
  return st;
}
static void refused(nb_status want, const char *message) {
  nb_status st = open_built();
  CHECK_MSG(st == want, "status %d, not %d, for: %s", (int)st, (int)want, message);
  if (st != NB_OK) CHECK_STR(err.msg, message);
}
#define BAD(message) refused(NB_ERR_FORMAT, "f: " message)
#define NOT_SUPPORTED(message) refused(NB_ERR_UNSUPPORTED, "f: " message)

TEST(a_good_file_is_built) {
  head(2, 1);
  key("general.alignment", NB_GGUF_U32);
  num(32, 4);
  tensor1("a", 3, 0, 0);
  tensor1("b", 32, 8, 32);
  data(32 + 34);
  CHECK_OK(open_built());
}

TEST(every_prefix_is_refused) {
  char *bytes;
  size_t n;
  CHECK_OK(nb_mapfile_read("tests/golden/gguf/all.gguf", 1 << 20, &bytes, &n, &err));
  for (size_t k = 0; k + 24 < n; k++) { /* the last 24 bytes are padding */
    nb_text_clear(&file);
    put(bytes, k);
    CHECK_MSG(open_built() == NB_ERR_FORMAT, "%zu bytes", k);
  }
  free(bytes);
}

TEST(versions_and_byte_orders) {
  head(0, 0);
  file.s[4] = 1;
  NOT_SUPPORTED("GGUF version 1; supported: 2 and 3");
  file.s[4] = 4;
  NOT_SUPPORTED("GGUF version 4; supported: 2 and 3");
  file.s[4] = 0, file.s[7] = 3;
  NOT_SUPPORTED("a big-endian GGUF file; convert it with gguf-convert-endian");
  file.s[7] = 0;
  NOT_SUPPORTED("GGUF version 0; supported: 2 and 3");
  file.s[0] = 'g';
  BAD("not a GGUF file");
}

/* CVE-2024-39720: a file of four bytes ended Ollama's server. */
TEST(cve_2024_39720_four_bytes) {
  nb_text_clear(&file);
  put("GGUF", 4);
  BAD("it ends within its head: it is truncated, download it again");
}

/* CVE-2024-23605 (TALOS-2024-1916): header.n_kv times the size of an entry wrapped. */
TEST(cve_2024_23605_number_of_keys) {
  head(0, UINT64_MAX / 48 + 2);
  num(0, 8);
  BAD("384307168202282327 keys and 0 tensors do not fit in 8 bytes");
}

/* CVE-2024-21836 (TALOS-2024-1915): so did header.n_tensors. */
TEST(cve_2024_21836_number_of_tensors) {
  head(UINT64_MAX / 88 + 2, 0);
  num(0, 8);
  BAD("0 keys and 209622091746699452 tensors do not fit in 8 bytes");
}

/* CVE-2024-23496 (TALOS-2024-1913): a string's length plus one wrapped to an allocation of nothing. */
TEST(cve_2024_23496_length_of_a_string) {
  head(0, 1);
  num(UINT64_MAX, 8);
  data(64);
  BAD("a key is longer than 65535 bytes or than the rest of the file");
  head(0, 1);
  key("k", NB_GGUF_STRING);
  num(UINT64_MAX, 8);
  data(64);
  BAD("the value of key \"k\" is longer than the rest of the file");
  head(0, 1);
  key("k", NB_GGUF_STRING);
  num(13, 8);
  put("only twelve.", 12);
  BAD("the value of key \"k\" is longer than the rest of the file");
}

/* CVE-2024-21825 (TALOS-2024-1912): an array's length times the size of its elements wrapped, of numbers and strings.
 */
TEST(cve_2024_21825_length_of_an_array) {
  static const uint32_t kinds[] = {NB_GGUF_STRING, NB_GGUF_U64, NB_GGUF_U8};
  static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX / 16 + 1, (uint64_t)1 << 61, (uint64_t)1 << 63, 1000};
  for (size_t i = 0; i < 3; i++)
    for (size_t k = 0; k < 5; k++) {
      head(0, 1);
      key("k", NB_GGUF_ARRAY);
      num(kinds[i], 4);
      num(counts[k], 8);
      data(64);
      CHECK(open_built() == NB_ERR_FORMAT && strstr(err.msg, "elements, more than the file has bytes"));
    }
  head(0, 1);
  key("k", NB_GGUF_ARRAY);
  num(NB_GGUF_U64, 4);
  num(9, 8);
  for (int i = 0; i < 8; i++) num(0, 8);
  BAD("the value of key \"k\" is longer than the rest of the file");
}

/* CVE-2024-32878: the values of a file that ended early were freed before they were set. */
TEST(cve_2024_32878_array_that_ends_early) {
  head(0, 2);
  key("k", NB_GGUF_ARRAY);
  num(NB_GGUF_STRING, 4);
  num(3, 8);
  text("one");
  num(9, 8);
  put("x", 1);
  BAD("the value of key \"k\" is longer than the rest of the file");
}

/* CVE-2024-41130: the name of a tensor that could not be read was compared with those before it. */
TEST(cve_2024_41130_name_that_ends_early) {
  head(2, 0);
  tensor1("a", 8, 0, 0);
  num(30, 8);
  put("a name, but not of thirty", 25);
  CHECK(open_built() == NB_ERR_FORMAT && strstr(err.msg, "a tensor's name is longer than"));
}

/* CVE-2024-21802 (TALOS-2024-1914): more than four dimensions were written past info->ne. */
TEST(cve_2024_21802_number_of_dimensions) {
  head(1, 0);
  text("t");
  num(5, 4);
  for (int i = 0; i < 5; i++) num(1, 8);
  num(0, 4);
  num(0, 8);
  data(4);
  BAD("tensor \"t\" has 5 dimensions, not 1 to 4");
  memcpy(file.s + 33, "\xff\xff\xff\xff", 4);
  BAD("tensor \"t\" has 4294967295 dimensions, not 1 to 4");
  memcpy(file.s + 33, "\0\0\0\0", 4);
  BAD("tensor \"t\" has 0 dimensions, not 1 to 4");
}

/* CVE-2025-53630 and CVE-2026-27940: sizes of many tensors added up, padded, to a small number. */
TEST(cve_2025_53630_sum_of_sizes) {
  head(3, 0);
  tensor1("a", (uint64_t)1 << 61, 0, 0);
  tensor1("b", (uint64_t)1 << 61, 0, (uint64_t)1 << 63);
  tensor1("c", 8, 0, 0);
  data(64);
  CHECK(open_built() == NB_ERR_FORMAT);
  head(1, 0); /* the size alone fits 64 bits, but not what it becomes when it is padded */
  tensor1("a", UINT64_MAX / 4, 0, 0);
  data(64);
  CHECK(open_built() == NB_ERR_FORMAT);
}

/* CVE-2026-33298: elements times the size of a block wrapped to 4 MiB. */
TEST(cve_2026_33298_size_of_a_tensor) {
  head(1, 0);
  text("t");
  num(4, 4);
  num(1024, 8), num(1024, 8), num((uint64_t)1 << 41, 8), num(1, 8); /* 2^61 elements of 8 bytes */
  num(28, 4);
  num(0, 8);
  data(64);
  BAD("tensor \"t\": the product of its shape is 0 or overflows");
  head(1, 0);
  text("t");
  num(2, 4);
  num((uint64_t)1 << 32, 8), num((uint64_t)1 << 32, 8);
  num(0, 4);
  num(0, 8);
  data(64);
  BAD("tensor \"t\": the product of its shape is 0 or overflows");
  head(1, 0);
  tensor1("t", UINT64_MAX, 0, 0);
  BAD("tensor \"t\": the product of its shape is 0 or overflows");
  head(1, 0);
  tensor1("t", 0, 0, 0);
  BAD("tensor \"t\": the product of its shape is 0 or overflows");
  head(1, 0); /* a size of 0 behind another one was divided by (llama.cpp, June 2026) */
  text("t");
  num(2, 4);
  num(1, 8), num(0, 8);
  num(0, 4);
  num(0, 8);
  data(64);
  BAD("tensor \"t\": the product of its shape is 0 or overflows");
}

/* CVE-2026-7482 ("Bleeding Llama"): a tensor larger than the file gave away what lay behind it in memory. */
TEST(cve_2026_7482_tensor_past_the_end) {
  head(1, 0);
  tensor1("t", 1000, 0, 0);
  data(3999);
  BAD("tensor \"t\" ends after the file's last byte: it is truncated, download it again");
  num(0, 1);
  CHECK_OK(open_built());
}

/* GHSA-96jg-mvhq-q7q7 and its neighbours: alignments that overflow when something is rounded up to them; 0 was divided
 * by (CVE-2025-0317). */
TEST(alignments) {
  static const uint32_t bad[] = {0, 3, 33, 0x80000000, 1 << 21, 0xffffffff};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    head(1, 1);
    key("general.alignment", NB_GGUF_U32);
    num(bad[i], 4);
    tensor1("t", 1, 0, 0);
    data(64);
    CHECK(open_built() == NB_ERR_FORMAT && strstr(err.msg, "not a power of two up to 1048576"));
  }
  head(0, 1);
  key("general.alignment", NB_GGUF_I32); /* the wrong type ended llama.cpp in an assertion */
  num(32, 4);
  BAD("\"general.alignment\" is not a 32-bit number");
  head(1, 1);
  key("general.alignment", NB_GGUF_U32);
  num(1 << 20, 4);
  tensor1("t", 1, 0, 0);
  data(64);
  BAD("tensor \"t\" ends after the file's last byte: it is truncated, download it again");
}

TEST(offsets_and_overlaps) {
  head(2, 0);
  tensor1("a", 8, 0, 0);
  tensor1("b", 8, 0, 0);
  data(64);
  BAD("the tensors \"a\" and \"b\" overlap");
  head(2, 0);
  tensor1("a", 8, 0, 0);
  tensor1("b", 8, 0, 64);
  data(128);
  BAD("tensor \"b\" begins at byte 64 of the data, not at 32");
  head(1, 0);
  tensor1("a", 8, 0, 1);
  data(64);
  BAD("tensor \"a\" begins at byte 1 of the data, not at 0");
  head(1, 0);
  tensor1("a", 8, 0, UINT64_MAX - 31);
  data(64);
  CHECK(open_built() == NB_ERR_FORMAT);
}

TEST(types_of_tensors) {
  head(1, 0);
  tensor1("a", 33, 8, 0);
  data(64);
  BAD("tensor \"a\": rows of 33 are no whole blocks of Q8_0 (32)");
  head(1, 0);
  tensor1("a", 32, 77, 0);
  data(64);
  NOT_SUPPORTED("tensor \"a\" is of type 77, which is not known");
  head(1, 0);
  tensor1("a", 32, 0xffffffff, 0); /* read as a negative type elsewhere */
  data(64);
  NOT_SUPPORTED("tensor \"a\" is of type 4294967295, which is not known");
}

TEST(names_and_keys) {
  head(2, 0);
  tensor1("a", 8, 0, 0);
  tensor1("a", 8, 0, 32);
  data(64);
  BAD("tensor \"a\" is there twice");
  head(0, 2);
  key("k", NB_GGUF_U8), num(1, 1);
  key("k", NB_GGUF_U8), num(1, 1);
  BAD("key \"k\" is there twice");
  head(0, 1);
  key("", NB_GGUF_U8), num(1, 8);
  BAD("a key is empty or has a zero byte");
  head(0, 1);
  num(2, 8), put("a\0", 2), num(0, 4), num(1, 8);
  BAD("a key is empty or has a zero byte");
  head(0, 1);
  key("k", NB_GGUF_BOOL), num(2, 1), data(0);
  BAD("key \"k\": a truth value is 2");
  head(0, 1);
  key("k", 13), num(2, 8);
  BAD("key \"k\" has the unknown type 13");
  head(0, 1);
  key("k", NB_GGUF_ARRAY), num(NB_GGUF_ARRAY, 4), num(1, 8), num(NB_GGUF_ARRAY, 4), num(1, 8);
  NOT_SUPPORTED("key \"k\" is an array of arrays");
}

int main(void) {
  RUN(reads_what_the_package_wrote);
  RUN(reads_splits);
  RUN(splits_that_do_not_belong_together);
  RUN(writes_the_bytes_that_the_package_writes);
  RUN(what_a_writer_is_not_asked_for);
  RUN(a_good_file_is_built);
  RUN(every_prefix_is_refused);
  RUN(versions_and_byte_orders);
  RUN(cve_2024_39720_four_bytes);
  RUN(cve_2024_23605_number_of_keys);
  RUN(cve_2024_21836_number_of_tensors);
  RUN(cve_2024_23496_length_of_a_string);
  RUN(cve_2024_21825_length_of_an_array);
  RUN(cve_2024_32878_array_that_ends_early);
  RUN(cve_2024_41130_name_that_ends_early);
  RUN(cve_2024_21802_number_of_dimensions);
  RUN(cve_2025_53630_sum_of_sizes);
  RUN(cve_2026_33298_size_of_a_tensor);
  RUN(cve_2026_7482_tensor_past_the_end);
  RUN(alignments);
  RUN(offsets_and_overlaps);
  RUN(types_of_tensors);
  RUN(names_and_keys);
  nb_text_free(&file);
  return test_end();
}
