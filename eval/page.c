/* SPDX-License-Identifier: MIT */
#include "eval/page.h"

static const char mark[] = "@DATA@";

static nb_status fill(const nb_page *p, const char *json, size_t n, nb_text *out, nb_err *err) {
  size_t at = 0, m = sizeof mark - 1;
  while (at + m < p->n && memcmp(p->text + at, mark, m)) at++;
  NB_TRY(nb_text_append(out, (const char *)p->text, at, err));
  for (size_t i = 0; i < n; i++)
    NB_TRY(json[i] == '<' ? nb_text_append_str(out, "\\u003c", err) : nb_text_append(out, &json[i], 1, err));
  return nb_text_append(out, (const char *)p->text + at + m, p->n - at - m, err);
}

nb_status nb_page_fill(const char *name, const char *json, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < nb_n_pages; i++)
    if (!strcmp(nb_pages[i].name, name)) return fill(&nb_pages[i], json, n, out, err);
  return nb_fail(err, NB_ERR_ARG, "there is no page %s", name);
}
