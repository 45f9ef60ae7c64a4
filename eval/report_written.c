/* SPDX-License-Identifier: MIT */
#include "eval/report_written.h"

#include "eval/item.h"
#include "eval/written.h"

enum { MOST = 2000 };

/* A run's side of a question. The prompt is written once, for both. */
static void write_side(nb_jsonout *j, const char *key, const nb_row *row) {
  nb_written w = *row->answer.written;
  w.prompt = NULL;
  nb_jsonout_open(j, key, '{');
  nb_written_write(j, &w);
  nb_jsonout_close(j, '}');
}

static void write_question(nb_jsonout *j, const char *verdict, const nb_row *base, const nb_row *cand) {
  const nb_row *text = cand->item.question && *cand->item.question ? cand : base ? base : cand;
  const char *prompt = cand->answer.written->prompt;
  if (!prompt && base) prompt = base->answer.written->prompt;
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", cand->item.id);
  nb_jsonout_string(j, "subject", cand->item.subject);
  nb_jsonout_string(j, "verdict", verdict);
  if (base) write_side(j, "base", base);
  write_side(j, "cand", cand);
  if (text->item.question && *text->item.question) nb_item_write_texts(j, &text->item);
  if (prompt) nb_jsonout_string(j, "prompt", prompt);
  nb_jsonout_close(j, '}');
}

static bool is_right(const nb_row *r) {
  const nb_written *w = r->answer.written;
  return 2 * w->value[0] >= w->weight[0];
}

void nb_report_written(nb_jsonout *j, const nb_result *run, const nb_comparison *c) {
  size_t n = c ? c->n : run->n, left = MOST;
  nb_jsonout_u64(j, "texts_in_all", n);
  nb_jsonout_open(j, "texts", '[');
  for (int interesting = 1; interesting >= 0; interesting--)
    for (size_t i = 0; i < n && left; i++) {
      const nb_row *base = c ? c->pair[i].base : NULL, *cand = c ? c->pair[i].cand : &run->row[i];
      bool is = is_right(cand), was = base ? is_right(base) : is;
      if ((base ? was != is : !is) != interesting) continue;
      write_question(j, was == is ? is ? "right" : "wrong" : is ? "gained" : "lost", base, cand);
      left--;
    }
  nb_jsonout_close(j, ']');
}
