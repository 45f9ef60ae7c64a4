/* SPDX-License-Identifier: MIT */
#include "eval/pattern.h"

#include "eval/rows.h"

#include <string.h>

static const char *last_part(const char *s) {
  const char *slash = strrchr(s, '/');
  return slash ? slash + 1 : s;
}

static bool has_ending(const char *pattern) { return strchr(last_part(pattern), '.') != NULL; }

size_t nb_pattern_kinds(const char *pattern) { return has_ending(pattern) ? 1 : nb_rows_n_endings; }

/* The length of the run of characters of `set` that ends at path[n). */
static size_t run_back(const char *path, size_t n, const char *set) {
  size_t k = 0;
  while (k < n && strchr(set, path[n - k - 1])) k++;
  return k;
}

/* path[0..n), its ending gone, without what a split's several files differ in: "-00000-of-00002" and a hash behind it,
 * or "/0000". */
static size_t without_shard(const char *path, size_t n) {
  static const char digits[] = "0123456789", hex[] = "0123456789abcdef";
  size_t end = n, k = run_back(path, end, hex);
  if (k == 16 && end > k && path[end - k - 1] == '-') end -= k + 1;
  k = run_back(path, end, digits);
  if (k == 5 && end >= 15 && !memcmp(path + end - 9, "-of-", 4) && path[end - 15] == '-' &&
      run_back(path, end - 9, digits) >= 5)
    return end - 15;
  k = run_back(path, n, digits);
  return k >= 4 && k < n && path[n - k - 1] == '/' ? n - k - 1 : n;
}

/* Whether path[0..n) ends with the pattern, from a '/' on. */
static bool match(const char *pattern, const char *path, size_t n, size_t *begin, size_t *length) {
  static const char hole[] = "{subject}";
  const char *at = strstr(pattern, hole);
  size_t head = at ? (size_t)(at - pattern) : strlen(pattern);
  const char *tail = at ? at + strlen(hole) : "";
  size_t n_tail = strlen(tail);
  if (n < n_tail || memcmp(path + n - n_tail, tail, n_tail)) return false;
  size_t end = n - n_tail, start = end; /* the hole's text ends where the tail begins, and holds no '/' */
  while (at && start > 0 && path[start - 1] != '/') start--;
  *length = 0;
  if (at) {
    /* The head ends inside this path component or at its beginning. */
    size_t in_component = head;
    for (size_t i = 0; i < head; i++)
      if (pattern[i] == '/') in_component = head - i - 1;
    if (in_component > end - start) return false;
    *begin = start += in_component, *length = end - start;
    if (!*length) return false;
  }
  if (start < head || memcmp(path + start - head, pattern, head)) return false;
  return start == head || path[start - head - 1] == '/';
}

bool nb_pattern_match(const char *pattern, const char *path, size_t kind, size_t *begin, size_t *length) {
  size_t n = strlen(path), ending;
  if (n > 3 && !strcmp(path + n - 3, ".gz")) n -= 3;
  if (has_ending(pattern)) return match(pattern, path, n, begin, length);
  if (nb_rows_ending(path, &ending) != kind) return false;
  n -= ending;
  return match(pattern, path, without_shard(path, n), begin, length) || match(pattern, path, n, begin, length);
}
