/* SPDX-License-Identifier: MIT */
/* Which instruction sets the processor and the operating system offer. */
#ifndef NB_CPU_H
#define NB_CPU_H

#include "base/status.h"

enum {
  NB_CPU_AVX2 = 1,       /* AVX2, FMA and F16C */
  NB_CPU_AVXVNNI = 2,    /* with AVX2 */
  NB_CPU_AVX512VNNI = 4, /* with AVX-512 F, BW, VL and DQ */
  NB_CPU_NEON = 8,
  NB_CPU_DOTPROD = 16,
  NB_CPU_I8MM = 32,
  NB_CPU_SIMD128 = 64,  /* of WebAssembly */
  NB_CPU_AMXINT8 = 128, /* AMX tiles of int8, with AVX-512 VNNI; where the system lets this process use them */
  NB_CPU_AVX512 = 256   /* AVX-512 F, BW, VL and DQ */
};

/* The features of this machine. On x86 also what XGETBV says that the system saves. */
unsigned nb_cpu_detect(void);

/* Narrows `features` by a --cpu argument: "native" (all), "ref" (none), or a set's name ("avx2",
 * "avx512vnni", "neon_dotprod", ...), which keeps that set and those below it. NB_ERR_ARG for an unknown name
 * (with the list), NB_ERR_UNSUPPORTED for one that the machine lacks. It can only remove features. */
nb_status nb_cpu_mask(const char *arg, unsigned *features, nb_err *err);

/* The processor's name for reports ("AMD EPYC 9B14", "unknown"), 128 bytes at most. */
void nb_cpu_name(char out[128]);

#endif
