/* SPDX-License-Identifier: MIT */
#include "formats/tokenizer_tiktoken.h"
#include "base/utf8.h"
#include "text/tokenizer_build.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* More than any vocabulary has; a token's bytes become at most two each in the GPT-2 alphabet. */
enum { MAX_RANKS = 1 << 20, MAX_BYTES = NB_MAX_TOKEN_BYTES / 2 };

/* How cl100k_base splits a text (tiktoken_ext/openai_public.py). */
static const char cl100k_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* phi-3-small's special tokens by ascending id; the names between are <|dummy_id_N|>, counted from 2 up
 * (tokenization_phi3_small.py of microsoft/Phi-3-small-8k-instruct). */
enum { PHI_FIRST = 100256, PHI_IDS = 100352, PHI_DUMMY = 2 };
static const struct {
  int32_t id;
  const char *text;
} phi_tokens[] = {{100257, "<|endoftext|>"},  {100258, "<|fim_prefix|>"}, {100259, "<|fim_middle|>"},
                  {100260, "<|fim_suffix|>"}, {100261, "<|system|>"},     {100262, "<|user|>"},
                  {100263, "<|assistant|>"},  {100264, "<|dummy_id_0|>"}, {100265, "<|dummy_id_1|>"},
                  {100266, "<|end|>"},        {100276, "<|endofprompt|>"}};
static const char phi_chat[] =
    "{{ bos_token }}{% for message in messages %}{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + "
    "'<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}"
    "{% endif %}";

typedef struct entry {
  const char *bytes; /* of the token, in `store` */
  size_t n, line;    /* line 0: no such rank yet */
} entry;

typedef struct ranks {
  const char *where;
  entry *entry; /* (n) by rank */
  size_t n;
  char *store;
  size_t mask;
  int32_t *slot; /* (mask + 1) open addressing by bytes; -1: free */
} ranks;

static int32_t *find_slot(const ranks *r, const char *bytes, size_t n) {
  for (size_t i = (size_t)XXH3_64bits(bytes, n) & r->mask;; i = (i + 1) & r->mask) {
    int32_t *s = &r->slot[i];
    if (*s < 0 || (r->entry[*s].n == n && !memcmp(r->entry[*s].bytes, bytes, n))) return s;
  }
}

/* ---- reading ---- */

static int digit(char c) {
  return c >= 'A' && c <= 'Z'   ? c - 'A'
         : c >= 'a' && c <= 'z' ? c - 'a' + 26
         : c >= '0' && c <= '9' ? c - '0' + 52
         : c == '+'             ? 62
         : c == '/'             ? 63
                                : -1;
}

/* Decodes canonical base64 with its padding (RFC 4648); false when it is not that. */
static bool decode64(const char *s, size_t n, char *out, size_t *n_out) {
  size_t pad = n && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
  uint32_t v = 0;
  *n_out = 0;
  if (n == 0 || n % 4) return false;
  for (size_t i = 0; i < n; i++) {
    int d = i < n - pad ? digit(s[i]) : 0;
    if (d < 0) return false;
    v = v << 6 | (uint32_t)d;
    if (i % 4 < 3) continue;
    for (int k = 2; k >= (i + 1 == n ? (int)pad : 0); k--) out[(*n_out)++] = (char)(v >> (8 * k));
    if (i + 1 == n && pad && (v & ((1u << (8 * pad)) - 1))) return false; /* bits that no byte has */
    v = 0;
  }
  return true;
}

static nb_status read_line(ranks *r, const char *s, size_t n, size_t line, char *store, size_t *used, nb_err *err) {
  const char *blank = memchr(s, ' ', n);
  size_t k = blank ? (size_t)(blank - s) : 0, rank = 0, digits = n - k - 1;
  if (!blank || digits < 1 || digits > 7)
    return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: a token in base64, a blank and its rank are expected", r->where, line);
  for (size_t i = k + 1; i < n; i++) {
    if (s[i] < '0' || s[i] > '9')
      return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the rank is not a number", r->where, line);
    rank = 10 * rank + (size_t)(s[i] - '0');
  }
  entry e = {store + *used, 0, line};
  if (k > MAX_BYTES || !decode64(s, k, store + *used, &e.n))
    return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the token is not valid base64", r->where, line);
  if (rank >= r->n) return NB_OK; /* then a lower one is missing, which is said at the end */
  if (r->entry[rank].line)
    return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the rank %zu stands on line %zu as well", r->where, line, rank,
                   r->entry[rank].line);
  int32_t *slot = find_slot(r, e.bytes, e.n);
  if (*slot >= 0)
    return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the token stands on line %zu as well", r->where, line,
                   r->entry[*slot].line);
  r->entry[rank] = e;
  *slot = (int32_t)rank;
  *used += e.n;
  return NB_OK;
}

/* The next line from *at on, without its end; false behind the last. Empty lines are passed over. */
static bool next_line(const nb_source *s, size_t *at, size_t *line, const char **text, size_t *n) {
  while (*at < s->n) {
    const char *end = memchr(s->bytes + *at, '\n', s->n - *at);
    *text = s->bytes + *at;
    *n = end ? (size_t)(end - *text) : s->n - *at;
    *at += *n + (end != NULL);
    ++*line;
    if (*n && (*text)[*n - 1] == '\r') --*n;
    if (*n) return true;
  }
  return false;
}

static nb_status read_ranks(const nb_source *s, ranks *r, nb_err *err) {
  const char *text;
  size_t at = 0, line = 0, n, used = 0;
  r->where = s->name;
  while (next_line(s, &at, &line, &text, &n)) r->n++;
  if (r->n == 0 || r->n > MAX_RANKS)
    return nb_fail(err, NB_ERR_FORMAT, "%s: it has %zu tokens; 1 to %d are supported", s->name, r->n, MAX_RANKS);
  for (r->mask = 16; r->mask < 2 * r->n;) r->mask *= 2;
  NB_TRY(nb_new(&r->entry, r->n, sizeof *r->entry, "ranks", err));
  NB_TRY(nb_new(&r->store, s->n, 1, "tokens", err));
  NB_TRY(nb_new(&r->slot, r->mask, sizeof *r->slot, "an index of tokens", err));
  memset(r->slot, 0xff, r->mask * sizeof *r->slot);
  r->mask--;
  for (at = line = 0; next_line(s, &at, &line, &text, &n);) NB_TRY(read_line(r, text, n, line, r->store, &used, err));
  for (size_t i = 0; i < r->n; i++)
    if (!r->entry[i].line)
      return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the rank %zu is missing: it should follow this line", s->name,
                     i ? r->entry[i - 1].line : 1, i);
  for (unsigned b = 0; b < 256; b++) {
    char c = (char)b;
    if (*find_slot(r, &c, 1) < 0)
      return nb_fail(err, NB_ERR_FORMAT, "%s: the byte 0x%02X is no token: lines are missing", s->name, b);
  }
  return NB_OK;
}

/* ---- building ---- */

/* tiktoken merges, of all neighbouring pairs whose bytes joined are a token, the one with the lowest rank, the leftmost
 * first. What a token is merged from at last is therefore always the same pair, whatever stands around it: the one that
 * its own bytes come to when they are merged alone. *cut is where that pair meets, 0 when the bytes never come to two.
 */
static nb_status last_pair(const ranks *r, const entry *e, size_t *cut, nb_err *err) {
  uint16_t end[MAX_BYTES]; /* where each part ends; parts [0, n) */
  int32_t pair[MAX_BYTES]; /* the rank of part i joined with the next */
  size_t n = e->n;
  if (n > MAX_BYTES) return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: the token is absurdly long", r->where, e->line);
  for (size_t i = 0; i < n; i++) end[i] = (uint16_t)(i + 1);
  for (size_t i = 0; i + 1 < n; i++) pair[i] = *find_slot(r, e->bytes + i, 2);
  *cut = n == 2 ? 1 : 0;
  while (n > 2) {
    size_t best = n;
    for (size_t i = 0; i + 1 < n; i++)
      if (pair[i] >= 0 && (best == n || pair[i] < pair[best])) best = i;
    if (best == n) return NB_OK;
    memmove(end + best, end + best + 1, (n - best - 1) * sizeof *end);
    memmove(pair + best, pair + best + 1, (n - best - 1) * sizeof *pair);
    n--;
    for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
      size_t from = i ? end[i - 1] : 0;
      pair[i] = *find_slot(r, e->bytes + from, end[i + 1] - from);
    }
    if (n == 2) *cut = end[0];
  }
  return NB_OK;
}

static nb_status add_ranks(const ranks *r, nb_tokenizer *t, nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  for (size_t i = 0; i < r->n; i++) {
    const entry *e = &r->entry[i];
    char c[4];
    nb_text_clear(&text);
    for (size_t k = 0; k < e->n; k++)
      NB_GOTO(nb_text_append(&text, c, nb_utf8_put(nb_tokenizer_byte_char((unsigned char)e->bytes[k]), c), err));
    NB_GOTO(nb_tokenizer_add_token(t, (int32_t)i, text.s, text.n, NB_TOKEN_MODEL, err));
  }
  NB_GOTO(nb_tokenizer_index(t, err));
  for (size_t i = 0, cut; i < r->n; i++) {
    const entry *e = &r->entry[i];
    NB_GOTO(last_pair(r, e, &cut, err));
    if (!cut) continue; /* one byte, or a token that only a whole word can be */
    NB_GOTO(nb_tokenizer_add_merge_to(t, *find_slot(r, e->bytes, cut), *find_slot(r, e->bytes + cut, e->n - cut),
                                      (int32_t)i, err));
  }
fail:
  nb_text_free(&text);
  return st;
}

static nb_status add_phi_tokens(nb_tokenizer *t, nb_err *err) {
  int32_t dummy = PHI_DUMMY;
  size_t k = 0;
  for (int32_t id = PHI_FIRST; id < PHI_IDS; id++) {
    char name[32];
    const char *text = name;
    if (k < sizeof phi_tokens / sizeof *phi_tokens && phi_tokens[k].id == id) text = phi_tokens[k++].text;
    else snprintf(name, sizeof name, "<|dummy_id_%d|>", dummy++);
    NB_TRY(nb_tokenizer_add_token(t, id, text, strlen(text), NB_TOKEN_ADDED | NB_TOKEN_SPECIAL, err));
  }
  return nb_tokenizer_index(t, err);
}

static nb_status build(const ranks *r, const nb_tokenizer_config *config, nb_tokenizer **out, nb_err *err) {
  const nb_step split = {.kind = NB_STEP_SPLIT,
                         .flags = NB_STEP_F_REGEX,
                         .behavior = NB_SPLIT_ISOLATED,
                         .pattern = cl100k_pattern,
                         .n_pattern = sizeof cl100k_pattern - 1},
                bytes = {.kind = NB_STEP_BYTE_LEVEL};
  static const char *const ends[] = {"bos_token", "eos_token"};
  NB_TRY(nb_tokenizer_new(PHI_IDS, r->n, NB_BPE_IGNORE_MERGES, out, err));
  nb_tokenizer *t = *out;
  NB_TRY(add_ranks(r, t, err));
  NB_TRY(add_phi_tokens(t, err));
  NB_TRY(nb_tokenizer_add_step(t, NB_STAGE_SPLIT, &split, err));
  NB_TRY(nb_tokenizer_add_step(t, NB_STAGE_SPLIT, &bytes, err));
  NB_TRY(nb_tokenizer_add_step(t, NB_STAGE_DECODE, &bytes, err));
  NB_TRY(nb_tokenizer_set_chat(t, phi_chat, sizeof phi_chat - 1, err));
  NB_TRY(nb_tokenizer_config_apply(config, NULL, t, err));
  for (int i = 0; i < 2; i++)
    NB_TRY(nb_tokenizer_set_named(t, ends[i], 9, nb_tokenizer_token_id(t, "<|endoftext|>"), err));
  return NB_OK;
}

nb_status nb_tokenizer_tiktoken_build(const nb_source *s, const nb_tokenizer_config *config, nb_tokenizer **out,
                                      nb_err *err) {
  ranks r = {0};
  nb_status st;
  NB_GOTO(read_ranks(s, &r, err));
  if (r.n != PHI_FIRST) {
    st = nb_fail(err, NB_ERR_FORMAT, "%s: it has %zu tokens, but cl100k_base has %d: ranks are missing or added",
                 s->name, r.n, PHI_FIRST);
    goto fail;
  }
  st = build(&r, config, out, err);
  if (st != NB_OK) nb_fail_in(err, st, "%s", s->name);
fail:
  nb_free(r.entry);
  nb_free(r.store);
  nb_free(r.slot);
  return st;
}
