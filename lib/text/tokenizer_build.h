/* SPDX-License-Identifier: MIT */
/* Building a tokenizer piece by piece. Both readers (tokenizer.json, and the compact form) go through
 * these functions, which check everything. Order: new, every token, every merge in rank order, the
 * steps, template and chat settings, finish. After a failure only nb_tokenizer_free may follow. */
#ifndef NB_TOKENIZER_BUILD_H
#define NB_TOKENIZER_BUILD_H

#include "text/tokenizer.h"

enum {
  NB_MAX_TOKENS = 1 << 21, /* ids */
  NB_MAX_MERGES = 1 << 22,
  NB_MAX_TOKEN_BYTES = 1 << 13, /* one token's text */
  NB_MAX_TEMPLATE = 4096,       /* ids that a text gets around it */
  NB_MAX_NAMED = 64,
  NB_MAX_NAME = 64,
  NB_MAX_STEPS = 64,             /* in a stage */
  NB_NORMALIZE_TIMES = 64,       /* all normalizers together may write this many times a text's bytes, */
  NB_NORMALIZE_BYTES = 64 * 1024 /* and so many bytes more; one decoder's output is held to it too */
};

/* Flags of the byte-pair-encoding model. */
enum {
  NB_BPE_BYTE_FALLBACK = 1, /* an unknown character becomes the tokens <0xNN> of its bytes */
  NB_BPE_FUSE_UNK = 2,      /* neighbouring unknown characters become one unknown token */
  NB_BPE_IGNORE_MERGES = 4  /* a word that is a token is that token, whatever the merges say */
};

/* Flags of a token. MODEL: the merges can make it. ADDED: it is found in the text before anything else;
 * the others go with ADDED. SINGLE_WORD: only where no word character touches it. LSTRIP, RSTRIP: it takes
 * the white space beside it. NORMALIZED: it is looked for, normalized, in the normalized text. */
enum {
  NB_TOKEN_MODEL = 1,
  NB_TOKEN_ADDED = 2,
  NB_TOKEN_SPECIAL = 4,
  NB_TOKEN_SINGLE_WORD = 8,
  NB_TOKEN_LSTRIP = 16,
  NB_TOKEN_RSTRIP = 32,
  NB_TOKEN_NORMALIZED = 64
};

typedef enum nb_stage { NB_STAGE_NORMALIZE, NB_STAGE_SPLIT, NB_STAGE_DECODE, NB_STAGES } nb_stage;

/* What a step does; which fields of nb_step it uses. */
typedef enum nb_step_kind {
  /* normalizers */
  NB_STEP_PREPEND, /* content, before a text that is not empty */
  NB_STEP_REPLACE, /* pattern (regex flag) by content; also a decoder */
  NB_STEP_NFC,
  NB_STEP_NFD,
  NB_STEP_NFKC,
  NB_STEP_NFKD,
  NB_STEP_LOWERCASE,
  NB_STEP_STRIP, /* white space; flags LEFT, RIGHT */
  /* pre-tokenizers */
  NB_STEP_SPLIT,      /* pattern (regex flag), behavior, flag INVERT */
  NB_STEP_DIGITS,     /* flag INDIVIDUAL */
  NB_STEP_WHITESPACE, /* words and runs of other visible characters */
  NB_STEP_WHITESPACE_SPLIT,
  NB_STEP_PUNCTUATION, /* behavior */
  NB_STEP_BYTE_LEVEL,  /* flags PREFIX_SPACE, REGEX (GPT-2's pattern); as normalizer and decoder: no field */
  NB_STEP_METASPACE,   /* content: the replacement; prepend; flag SPLIT. Also a decoder */
  /* decoders */
  NB_STEP_BYTE_FALLBACK,
  NB_STEP_FUSE,
  NB_STEP_STRIP_CHARS, /* content: one character; at most start of them at the front, stop at the end */
  NB_STEP_KINDS
} nb_step_kind;

typedef enum nb_behavior { /* what becomes of the matches of a pattern */
                           NB_SPLIT_REMOVED,
                           NB_SPLIT_ISOLATED,
                           NB_SPLIT_MERGED_WITH_PREVIOUS,
                           NB_SPLIT_MERGED_WITH_NEXT,
                           NB_SPLIT_CONTIGUOUS,
                           NB_SPLIT_BEHAVIORS
} nb_behavior;

enum { NB_PREPEND_ALWAYS, NB_PREPEND_FIRST, NB_PREPEND_NEVER, NB_PREPENDS };

enum {
  NB_STEP_F_REGEX = 1,  /* pattern is a regular expression, not a string */
  NB_STEP_F_INVERT = 2, /* matches and gaps change places */
  NB_STEP_F_LEFT = 4,
  NB_STEP_F_RIGHT = 8,
  NB_STEP_F_INDIVIDUAL = 16,
  NB_STEP_F_PREFIX_SPACE = 32,
  NB_STEP_F_SPLIT = 64
};

typedef struct nb_step {
  nb_step_kind kind;
  unsigned flags;                /* NB_STEP_F_* */
  nb_behavior behavior;          /* of a split */
  unsigned prepend;              /* NB_PREPEND_* of a metaspace */
  uint32_t start, stop;          /* of a strip */
  const char *pattern, *content; /* borrowed for the call; may be NULL when the length is 0 */
  size_t n_pattern, n_content;   /* bytes */
} nb_step;

/* n_ids: one more than the highest id that may come; n_merges: how many merges will follow at most. */
nb_status nb_tokenizer_new(size_t n_ids, size_t n_merges, unsigned bpe_flags, nb_tokenizer **out, nb_err *err);

/* Defines token `id`. The same id may come again with the same text (once from the model, then as an added
 * token): the later flags of an added token replace the earlier, but what was special stays special, as in
 * `tokenizers`. Fails when the id is out of range or taken, or another id has this text. */
nb_status nb_tokenizer_add_token(nb_tokenizer *t, int32_t id, const char *text, size_t n, unsigned flags, nb_err *err);
/* An added token, numbered as `tokenizers` does whatever id its file states: a text that is a token keeps its id,
 * a new one gets the next behind the model's tokens (counted, not by their highest id). An empty text is passed
 * over. `flags` needs no NB_TOKEN_ADDED. Every token of the model is there before the first of these. */
nb_status nb_tokenizer_add_next(nb_tokenizer *t, const char *text, size_t n, unsigned flags, nb_err *err);
/* Makes the tokens defined so far known to nb_tokenizer_find. Fails when two of them have the same text;
 * adding tokens and merges may report that too. */
nb_status nb_tokenizer_index(nb_tokenizer *t, nb_err *err);
/* The id of an indexed token, or -1. */
int32_t nb_tokenizer_find(const nb_tokenizer *t, const char *text, size_t n);
/* Whether this id is there and an added token. */
bool nb_tokenizer_is_added(const nb_tokenizer *t, int32_t id);

/* The next merge: left and right become the token whose text is theirs joined. A pair that comes again
 * takes the later rank. Fails when a token is unknown or there is no joined one. */
nb_status nb_tokenizer_add_merge(nb_tokenizer *t, int32_t left, int32_t right, nb_err *err);

/* The same when the result is known. Its text is not compared again, only its length. */
nb_status nb_tokenizer_add_merge_to(nb_tokenizer *t, int32_t left, int32_t right, int32_t result, nb_err *err);

/* What becomes of unknown characters without byte fallback; -1 (the default): they are dropped. */
nb_status nb_tokenizer_set_unk(nb_tokenizer *t, int32_t id, nb_err *err);
nb_status nb_tokenizer_add_step(nb_tokenizer *t, nb_stage stage, const nb_step *step, nb_err *err);
/* Ids put before (n_before of them) and after every text by NB_ENCODE_ADD_SPECIAL, in place of those set before. */
nb_status nb_tokenizer_set_template(nb_tokenizer *t, const int32_t *before, size_t n_before, const int32_t *after,
                                    size_t n_after, nb_err *err);
/* The code point that stands for a byte in the GPT-2 alphabet, in which byte-level tokens are spelt. */
uint32_t nb_tokenizer_byte_char(unsigned byte);
/* Gives token `id` a name that chat templates may use ("bos_token", "pad_token", ...); the same name may come again.
 * At most NB_MAX_NAMED names of at most NB_MAX_NAME bytes. */
nb_status nb_tokenizer_set_named(nb_tokenizer *t, const char *name, size_t n, int32_t id, nb_err *err);
/* n bytes of Jinja. */
nb_status nb_tokenizer_set_chat(nb_tokenizer *t, const char *chat, size_t n, nb_err *err);
/* Prepares the lookups and forgets unused ids at the end; afterwards the tokenizer is usable and immutable. */
nb_status nb_tokenizer_finish(nb_tokenizer *t, nb_err *err);

#endif
