/* SPDX-License-Identifier: MIT */
/* Products of large float matrices over threads: the kernels' gemm in tiles. Its bits do not depend on the tiles. */
#ifndef NB_MATMUL_H
#define NB_MATMUL_H

#include "kernels/kernels.h"

/* What products need. */
typedef struct nb_matmul {
  nb_kernels k;
  int threads;
  float *scratch; /* NB_GEMM_SCRATCH bytes a thread */
} nb_matmul;

nb_status nb_matmul_create(const nb_kernels *k, int threads, nb_matmul *m, nb_err *err);
void nb_matmul_free(nb_matmul *m);

/* A product by one thread, whose number is given, within an nb_parallel_for of at most m->threads threads. */
void nb_matmul_one(const nb_matmul *m, int thread, const nb_gemm *g);
/* A product by all threads. */
void nb_matmul_all(const nb_matmul *m, const nb_gemm *g);
/* The same of a square c, of which only the lower triangle is meant; some of what is above it may be written too. */
void nb_matmul_lower(const nb_matmul *m, const nb_gemm *g);

/* In how large ranges n rows are best given to the threads. */
size_t nb_matmul_share(const nb_matmul *m, size_t n);

#endif
