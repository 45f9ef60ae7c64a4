/* SPDX-License-Identifier: MIT */
/* Assertions of what nibble's own code assumes, checked in the builds that test (NB_ASSERT: the Makefile defines it for
 * asan, tsan and coverage). Elsewhere they are compiled, so that they stay valid, and never evaluated. What comes from
 * outside, a file or a caller of the public library, is not asserted: there it is an error with a message. */
#ifndef NB_BASE_ASSERT_H
#define NB_BASE_ASSERT_H

#ifdef NB_ASSERT
#include <assert.h>
#define nb_assert(x) assert(x)
#else
#define nb_assert(x) ((void)(0 && (x)))
#endif

#endif
