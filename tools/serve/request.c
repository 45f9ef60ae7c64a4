/* SPDX-License-Identifier: MIT */
#include "tools/serve/request.h"

#include "base/mem.h"
#include "formats/json.h"
#include "model/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char where[] = "request";
enum { DEFAULT_TOKENS = 16, MAX_TOKENS = 1 << 24, MAX_TEMPERATURE = 2 };

/* ---- what is not done ---- */

/* Numbers that change nothing when they have one of these values. */
static const struct {
  const char *key;
  double neutral[2];
} no_effect[] = {
    {"frequency_penalty", {0, 0}}, {"presence_penalty", {0, 0}}, {"repetition_penalty", {1, 1}},
    {"repeat_penalty", {1, 1}},    {"top_k", {0, -1}},           {"min_p", {0, 0}},
    {"typical_p", {1, 1}},         {"min_tokens", {0, 0}},
};

/* Members that may only be empty, false or "none". */
static const char *const empty_only[] = {"logit_bias", "suffix",        "tools",      "tool_choice",    "functions",
                                         "audio",      "function_call", "modalities", "response_format"};

static bool is_empty(const cJSON *x) {
  if (cJSON_IsString(x)) return !*x->valuestring || !strcmp(x->valuestring, "none") || !strcmp(x->valuestring, "auto");
  if (cJSON_IsObject(x) || cJSON_IsArray(x)) {
    if (!x->child) return true;
    /* response_format {"type": "text"} and modalities ["text"] ask for what is done anyway. */
    return !x->child->next && cJSON_IsString(x->child) && !strcmp(x->child->valuestring, "text");
  }
  return cJSON_IsFalse(x);
}

static nb_status refuse_unsupported(const cJSON *j, nb_err *err) {
  for (size_t i = 0; i < sizeof no_effect / sizeof *no_effect; i++) {
    const cJSON *x = nb_json_get(j, no_effect[i].key);
    double v = 0;
    if (!x) continue;
    NB_TRY(nb_json_as_f64(x, where, no_effect[i].key, &v, err));
    if (v != no_effect[i].neutral[0] && v != no_effect[i].neutral[1])
      return nb_fail(err, NB_ERR_UNSUPPORTED, "\"%s\" is not supported (leave it out, or give %g)", no_effect[i].key,
                     no_effect[i].neutral[0]);
  }
  for (size_t i = 0; i < sizeof empty_only / sizeof *empty_only; i++) {
    const cJSON *x = nb_json_get(j, empty_only[i]);
    if (x && !is_empty(x)) return nb_fail(err, NB_ERR_UNSUPPORTED, "\"%s\" is not supported", empty_only[i]);
  }
  return NB_OK;
}

/* ---- prompts ---- */

static nb_status read_ids(const cJSON *array, serve_prompt *p, nb_err *err) {
  size_t n = (size_t)cJSON_GetArraySize(array), id, i = 0;
  if (!n) return nb_fail(err, NB_ERR_FORMAT, "%s: a prompt without tokens", where);
  NB_TRY(nb_new(&p->ids, n, sizeof *p->ids, "a prompt", err));
  p->n_ids = n;
  for (const cJSON *x = array->child; x; x = x->next) {
    NB_TRY(nb_json_as_size(x, where, "prompt", 0, INT32_MAX, &id, err));
    p->ids[i++] = (int32_t)id;
  }
  return NB_OK;
}

static nb_status read_prompt(const cJSON *x, serve_prompt *p, nb_err *err) {
  if (cJSON_IsString(x)) return p->text = x->valuestring, NB_OK;
  if (cJSON_IsArray(x)) return read_ids(x, p, err);
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"prompt\" is no text, no list of token ids and no list of such", where);
}

/* A text, token ids, or an array of either. */
static nb_status read_prompts(const cJSON *j, serve_request *r, nb_err *err) {
  const cJSON *x = nb_json_get(j, "prompt");
  if (!x) return nb_fail(err, NB_ERR_FORMAT, "%s: \"prompt\" is missing", where);
  bool several = cJSON_IsArray(x) && !cJSON_IsNumber(x->child);
  size_t n = several ? (size_t)cJSON_GetArraySize(x) : 1, i = 0;
  if (n == 0 || n > SERVE_MAX_CHOICES)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu prompts; a request may have 1 to %d", where, n, SERVE_MAX_CHOICES);
  NB_TRY(nb_new(&r->prompts, n, sizeof *r->prompts, "prompts", err));
  r->n_prompts = n;
  if (!several) return read_prompt(x, &r->prompts[0], err);
  for (const cJSON *p = x->child; p; p = p->next) NB_TRY(read_prompt(p, &r->prompts[i++], err));
  return NB_OK;
}

/* ---- members ---- */

static nb_status read_stop(const cJSON *j, serve_request *r, nb_err *err) {
  const cJSON *x = nb_json_get(j, "stop");
  if (!x) return NB_OK;
  if (!cJSON_IsString(x) && !cJSON_IsArray(x))
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"stop\" is neither a text nor a list of texts", where);
  for (const cJSON *s = cJSON_IsArray(x) ? x->child : x; s; s = cJSON_IsArray(x) ? s->next : NULL) {
    if (!cJSON_IsString(s)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"stop\" holds something that is no text", where);
    if (r->n_stop == SERVE_MAX_STOPS || strlen(s->valuestring) > SERVE_MAX_STOP_BYTES)
      return nb_fail(err, NB_ERR_FORMAT, "%s: \"stop\" may hold %d texts of at most %d bytes", where, SERVE_MAX_STOPS,
                     SERVE_MAX_STOP_BYTES);
    if (*s->valuestring) r->stop[r->n_stop++] = s->valuestring;
  }
  return NB_OK;
}

static nb_status read_number(const cJSON *j, const char *key, double min, double max, double *out, nb_err *err) {
  NB_TRY(nb_json_optional_f64(j, where, key, out, err));
  if (*out >= min && *out <= max) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %g, not between %g and %g", where, key, *out, min, max);
}

static nb_status read_sampling(const cJSON *j, serve_request *r, nb_err *err) {
  double seed = 0;
  r->sampling = (nb_sampling){.temperature = 1, .top_p = 1};
  NB_TRY(read_number(j, "temperature", 0, MAX_TEMPERATURE, &r->sampling.temperature, err));
  NB_TRY(read_number(j, "top_p", 0, 1, &r->sampling.top_p, err));
  r->has_seed = nb_json_get(j, "seed") != NULL;
  NB_TRY(read_number(j, "seed", -0x1p53, 0x1p53, &seed, err));
  if (seed != floor(seed)) return nb_fail(err, NB_ERR_FORMAT, "%s: \"seed\" is no whole number", where);
  r->sampling.seed = (uint64_t)(int64_t)seed;
  return NB_OK;
}

static nb_status read_logprobs(const cJSON *j, serve_request *r, nb_err *err) {
  const cJSON *x = nb_json_get(j, "logprobs");
  if (r->kind == SERVE_CHAT) {
    NB_TRY(nb_json_optional_bool(j, where, "logprobs", &r->logprobs, err));
    NB_TRY(nb_json_optional_size(j, where, "top_logprobs", 0, NB_BATCH_TOP, &r->top, err));
    if (r->top && !r->logprobs) return nb_fail(err, NB_ERR_FORMAT, "%s: \"top_logprobs\" needs \"logprobs\"", where);
    return NB_OK;
  }
  if (!x || cJSON_IsFalse(x)) return NB_OK;
  r->logprobs = true;
  return nb_json_size(j, where, "logprobs", 0, NB_BATCH_TOP, &r->top, err);
}

static nb_status read_lengths(const cJSON *j, serve_request *r, nb_err *err) {
  size_t best = 0;
  bool chat = r->kind == SERVE_CHAT;
  r->n = 1, r->max_tokens = chat ? SIZE_MAX : DEFAULT_TOKENS;
  NB_TRY(nb_json_optional_size(j, where, "max_tokens", chat, MAX_TOKENS, &r->max_tokens, err));
  if (chat) NB_TRY(nb_json_optional_size(j, where, "max_completion_tokens", 1, MAX_TOKENS, &r->max_tokens, err));
  NB_TRY(nb_json_optional_size(j, where, "n", 1, SERVE_MAX_CHOICES, &r->n, err));
  NB_TRY(nb_json_optional_size(j, where, "best_of", 1, SERVE_MAX_CHOICES, &best, err));
  if (best && best != r->n) return nb_fail(err, NB_ERR_UNSUPPORTED, "\"best_of\" is not supported");
  if (r->n * (chat ? 1 : r->n_prompts) > SERVE_MAX_CHOICES)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu texts are asked for; a request may ask for %d", where,
                   r->n * r->n_prompts, SERVE_MAX_CHOICES);
  if (!r->max_tokens && !r->echo) return nb_fail(err, NB_ERR_FORMAT, "%s: \"max_tokens\" is 0", where);
  return NB_OK;
}

static nb_status read_members(const cJSON *j, serve_request *r, nb_err *err) {
  const cJSON *o = NULL;
  if (!cJSON_IsObject(j)) return nb_fail(err, NB_ERR_FORMAT, "%s: it is no JSON object", where);
  NB_TRY(nb_json_optional_string(j, where, "model", &r->model, err));
  NB_TRY(refuse_unsupported(j, err));
  if (r->kind == SERVE_CHAT) {
    NB_TRY(nb_json_array(j, where, "messages", &o, err));
    NB_TRY(messages_read(o, "messages", &r->messages, err));
    if (!r->messages.n) return nb_fail(err, NB_ERR_FORMAT, "%s: \"messages\" is empty", where);
    o = NULL;
  } else {
    NB_TRY(read_prompts(j, r, err));
    NB_TRY(nb_json_optional_bool(j, where, "echo", &r->echo, err));
  }
  NB_TRY(read_lengths(j, r, err));
  NB_TRY(read_sampling(j, r, err));
  NB_TRY(read_stop(j, r, err));
  NB_TRY(read_logprobs(j, r, err));
  NB_TRY(nb_json_optional_bool(j, where, "stream", &r->stream, err));
  NB_TRY(nb_json_optional_object(j, where, "stream_options", &o, err));
  return o ? nb_json_optional_bool(o, where, "include_usage", &r->include_usage, err) : NB_OK;
}

/* A model may write the character NUL, and a client then sends it back as a part of the conversation, but texts here
 * end with one: its escape becomes that of U+FFFD, which is as long. */
static void replace_nul(char *json, size_t n) {
  for (size_t i = 0; i + 6 <= n; i++) {
    if (json[i] != '\\') continue;
    if (!memcmp(json + i + 1, "u0000", 5)) memcpy(json + i + 1, "ufffd", 5);
    i++; /* what is escaped begins nothing */
  }
}

nb_status serve_request_parse(serve_kind kind, const char *bytes, size_t n, serve_request *out, nb_err *err) {
  nb_text own = {0};
  *out = (serve_request){.kind = kind};
  nb_status st = nb_text_append(&own, bytes, n, err);
  if (st == NB_OK) {
    if (n) replace_nul(own.s, n);
    st = nb_json_parse(n ? own.s : "", n, where, &out->json, err);
  }
  nb_text_free(&own);
  return st == NB_OK ? read_members(out->json, out, err) : st;
}

void serve_request_free(serve_request *r) {
  for (size_t i = 0; i < r->n_prompts; i++) nb_free(r->prompts[i].ids);
  nb_free(r->prompts);
  messages_free(&r->messages);
  cJSON_Delete(r->json);
  *r = (serve_request){0};
}
