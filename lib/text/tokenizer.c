/* SPDX-License-Identifier: MIT */
/* The tables of a tokenizer: building, checking and looking up. */
#include "text/tokenizer_impl.h"
#include "base/assert.h"
#include "base/utf8.h"

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

nb_status nb_ids_push(nb_ids *ids, int32_t id, nb_err *err) {
  if (ids->n == ids->cap) NB_TRY(nb_grow(&ids->id, &ids->cap, ids->n + 1, sizeof *ids->id, err));
  ids->id[ids->n++] = id;
  return NB_OK;
}

void nb_ids_free(nb_ids *ids) {
  free(ids->id);
  *ids = (nb_ids){0};
}

/* The size, a power of two, of an open-addressing table that stays at most two thirds full. */
static size_t table_size(size_t n) {
  nb_assert(n <= SIZE_MAX / 4);
  size_t size = 16;
  while (size < n + n / 2) size *= 2;
  return size;
}

nb_status nb_tokenizer_new(size_t n_ids, size_t n_merges, unsigned bpe_flags, nb_tokenizer **out, nb_err *err) {
  *out = NULL;
  if (n_ids == 0) return nb_fail(err, NB_ERR_FORMAT, "the vocabulary is empty");
  if (n_ids > NB_MAX_TOKENS)
    return nb_fail(err, NB_ERR_FORMAT, "token id %zu is absurd: at most %d ids are supported", n_ids - 1,
                   NB_MAX_TOKENS);
  if (n_merges > NB_MAX_MERGES)
    return nb_fail(err, NB_ERR_FORMAT, "%zu merges are absurd: at most %d are supported", n_merges, NB_MAX_MERGES);
  nb_tokenizer *t;
  NB_TRY(nb_new(&t, 1, sizeof *t, "a tokenizer", err));
  t->bpe = bpe_flags;
  t->unk = -1;
  t->n_ids = n_ids;
  t->max_merges = n_merges;
  t->word_mask = table_size(n_ids) - 1;
  t->merge_mask = table_size(n_merges) - 1;
  nb_status st;
  NB_GOTO(nb_new(&t->token, n_ids, sizeof *t->token, "a vocabulary", err));
  NB_GOTO(nb_new(&t->word, t->word_mask + 1, sizeof *t->word, "a vocabulary index", err));
  NB_GOTO(nb_new(&t->merge, t->merge_mask + 1, sizeof *t->merge, "a table of merges", err));
  NB_GOTO(nb_new(&t->merge_list, n_merges, sizeof *t->merge_list, "a list of merges", err));
  NB_GOTO(nb_text_append(&t->pool, "", 0, err));
  NB_GOTO(nb_text_append(&t->chat, "", 0, err));
  memset(t->word, 0xff, (t->word_mask + 1) * sizeof *t->word);
  memset(t->merge, 0xff, (t->merge_mask + 1) * sizeof *t->merge);
  *out = t;
  return NB_OK;
fail:
  nb_tokenizer_free(t);
  return st;
}

void nb_tokenizer_free(nb_tokenizer *t) {
  if (!t) return;
  nb_free(t->token);
  nb_free(t->word);
  nb_free(t->merge);
  nb_free(t->merge_list);
  for (int k = 0; k < NB_STAGES; k++) {
    for (size_t i = 0; i < t->n_step[k]; i++) {
      free((char *)t->step[k][i].s.pattern);
      free((char *)t->step[k][i].s.content);
      nb_regex_free(t->step[k][i].regex);
    }
    free(t->step[k]);
  }
  nb_ids_free(&t->before);
  nb_ids_free(&t->after);
  nb_text_free(&t->pool);
  nb_text_free(&t->chat);
  free(t->named);
  nb_text_free(&t->normal_pool);
  free(t->raw.item);
  free(t->normal.item);
  nb_free(t);
}

/* The slot that holds the text of this hash, or the free one where it would go. */
static word_slot *find_word(const nb_tokenizer *t, uint64_t hash, const char *text, size_t n) {
  uint32_t tag = (uint32_t)(hash >> 32);
  for (size_t i = (size_t)hash & t->word_mask;; i = (i + 1) & t->word_mask) {
    word_slot *w = &t->word[i];
    if (w->id < 0) return w;
    if (w->tag != tag) continue;
    const token *k = &t->token[w->id];
    if (k->n == n && !memcmp(t->pool.s + k->at, text, n)) return w;
  }
}

int32_t nb_tokenizer_find(const nb_tokenizer *t, const char *text, size_t n) {
  return find_word(t, XXH3_64bits(text, n), text, n)->id;
}

/* Enters the tokens that wait into the index: their slots are fetched from memory all at once. */
nb_status nb_tokenizer_index(nb_tokenizer *t, nb_err *err) {
  uint64_t hash[WAITING];
  for (size_t i = 0; i < t->n_waiting; i++) {
    const token *k = &t->token[t->waiting[i]];
    hash[i] = XXH3_64bits(t->pool.s + k->at, k->n);
    __builtin_prefetch(&t->word[(size_t)hash[i] & t->word_mask], 1);
  }
  for (size_t i = 0; i < t->n_waiting; i++) {
    const token *k = &t->token[t->waiting[i]];
    word_slot *w = find_word(t, hash[i], t->pool.s + k->at, k->n);
    if (w->id >= 0)
      return nb_fail(err, NB_ERR_FORMAT, "token \"%.60s\" has two ids, %d and %d", t->pool.s + k->at, w->id,
                     t->waiting[i]);
    *w = (word_slot){(uint32_t)(hash[i] >> 32), t->waiting[i]};
  }
  t->n_waiting = 0;
  return NB_OK;
}

nb_status nb_tokenizer_add_token(nb_tokenizer *t, int32_t id, const char *text, size_t n, unsigned flags, nb_err *err) {
  int shown = (int)nb_min(n, 60);
  if (id < 0 || (size_t)id >= t->n_ids)
    return nb_fail(err, NB_ERR_FORMAT, "token \"%.*s\" has id %d, but ids go from 0 to %zu", shown, text, id,
                   t->n_ids - 1);
  if (n == 0 || n > NB_MAX_TOKEN_BYTES)
    return nb_fail(err, NB_ERR_FORMAT, "token %d has a text of %zu bytes: 1 to %d are supported", id, n,
                   NB_MAX_TOKEN_BYTES);
  if (!(flags & (NB_TOKEN_MODEL | NB_TOKEN_ADDED)) || flags > 127)
    return nb_fail(err, NB_ERR_FORMAT, "token %d has the invalid flags %u", id, flags);
  if (nb_utf8_valid_prefix(text, n) != n)
    return nb_fail(err, NB_ERR_FORMAT, "the text of token %d is not valid UTF-8", id);
  token *k = &t->token[id];
  if (k->flags) {
    if (k->n != n || memcmp(t->pool.s + k->at, text, n))
      return nb_fail(err, NB_ERR_FORMAT, "token id %d is given twice: to \"%.60s\" and to \"%.*s\"", id,
                     t->pool.s + k->at, shown, text);
    unsigned kept = flags & NB_TOKEN_ADDED ? k->flags & (NB_TOKEN_MODEL | NB_TOKEN_SPECIAL) : k->flags;
    t->n_model += (flags & ~kept & NB_TOKEN_MODEL) != 0;
    k->flags = (uint16_t)(kept | flags);
    return NB_OK;
  }
  if (t->pool.n > UINT32_MAX - n - 1) return nb_fail(err, NB_ERR_FORMAT, "the vocabulary's text exceeds 4 GiB");
  k->at = (uint32_t)t->pool.n;
  k->n = (uint16_t)n;
  k->flags = (uint16_t)flags;
  flags &NB_TOKEN_MODEL ? t->n_model++ : t->n_beyond++;
  NB_TRY(nb_text_append(&t->pool, text, n, err));
  NB_TRY(nb_text_append(&t->pool, "", 1, err));
  t->waiting[t->n_waiting++] = id;
  nb_assert(t->n_waiting <= WAITING);
  return t->n_waiting == WAITING ? nb_tokenizer_index(t, err) : NB_OK;
}

nb_status nb_tokenizer_add_next(nb_tokenizer *t, const char *text, size_t n, unsigned flags, nb_err *err) {
  if (n == 0) return NB_OK;
  NB_TRY(nb_tokenizer_index(t, err));
  int32_t id = nb_tokenizer_find(t, text, n);
  if (id >= 0) return nb_tokenizer_add_token(t, id, text, n, flags | NB_TOKEN_ADDED, err);
  size_t next = t->n_model + t->n_beyond;
  if (next < t->n_ids && t->token[next].flags)
    return nb_fail(
        err, NB_ERR_FORMAT,
        "the added token \"%.*s\" would get the next id, %zu, but that is \"%.60s\": the model's ids have holes",
        (int)nb_min(n, 60), text, next, t->pool.s + t->token[next].at);
  return nb_tokenizer_add_token(t, (int32_t)next, text, n, flags | NB_TOKEN_ADDED, err);
}

static size_t merge_slot(const nb_tokenizer *t, int32_t left, int32_t right) {
  uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
  return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & t->merge_mask;
}

const merge *nb_tokenizer_merge_find(const nb_tokenizer *t, int32_t left, int32_t right) {
  nb_assert(left >= 0); /* -1 would match free slots */
  for (size_t i = merge_slot(t, left, right);; i = (i + 1) & t->merge_mask) {
    const merge *m = &t->merge[i];
    if (m->left == left && m->right == right) return m;
    if (m->left < 0) return NULL;
  }
}

/* The token of the model with this id, or NULL. */
static const token *model_token(const nb_tokenizer *t, int32_t id) {
  return id >= 0 && (size_t)id < t->n_ids && (t->token[id].flags & NB_TOKEN_MODEL) ? &t->token[id] : NULL;
}

void nb_tokenizer_merge_prefetch(const nb_tokenizer *t, int32_t left, int32_t right) {
  if (model_token(t, left) && model_token(t, right)) __builtin_prefetch(&t->merge[merge_slot(t, left, right)], 1);
}

nb_status nb_tokenizer_add_merge_to(nb_tokenizer *t, int32_t left, int32_t right, int32_t result, nb_err *err) {
  size_t rank = t->n_merges, k;
  const token *a = model_token(t, left), *b = model_token(t, right), *c = model_token(t, result);
  if (rank >= t->max_merges) return nb_fail(err, NB_ERR_FORMAT, "there are more than %zu merges", t->max_merges);
  if (!a || !b)
    return nb_fail(err, NB_ERR_FORMAT, "merge %zu names token id %d, which the model's vocabulary does not have", rank,
                   a ? right : left);
  if (!c || c->n != a->n + b->n)
    return nb_fail(err, NB_ERR_FORMAT,
                   "merge %zu joins \"%.60s\" and \"%.60s\" to a token that the vocabulary does not have", rank,
                   t->pool.s + a->at, t->pool.s + b->at);
  size_t i = merge_slot(t, left, right);
  while (t->merge[i].left >= 0 && (t->merge[i].left != left || t->merge[i].right != right)) i = (i + 1) & t->merge_mask;
  t->merge[i] = (merge){left, right, result, (uint32_t)rank};
  t->merge_list[rank] = (listed_merge){left, right, result};
  nb_assert(t->n_merges < t->merge_mask); /* a search ends at a free slot */
  t->n_merges++;

  const char *text = t->pool.s + c->at; /* where the two meet in it: a's last character and b's first */
  size_t last = a->n - nb_utf8_back(text, a->n);
  uint32_t bit = nb_tokenizer_cross_bit(nb_utf8_get(text + last, &k), nb_utf8_get(text + a->n, &k));
  t->cross[bit >> 6] |= (uint64_t)1 << (bit & 63);
  return NB_OK;
}

nb_status nb_tokenizer_add_merge(nb_tokenizer *t, int32_t left, int32_t right, nb_err *err) {
  const token *a = model_token(t, left), *b = model_token(t, right);
  char joined[2 * NB_MAX_TOKEN_BYTES];
  NB_TRY(nb_tokenizer_index(t, err));
  if (!a || !b) return nb_tokenizer_add_merge_to(t, left, right, -1, err);
  memcpy(joined, t->pool.s + a->at, a->n);
  memcpy(joined + a->n, t->pool.s + b->at, b->n);
  return nb_tokenizer_add_merge_to(t, left, right, nb_tokenizer_find(t, joined, (size_t)a->n + b->n), err);
}

nb_status nb_tokenizer_set_unk(nb_tokenizer *t, int32_t id, nb_err *err) {
  if (id < 0 || (size_t)id >= t->n_ids || !(t->token[id].flags & NB_TOKEN_MODEL))
    return nb_fail(err, NB_ERR_FORMAT, "the unknown token has id %d, which the model's vocabulary does not have", id);
  t->unk = id;
  return NB_OK;
}

/* A NUL-terminated copy of n bytes; malloc's. */
static nb_status copy_bytes(const char *s, size_t n, const char **out, nb_err *err) {
  char *p = malloc(n + 1);
  *out = p;
  if (!p) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a string of %zu bytes", n);
  if (n) memcpy(p, s, n);
  p[n] = 0;
  return NB_OK;
}

static nb_status check_step(nb_stage stage, const nb_step *s, nb_err *err) {
  static const uint8_t stages[NB_STEP_KINDS] = {
      [NB_STEP_PREPEND] = 1,     [NB_STEP_REPLACE] = 5,    [NB_STEP_NFC] = 1,        [NB_STEP_NFD] = 1,
      [NB_STEP_NFKC] = 1,        [NB_STEP_NFKD] = 1,       [NB_STEP_LOWERCASE] = 1,  [NB_STEP_STRIP] = 1,
      [NB_STEP_SPLIT] = 2,       [NB_STEP_DIGITS] = 2,     [NB_STEP_WHITESPACE] = 2, [NB_STEP_WHITESPACE_SPLIT] = 2,
      [NB_STEP_PUNCTUATION] = 2, [NB_STEP_BYTE_LEVEL] = 7, [NB_STEP_METASPACE] = 6,  [NB_STEP_BYTE_FALLBACK] = 4,
      [NB_STEP_FUSE] = 4,        [NB_STEP_STRIP_CHARS] = 4};
  if ((unsigned)s->kind >= NB_STEP_KINDS || !(stages[s->kind] >> stage & 1))
    return nb_fail(err, NB_ERR_FORMAT, "step %d does not belong to stage %d of a tokenizer", (int)s->kind, (int)stage);
  if ((unsigned)s->behavior >= NB_SPLIT_BEHAVIORS || s->prepend >= NB_PREPENDS || s->flags > 127)
    return nb_fail(err, NB_ERR_FORMAT, "step %d of a tokenizer has a field out of range", (int)s->kind);
  if (nb_utf8_valid_prefix(s->pattern, s->n_pattern) != s->n_pattern ||
      nb_utf8_valid_prefix(s->content, s->n_content) != s->n_content)
    return nb_fail(err, NB_ERR_FORMAT, "a string of step %d of a tokenizer is not valid UTF-8", (int)s->kind);
  if (s->n_pattern > 1 << 16 || s->n_content > 1 << 10)
    return nb_fail(err, NB_ERR_FORMAT, "a string of step %d of a tokenizer is absurdly long", (int)s->kind);
  if (s->kind == NB_STEP_STRIP_CHARS || s->kind == NB_STEP_METASPACE) {
    size_t k = 0;
    if (s->n_content) nb_utf8_get(s->content, &k);
    if (!k || k != s->n_content)
      return nb_fail(err, NB_ERR_FORMAT, "step %d of a tokenizer needs one character as its content", (int)s->kind);
  }
  return NB_OK;
}

/* GPT-2's pre-tokenizer (github.com/openai/gpt-2, src/encoder.py). */
static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

nb_status nb_tokenizer_add_step(nb_tokenizer *t, nb_stage stage, const nb_step *s, nb_err *err) {
  NB_TRY(check_step(stage, s, err));
  if (t->n_step[stage] >= NB_MAX_STEPS)
    return nb_fail(err, NB_ERR_FORMAT, "a tokenizer with more than %d steps in a stage", NB_MAX_STEPS);
  NB_TRY(nb_grow(&t->step[stage], &t->cap_step[stage], t->n_step[stage] + 1, sizeof **t->step, err));
  step *k = &t->step[stage][t->n_step[stage]++];
  *k = (step){.s = *s};
  k->s.pattern = k->s.content = NULL;
  NB_TRY(copy_bytes(s->pattern, s->n_pattern, &k->s.pattern, err));
  NB_TRY(copy_bytes(s->content, s->n_content, &k->s.content, err));
  if (s->kind == NB_STEP_REPLACE || s->kind == NB_STEP_SPLIT)
    return nb_regex_new(k->s.pattern, s->n_pattern, s->flags & NB_STEP_F_REGEX, &k->regex, err);
  if (s->kind == NB_STEP_METASPACE) return nb_regex_new(k->s.content, s->n_content, false, &k->regex, err);
  if (s->kind == NB_STEP_BYTE_LEVEL && stage == NB_STAGE_SPLIT && (s->flags & NB_STEP_F_REGEX))
    return nb_regex_new(gpt2_pattern, sizeof gpt2_pattern - 1, true, &k->regex, err);
  if (s->kind == NB_STEP_WHITESPACE) return nb_regex_new("\\w+|[^\\w\\s]+", 12, true, &k->regex, err);
  return NB_OK;
}

nb_status nb_tokenizer_set_template(nb_tokenizer *t, const int32_t *before, size_t n_before, const int32_t *after,
                                    size_t n_after, nb_err *err) {
  t->before.n = t->after.n = 0;
  if (n_before + n_after > NB_MAX_TEMPLATE)
    return nb_fail(err, NB_ERR_FORMAT, "the post-processor's template adds more than %d tokens to a text",
                   NB_MAX_TEMPLATE);
  for (size_t i = 0; i < n_before + n_after; i++) {
    int32_t id = i < n_before ? before[i] : after[i - n_before];
    if (id < 0 || (size_t)id >= t->n_ids || !t->token[id].flags)
      return nb_fail(err, NB_ERR_FORMAT, "the post-processor's template names token id %d, which does not exist", id);
    NB_TRY(nb_ids_push(i < n_before ? &t->before : &t->after, id, err));
  }
  return NB_OK;
}

nb_status nb_tokenizer_set_named(nb_tokenizer *t, const char *name, size_t n, int32_t id, nb_err *err) {
  if (n == 0 || n > NB_MAX_NAME || memchr(name, 0, n) || nb_utf8_valid_prefix(name, n) != n)
    return nb_fail(err, NB_ERR_FORMAT, "a token's name has %zu bytes: 1 to %d of text are supported", n, NB_MAX_NAME);
  if (id < 0 || (size_t)id >= t->n_ids || !t->token[id].flags)
    return nb_fail(err, NB_ERR_FORMAT, "\"%.*s\" is token id %d, which does not exist", (int)n, name, id);
  size_t i = 0;
  while (i < t->n_named && (strlen(t->named[i].name) != n || memcmp(t->named[i].name, name, n))) i++;
  if (i == NB_MAX_NAMED) return nb_fail(err, NB_ERR_FORMAT, "more than %d tokens have names", NB_MAX_NAMED);
  if (i == t->n_named) {
    NB_TRY(nb_grow(&t->named, &t->cap_named, i + 1, sizeof *t->named, err));
    t->named[t->n_named++] = (named){{0}, -1};
    memcpy(t->named[i].name, name, n);
  }
  t->named[i].id = id;
  return NB_OK;
}

nb_status nb_tokenizer_set_chat(nb_tokenizer *t, const char *chat, size_t n, nb_err *err) {
  if (memchr(chat ? chat : "", 0, chat ? n : 0) || nb_utf8_valid_prefix(chat, n) != n)
    return nb_fail(err, NB_ERR_FORMAT, "the chat template is not valid text");
  nb_text_clear(&t->chat);
  return nb_text_append(&t->chat, chat, n, err);
}

static int compare_added(const void *a, const void *b) {
  const added *x = a, *y = b;
  int c = memcmp(x->text, y->text, nb_min(x->n, y->n));
  return c ? c : (x->n > y->n) - (x->n < y->n);
}

/* Gathers the added tokens that are looked for in raw, or in normalized, text. */
static nb_status gather_added(nb_tokenizer *t, bool normalized, nb_err *err) {
  added_set *set = normalized ? &t->normal : &t->raw;
  size_t cap = 0;
  scratch s = {.most = nb_tokenizer_most(t->pool.n)};
  nb_status st = NB_OK;
  for (size_t id = 0; id < t->n_ids; id++) {
    const token *k = &t->token[id];
    if (!(k->flags & NB_TOKEN_ADDED) || normalized != !!(k->flags & NB_TOKEN_NORMALIZED)) continue;
    NB_GOTO(nb_grow(&set->item, &cap, set->n + 1, sizeof *set->item, err));
    added *a = &set->item[set->n];
    *a = (added){NULL, k->n, (int32_t)id};
    if (normalized) {
      nb_text_clear(&s.text);
      NB_GOTO(nb_text_append(&s.text, t->pool.s + k->at, k->n, err));
      NB_GOTO(nb_tokenizer_normalize(t, &s, err));
      if (s.text.n == 0 || s.text.n > UINT16_MAX) continue; /* nothing can match it */
      a->n = (uint32_t)s.text.n;
      NB_GOTO(nb_text_append(&t->normal_pool, s.text.s, s.text.n, err));
    }
    set->n++;
  }
  size_t at = 0;
  for (size_t i = 0; i < set->n; i++) {
    added *a = &set->item[i];
    a->text = normalized ? t->normal_pool.s + at : t->pool.s + t->token[a->id].at;
    at += a->n;
    set->first[(unsigned char)a->text[0]] = true;
  }
  nb_assert(!normalized || at == t->normal_pool.n);
  if (set->n) qsort(set->item, set->n, sizeof *set->item, compare_added);
  for (size_t i = 1; i < set->n; i++)
    if (!compare_added(&set->item[i - 1], &set->item[i])) {
      st = nb_fail(err, NB_ERR_FORMAT, "added tokens %d and %d are the same text once normalized", set->item[i - 1].id,
                   set->item[i].id);
      break;
    }
fail:
  nb_tokenizer_scratch_free(&s);
  return st;
}

nb_status nb_tokenizer_finish(nb_tokenizer *t, nb_err *err) {
  NB_TRY(nb_tokenizer_index(t, err));
  while (t->n_ids && !t->token[t->n_ids - 1].flags) t->n_ids--;
  for (uint32_t cp = 0; cp < DIRECT; cp++) t->direct[cp] = -1;
  for (size_t id = 0; id < t->n_ids; id++) {
    const token *k = &t->token[id];
    if (!(k->flags & NB_TOKEN_MODEL) || k->n > 3) continue;
    size_t n;
    uint32_t cp = nb_utf8_get(t->pool.s + k->at, &n);
    if (n == k->n && cp < DIRECT) t->direct[cp] = (int32_t)id;
  }
  for (unsigned b = 0; b < 256; b++) {
    char name[8];
    int n = snprintf(name, sizeof name, "<0x%02X>", b);
    int32_t id = nb_tokenizer_find(t, name, (size_t)n);
    t->byte[b] = id >= 0 && (t->token[id].flags & NB_TOKEN_MODEL) ? id : -1;
  }
  NB_TRY(gather_added(t, false, err));
  return gather_added(t, true, err);
}

size_t nb_tokenizer_n_vocab(const nb_tokenizer *t) { return t->n_ids; }
size_t nb_tokenizer_bytes(const nb_tokenizer *t) {
  return sizeof *t + t->n_ids * sizeof *t->token + t->pool.cap + (t->word_mask + 1) * sizeof *t->word +
         (t->merge_mask + 1) * sizeof *t->merge + t->max_merges * sizeof *t->merge_list +
         (t->raw.n + t->normal.n) * sizeof(added) + t->normal_pool.cap + t->chat.cap;
}

size_t nb_tokenizer_n_model(const nb_tokenizer *t) {
  size_t n = t->n_ids;
  while (n && !(t->token[n - 1].flags & NB_TOKEN_MODEL)) n--;
  return n;
}

int32_t nb_tokenizer_token_id(const nb_tokenizer *t, const char *text) {
  return nb_tokenizer_find(t, text, strlen(text));
}

const char *nb_tokenizer_token_text(const nb_tokenizer *t, int32_t id, size_t *n_bytes) {
  if (id < 0 || (size_t)id >= t->n_ids || !t->token[id].flags) return NULL;
  if (n_bytes) *n_bytes = t->token[id].n;
  return t->pool.s + t->token[id].at;
}

bool nb_tokenizer_is_special(const nb_tokenizer *t, int32_t id) {
  return id >= 0 && (size_t)id < t->n_ids && (t->token[id].flags & NB_TOKEN_SPECIAL);
}

const char *nb_tokenizer_name(const nb_tokenizer *t, size_t i, int32_t *id) {
  if (i >= t->n_named) return NULL;
  *id = t->named[i].id;
  return t->named[i].name;
}

int32_t nb_tokenizer_named(const nb_tokenizer *t, const char *name) {
  for (size_t i = 0; i < t->n_named; i++)
    if (!strcmp(t->named[i].name, name)) return t->named[i].id;
  return -1;
}

bool nb_tokenizer_is_added(const nb_tokenizer *t, int32_t id) {
  return id >= 0 && (size_t)id < t->n_ids && (t->token[id].flags & NB_TOKEN_ADDED);
}

int32_t nb_tokenizer_bos(const nb_tokenizer *t) { return nb_tokenizer_named(t, "bos_token"); }
int32_t nb_tokenizer_eos(const nb_tokenizer *t) { return nb_tokenizer_named(t, "eos_token"); }
const char *nb_tokenizer_chat_template(const nb_tokenizer *t) { return t->chat.s; }
