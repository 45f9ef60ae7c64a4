/* SPDX-License-Identifier: MIT */
#include "eval/bench_first.h"

#include "base/clock.h"
#include "base/mem.h"
#include "formats/open.h"
#include "model/generate.h"

/* The prompt in an empty cache, and the logits of the token after it. */
static nb_status first_token(nb_session *s, const nb_model *m, nb_kv_type kv, size_t n, float *logits, nb_err *err) {
  int32_t ids[NB_BENCH_CHAT];
  nb_rng rng = {1};
  nb_kv *cache = NULL;
  const size_t last = n - 1;
  for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(nb_rng_next(&rng) % m->config.vocab);
  NB_TRY(nb_kv_create(&m->config, n, kv, nb_config_stretch(&m->config, n), &cache, err));
  nb_status st = nb_session_prefill(s, m, cache, ids, n, err);
  if (st == NB_OK) nb_session_logits(s, m, &last, 1, logits);
  nb_kv_free(cache);
  return st;
}

nb_status nb_bench_first_token(const char *path, const nb_session_opts *session, nb_kv_type kv, nb_bench_first *out,
                               nb_err *err) {
  nb_opened m = {0};
  nb_session *s = NULL;
  float *logits = NULL;
  nb_status st;
  const double start = nb_clock();
  NB_GOTO(nb_open(path, 0, session->threads, &m, err));
  out->open_s = nb_clock() - start;
  out->tokens = nb_min(NB_BENCH_CHAT, m.model.config.max_position);
  NB_GOTO(nb_new(&logits, m.model.config.vocab, sizeof *logits, "the logits", err));
  NB_GOTO(nb_session_create(&m.model.config, session, &s, err));
  NB_GOTO(first_token(s, &m.model, kv, out->tokens, logits, err));
  out->first_s = nb_clock() - start;
fail:
  nb_session_free(s);
  nb_free(logits);
  nb_opened_free(&m);
  return st;
}
