/* SPDX-License-Identifier: MIT */
/* Text to ids. As in Hugging Face's library the text is first cut at the added tokens that are looked for
 * as they are; each rest is normalized and cut at those that are looked for normalized; each rest of that
 * goes through the pre-tokenizers and the merges. */
#include "text/tokenizer_impl.h"
#include "base/assert.h"
#include "base/utf8.h"

typedef struct encoding {
  const nb_tokenizer *t;
  unsigned flags;
  const char *text; /* valid UTF-8 */
  size_t part_at;   /* of the part being normalized */
  nb_text normal;   /* its normalized form */
  scratch s;
  nb_ids *out;
} encoding;

/* Called for a part of the text: an added token (id >= 0), or text between them. */
typedef nb_status (*part_fn)(encoding *j, size_t at, size_t n, int32_t id, nb_err *err);

/* The longest added token that text[at..n) begins with, or NULL. */
static const added *longest_at(const added_set *set, const char *text, size_t n, size_t at) {
  size_t low = 0, high = set->n;
  const added *best = NULL;
  for (size_t depth = 0; at + depth < n && low < high; depth++) {
    unsigned char c = (unsigned char)text[at + depth];
    size_t a = low, b = high; /* to the first whose byte at `depth` is not less than c */
    while (a < b) {
      size_t m = (a + b) / 2;
      const added *x = &set->item[m];
      if (x->n <= depth || (unsigned char)x->text[depth] < c) a = m + 1;
      else b = m;
    }
    low = a, b = high; /* to the first whose byte is greater */
    while (a < b) {
      size_t m = (a + b) / 2;
      if ((unsigned char)set->item[m].text[depth] <= c) a = m + 1;
      else b = m;
    }
    high = a;
    if (low < high && set->item[low].n == depth + 1) best = &set->item[low];
  }
  return best;
}

static bool word_before(const char *text, size_t at) {
  size_t k;
  return at > 0 && nb_utf8_is_word(nb_utf8_get(text + at - nb_utf8_back(text, at), &k));
}

static bool word_after(const char *text, size_t n, size_t at) {
  size_t k;
  return at < n && nb_utf8_is_word(nb_utf8_get(text + at, &k));
}

/* Cuts text at the added tokens of a set. */
static nb_status cut(encoding *j, const added_set *set, const char *text, size_t n, part_fn fn, nb_err *err) {
  size_t done = 0; /* up to here the text is dealt with */
  for (size_t i = 0; set->n && i < n;) {
    const added *a = set->first[(unsigned char)text[i]] ? longest_at(set, text, n, i) : NULL;
    if (!a) {
      i++;
      continue;
    }
    size_t start = i, stop = i + a->n, k;
    nb_assert(a->n >= 1 && stop <= n); /* what was stripped behind the one before may reach into this one */
    i = stop;
    unsigned f = j->t->token[a->id].flags;
    if ((f & NB_TOKEN_SPECIAL) && (j->flags & NB_ENCODE_PLAIN_SPECIAL)) continue;
    if ((f & NB_TOKEN_SINGLE_WORD) && (word_before(text, start) || word_after(text, n, stop))) continue;
    while ((f & NB_TOKEN_LSTRIP) && start > done) {
      size_t back = nb_utf8_back(text, start);
      if (!nb_utf8_is_space(nb_utf8_get(text + start - back, &k))) break;
      start -= back;
    }
    while ((f & NB_TOKEN_RSTRIP) && stop < n && nb_utf8_is_space(nb_utf8_get(text + stop, &k))) stop += k;
    if (done < start) NB_TRY(fn(j, done, start - done, -1, err));
    NB_TRY(fn(j, start, stop - start, a->id, err));
    done = stop;
  }
  return done < n ? fn(j, done, n - done, -1, err) : NB_OK;
}

static nb_status encode_normalized(encoding *j, size_t at, size_t n, int32_t id, nb_err *err) {
  scratch *s = &j->s;
  if (id >= 0) return nb_ids_push(j->out, id, err);
  nb_text_clear(&s->text);
  NB_TRY(nb_text_append(&s->text, j->normal.s + at, n, err));
  NB_TRY(nb_tokenizer_split(j->t, s, j->part_at + at == 0, err));
  for (size_t i = 0; i < s->list.n; i++)
    NB_TRY(nb_tokenizer_bpe(j->t, s, s->text.s + s->list.p[i].at, s->list.p[i].n, j->out, err));
  return NB_OK;
}

static nb_status encode_raw(encoding *j, size_t at, size_t n, int32_t id, nb_err *err) {
  scratch *s = &j->s;
  if (id >= 0) return nb_ids_push(j->out, id, err);
  nb_text_clear(&s->text);
  NB_TRY(nb_text_append(&s->text, j->text + at, n, err));
  NB_TRY(nb_tokenizer_normalize(j->t, s, err));
  nb_text t = j->normal;
  j->normal = s->text;
  s->text = t;
  j->part_at = at;
  return cut(j, &j->t->normal, j->normal.s, j->normal.n, encode_normalized, err);
}

bool nb_tokenizer_begun(const nb_tokenizer *t, const char *text, size_t n) {
  int32_t bos = nb_tokenizer_bos(t), first = bos < 0 ? nb_tokenizer_eos(t) : bos;
  size_t k = 0;
  const char *own = first < 0 ? NULL : nb_tokenizer_token_text(t, first, &k);
  return own && k && k <= n && !memcmp(text, own, k);
}

nb_status nb_tokenizer_encode(const nb_tokenizer *t, const char *text, size_t n_bytes, unsigned flags, nb_ids *out,
                              nb_err *err) {
  encoding j = {.t = t, .flags = flags, .text = text, .out = out};
  nb_text repaired = {0};
  nb_status st = NB_OK;
  if (nb_utf8_valid_prefix(text, n_bytes) != n_bytes) {
    NB_GOTO(nb_utf8_repair(text, n_bytes, &repaired, err));
    j.text = repaired.s;
    n_bytes = repaired.n;
  }
  j.s.most = nb_tokenizer_most(n_bytes);
  for (size_t i = 0; i < t->before.n && (flags & NB_ENCODE_ADD_SPECIAL); i++)
    NB_GOTO(nb_ids_push(out, t->before.id[i], err));
  NB_GOTO(cut(&j, &t->raw, j.text, n_bytes, encode_raw, err));
  for (size_t i = 0; i < t->after.n && (flags & NB_ENCODE_ADD_SPECIAL); i++)
    NB_GOTO(nb_ids_push(out, t->after.id[i], err));
fail:
  nb_text_free(&repaired);
  nb_text_free(&j.normal);
  nb_tokenizer_scratch_free(&j.s);
  return st;
}
