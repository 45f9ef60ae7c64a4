/* SPDX-License-Identifier: MIT */
/* The inside of a tokenizer, shared by tokenizer*.c only. */
#ifndef NB_TOKENIZER_IMPL_H
#define NB_TOKENIZER_IMPL_H

#include "text/tokenizer_build.h"
#include "text/tokenizer_regex.h"

typedef struct token {
  uint32_t at;    /* of its text in pool; a NUL follows it */
  uint16_t n;     /* bytes */
  uint16_t flags; /* NB_TOKEN_*; 0: no such token */
} token;

typedef struct merge {
  int32_t left, right, result; /* left -1: free slot */
  uint32_t rank;
} merge;

typedef struct listed_merge {
  int32_t left, right, result;
} listed_merge;

typedef struct word_slot {
  uint32_t tag; /* upper half of the text's hash */
  int32_t id;   /* -1: free slot */
} word_slot;

/* An added token as it is looked for. */
typedef struct added {
  const char *text; /* in pool, or in normal_pool */
  uint32_t n;
  int32_t id;
} added;

/* Added tokens sorted by text, so that the longest match at a place is found by narrowing a range. */
typedef struct added_set {
  added *item;
  size_t n;
  bool first[256]; /* whether some text begins with this byte */
} added_set;

typedef struct step {
  nb_step s;       /* pattern and content are owned */
  nb_regex *regex; /* compiled pattern, or NULL */
} step;

/* What a chat template calls a token. */
typedef struct named {
  char name[NB_MAX_NAME + 1];
  int32_t id;
} named;

enum { DIRECT = 0x3000, CROSS_BITS = 18, WAITING = 64 };

struct nb_tokenizer {
  unsigned bpe; /* NB_BPE_* */
  int32_t unk;
  size_t n_ids, n_model, n_beyond; /* ids; the model's tokens; added tokens that the model lacks */
  token *token;                    /* (n_ids) */
  nb_text pool;                    /* texts of tokens */
  size_t word_mask;
  word_slot *word; /* (word_mask + 1) open addressing by text */
  size_t n_merges, max_merges, merge_mask;
  merge *merge;             /* (merge_mask + 1) open addressing by pair */
  listed_merge *merge_list; /* (max_merges) in rank order */
  step *step[NB_STAGES];
  size_t n_step[NB_STAGES], cap_step[NB_STAGES];
  nb_ids before, after;
  named *named; /* (n_named) in order of their coming */
  size_t n_named, cap_named;
  nb_text chat;
  size_t n_waiting;
  int32_t waiting[WAITING]; /* ids that are not in the index of words yet */
  /* made by finish */
  added_set raw, normal; /* added tokens looked for before and after normalization */
  nb_text normal_pool;
  int32_t direct[DIRECT];                /* id of the token that is this one character, or -1 */
  int32_t byte[256];                     /* id of <0xNN>, or -1 */
  uint64_t cross[1 << (CROSS_BITS - 6)]; /* a bit a hashed pair of characters: some merge joins them */
};

/* Growable per-call memory. */
typedef struct piece {
  size_t at, n; /* bytes of the current buffer */
} piece;

typedef struct pieces {
  piece *p;
  size_t n, cap;
} pieces;

typedef struct heap_item {
  uint64_t key; /* rank, then position */
  int32_t result;
} heap_item;

typedef struct symbol {
  int32_t id, prev, next; /* id -1: merged away */
} symbol;

typedef struct scratch {
  nb_text text, swap; /* current and next buffer */
  size_t most;        /* bytes that the normalizers may still write */
  pieces list, other;
  nb_regex_scratch regex;
  int32_t *seg; /* symbols of the segment being gathered */
  size_t n_seg, cap_seg;
  symbol *sym;
  size_t cap_sym;
  heap_item *heap;
  size_t n_heap, cap_heap;
} scratch;

void nb_tokenizer_scratch_free(scratch *s);

/* What normalizers, or decoders, may write for n bytes of text. */
static inline size_t nb_tokenizer_most(size_t n) { return NB_NORMALIZE_TIMES * n + NB_NORMALIZE_BYTES; }

/* tokenizer_steps.c: runs the normalizers over s->text in place; all steps together, call after call, may write
 * s->most bytes. */
nb_status nb_tokenizer_normalize(const nb_tokenizer *t, scratch *s, nb_err *err);
/* Splits s->text, one piece, into s->list; `first` when it starts the whole text. */
nb_status nb_tokenizer_split(const nb_tokenizer *t, scratch *s, bool first, nb_err *err);
/* The byte that a code point of the GPT-2 alphabet stands for, -1: none. */
int nb_tokenizer_char_byte(uint32_t cp);

/* tokenizer_bpe.c: appends the ids of one piece. */
nb_status nb_tokenizer_bpe(const nb_tokenizer *t, scratch *s, const char *text, size_t n, nb_ids *out, nb_err *err);

/* tokenizer.c */
void nb_tokenizer_merge_prefetch(const nb_tokenizer *t, int32_t left, int32_t right);
const merge *nb_tokenizer_merge_find(const nb_tokenizer *t, int32_t left, int32_t right);
static inline uint32_t nb_tokenizer_cross_bit(uint32_t a, uint32_t b) {
  return (a * 0x9e3779b1u ^ b * 0x85ebca77u) >> (32 - CROSS_BITS);
}

#endif
