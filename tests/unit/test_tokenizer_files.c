/* SPDX-License-Identifier: MIT */
/* The files around a tokenizer: settings against transformers (tests/golden/make_settings_goldens.py), tiktoken's
 * form against tiktoken's rules, files that are missing or bad. */
#include "formats/json.h"
#include "formats/mapfile.h"
#include "formats/tokenizer_dir.h"
#include "tempdir.h"
#include "test.h"

static nb_err err;

static nb_source source(const char *text, const char *name) { return (nb_source){text, text ? strlen(text) : 0, name}; }

static const char *member(const cJSON *obj, const char *key) { return cJSON_GetStringValue(nb_json_get(obj, key)); }

/* ---- settings ---- */

static nb_status read_case(const cJSON *c, const char *base, nb_tokenizer **t) {
  nb_text json = {0};
  const char *post = member(c, "post");
  nb_status st;
  NB_GOTO(nb_text_append_str(&json, base, &err));
  NB_GOTO(nb_text_append_str(&json, ",\"added_tokens\":", &err));
  NB_GOTO(nb_text_append_str(&json, member(c, "json"), &err));
  NB_GOTO(nb_text_append_str(&json, ",\"post_processor\":", &err));
  NB_GOTO(nb_text_append_str(&json, post ? post : "null", &err));
  NB_GOTO(nb_text_append_str(&json, "}", &err));
  const nb_tokenizer_files f = {.json = source(json.s, "tokenizer.json"),
                                .config = source(member(c, "config"), "tokenizer_config.json"),
                                .map = source(member(c, "map"), "special_tokens_map.json"),
                                .added = source(member(c, "added"), "added_tokens.json")};
  st = nb_tokenizer_from_files(&f, t, &err);
fail:
  nb_text_free(&json);
  return st;
}

static bool same_ids(const nb_ids *ids, const cJSON *want) {
  size_t i = 0;
  for (const cJSON *c = want->child; c; c = c->next, i++)
    if (i >= ids->n || ids->id[i] != (int32_t)c->valuedouble) return false;
  return i == ids->n;
}

static void check_case(const cJSON *c, int n, const cJSON *texts, const nb_tokenizer *t) {
  nb_ids ids = {0};
  nb_text text = {0};
  int k = 0;
  for (const cJSON *s = texts->child, *want = nb_json_get(c, "ids")->child; s && want;
       s = s->next, want = want->next, k++)
    for (int add = 0; add < 2; add++) {
      ids.n = 0;
      CHECK_OK(
          nb_tokenizer_encode(t, s->valuestring, strlen(s->valuestring), add ? NB_ENCODE_ADD_SPECIAL : 0, &ids, &err));
      CHECK_MSG(same_ids(&ids, add ? want->child->next : want->child),
                "case %d, text %d, %s: other ids than transformers", n, k, add ? "with the template" : "alone");
    }
  int named = 0;
  for (const cJSON *name = nb_json_get(c, "names")->child; name; name = name->next, named++)
    CHECK_MSG(nb_tokenizer_named(t, name->string) == (int32_t)name->valuedouble, "case %d: %s is %d", n, name->string,
              nb_tokenizer_named(t, name->string));
  int32_t id;
  CHECK_MSG(nb_tokenizer_name(t, (size_t)named, &id) == NULL, "case %d: more names than in transformers", n);
  ids.n = 0;
  for (int32_t i = 0; (size_t)i < nb_tokenizer_n_vocab(t); i++) CHECK_OK(nb_ids_push(&ids, i, &err));
  for (int skip = 0; skip < 2; skip++) {
    const cJSON *want = nb_json_get(c, "all")->child;
    nb_text_clear(&text);
    CHECK_OK(nb_tokenizer_decode(t, ids.id, ids.n, skip, &text, &err));
    if (skip) want = want->next;
    CHECK_MSG(!strcmp(text.s, want->valuestring), "case %d: all tokens are \"%s\" instead of \"%s\"", n, text.s,
              want->valuestring);
  }
  nb_ids_free(&ids);
  nb_text_free(&text);
}

TEST(settings) {
  char *bytes;
  size_t n;
  cJSON *root = NULL;
  int k = 0;
  CHECK_OK(nb_mapfile_read("tests/golden/tokenizer_settings.json", 1 << 24, &bytes, &n, &err));
  CHECK_OK(nb_json_parse(bytes, n, "tokenizer_settings.json", &root, &err));
  for (const cJSON *c = nb_json_get(root, "cases")->child; c; c = c->next, k++) {
    nb_tokenizer *t[2] = {0};
    nb_text saved = {0};
    nb_status st = read_case(c, member(root, "base"), &t[0]);
    CHECK_MSG(st == NB_OK, "case %d: %s", k, err.msg);
    if (st != NB_OK) continue;
    CHECK_OK(nb_tokenizer_save(t[0], &saved, &err));
    CHECK_OK(nb_tokenizer_load(saved.s, saved.n, &t[1], &err));
    for (int i = 0; i < 2; i++) {
      check_case(c, k, nb_json_get(root, "texts"), t[i]);
      nb_tokenizer_free(t[i]);
    }
    nb_text_free(&saved);
  }
  CHECK(k >= 130);
  cJSON_Delete(root);
  free(bytes);
}

static const char small[] = "{\"model\":{\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}";

TEST(bad_settings) {
  static const struct {
    const char *config, *map, *added, *says;
  } bad[] = {{"[]", NULL, NULL, "tokenizer_config.json: it is no JSON object"},
             {"{\"bos_token\":7}", NULL, NULL, "tokenizer_config.json: bos_token is neither a text nor a token"},
             {"{\"bos_token\":{\"text\":\"x\"}}", NULL, NULL, "content"},
             {"{\"added_tokens_decoder\":[1]}", NULL, NULL, "added_tokens_decoder is no object"},
             {"{\"added_tokens_decoder\":{\"x\":{}}}", NULL, NULL, "the key \"x\", which is no id"},
             {"{\"added_tokens_decoder\":{\"5\":{\"content\":\"z\",\"rstrip\":1}}}", NULL, NULL, "rstrip"},
             {"{\"extra_special_tokens\":[5]}", NULL, NULL, "extra_special_tokens is neither"},
             {"{\"split_special_tokens\":true}", NULL, NULL, "split_special_tokens is not supported"},
             {NULL, "{\"pad_token\":[]}", NULL, "special_tokens_map.json: pad_token is neither"},
             {NULL, NULL, "{\"x\":-1}", "added_tokens.json"},
             {NULL, NULL, "{", "added_tokens.json:1:"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nb_tokenizer *t;
    const nb_tokenizer_files f = {.json = source(small, "tokenizer.json"),
                                  .config = source(bad[i].config, "tokenizer_config.json"),
                                  .map = source(bad[i].map, "special_tokens_map.json"),
                                  .added = source(bad[i].added, "added_tokens.json")};
    nb_status st = nb_tokenizer_from_files(&f, &t, &err);
    CHECK_MSG(st != NB_OK && strstr(err.msg, bad[i].says), "%zu: %s", i, st == NB_OK ? "accepted" : err.msg);
    CHECK(t == NULL);
  }
}

/* Whether a text has begun: with the begin token's text, with the end token's where there is none. */
TEST(begun) {
  static const char model[] = "{\"model\":{\"vocab\":{\"a\":0,\"</s>\":1,\"<s>\":2},\"merges\":[]}}";
  static const struct {
    const char *config, *text;
    bool begun;
  } cases[] = {
      {"{\"bos_token\":\"<s>\"}", "<s>a", true},   {"{\"bos_token\":\"<s>\"}", "<s>", true},
      {"{\"bos_token\":\"<s>\"}", "a<s>", false},  {"{\"bos_token\":\"<s>\"}", "<s", false},
      {"{\"bos_token\":\"<s>\"}", "", false},      {"{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\"}", "</s>a", false},
      {"{\"eos_token\":\"</s>\"}", "</s>a", true}, {"{}", "<s>a", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    nb_tokenizer *t;
    const nb_tokenizer_files f = {.json = source(model, "tokenizer.json"), .config = source(cases[i].config, "c")};
    CHECK_OK(nb_tokenizer_from_files(&f, &t, &err));
    CHECK_MSG(nb_tokenizer_begun(t, cases[i].text, strlen(cases[i].text)) == cases[i].begun, "%zu", i);
    nb_tokenizer_free(t);
  }
}

/* ---- tiktoken ---- */

static const char digits64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* A file with as many lines as cl100k_base has: every byte, then pairs of bytes. Line `skip` (from 1) is left out, and
 * `instead` stands in place of line 300. */
static nb_text make_ranks(size_t skip, const char *instead) {
  nb_text out = {0};
  for (unsigned i = 0; i < 100256; i++) {
    unsigned a = i < 256 ? i : (i - 256) / 256 % 256, b = i < 256 ? 0 : i % 256, c = i < 256 + 65536 ? 0 : 'x';
    unsigned n = i < 256 ? 1 : c ? 3 : 2, v = a << 16 | b << 8 | c;
    char line[32];
    snprintf(line, sizeof line, "%c%c%c%c %u\n", digits64[v >> 18], digits64[v >> 12 & 63],
             n > 1 ? digits64[v >> 6 & 63] : '=', n > 2 ? digits64[v & 63] : '=', i);
    if (i + 1 == 300 && instead) snprintf(line, sizeof line, "%s\n", instead);
    if (i + 1 != skip && nb_text_append_str(&out, line, &err) != NB_OK) exit(1);
  }
  return out;
}

static nb_status read_ranks(const nb_text *text, const char *config, nb_tokenizer **t) {
  const nb_tokenizer_files f = {.tiktoken = {text->s, text->n, "ranks"}, .config = source(config, "config")};
  return nb_tokenizer_from_files(&f, t, &err);
}

TEST(tiktoken) {
  nb_tokenizer *t;
  nb_ids ids = {0};
  nb_text ranks = make_ranks(0, NULL), text = {0};
  CHECK_OK(read_ranks(&ranks, NULL, &t));
  CHECK(nb_tokenizer_n_vocab(t) == 100352 && nb_tokenizer_n_model(t) == 100256);
  CHECK(nb_tokenizer_bos(t) == 100257 && nb_tokenizer_eos(t) == 100257);
  CHECK(nb_tokenizer_token_id(t, "<|end|>") == 100266 && nb_tokenizer_token_id(t, "<|dummy_id_86|>") == 100351);
  CHECK(nb_tokenizer_token_id(t, "<|dummy_id_2|>") == 100256 && nb_tokenizer_token_id(t, "<|dummy_id_12|>") == 100277);
  CHECK(strstr(nb_tokenizer_chat_template(t), "'<|assistant|>\\n'") != NULL);
  CHECK_OK(nb_tokenizer_encode(t, "abc<|end|>\xff", 11, NB_ENCODE_ADD_SPECIAL, &ids, &err)); /* ab before bc */
  CHECK(ids.n >= 4 && ids.id[0] == 256 + 'a' * 256 + 'b' && ids.id[1] == 'c' && ids.id[2] == 100266);
  CHECK_OK(nb_tokenizer_decode(t, ids.id, ids.n, false, &text, &err));
  CHECK_STR(text.s, "abc<|end|>\xef\xbf\xbd");
  nb_tokenizer_free(t);
  CHECK_OK(
      read_ranks(&ranks, "{\"chat_template\":\"own\",\"pad_token\":\"<|endoftext|>\",\"bos_token\":\"<|user|>\"}", &t));
  CHECK_STR(nb_tokenizer_chat_template(t), "own");
  CHECK(nb_tokenizer_named(t, "pad_token") == 100257 && nb_tokenizer_bos(t) == 100257);
  nb_tokenizer_free(t);
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_text_free(&ranks);
}

TEST(bad_tiktoken) {
  static const struct {
    size_t skip;
    const char *instead, *says;
  } bad[] = {{0, "ACs= 298", "ranks:300: the rank 298 stands on line 299 as well"},
             {0, "ACo= 299", "ranks:300: the token stands on line 299 as well"},
             {0, "AC= 299", "ranks:300: the token is not valid base64"},
             {0, "A-s= 299", "ranks:300: the token is not valid base64"},
             {0, "ACt= 299", "ranks:300: the token is not valid base64"},
             {0, "=A== 299", "ranks:300: the token is not valid base64"},
             {0, "ACs=", "ranks:300: a token in base64, a blank and its rank are expected"},
             {0, "ACs= ", "ranks:300: a token in base64"},
             {0, "ACs= x9", "ranks:300: the rank is not a number"},
             {0, "ACs= 100256", "ranks:299: the rank 299 is missing"},
             {0, "ACs= 99999999", "ranks:300: a token in base64"},
             {500, NULL, "ranks:499: the rank 499 is missing"},
             {100256, NULL, "ranks: it has 100255 tokens, but cl100k_base has 100256"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nb_tokenizer *t;
    nb_text ranks = make_ranks(bad[i].skip, bad[i].instead);
    nb_status st = read_ranks(&ranks, NULL, &t);
    CHECK_MSG(st == NB_ERR_FORMAT && strstr(err.msg, bad[i].says), "%zu: %s", i, st == NB_OK ? "accepted" : err.msg);
    CHECK(t == NULL);
    nb_text_free(&ranks);
  }
  nb_tokenizer *t;
  nb_text few = {0};
  CHECK_OK(nb_text_append_str(&few, "QQ== 0\nQg== 1\n", &err));
  CHECK(read_ranks(&few, NULL, &t) == NB_ERR_FORMAT && strstr(err.msg, "the byte 0x00 is no token"));
  nb_text_free(&few);
}

TEST(directories) {
  nb_tokenizer *t;
  CHECK(nb_tokenizer_read_dir("tests/golden/no-such-directory", &t, &err) == NB_ERR_IO);
  CHECK_STR(err.msg, "tests/golden/no-such-directory has no tokenizer.json: download it too");
  char *older = temp_subdir("older"), name[1024];
  snprintf(name, sizeof name, "%s/vocab.json", older);
  temp_write(name, "{}", 2);
  CHECK(nb_tokenizer_read_dir(older, &t, &err) == NB_ERR_IO && strstr(err.msg, "or make it of vocab.json: in Python"));
  free(older);
  nb_text ranks = make_ranks(0, NULL);
  char *dir = temp_subdir("small"), path[1024];
  snprintf(path, sizeof path, "%s/cl100k_base.tiktoken", dir);
  temp_write(path, ranks.s, ranks.n);
  CHECK_OK(nb_tokenizer_read_dir(dir, &t, &err));
  CHECK(nb_tokenizer_bos(t) == 100257);
  nb_tokenizer_free(t);
  snprintf(path, sizeof path, "%s/tokenizer.json", dir); /* which goes first */
  temp_write(path, small, sizeof small - 1);
  snprintf(path, sizeof path, "%s/special_tokens_map.json", dir);
  temp_write(path, "{\"bos_token\":\"b\"}", 17);
  CHECK_OK(nb_tokenizer_read_dir(dir, &t, &err));
  CHECK(nb_tokenizer_n_vocab(t) == 2 && nb_tokenizer_bos(t) == 1);
  nb_tokenizer_free(t);
  nb_text_free(&ranks);
  free(dir);
}

int main(void) {
  RUN(settings);
  RUN(bad_settings);
  RUN(begun);
  RUN(tiktoken);
  RUN(bad_tiktoken);
  RUN(directories);
  temp_remove();
  return test_end();
}
