/* SPDX-License-Identifier: MIT */
#include "formats/gguf_tokenizer.h"

#include "base/mem.h"
#include "text/tokenizer_build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OTHERWISE "give the original's tokenizer.json with --tokenizer DIR"

static const uint64_t MAX_WORK = (uint64_t)1 << 33; /* bytes compared while merges are made: some seconds */

/* ---- pre-tokenizers ---- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WHITE "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" WHITE
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define NO_LETTER "[^\\r\\n\\p{L}\\p{N}]?"
#define REST_SLASH "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" WHITE

static const char cl100k[] = CONTRACTIONS "|" NO_LETTER "\\p{L}+|\\p{N}{1,3}" REST;
static const char qwen[] = CONTRACTIONS "|" NO_LETTER "\\p{L}+|\\p{N}" REST;
static const char qwen35[] =
    CONTRACTIONS "|" NO_LETTER "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" WHITE;
static const char o200k[] = NO_LETTER UPPER "*" LOWER "+" CONTRACTIONS "?|" NO_LETTER UPPER "+" LOWER "*" CONTRACTIONS
                                            "?|\\p{N}{1,3}" REST_SLASH;
static const char tekken[] = NO_LETTER UPPER "*" LOWER "+|" NO_LETTER UPPER "+" LOWER "*|\\p{N}" REST_SLASH;

const nb_gguf_pre nb_gguf_pres[] = {
    {"gpt-2", NULL, false, false, false, false},     {"phi-2", NULL, false, false, false, false},
    {"olmo", NULL, true, false, false, false},       {"mpt", NULL, true, false, false, false},
    {"smollm", NULL, false, true, false, false},     {"starcoder", NULL, false, true, false, false},
    {"refact", NULL, false, true, false, false},     {"command-r", NULL, true, true, false, false},
    {"llama-bpe", cl100k, false, false, true, true}, {"llama3", cl100k, false, false, true, true},
    {"llama-v3", cl100k, false, false, true, true},  {"dbrx", cl100k, false, false, false, false},
    {"smaug-bpe", cl100k, false, false, true, true}, {"qwen2", qwen, true, false, false, false},
    {"qwen35", qwen35, false, false, false, false},  {"gpt-4o", o200k, false, false, false, false},
    {"llama4", o200k, false, false, false, false},   {"tekken", tekken, false, false, true, true},
    {NULL, NULL, false, false, false, false},
};

const nb_gguf_pre *nb_gguf_pre_find(const char *name, size_t n) {
  for (const nb_gguf_pre *p = nb_gguf_pres; p->name; p++)
    if (strlen(p->name) == n && !memcmp(p->name, name, n)) return p;
  return NULL;
}

/* ---- tokens ---- */

typedef struct reader {
  const nb_gguf *g;
  const char *path;
  const nb_gguf_value *tokens, *types, *scores;
  bool spm; /* tokenizer.ggml.model is "llama" */
  const nb_gguf_pre *pre;
  int32_t bos, eos, unk;
} reader;

/* An array of the tokens' length, or NULL when it is not there. */
static nb_status list(const reader *r, const char *key, bool strings, const nb_gguf_value **out, nb_err *err) {
  const nb_gguf_value *v = *out = nb_gguf_get(r->g, key);
  if (!v) return NB_OK;
  if (!v->array || (v->kind == NB_GGUF_STRING) != strings)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not a list of %s", r->path, key, strings ? "texts" : "numbers");
  if (r->tokens && v->n != r->tokens->n)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" has %zu elements for %zu tokens", r->path, key, v->n, r->tokens->n);
  return NB_OK;
}

static int type_of(const reader *r, size_t id) {
  int64_t type = NB_GGUF_TOKEN_NORMAL;
  return r->types && nb_gguf_integer(r->types, id, &type) ? (int)type : NB_GGUF_TOKEN_NORMAL;
}

static nb_status token_id(const reader *r, const char *key, int32_t *id, nb_err *err) {
  size_t v = SIZE_MAX;
  const nb_gguf_value *there = nb_gguf_get(r->g, key);
  int64_t i;
  *id = -1;
  /* some files say "none" with a number that is no id: -1, or 2^32 - 1 */
  if (there && !there->array && there->kind != NB_GGUF_STRING && nb_gguf_integer(there, 0, &i) &&
      (i == -1 || i == UINT32_MAX))
    return NB_OK;
  NB_TRY(nb_gguf_size(r->g, key, NB_GGUF_OPTIONAL, 0, r->tokens->n - 1, &v, err));
  if (v != SIZE_MAX) *id = (int32_t)v;
  return NB_OK;
}

static nb_status open_lists(reader *r, nb_err *err) {
  const char *model, *pre;
  size_t n;
  if (!nb_gguf_get(r->g, "tokenizer.ggml.model"))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: there is no tokenizer (no tokenizer.ggml.model); " OTHERWISE, r->path);
  NB_TRY(nb_gguf_string(r->g, "tokenizer.ggml.model", NB_GGUF_REQUIRED, &model, &n, err));
  r->spm = n == 5 && !memcmp(model, "llama", 5);
  if (!r->spm && !(n == 4 && !memcmp(model, "gpt2", 4)))
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s: the tokenizer \"%.*s\" is not supported (supported: llama, gpt2); " OTHERWISE, r->path,
                   (int)nb_min(n, 40), model);
  if (!r->spm) {
    NB_TRY(nb_gguf_string(r->g, "tokenizer.ggml.pre", NB_GGUF_REQUIRED, &pre, &n, err));
    r->pre = nb_gguf_pre_find(pre, n);
    if (!r->pre)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the pre-tokenizer \"%.*s\" is not supported; " OTHERWISE, r->path,
                     (int)nb_min(n, 40), pre);
  }
  NB_TRY(list(r, "tokenizer.ggml.tokens", true, &r->tokens, err));
  if (!r->tokens || !r->tokens->n || r->tokens->n > NB_MAX_TOKENS)
    return nb_fail(err, NB_ERR_FORMAT, "%s: no tokenizer.ggml.tokens, or not 1 to %d", r->path, NB_MAX_TOKENS);
  NB_TRY(list(r, "tokenizer.ggml.token_type", false, &r->types, err));
  NB_TRY(list(r, "tokenizer.ggml.scores", false, &r->scores, err));
  if (r->spm && (!r->types || !r->scores))
    return nb_fail(err, NB_ERR_FORMAT, "%s: no tokenizer.ggml.token_type or no tokenizer.ggml.scores", r->path);
  NB_TRY(token_id(r, "tokenizer.ggml.bos_token_id", &r->bos, err));
  NB_TRY(token_id(r, "tokenizer.ggml.eos_token_id", &r->eos, err));
  return token_id(r, "tokenizer.ggml.unknown_token_id", &r->unk, err);
}

/* The added tokens of the Phi-3 and Phi-4 tokenizers take the white space beside them, which no key says: Phi-4's (the
 * only one with cl100k's pattern) on both sides, the others' on the right, except for three of them. */
static unsigned strips(const reader *r, const char *text, size_t n) {
  static const char *const not [] = {"<unk>", "<s>", "<|endoftext|>"};
  const char *arch;
  size_t n_arch = 0;
  if (nb_gguf_string(r->g, "general.architecture", NB_GGUF_OPTIONAL, &arch, &n_arch, NULL) != NB_OK) return 0;
  if (n_arch != 4 || memcmp(arch, "phi3", 4)) return 0;
  if (r->pre && r->pre->pattern != cl100k && r->pre->pattern != o200k) return 0; /* some other family's tokenizer */
  if (r->pre && r->pre->pattern == cl100k) return NB_TOKEN_LSTRIP | NB_TOKEN_RSTRIP;
  for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
    if (strlen(not [i]) == n && !memcmp(not [i], text, n)) return 0;
  return NB_TOKEN_RSTRIP;
}

static unsigned flags_of(const reader *r, int type, const char *text, size_t n) {
  unsigned added = NB_TOKEN_ADDED | strips(r, text, n);
  switch (type) {
  case NB_GGUF_TOKEN_CONTROL: return added | NB_TOKEN_SPECIAL;
  case NB_GGUF_TOKEN_UNKNOWN: return added | NB_TOKEN_SPECIAL | NB_TOKEN_MODEL;
  case NB_GGUF_TOKEN_USER: return added;
  default: return NB_TOKEN_MODEL;
  }
}

static nb_status add_tokens(const reader *r, nb_tokenizer *t, nb_err *err) {
  nb_gguf_strings s = nb_gguf_strings_begin(r->tokens);
  const char *text;
  size_t n;
  for (size_t id = 0; nb_gguf_strings_next(&s, &text, &n); id++) {
    int type = type_of(r, id);
    if (!n || type == NB_GGUF_TOKEN_UNUSED) continue;              /* a number without a token */
    unsigned unknown = (int32_t)id == r->unk ? NB_TOKEN_MODEL : 0; /* whatever its type says */
    NB_TRY(nb_tokenizer_add_token(t, (int32_t)id, text, n, flags_of(r, type, text, n) | unknown, err));
  }
  return nb_tokenizer_index(t, err);
}

/* ---- merges ---- */

typedef struct made {
  int32_t left, right;
  float score;              /* of the joined token */
  uint16_t n_left, n_right; /* characters */
  uint32_t order;           /* in which they were found */
} made;

typedef struct merges {
  made *m;
  size_t n, cap;
} merges;

static size_t characters(const char *s, size_t n) {
  size_t k = 0;
  for (size_t i = 0; i < n; i++) k += ((unsigned char)s[i] & 0xc0) != 0x80;
  return k;
}

static int by_ids(const void *a, const void *b) {
  const made *x = a, *y = b;
  if (x->left != y->left) return x->left < y->left ? -1 : 1;
  return (x->right > y->right) - (x->right < y->right);
}

/* transformers sorts by (score, length of the left side, length of the right side), the largest first, and leaves equal
 * ones in the order in which it found them. */
static int by_score(const void *a, const void *b) {
  const made *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  if (x->n_left != y->n_left) return x->n_left > y->n_left ? -1 : 1;
  if (x->n_right != y->n_right) return x->n_right > y->n_right ? -1 : 1;
  return (x->order > y->order) - (x->order < y->order);
}

/* Whether a token takes part in merges. Added ones are found in the text before anything is merged. */
static bool merges_with(const reader *r, int32_t id) {
  int type = id < 0 ? NB_GGUF_TOKEN_UNUSED : type_of(r, (size_t)id);
  return (type == NB_GGUF_TOKEN_NORMAL || type == NB_GGUF_TOKEN_BYTE) && id != r->unk;
}

/* Every way to cut each token into two others, as transformers' generate_merges finds them. */
static nb_status make_merges(const reader *r, const nb_tokenizer *t, merges *out, nb_err *err) {
  nb_gguf_strings s = nb_gguf_strings_begin(r->tokens);
  const char *text;
  size_t n;
  uint64_t work = 0;
  for (size_t id = 0; nb_gguf_strings_next(&s, &text, &n); id++) {
    float score = (float)nb_gguf_number(r->scores, id);
    size_t first = out->n;
    if (!isfinite(score)) return nb_fail(err, NB_ERR_FORMAT, "%s: the score of token %zu is not finite", r->path, id);
    if (!merges_with(r, (int32_t)id)) continue;
    work += (uint64_t)n * n;
    if (work > MAX_WORK)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: its tokens are too long to make merges of", r->path);
    for (size_t k = 1; k < n; k++) {
      if (((unsigned char)text[k] & 0xc0) == 0x80) continue;
      int32_t left = nb_tokenizer_find(t, text, k);
      int32_t right = merges_with(r, left) ? nb_tokenizer_find(t, text + k, n - k) : -1;
      if (!merges_with(r, right)) continue;
      NB_TRY(nb_grow(&out->m, &out->cap, out->n + 1, sizeof *out->m, err));
      out->m[out->n] = (made){.left = left,
                              .right = right,
                              .score = score,
                              .n_left = (uint16_t)characters(text, k),
                              .n_right = (uint16_t)characters(text + k, n - k)};
      out->n++;
    }
    if (out->n > first) qsort(out->m + first, out->n - first, sizeof *out->m, by_ids);
    for (size_t i = first; i < out->n; i++) out->m[i].order = (uint32_t)i;
    if (out->n > NB_MAX_MERGES)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: more than %d merges", r->path, NB_MAX_MERGES);
  }
  if (out->n) qsort(out->m, out->n, sizeof *out->m, by_score);
  return NB_OK;
}

/* A merge is "left right"; tokens of byte-level text have no spaces. */
static nb_status add_listed(const reader *r, const nb_gguf_value *v, nb_tokenizer *t, nb_err *err) {
  nb_gguf_strings s = nb_gguf_strings_begin(v);
  const char *text;
  size_t n;
  for (size_t i = 0; nb_gguf_strings_next(&s, &text, &n); i++) {
    const char *space = n > 1 ? memchr(text + 1, ' ', n - 1) : NULL;
    size_t k = space ? (size_t)(space - text) : 0;
    int32_t left = space ? nb_tokenizer_find(t, text, k) : -1;
    int32_t right = space ? nb_tokenizer_find(t, space + 1, n - k - 1) : -1;
    if (left < 0 || right < 0)
      return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu, \"%.*s\", is not two tokens with a space between them",
                     r->path, i, (int)nb_min(n, 60), text);
    NB_TRY(nb_tokenizer_add_merge(t, left, right, err));
  }
  return NB_OK;
}

/* Tokens and merges; *out may be set after a failure too. */
static nb_status read_model(const reader *r, nb_tokenizer **out, nb_err *err) {
  merges m = {0};
  nb_status st;
  if (r->spm) { /* merges can be found when tokens can, and the tokenizer wants their number before the tokens */
    nb_tokenizer *t = NULL;
    st = nb_tokenizer_new(r->tokens->n, 0, 0, &t, err);
    if (st == NB_OK) st = add_tokens(r, t, err);
    if (st == NB_OK) st = make_merges(r, t, &m, err);
    nb_tokenizer_free(t);
    if (st != NB_OK) goto fail;
    NB_GOTO(nb_tokenizer_new(r->tokens->n, m.n, NB_BPE_BYTE_FALLBACK | NB_BPE_FUSE_UNK, out, err));
    NB_GOTO(add_tokens(r, *out, err));
    for (size_t i = 0; i < m.n; i++) NB_GOTO(nb_tokenizer_add_merge(*out, m.m[i].left, m.m[i].right, err));
    if (r->unk >= 0) NB_GOTO(nb_tokenizer_set_unk(*out, r->unk, err));
  } else {
    const nb_gguf_value *v = nb_gguf_get(r->g, "tokenizer.ggml.merges");
    if (!v || !v->array || v->kind != NB_GGUF_STRING || v->n > NB_MAX_MERGES)
      return nb_fail(err, NB_ERR_FORMAT, "%s: no tokenizer.ggml.merges, or not 1 to %d texts", r->path, NB_MAX_MERGES);
    NB_GOTO(nb_tokenizer_new(r->tokens->n, v->n, r->pre->whole_words ? NB_BPE_IGNORE_MERGES : 0, out, err));
    NB_GOTO(add_tokens(r, *out, err));
    NB_GOTO(add_listed(r, v, *out, err));
  }
fail:
  free(m.m);
  return st;
}

/* ---- what stands around the model ---- */

static nb_status step(nb_tokenizer *t, nb_stage stage, nb_step s, nb_err *err) {
  if (s.pattern) s.n_pattern = strlen(s.pattern);
  if (s.content) s.n_content = strlen(s.content);
  return nb_tokenizer_add_step(t, stage, &s, err);
}

/* As transformers' LlamaConverter: spaces become U+2581, one before every text; and back. */
static nb_status spm_steps(const reader *r, nb_tokenizer *t, nb_err *err) {
  static const char blank[] = "\xe2\x96\x81";
  bool prefix = true;
  NB_TRY(nb_gguf_bool(r->g, "tokenizer.ggml.add_space_prefix", NB_GGUF_OPTIONAL, &prefix, err));
  if (prefix) NB_TRY(step(t, NB_STAGE_NORMALIZE, (nb_step){.kind = NB_STEP_PREPEND, .content = blank}, err));
  NB_TRY(step(t, NB_STAGE_NORMALIZE, (nb_step){.kind = NB_STEP_REPLACE, .pattern = " ", .content = blank}, err));
  NB_TRY(step(t, NB_STAGE_DECODE, (nb_step){.kind = NB_STEP_REPLACE, .pattern = blank, .content = " "}, err));
  NB_TRY(step(t, NB_STAGE_DECODE, (nb_step){.kind = NB_STEP_BYTE_FALLBACK}, err));
  NB_TRY(step(t, NB_STAGE_DECODE, (nb_step){.kind = NB_STEP_FUSE}, err));
  if (!prefix) return NB_OK;
  return step(t, NB_STAGE_DECODE, (nb_step){.kind = NB_STEP_STRIP_CHARS, .content = " ", .start = 1}, err);
}

static nb_status byte_level_steps(const reader *r, nb_tokenizer *t, nb_err *err) {
  const nb_gguf_pre *p = r->pre;
  unsigned prefix = 0;
  bool add = false;
  NB_TRY(nb_gguf_bool(r->g, "tokenizer.ggml.add_space_prefix", NB_GGUF_OPTIONAL, &add, err));
  if (add) prefix = NB_STEP_F_PREFIX_SPACE;
  if (p->nfc) NB_TRY(step(t, NB_STAGE_NORMALIZE, (nb_step){.kind = NB_STEP_NFC}, err));
  if (p->digits) NB_TRY(step(t, NB_STAGE_SPLIT, (nb_step){.kind = NB_STEP_DIGITS, .flags = NB_STEP_F_INDIVIDUAL}, err));
  if (p->pattern)
    NB_TRY(
        step(t, NB_STAGE_SPLIT,
             (nb_step){
                 .kind = NB_STEP_SPLIT, .pattern = p->pattern, .flags = NB_STEP_F_REGEX, .behavior = NB_SPLIT_ISOLATED},
             err));
  NB_TRY(step(t, NB_STAGE_SPLIT,
              (nb_step){.kind = NB_STEP_BYTE_LEVEL, .flags = prefix | (p->pattern ? 0 : NB_STEP_F_REGEX)}, err));
  return step(t, NB_STAGE_DECODE, (nb_step){.kind = NB_STEP_BYTE_LEVEL}, err);
}

static nb_status ends(const reader *r, nb_tokenizer *t, nb_err *err) {
  bool bos = r->spm || r->pre->add_bos, eos = false;
  const char *chat = NULL;
  size_t n = 0;
  NB_TRY(nb_gguf_bool(r->g, "tokenizer.ggml.add_bos_token", NB_GGUF_OPTIONAL, &bos, err));
  NB_TRY(nb_gguf_bool(r->g, "tokenizer.ggml.add_eos_token", NB_GGUF_OPTIONAL, &eos, err));
  NB_TRY(nb_tokenizer_set_template(t, &r->bos, bos && r->bos >= 0, &r->eos, eos && r->eos >= 0, err));
  NB_TRY(nb_gguf_string(r->g, "tokenizer.chat_template", NB_GGUF_OPTIONAL, &chat, &n, err));
  if (r->bos >= 0) NB_TRY(nb_tokenizer_set_named(t, "bos_token", sizeof "bos_token" - 1, r->bos, err));
  if (r->eos >= 0) NB_TRY(nb_tokenizer_set_named(t, "eos_token", sizeof "eos_token" - 1, r->eos, err));
  return chat ? nb_tokenizer_set_chat(t, chat, n, err) : NB_OK;
}

nb_status nb_gguf_tokenizer_read(const nb_gguf *g, nb_tokenizer **out, nb_err *err) {
  reader r = {.g = g, .path = g->shards[0].path, .bos = -1, .eos = -1, .unk = -1};
  nb_tokenizer *t = NULL;
  nb_status st;
  *out = NULL;
  NB_TRY(open_lists(&r, err));
  NB_GOTO(read_model(&r, &t, err));
  NB_GOTO(r.spm ? spm_steps(&r, t, err) : byte_level_steps(&r, t, err));
  NB_GOTO(ends(&r, t, err));
  NB_GOTO(nb_tokenizer_finish(t, err));
  *out = t;
  return NB_OK;
fail:
  nb_tokenizer_free(t);
  if (err && !strncmp(err->msg, r.path, strlen(r.path))) return st; /* names the file already */
  return nb_fail_in(err, st, "%s", r.path);
}

nb_status nb_gguf_tokenizer_open(const char *path, nb_tokenizer **out, nb_err *err) {
  nb_gguf g;
  *out = NULL;
  NB_TRY(nb_gguf_open(path, &g, err));
  nb_status st = nb_gguf_tokenizer_read(&g, out, err);
  nb_gguf_close(&g);
  return st;
}
