/* SPDX-License-Identifier: MIT */
/* A run's result: hashes, sums. Its JSON: result_json.c. */
#include "eval/result.h"

#include "base/little.h"
#include "eval/names.h"

#include <stdio.h>
#include <stdlib.h>

const char *const nb_overlong_words[] = {"fail", "wrong", "truncate", NULL};
const char *const nb_fit_words[] = {"whole", "cut", "not", NULL};

void nb_result_free(nb_result *r) {
  free(r->row);
  nb_pool_free(&r->pool);
  *r = (nb_result){0};
}

/* ---- hashes ---- */

static void hex(XXH128_hash_t h, char out[NB_HASH_TEXT]) {
  snprintf(out, NB_HASH_TEXT, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

size_t nb_result_calibrated_on(const nb_result *r) {
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) n += r->row[i].calibrated_on;
  return n;
}

size_t nb_result_approximate(const nb_result *r) {
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) n += r->row[i].answer.written && r->row[i].answer.written->approximate;
  return n;
}

double nb_result_score(const nb_result *r) {
  nb_scores s = {0};
  for (size_t i = 0; i < r->n; i++) {
    nb_grade g;
    nb_grade_answer(&r->row[i].item, &r->row[i].answer, r->protocol.ties_wrong, &g);
    nb_scores_add(&s, &g);
  }
  return nb_scores_sum(&s, r->protocol.metric) / (double)s.n;
}

void nb_result_prompts_hash(const nb_result *r, char out[NB_HASH_TEXT]) {
  XXH128_hash_t h = {0, 0};
  for (size_t i = 0; i < r->n; i++) { /* a chain: each row's hash with what came before */
    unsigned char b[24];
    uint64_t v[3] = {h.low64, h.high64, r->row[i].answer.prompt_hash};
    for (size_t k = 0; k < 3; k++) nb_little_put(b + 8 * k, v[k], 8);
    h = XXH3_128bits(b, sizeof b);
  }
  hex(h, out);
}

static void hash_string(XXH3_state_t *h, const char *s) { XXH3_128bits_update(h, s, strlen(s) + 1); }

nb_status nb_result_items_hash(const nb_item *const *items, size_t n, char out[NB_HASH_TEXT], nb_err *err) {
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a hash");
  XXH3_128bits_reset(h);
  for (size_t i = 0; i < n; i++) {
    const nb_item *it = items[i];
    hash_string(h, it->id), hash_string(h, it->subject), hash_string(h, it->question);
    for (size_t c = 0; c < it->n_choices; c++) {
      hash_string(h, it->choice[c]);
      if (it->correct) hash_string(h, it->correct[c] ? "right" : "wrong"); /* written answers have targets instead */
    }
    for (size_t k = 0; k < it->n_targets; k++) hash_string(h, it->target[k]);
    hash_string(h, "");
  }
  hex(XXH3_128bits_digest(h), out);
  XXH3_freeState(h);
  return NB_OK;
}

/* ---- sums ---- */

typedef struct groups {
  nb_names names; /* as many as there are groups */
  nb_group_scores *group;
  size_t n, cap;
} groups;

/* Adds a grade to the sums of a name. */
static nb_status add_to_group(groups *g, const char *name, const char *category, const nb_grade *grade, nb_err *err) {
  size_t number;
  NB_TRY(nb_names_number(&g->names, name, &number, err));
  if (number == g->n) {
    NB_TRY(nb_grow(&g->group, &g->cap, g->n + 1, sizeof *g->group, err));
    g->group[g->n++] = (nb_group_scores){.name = name, .category = category};
  }
  nb_scores_add(&g->group[number].scores, grade);
  return NB_OK;
}

nb_status nb_summary_make(const nb_result *r, nb_summary *out, nb_err *err) {
  groups subjects = {.n = 0}, categories = {.n = 0};
  nb_status st = NB_OK;
  *out = (nb_summary){0};
  for (size_t i = 0; i < r->n; i++) {
    const nb_row *row = &r->row[i];
    nb_grade g;
    nb_grade_answer(&row->item, &row->answer, r->protocol.ties_wrong, &g);
    nb_scores_add(&out->total, &g);
    NB_GOTO(add_to_group(&subjects, row->item.subject, row->category, &g, err));
    if (*row->category) NB_GOTO(add_to_group(&categories, row->category, "", &g, err));
  }
fail:
  out->subject = subjects.group, out->n_subjects = subjects.n;
  out->category = categories.group, out->n_categories = categories.n;
  for (size_t i = 0; i < out->n_subjects; i++)
    out->macro += nb_scores_sum(&out->subject[i].scores, r->protocol.metric) / (double)out->subject[i].scores.n /
                  (double)out->n_subjects;
  nb_names_free(&subjects.names), nb_names_free(&categories.names);
  if (st != NB_OK) nb_summary_free(out);
  return st;
}

void nb_summary_free(nb_summary *s) {
  free(s->subject), free(s->category);
  *s = (nb_summary){0};
}
