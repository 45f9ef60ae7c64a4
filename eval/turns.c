/* SPDX-License-Identifier: MIT */
#include "eval/turns.h"

#include "eval/strings.h"
#include "text/chat_template.h"

const char *const nb_chat_words[] = {"no", "single", "multiturn", NULL};

nb_status nb_turns_add(nb_turns *t, bool assistant, const char *delimiter, nb_text **text, nb_err *err) {
  NB_TRY(nb_grow(&t->turn, &t->cap, t->n + 1, sizeof *t->turn, err));
  t->turn[t->n] = (nb_turn){.assistant = assistant, .delimiter = delimiter};
  *text = &t->turn[t->n++].text;
  return nb_text_append(*text, "", 0, err);
}

void nb_turns_drop(nb_turns *t) {
  if (t->n) nb_text_free(&t->turn[--t->n].text);
}

void nb_turns_free(nb_turns *t) {
  while (t->n) nb_turns_drop(t);
  free(t->turn);
  nb_text_free(&t->system);
  *t = (nb_turns){0};
}

static bool blank_at(const nb_text *t, size_t i) { return t->s[i] == ' ' || (t->s[i] >= '\t' && t->s[i] <= '\r'); }

/* The system text of form and turns together. */
static nb_status whole_system(const nb_turns *t, const nb_turns_form *f, const char *separator, nb_text *out,
                              nb_err *err) {
  NB_TRY(nb_text_append_str(out, f->system ? f->system : "", err));
  if (out->n && t->system.n && !blank_at(out, out->n - 1) && !blank_at(&t->system, 0))
    NB_TRY(nb_text_append_str(out, separator, err));
  return nb_text_append(out, t->system.s, t->system.n, err);
}

/* The turns' texts from `first` on, without the last one's delimiter. */
static nb_status join(const nb_turns *t, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < t->n; i++) {
    NB_TRY(nb_text_append(out, t->turn[i].text.s, t->turn[i].text.n, err));
    if (i + 1 < t->n) NB_TRY(nb_text_append_str(out, t->turn[i].delimiter, err));
  }
  return nb_text_append(out, "", 0, err);
}

static nb_status render_messages(const nb_turns_form *f, const nb_chat_message *m, size_t n, nb_text *out,
                                 nb_err *err) {
  if (f->tokenizer) return nb_chat_render_tokenizer(f->tokenizer, m, n, true, out, err);
  const nb_chat_token token[] = {{"bos_token", f->bos ? f->bos : ""}, {"eos_token", f->eos ? f->eos : ""}};
  const nb_chat_options o = {.add_generation_prompt = true, .token = token, .n_tokens = 2};
  return nb_chat_render(f->chat_template, strlen(f->chat_template), m, n, &o, out, err);
}

static nb_status render_chat(const nb_turns *t, const nb_turns_form *f, const nb_text *system, nb_text *out,
                             nb_err *err) {
  nb_chat_message *m = NULL;
  nb_text one = {0};
  size_t n = 0, before = out->n;
  nb_status st;
  NB_GOTO(nb_new(&m, t->n + 1, sizeof *m, "messages", err));
  if (system->n) m[n++] = (nb_chat_message){"system", system->s};
  if (f->chat == NB_CHAT_SINGLE) {
    NB_GOTO(join(t, &one, err));
    m[n++] = (nb_chat_message){"user", one.s};
  } else {
    for (size_t i = 0; i < t->n; i++)
      m[n++] = (nb_chat_message){t->turn[i].assistant ? "assistant" : "user", t->turn[i].text.s};
  }
  st = render_messages(f, m, n, out, err);
  if (st != NB_OK && system->n) {
    out->n = before;
    st = render_messages(f, m + 1, n - 1, out, err);
  }
fail:
  nb_free(m);
  nb_text_free(&one);
  return st;
}

nb_status nb_turns_render(nb_turns *t, const nb_turns_form *f, const char *separator, nb_text *out, nb_err *err) {
  nb_text system = {0};
  nb_status st;
  NB_GOTO(whole_system(t, f, separator, &system, err));
  if (f->chat == NB_CHAT_NO) {
    NB_GOTO(nb_text_append(out, system.s, system.n, err));
    st = join(t, out, err);
  } else if (f->tokenizer ? !*nb_tokenizer_chat_template(f->tokenizer) : !f->chat_template) {
    st = nb_fail(err, NB_ERR_ARG, "the model's tokenizer has no chat template; run without --chat");
  } else {
    st = render_chat(t, f, &system, out, err);
  }
fail:
  nb_text_free(&system);
  return st;
}
