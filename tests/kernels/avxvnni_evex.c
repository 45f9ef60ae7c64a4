/* SPDX-License-Identifier: MIT */
/* AVX-VNNI's kernels with vpdpbusd in AVX-512's encoding, so that machines with AVX-512 alone can test them. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("avx2,fma,f16c,avx512f,avx512vl,avx512vnni")
#define nb_kernels_avxvnni nb_kernels_avxvnni_evex
#include "lib/kernels/avxvnni.c"
#else
typedef int nothing_here;
#endif
