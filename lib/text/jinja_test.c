/* SPDX-License-Identifier: MIT */
/* The tests of chat templates: `x is NAME(...)`, and by name in select and its like. */
#include "text/jinja.h"

#include <math.h>

/* Names of one test, in one line, and what it compares. */
static const struct {
  const char *names;
  char op;
} comparisons[] = {{" eq equalto == ", '='},    {" ne != ", '!'}, {" lt lessthan < ", '<'},
                   {" gt greaterthan > ", '>'}, {" le <= ", 'l'}, {" ge >= ", 'g'}};

static bool is_one_of(const char *name, const char *names) {
  size_t n = strlen(name);
  for (const char *p = strstr(names, name); p; p = strstr(p + 1, name))
    if (p[-1] == ' ' && p[n] == ' ') return true;
  return false;
}

static nb_status compare(jinja *j, unsigned line, char op, value v, value x, bool *out) {
  int c = 0;
  if (op == '=' || op == '!') {
    NB_TRY(nb_jinja_equal(j, v, x, out));
    return *out = *out == (op == '='), NB_OK;
  }
  NB_TRY(nb_jinja_order(j, line, v, x, &c));
  *out = op == '<' ? c < 0 : op == '>' ? c > 0 : op == 'l' ? c <= 0 : c >= 0;
  return NB_OK;
}

static bool same_object(value v, value x) {
  if (v.type != x.type) return false;
  if (v.type == V_NONE) return true;
  if (v.type == V_FLOAT) return v.u.f == x.u.f;
  if (v.type == V_STRING) return v.n == x.n && (!v.n || !memcmp(v.u.s, x.u.s, v.n));
  return v.u.i == x.u.i;
}

/* Whether all cased characters are of one case, and there is one. */
static nb_status is_case(jinja *j, unsigned line, value v, bool upper, bool *out) {
  bool known;
  value r;
  const arguments none = {0};
  NB_TRY(nb_jinja_to_string(j, v, &v));
  NB_TRY(nb_jinja_string_method(j, line, v, upper ? "isupper" : "islower", &none, &known, &r));
  *out = nb_jinja_true(r);
  return NB_OK;
}

/* Tests without arguments; *known is false for other names. */
static nb_status simple(jinja *j, unsigned line, value v, const char *name, bool *known, bool *out) {
  const value_type t = v.type;
  const bool sequence = t == V_STRING || t == V_LIST || t == V_TUPLE || t == V_RANGE || t == V_DICT || t == V_UNDEFINED;
  const struct {
    const char *name;
    bool yes;
  } all[] = {{"defined", t != V_UNDEFINED},
             {"undefined", t == V_UNDEFINED},
             {"none", t == V_NONE},
             {"string", t == V_STRING},
             {"mapping", t == V_DICT},
             {"iterable", sequence || t == V_VIEW || t == V_GENERATOR || t == V_LOOP},
             {"sequence", sequence},
             {"number", nb_jinja_is_number(v)},
             {"integer", t == V_INT},
             {"float", t == V_FLOAT},
             {"boolean", t == V_BOOL},
             {"true", t == V_BOOL && v.u.i},
             {"false", t == V_BOOL && !v.u.i},
             {"callable",
              t == V_MACRO || t == V_FUNCTION || t == V_METHOD || t == V_JOINER || t == V_LOOP || t == V_UNDEFINED},
             {"escaped", v.safe}};
  *known = true;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!strcmp(name, all[i].name)) return *out = all[i].yes, NB_OK;
  if (!strcmp(name, "upper") || !strcmp(name, "lower")) return is_case(j, line, v, *name == 'u', out);
  if (!strcmp(name, "even") || !strcmp(name, "odd")) {
    NB_TRY(nb_jinja_undefined_fails(j, line, v));
    if (!nb_jinja_is_number(v))
      return nb_jinja_fail(j, line, "the test \"%s\" of %s is not supported", name, nb_jinja_type_name(v));
    double r = v.type == V_FLOAT ? fmod(v.u.f, 2) : (double)(v.u.i & 1);
    return *out = (r < 0 ? r + 2 : r) == (*name == 'o' ? 1 : 0), NB_OK;
  }
  return *known = false, NB_OK;
}

nb_status nb_jinja_test(jinja *j, unsigned line, value v, const char *name, const arguments *a, bool *out) {
  value x = nb_jinja_none();
  bool known;
  NB_TRY(nb_jinja_work(j, 1));
  NB_TRY(simple(j, line, v, name, &known, out));
  if (known) return nb_jinja_bind(j, line, name, a, "", 0, &x);
  for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
    if (is_one_of(name, comparisons[i].names)) {
      NB_TRY(nb_jinja_bind(j, line, name, a, "other", 1, &x));
      return compare(j, line, comparisons[i].op, v, x, out);
    }
  if (!strcmp(name, "in")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "seq", 1, &x));
    return nb_jinja_contains(j, line, v, x, out);
  }
  if (!strcmp(name, "sameas")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "other", 1, &x));
    return *out = same_object(v, x), NB_OK;
  }
  if (!strcmp(name, "divisibleby")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "num", 1, &x));
    if (!nb_jinja_is_number(v) || !nb_jinja_is_number(x) || nb_jinja_double(x) == 0)
      return nb_jinja_fail(j, line, "divisibleby needs numbers, the second not 0");
    if (v.type == V_FLOAT || x.type == V_FLOAT) return *out = fmod(nb_jinja_double(v), nb_jinja_double(x)) == 0, NB_OK;
    return *out = x.u.i == -1 || v.u.i % x.u.i == 0, NB_OK;
  }
  return nb_jinja_fail(j, line, "the test \"%s\" is not supported", name);
}
