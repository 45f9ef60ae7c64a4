/* SPDX-License-Identifier: MIT */
#include "formats/tokenizer_json.h"
#include "formats/json.h"
#include "text/tokenizer_build.h"

enum { MAX_NESTED = 8 };

static nb_status unsupported(const char *where, const char *what, const char *name, nb_err *err) {
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: the %s \"%s\" is not supported; nibble reads the byte-pair tokenizers of "
                 "the Phi, Llama, Mistral, Qwen, Gemma and SmolLM families",
                 where, what, name);
}

/* ---- steps ---- */

/* A pattern is {"String": "..."} or {"Regex": "..."}. */
static nb_status read_pattern(const cJSON *obj, const char *where, nb_step *s, nb_err *err) {
  const cJSON *p;
  NB_TRY(nb_json_object(obj, where, "pattern", &p, err));
  const char *text = NULL, *regex = NULL;
  NB_TRY(nb_json_optional_string(p, where, "String", &text, err));
  NB_TRY(nb_json_optional_string(p, where, "Regex", &regex, err));
  if (!text == !regex) return nb_fail(err, NB_ERR_FORMAT, "%s: a pattern needs either \"String\" or \"Regex\"", where);
  s->pattern = text ? text : regex;
  s->n_pattern = strlen(s->pattern);
  if (regex) s->flags |= NB_STEP_F_REGEX;
  return NB_OK;
}

static nb_status read_content(const cJSON *obj, const char *where, const char *key, nb_step *s, nb_err *err) {
  NB_TRY(nb_json_string(obj, where, key, &s->content, err));
  s->n_content = strlen(s->content);
  return NB_OK;
}

static nb_status read_flag(const cJSON *obj, const char *where, const char *key, bool otherwise, unsigned flag,
                           nb_step *s, nb_err *err) {
  bool on = otherwise;
  NB_TRY(nb_json_optional_bool(obj, where, key, &on, err));
  if (on) s->flags |= flag;
  return NB_OK;
}

static nb_status read_behavior(const cJSON *obj, const char *where, nb_step *s, nb_err *err) {
  static const char *const names[NB_SPLIT_BEHAVIORS] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext",
                                                        "Contiguous"};
  const char *name = "Isolated";
  NB_TRY(nb_json_optional_string(obj, where, "behavior", &name, err));
  for (int i = 0; i < NB_SPLIT_BEHAVIORS; i++)
    if (!strcmp(name, names[i])) return s->behavior = (nb_behavior)i, NB_OK;
  return unsupported(where, "behavior", name, err);
}

static nb_status read_metaspace(const cJSON *obj, const char *where, nb_step *s, nb_err *err) {
  static const char *const names[NB_PREPENDS] = {"always", "first", "never"};
  const char *scheme = NULL;
  bool prefix = true;
  NB_TRY(read_content(obj, where, "replacement", s, err));
  NB_TRY(nb_json_optional_string(obj, where, "prepend_scheme", &scheme, err));
  NB_TRY(nb_json_optional_bool(obj, where, "add_prefix_space", &prefix, err));
  if (!scheme) scheme = prefix ? "always" : "never";
  if (!prefix && strcmp(scheme, "never"))
    return nb_fail(err, NB_ERR_FORMAT, "%s: add_prefix_space is false but prepend_scheme is \"%s\"", where, scheme);
  NB_TRY(read_flag(obj, where, "split", true, NB_STEP_F_SPLIT, s, err));
  for (unsigned i = 0; i < NB_PREPENDS; i++)
    if (!strcmp(scheme, names[i])) return s->prepend = i, NB_OK;
  return unsupported(where, "prepend_scheme", scheme, err);
}

typedef struct step_name {
  const char *name;
  nb_stage stage;
  nb_step_kind kind;
} step_name;

static const step_name step_names[] = {
    {"Prepend", NB_STAGE_NORMALIZE, NB_STEP_PREPEND},
    {"Replace", NB_STAGE_NORMALIZE, NB_STEP_REPLACE},
    {"NFC", NB_STAGE_NORMALIZE, NB_STEP_NFC},
    {"NFD", NB_STAGE_NORMALIZE, NB_STEP_NFD},
    {"NFKC", NB_STAGE_NORMALIZE, NB_STEP_NFKC},
    {"NFKD", NB_STAGE_NORMALIZE, NB_STEP_NFKD},
    {"Lowercase", NB_STAGE_NORMALIZE, NB_STEP_LOWERCASE},
    {"Strip", NB_STAGE_NORMALIZE, NB_STEP_STRIP},
    {"ByteLevel", NB_STAGE_NORMALIZE, NB_STEP_BYTE_LEVEL},
    {"Split", NB_STAGE_SPLIT, NB_STEP_SPLIT},
    {"Digits", NB_STAGE_SPLIT, NB_STEP_DIGITS},
    {"Whitespace", NB_STAGE_SPLIT, NB_STEP_WHITESPACE},
    {"WhitespaceSplit", NB_STAGE_SPLIT, NB_STEP_WHITESPACE_SPLIT},
    {"Punctuation", NB_STAGE_SPLIT, NB_STEP_PUNCTUATION},
    {"ByteLevel", NB_STAGE_SPLIT, NB_STEP_BYTE_LEVEL},
    {"Metaspace", NB_STAGE_SPLIT, NB_STEP_METASPACE},
    {"Replace", NB_STAGE_DECODE, NB_STEP_REPLACE},
    {"ByteFallback", NB_STAGE_DECODE, NB_STEP_BYTE_FALLBACK},
    {"Fuse", NB_STAGE_DECODE, NB_STEP_FUSE},
    {"Strip", NB_STAGE_DECODE, NB_STEP_STRIP_CHARS},
    {"ByteLevel", NB_STAGE_DECODE, NB_STEP_BYTE_LEVEL},
    {"Metaspace", NB_STAGE_DECODE, NB_STEP_METASPACE},
};

static nb_status read_fields(const cJSON *obj, const char *where, nb_stage stage, nb_step *s, nb_err *err) {
  size_t n = 0;
  switch (s->kind) {
  case NB_STEP_PREPEND: return read_content(obj, where, "prepend", s, err);
  case NB_STEP_REPLACE: NB_TRY(read_pattern(obj, where, s, err)); return read_content(obj, where, "content", s, err);
  case NB_STEP_STRIP:
    NB_TRY(read_flag(obj, where, "strip_left", false, NB_STEP_F_LEFT, s, err));
    return read_flag(obj, where, "strip_right", false, NB_STEP_F_RIGHT, s, err);
  case NB_STEP_SPLIT:
    NB_TRY(read_pattern(obj, where, s, err));
    NB_TRY(read_flag(obj, where, "invert", false, NB_STEP_F_INVERT, s, err));
    return read_behavior(obj, where, s, err);
  case NB_STEP_DIGITS: return read_flag(obj, where, "individual_digits", false, NB_STEP_F_INDIVIDUAL, s, err);
  case NB_STEP_PUNCTUATION: return read_behavior(obj, where, s, err);
  case NB_STEP_BYTE_LEVEL:
    if (stage != NB_STAGE_SPLIT) return NB_OK;
    NB_TRY(read_flag(obj, where, "add_prefix_space", true, NB_STEP_F_PREFIX_SPACE, s, err));
    return read_flag(obj, where, "use_regex", true, NB_STEP_F_REGEX, s, err);
  case NB_STEP_METASPACE: return read_metaspace(obj, where, s, err);
  case NB_STEP_STRIP_CHARS:
    NB_TRY(read_content(obj, where, "content", s, err));
    NB_TRY(nb_json_size(obj, where, "start", 0, 1 << 20, &n, err));
    s->start = (uint32_t)n;
    NB_TRY(nb_json_size(obj, where, "stop", 0, 1 << 20, &n, err));
    s->stop = (uint32_t)n;
    return NB_OK;
  default: return NB_OK;
  }
}

/* Adds the steps of obj, which may be a sequence; `list` is the key of a sequence's steps. */
static nb_status read_steps(const cJSON *obj, const char *where, nb_stage stage, const char *list, int depth,
                            nb_tokenizer *t, nb_err *err) {
  if (!obj) return NB_OK;
  if (depth > MAX_NESTED) return nb_fail(err, NB_ERR_FORMAT, "%s: sequences are nested too deeply", where);
  const char *type;
  NB_TRY(nb_json_string(obj, where, "type", &type, err));
  if (!strcmp(type, "Sequence")) {
    const cJSON *a;
    NB_TRY(nb_json_array(obj, where, list, &a, err));
    for (const cJSON *c = a->child; c; c = c->next) NB_TRY(read_steps(c, where, stage, list, depth + 1, t, err));
    return NB_OK;
  }
  for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++) {
    if (step_names[i].stage != stage || strcmp(step_names[i].name, type)) continue;
    nb_step s = {.kind = step_names[i].kind};
    NB_TRY(read_fields(obj, where, stage, &s, err));
    nb_status st = nb_tokenizer_add_step(t, stage, &s, err);
    return st == NB_OK ? st : nb_fail_in(err, st, "%s: %s", where, type);
  }
  static const char *const what[NB_STAGES] = {"normalizer", "pre-tokenizer", "decoder"};
  return unsupported(where, what[stage], type, err);
}

/* ---- post-processor ---- */

static nb_status add_template_ids(const cJSON *special, const char *where, const char *name, nb_ids *ids, nb_err *err) {
  const cJSON *entry, *list;
  NB_TRY(nb_json_object(special, where, name, &entry, err));
  NB_TRY(nb_json_array(entry, where, "ids", &list, err));
  for (const cJSON *c = list->child; c && ids->n <= NB_MAX_TEMPLATE; c = c->next) { /* more will be refused */
    size_t id;
    NB_TRY(nb_json_as_size(c, where, "an id of special_tokens", 0, NB_MAX_TOKENS, &id, err));
    NB_TRY(nb_ids_push(ids, (int32_t)id, err));
  }
  return NB_OK;
}

/* Reads the template for a single text; its pieces are special tokens around one "Sequence". */
static nb_status read_template(const cJSON *obj, const char *where, nb_tokenizer *t, nb_err *err) {
  const cJSON *single, *special = NULL;
  nb_ids side[2] = {{0}, {0}};
  int n_sequences = 0;
  nb_status st = NB_OK;
  NB_TRY(nb_json_array(obj, where, "single", &single, err));
  NB_TRY(nb_json_optional_object(obj, where, "special_tokens", &special, err));
  for (const cJSON *c = single->child; c; c = c->next) {
    const cJSON *token = nb_json_get(c, "SpecialToken");
    if (nb_json_get(c, "Sequence")) {
      n_sequences++;
      continue;
    }
    const char *name;
    NB_GOTO(nb_json_string(token, where, "id", &name, err));
    NB_GOTO(add_template_ids(special, where, name, &side[n_sequences > 0], err));
  }
  if (n_sequences != 1) {
    st = nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the template for a single text has it %d times, not once", where,
                 n_sequences);
    goto fail;
  }
  st = nb_tokenizer_set_template(t, side[0].id, side[0].n, side[1].id, side[1].n, err);
  if (st != NB_OK) nb_fail_in(err, st, "%s", where);
fail:
  nb_ids_free(&side[0]);
  nb_ids_free(&side[1]);
  return st;
}

static nb_status read_post_processor(const cJSON *obj, const char *where, int depth, int *n_templates, nb_tokenizer *t,
                                     nb_err *err) {
  if (!obj) return NB_OK;
  if (depth > MAX_NESTED) return nb_fail(err, NB_ERR_FORMAT, "%s: sequences are nested too deeply", where);
  const char *type;
  NB_TRY(nb_json_string(obj, where, "type", &type, err));
  if (!strcmp(type, "ByteLevel")) return NB_OK; /* moves offsets only */
  if (!strcmp(type, "Sequence")) {
    const cJSON *a;
    NB_TRY(nb_json_array(obj, where, "processors", &a, err));
    for (const cJSON *c = a->child; c; c = c->next)
      NB_TRY(read_post_processor(c, where, depth + 1, n_templates, t, err));
    return NB_OK;
  }
  if (strcmp(type, "TemplateProcessing")) return unsupported(where, "post-processor", type, err);
  if (++*n_templates > 1) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: more than one template is not supported", where);
  return read_template(obj, where, t, err);
}

/* ---- model and added tokens ---- */

/* How many ids may come: the model's, and one for every added token. */
static nb_status most_ids(const cJSON *vocab, const cJSON *added, size_t of_config, const char *where, size_t *n_ids,
                          nb_err *err) {
  size_t n = 0, count = 0, more = of_config, id;
  for (const cJSON *c = vocab->child; c; c = c->next, count++) {
    NB_TRY(nb_json_as_size(c, where, "a token's id", 0, NB_MAX_TOKENS - 1, &id, err));
    n = nb_max(n, id + 1);
  }
  if (n > 4 * count + 1024) /* some files have holes, but not this many */
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu tokens have ids up to %zu", where, count, n - 1);
  if (n == 0) return nb_fail(err, NB_ERR_FORMAT, "%s: the vocabulary is empty", where);
  for (const cJSON *c = added ? added->child : NULL; c; c = c->next) more++;
  *n_ids = nb_min(n + more, NB_MAX_TOKENS);
  return NB_OK;
}

static nb_status read_added(const cJSON *added, const char *where, nb_tokenizer *t, nb_err *err) {
  for (const cJSON *c = added ? added->child : NULL; c; c = c->next) {
    const char *content;
    unsigned flags;
    NB_TRY(nb_json_string(c, where, "content", &content, err));
    NB_TRY(nb_tokenizer_config_flags(c, where, true, &flags, err));
    nb_status st = nb_tokenizer_add_next(t, content, strlen(content), flags, err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", where);
  }
  return NB_OK;
}

/* A merge is ["a", "b"], or "a b". Tokens may hold spaces themselves, so of all the places where a string
 * could be cut the one is taken at which both sides and the whole are tokens. */
static nb_status read_merge(const cJSON *c, size_t rank, const char *where, nb_tokenizer *t, nb_err *err) {
  int32_t left = -1, right = -1;
  if (cJSON_IsArray(c) && cJSON_GetArraySize(c) == 2) {
    const char *a = cJSON_GetStringValue(c->child), *b = cJSON_GetStringValue(c->child->next);
    if (!a || !b) return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu is not a pair of strings", where, rank);
    left = nb_tokenizer_find(t, a, strlen(a));
    right = nb_tokenizer_find(t, b, strlen(b));
    if (left < 0 || right < 0)
      return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu names \"%.60s\", which is not in the vocabulary", where, rank,
                     left < 0 ? a : b);
  } else if (cJSON_IsString(c)) {
    const char *s = c->valuestring;
    size_t n = strlen(s), n_ways = 0;
    if (n > 2 * NB_MAX_TOKEN_BYTES) return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu has %zu bytes", where, rank, n);
    char joined[2 * NB_MAX_TOKEN_BYTES];
    bool only = strchr(s, ' ') && strchr(s, ' ') == strrchr(s, ' ');
    for (const char *p = strchr(s, ' '); p; p = strchr(p + 1, ' ')) {
      size_t k = (size_t)(p - s);
      int32_t a = nb_tokenizer_find(t, s, k), b = nb_tokenizer_find(t, p + 1, n - k - 1);
      if (a < 0 || b < 0) continue;
      memcpy(joined, s, k);
      memcpy(joined + k, p + 1, n - k - 1);
      if (!only && nb_tokenizer_find(t, joined, n - 1) < 0) continue;
      left = a, right = b, n_ways++;
    }
    if (n_ways != 1)
      return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu, \"%.60s\", %s", where, rank, s,
                     n_ways ? "can be read in two ways"
                            : "is not two tokens of the vocabulary with a space between them");
  } else {
    return nb_fail(err, NB_ERR_FORMAT, "%s: merge %zu is neither a string nor a pair of strings", where, rank);
  }
  nb_status st = nb_tokenizer_add_merge(t, left, right, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", where);
}

static nb_status bpe_flags(const cJSON *model, const char *where, unsigned *flags, nb_err *err) {
  static const char *const must_be_empty[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
  static const char *const keys[] = {"byte_fallback", "fuse_unk", "ignore_merges"};
  const char *type = "BPE"; /* old files leave it out */
  NB_TRY(nb_json_optional_string(model, where, "type", &type, err));
  if (strcmp(type, "BPE")) return unsupported(where, "model", type, err);
  for (size_t i = 0; i < 3; i++) {
    const cJSON *c = nb_json_get(model, must_be_empty[i]);
    if (c && !(cJSON_IsString(c) && !*c->valuestring) && !(cJSON_IsNumber(c) && c->valuedouble == 0))
      return unsupported(where, "model setting", must_be_empty[i], err);
  }
  *flags = 0;
  for (unsigned i = 0; i < 3; i++) {
    bool on = false;
    NB_TRY(nb_json_optional_bool(model, where, keys[i], &on, err));
    if (on) *flags |= 1u << i; /* NB_BPE_*, in this order */
  }
  return NB_OK;
}

static nb_status read_model(const cJSON *root, const char *where, size_t of_config, nb_tokenizer **out, nb_err *err) {
  const cJSON *model, *vocab, *merges, *added = NULL;
  unsigned flags = 0;
  size_t n_ids = 0, n_merges = 0;
  NB_TRY(nb_json_object(root, where, "model", &model, err));
  NB_TRY(bpe_flags(model, where, &flags, err));
  NB_TRY(nb_json_object(model, where, "vocab", &vocab, err));
  NB_TRY(nb_json_array(model, where, "merges", &merges, err));
  NB_TRY(nb_json_optional_array(root, where, "added_tokens", &added, err));
  NB_TRY(most_ids(vocab, added, of_config, where, &n_ids, err));
  for (const cJSON *c = merges->child; c; c = c->next) n_merges++;
  nb_tokenizer *t;
  nb_status st = nb_tokenizer_new(n_ids, n_merges, flags, &t, err);
  if (st != NB_OK) return nb_fail_in(err, st, "%s", where);
  *out = t;
  for (const cJSON *c = vocab->child; c; c = c->next) {
    st = nb_tokenizer_add_token(t, (int32_t)c->valuedouble, c->string, strlen(c->string), NB_TOKEN_MODEL, err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", where);
  }
  size_t rank = 0;
  st = nb_tokenizer_index(t, err);
  if (st != NB_OK) return nb_fail_in(err, st, "%s", where);
  for (const cJSON *c = merges->child; c; c = c->next) NB_TRY(read_merge(c, rank++, where, t, err));
  const char *unk = NULL;
  NB_TRY(nb_json_optional_string(model, where, "unk_token", &unk, err));
  if (unk && *unk) {
    st = nb_tokenizer_set_unk(t, nb_tokenizer_find(t, unk, strlen(unk)), err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s: unk_token \"%s\"", where, unk);
  }
  NB_TRY(read_added(added, where, t, err));
  st = nb_tokenizer_index(t, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", where);
}

nb_status nb_tokenizer_json_build(const nb_source *json, const nb_tokenizer_config *config, nb_tokenizer **out,
                                  nb_err *err) {
  const char *where = json->name;
  cJSON *root = NULL;
  int n_templates = 0;
  nb_status st;
  NB_GOTO(nb_json_parse(json->bytes, json->n, where, &root, err));
  NB_GOTO(read_model(root, where, nb_tokenizer_config_most(config), out, err));
  nb_tokenizer *t = *out;
  NB_GOTO(read_steps(nb_json_get(root, "normalizer"), where, NB_STAGE_NORMALIZE, "normalizers", 0, t, err));
  NB_GOTO(read_steps(nb_json_get(root, "pre_tokenizer"), where, NB_STAGE_SPLIT, "pretokenizers", 0, t, err));
  NB_GOTO(read_steps(nb_json_get(root, "decoder"), where, NB_STAGE_DECODE, "decoders", 0, t, err));
  NB_GOTO(read_post_processor(nb_json_get(root, "post_processor"), where, 0, &n_templates, t, err));
  st = nb_tokenizer_config_apply(config, nb_json_get(root, "added_tokens"), t, err);
fail:
  cJSON_Delete(root);
  return st;
}
