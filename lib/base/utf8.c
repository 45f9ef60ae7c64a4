/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"
#include "base/unicode_recent.h"

#include <utf8proc.h>

size_t nb_utf8_check(const char *s, size_t n, uint32_t *cp, size_t *bad) {
  const unsigned char *p = (const unsigned char *)s;
  unsigned c = p[0], low = 0x80, high = 0xbf;
  *bad = 1;
  if (c < 0x80) {
    *cp = c;
    return 1;
  }
  size_t len = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
  if (!len) return 0;
  if (c == 0xe0) low = 0xa0;
  if (c == 0xed) high = 0x9f;
  if (c == 0xf0) low = 0x90;
  if (c == 0xf4) high = 0x8f;
  uint32_t v = c & (0xffu >> (len + 1));
  for (size_t i = 1; i < len; i++) {
    if (i >= n || p[i] < low || p[i] > high) {
      *bad = i;
      return 0;
    }
    v = v << 6 | (p[i] & 63);
    low = 0x80, high = 0xbf;
  }
  *cp = v;
  return len;
}

size_t nb_utf8_valid_prefix(const char *s, size_t n) {
  size_t i = 0, bad;
  uint32_t cp;
  while (i < n) {
    unsigned char c = (unsigned char)s[i];
    size_t k = c < 0x80 ? 1 : 0; /* and the two shortest forms without a call */
    if (c >= 0xc2 && c < 0xe0 && i + 1 < n && ((unsigned char)s[i + 1] & 0xc0) == 0x80) k = 2;
    if (!k) k = nb_utf8_check(s + i, n - i, &cp, &bad);
    if (!k) break;
    i += k;
  }
  return i;
}

nb_status nb_utf8_repair(const char *s, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < n;) {
    size_t good = nb_utf8_valid_prefix(s + i, n - i), bad;
    uint32_t cp;
    NB_TRY(nb_text_append(out, s + i, good, err));
    i += good;
    if (i == n) break;
    nb_utf8_check(s + i, n - i, &cp, &bad);
    NB_TRY(nb_text_append(out, "\xef\xbf\xbd", 3, err));
    i += bad;
  }
  return nb_text_append(out, "", 0, err);
}

size_t nb_utf8_put(uint32_t cp, char *out) {
  if (cp < 0x80) {
    out[0] = (char)cp;
    return 1;
  }
  size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
  static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = n; i-- > 1; cp >>= 6) out[i] = (char)(0x80 | (cp & 63));
  out[0] = (char)(lead[n] | cp);
  return n;
}

bool nb_utf8_is_space(uint32_t c) {
  if (c < 0x80) return c == 0x20 || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

/* The general category; those of Unicode's newest characters are rough (any mark is Mn, any punctuation Po).
 */
static utf8proc_category_t category(uint32_t c) {
  utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
  if (k != UTF8PROC_CATEGORY_CN) return k;
  for (size_t i = 0; i < sizeof unicode_recent / sizeof *unicode_recent; i++)
    if (c >= unicode_recent[i].first && c <= unicode_recent[i].last) switch (unicode_recent[i].category[0]) {
      case 'L': return UTF8PROC_CATEGORY_LO;
      case 'M': return UTF8PROC_CATEGORY_MN;
      case 'N': return unicode_recent[i].category[1] == 'd' ? UTF8PROC_CATEGORY_ND : UTF8PROC_CATEGORY_NO;
      case 'P': return UTF8PROC_CATEGORY_PO;
      default: return UTF8PROC_CATEGORY_SM;
      }
  return k;
}

bool nb_utf8_is_word(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  switch (category(c)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_PC: return true;
  case UTF8PROC_CATEGORY_SO: /* the alphabetic symbols: circled and squared Latin letters */
    return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
           (c >= 0x1f170 && c <= 0x1f189);
  default: return c == 0x200c || c == 0x200d;
  }
}

bool nb_utf8_is_numeric(uint32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  utf8proc_category_t k = category(c);
  return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool nb_utf8_is_punctuation(uint32_t c) {
  if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  utf8proc_category_t k = category(c);
  return k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
}
