/* SPDX-License-Identifier: MIT */
/* The compact form of a tokenizer; formats/FORMAT.md specifies it. Reading checks every value as reading a
 * tokenizer.json does, except that the joined text of a merge is compared by its length only. */
#include "text/tokenizer_impl.h"

/* Version 1 knew only the names bos_token and eos_token; it is still written where there are no others. */
enum { VERSION = 2 };
static const char magic[4] = {'N', 'B', 'T', 'K'};

/* ---- writing ---- */

static nb_status put_number(nb_text *out, size_t v, nb_err *err) {
  char b[10];
  size_t n = 0;
  for (; v >= 128; v >>= 7) b[n++] = (char)(v | 128);
  b[n++] = (char)v;
  return nb_text_append(out, b, n, err);
}

static nb_status put_string(nb_text *out, const char *s, size_t n, nb_err *err) {
  NB_TRY(put_number(out, n, err));
  return nb_text_append(out, s, n, err);
}

static nb_status put_step(nb_text *out, const nb_step *s, nb_err *err) {
  char head[3] = {(char)s->kind, (char)s->flags, (char)(s->behavior + 8 * s->prepend)};
  NB_TRY(nb_text_append(out, head, 3, err));
  NB_TRY(put_number(out, s->start, err));
  NB_TRY(put_number(out, s->stop, err));
  NB_TRY(put_string(out, s->pattern, s->n_pattern, err));
  return put_string(out, s->content, s->n_content, err);
}

static nb_status put_ids(nb_text *out, const nb_ids *ids, nb_err *err) {
  NB_TRY(put_number(out, ids->n, err));
  for (size_t i = 0; i < ids->n; i++) NB_TRY(put_number(out, (size_t)ids->id[i], err));
  return NB_OK;
}

static bool is_main(const char *name) { return !strcmp(name, "bos_token") || !strcmp(name, "eos_token"); }

/* The names that version 1 lacks. */
static nb_status put_named(nb_text *out, const nb_tokenizer *t, size_t n_others, nb_err *err) {
  NB_TRY(put_number(out, n_others, err));
  for (size_t i = 0; i < t->n_named; i++) {
    const named *k = &t->named[i];
    if (is_main(k->name)) continue;
    NB_TRY(put_string(out, k->name, strlen(k->name), err));
    NB_TRY(put_number(out, (size_t)k->id, err));
  }
  return NB_OK;
}

nb_status nb_tokenizer_save(const nb_tokenizer *t, nb_text *out, nb_err *err) {
  size_t n_others = 0;
  for (size_t i = 0; i < t->n_named; i++) n_others += !is_main(t->named[i].name);
  char head[2] = {n_others ? VERSION : 1, (char)t->bpe};
  NB_TRY(nb_text_append(out, magic, 4, err));
  NB_TRY(nb_text_append(out, head, 2, err));
  NB_TRY(put_number(out, t->n_ids, err));
  NB_TRY(put_number(out, t->n_merges, err));
  NB_TRY(put_number(out, (size_t)(t->unk + 1), err));
  NB_TRY(put_number(out, (size_t)(nb_tokenizer_bos(t) + 1), err));
  NB_TRY(put_number(out, (size_t)(nb_tokenizer_eos(t) + 1), err));
  for (size_t i = 0; i < t->n_ids; i++) {
    const token *k = &t->token[i];
    bool flagged = k->flags != NB_TOKEN_MODEL;
    char flags = (char)k->flags;
    NB_TRY(put_number(out, 2 * (size_t)k->n + flagged, err));
    if (flagged) NB_TRY(nb_text_append(out, &flags, 1, err));
    NB_TRY(nb_text_append(out, t->pool.s + k->at, k->n, err));
  }
  int64_t expected = 0;
  for (size_t i = 0; i < t->n_merges; i++) {
    const listed_merge *m = &t->merge_list[i];
    int64_t off = m->result - expected;
    NB_TRY(put_number(out, (size_t)m->left, err));
    NB_TRY(put_number(out, (size_t)m->right, err));
    NB_TRY(put_number(out, (size_t)(off < 0 ? -2 * off - 1 : 2 * off), err));
    expected = (int64_t)m->result + 1;
  }
  for (int stage = 0; stage < NB_STAGES; stage++) {
    NB_TRY(put_number(out, t->n_step[stage], err));
    for (size_t i = 0; i < t->n_step[stage]; i++) NB_TRY(put_step(out, &t->step[stage][i].s, err));
  }
  NB_TRY(put_ids(out, &t->before, err));
  NB_TRY(put_ids(out, &t->after, err));
  NB_TRY(put_string(out, t->chat.s, t->chat.n, err));
  return n_others ? put_named(out, t, n_others, err) : NB_OK;
}

/* ---- reading ---- */

/* What is left to read. After a failure every read gives zeros. */
typedef struct reader {
  const unsigned char *p, *end;
  bool failed;
} reader;

static size_t left(const reader *r) { return (size_t)(r->end - r->p); }

static const char *get_bytes(reader *r, size_t n) {
  if (r->failed || n > left(r)) {
    r->failed = true;
    return "";
  }
  r->p += n;
  return (const char *)(r->p - n);
}

static unsigned get_byte(reader *r) { return (unsigned char)*get_bytes(r, left(r) ? 1 : 2); }

static uint32_t get_number(reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    unsigned b = get_byte(r);
    v |= (uint64_t)(b & 127) << shift;
    if (b < 128) {
      if (v > UINT32_MAX) break;
      return (uint32_t)v;
    }
  }
  r->failed = true;
  return 0;
}

/* An id, never negative for a valid file; too large ones become -1, which no one accepts. */
static int32_t get_id(reader *r) {
  uint32_t v = get_number(r);
  return v <= INT32_MAX ? (int32_t)v : -1;
}

static const char *get_string(reader *r, size_t *n) {
  *n = get_number(r);
  const char *s = get_bytes(r, *n);
  if (r->failed) *n = 0;
  return s;
}

static nb_status cut_short(nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT,
                 "the tokenizer's bytes end early or hold an impossible number: the file is damaged");
}

static nb_status get_tokens(reader *r, size_t n_ids, nb_tokenizer *t, nb_err *err) {
  for (size_t id = 0; id < n_ids; id++) {
    uint32_t v = get_number(r);
    unsigned flags = v & 1 ? get_byte(r) : NB_TOKEN_MODEL;
    const char *s = get_bytes(r, v / 2);
    if (r->failed) return cut_short(err);
    if (flags == 0 && v / 2 == 0) continue;
    NB_TRY(nb_tokenizer_add_token(t, (int32_t)id, s, v / 2, flags, err));
  }
  return NB_OK;
}

/* Reads merges in batches, so that the slots they go to are fetched from memory all at once. */
static nb_status get_merges(reader *r, size_t n_merges, nb_tokenizer *t, nb_err *err) {
  listed_merge batch[64];
  int64_t expected = 0;
  NB_TRY(nb_tokenizer_index(t, err));
  for (size_t done = 0; done < n_merges;) {
    size_t n = nb_min(n_merges - done, 64);
    for (size_t i = 0; i < n; i++) {
      int32_t a = get_id(r), b = get_id(r);
      int64_t off = get_number(r), result = expected + (off & 1 ? -(off + 1) / 2 : off / 2);
      if (r->failed || result < 0 || result > INT32_MAX) return cut_short(err);
      batch[i] = (listed_merge){a, b, (int32_t)result};
      expected = result + 1;
      nb_tokenizer_merge_prefetch(t, a, b);
    }
    for (size_t i = 0; i < n; i++)
      NB_TRY(nb_tokenizer_add_merge_to(t, batch[i].left, batch[i].right, batch[i].result, err));
    done += n;
  }
  return NB_OK;
}

static nb_status get_steps(reader *r, nb_stage stage, nb_tokenizer *t, nb_err *err) {
  uint32_t n = get_number(r);
  for (uint32_t i = 0; i < n; i++) {
    nb_step s = {0};
    s.kind = (nb_step_kind)get_byte(r);
    s.flags = get_byte(r);
    unsigned b = get_byte(r);
    s.behavior = (nb_behavior)(b & 7);
    s.prepend = b >> 3;
    s.start = get_number(r);
    s.stop = get_number(r);
    s.pattern = get_string(r, &s.n_pattern);
    s.content = get_string(r, &s.n_content);
    if (r->failed) return cut_short(err);
    NB_TRY(nb_tokenizer_add_step(t, stage, &s, err));
  }
  return NB_OK;
}

static nb_status get_ids(reader *r, nb_ids *ids, nb_err *err) {
  uint32_t n = get_number(r);
  for (uint32_t i = 0; i < n && !r->failed; i++) NB_TRY(nb_ids_push(ids, get_id(r), err));
  return r->failed ? cut_short(err) : NB_OK;
}

static nb_status get_template(reader *r, nb_tokenizer *t, nb_err *err) {
  nb_ids before = {0}, after = {0};
  nb_status st;
  NB_GOTO(get_ids(r, &before, err));
  NB_GOTO(get_ids(r, &after, err));
  st = nb_tokenizer_set_template(t, before.id, before.n, after.id, after.n, err);
fail:
  nb_ids_free(&before);
  nb_ids_free(&after);
  return st;
}

static nb_status get_named(reader *r, nb_tokenizer *t, nb_err *err) {
  uint32_t count = get_number(r);
  for (uint32_t i = 0; i < count; i++) {
    size_t n;
    const char *name = get_string(r, &n);
    int32_t id = get_id(r);
    if (r->failed) return cut_short(err);
    NB_TRY(nb_tokenizer_set_named(t, name, n, id, err));
  }
  return NB_OK;
}

static nb_status get_all(reader *r, unsigned version, nb_tokenizer **out, nb_err *err) {
  unsigned flags = get_byte(r);
  uint32_t n_ids = get_number(r), n_merges = get_number(r);
  int32_t unk = get_id(r) - 1, bos = get_id(r) - 1, eos = get_id(r) - 1;
  /* a token takes at least one byte and a merge three: counts that lie do not reach an allocation */
  if (r->failed || n_ids > left(r) || n_merges > left(r) / 3 || flags > 7) return cut_short(err);
  NB_TRY(nb_tokenizer_new(n_ids, n_merges, flags, out, err));
  nb_tokenizer *t = *out;
  NB_TRY(get_tokens(r, n_ids, t, err));
  NB_TRY(get_merges(r, n_merges, t, err));
  if (unk != -1) NB_TRY(nb_tokenizer_set_unk(t, unk, err));
  for (int stage = 0; stage < NB_STAGES; stage++) NB_TRY(get_steps(r, (nb_stage)stage, t, err));
  NB_TRY(get_template(r, t, err));
  size_t n;
  const char *chat = get_string(r, &n);
  if (r->failed) return cut_short(err);
  NB_TRY(nb_tokenizer_set_chat(t, chat, n, err));
  if (bos != -1) NB_TRY(nb_tokenizer_set_named(t, "bos_token", 9, bos, err));
  if (eos != -1) NB_TRY(nb_tokenizer_set_named(t, "eos_token", 9, eos, err));
  if (version > 1) NB_TRY(get_named(r, t, err));
  if (r->failed) return cut_short(err);
  if (left(r)) return nb_fail(err, NB_ERR_FORMAT, "%zu bytes follow the tokenizer's end: the file is damaged", left(r));
  return nb_tokenizer_finish(t, err);
}

nb_status nb_tokenizer_load(const void *bytes, size_t n, nb_tokenizer **out, nb_err *err) {
  *out = NULL;
  reader r = {bytes, (const unsigned char *)bytes + n, false};
  if (n < 5 || memcmp(bytes, magic, 4)) return nb_fail(err, NB_ERR_FORMAT, "these bytes are not a tokenizer");
  unsigned version = r.p[4];
  if (version < 1 || version > VERSION)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "the tokenizer has format version %u, this nibble reads 1 to %d: convert the model "
                   "again, or use a newer nibble",
                   version, VERSION);
  r.p += 5;
  nb_tokenizer *t = NULL;
  nb_status st = get_all(&r, version, &t, err);
  if (st != NB_OK) {
    nb_tokenizer_free(t);
    return st;
  }
  *out = t;
  return NB_OK;
}
