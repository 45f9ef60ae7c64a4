/* SPDX-License-Identifier: MIT */
/* Calibration tokens: several texts in turn, each over its whole length, the same for the same texts and seed. */
#include "tempdir.h"
#include "test.h"

#include "convert/calib_source.h"
#include "convert/calib_text.h"
#include "formats/tokenizer_dir.h"

static nb_err err;
static nb_opened m;

enum { SEQ = 32, LINES = 4000 };

/* LINES lines of one word, which differs between the text's quarters; as its tokens stand they tell where they are. */
static char *quarters(const char *name, const char *const word[4]) {
  nb_text t = {0};
  for (int i = 0; i < LINES; i++)
    if (nb_text_append_str(&t, word[i * 4 / LINES], &err) || nb_text_append_str(&t, "\n", &err)) exit(1);
  char *path = temp_file(name, t.s, t.n);
  nb_text_free(&t);
  return path;
}

static const char *const words_a[4] = {"aaaa", "bbbb", "cccc", "dddd"}, *const words_b[4] = {"eeee", "ffff", "gggg",
                                                                                             "hhhh"};

static nb_calib_text read_texts(const char *const *given, size_t n, size_t tokens, uint64_t seed) {
  nb_calib_text t = {.n_seqs = 0};
  const nb_calib_text_opts o = {.tokens = tokens, .seq = SEQ, .seed = seed};
  CHECK_MSG(nb_calib_text_read(given, n, &m, &o, &t, &err) == NB_OK, "%s", err.msg);
  return t;
}

/* What a sequence says. */
static void text_of(const nb_calib_text *t, size_t seq, nb_text *out) {
  *out = (nb_text){0};
  CHECK_OK(nb_tokenizer_decode(m.tokenizer, t->ids.id + seq * SEQ, SEQ, true, out, &err));
}

TEST(evenly_and_over_the_whole_length) {
  char *a = quarters("a.txt", words_a), *b = quarters("b.txt", words_b);
  const char *const given[] = {a, b};
  nb_calib_text t = read_texts(given, 2, 16 * SEQ, 0);
  size_t quarter[8] = {0};
  CHECK(t.n_seqs == 16);
  for (size_t i = 0; i < t.n_seqs; i++) {
    nb_text s;
    text_of(&t, i, &s);
    for (size_t q = 0; q < 4; q++) {
      quarter[q] += s.s && strstr(s.s, words_a[q]) != NULL;
      quarter[4 + q] += s.s && strstr(s.s, words_b[q]) != NULL;
    }
    CHECK_MSG(s.s && !strpbrk(s.s, i % 2 ? "abcd" : "efgh"), "sequence %zu is of the other text: %s", i, s.s);
    nb_text_free(&s);
  }
  for (size_t q = 0; q < 8; q++) CHECK_MSG(quarter[q] >= 2, "quarter %zu of text %zu: %zu", q % 4, q / 4, quarter[q]);
  nb_calib_text again = read_texts(given, 2, 16 * SEQ, 0), other = read_texts(given, 2, 16 * SEQ, 1);
  CHECK(again.ids.n == t.ids.n && !memcmp(again.ids.id, t.ids.id, t.ids.n * sizeof *t.ids.id));
  CHECK(other.ids.n == t.ids.n && memcmp(other.ids.id, t.ids.id, t.ids.n * sizeof *t.ids.id));
  nb_calib_text_free(&t), nb_calib_text_free(&again), nb_calib_text_free(&other);
  free(a), free(b);
}

/* A text that has less than its share leaves the rest to the others; no sequence is drawn twice; texts that are too
 * short for a sequence are read together. */
TEST(short_texts) {
  char *a = quarters("a.txt", words_a), *c = temp_file("c.txt", "zzzz zzzz zzzz", 14);
  char *d = temp_file("d.txt", "yyyy yyyy yyyy yyyy yyyy yyyy", 29);
  const char *const given[] = {c, a, d}, *const only[] = {c};
  nb_calib_text t = read_texts(given, 3, 8 * SEQ, 0), all = read_texts(given, 3, 1 << 20, 0);
  size_t joined = 0;
  for (size_t i = 0; i < t.n_seqs; i++) {
    nb_text s;
    text_of(&t, i, &s);
    joined += s.s && strstr(s.s, "zz") && strstr(s.s, "yy");
    nb_text_free(&s);
  }
  CHECK_MSG(t.n_seqs == 8 && joined == 1, "%zu of %zu sequences", joined, t.n_seqs);
  nb_calib_sources s;
  size_t tokens = 0;
  CHECK_OK(nb_calib_sources_read(given, 3, m.tokenizer, &s, &err));
  for (size_t i = 0; i < s.n; i++) tokens += s.items[i].ids.n;
  CHECK_MSG(all.n_seqs == s.items[1].ids.n / SEQ + 1, "%zu sequences of %zu tokens", all.n_seqs, tokens);
  nb_calib_sources_free(&s);
  nb_calib_text none;
  const nb_calib_text_opts o = {.tokens = 1024, .seq = SEQ};
  CHECK(nb_calib_text_read(only, 1, &m, &o, &none, &err) == NB_ERR_ARG);
  CHECK_MSG(strstr(err.msg, "no sequence of 32"), "%s", err.msg);
  nb_calib_text_free(&t), nb_calib_text_free(&all);
  free(a), free(c), free(d);
}

TEST(folders) {
  static const char chat[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"qqqq\"}]}\n";
  char *dir = temp_path("folder"), path[1000];
  nb_calib_sources s;
  CHECK(mkdir(dir, 0777) == 0);
  snprintf(path, sizeof path, "%s/x.txt", dir), temp_write(path, "one two", 7);
  snprintf(path, sizeof path, "%s/README.md", dir), temp_write(path, "no", 2);
  const char *const given[] = {dir};
  snprintf(path, sizeof path, "%s/a.jsonl", dir), temp_write(path, chat, sizeof chat - 1);
  CHECK_OK(nb_calib_sources_read(given, 1, m.tokenizer, &s, &err));
  CHECK(s.n == 2);
  nb_text t = {0};
  CHECK_OK(nb_tokenizer_decode(m.tokenizer, s.items[0].ids.id, s.items[0].ids.n, false, &t, &err));
  CHECK_MSG(strstr(t.s, "<s> user: qqqq<|end|>"), "%s", t.s); /* by the template of tests/cli/toy */
  nb_text_free(&t);
  nb_calib_sources_free(&s);
  snprintf(path, sizeof path, "%s/b.jsonl", dir), temp_write(path, "{\"messages\": 1}\n", 16);
  CHECK(nb_calib_sources_read(given, 1, m.tokenizer, &s, &err) != NB_OK);
  CHECK_MSG(strstr(err.msg, "b.jsonl:1"), "%s", err.msg);
  free(dir);
}

/* Of a long text whole lines are kept, spread over it. */
TEST(long_text) {
  enum { N = 40 << 20, LINE = 64 };
  char *s = malloc(N);
  for (size_t i = 0; i < N; i++) s[i] = i % LINE == LINE - 1 ? '\n' : (char)('a' + i / LINE * 26 / (N / LINE));
  char *path = temp_file("long.txt", s, N);
  const char *const given[] = {path};
  nb_calib_sources out;
  size_t seen[26] = {0};
  CHECK_OK(nb_calib_sources_read(given, 1, m.tokenizer, &out, &err));
  nb_text t = {0};
  CHECK_OK(nb_tokenizer_decode(m.tokenizer, out.items[0].ids.id, out.items[0].ids.n, true, &t, &err));
  for (size_t i = 0; i < t.n; i++)
    if (t.s[i] >= 'a' && t.s[i] <= 'z') seen[t.s[i] - 'a']++;
  CHECK_MSG(t.n > 16000000 && t.n < 18000000, "%zu bytes", t.n);
  for (size_t i = 0; i < 26; i++) CHECK_MSG(seen[i] > 500000, "%c stands there %zu times", (int)('a' + i), seen[i]);
  nb_text_free(&t);
  nb_calib_sources_free(&out);
  free(s), free(path);
}

TEST(bundled) {
  nb_calib_text t = read_texts(NULL, 0, 12 * SEQ, 0);
  CHECK(t.n_seqs == 12 && nb_n_calib_bundle >= 6);
  CHECK_STR(cJSON_GetObjectItem(t.origin, "kind")->valuestring, "bundled");
  const cJSON *texts = cJSON_GetObjectItem(t.origin, "texts"), *i;
  CHECK((size_t)cJSON_GetArraySize(texts) == nb_n_calib_bundle);
  cJSON_ArrayForEach(i, texts) CHECK(cJSON_GetObjectItem(i, "sequences")->valueint >= 12 / (int)nb_n_calib_bundle);
  nb_calib_text_free(&t);
}

int main(void) {
  if (nb_tokenizer_read_dir("tests/cli/toy", &m.tokenizer, &err) != NB_OK) return puts(err.msg), 1;
  RUN(evenly_and_over_the_whole_length);
  RUN(short_texts);
  RUN(folders);
  RUN(long_text);
  RUN(bundled);
  nb_tokenizer_free(m.tokenizer);
  return test_end();
}
