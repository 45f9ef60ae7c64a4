/* SPDX-License-Identifier: MIT */
/* How fast a model runs, beside what the machine can do at most, measured in the same run. */
#ifndef NB_BENCH_H
#define NB_BENCH_H

#include "eval/limits.h"
#include "eval/memory.h"
#include "model/model.h"
#include "base/progress.h"

enum { NB_BENCH_MAX = 8 };

typedef struct nb_bench_opts {
  size_t prefill[NB_BENCH_MAX], n_prefill; /* lengths of prompts */
  size_t context[NB_BENCH_MAX], n_context; /* tokens in the cache before decoding, rising */
  size_t decode_tokens;                    /* tokens decoded at each context */
  double min_seconds;                      /* short measurements are repeated for so long; the best counts */
  nb_kv_type kv;
  const nb_progress *progress; /* counts measurements */
} nb_bench_opts;

/* One prompt, or decoding after one context. Work is multiply-adds (prompt) or bytes read (decoding), a token on
 * average. */
typedef struct nb_bench_row {
  size_t tokens;    /* of the prompt, or in the cache before decoding */
  double per_s;     /* tokens a second */
  double work;      /* of the weights: the layers' matrices; for decoding the head's, too */
  double attention; /* of attention, besides: its products, or the cache's bytes */
  nb_limit limit;   /* work a second: the better of what the machine reached right before and right after, since
                     * neighbours on it come and go */
} nb_bench_row;

/* The part of its limit that a row reached. Above 1 the measurement is at fault: the limit was higher while the row
 * ran than before and after it, or no loop reaches it. */
double nb_bench_fraction(const nb_bench_row *r, bool with_attention);
bool nb_bench_fault(const nb_bench_row *r);

typedef struct nb_bench {
  nb_bench_row prefill[NB_BENCH_MAX], decode[NB_BENCH_MAX];
  nb_limit limits[NB_PEAK_UNITS]; /* the best of all that was measured in between */
  double macs_per_token;          /* weights that a prompt's token meets: the layers' matrices */
  double bytes_per_token;         /* stored bytes of the weights that a decoded token reads: layers and head */
  double kv_bytes_per_position;
  uint64_t kv_bytes; /* of the cache when it was longest */
  nb_memory memory;  /* resident, the most of each kind after any row */
} nb_bench;

/* Random tokens, the same for every run. The prompts' and contexts' lengths must fit the model's positions. */
nb_status nb_bench_run(nb_session *s, const nb_model *m, const nb_bench_opts *o, nb_bench *out, nb_err *err);

/* Stored bytes of a matrix. */
size_t nb_bench_linear_bytes(const nb_linear *w);

/* One kernel alone: what it reached, and of which limit. */
typedef struct nb_kernel_timing {
  char kernel[32]; /* "linear_q8 t4g64" */
  size_t tokens;   /* rows of activations; 0 where there are none */
  double seconds;  /* a call */
  double work;     /* multiply-adds, or bytes read, of a call */
  bool bytes;      /* which of the two */
  nb_limit limit;  /* of that unit: the machine's, right before and right after */
} nb_kernel_timing;

enum { NB_KERNEL_TIMINGS = 64 };

/* Times every kernel of table k on matrices of the given size, on one thread: each weight format with one token (bytes)
 * and with 512 (multiply-adds), dense weights, and attention. Fills out[*n], at most NB_KERNEL_TIMINGS. progress (may
 * be NULL) counts timings. */
nb_status nb_bench_kernels(const nb_kernels *k, size_t N, size_t K, const nb_progress *progress, nb_kernel_timing *out,
                           size_t *n, nb_err *err);

#endif
