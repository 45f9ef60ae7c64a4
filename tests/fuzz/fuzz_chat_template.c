/* SPDX-License-Identifier: MIT */
/* Chat templates rendered for a short conversation; what comes out must be what comes out again. The byte 0x1e parts
 * several. Work is limited so that each takes less than a millisecond. */
#include "text/chat_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void render(const char *data, size_t n) {
  static const nb_chat_message m[] = {{"system", " be brief\n"}, {"user", "Hi <|end|> \xc3\xa9"}, {"assistant", ""}};
  static const nb_chat_token tokens[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const nb_chat_options o = {
      .add_generation_prompt = n % 2, .token = tokens, .n_tokens = 2, .now = 1720000000, .max_work = 20000};
  nb_text a = {0}, b = {0};
  nb_status st = nb_chat_render(data, n, m, 3, &o, &a, NULL);
  if (nb_chat_render(data, n, m, 3, &o, &b, NULL) != st) abort();
  if (st == NB_OK && (a.n != b.n || memcmp(a.s, b.s, a.n))) abort();
  nb_text_free(&a);
  nb_text_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  for (size_t begin = 0, i = 0; i <= n; i++) {
    if (i < n && data[i] != 0x1e) continue;
    render((const char *)data + begin, i - begin);
    begin = i + 1;
  }
  return 0;
}
