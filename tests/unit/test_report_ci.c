/* SPDX-License-Identifier: MIT */
/* What CI reads holds what its format can, whatever bytes names and texts are. */
#include "test.h"

#include "eval/report.h"

static nb_err err;

static nb_item item = {.id = "q", .subject = "s", .n_choices = 2, .correct = (bool[2]){true, false}};

/* A judgement on a run of one question with one gate. */
static nb_judgement judge(nb_result *r, nb_row *row, const char *model, const char *text, nb_verdict v) {
  *row = (nb_row){item, {.logprob = {-1, -2}, .chars = {1, 1}, .bytes = {1, 1}}, "", false};
  *r = (nb_result){.row = row, .n = 1, .model.name = model};
  r->protocol = (nb_protocol){.task = "a|b", .preset = "", .split = "test", .subjects = "", .questions = 1};
  nb_judgement j = {.run = r, .n = 1, .verdict = v};
  j.gate[0] = (nb_gate_result){.name = "margin", .verdict = v};
  snprintf(j.gate[0].text, sizeof j.gate[0].text, "%s", text);
  return j;
}

TEST(xml_holds_only_its_characters) {
  nb_result r;
  nb_row row;
  nb_text t = {0};
  nb_judgement j = judge(&r, &row, "a\xff<b>\xef\xbf\xbe\xef\xbf\xbf\x01\xed\xa0\x80&\"z\xc3\xa9\xf0\x9f\x98\x80",
                         "over \"1 %\" & <2>", NB_VERDICT_FAIL);
  CHECK_OK(nb_report_junit(&j, 1, &t, &err));
  /* One replacement for 0xff, one each for U+FFFE and U+FFFF, three for the bytes of a surrogate. */
  CHECK_MSG(strstr(t.s, "<testsuite name=\"a\xef\xbf\xbd&lt;b&gt;\xef\xbf\xbd\xef\xbf\xbd "
                        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&amp;&quot;"
                        "z\xc3\xa9\xf0\x9f\x98\x80\""),
            "%s", t.s);
  CHECK(strstr(t.s, "classname=\"nibble.a|b\" name=\"margin\""));
  CHECK(strstr(t.s, "<failure message=\"over &quot;1 %&quot; &amp; &lt;2&gt;\" type=\"fail\"/>"));
  CHECK(strstr(t.s, "<testsuites tests=\"1\" failures=\"1\" errors=\"0\">"));
  nb_text_free(&t);
}

TEST(a_verdict_is_a_test) {
  nb_result r;
  nb_row row;
  nb_text t = {0};
  nb_judgement j[2] = {judge(&r, &row, "m", "fine", NB_VERDICT_PASS),
                       judge(&r, &row, "m", "who knows", NB_VERDICT_UNDECIDED)};
  CHECK_OK(nb_report_junit(j, 2, &t, &err));
  CHECK(strstr(t.s, "<testsuites tests=\"2\" failures=\"0\" errors=\"1\">"));
  CHECK(strstr(t.s, "<system-out>fine</system-out>") &&
        strstr(t.s, "<error message=\"who knows\" type=\"undecided\"/>"));
  nb_text_free(&t);
}

TEST(markdown_is_no_markup) {
  nb_result r;
  nb_row row;
  nb_text t = {0};
  nb_judgement j = judge(&r, &row, "[x](y)|*_`<b>\nz", "ok", NB_VERDICT_PASS);
  CHECK_OK(nb_report_markdown(&j, 1, &t, &err));
  CHECK_MSG(strstr(t.s, "\\[x](y)\\|\\*\\_\\`&lt;b> z: a\\|b, 0 shots, 1 questions.\n"), "%s", t.s);
  CHECK(!strncmp(t.s, "## nibble: PASS\n", 16) && strstr(t.s, "| margin | PASS | ok |"));
  nb_text_free(&t);
}

/* An annotation is one line; what is in it begins no other. */
TEST(annotations_are_lines) {
  nb_result r;
  nb_row row;
  nb_text t = {0};
  nb_judgement j = judge(&r, &row, "m\n::error::x", "50 %\r\n::warning::y", NB_VERDICT_FAIL);
  CHECK_OK(nb_report_github(&j, 1, &t, &err));
  CHECK_MSG(!strcmp(t.s, "::error title=nibble margin fail::50 %25  ::warning::y\n"
                         "::notice title=nibble fail::m ::error::x: acc 100.00 %25 on 1 questions\n"),
            "%s", t.s);
  nb_text_free(&t);
}

int main(void) {
  RUN(xml_holds_only_its_characters);
  RUN(a_verdict_is_a_test);
  RUN(markdown_is_no_markup);
  RUN(annotations_are_lines);
  return test_end();
}
