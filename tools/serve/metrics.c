/* SPDX-License-Identifier: MIT */
#include "tools/serve/metrics.h"

#include "base/clock.h"
#include "eval/memory.h"

#include <stdio.h>

void serve_metrics_answer(serve_metrics *m, size_t route, int code) {
  pthread_mutex_lock(&m->lock);
  size_t i = 0;
  while (i + 1 < SERVE_MAX_CODES && m->codes[i].code && m->codes[i].code != code) i++;
  m->codes[i].code = code;
  m->codes[i].n[route]++;
  pthread_mutex_unlock(&m->lock);
}

void serve_metrics_job(serve_metrics *m, double seconds, double first) {
  pthread_mutex_lock(&m->lock);
  m->answers++, m->answer_seconds += seconds;
  if (first >= 0) m->first_tokens++, m->first_token_seconds += first;
  pthread_mutex_unlock(&m->lock);
}

typedef struct line {
  const char *name, *type, *help;
  double value;
} line;

nb_status serve_metrics_write(serve_metrics *m, const serve_worker_state *e, const char *const *route, size_t n_routes,
                              size_t connections, nb_text *out, nb_err *err) {
  char buf[512];
  nb_memory mem = {0};
  nb_memory_read(&mem);
  NB_TRY(nb_text_append_str(out,
                            "# HELP nibble_requests_total Requests by path and status.\n"
                            "# TYPE nibble_requests_total counter\n",
                            err));
  pthread_mutex_lock(&m->lock);
  const serve_metrics now = *m;
  pthread_mutex_unlock(&m->lock);
  for (size_t i = 0; i < SERVE_MAX_CODES && now.codes[i].code; i++)
    for (size_t r = 0; r < n_routes; r++) {
      if (!now.codes[i].n[r]) continue;
      snprintf(buf, sizeof buf, "nibble_requests_total{path=\"%s\",code=\"%d\"} %llu\n", route[r], now.codes[i].code,
               (unsigned long long)now.codes[i].n[r]);
      NB_TRY(nb_text_append_str(out, buf, err));
    }
  const nb_batch_stats *b = &e->batch;
  const line lines[] = {
      {"prompt_tokens_total", "counter", "Tokens of prompts that the model ran.", (double)b->prompt_tokens},
      {"shared_tokens_total", "counter", "Tokens of prompts taken from caches.", (double)b->shared_tokens},
      {"new_tokens_total", "counter", "Tokens written.", (double)b->new_tokens},
      {"drafted_tokens_total", "counter", "Guessed tokens that the model ran.", (double)b->drafted_tokens},
      {"accepted_tokens_total", "counter", "Guessed tokens that were right.", (double)b->taken_tokens},
      {"steps_total", "counter", "Forward passes.", (double)b->steps},
      {"step_seconds_total", "counter", "Seconds in them.", b->seconds},
      {"answers_total", "counter", "Answers with text that are over.", (double)now.answers},
      {"answer_seconds_total", "counter", "Seconds from their requests to their ends.", now.answer_seconds},
      {"first_tokens_total", "counter", "Answers that had a token.", (double)now.first_tokens},
      {"first_token_seconds_total", "counter", "Seconds to their first tokens.", now.first_token_seconds},
      {"texts_running", "gauge", "Texts that are written now.", (double)e->running},
      {"texts_waiting", "gauge", "Texts that wait.", (double)e->waiting},
      {"connections", "gauge", "Open connections.", (double)connections},
      {"kv_bytes", "gauge", "Bytes of attention caches, kept ones included.", (double)e->kv_bytes},
      {"memory_file_bytes", "gauge", "Resident pages of mapped files.", (double)mem.file_bytes},
      {"memory_own_bytes", "gauge", "Resident heap, stacks and caches.", (double)mem.anon_bytes},
      {"memory_peak_bytes", "gauge", "The most that both were together.", (double)mem.peak_bytes},
      {"uptime_seconds", "gauge", "Seconds since the start.", nb_clock() - now.began},
  };
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    const line *l = &lines[i];
    snprintf(buf, sizeof buf, "# HELP nibble_%s %s\n# TYPE nibble_%s %s\nnibble_%s %.17g\n", l->name, l->help, l->name,
             l->type, l->name, l->value);
    NB_TRY(nb_text_append_str(out, buf, err));
  }
  return NB_OK;
}
