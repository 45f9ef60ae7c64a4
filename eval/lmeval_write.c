/* SPDX-License-Identifier: MIT */
/* Samples as lm-evaluation-harness writes them with --log_samples. */
#include "base/sha256.h"
#include "eval/lmeval.h"
#include "formats/outfile.h"

#include <stdio.h>
#include <stdlib.h>

/* Appends JSON as Python's json.dumps(indent=2, ensure_ascii=False) has it, whose hash stands for a document. */
static nb_status dump(const cJSON *v, size_t depth, nb_text *out, nb_err *err) {
  bool object = cJSON_IsObject(v);
  if ((!object && !cJSON_IsArray(v)) || !v->child) {
    char *s = cJSON_PrintUnformatted(v);
    nb_status st = s ? nb_text_append_str(out, s, err) : nb_fail(err, NB_ERR_MEMORY, "out of memory");
    free(s);
    return st;
  }
  NB_TRY(nb_text_append_str(out, object ? "{" : "[", err));
  for (const cJSON *e = v->child; e; e = e->next) {
    NB_TRY(nb_text_append_str(out, e == v->child ? "\n" : ",\n", err));
    for (size_t i = 0; i <= depth; i++) NB_TRY(nb_text_append_str(out, "  ", err));
    if (object) {
      cJSON key = {.type = cJSON_String, .valuestring = e->string};
      NB_TRY(dump(&key, 0, out, err));
      NB_TRY(nb_text_append_str(out, ": ", err));
    }
    NB_TRY(dump(e, depth + 1, out, err));
  }
  NB_TRY(nb_text_append_str(out, "\n", err));
  for (size_t i = 0; i < depth; i++) NB_TRY(nb_text_append_str(out, "  ", err));
  return nb_text_append_str(out, object ? "}" : "]", err);
}

static void put_hash(nb_jsonout *j, const char *key, const char *s, size_t n) {
  char hex[65];
  nb_sha256_hex(s ? s : "", n, hex);
  nb_jsonout_string(j, key, hex);
}

/* Of a text that is written: the prompt, and how it was to be written. */
static void put_written_arguments(nb_jsonout *j, const nb_task *t, const nb_prompt *p) {
  nb_jsonout_open(j, "arguments", '{');
  nb_jsonout_open(j, "gen_args_0", '{');
  nb_jsonout_string(j, "arg_0", p->context[0].s ? p->context[0].s : "");
  nb_jsonout_open(j, "arg_1", '{');
  nb_jsonout_open(j, "until", '[');
  for (size_t i = 0; i < t->n_stop; i++) nb_jsonout_string(j, NULL, t->stop[i]);
  nb_jsonout_close(j, ']');
  nb_jsonout_bool(j, "do_sample", t->temperature > 0);
  nb_jsonout_double(j, "temperature", t->temperature);
  nb_jsonout_u64(j, "max_gen_toks", t->max_tokens);
  for (size_t i = 0; i < 3; i++) nb_jsonout_close(j, '}');
}

/* The texts, what a rule found in them, and its mark: a sample for each rule ("filter"), as there. */
static void put_mark(nb_jsonout *j, const nb_protocol *p, const nb_written *w, size_t mark) {
  nb_jsonout_open(j, "resps", '[');
  nb_jsonout_open(j, NULL, '[');
  for (size_t i = 0; i < w->n; i++) nb_jsonout_string(j, NULL, w->text[i]);
  nb_jsonout_close(j, ']');
  nb_jsonout_close(j, ']');
  nb_jsonout_open(j, "filtered_resps", '[');
  nb_jsonout_string(j, NULL, w->found[mark]);
  nb_jsonout_close(j, ']');
  nb_jsonout_string(j, "filter", p->marks[mark]);
  nb_jsonout_open(j, "metrics", '[');
  nb_jsonout_string(j, NULL, "exact_match");
  nb_jsonout_close(j, ']');
  nb_jsonout_double(j, "exact_match", w->weight[mark] > 0 ? w->value[mark] / w->weight[mark] : 0);
}

/* "arguments" */
static void put_arguments(nb_jsonout *j, const nb_prompt *p) {
  nb_jsonout_open(j, "arguments", '{');
  for (size_t c = 0; c < p->n; c++) {
    char key[32];
    snprintf(key, sizeof key, "gen_args_%zu", c);
    nb_jsonout_open(j, key, '{');
    const char *context = nb_prompt_context(p, c)->s;
    nb_jsonout_string(j, "arg_0", context ? context : "");
    nb_jsonout_string(j, "arg_1", p->continuation[c].s);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, '}');
}

/* A list of pairs of log-prob and whether it is the greedy continuation, as texts; `resps` has each in a list more. */
static void put_responses(nb_jsonout *j, const char *key, const nb_row *row, bool wrapped) {
  nb_jsonout_open(j, key, '[');
  for (size_t c = 0; c < row->item.n_choices; c++) {
    char text[40];
    snprintf(text, sizeof text, "%.17g", row->answer.logprob[c]);
    if (wrapped) nb_jsonout_open(j, NULL, '[');
    nb_jsonout_open(j, NULL, '[');
    nb_jsonout_string(j, NULL, text);
    nb_jsonout_string(j, NULL, "None");
    nb_jsonout_close(j, ']');
    if (wrapped) nb_jsonout_close(j, ']');
  }
  nb_jsonout_close(j, ']');
}

static void put_metrics(nb_jsonout *j, const nb_protocol *p, const nb_row *row) {
  nb_grade g;
  nb_grade_answer(&row->item, &row->answer, p->ties_wrong, &g);
  bool lengths = p->score != NB_SCORE_LETTER && p->metric != NB_METRIC_MASS;
  nb_jsonout_open(j, "metrics", '[');
  nb_jsonout_string(j, NULL, "acc");
  if (lengths) nb_jsonout_string(j, NULL, "acc_norm"), nb_jsonout_string(j, NULL, "acc_bytes");
  nb_jsonout_close(j, ']');
  nb_jsonout_double(j, "acc", p->metric == NB_METRIC_MASS ? g.mass : g.acc);
  if (lengths) nb_jsonout_double(j, "acc_norm", g.acc_norm), nb_jsonout_double(j, "acc_bytes", g.acc_bytes);
}

/* mark: of a written answer, which rule's sample it is. */
static nb_status write_sample(const nb_evaluation *e, const nb_result *r, size_t i, size_t mark, nb_text *out,
                              nb_err *err) {
  const nb_row *row = &r->row[i];
  nb_prompt p;
  nb_text doc = {0};
  char number[24];
  const nb_written *written = row->answer.written;
  const char *target = written ? row->item.n_targets ? row->item.target[0] : "" : number;
  nb_status st;
  NB_TRY(nb_prompt_build(&e->prompter, &row->item, row->answer.shots, &p, err));
  snprintf(number, sizeof number, "%zu", row->item.answer);
  /* The document stands in front, since it is JSON already. */
  NB_GOTO(dump(row->item.row, 0, &doc, err));
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_u64(&j, "doc_id", i);
  NB_GOTO(j.st);
  NB_GOTO(nb_text_append_str(out, ", \"doc\": ", err));
  char *compact = cJSON_PrintUnformatted(row->item.row);
  st = compact ? nb_text_append_str(out, compact, err) : nb_fail(err, NB_ERR_MEMORY, "out of memory");
  free(compact);
  if (st != NB_OK) goto fail;
  nb_jsonout_string(&j, "target", target);
  if (written) {
    put_written_arguments(&j, &e->task, &p);
    put_mark(&j, &r->protocol, written, mark);
  } else {
    put_arguments(&j, &p);
    put_responses(&j, "resps", row, true);
    put_responses(&j, "filtered_resps", row, false);
    nb_jsonout_string(&j, "filter", "none");
  }
  put_hash(&j, "doc_hash", doc.s, doc.n);
  put_hash(&j, "prompt_hash", p.context[0].s, p.context[0].n);
  put_hash(&j, "target_hash", target, strlen(target));
  if (!written) put_metrics(&j, &r->protocol, row);
  nb_jsonout_close(&j, '}');
  NB_GOTO(j.st);
  st = nb_text_append_str(out, "\n", err);
fail:
  nb_text_free(&doc);
  nb_prompt_free(&p);
  return st;
}

nb_status nb_lmeval_write(const nb_evaluation *e, const nb_result *r, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < r->n; i++)
    for (size_t k = 0; k < nb_max(1, r->protocol.n_marks); k++) NB_TRY(write_sample(e, r, i, k, out, err));
  return NB_OK;
}

nb_status nb_lmeval_save(const nb_evaluation *e, const nb_result *r, const char *path, nb_err *err) {
  nb_text text = {0};
  nb_status st = nb_lmeval_write(e, r, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}
