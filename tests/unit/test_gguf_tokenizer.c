/* SPDX-License-Identifier: MIT */
/* Tokenizers in GGUF files (tests/golden/make_gguf_tokenizers.py) against the tokenizer.json of the same tokens, whose
 * ids test_tokenizer.c compares with Hugging Face's library. */
#include "formats/gguf_tokenizer.h"
#include "formats/tokenizer_json.h"
#include "text/chat_template.h"
#include "test.h"
#include "tests/hostile_strings.h"

#define GOLDEN "tests/golden/gguf/tokenizers/"

static nb_err err;

static void same_ids(const char *name, const char *dir) {
  char path[256];
  nb_tokenizer *a = NULL, *b = NULL;
  nb_text s = {0}, texts[2] = {{0}, {0}};
  nb_ids ids[2] = {{0}, {0}};
  snprintf(path, sizeof path, GOLDEN "%s.gguf", name);
  CHECK_OK(nb_gguf_tokenizer_open(path, &a, &err));
  snprintf(path, sizeof path, "%s/%s", dir, name);
  CHECK_OK(nb_tokenizer_read_dir(path, &b, &err));
  CHECK_STR(nb_tokenizer_chat_template(a), "{{ messages[0].content }}");
  for (size_t i = 0; i < 1000; i++) {
    hostile_string(20, i, &s);
    for (int k = 0; k < 2; k++) {
      ids[k].n = 0;
      nb_text_clear(&texts[k]);
      CHECK_OK(nb_tokenizer_encode(k ? b : a, s.s, s.n, NB_ENCODE_ADD_SPECIAL, &ids[k], &err));
      CHECK_OK(nb_tokenizer_decode(k ? b : a, ids[k].id, ids[k].n, i % 2, &texts[k], &err));
    }
    bool same = ids[0].n == ids[1].n && (!ids[0].n || !memcmp(ids[0].id, ids[1].id, ids[0].n * sizeof(int32_t)));
    CHECK_MSG(same, "%s: the ids of string %zu: %s", name, i, s.s);
    CHECK_MSG(texts[0].n == texts[1].n && (!texts[0].n || !memcmp(texts[0].s, texts[1].s, texts[0].n)),
              "%s: the text of string %zu: %s", name, i, s.s);
    if (!same) break;
  }
  for (int k = 0; k < 2; k++) nb_ids_free(&ids[k]), nb_text_free(&texts[k]);
  nb_text_free(&s);
  nb_tokenizer_free(a);
  nb_tokenizer_free(b);
}

TEST(byte_level_kinds) {
  static const char *const names[] = {"llama-3", "qwen", "o200k", "smollm", "phi-2"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) same_ids(names[i], "tests/golden/tokenizers");
}

TEST(merges_made_from_scores) {
  same_ids("phi-3", GOLDEN);
  same_ids("gemma", GOLDEN);
}

/* ---- hostile metadata ---- */

static nb_text file;
static uint64_t n_keys;

static void num(uint64_t v, unsigned bytes) {
  char b[8];
  for (unsigned i = 0; i < 8; i++) b[i] = (char)(uint8_t)(v >> 8 * i);
  (void)nb_text_append(&file, b, bytes, NULL);
}
static void text(const char *s, size_t n) {
  num(n, 8);
  (void)nb_text_append(&file, s, n, NULL);
}
static void key(const char *name, uint32_t kind) {
  n_keys++;
  text(name, strlen(name));
  num(kind, 4);
}
static void begin(const char *model) {
  nb_text_clear(&file);
  n_keys = 0;
  (void)nb_text_append(&file, "GGUF\3\0\0\0", 8, NULL);
  num(0, 8);
  num(0, 8);
  key("tokenizer.ggml.model", NB_GGUF_STRING);
  text(model, strlen(model));
}
static void array(const char *name, uint32_t kind, uint64_t n) {
  key(name, NB_GGUF_ARRAY);
  num(kind, 4);
  num(n, 8);
}
static void tokens(const char *a, size_t n_a, const char *b) {
  array("tokenizer.ggml.tokens", NB_GGUF_STRING, 2);
  text(a, n_a);
  text(b, strlen(b));
}
static void pre(const char *name) {
  key("tokenizer.ggml.pre", NB_GGUF_STRING);
  text(name, strlen(name));
}
static void numbers(const char *name, uint32_t kind, uint32_t a, uint32_t b) {
  array(name, kind, 2);
  num(a, 4);
  num(b, 4);
}

static void refused(nb_status want, const char *message) {
  nb_gguf g;
  nb_tokenizer *t = NULL;
  memcpy(file.s + 16, &n_keys, 8);
  CHECK_OK(nb_gguf_open_memory(file.s, file.n, "f", &g, &err));
  nb_status st = nb_gguf_tokenizer_read(&g, &t, &err);
  CHECK_MSG(st == want, "status %d for: %s", (int)st, message);
  if (st != NB_OK && message) CHECK_STR(err.msg, message);
  nb_tokenizer_free(t);
  nb_gguf_close(&g);
}

TEST(kinds_that_are_not_known) {
  begin("bert");
  refused(NB_ERR_UNSUPPORTED,
          "f: the tokenizer \"bert\" is not supported (supported: llama, gpt2); give the original's "
          "tokenizer.json with --tokenizer DIR");
  begin("gpt2");
  pre("invented");
  refused(NB_ERR_UNSUPPORTED, "f: the pre-tokenizer \"invented\" is not supported; give the original's tokenizer.json "
                              "with --tokenizer DIR");
  begin("gpt2");
  refused(NB_ERR_FORMAT, "f: there is no \"tokenizer.ggml.pre\"");
}

TEST(lists_that_do_not_fit) {
  begin("gpt2");
  pre("gpt-2");
  refused(NB_ERR_FORMAT, "f: no tokenizer.ggml.tokens, or not 1 to 2097152");
  tokens("a", 1, "b");
  refused(NB_ERR_FORMAT, "f: no tokenizer.ggml.merges, or not 1 to 4194304 texts");
  array("tokenizer.ggml.merges", NB_GGUF_STRING, 1);
  text("a c", 3);
  refused(NB_ERR_FORMAT, "f: merge 0, \"a c\", is not two tokens with a space between them");
  begin("gpt2");
  pre("gpt-2");
  tokens("a", 1, "b");
  array("tokenizer.ggml.token_type", NB_GGUF_I32, 1);
  num(1, 4);
  refused(NB_ERR_FORMAT, "f: \"tokenizer.ggml.token_type\" has 1 elements for 2 tokens");
  begin("llama");
  tokens("a", 1, "b");
  refused(NB_ERR_FORMAT, "f: no tokenizer.ggml.token_type or no tokenizer.ggml.scores");
  numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 1, 1);
  numbers("tokenizer.ggml.scores", NB_GGUF_F32, 0, 0x7fc00000);
  refused(NB_ERR_FORMAT, "f: the score of token 1 is not finite");
  begin("llama");
  key("tokenizer.ggml.tokens", NB_GGUF_U32);
  num(7, 4);
  refused(NB_ERR_FORMAT, "f: \"tokenizer.ggml.tokens\" is not a list of texts");
}

TEST(ids_out_of_range) {
  begin("llama");
  tokens("a", 1, "b");
  numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 1, 1);
  numbers("tokenizer.ggml.scores", NB_GGUF_F32, 0, 0);
  key("tokenizer.ggml.bos_token_id", NB_GGUF_U32);
  num(0xffffffff, 4); /* none */
  refused(NB_OK, NULL);
  key("tokenizer.ggml.eos_token_id", NB_GGUF_U32);
  num(2, 4);
  refused(NB_ERR_FORMAT, "f: \"tokenizer.ggml.eos_token_id\" is 2, not between 0 and 1");
}

/* CVE-2025-49847: a token's length was cast to a signed number of 32 bits and copied past its buffer. */
TEST(cve_2025_49847_length_of_a_token) {
  size_t n = 100000;
  char *a = malloc(n);
  memset(a, 'a', n);
  begin("llama");
  tokens(a, n, "a");
  numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 1, 1);
  numbers("tokenizer.ggml.scores", NB_GGUF_F32, 0, 0);
  refused(NB_ERR_FORMAT, NULL);
  CHECK(strstr(err.msg, "100000 bytes"));
  free(a);
}

/* Numbers of one byte where four are read (llama.cpp, August 2026), and of a byte token that is none. */
TEST(elements_of_another_size) {
  begin("llama");
  tokens("a", 1, "b");
  array("tokenizer.ggml.token_type", NB_GGUF_U8, 2);
  num(1, 1), num(1, 1);
  array("tokenizer.ggml.scores", NB_GGUF_U8, 2);
  num(1, 1), num(2, 1);
  refused(NB_OK, NULL); /* read as what they are */
  begin("llama");
  tokens("a", 1, "b");
  numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 1, 1);
  array("tokenizer.ggml.scores", NB_GGUF_STRING, 2);
  text("1", 1), text("2", 1);
  refused(NB_ERR_FORMAT, NULL);
}

TEST(byte_tokens_that_are_none) {
  static const char *const names[] = {"<0x-1>", "<0xGG>", "<0x>", "<0x100>", "<0x 1>"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    begin("llama");
    tokens(names[i], strlen(names[i]), "b");
    numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 6, 1); /* of a byte */
    numbers("tokenizer.ggml.scores", NB_GGUF_F32, 0, 0);
    nb_gguf g;
    nb_tokenizer *t = NULL;
    memcpy(file.s + 16, &n_keys, 8);
    CHECK_OK(nb_gguf_open_memory(file.s, file.n, "f", &g, &err));
    nb_status st = nb_gguf_tokenizer_read(&g, &t, &err);
    CHECK_MSG(st == NB_OK || st == NB_ERR_FORMAT, "%s: %d", names[i], (int)st);
    nb_tokenizer_free(t);
    nb_gguf_close(&g);
  }
}

/* CVE-2024-34359: a template in the metadata ran Python. Here it is a text that ends with a message. */
TEST(cve_2024_34359_template_that_calls) {
  static const char attack[] = "{% for x in ''.__class__.__base__.__subclasses__() %}{{ x.__init__.__globals__['sys'] "
                               "}}{% endfor %}{{ cycler.__init__.__globals__.os.popen('id').read() }}";
  begin("llama");
  tokens("a", 1, "b");
  numbers("tokenizer.ggml.token_type", NB_GGUF_I32, 1, 1);
  numbers("tokenizer.ggml.scores", NB_GGUF_F32, 0, 0);
  key("tokenizer.chat_template", NB_GGUF_STRING);
  text(attack, sizeof attack - 1);
  nb_gguf g;
  nb_tokenizer *t = NULL;
  memcpy(file.s + 16, &n_keys, 8);
  CHECK_OK(nb_gguf_open_memory(file.s, file.n, "f", &g, &err));
  CHECK_OK(nb_gguf_tokenizer_read(&g, &t, &err));
  const nb_chat_message hello = {"user", "hello"};
  nb_text out = {0};
  nb_status st = nb_chat_render_tokenizer(t, &hello, 1, true, &out, &err);
  CHECK_MSG(st != NB_OK, "rendered: %s", out.s ? out.s : "");
  nb_text_free(&out);
  nb_tokenizer_free(t);
  nb_gguf_close(&g);
}

int main(void) {
  RUN(byte_level_kinds);
  RUN(merges_made_from_scores);
  RUN(kinds_that_are_not_known);
  RUN(lists_that_do_not_fit);
  RUN(ids_out_of_range);
  RUN(cve_2025_49847_length_of_a_token);
  RUN(elements_of_another_size);
  RUN(byte_tokens_that_are_none);
  RUN(cve_2024_34359_template_that_calls);
  nb_text_free(&file);
  return test_end();
}
