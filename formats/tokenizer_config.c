/* SPDX-License-Identifier: MIT */
#include "formats/tokenizer_config.h"
#include "formats/json.h"
#include "text/tokenizer_build.h"

#include <stdlib.h>

/* transformers' SPECIAL_TOKENS_ATTRIBUTES, in its order, which decides about ids. */
static const char *const standard[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};
enum { STANDARD = sizeof standard / sizeof *standard };

static const char decoder_key[] = "added_tokens_decoder", extra_key[] = "extra_special_tokens",
                  additional_key[] = "additional_special_tokens";

static nb_status parse_object(const nb_source *s, cJSON **out, nb_err *err) {
  if (!s->bytes) return NB_OK;
  NB_TRY(nb_json_parse(s->bytes, s->n, s->name, out, err));
  return cJSON_IsObject(*out) ? NB_OK : nb_fail(err, NB_ERR_FORMAT, "%s: it is no JSON object", s->name);
}

nb_status nb_tokenizer_config_parse(const nb_tokenizer_files *files, nb_tokenizer_config *out, nb_err *err) {
  *out = (nb_tokenizer_config){.files = files};
  NB_TRY(parse_object(&files->config, &out->config, err));
  if (out->config && nb_json_get(out->config, decoder_key)) return NB_OK;
  NB_TRY(parse_object(&files->map, &out->map, err));
  return parse_object(&files->added, &out->added, err);
}

void nb_tokenizer_config_free(nb_tokenizer_config *c) {
  cJSON_Delete(c->config);
  cJSON_Delete(c->map);
  cJSON_Delete(c->added);
}

size_t nb_tokenizer_config_most(const nb_tokenizer_config *c) {
  const cJSON *const all[] = {c->config, c->map, c->added};
  size_t n = 0;
  for (int i = 0; i < 3; i++)
    for (const cJSON *m = all[i] ? all[i]->child : NULL; m; m = m->next, n++)
      for (const cJSON *k = m->child; k; k = k->next) n++;
  return n;
}

nb_status nb_tokenizer_config_flags(const cJSON *token, const char *where, bool must, unsigned *flags, nb_err *err) {
  static const struct {
    const char *key;
    unsigned flag;
  } keys[] = {{"special", NB_TOKEN_SPECIAL}, /* the first, since normalized depends on it */
              {"single_word", NB_TOKEN_SINGLE_WORD},
              {"lstrip", NB_TOKEN_LSTRIP},
              {"rstrip", NB_TOKEN_RSTRIP},
              {"normalized", NB_TOKEN_NORMALIZED}};
  *flags = 0;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    bool on = keys[i].flag == NB_TOKEN_NORMALIZED && !(*flags & NB_TOKEN_SPECIAL);
    NB_TRY(must ? nb_json_bool(token, where, keys[i].key, &on, err)
                : nb_json_optional_bool(token, where, keys[i].key, &on, err));
    if (on) *flags |= keys[i].flag;
  }
  return NB_OK;
}

/* A token that the settings ask for. */
typedef struct wanted {
  const char *name, *text; /* of templates, or NULL; the token's */
  size_t id, order;        /* as stated, and how many came before, to sort by */
  unsigned flags;
  bool is_text, missing; /* given as a text, not an object; no added token has this text */
} wanted;

typedef struct wanted_list {
  wanted *v;
  size_t n, cap;
} wanted_list;

typedef struct settings {
  const nb_tokenizer_config *c;
  wanted_list decoder, named, extra;
} settings;

static nb_status push(wanted_list *l, wanted w, nb_err *err) {
  NB_TRY(nb_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, err));
  w.order = l->n;
  l->v[l->n++] = w;
  return NB_OK;
}

static const cJSON *member(const cJSON *obj, const char *key) { /* a null counts as there */
  return obj ? cJSON_GetObjectItemCaseSensitive(obj, key) : NULL;
}

/* A token that is a text or an object, "" for null. Texts are special, and so are all tokens of the map. */
static nb_status read_token(const cJSON *token, const char *where, bool of_map, const char *what, wanted *w,
                            nb_err *err) {
  w->is_text = cJSON_IsString(token);
  w->text = w->is_text ? token->valuestring : "";
  w->flags = NB_TOKEN_SPECIAL;
  if (!token || cJSON_IsNull(token) || cJSON_IsString(token)) return NB_OK;
  if (!cJSON_IsObject(token)) return nb_fail(err, NB_ERR_FORMAT, "%s: %s is neither a text nor a token", where, what);
  NB_TRY(nb_json_string(token, where, "content", &w->text, err));
  NB_TRY(nb_tokenizer_config_flags(token, where, false, &w->flags, err));
  if (!of_map) return NB_OK;
  if (!(w->flags & NB_TOKEN_SPECIAL) && !nb_json_get(token, "normalized")) w->flags &= ~(unsigned)NB_TOKEN_NORMALIZED;
  w->flags |= NB_TOKEN_SPECIAL;
  return NB_OK;
}

/* ---- names and extra tokens ---- */

static nb_status gather_name(settings *s, const cJSON *file, const char *name, const cJSON *token, nb_err *err) {
  const nb_tokenizer_files *f = s->c->files;
  bool of_map = file == s->c->map;
  wanted w = {.name = name};
  NB_TRY(read_token(token, of_map ? f->map.name : f->config.name, of_map, name, &w, err));
  if (!*w.text) return NB_OK;
  w.flags |= NB_TOKEN_SPECIAL;
  if (s->named.n == NB_MAX_NAMED)
    return nb_fail(err, NB_ERR_FORMAT, "%s: more than %d special tokens have names",
                   of_map ? f->map.name : f->config.name, NB_MAX_NAMED);
  return push(&s->named, w, err);
}

static bool is_standard(const char *key) {
  for (int i = 0; i < STANDARD; i++)
    if (!strcmp(key, standard[i])) return true;
  return false;
}

static bool is_own(const char *key) {
  size_t n = strlen(key);
  return n > 6 && !strcmp(key + n - 6, "_token") && !is_standard(key);
}

/* Tokens under names of the model's own: keys that end in _token, and an object of extra tokens. */
static nb_status gather_own(settings *s, const cJSON *file, nb_err *err) {
  for (const cJSON *c = file ? file->child : NULL; c; c = c->next)
    if (is_own(c->string) && (cJSON_IsString(c) || cJSON_IsObject(c))) NB_TRY(gather_name(s, file, c->string, c, err));
  const cJSON *extra = member(file, extra_key);
  for (const cJSON *c = cJSON_IsObject(extra) ? extra->child : NULL; c; c = c->next)
    NB_TRY(gather_name(s, file, c->string, c, err));
  return NB_OK;
}

static nb_status gather_names(settings *s, nb_err *err) {
  for (int i = 0; i < STANDARD; i++) {
    const cJSON *file = member(s->c->map, standard[i]) ? s->c->map : s->c->config;
    NB_TRY(gather_name(s, file, standard[i], member(file, standard[i]), err));
  }
  NB_TRY(gather_own(s, s->c->config, err));
  return gather_own(s, s->c->map, err);
}

static nb_status gather_list(settings *s, const cJSON *list, bool of_map, const char *what, nb_err *err) {
  const nb_tokenizer_files *f = s->c->files;
  for (const cJSON *c = cJSON_IsArray(list) ? list->child : NULL; c; c = c->next) {
    wanted w = {0};
    NB_TRY(read_token(c, of_map ? f->map.name : f->config.name, of_map, what, &w, err));
    if (*w.text) NB_TRY(push(&s->extra, w, err));
  }
  return NB_OK;
}

/* The lists that added_tokens.json looks at, and (`late`) the one that comes too late for it. */
static nb_status gather_extra(settings *s, bool late, nb_err *err) {
  const cJSON *extra = member(s->c->config, extra_key), *additional = member(s->c->config, additional_key);
  if (!(extra && extra->child) && additional) extra = additional;
  const cJSON *of_map = member(s->c->map, extra_key);
  if (late)
    return extra || of_map ? NB_OK : gather_list(s, member(s->c->map, additional_key), true, additional_key, err);
  NB_TRY(gather_list(s, extra, false, extra_key, err));
  return gather_list(s, of_map, true, extra_key, err);
}

/* ---- added tokens ---- */

static nb_status gather_decoder(settings *s, const cJSON *decoder, nb_err *err) {
  const char *where = s->c->files->config.name;
  if (!cJSON_IsObject(decoder)) return nb_fail(err, NB_ERR_FORMAT, "%s: %s is no object", where, decoder_key);
  for (const cJSON *c = decoder->child; c; c = c->next) {
    char *end;
    wanted w = {.id = strtoul(c->string, &end, 10)};
    if (c->string[0] < '0' || c->string[0] > '9' || *end || w.id >= NB_MAX_TOKENS)
      return nb_fail(err, NB_ERR_FORMAT, "%s: %s has the key \"%.60s\", which is no id", where, decoder_key, c->string);
    NB_TRY(nb_json_string(c, where, "content", &w.text, err));
    NB_TRY(nb_tokenizer_config_flags(c, where, false, &w.flags, err));
    NB_TRY(push(&s->decoder, w, err));
  }
  return NB_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* added_tokens.json, {"text": id, ...}: special where tokenizer_config.json says so. */
static nb_status gather_old(settings *s, nb_err *err) {
  const char **special;
  size_t n = 0;
  nb_status st = NB_OK;
  NB_TRY(nb_new(&special, s->extra.n + STANDARD, sizeof *special, "special tokens", err));
  for (size_t i = 0; i < s->extra.n; i++) special[n++] = s->extra.v[i].text;
  for (size_t i = 0; i < s->named.n && i < STANDARD; i++)
    if (is_standard(s->named.v[i].name)) special[n++] = s->named.v[i].text;
  qsort(special, n, sizeof *special, by_text);
  for (const cJSON *c = s->c->added->child; c; c = c->next) {
    wanted w = {.text = c->string};
    NB_GOTO(nb_json_as_size(c, s->c->files->added.name, "a token's id", 0, NB_MAX_TOKENS - 1, &w.id, err));
    w.flags = n && bsearch(&w.text, special, n, sizeof *special, by_text) ? NB_TOKEN_SPECIAL : NB_TOKEN_NORMALIZED;
    NB_GOTO(push(&s->decoder, w, err));
  }
fail:
  nb_free(special);
  return st;
}

static nb_status gather_json(settings *s, const cJSON *own, nb_err *err) {
  const char *where = s->c->files->json.name;
  for (const cJSON *c = own ? own->child : NULL; c; c = c->next) {
    wanted w = {0};
    NB_TRY(nb_json_string(c, where, "content", &w.text, err));
    NB_TRY(nb_json_size(c, where, "id", 0, NB_MAX_TOKENS - 1, &w.id, err));
    NB_TRY(nb_tokenizer_config_flags(c, where, true, &w.flags, err));
    NB_TRY(push(&s->decoder, w, err));
  }
  return NB_OK;
}

/* ---- all of it ---- */

/* The standard names take the flags that the added tokens, even those that lost their id to another, have for them. */
static void adopt_flags(settings *s) {
  for (size_t i = 0; i < s->named.n; i++)
    for (size_t k = s->decoder.n; k-- > 0 && is_standard(s->named.v[i].name);)
      if (!strcmp(s->named.v[i].text, s->decoder.v[k].text)) {
        s->named.v[i].flags = s->decoder.v[k].flags | NB_TOKEN_SPECIAL;
        s->named.v[i].is_text = false;
        break;
      }
}

static int by_id(const void *a, const void *b) {
  const wanted *x = a, *y = b;
  return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : (x->order > y->order) - (x->order < y->order);
}

static bool is_named(const settings *s, const char *text) {
  for (size_t i = 0; i < s->named.n; i++)
    if (!strcmp(s->named.v[i].text, text)) return true;
  return false;
}

static nb_status add(const settings *s, nb_tokenizer *t, const wanted *w, nb_err *err) {
  nb_status st =
      nb_tokenizer_add_next(t, w->text, strlen(w->text), w->flags | (is_named(s, w->text) ? NB_TOKEN_SPECIAL : 0), err);
  return st == NB_OK
             ? st
             : nb_fail_in(err, st, "%s", s->c->files->config.bytes ? s->c->files->config.name : s->c->files->json.name);
}

static int by_token(const void *a, const void *b) {
  const wanted *x = *(wanted *const *)a, *y = *(wanted *const *)b;
  int c = strcmp(x->text, y->text);
  if (c) return c;
  if (x->is_text != y->is_text) return x->is_text ? 1 : -1;
  return x->flags != y->flags ? (x->flags > y->flags) - (x->flags < y->flags)
                              : (x->order > y->order) - (x->order < y->order);
}

/* Adds those of the named and the extra tokens whose texts are missing before the first of them is added; one that is
 * asked for twice in the same way, as Python compares, only in its first place. */
static nb_status add_missing(settings *s, nb_tokenizer *t, nb_err *err) {
  size_t n = s->named.n + s->extra.n;
  wanted **sorted;
  nb_status st = NB_OK;
  NB_TRY(nb_tokenizer_index(t, err));
  NB_TRY(nb_new(&sorted, n ? 2 * n : 1, sizeof *sorted, "special tokens", err));
  wanted **all = sorted + n;
  for (size_t i = 0; i < n; i++) {
    wanted *w = i < s->named.n ? &s->named.v[i] : &s->extra.v[i - s->named.n];
    w->missing = !nb_tokenizer_is_added(t, nb_tokenizer_find(t, w->text, strlen(w->text)));
    w->order = i;
    sorted[i] = all[i] = w;
  }
  if (n) qsort(sorted, n, sizeof *sorted, by_token);
  for (size_t i = n; i-- > 1;)
    if (!strcmp(sorted[i]->text, sorted[i - 1]->text) && sorted[i]->is_text == sorted[i - 1]->is_text &&
        sorted[i]->flags == sorted[i - 1]->flags)
      sorted[i]->missing = false;
  for (size_t i = 0; i < n; i++)
    if (all[i]->missing) NB_GOTO(add(s, t, all[i], err));
fail:
  nb_free(sorted);
  return st;
}

static nb_status add_all(settings *s, nb_tokenizer *t, nb_err *err) {
  for (size_t i = 0; i < s->decoder.n; i++) /* of one id the last */
    if (i + 1 == s->decoder.n || s->decoder.v[i].id != s->decoder.v[i + 1].id) NB_TRY(add(s, t, &s->decoder.v[i], err));
  NB_TRY(add_missing(s, t, err));
  NB_TRY(nb_tokenizer_index(t, err));
  for (size_t i = 0; i < s->named.n; i++) {
    const wanted *w = &s->named.v[i];
    nb_status st = nb_tokenizer_set_named(t, w->name, strlen(w->name), nb_tokenizer_token_id(t, w->text), err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", s->c->files->config.name);
  }
  return NB_OK;
}

static nb_status apply_tokens(settings *s, const cJSON *own, nb_tokenizer *t, nb_err *err) {
  const cJSON *decoder = nb_json_get(s->c->config, decoder_key);
  NB_TRY(gather_names(s, err));
  NB_TRY(gather_extra(s, false, err));
  if (decoder) {
    NB_TRY(gather_decoder(s, decoder, err));
  } else {
    if (s->c->added) NB_TRY(gather_old(s, err));
    NB_TRY(gather_json(s, own, err));
  }
  NB_TRY(gather_extra(s, true, err));
  adopt_flags(s);
  if (s->decoder.n) qsort(s->decoder.v, s->decoder.n, sizeof *s->decoder.v, by_id);
  return add_all(s, t, err);
}

/* chat_template: a string, or [{"name": ..., "template": ...}, ...] of which "default" is taken, else the first. */
static nb_status set_chat(const nb_tokenizer_config *c, nb_tokenizer *t, nb_err *err) {
  const nb_source *jinja = &c->files->jinja;
  const char *where = c->files->config.name, *text = jinja->bytes, *name, *s;
  size_t n = jinja->n;
  if (!text) {
    const cJSON *v = nb_json_get(c->config, "chat_template");
    text = cJSON_IsString(v) ? v->valuestring : NULL;
    for (const cJSON *k = cJSON_IsArray(v) ? v->child : NULL; k; k = k->next) {
      NB_TRY(nb_json_string(k, where, "name", &name, err));
      NB_TRY(nb_json_string(k, where, "template", &s, err));
      if (!text || !strcmp(name, "default")) text = s;
    }
    n = text ? strlen(text) : 0;
  }
  nb_status st = text ? nb_tokenizer_set_chat(t, text, n, err) : NB_OK;
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", jinja->bytes ? jinja->name : where);
}

nb_status nb_tokenizer_config_apply(const nb_tokenizer_config *c, const cJSON *own, nb_tokenizer *t, nb_err *err) {
  settings s = {.c = c};
  bool split = false;
  nb_status st = apply_tokens(&s, own, t, err);
  free(s.decoder.v);
  free(s.named.v);
  free(s.extra.v);
  NB_TRY(st);
  if (c->config) NB_TRY(nb_json_optional_bool(c->config, c->files->config.name, "split_special_tokens", &split, err));
  if (split)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: split_special_tokens is not supported", c->files->config.name);
  return set_chat(c, t, err);
}
