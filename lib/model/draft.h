/* SPDX-License-Identifier: MIT */
/* Guesses of the tokens that come next, out of the text itself, and how many of them are worth a try.
 *
 * An edited or summarised text repeats its source. Where the last tokens stood in the text before, what followed them
 * then is a guess of what follows now (Saxena 2023, "Prompt Lookup Decoding"; Yang et al. 2023, arXiv 2304.04487). One
 * forward pass over several guessed tokens costs little more than over one, since both read all weights; the tokens
 * that the model itself chooses after each show how far the guess was right (Stern et al. 2018, arXiv 1811.03115;
 * Leviathan et al. 2023, arXiv 2211.17192). The text is the one that would have come anyway: a guess is kept only
 * while it is what the sampler picks with its next random number.
 *
 * Every text tells of its own, at no cost, how often such guesses are right, also while none are tried: each is
 * compared with the token that came. And passes are timed. So many guesses are tried as make the most tokens a second
 * by both, none where that is no gain. A purse of a few passes pays for what passes grow by, and right guesses fill it:
 * so they lose no more than that, and where it is empty one guess at a time is tried on paper, until that would gain.
 */
#ifndef NB_DRAFT_H
#define NB_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  NB_DRAFT_MOST = 15,  /* guessed tokens of a pass */
  NB_DRAFT_MATCH = 16, /* tokens that are compared to find where the text stood before */
  NB_DRAFT_CLASSES = 6 /* lengths of a match that are told apart: 1, 2, 3 and 4, 5 to 8, 9 to 15, all of 16 */
};

/* When guesses are tried. Always is for tests: as many as fit, however wrong. */
typedef enum nb_draft_mode { NB_DRAFT_WORTH, NB_DRAFT_NEVER, NB_DRAFT_ALWAYS } nb_draft_mode;

/* What a text has told: of every class how often the token that followed then followed again, lately. Zero at first. */
typedef struct nb_draft_history {
  double hits[NB_DRAFT_CLASSES]; /* the share of right guesses; of how many, up to a limit beyond which old ones fade */
  double seen[NB_DRAFT_CLASSES];
  size_t near; /* where the last right guess was taken from, plus 1 */
  double
      spent; /* of the purse, in passes of one token: what passes grew by less what right guesses saved; not below 0 */
} nb_draft_history;

/* What passes take. Zero at first. */
typedef struct nb_draft_costs {
  double one;                   /* seconds of a pass of one token, the lower end of what was seen lately */
  double of[NB_DRAFT_MOST + 2]; /* by tokens of a pass: its time in units of that; 0 where none was timed */
} nb_draft_costs;

/* Guesses of one pass. */
typedef struct nb_draft {
  size_t from;   /* where in the text they were taken from, and */
  size_t length; /* how many tokens before that are the last ones of the text; 0: no guesses */
  size_t paid;   /* how many of them are paid for; and what a right one brings back */
  double worth;
  int32_t ids[NB_DRAFT_MOST + 1];
} nb_draft;

/* Finds where the longest end of ids[0..n), of at most NB_DRAFT_MATCH tokens, stood before: of several places the first
 * from where the last right guess was, or the last one. What follows there, over the end where it reaches it, becomes
 * the guesses. */
void nb_draft_find(const nb_draft_history *h, const int32_t *ids, size_t n, nb_draft *out);

/* How many of the guesses, at most `most`, make the most tokens a second; 0: none, no pass was timed yet, or the purse
 * is empty. Asked once for a pass. */
size_t nb_draft_worth(nb_draft *d, nb_draft_history *h, const nb_draft_costs *c, size_t most);

/* Tells that guess i of d was right or wrong; called for i = 0, 1, ... up to the first wrong one. */
void nb_draft_learn(nb_draft_history *h, const nb_draft *d, size_t i, bool right);

/* Tells what a pass of T tokens of one text (1 <= T <= NB_DRAFT_MOST + 1) took. */
void nb_draft_timed(nb_draft_costs *c, size_t T, double seconds);

#endif
