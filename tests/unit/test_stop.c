/* SPDX-License-Identifier: MIT */
/* Stop strings: texts end before them however tokens cut them, and what is shown early is never taken back. */
#include "test.h"

#include "formats/tokenizer_json.h"
#include "text/stop.h"

static nb_err err;
static nb_tokenizer *tok;

/* Feeds a text token by token; *fed: tokens until it ended. The text that was safe must begin the text that comes out.
 */
static nb_text run(const char *text, const char *const *stop, size_t n, size_t *fed, bool *ended) {
  nb_ids ids = {0};
  nb_stop s;
  nb_text safe = {0}, out = {0};
  *fed = 0;
  CHECK(nb_tokenizer_encode(tok, text, strlen(text), 0, &ids, &err) == NB_OK);
  CHECK(nb_stop_begin(tok, stop, n, &s, &err) == NB_OK);
  for (size_t i = 0; i < ids.n && !s.ended; i++, ++*fed) {
    CHECK(nb_stop_token(&s, ids.id[i], &err) == NB_OK);
    CHECK(s.safe >= safe.n && !memcmp(s.text.s, safe.s ? safe.s : "", safe.n));
    nb_text_clear(&safe);
    CHECK(nb_text_append(&safe, s.text.s, s.safe, &err) == NB_OK);
  }
  CHECK(nb_stop_finish(&s, &err) == NB_OK);
  CHECK(s.safe == s.text.n && s.text.n >= safe.n && !memcmp(s.text.s, safe.s, safe.n));
  CHECK(nb_text_append(&out, s.text.s, s.text.n, &err) == NB_OK);
  *ended = s.ended;
  nb_stop_free(&s), nb_ids_free(&ids), nb_text_free(&safe);
  return out;
}

TEST(texts_end_before_stop_strings) {
  static const struct {
    const char *text, *stop[3];
    size_t n;
    const char *want;
    bool ended;
  } cases[] = {{"one two three four", {"three"}, 1, "one two ", true},
               {"one two three four", {"four", "two"}, 2, "one ", true},
               {"one two three four", {"five"}, 1, "one two three four", false},
               {"ab abc abcd", {"abcd"}, 1, "ab abc ", true},
               {"ab abc abc", {"abcd"}, 1, "ab abc abc", false},
               {"so Q: what", {"Q:", "\n\n"}, 2, "so ", true},
               {"plain", {NULL}, 0, "plain", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t fed;
    bool ended;
    nb_text t = run(cases[i].text, cases[i].stop, cases[i].n, &fed, &ended);
    CHECK_STR(t.s, cases[i].want);
    CHECK(ended == cases[i].ended);
    nb_text_free(&t);
  }
}

TEST(the_text_ends_as_soon_as_it_can) {
  const char *stop[] = {"bc"};
  size_t fed, all;
  bool ended;
  nb_text t = run("a bc de fg hi jk", stop, 1, &fed, &ended), whole = run("a bc de fg hi jk", stop, 0, &all, &ended);
  CHECK(fed < all);
  nb_text_free(&t), nb_text_free(&whole);
}

int main(void) {
  if (nb_tokenizer_read_dir("data/demo", &tok, &err) != NB_OK) printf("%s\n", err.msg);
  if (!tok) return 1;
  RUN(texts_end_before_stop_strings);
  RUN(the_text_ends_as_soon_as_it_can);
  nb_tokenizer_free(tok);
  return test_end();
}
