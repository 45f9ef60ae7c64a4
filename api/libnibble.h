/* SPDX-License-Identifier: MIT */
/* What the files behind the public header share. */
#ifndef NB_LIBNIBBLE_H
#define NB_LIBNIBBLE_H

#include "api/nibble.h"
#include "base/status.h"

/* A status and its message as the caller gets them; to may be NULL. */
nibble_status nb_api_report(nb_status st, const nb_err *from, nibble_error *to);

/* Threads (0 or less: all processors) and instruction sets (cpu NULL: all) as options give them. */
nb_status nb_api_machine(const char *cpu, int *threads, unsigned *cpu_features, nb_err *err);

#endif
