/* SPDX-License-Identifier: MIT */
#include "base/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool nb_bytes_parse(const char *text, uint64_t *bytes) {
  if (!isdigit((unsigned char)text[0])) return false;
  char *end;
  double value = strtod(text, &end), scale = 1;
  if (!memchr("0123456789.", end[-1], 11) || strpbrk(text, "xXpP")) return false;
  while (*end == ' ') end++;
  const char *powers = "KMGT", *p = *end ? strchr(powers, toupper((unsigned char)*end)) : NULL;
  if (p) {
    end++;
    bool decimal = toupper((unsigned char)end[0]) == 'B';
    if (!decimal && *end && toupper((unsigned char)*end) != 'I') return false;
    if (!decimal && *end) end++;
    for (int i = 0; i <= p - powers; i++) scale *= decimal ? 1000 : 1024;
  }
  if (toupper((unsigned char)*end) == 'B') end++;
  if (*end || value * scale >= 9e18) return false;
  /* Whole numbers below 2^53 and sums like 1.8GiB are exact enough in a double to round down. */
  *bytes = (uint64_t)(value * scale);
  return true;
}

char *nb_bytes_text(char buf[NB_BYTES_TEXT], uint64_t bytes) {
  static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
  double v = (double)bytes;
  int u = 0;
  while (v >= 999.5 && u < 4) v /= 1000, u++;
  snprintf(buf, NB_BYTES_TEXT, "%.*f %s", u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, unit[u]);
  return buf;
}
