/* SPDX-License-Identifier: MIT */
/* What a run found, in memory and as the JSON of formats/RESULT.md. */
#ifndef NB_RESULT_H
#define NB_RESULT_H

#include "eval/grade.h"
#include "formats/jsonout.h"
#include "eval/memwatch.h"

enum { NB_RESULT_VERSION = 1, NB_HASH_TEXT = 33 };

/* What was asked, to the last byte: two runs can be compared when these agree. */
typedef struct nb_protocol {
  const char *task, *preset, *split;
  size_t task_version;
  size_t shots;
  const char *examples; /* the split that they came from; "": none, or the task's own */
  nb_score_by score;
  nb_metric metric;
  bool ties_wrong;
  bool plain;           /* no BOS by template */
  nb_overlong overlong; /* what happened to questions longer than the model takes */
  const char *subjects; /* "" or the list asked for */
  nb_chat chat;         /* whether prompts went through the model's chat template */
  const char *system;   /* "" or what stood before all else */
  size_t n_marks;       /* of written answers: the names of their marks, the one that counts first */
  const char *marks[NB_MAX_MARKS];
  size_t limit, sample; /* 0: all */
  uint64_t seed;
  size_t shard, shards;         /* shards 0: the whole */
  size_t questions;             /* of the whole, all shards together */
  size_t stopped_at;            /* a run in random order that was looked at as it went, and ended after so many, its
                                 * verdict being certain or all being asked; 0: none */
  char data_hash[NB_HASH_TEXT]; /* XXH3-128 of the questions asked, whatever file they came from */
} nb_protocol;

/* What a reader calls what is counted: the metric, or the first mark of written answers. */
static inline const char *nb_protocol_metric(const nb_protocol *p) {
  return p->n_marks ? p->marks[0] : nb_metric_name(p->metric);
}

/* Whether a run in random order ended before all was asked; how many questions it left. */
static inline size_t nb_protocol_unasked(const nb_protocol *p) {
  return p->stopped_at && p->stopped_at < p->questions ? p->questions - p->stopped_at : 0;
}
static inline bool nb_protocol_stopped_early(const nb_protocol *p) { return nb_protocol_unasked(p) > 0; }

typedef struct nb_model_facts {
  const char *name; /* the path as given */
  const char *architecture;
  char hash[NB_HASH_TEXT];    /* of its weights: XXH3-128 */
  char lineage[NB_HASH_TEXT]; /* of the checkpoint that it was made from; its own when it is one; "" unknown */
  uint64_t file_bytes, weight_bytes;
  double bits;    /* of the file, a weight that is stored in it; 0 unknown */
  const char *kv; /* type of the cache */
} nb_model_facts;

/* What depends on the machine and the moment: not part of what is compared. */
typedef struct nb_measured {
  const char *cpu, *kernels, *version, *system;
  int threads;
  double seconds, prompt_seconds;
  uint64_t tokens, tokens_alone;
  uint64_t from_journal; /* questions answered before the run was resumed: seconds and tokens are of the rest */
  nb_memory_watch memory;
  uint64_t kv_bytes, session_bytes;
  uint64_t new_tokens, steps, most_running, gave_way; /* of written answers; steps 0: choices were scored */
  double model_seconds;
} nb_measured;

typedef struct nb_row {
  nb_item item; /* id, subject, choices' number, correct, answer; question and choice only where `texts` */
  nb_answer answer;
  const char *category;
  bool calibrated_on; /* the model's calibration text has ten words in a row of it (overlap.h) */
} nb_row;

typedef struct nb_result {
  nb_protocol protocol;
  nb_model_facts model;
  nb_measured measured;
  bool has_measured;
  bool texts;  /* the rows have their question and choices */
  nb_row *row; /* (n) in the set's order */
  size_t n;
  nb_pool pool; /* what was read from a file lives here */
} nb_result;

/* What files call the values of nb_overlong and nb_fit; each list ends with NULL. */
extern const char *const nb_overlong_words[], *const nb_fit_words[];

void nb_result_free(nb_result *r);

/* The mean of the metric. */
double nb_result_score(const nb_result *r);
/* Rows that the model was calibrated on. */
size_t nb_result_calibrated_on(const nb_result *r);
/* Written answers whose marks are approximate (nb_written). */
size_t nb_result_approximate(const nb_result *r);
/* XXH3-128 of the rows' prompts, as hex. */
void nb_result_prompts_hash(const nb_result *r, char out[NB_HASH_TEXT]);
/* Of the items: id, subject, question, choices, right ones. */
nb_status nb_result_items_hash(const nb_item *const *items, size_t n, char out[NB_HASH_TEXT], nb_err *err);

/* Appends the JSON. Everything in front of "measured" is the same bytes for the same questions and answers. */
nb_status nb_result_write(const nb_result *r, nb_text *out, nb_err *err);
nb_status nb_result_save(const nb_result *r, const char *path, nb_err *err);

/* Members of it, for other files: "model", "measured", and sums under any key (category: NULL or "": none). */
void nb_result_write_model(nb_jsonout *j, const nb_model_facts *m);
void nb_result_write_measured(nb_jsonout *j, const nb_measured *m);
void nb_result_write_scores(nb_jsonout *j, const char *key, const char *category, const nb_scores *s,
                            const nb_protocol *p);

/* Reads and checks: NB_ERR_FORMAT names what is wrong (a log-prob that is no number, an id that comes twice, an answer
 * outside the choices, hashes that do not fit the rows). */
nb_status nb_result_parse(const char *json, size_t n, const char *file, nb_result *out, nb_err *err);
nb_status nb_result_load(const char *path, nb_result *out, nb_err *err);

/* ---- sums ---- */

typedef struct nb_group_scores {
  const char *name;     /* subject or category */
  const char *category; /* of a subject */
  nb_scores scores;
} nb_group_scores;

typedef struct nb_summary {
  nb_scores total;
  nb_group_scores *subject, *category; /* in the order of first appearance */
  size_t n_subjects, n_categories;
  double macro; /* mean of the subjects' metric */
} nb_summary;

nb_status nb_summary_make(const nb_result *r, nb_summary *out, nb_err *err);
void nb_summary_free(nb_summary *s);

#endif
