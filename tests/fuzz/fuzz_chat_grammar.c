/* SPDX-License-Identifier: MIT */
/* Chat templates that are written as templates are, with every statement, filter, test and method. */
#include "text/chat_template.h"
#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define WAYS(name, ...) static const char *const name[] = {__VA_ARGS__}
#define RULE(letter, name)                                                                                             \
  { letter, name, sizeof name / sizeof *name }

WAYS(bodies, "x", "{{ `E }}`B", "{% if `E %}`B{% elif `E %}`B{% else %}`B{% endif %}",
     "{% for x in `E %}{{ loop.`L }}`B{% endfor %}", "{% for x, y in `E.items() if `E %}`B{% else %}`B{% endfor %}",
     "{% set x = `E %}`B", "{% set ns = namespace(a=`E) %}`B{% set ns.a = `E %}{{ ns.a }}",
     "{% set y | `F %}`B{% endset %}`B", "{% macro f(x, y=`E) %}`B{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(`E) }}",
     "{% macro g(x) %}{{ caller(x, `E) }}{% endmacro %}{% call(x, y) g(`E) %}`B{% endcall %}",
     "{% filter `F %}`B{% endfilter %}", "{% with x = `E, y = x %}`B{% endwith %}", "{% raw %}{{ `B }}{% endraw %}",
     "{%- for m in messages -%}\n  {{- m.`A }}`B{% break %}\n{% endfor %}",
     "{% for x in `E recursive %}{{ loop(`E) }}{% endfor %}", "{% generation %}`B{% endgeneration %}", "{# `E #}`B\n",
     "{{ f(`E) }}{{ f(*`E, **`E) }}", "{% set x, (y, z) = `E %}");
WAYS(exprs, "x", "`V", "`V", "`E|`F", "`E|`F", "`E is `T", "`E.`M", "`E.`A", "`E[`E]", "`E[`E:`E:`E]", "(`E `O `E)",
     "`E `O `E", "`E if `E else `E", "not `E", "-`E", "[`E, `E]", "(`E, `E)", "{`E: `E, `V: `E}", "`E ~ `E",
     "f(`E, y=`E)", "range(`E)", "`E % (`E, `E)", "dict(a=`E)", "joiner(`E)()", "cycler(`E, `E).next()",
     "namespace(x=`E).x");
WAYS(values, "x", "y", "messages", "1", "0", "-1", "2.5", "1e300", "9223372036854775807", "'a b,c'", "''",
     "'\xc3\xa9\xf0\x9f\x98\x80\xc3\x9f'", "none", "true", "[3, 1, 2]", "{'a': 1, 'b': [2]}", "[{'a': 1}, {'a': 'x'}]",
     "bos_token", "missing", "'%s %d %5.2f %%'", "'{} {0} {x}'", "ns", "loop", "x.y", "'x' * 300", "range(40)");
WAYS(filters, "upper", "lower", "title", "capitalize", "trim", "trim(`E)", "length", "first", "last", "list", "string",
     "int", "int(`E, 16)", "float", "abs", "round(`E)", "round(1, 'floor')", "join(`E)", "join(',', attribute=`E)",
     "sort", "sort(reverse=`E, attribute=`E)", "dictsort(by='value')", "groupby(`E)", "unique|list", "min",
     "max(attribute='a')", "sum(attribute='a')", "batch(`E, `E)|list", "slice(2, `E)|list", "reverse",
     "map(attribute=`E, default=`E)|list", "map('`F')|list", "select('`T')|list", "reject|list",
     "selectattr('a', 'eq', `E)|list", "rejectattr('a')", "default(`E, `E)", "replace(`E, `E)",
     "indent(`E, true, true)", "truncate(`E, `E)", "wordcount", "center(`E)", "format(`E, `E)", "format(x=`E)",
     "tojson(indent=`E, sort_keys=true)", "tojson(ensure_ascii=true)", "items|list", "safe", "attr('a')", "count",
     "nonesuch");
WAYS(tests, "defined", "undefined", "none", "not none", "string", "number", "mapping", "sequence", "iterable",
     "callable", "true", "odd", "even", "divisibleby(`E)", "eq `V", "ne(`E)", "lt `V", "ge(`E)", "in(`E)", "sameas(`E)",
     "upper", "lower", "boolean", "nonesuch");
WAYS(methods, "upper()", "split(`E)", "split(`E, `E)", "rsplit(',', 1)", "splitlines(`E)", "strip(`E)", "lstrip()",
     "partition(`E)", "replace(`E, `E, `E)", "startswith(`E)", "removeprefix(`E)", "join(`E)", "find(`E)", "rfind(`E)",
     "count(`E)", "index(`E)", "ljust(`E, 'x')", "zfill(`E)", "format(`E, x=`E)", "title()", "capitalize()",
     "swapcase()", "isalpha()", "istitle()", "items()", "keys()", "values()", "get(`E, `E)", "copy()", "append(`E)",
     "cycle(`E)", "changed(`E)", "lower()");
WAYS(attributes, "role", "content", "a", "items", "upper", "grouper", "list", "name", "current", "__class__");
WAYS(loops, "index", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "cycle(1, 2)",
     "changed(x)");
WAYS(operators, "+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", ">=", "in", "not in", "and", "or");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const grammar_rule rules[] = {RULE('B', bodies),     RULE('E', exprs), RULE('V', values),
                                       RULE('F', filters),    RULE('T', tests), RULE('M', methods),
                                       RULE('A', attributes), RULE('L', loops), RULE('O', operators)};
  static const nb_chat_message m[] = {{"system", " be brief\n"}, {"user", "Hi <|end|> \xc3\xa9"}, {"assistant", ""}};
  static const nb_chat_token tokens[] = {{"bos_token", "<s>"}};
  const nb_chat_options o = {.token = tokens, .n_tokens = 1, .now = 1720000000, .max_work = 20000};
  grammar g = {rules, sizeof rules / sizeof *rules, data, n, 0};
  nb_text text = {0}, out = {0};
  for (int i = 0; i < 4; i++) grammar_expand(&g, 'B', &text);
  nb_status st = nb_chat_render(text.s, text.n, m, 3, &o, &out, NULL);
  if (st != NB_OK && st != NB_ERR_FORMAT) abort();
  nb_text_free(&text);
  nb_text_free(&out);
  return 0;
}
