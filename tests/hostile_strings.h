/* SPDX-License-Identifier: MIT */
/* Strings that tokenizers get wrong, from a seed: emoji with joiners, combining marks, long runs of spaces,
 * special tokens inside text, control characters, CJK, right-to-left text, NULs, invalid UTF-8. The golden
 * maker in Python reads the strings from the program tests/tokenizer_dump.c, so this is their only source. */
#ifndef HOSTILE_STRINGS_H
#define HOSTILE_STRINGS_H

#include "base/utf8.h"

#include <stdio.h>

static inline uint64_t hostile_next(uint64_t *state) { /* splitmix64 (Vigna) */
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static inline size_t hostile_below(uint64_t *state, size_t n) { return (size_t)(hostile_next(state) % n); }

static inline void hostile_put(nb_text *out, const char *s, size_t n) {
  nb_err err;
  if (nb_text_append(out, s, n, &err) != NB_OK) abort();
}

static inline void hostile_char(nb_text *out, uint32_t cp) {
  char c[4];
  hostile_put(out, c, nb_utf8_put(cp, c));
}

static const char *const hostile_words[] = {"the",
                                            "Hello",
                                            "WORLD",
                                            "don't",
                                            "I'LL",
                                            "they're",
                                            "we've",
                                            "isn't",
                                            "can’t",
                                            "naïve",
                                            "Zürich",
                                            "ﬁnance",
                                            "123",
                                            "3.14159",
                                            "1,000,000",
                                            "0x1F",
                                            "e=mc^2",
                                            "foo_bar",
                                            "fooBarBaz",
                                            "https://a.b/c?d=e&f=g",
                                            "<html>",
                                            "</s>",
                                            "<s>",
                                            "<unk>",
                                            "<|endoftext|>",
                                            "<|end|>",
                                            "<|user|>",
                                            "<|assistant|>",
                                            "<|system|>",
                                            "<|im_start|>",
                                            "<|im_end|>",
                                            "<|begin_of_text|>",
                                            "<|eot_id|>",
                                            "<0x0A>",
                                            "<0xE2>",
                                            "▁",
                                            "▁the",
                                            "Ġ",
                                            "Ġthe",
                                            "Ċ",
                                            "...",
                                            "?!",
                                            "---",
                                            "''",
                                            "\"",
                                            "你好",
                                            "世界",
                                            "日本語テスト",
                                            "한국어",
                                            "漢字かな",
                                            "مرحبا",
                                            "שלום",
                                            "हिन्दी",
                                            "ไทย",
                                            "ελληνικά",
                                            "русский",
                                            "Ünïcödé",
                                            "e\xcc\x81",
                                            "a\xcc\x8a\xcc\xa3",
                                            "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
                                            "👍",
                                            "👍🏽",
                                            "👨‍👩‍👧‍👦",
                                            "🏳️‍🌈",
                                            "🇩🇪",
                                            "🩷",
                                            "☺️",
                                            "½",
                                            "Ⅷ",
                                            "①",
                                            "²",
                                            "٣",
                                            "ſ",
                                            "K",
                                            "İ",
                                            "ß",
                                            "ﬆ",
                                            "Å",
                                            "©",
                                            "™",
                                            "€",
                                            "→",
                                            "\\n",
                                            "{%",
                                            "}}",
                                            "a",
                                            "I",
                                            " ",
                                            "  ",
                                            "\n",
                                            "\n\n",
                                            "\r\n",
                                            "\t",
                                            "\xc2\xa0",
                                            "\xe3\x80\x80",
                                            "\xe2\x80\x8b",
                                            "\xe2\x80\x8d",
                                            "\xef\xbb\xbf",
                                            "\xe2\x80\xae"};

static const char *const hostile_bad[] = {
    "\xff",         "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82",
    "\xf0\x9f\x98", "\x80",     "\xc3",         "\xe2\x28\xa1",     "\xf8\x88\x80\x80\x80"};

/* The code points of a random script's block; two of them came after Unicode 14. */
static inline uint32_t hostile_code_point(uint64_t *st) {
  static const uint32_t blocks[][2] = {
      {0x20, 0x7e},        {0xa1, 0x24f},      {0x300, 0x36f},     {0x391, 0x3c9},     {0x410, 0x44f},
      {0x5d0, 0x5ea},      {0x621, 0x64a},     {0x905, 0x939},     {0xe01, 0xe3a},     {0x1100, 0x1112},
      {0x2000, 0x206f},    {0x2190, 0x21ff},   {0x2580, 0x259f},   {0x3041, 0x3096},   {0x4e00, 0x9fff},
      {0xac00, 0xd7a3},    {0xe000, 0xe010},   {0xfe00, 0xfe0f},   {0xff01, 0xff5e},   {0x1d400, 0x1d433},
      {0x1f300, 0x1f5ff},  {0x1f600, 0x1f64f}, {0x20000, 0x2a6d6}, {0x31350, 0x323af}, {0x11f50, 0x11f59},
      {0x10fffd, 0x10ffff}};
  const uint32_t *b = blocks[hostile_below(st, sizeof blocks / sizeof *blocks)];
  return b[0] + (uint32_t)hostile_below(st, b[1] - b[0] + 1);
}

/* Writes string `index` of seed `seed` to out, which is cleared first. */
static inline void hostile_string(uint64_t seed, uint64_t index, nb_text *out) {
  uint64_t st = seed * 0x2545f4914f6cdd1du + index;
  nb_text_clear(out);
  size_t n_parts = hostile_below(&st, 12);
  for (size_t i = 0; i < n_parts; i++) {
    size_t kind = hostile_below(&st, 20), n;
    if (kind < 9) {
      const char *w = hostile_words[hostile_below(&st, sizeof hostile_words / sizeof *hostile_words)];
      if (hostile_below(&st, 2)) hostile_put(out, " ", 1);
      hostile_put(out, w, strlen(w));
    } else if (kind < 12) {
      static const char *const runs[] = {" ", "\n", "\t", "▁", "a", "=", "\xc2\xa0", " \n"};
      const char *w = runs[hostile_below(&st, 8)];
      n = hostile_below(&st, 8) ? hostile_below(&st, 20) : hostile_below(&st, 300);
      for (size_t k = 0; k < n; k++) hostile_put(out, w, strlen(w));
    } else if (kind < 16) {
      n = hostile_below(&st, 10);
      for (size_t k = 0; k < n; k++) hostile_char(out, hostile_code_point(&st));
    } else if (kind == 16) {
      hostile_char(out, (uint32_t)hostile_below(&st, 32)); /* a control character, perhaps NUL */
    } else if (kind == 17) {
      n = 1 + hostile_below(&st, 6);
      for (size_t k = 0; k < n; k++) {
        char c = (char)hostile_next(&st);
        hostile_put(out, &c, 1);
      }
    } else if (kind == 18) {
      const char *w = hostile_bad[hostile_below(&st, sizeof hostile_bad / sizeof *hostile_bad)];
      hostile_put(out, w, strlen(w));
    } else {
      char digits[24];
      hostile_put(out, digits,
                  (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)hostile_next(&st)));
    }
  }
  hostile_put(out, "", 0);
}

#endif
