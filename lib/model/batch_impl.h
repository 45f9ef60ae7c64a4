/* SPDX-License-Identifier: MIT */
/* Inside of a batch: its state, and the pieces of a step that stand in files of their own. */
#ifndef NB_BATCH_IMPL_H
#define NB_BATCH_IMPL_H

#include "model/batch.h"

/* A beginning that sequences share: its cache is their forks' parent. */
typedef struct nb_batch_root {
  int32_t *ids; /* (n) */
  size_t n;
  nb_kv *kv;
  size_t stretch;
  bool kept;     /* of a text that is over: whole, and others may go on from a part of it */
  size_t users;  /* sequences whose caches are its forks */
  uint64_t used; /* when it was last taken, for choosing which to let go */
} nb_batch_root;

typedef struct nb_batch_sequence {
  nb_batch_request r;
  uint64_t ticket;
  int32_t *ids; /* (n of r.n_prompt + r.max_new) the prompt and what was made so far */
  size_t n;
  size_t ran;          /* tokens that the model has seen at any time: running them again is no progress */
  size_t scored;       /* the next of the prompt's tokens whose log-prob is to be told */
  nb_kv *kv;           /* NULL while it waits */
  nb_batch_root *from; /* NULL: its cache is no fork */
  size_t stretch;      /* what the keys of its prompt are turned by (nb_config_stretch) */
  nb_rng rng;
  nb_draft draft; /* guesses of what comes next; none unless it runs alone */
  size_t drafted; /* of them, those that the next pass tries: they stand in ids from n on */
  nb_draft_history history;
  bool cancelled, over;
  nb_batch_end why;
  struct nb_batch_sequence *next; /* in the queue */
} nb_batch_sequence;

/* What a segment of the batch belongs to: one of the two. */
typedef struct nb_batch_owner {
  nb_batch_sequence *q;
  nb_batch_root *r;
} nb_batch_owner;

struct nb_batch {
  nb_session *s;
  const nb_model *m;
  nb_batch_opts o;
  size_t block_bytes; /* of NB_KV_BLOCK positions, all layers and heads */
  nb_batch_sequence *head, *tail;
  size_t n_waiting;
  nb_batch_sequence **running; /* (o.most) in the order of their coming */
  size_t n_running;
  nb_batch_root **roots; /* (n_roots of most_roots) */
  size_t n_roots, most_roots;
  uint64_t tickets, clock;
  nb_segment *seg;       /* (max_tokens) */
  nb_batch_owner *owner; /* (max_tokens) */
  size_t n_segs;
  int pickers;     /* threads that choose tokens: no more than there are texts */
  float *sampled;  /* (pickers, V) a row that sampling may change */
  uint32_t *order; /* (pickers, V) for sampling */
  nb_draft_costs costs;
  nb_batch_stats stats;
};

enum { NB_BATCH_ROOTS = 16 }; /* shared beginnings held at once, beside the kept caches */

/* ---- batch_cache.c: whose cache holds what ---- */

/* With dynamic scaling each token is turned for the length at its own step. */
static inline bool nb_batch_dynamic(const nb_batch *b) { return b->m->config.rope_kind == NB_ROPE_DYNAMIC; }
/* Lets in what waits, as far as there is room. */
nb_status nb_batch_admit(nb_batch *b, nb_err *err);
/* Takes those out whose caches must go: the last to come while there is too little memory, and those that passed the
 * LongRoPE switch with a cache that is shared. They go on first. One that passed it with a cache of its own begins that
 * anew where it is: its keys must be turned otherwise. */
void nb_batch_give_way(nb_batch *b);
/* Whether the caches may grow by so many bytes. */
bool nb_batch_has_room(const nb_batch *b, size_t more);
/* The sequence is over: its cache is kept for others, or dropped. */
void nb_batch_leave_cache(nb_batch *b, nb_batch_sequence *q);
void nb_batch_root_free(nb_batch_root *r);
/* With a capacity and no request at hand: the cache that stays; NULL: nothing was run. */
nb_batch_root *nb_batch_kept(const nb_batch *b);
/* Frees that, and puts kv, which holds the tokens ids, in its place (NULL: nothing); kv is taken over also after a
 * failure. */
nb_status nb_batch_keep(nb_batch *b, nb_kv *kv, const int32_t *ids, nb_err *err);

/* ---- batch_pick.c: from the states to tokens ---- */

/* After a forward pass: log-probs of prompts and the next token of every text that is run to its end; of one with
 * guesses as many as they were right, and its cache forgets the others. */
nb_status nb_batch_pick(nb_batch *b, nb_err *err);

/* ---- batch.c: the queue ---- */

void nb_batch_push_front(nb_batch *b, nb_batch_sequence *q);
nb_batch_sequence *nb_batch_pop(nb_batch *b);

#endif
