/* SPDX-License-Identifier: MIT */
/* Byte-pair encoding of one piece of text (Sennrich, Haddow and Birch, 2016: the pair with the lowest
 * rank is merged first, the leftmost of equal ones).
 *
 * A file of SentencePiece's kind has no pre-tokenizer, so that a whole text is one piece. But no merge can
 * cross the place between two characters x|y unless some merge has a left part that ends in x and a right
 * part that begins with y. Those pairs are kept as a set of hashed bits when the merges are added; a piece
 * is cut wherever the set says that nothing can cross, and the segments, then about a word each, are
 * encoded alone, with the same result. */
#include "text/tokenizer_impl.h"
#include "base/assert.h"
#include "base/utf8.h"

enum { SHORT = 48, NONE = -1 };

/* Merges a short segment by scanning for the best pair; the length after it. */
static size_t merge_short(const nb_tokenizer *t, int32_t *id, size_t n) {
  nb_assert(n >= 1 && n <= SHORT);
  const merge *best[SHORT]; /* the merge of id[i] and id[i + 1] */
  for (size_t i = 0; i + 1 < n; i++) best[i] = nb_tokenizer_merge_find(t, id[i], id[i + 1]);
  while (n > 1) {
    size_t at = n;
    uint32_t rank = UINT32_MAX;
    for (size_t i = 0; i + 1 < n; i++)
      if (best[i] && best[i]->rank < rank) rank = best[i]->rank, at = i;
    if (at == n) break;
    id[at] = best[at]->result;
    n--;
    memmove(id + at + 1, id + at + 2, (n - at - 1) * sizeof *id);
    if (at + 2 < n) memmove(best + at + 1, best + at + 2, (n - at - 2) * sizeof *best);
    if (at > 0) best[at - 1] = nb_tokenizer_merge_find(t, id[at - 1], id[at]);
    if (at + 1 < n) best[at] = nb_tokenizer_merge_find(t, id[at], id[at + 1]);
  }
  return n;
}

static void sift_down(heap_item *h, size_t n, size_t i) {
  heap_item x = h[i];
  for (size_t k; (k = 2 * i + 1) < n; i = k) {
    if (k + 1 < n && h[k + 1].key < h[k].key) k++;
    if (h[k].key >= x.key) break;
    h[i] = h[k];
  }
  h[i] = x;
}

/* Pushes the merge of the symbols at `at` and behind it, if there is one. The heap has room. */
static void push_pair(const nb_tokenizer *t, scratch *s, int32_t at) {
  const symbol *y = &s->sym[at];
  const merge *m = y->next < 0 ? NULL : nb_tokenizer_merge_find(t, y->id, s->sym[y->next].id);
  if (!m) return;
  heap_item x = {(uint64_t)m->rank << 32 | (uint32_t)at, m->result};
  size_t i = s->n_heap++;
  nb_assert(i < s->cap_heap);
  for (; i > 0 && s->heap[(i - 1) / 2].key > x.key; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = x;
}

/* Merges a long segment with a heap of pairs, O(n log n). Entries that became stale are recognised when
 * they come up. */
static nb_status merge_long(const nb_tokenizer *t, scratch *s, nb_ids *out, nb_err *err) {
  size_t n = s->n_seg;
  if (n > INT32_MAX / 4) return nb_fail(err, NB_ERR_ARG, "a text of more than 500 million characters");
  NB_TRY(nb_grow(&s->sym, &s->cap_sym, n, sizeof *s->sym, err));
  NB_TRY(nb_grow(&s->heap, &s->cap_heap, 3 * n, sizeof *s->heap, err)); /* n - 1, and at most 2 a merge */
  for (size_t i = 0; i < n; i++) s->sym[i] = (symbol){s->seg[i], (int32_t)i - 1, i + 1 < n ? (int32_t)i + 1 : -1};
  s->n_heap = 0;
  for (size_t i = 0; i + 1 < n; i++) push_pair(t, s, (int32_t)i);
  while (s->n_heap) {
    heap_item top = s->heap[0];
    s->heap[0] = s->heap[--s->n_heap];
    if (s->n_heap) sift_down(s->heap, s->n_heap, 0);
    int32_t at = (int32_t)(uint32_t)top.key;
    symbol *a = &s->sym[at];
    if (a->id < 0 || a->next < 0) continue;
    symbol *b = &s->sym[a->next];
    nb_assert(b->id >= 0 && b->prev == at); /* what is merged away is linked no more */
    const merge *m = nb_tokenizer_merge_find(t, a->id, b->id);
    if (!m || m->result != top.result) continue;
    a->id = m->result;
    b->id = NONE;
    a->next = b->next;
    if (a->next >= 0) s->sym[a->next].prev = at;
    if (a->prev >= 0) push_pair(t, s, a->prev);
    push_pair(t, s, at);
  }
  for (int32_t i = 0; i >= 0; i = s->sym[i].next) NB_TRY(nb_ids_push(out, s->sym[i].id, err));
  return NB_OK;
}

static nb_status flush(const nb_tokenizer *t, scratch *s, nb_ids *out, nb_err *err) {
  size_t n = s->n_seg;
  if (n > SHORT) {
    NB_TRY(merge_long(t, s, out, err));
  } else if (n) {
    n = merge_short(t, s->seg, n);
    NB_TRY(nb_grow(&out->id, &out->cap, out->n + n, sizeof *out->id, err));
    memcpy(out->id + out->n, s->seg, n * sizeof *out->id);
    out->n += n;
  }
  s->n_seg = 0;
  return NB_OK;
}

static nb_status add_symbol(scratch *s, int32_t id, nb_err *err) {
  if (s->n_seg == s->cap_seg) NB_TRY(nb_grow(&s->seg, &s->cap_seg, s->n_seg + 1, sizeof *s->seg, err));
  s->seg[s->n_seg++] = id;
  return NB_OK;
}

/* Adds the byte tokens of an unknown character; *done is false when the vocabulary lacks one of them. */
static nb_status add_bytes(const nb_tokenizer *t, scratch *s, const char *c, size_t n, bool *done, nb_err *err) {
  *done = false;
  for (size_t i = 0; i < n; i++)
    if (t->byte[(unsigned char)c[i]] < 0) return NB_OK;
  for (size_t i = 0; i < n; i++) NB_TRY(add_symbol(s, t->byte[(unsigned char)c[i]], err));
  *done = true;
  return NB_OK;
}

nb_status nb_tokenizer_bpe(const nb_tokenizer *t, scratch *s, const char *text, size_t n, nb_ids *out, nb_err *err) {
  if (t->bpe & NB_BPE_IGNORE_MERGES) {
    int32_t id = nb_tokenizer_find(t, text, n);
    if (id >= 0 && (t->token[id].flags & NB_TOKEN_MODEL)) return nb_ids_push(out, id, err);
  }
  bool unk = false;        /* an unknown token is waiting to be added */
  int64_t previous = NONE; /* the character before, when the vocabulary has it */
  s->n_seg = 0;
  for (size_t i = 0, k; i < n; i += k) {
    uint32_t cp = nb_utf8_get(text + i, &k);
    int32_t id = cp < DIRECT ? t->direct[cp] : nb_tokenizer_find(t, text + i, k);
    if (id >= 0 && cp >= DIRECT && !(t->token[id].flags & NB_TOKEN_MODEL)) id = NONE;
    if (id >= 0) {
      if (unk) NB_TRY(add_symbol(s, t->unk, err));
      unk = false;
      if (previous >= 0) {
        uint32_t bit = nb_tokenizer_cross_bit((uint32_t)previous, cp);
        if (!(t->cross[bit >> 6] >> (bit & 63) & 1)) NB_TRY(flush(t, s, out, err));
      }
      NB_TRY(add_symbol(s, id, err));
      previous = cp;
      continue;
    }
    previous = NONE;
    if (t->bpe & NB_BPE_BYTE_FALLBACK) {
      bool done;
      NB_TRY(add_bytes(t, s, text + i, k, &done, err));
      if (done) continue; /* an unknown token that waits goes on waiting, as in the original */
    }
    if (t->unk < 0) continue;
    if (unk && !(t->bpe & NB_BPE_FUSE_UNK)) NB_TRY(add_symbol(s, t->unk, err));
    unk = true;
  }
  if (unk) NB_TRY(add_symbol(s, t->unk, err));
  return flush(t, s, out, err);
}
