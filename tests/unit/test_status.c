/* SPDX-License-Identifier: MIT */
#include "base/status.h"
#include "test.h"

TEST(messages) {
  nb_err err;
  CHECK(nb_fail(&err, NB_ERR_IO, "%s: %d", "x", 7) == NB_ERR_IO);
  CHECK_STR(err.msg, "x: 7");
  CHECK(nb_fail_in(&err, NB_ERR_FORMAT, "in %s", "y") == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "in y: x: 7");
  CHECK(nb_fail(NULL, NB_ERR_IO, "x") == NB_ERR_IO && nb_fail_in(NULL, NB_ERR_IO, "x") == NB_ERR_IO);
}

TEST(cannot_steer_a_terminal) {
  nb_err err;
  nb_fail(&err, NB_ERR_FORMAT, "tensor \"%s\"\n\t\xc3\xa9", "\033[2J\r\x7f");
  CHECK_STR(err.msg, "tensor \"?[2J??\"\n\t\xc3\xa9");
  char c1[] = "a\xc2\x9b\xc2\xa0\xc2", lines[] = "b\n\t\x01"; /* U+009B begins what ESC [ does; U+00A0 is a blank */
  nb_status_printable(c1, ""), nb_status_printable(lines, "\n");
  CHECK_STR(c1, "a??\xc2\xa0\xc2");
  CHECK_STR(lines, "b\n??");
  nb_fail_in(&err, NB_ERR_FORMAT, "%s", "\b");
  CHECK_STR(err.msg, "?: tensor \"?[2J??\"\n\t\xc3\xa9");
}

TEST(long_messages_are_cut) {
  nb_err err;
  char text[2000];
  memset(text, 'a', sizeof text - 1), text[sizeof text - 1] = 0;
  nb_fail(&err, NB_ERR_IO, "%s", text);
  CHECK(strlen(err.msg) == sizeof err.msg - 1);
  nb_fail_in(&err, NB_ERR_IO, "prefix");
  CHECK(strlen(err.msg) == sizeof err.msg - 1 && !strncmp(err.msg, "prefix: aaa", 11));
  nb_fail_in(&err, NB_ERR_IO, "%s", text);
  CHECK(strlen(err.msg) == sizeof err.msg - 1);
}

TEST(exit_codes) {
  CHECK(nb_status_exit_code(NB_OK) == 0 && nb_status_exit_code(NB_ERR_IO) == 1 && nb_status_exit_code(NB_ERR_ARG) == 2);
  CHECK(nb_status_exit_code(NB_ERR_GATE) == 3 && nb_status_exit_code(NB_ERR_NUMERIC) == 1);
}

int main(void) {
  RUN(messages);
  RUN(cannot_steer_a_terminal);
  RUN(long_messages_are_cut);
  RUN(exit_codes);
  return test_end();
}
