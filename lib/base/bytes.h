/* SPDX-License-Identifier: MIT */
/* Sizes as people write them. */
#ifndef NB_BYTES_H
#define NB_BYTES_H

#include <stdbool.h>
#include <stdint.h>

/* A number of bytes with an optional unit: B, kB/KB MB GB TB (powers of 1000), KiB MiB GiB TiB and K M G T
 * (powers of 1024), any case; fractions are rounded down ("1.8GiB" is 1932735283). False when it is not one. */
bool nb_bytes_parse(const char *text, uint64_t *bytes);

enum { NB_BYTES_TEXT = 32 };
/* "512 B", "61.3 kB", "7.64 GB" (powers of 1000), into buf, which it returns. */
char *nb_bytes_text(char buf[NB_BYTES_TEXT], uint64_t bytes);

#endif
