/* SPDX-License-Identifier: MIT */
/* A verdict that may be looked at after every question. Two tests by betting (Waudby-Smith and Ramdas 2024): one
 * against "accuracy fell by the margin or more", one against "it fell by the margin or less". Each is a capital that
 * starts at 1 and, where its hypothesis holds, grows with an expectation of at most 1; that it ever reaches 1 / alpha
 * has then a chance of at most alpha (Ville 1939), whenever one stops. The capital is spread over bets of several
 * sizes. Questions must come in random order. */
#ifndef NB_SEQUENTIAL_H
#define NB_SEQUENTIAL_H

#include "eval/stats.h"

enum { NB_BETS = 12 };

typedef struct nb_sequential {
  double margin, alpha;
  double pass[NB_BETS], fail[NB_BETS]; /* logarithms of the capitals */
  size_t n;
  nb_verdict verdict; /* by all that was added */
} nb_sequential;

/* 0 <= margin < 1, 0 < alpha < 1. */
void nb_sequential_begin(nb_sequential *s, double margin, double alpha);

/* Adds a question: diff is the candidate's score minus the baseline's, -1 to 1. Returns the verdict by all so far. */
nb_verdict nb_sequential_add(nb_sequential *s, double diff);

/* Begins anew with these n differences, which are sorted first: the evidence is then the same number, to the last bit,
 * in whatever order they come. */
nb_verdict nb_sequential_weigh(nb_sequential *s, double *diff, size_t n);

/* The capitals, the e-values of the two claims: 1 / alpha decides. */
double nb_sequential_pass(const nb_sequential *s);
double nb_sequential_fail(const nb_sequential *s);

/* ---- whether a mean of numbers that are not negative is above a limit ---- */

/* The same for divergences, which have no bound: a capital that bets on the mean being above the limit. Where the mean
 * is at most the limit it grows with an expectation of at most 1, whatever the distribution. */
typedef struct nb_excess {
  double limit;
  double log[NB_BETS]; /* logarithms of the capitals */
} nb_excess;

/* limit > 0. */
void nb_excess_begin(nb_excess *x, double limit);
/* value >= 0. */
void nb_excess_add(nb_excess *x, double value);
/* Begins anew with these n numbers, which are sorted first. */
void nb_excess_weigh(nb_excess *x, double *value, size_t n);
/* The evidence that the mean is above the limit: 1 / alpha decides. */
double nb_excess_evidence(const nb_excess *x);

#endif
