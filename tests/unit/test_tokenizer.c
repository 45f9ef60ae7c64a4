/* SPDX-License-Identifier: MIT */
/* Tokenizers against Hugging Face's library (tests/golden/make_tokenizer_goldens.py), their compact form,
 * and damaged files. */
#include "formats/mapfile.h"
#include "base/parallel.h"
#include "formats/tokenizer_dir.h"
#include "tempdir.h"
#include "test.h"
#include "tests/hostile_strings.h"

#include <sys/stat.h>
#include <zlib.h>

#define GOLDEN "tests/golden/tokenizers"

static nb_err err;

static nb_tokenizer *read_golden(const char *name) {
  char dir[256];
  nb_tokenizer *t = NULL;
  snprintf(dir, sizeof dir, GOLDEN "/%s", name);
  if (nb_tokenizer_read_dir(dir, &t, &err) != NB_OK) printf("  %s\n", err.msg);
  return t;
}

/* Counts ids and sums ids and texts up as the golden maker does. */
static nb_status sum_up(const nb_tokenizer *t, uint64_t seed, size_t n, size_t *count, uLong *ids_crc,
                        uLong *text_crc) {
  nb_text s = {0}, text = {0};
  nb_ids ids = {0};
  nb_status st = NB_OK;
  *count = 0;
  *ids_crc = *text_crc = 0;
  for (size_t i = 0; i < n; i++) {
    hostile_string(seed, i, &s);
    ids.n = 0;
    nb_text_clear(&text);
    NB_GOTO(nb_tokenizer_encode(t, s.s, s.n, NB_ENCODE_ADD_SPECIAL, &ids, &err));
    NB_GOTO(nb_tokenizer_decode(t, ids.id, ids.n, false, &text, &err));
    *count += ids.n;
    if (ids.n) *ids_crc = crc32(*ids_crc, (const Bytef *)ids.id, (uInt)(4 * ids.n));
    *text_crc = crc32(*text_crc, (const Bytef *)text.s, (uInt)text.n + 1);
  }
fail:
  nb_text_free(&s);
  nb_text_free(&text);
  nb_ids_free(&ids);
  return st;
}

/* Checks one line of goldens.txt, from tokenizer.json and from the compact form. */
static void check_golden(const char *dir, const char *name, const char *numbers) {
  nb_tokenizer *t[2] = {0};
  nb_text saved = {0}, again = {0};
  unsigned long seed, n, want_count, want_ids, want_text;
  CHECK(sscanf(numbers, "%lu %lu %lu %lx %lx", &seed, &n, &want_count, &want_ids, &want_text) == 5);
  CHECK_OK(nb_tokenizer_read_dir(dir, &t[0], &err));
  CHECK_OK(nb_tokenizer_save(t[0], &saved, &err));
  CHECK_OK(nb_tokenizer_load(saved.s, saved.n, &t[1], &err));
  CHECK_OK(nb_tokenizer_save(t[1], &again, &err));
  CHECK(saved.n == again.n && !memcmp(saved.s, again.s, saved.n));
  for (int k = 0; k < 2; k++) {
    size_t count;
    uLong ids, text;
    CHECK_OK(sum_up(t[k], seed, n, &count, &ids, &text));
    CHECK_MSG(count == want_count && ids == want_ids && text == want_text,
              "%s: %zu ids %08lx, text %08lx; want %lu ids %08lx, text %08lx", name, count, ids, text, want_count,
              want_ids, want_text);
    nb_tokenizer_free(t[k]);
  }
  nb_text_free(&saved);
  nb_text_free(&again);
}

TEST(small_goldens) {
  FILE *f = fopen(GOLDEN "/goldens.txt", "r");
  char line[256], dir[512];
  int n = 0;
  CHECK(f != NULL);
  while (f && fgets(line, sizeof line, f)) {
    char *space = strchr(line, ' ');
    if (line[0] == '#' || !space || !strncmp(line, "shared ", 7)) continue;
    *space = 0;
    snprintf(dir, sizeof dir, GOLDEN "/%s", line);
    check_golden(dir, line, space + 1);
    n++;
  }
  if (f) fclose(f);
  CHECK(n >= 19);
}

/* Copies the files of a tokenizer, unpacked, to a directory; their CRC-32, taken one after the other. Files and order
 * are check_tokenizers.py's. */
static uLong unpack(const char *from, const char *to) {
  static const char *const names[][3] = {{"tokenizer.json", "tokenizer.json.gz", "tokenizer.derived.json.gz"},
                                         {"cl100k_base.tiktoken"},
                                         {"tokenizer_config.json"},
                                         {"special_tokens_map.json"},
                                         {"added_tokens.json"}};
  enum { MOST = 64 << 20 };
  char *bytes = malloc(MOST), path[1024];
  uLong crc = 0;
  if (!bytes) exit(1);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (int k = 0; k < 3 && names[i][k]; k++) {
      snprintf(path, sizeof path, "%s/%s", from, names[i][k]);
      gzFile f = gzopen(path, "rb"); /* reads files that are not packed as they are */
      int n = f ? gzread(f, bytes, MOST) : -1;
      if (f) gzclose(f);
      if (n < 0) continue;
      crc = crc32(crc, (const Bytef *)bytes, (uInt)n);
      snprintf(path, sizeof path, "%s/%s", to, names[i][0]);
      temp_write(path, bytes, (size_t)n);
      break;
    }
  free(bytes);
  return crc;
}

/* Tokenizers of real models, where they are there. Their files may be others than those of the goldens. */
TEST(shared_goldens) {
  FILE *f = fopen(GOLDEN "/goldens.txt", "r");
  char line[256], dir[512], name[64];
  const char *root = getenv("NB_SHARED");
  int n = 0, numbers;
  unsigned long want;
  CHECK(f != NULL);
  while (f && fgets(line, sizeof line, f)) {
    struct stat sb;
    if (sscanf(line, "shared %lx %63s %n", &want, name, &numbers) != 2) continue;
    snprintf(dir, sizeof dir, "%s/data/tokenizers/%s", root ? root : "../shared", name);
    if (stat(dir, &sb)) continue;
    char *scratch = temp_subdir(name);
    uLong crc = unpack(dir, scratch);
    if (crc != want) printf("  %s: its files (CRC-32 %08lx) are not those of the golden (%08lx)\n", dir, crc, want);
    else check_golden(scratch, name, line + numbers), n++;
    temp_remove_tree(scratch);
    free(scratch);
  }
  if (f) fclose(f);
  if (!n) SKIP("no tokenizers in ../shared for which there are goldens");
}

TEST(lookups) {
  nb_tokenizer *t = read_golden("phi-3");
  CHECK(t != NULL);
  if (!t) return;
  int32_t end = nb_tokenizer_token_id(t, "<|end|>");
  size_t n;
  CHECK(end > 0 && (size_t)end < nb_tokenizer_n_vocab(t));
  CHECK_STR(nb_tokenizer_token_text(t, end, &n), "<|end|>");
  CHECK(n == 7);
  CHECK(nb_tokenizer_is_special(t, end));
  CHECK(!nb_tokenizer_is_special(t, nb_tokenizer_token_id(t, "</s>")));
  CHECK(nb_tokenizer_token_id(t, "no such token") == -1);
  CHECK(nb_tokenizer_token_text(t, -1, NULL) == NULL);
  CHECK(nb_tokenizer_token_text(t, (int32_t)nb_tokenizer_n_vocab(t), NULL) == NULL);
  CHECK(!nb_tokenizer_is_special(t, 1 << 30));
  CHECK(nb_tokenizer_bos(t) == -1 && nb_tokenizer_eos(t) == -1);
  CHECK_STR(nb_tokenizer_chat_template(t), "");
  nb_tokenizer_free(t);
  nb_tokenizer_free(NULL);
}

TEST(flags) {
  nb_tokenizer *t = read_golden("phi-3");
  nb_ids ids = {0};
  nb_text text = {0};
  CHECK(t != NULL);
  if (!t) return;
  int32_t end = nb_tokenizer_token_id(t, "<|end|>");
  CHECK_OK(nb_tokenizer_encode(t, "", 0, 0, &ids, &err));
  CHECK(ids.n == 0);
  CHECK_OK(nb_tokenizer_encode(t, NULL, 0, NB_ENCODE_ADD_SPECIAL, &ids, &err));
  CHECK(ids.n == 2 && ids.id[0] == 1 && ids.id[1] == 2);
  ids.n = 0;
  CHECK_OK(nb_tokenizer_encode(t, "<|end|>  \n", 10, 0, &ids, &err));
  CHECK(ids.n == 1 && ids.id[0] == end); /* it takes the white space behind it */
  ids.n = 0;
  CHECK_OK(nb_tokenizer_encode(t, "<|end|>", 7, NB_ENCODE_PLAIN_SPECIAL, &ids, &err));
  CHECK(ids.n > 1);
  CHECK_OK(nb_tokenizer_decode(t, ids.id, ids.n, true, &text, &err));
  CHECK_STR(text.s, "<|end|>");
  int32_t some[] = {end, -5, 1 << 29, nb_tokenizer_token_id(t, "▁the"), end};
  nb_text_clear(&text);
  CHECK_OK(nb_tokenizer_decode(t, some, 5, true, &text, &err));
  CHECK_STR(text.s, "the");
  nb_text_clear(&text);
  CHECK_OK(nb_tokenizer_decode(t, some, 5, false, &text, &err));
  CHECK_STR(text.s, "<|end|> the<|end|>");
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_tokenizer_free(t);
}

TEST(streaming) {
  static const char *const names[] = {"phi-3", "o200k", "llama-3", "metaspace-always", "mistral"};
  for (size_t k = 0; k < 5; k++) {
    nb_tokenizer *t = read_golden(names[k]);
    nb_text s = {0}, whole = {0}, pieces = {0};
    nb_ids ids = {0};
    nb_decoder *d;
    CHECK(t != NULL);
    if (!t) continue;
    CHECK_OK(nb_decoder_new(t, false, &d, &err));
    for (size_t i = 0; i < 300; i++) {
      hostile_string(11, i, &s);
      ids.n = 0;
      nb_text_clear(&whole);
      nb_text_clear(&pieces);
      CHECK_OK(nb_tokenizer_encode(t, s.s, s.n, 0, &ids, &err));
      CHECK_OK(nb_tokenizer_decode(t, ids.id, ids.n, false, &whole, &err));
      for (size_t j = 0; j < ids.n; j++) {
        CHECK_OK(nb_decoder_step(d, ids.id[j], &pieces, &err));
        CHECK(nb_utf8_valid_prefix(pieces.s, pieces.n) == pieces.n);
      }
      CHECK_OK(nb_decoder_finish(d, &pieces, &err));
      CHECK_MSG(pieces.n == whole.n && (!whole.n || !memcmp(pieces.s, whole.s, whole.n)), "%s: string %zu", names[k],
                i);
    }
    nb_decoder_free(d);
    nb_text_free(&s);
    nb_text_free(&whole);
    nb_text_free(&pieces);
    nb_ids_free(&ids);
    nb_tokenizer_free(t);
  }
}

typedef struct threads_job {
  const nb_tokenizer *t;
  uLong crc[64];
} threads_job;

static void encode_range(void *ctx, size_t begin, size_t end, int thread) {
  threads_job *j = ctx;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    size_t count;
    uLong text;
    if (sum_up(j->t, i % 8, 20, &count, &j->crc[i], &text) != NB_OK) j->crc[i] = 0;
  }
}

TEST(threads) {
  threads_job j = {read_golden("llama-3"), {0}};
  CHECK(j.t != NULL);
  if (!j.t) return;
  nb_parallel_for(4, 64, 1, encode_range, &j);
  for (size_t i = 8; i < 64; i++) CHECK(j.crc[i] == j.crc[i % 8]);
  CHECK(j.crc[0] != j.crc[1] && j.crc[0] != 0);
  nb_tokenizer_free((nb_tokenizer *)j.t);
}

static nb_source source(const char *text, const char *name) { return (nb_source){text, text ? strlen(text) : 0, name}; }

static nb_status from_string(const char *json, const char *config, const char *jinja, nb_tokenizer **t) {
  const nb_tokenizer_files f = {.json = source(json, "tokenizer.json"),
                                .config = source(config, "tokenizer_config.json"),
                                .jinja = source(jinja, "chat_template.jinja")};
  return nb_tokenizer_from_files(&f, t, &err);
}

#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\" \":3,\"<s>\":4}"
#define MODEL "\"model\":{\"type\":\"BPE\"," VOCAB ",\"merges\":[\"a b\"]}"

TEST(config) {
  static const char json[] =
      "{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,"
      "\"rstrip\":false,\"normalized\":false,\"special\":true}]}";
  static const struct {
    const char *config, *jinja, *chat;
    int bos, eos;
  } good[] = {
      {NULL, NULL, "", -1, -1},
      {"{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"b\"},\"chat_template\":\"x{{1}}\"}", NULL, "x{{1}}", 4, 1},
      {"{\"bos_token\":null,\"chat_template\":[{\"name\":\"rag\",\"template\":\"r\"},{\"name\":"
       "\"default\",\"template\":\"d\"}]}",
       NULL, "d", -1, -1},
      {"{\"chat_template\":\"old\"}", "new", "new", -1, -1}};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    nb_tokenizer *t;
    CHECK_OK(from_string(json, good[i].config, good[i].jinja, &t));
    CHECK_STR(nb_tokenizer_chat_template(t), good[i].chat);
    CHECK(nb_tokenizer_bos(t) == good[i].bos && nb_tokenizer_eos(t) == good[i].eos);
    nb_text saved = {0};
    nb_tokenizer *u;
    CHECK_OK(nb_tokenizer_save(t, &saved, &err));
    CHECK_OK(nb_tokenizer_load(saved.s, saved.n, &u, &err));
    CHECK_STR(nb_tokenizer_chat_template(u), good[i].chat);
    CHECK(nb_tokenizer_bos(u) == good[i].bos && nb_tokenizer_eos(u) == good[i].eos && nb_tokenizer_is_special(u, 4));
    nb_text_free(&saved);
    nb_tokenizer_free(t);
    nb_tokenizer_free(u);
  }
  nb_tokenizer *t;
  CHECK_OK(from_string(json, "{\"eos_token\":\"</s>\"}", NULL, &t)); /* a token that is missing is added */
  CHECK(nb_tokenizer_eos(t) == 5 && nb_tokenizer_is_special(t, 5));
  nb_tokenizer_free(t);
}

TEST(strip_decoder) {
  nb_tokenizer *t;
  nb_text text = {0};
  int32_t ids[] = {3, 3, 3, 0, 3, 3};
  CHECK_OK(from_string("{" MODEL
                       ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Strip\","
                       "\"content\":\" \",\"start\":2,\"stop\":1}]}}",
                       NULL, NULL, &t));
  CHECK_OK(nb_tokenizer_decode(t, ids, 6, false, &text, &err));
  CHECK_STR(text.s, " a ");
  nb_text_clear(&text);
  CHECK_OK(nb_tokenizer_decode(t, ids, 2, false, &text, &err));
  CHECK_STR(text.s, "");
  nb_text_free(&text);
  nb_tokenizer_free(t);
}

TEST(refused) {
  static const struct {
    const char *json, *says;
  } bad[] = {
      {"{", "tokenizer.json:1:"},
      {"[]", "tokenizer.json"},
      {"{}", "model"},
      {"{\"model\":{\"type\":\"WordPiece\"}}", "the model \"WordPiece\" is not supported"},
      {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}", "the vocabulary is empty"},
      {"{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", "id"},
      {"{\"model\":{\"vocab\":{\"a\":0.5},\"merges\":[]}}", "id"},
      {"{\"model\":{\"vocab\":{\"a\":99999999},\"merges\":[]}}", "id"},
      {"{\"model\":{\"vocab\":{\"a\":1999999},\"merges\":[]}}", "1 tokens have ids up to 1999999"},
      {"{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "token id 0 is given twice: to \"a\" and to \"b\""},
      {"{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", "tokenizer.json:1:"},
      {"{\"model\":{\"vocab\":{\"\":0},\"merges\":[]}}", "text of 0 bytes"},
      {"{\"model\":{" VOCAB ",\"merges\":[\"a c\"]}}", "merge 0, \"a c\", is not two tokens"},
      {"{\"model\":{" VOCAB ",\"merges\":[\"ab\"]}}", "merge 0, \"ab\", is not two tokens"},
      {"{\"model\":{" VOCAB ",\"merges\":[[\"a\",\"x\"]]}}", "names \"x\""},
      {"{\"model\":{" VOCAB ",\"merges\":[[\"b\",\"a\"]]}}", "joins \"b\" and \"a\""},
      {"{\"model\":{" VOCAB ",\"merges\":[\"b b\"]}}", "joins \"b\" and \"b\""},
      {"{\"model\":{" VOCAB ",\"merges\":[7]}}", "neither a string nor a pair"},
      {"{\"model\":{" VOCAB ",\"merges\":[],\"unk_token\":\"<unk>\"}}", "unk_token \"<unk>\""},
      {"{\"model\":{" VOCAB ",\"merges\":[],\"dropout\":0.1}}", "\"dropout\" is not supported"},
      {"{\"model\":{" VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"</w>\"}}",
       "\"end_of_word_suffix\" is not supported"},
      {"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\"}}", "the normalizer \"Precompiled\" is not supported"},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "the pre-tokenizer \"UnicodeScripts\""},
      {"{" MODEL ",\"decoder\":{\"type\":\"WordPiece\"}}", "the decoder \"WordPiece\""},
      {"{" MODEL ",\"post_processor\":{\"type\":\"RobertaProcessing\"}}", "the post-processor \"RobertaProcessing\""},
      {"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
       "\"special_tokens\":{\"x\":{\"ids\":[9]}}}}",
       "0 times"},
      {"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
       "\"x\"}},{\"Sequence\":"
       "{\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[9]}}}}",
       "token id 9, which does not exist"},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":"
       "\"Isolated\",\"invert\":false}}",
       "does not compile"},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a&&b]\"},\"behavior\":"
       "\"Isolated\"}}",
       "\"&&\""},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{2}+\"},\"behavior\":\"Isolated\"}}",
       "\"{2}+\""},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\h\"},\"behavior\":\"Isolated\"}}",
       "\"\\h\""},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\"}}",
       "empty"},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},\"behavior\":\"Sideways\"}}",
       "Sideways"},
      {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"xy\"}}", "one character"},
      {"{\"model\":{\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"added_tokens\":[{\"id\":9,\"content\":\"z\",\"single_"
       "word\":false,"
       "\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}]}",
       "the added token \"z\" would get the next id, 2, but that is \"b\""},
      {"{" MODEL ",\"added_tokens\":[{\"id\":5,\"content\":\"z\"}]}", "special"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nb_tokenizer *t;
    nb_status st = from_string(bad[i].json, NULL, NULL, &t);
    CHECK_MSG(st != NB_OK && strstr(err.msg, bad[i].says) && strstr(err.msg, "tokenizer.json"), "%s: %s", bad[i].json,
              st == NB_OK ? "accepted" : err.msg);
    if (st == NB_OK) nb_tokenizer_free(t);
    else CHECK(t == NULL);
  }
}

/* A nested repeat on a text that does not match ends in an error, not in hours. */
TEST(costly_pattern) {
  nb_tokenizer *t;
  nb_ids ids = {0};
  char text[200];
  memset(text, 'a', sizeof text);
  CHECK_OK(from_string("{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?:a|aa)+b|c\"},"
                       "\"behavior\":\"Isolated\",\"invert\":false}}",
                       NULL, NULL, &t));
  CHECK(nb_tokenizer_encode(t, text, sizeof text, 0, &ids, &err) == NB_ERR_FORMAT && strstr(err.msg, "limit"));
  nb_ids_free(&ids);
  nb_tokenizer_free(t);
}

/* Steps that multiply a text: each doubles it, or puts 1,000 bytes before it; as normalizers and as decoders. */
TEST(costly_steps) {
  static const char *const steps[] = {
      "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aa\"}",
      "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},\"content\":\"aa\"}",
      "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(?=b)|a\"},\"content\":\"aaaaaaaaaaaaaaaaaaaaaaaaa\"}"};
  for (size_t i = 0; i < 6; i++) {
    nb_text json = {0}, text = {0};
    nb_ids ids = {0};
    nb_tokenizer *t;
    const char *key = i % 2 ? "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
                            : "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[";
    CHECK_OK(nb_text_append_str(&json, "{" MODEL ",", &err));
    CHECK_OK(nb_text_append_str(&json, key, &err));
    for (int k = 0; k < 40; k++) {
      if (k) CHECK_OK(nb_text_append_str(&json, ",", &err));
      CHECK_OK(nb_text_append_str(&json, steps[i / 2], &err));
    }
    CHECK_OK(nb_text_append_str(&json, "]}}", &err));
    CHECK_OK(from_string(json.s, NULL, NULL, &t));
    nb_status st = nb_tokenizer_encode(t, "ab", 2, 0, &ids, &err);
    if (i % 2) {
      CHECK(st == NB_OK && ids.n == 1);
      st = nb_tokenizer_decode(t, ids.id, ids.n, false, &text, &err);
    }
    CHECK(st == NB_ERR_FORMAT && strstr(err.msg, "64 times"));
    nb_text_free(&json);
    nb_text_free(&text);
    nb_ids_free(&ids);
    nb_tokenizer_free(t);
  }
}

/* A template of few bytes that names many ids many times over. */
TEST(costly_template) {
  nb_text json = {0};
  nb_tokenizer *t;
  CHECK_OK(
      nb_text_append_str(&json, "{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[", &err));
  for (int i = 0; i < 100; i++) CHECK_OK(nb_text_append_str(&json, "{\"SpecialToken\":{\"id\":\"x\"}},", &err));
  CHECK_OK(nb_text_append_str(&json, "{\"Sequence\":{\"id\":\"A\"}}],\"special_tokens\":{\"x\":{\"ids\":[0", &err));
  for (int i = 0; i < 100; i++) CHECK_OK(nb_text_append_str(&json, ",0", &err));
  CHECK_OK(nb_text_append_str(&json, "]}}}}", &err));
  CHECK(from_string(json.s, NULL, NULL, &t) == NB_ERR_FORMAT && strstr(err.msg, "adds more than 4096 tokens"));
  nb_text_free(&json);
}

/* Every truncation and every changed byte of the compact form is either refused or gives a tokenizer that
 * works. */
TEST(damaged_compact_form) {
  nb_tokenizer *t = read_golden("metaspace-always"), *u;
  nb_text saved = {0};
  size_t refused = 0;
  CHECK(t != NULL);
  if (!t) return;
  CHECK_OK(nb_tokenizer_save(t, &saved, &err));
  for (size_t n = 0; n < saved.n; n++) {
    char *exact = malloc(n ? n : 1); /* so that a sanitizer sees any read behind the end */
    memcpy(exact, saved.s, n);
    CHECK_MSG(nb_tokenizer_load(exact, n, &u, &err) != NB_OK, "%zu of %zu bytes were accepted", n, saved.n);
    free(exact);
  }
  for (size_t i = 0; i < saved.n; i++)
    for (int bit = 0; bit < 8; bit += 1 + (int)(i % 3)) {
      saved.s[i] ^= (char)(1 << bit);
      nb_ids ids = {0};
      nb_text text = {0};
      if (nb_tokenizer_load(saved.s, saved.n, &u, &err) != NB_OK) {
        refused++;
      } else {
        CHECK_OK(nb_tokenizer_encode(u, "Hello the <s> \xff", 15, NB_ENCODE_ADD_SPECIAL, &ids, &err));
        CHECK_OK(nb_tokenizer_decode(u, ids.id, ids.n, false, &text, &err));
        nb_tokenizer_free(u);
      }
      nb_ids_free(&ids);
      nb_text_free(&text);
      saved.s[i] ^= (char)(1 << bit);
    }
  CHECK(refused > saved.n);
  saved.s[4] = 3;
  CHECK(nb_tokenizer_load(saved.s, saved.n, &u, &err) == NB_ERR_UNSUPPORTED && strstr(err.msg, "version"));
  nb_text_free(&saved);
  nb_tokenizer_free(t);
}

int main(void) {
  RUN(small_goldens);
  RUN(shared_goldens);
  RUN(lookups);
  RUN(flags);
  RUN(streaming);
  RUN(threads);
  RUN(config);
  RUN(strip_decoder);
  RUN(refused);
  RUN(costly_pattern);
  RUN(costly_steps);
  RUN(costly_template);
  RUN(damaged_compact_form);
  temp_remove();
  return test_end();
}
