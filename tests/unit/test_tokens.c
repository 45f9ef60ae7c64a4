/* SPDX-License-Identifier: MIT */
/* How pairs of context and continuation are cut into tokens. The expectations are what lm-evaluation-harness 0.4.13
 * does (HFLM.tok_encode and TemplateLM.loglikelihood): a text that begins with the begin token gets no second one. */
#include "test.h"

#include "eval/tokens.h"
#include "formats/tokenizer_dir.h"

static nb_err err;

/* The letters a, b, c and the blank, and <s> = 0, which the template puts first; named as bos, or nothing is. */
static nb_tokenizer *make_tokenizer(bool named) {
  const char *json =
      "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 0, \"content\": \"<s>\", \"special\": true, \"single_word\": "
      "false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false}], \"normalizer\": null, \"pre_tokenizer\": "
      "null, \"decoder\": null, \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "
      "{\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [{\"Sequence\": "
      "{\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": "
      "{\"<s>\": "
      "{\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]}}}, \"model\": {\"type\": \"BPE\", \"unk_token\": null, "
      "\"fuse_unk\": false, \"byte_fallback\": false, \"vocab\": {\"<s>\": 0, \"a\": 1, \"b\": 2, \"c\": 3, \" \": 4}, "
      "\"merges\": []}}";
  const char *config = "{\"bos_token\": \"<s>\"}";
  nb_tokenizer *t = NULL;
  nb_tokenizer_files files = {.json = {json, strlen(json), "tokenizer.json"}};
  if (named) files.config = (nb_source){config, strlen(config), "tokenizer_config.json"};
  if (nb_tokenizer_from_files(&files, &t, &err) != NB_OK) printf("  %s\n", err.msg);
  return t;
}

/* Encodes the pair and checks the ids, of which n_context are the context's. */
static void pair(const nb_tokenizer *t, bool plain, const char *context, const char *continuation, const char *want,
                 size_t n_context) {
  nb_text c = {0}, k = {0};
  nb_ids ids = {0}, all = {0};
  size_t n = 0;
  char got[100] = "";
  nb_text_append_str(&c, context, &err), nb_text_append_str(&k, continuation, &err);
  CHECK_OK(nb_tokens_context(t, plain, &c, &ids, &err));
  CHECK_OK(nb_tokens_pair(t, plain, &(nb_text_pair){&c, &ids, &k}, &all, &n, &err));
  for (size_t i = 0; i < all.n; i++) snprintf(got + strlen(got), sizeof got - strlen(got), "%d ", all.id[i]);
  CHECK_STR(got, want);
  CHECK(n == n_context);
  nb_text_free(&c), nb_text_free(&k);
  nb_ids_free(&ids), nb_ids_free(&all);
}

TEST(the_begin_token_stands_once) {
  nb_tokenizer *t = make_tokenizer(true);
  CHECK(t != NULL);
  if (!t) return;
  pair(t, false, "ab", " c", "0 1 2 4 3 ", 3);
  pair(t, false, "<s>ab", " c", "0 1 2 4 3 ", 3);
  pair(t, false, "<s>", "c", "0 3 ", 1);
  pair(t, true, "ab", " c", "1 2 4 3 ", 2);
  pair(t, true, "<s>ab", " c", "0 1 2 4 3 ", 3);
  pair(t, false, "", "c", "0 3 ", 1);
  pair(t, false, "", "<s>c", "0 3 ", 1);
  /* Not at the beginning it is one like any other. */
  pair(t, false, "a<s>b", " c", "0 1 0 2 4 3 ", 4);
  nb_tokenizer_free(t);
}

/* A tokenizer that names no begin token says nothing of what its template adds. */
TEST(without_a_name_the_template_adds_it) {
  nb_tokenizer *t = make_tokenizer(false);
  CHECK(t != NULL);
  if (!t) return;
  pair(t, false, "ab", " c", "0 1 2 4 3 ", 3);
  pair(t, false, "<s>ab", " c", "0 0 1 2 4 3 ", 4);
  nb_tokenizer_free(t);
}

TEST(white_space_goes_to_the_continuation) {
  nb_tokenizer *t = make_tokenizer(true);
  CHECK(t != NULL);
  if (!t) return;
  pair(t, false, "ab ", "c", "0 1 2 4 3 ", 3);
  nb_tokenizer_free(t);
}

int main(void) {
  RUN(the_begin_token_stands_once);
  RUN(without_a_name_the_template_adds_it);
  RUN(white_space_goes_to_the_continuation);
  return test_end();
}
