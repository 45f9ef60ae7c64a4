/* SPDX-License-Identifier: MIT */
/* UTF-8 and the few character classes that tokenizers need. A code point is a uint32_t; functions that
 * take text want valid UTF-8 (nb_utf8_repair makes it so) unless they say otherwise. */
#ifndef NB_UTF8_H
#define NB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* Length in bytes of the first character of s[0..n), n > 0, when it is well formed (no surrogates, no
 * overlong forms, at most U+10FFFF), which is stored in *cp; otherwise 0, and *bad is the length (1 to
 * 3) of the maximal subpart of an ill-formed sequence (Unicode 15, table 3-8), to be replaced as one. */
size_t nb_utf8_check(const char *s, size_t n, uint32_t *cp, size_t *bad);

/* The number of bytes of s[0..n) that come before the first ill-formed sequence. */
size_t nb_utf8_valid_prefix(const char *s, size_t n);

/* Appends s[0..n) to out with every maximal ill-formed subpart replaced by U+FFFD, as Python's
 * bytes.decode("utf-8", "replace") and Rust's from_utf8_lossy do. */
nb_status nb_utf8_repair(const char *s, size_t n, nb_text *out, nb_err *err);

/* The character at valid text s, and its length in bytes in *n. */
static inline uint32_t nb_utf8_get(const char *s, size_t *n) {
  const unsigned char *p = (const unsigned char *)s;
  if (p[0] < 0x80) return *n = 1, p[0];
  if (p[0] < 0xe0) return *n = 2, (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
  if (p[0] < 0xf0) return *n = 3, (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
  return *n = 4, (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 | (p[3] & 63);
}

/* Length of the character that ends at s[at), at > 0. */
static inline size_t nb_utf8_back(const char *s, size_t at) {
  size_t k = 1;
  while (k < at && k < 4 && ((unsigned char)s[at - k] & 0xc0) == 0x80) k++;
  return k;
}

/* Writes cp to out (4 bytes of room) and returns its length. */
size_t nb_utf8_put(uint32_t cp, char *out);

/* Unicode's White_Space property. */
bool nb_utf8_is_space(uint32_t cp);
/* Alphabetic, mark, decimal digit, connector punctuation or join control: \w of Unicode TR 18. */
bool nb_utf8_is_word(uint32_t cp);
/* General category N: Nd, Nl or No. */
bool nb_utf8_is_numeric(uint32_t cp);
/* General category P, or one of ASCII's punctuation and symbols. */
bool nb_utf8_is_punctuation(uint32_t cp);

#endif
