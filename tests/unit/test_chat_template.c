/* SPDX-License-Identifier: MIT */
/* Chat templates against what transformers renders (tests/golden/make_chat_goldens.py), and hostile ones. */
#include "text/chat_template.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "test.h"

#include "tests/golden/chat_goldens.inc"

static nb_err err;

static nb_status render(const char *text, const nb_chat_message *m, size_t n, bool prompt, nb_text *out) {
  static const nb_chat_token tokens[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  nb_chat_options o = {.add_generation_prompt = prompt, .token = tokens, .n_tokens = 2};
  nb_text_clear(out);
  return nb_chat_render(text, strlen(text), m, n, &o, out, &err);
}

TEST(models) {
  nb_text out = {0};
  for (size_t i = 0; i < sizeof chat_goldens / sizeof *chat_goldens; i++)
    for (size_t c = 0; c < sizeof n_chat_messages / sizeof *n_chat_messages; c++)
      for (int prompt = 0; prompt < 2; prompt++) {
        const chat_golden *g = &chat_goldens[i];
        const char *want = g->want[c][prompt];
        nb_status st = render(g->text, chat_messages[c], n_chat_messages[c], prompt, &out);
        if (!want) CHECK_MSG(st == NB_ERR_FORMAT, "%s: conversation %zu should be refused", g->name, c);
        else if (st != NB_OK) CHECK_MSG(0, "%s: conversation %zu: %s", g->name, c, err.msg);
        else CHECK_MSG(!strcmp(out.s, want), "%s: conversation %zu:\n%s\ninstead of\n%s", g->name, c, out.s, want);
      }
  nb_text_free(&out);
}

/* Features one by one, and drawn expressions, against Jinja (tests/golden/make_jinja_goldens.py). What Jinja renders
 * may be refused only where `refused` says so; what it refuses must be refused. */
TEST(features) {
  static const nb_chat_message m[] = {{"system", "You are terse."},
                                      {"user", "  2+2?\n"},
                                      {"assistant", "four & <five>"},
                                      {"user", "Stra\xc3\x9f"
                                               "e 'x' \"y\" \xf0\x9f\x98\x80"}};
  static const nb_chat_token tokens[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  static const char *const refused[] = {"10 ** 20", "9223372036854775807 + 1",
                                        "9223372036854775807 }}", /* whole numbers of more than 64 bits */
                                        "'abc'|attr('upper')"};
  const nb_chat_options o = {.add_generation_prompt = true, .token = tokens, .n_tokens = 2, .now = 1720000000};
  const char *path = getenv("NB_JINJA_GOLDENS");
  char *bytes;
  size_t n;
  int k = 0;
  cJSON *root = NULL;
  nb_text out = {0};
  CHECK_OK(nb_mapfile_read(path ? path : "tests/golden/jinja.json", 1 << 26, &bytes, &n, &err));
  CHECK_OK(nb_json_parse(bytes, n, "jinja.json", &root, &err));
  for (const cJSON *c = root->child; c; c = c->next, k++) {
    const char *text = c->child->valuestring, *want = cJSON_GetStringValue(c->child->next);
    nb_text_clear(&out);
    nb_status st = nb_chat_render(text, strlen(text), m, 4, &o, &out, &err);
    bool may = false;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) may = may || strstr(text, refused[i]);
    /* Jinja has a text for ranges; and what it computes before it runs, it slices to nothing where later it fails */
    if (st != NB_OK) may = may || strstr(err.msg, "cannot be sliced") || strstr(err.msg, "a range has no text");
    if (st != NB_OK) CHECK_MSG(!want || may, "%s: %s", text, err.msg);
    else CHECK_MSG(want && !strcmp(out.s, want), "%s:\n%s\ninstead of\n%s", text, out.s, want ? want : "an error");
  }
  CHECK(k >= 900 || path);
  cJSON_Delete(root);
  free(bytes);
  nb_text_free(&out);
}

TEST(errors) {
  static const struct {
    const char *text, *says;
  } bad[] = {{"{% for m in messages %}", "line 1: the template ends before"},
             {"a\n{% include 'x' %}", "line 2: this statement is not supported: at \"include"},
             {"{{ messages|foo }}", "filter \"foo\" is not supported"},
             {"{{ 'a'.foo() }}", "method foo() of string is not supported"},
             {"{{ foo('x') }}", "function 'foo' is not supported"},
             {"{{ 1 is foo }}", "test \"foo\""},
             {"{{ 1 + 'a' }}", "operator + cannot take int and string"},
             {"{{ missing.attribute }}", "'missing' is undefined"},
             {"{{ 1 / 0 }}", "division by zero"},
             {"{{ raise_exception('no ' + 'way') }}", "line 1: no way"},
             {"{{ 'abc }}", "string does not end"},
             {"{# abc", "comment does not end"},
             {"{{ 1 2 }}", "expected the end of the tag at \"2"},
             {"{{ 9999999999999999999 }}", "too large"},
             {"{{ 9223372036854775 * 1000000 }}", "too large"},
             {"{% set a.b = 1 %}", "only be set on a namespace"},
             {"{% for i in 5 %}{% endfor %}", "int cannot be iterated"},
             {"{{ 'a' < 1 }}", "have no order"},
             {"\xff", "not valid text"}};
  nb_text out = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    nb_status st = render(bad[i].text, chat_messages[0], 1, true, &out);
    CHECK_MSG(st != NB_OK && strstr(err.msg, bad[i].says), "%s: %s", bad[i].text, st == NB_OK ? out.s : err.msg);
    CHECK(out.n == 0);
  }
  nb_text_free(&out);
}

/* A text of `n` times `a`, then m, then n times b. */
static char *nest(const char *a, const char *m, const char *b, size_t n) {
  char *s = malloc(n * (strlen(a) + strlen(b)) + strlen(m) + 1), *p = s;
  for (size_t i = 0; i < n; i++) p = stpcpy(p, a);
  p = stpcpy(p, m);
  for (size_t i = 0; i < n; i++) p = stpcpy(p, b);
  return s;
}

TEST(bounds) {
  nb_text out = {0};
  char *deep[] = {nest("(", "1", ")", 100000),
                  nest("{% if 1 %}", "x", "{% endif %}", 100000),
                  nest("-", "1", "", 100000),
                  nest("not ", "1", "", 100000),
                  nest("[", "", "]", 100000),
                  nest("{{ 1", "", "+1", 100000),
                  nest("{% if 0 %}{% elif 0 %}", "", "", 100000),
                  nest("x.", "x", "", 100000)};
  for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
    char *s = malloc(strlen(deep[i]) + 20);
    sprintf(s, "%s%s%s", deep[i][0] == '{' ? "" : "{{ ", deep[i], deep[i][1] == '%' ? "" : " }}");
    CHECK_MSG(render(s, chat_messages[0], 1, true, &out) == NB_ERR_FORMAT, "nested text %zu was accepted", i);
    free(s);
    free(deep[i]);
  }
  static const char *const costly[] = {
      "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
      "{{ 'x' * 1000000000000 }}",
      "{% for i in range(99999) %}{{ 'x' * 10000 }}{% endfor %}",
      "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(99999) %}{% set ns.s = ns.s + ns.s %}{% "
      "endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(99999) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l "
      "}}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ "
      "ns.l|tojson }}",
      "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
      "{% set l = range(100000)|list %}{% for i in range(100000) %}{% if -1 in l %}{% endif %}{% endfor %}",
      "{% set l = range(100000)|list %}{% for i in range(100000) %}{{ l == l }}{% endfor %}",
      "{% set l = range(100000)|map('string')|list %}{% for i in range(100000) %}{{ l|sort|first }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% for i in range(100000) %}{{ s.count('y') }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% for i in range(100000) %}{{ s|length ~ s[5] ~ (s|upper)[1] }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% for i in range(100000) %}{{ (s ~ i) == s }}{% endfor %}",
      "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{'k' ~ i: i}) %}{% endfor "
      "%}",
      "{% for i in range(99999) %}{{ '%99d' % i }}{{ 'a'.ljust(10000) }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% for i in range(100000) %}{{ s|length }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% set w = 'x' * 5000000 ~ 'y' %}{% for i in range(1000) %}{{ w in s }}{% endfor %}",
      "{% set s = 'x' * 10000000 %}{% set w = 'y' ~ 'x' * 5000000 %}{% for i in range(1000) %}{{ s.rfind(w) }}{% "
      "endfor %}",
      "{% macro f(n) %}{% call f(n) %}{{ caller() }}{% endcall %}{% endmacro %}{{ f(1) }}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{{ 9 ** 99999999 }}",
      "{{ range(999999999) }}"};
  char *sets = malloc(200000 * 24 + 1), *p = sets; /* that many variables, looked for one after the other */
  for (int i = 0; i < 200000; i++) p += sprintf(p, "{%% set v%d = 1 %%}", i);
  CHECK(render(sets, chat_messages[0], 1, true, &out) == NB_ERR_FORMAT && strstr(err.msg, "steps of work"));
  free(sets);
  for (size_t i = 0; i < sizeof costly / sizeof *costly; i++)
    CHECK_MSG(render(costly[i], chat_messages[0], 1, true, &out) == NB_ERR_FORMAT, "%s was accepted", costly[i]);
  nb_text_free(&out);
}

/* Every prefix of a template, and every template with one byte changed, ends in text or in an error. */
TEST(damage) {
  nb_text out = {0};
  for (size_t i = 0; i < sizeof chat_goldens / sizeof *chat_goldens; i++) {
    char *s = strdup(chat_goldens[i].text);
    size_t n = strlen(s);
    for (size_t k = 0; k < n; k += 3) {
      char c = s[k];
      s[k] = "{}%-'\"()[].,|x0"[(k * 7 + i) % 15];
      (void)render(s, chat_messages[1], 4, true, &out);
      s[k] = 0;
      (void)render(s, chat_messages[1], 4, true, &out);
      s[k] = c;
    }
    free(s);
  }
  nb_text_free(&out);
}

TEST(date) {
  nb_text out = {0};
  nb_chat_options o = {.now = 1720000000};
  const char *text = "{{ strftime_now('%d %b %Y') }}";
  CHECK_OK(nb_chat_render(text, strlen(text), NULL, 0, &o, &out, &err));
  CHECK_STR(out.s, "03 Jul 2024");
  nb_text_free(&out);
}

int main(void) {
  RUN(models);
  RUN(features);
  RUN(errors);
  RUN(bounds);
  RUN(damage);
  RUN(date);
  return test_end();
}
