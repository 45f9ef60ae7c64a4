/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), for the hashes that other programs' files carry. Nibble's own are XXH3. */
#ifndef NB_SHA256_H
#define NB_SHA256_H

#include <stddef.h>

/* The hash of n bytes as 64 hexadecimal digits and a NUL. */
void nb_sha256_hex(const void *data, size_t n, char out[65]);

#endif
