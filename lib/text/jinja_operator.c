/* SPDX-License-Identifier: MIT */
/* The operators of chat templates, as Python's. */
#include "text/jinja.h"

#include <math.h>

static int64_t floor_mod(int64_t a, int64_t b) {
  int64_t r = b == -1 ? 0 : a % b;
  return r && (r < 0) != (b < 0) ? r + b : r;
}

static bool needs_escape(value v) {
  for (size_t i = 0; i < v.n; i++)
    if (v.u.s[i] && strchr("&<>'\"", v.u.s[i])) return true;
  return false;
}

static nb_status concat(jinja *j, unsigned line, value a, value b, value *out) {
  char *s;
  if (a.safe != b.safe && needs_escape(a.safe ? b : a))
    return nb_jinja_fail(j, line, "joining text that went through `safe` to other text, which Jinja escapes");
  NB_TRY(nb_jinja_alloc(j, a.n + b.n + 1, &s));
  if (a.n) memcpy(s, a.u.s, a.n);
  if (b.n) memcpy(s + a.n, b.u.s, b.n);
  *out = nb_jinja_string(s, a.n + b.n);
  out->safe = a.safe || b.safe;
  return NB_OK;
}

static nb_status repeat(jinja *j, unsigned line, value s, int64_t n, value *out) {
  size_t total;
  char *p;
  if (n < 0) n = 0;
  if (!nb_mul(s.n, (size_t)n, &total) || total > JINJA_MAX_OUTPUT)
    return nb_jinja_fail(j, line, "a string is repeated too often");
  NB_TRY(nb_jinja_alloc(j, total + 1, &p));
  for (size_t i = 0; i < total; i++) p[i] = s.u.s[i % s.n];
  *out = nb_jinja_string(p, total);
  return NB_OK;
}

static nb_status repeat_list(jinja *j, unsigned line, value l, int64_t n, value *out) {
  NB_TRY(nb_jinja_new_list(j, l.type, out));
  if (n > 0 && l.u.list->n && (size_t)n > JINJA_MAX_OUTPUT / l.u.list->n)
    return nb_jinja_fail(j, line, "a list is repeated too often");
  for (int64_t k = 0; k < n; k++)
    for (size_t i = 0; i < l.u.list->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, l.u.list->v[i]));
  return NB_OK;
}

static nb_status int_binary(jinja *j, unsigned line, char op, int64_t a, int64_t b, value *out) {
  int64_t r = 0;
  bool bad = false;
  if (strchr("/f%", op) && b == 0) return nb_jinja_fail(j, line, "division by zero");
  switch (op) {
  case '+': bad = __builtin_add_overflow(a, b, &r); break;
  case '-': bad = __builtin_sub_overflow(a, b, &r); break;
  case '*': bad = __builtin_mul_overflow(a, b, &r); break;
  case '%': r = floor_mod(a, b); break;
  case 'f':
    bad = a == INT64_MIN && b == -1;
    if (!bad) r = a / b - (a % b && (a < 0) != (b < 0));
    break;
  case 'p': /* a non-negative power of two factors at a time */
    if (b < 0 && a == 0) return nb_jinja_fail(j, line, "0 cannot be raised to a negative power");
    if (b < 0) return *out = (value){V_FLOAT, 0, {.f = pow((double)a, (double)b)}, false}, NB_OK;
    r = 1;
    for (int64_t x = a; b && !bad; b >>= 1) {
      if (b & 1) bad = __builtin_mul_overflow(r, x, &r);
      if (b > 1 && !bad) bad = __builtin_mul_overflow(x, x, &x);
    }
    break;
  default: return *out = (value){V_FLOAT, 0, {.f = (double)a / (double)b}, false}, NB_OK;
  }
  if (bad) return nb_jinja_fail(j, line, "a number becomes too large");
  *out = nb_jinja_int(r);
  return NB_OK;
}

static nb_status float_binary(jinja *j, unsigned line, char op, double x, double y, value *out) {
  double r;
  if (strchr("/f%", op) && y == 0) return nb_jinja_fail(j, line, "division by zero");
  if (op == 'p' && x < 0 && y != floor(y)) return nb_jinja_fail(j, line, "a negative number to a broken power");
  switch (op) {
  case '+': r = x + y; break;
  case '-': r = x - y; break;
  case '*': r = x * y; break;
  case '/': r = x / y; break;
  case 'p': r = pow(x, y); break;
  default: /* as Python's float_divmod */
    r = fmod(x, y);
    double q = (x - r) / y;
    if (r != 0 ? (y < 0) != (r < 0) : false) r += y, q -= 1;
    if (r == 0) r = copysign(0, y);
    if (op == 'f') r = q != 0 ? floor(q) + (q - floor(q) > 0.5 ? 1 : 0) : copysign(0, x / y);
  }
  *out = (value){V_FLOAT, 0, {.f = r}, false};
  return NB_OK;
}

nb_status nb_jinja_binary(jinja *j, unsigned line, char op, value a, value b, value *out) {
  if (op == '~') {
    NB_TRY(nb_jinja_to_string(j, a, &a));
    NB_TRY(nb_jinja_to_string(j, b, &b));
    return concat(j, line, a, b, out);
  }
  if (nb_jinja_is_int(a) && nb_jinja_is_int(b)) return int_binary(j, line, op, a.u.i, b.u.i, out);
  if (nb_jinja_is_number(a) && nb_jinja_is_number(b))
    return float_binary(j, line, op, nb_jinja_double(a), nb_jinja_double(b), out);
  bool a_list = a.type == V_LIST || a.type == V_TUPLE, b_list = b.type == V_LIST || b.type == V_TUPLE;
  if (op == '+' && a.type == V_STRING && b.type == V_STRING) return concat(j, line, a, b, out);
  if (op == '%' && a.type == V_STRING && !a.safe) return nb_jinja_format(j, line, a, b, out);
  if (op == '*' && a.type == V_STRING && nb_jinja_is_int(b)) return repeat(j, line, a, b.u.i, out);
  if (op == '*' && nb_jinja_is_int(a) && b.type == V_STRING) return repeat(j, line, b, a.u.i, out);
  if (op == '*' && a_list && nb_jinja_is_int(b)) return repeat_list(j, line, a, b.u.i, out);
  if (op == '*' && nb_jinja_is_int(a) && b_list) return repeat_list(j, line, b, a.u.i, out);
  if (op == '+' && a_list && a.type == b.type) {
    const list x = *a.u.list, y = *b.u.list; /* `out` may be one of them */
    NB_TRY(nb_jinja_new_list(j, a.type, out));
    for (size_t i = 0; i < x.n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, x.v[i]));
    for (size_t i = 0; i < y.n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, y.v[i]));
    return NB_OK;
  }
  NB_TRY(nb_jinja_undefined_fails(j, line, a));
  NB_TRY(nb_jinja_undefined_fails(j, line, b));
  return nb_jinja_fail(j, line, "the operator %s cannot take %s and %s",
                       op == 'f'   ? "//"
                       : op == 'p' ? "**"
                                   : (char[]){op, 0},
                       nb_jinja_type_name(a), nb_jinja_type_name(b));
}

nb_status nb_jinja_compare(jinja *j, unsigned line, char op, value a, value b, bool *out) {
  int c;
  switch (op) {
  case '=': return nb_jinja_equal(j, a, b, out);
  case 'i': return nb_jinja_contains(j, line, a, b, out);
  case '!':
  case 'n':
    NB_TRY(op == '!' ? nb_jinja_equal(j, a, b, out) : nb_jinja_contains(j, line, a, b, out));
    *out = !*out;
    return NB_OK;
  default: break;
  }
  NB_TRY(nb_jinja_order(j, line, a, b, &c));
  bool nan = nb_jinja_is_number(a) && (isnan(nb_jinja_double(a)) || isnan(nb_jinja_double(b)));
  *out = !nan && (op == '<' ? c < 0 : op == '>' ? c > 0 : op == 'l' ? c <= 0 : c >= 0);
  return NB_OK;
}
