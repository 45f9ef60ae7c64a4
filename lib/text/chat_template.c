/* SPDX-License-Identifier: MIT */
#include "text/chat_template.h"
#include "text/jinja.h"
#include "text/tokenizer_build.h"
#include "base/assert.h"
#include "base/utf8.h"

/* Jinja reads every kind of newline as \n and drops one at the end of the template. */
static nb_status take_source(jinja *j, const char *s, size_t n) {
  char *p;
  size_t k = 0;
  if (nb_utf8_valid_prefix(s, n) != n || memchr(s ? s : "", 0, n))
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it is not valid text");
  NB_TRY(nb_jinja_alloc(j, n + 1, &p));
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\r' && i + 1 < n && s[i + 1] == '\n') continue;
    p[k++] = s[i] == '\r' ? '\n' : s[i];
  }
  if (k && p[k - 1] == '\n') p[--k] = 0;
  j->src = p;
  j->n_src = k;
  return NB_OK;
}

static nb_status set(jinja *j, dict *d, const char *key, value v) {
  return nb_jinja_dict_set(j, d, nb_jinja_cstring(key), v);
}

static nb_status set_globals(jinja *j, const nb_chat_message *m, size_t n, const nb_chat_options *o) {
  value messages, one;
  NB_TRY(nb_jinja_alloc(j, sizeof *j->globals, &j->globals));
  j->scope = j->globals;
  dict *g = &j->globals->vars;
  NB_TRY(nb_jinja_new_list(j, V_LIST, &messages));
  for (size_t i = 0; i < n; i++) {
    NB_TRY(nb_jinja_dict(j, V_DICT, &one));
    NB_TRY(set(j, one.u.dict, "role", nb_jinja_cstring(m[i].role)));
    NB_TRY(set(j, one.u.dict, "content", nb_jinja_cstring(m[i].content)));
    NB_TRY(nb_jinja_list_push(j, messages.u.list, one));
    for (int k = 0; k < 2; k++) {
      const char *s = k ? m[i].content : m[i].role;
      if (nb_utf8_valid_prefix(s, strlen(s)) != strlen(s))
        return nb_fail(j->err, NB_ERR_ARG, "message %zu is not valid UTF-8", i + 1);
    }
  }
  NB_TRY(set(j, g, "messages", messages));
  NB_TRY(set(j, g, "tools", nb_jinja_none()));
  NB_TRY(set(j, g, "documents", nb_jinja_none()));
  NB_TRY(set(j, g, "add_generation_prompt", nb_jinja_bool(o->add_generation_prompt)));
  for (size_t i = 0; i < o->n_tokens; i++) NB_TRY(set(j, g, o->token[i].name, nb_jinja_cstring(o->token[i].text)));
  return NB_OK;
}

nb_status nb_chat_render(const char *template_text, size_t n_bytes, const nb_chat_message *message, size_t n_messages,
                         const nb_chat_options *options, nb_text *out, nb_err *err) {
  nb_text text = {0};
  jinja j = {.err = err, .out = &text, .now = options->now};
  j.max_work = options->max_work ? options->max_work : JINJA_MAX_WORK;
  node *body;
  nb_status st;
  NB_GOTO(take_source(&j, template_text, n_bytes));
  NB_GOTO(nb_jinja_parse(&j, &body));
  NB_GOTO(set_globals(&j, message, n_messages, options));
  j.depth = 0;
  NB_GOTO(nb_jinja_run(&j, body));
  nb_assert(j.depth == 0);
  st = nb_text_append(out, text.s, text.n, err);
fail:
  nb_text_free(&text);
  nb_jinja_free(&j);
  return st;
}

nb_status nb_chat_render_tokenizer(const nb_tokenizer *t, const nb_chat_message *message, size_t n_messages,
                                   bool add_generation_prompt, nb_text *out, nb_err *err) {
  const char *text = nb_tokenizer_chat_template(t);
  nb_chat_token token[NB_MAX_NAMED + 1];
  size_t n = 0;
  int32_t id;
  if (!*text) return nb_fail(err, NB_ERR_UNSUPPORTED, "this model has no chat template: give it plain text");
  for (; (token[n].name = nb_tokenizer_name(t, n, &id)) != NULL; n++)
    token[n].text = nb_tokenizer_token_text(t, id, NULL);
  const nb_chat_options o = {.add_generation_prompt = add_generation_prompt, .token = token, .n_tokens = n};
  return nb_chat_render(text, strlen(text), message, n_messages, &o, out, err);
}
