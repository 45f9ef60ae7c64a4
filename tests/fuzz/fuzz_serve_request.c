/* SPDX-License-Identifier: MIT */
/* The first byte says for which path the rest is the body of a request. What is accepted keeps its bounds. */
#include "formats/json.h"
#include "model/batch.h"
#include "tools/serve/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void need(int ok) {
  if (!ok) abort();
}

/* Messages that are written read as the same. */
static void read_again(const messages *m) {
  nb_text text = {0};
  nb_jsonout j = {.out = &text};
  nb_err err;
  cJSON *json;
  messages again = {0};
  nb_jsonout_open(&j, NULL, '{');
  messages_write(m, &j, "m");
  nb_jsonout_close(&j, '}');
  need(nb_json_parse(text.s, text.n, "written", &json, &err) == NB_OK);
  if (m->n) need(messages_read(nb_json_get(json, "m"), "written", &again, &err) == NB_OK);
  need(again.n == m->n);
  for (size_t i = 0; i < m->n; i++)
    need(!strcmp(m->m[i].role, again.m[i].role) && !strcmp(m->m[i].content, again.m[i].content));
  messages_free(&again);
  cJSON_Delete(json);
  nb_text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  serve_request r;
  nb_err err = {""};
  if (!n) return 0;
  serve_kind kind = data[0] & 1 ? SERVE_CHAT : SERVE_COMPLETION;
  nb_status st = serve_request_parse(kind, (const char *)data + 1, n - 1, &r, &err);
  if (st != NB_OK) {
    need(err.msg[0] != 0);
  } else {
    size_t prompts = kind == SERVE_CHAT ? 1 : r.n_prompts;
    need(r.n >= 1 && prompts >= 1 && r.n * prompts <= SERVE_MAX_CHOICES && r.top <= NB_BATCH_TOP);
    need(r.n_stop <= SERVE_MAX_STOPS && (r.max_tokens || r.echo));
    need(r.sampling.temperature >= 0 && r.sampling.temperature <= 2 && r.sampling.top_p >= 0 && r.sampling.top_p <= 1);
    for (size_t i = 0; i < r.n_stop; i++) need(r.stop[i][0] && strlen(r.stop[i]) <= SERVE_MAX_STOP_BYTES);
    for (size_t i = 0; i < r.n_prompts; i++) need(r.prompts[i].text || r.prompts[i].n_ids);
    for (size_t i = 0; i < r.messages.n; i++) need(r.messages.m[i].role && r.messages.m[i].content);
    read_again(&r.messages);
  }
  serve_request_free(&r);
  return 0;
}
