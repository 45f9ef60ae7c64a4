/* SPDX-License-Identifier: MIT */
/* A folder of hostile files, opened as a checkpoint: its configuration, index and shards, the names that its tensors
 * have, and what is said when it cannot be opened. The input is a list of files, each "NAME SIZE\n" and SIZE bytes;
 * names are those of a checkpoint. A shard's header is made to fit where it begins with '{': its size is put in front,
 * and as many bytes as its tensors ask for behind it. Where the folder holds a split GGUF file, that is opened, too. */
#include "formats/explain.h"
#include "formats/open.h"
#include "formats/safetensors.h"
#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const names[] = {"config.json",
                                    "model.safetensors.index.json",
                                    "model.safetensors",
                                    "1.safetensors",
                                    "sub/2.safetensors",
                                    "generation_config.json",
                                    "tokenizer.json",
                                    "adapter_config.json",
                                    "model.gguf",
                                    "pytorch_model.bin",
                                    "snapshots/abc",
                                    "tokenizer_config.json",
                                    "cl100k_base.tiktoken",
                                    "m-00001-of-00002.gguf",
                                    "m-00002-of-00002.gguf",
                                    "sub/config.json",
                                    "quantize_config.json"};
enum { NAMES = sizeof names / sizeof *names, MOST = 1 << 16 };

/* The largest "data_offsets" end, found without parsing; at most MOST. */
static size_t data_bytes(const char *header, size_t n) {
  size_t most = 0;
  for (size_t i = 0; i + 1 < n; i++) {
    if (header[i] != ',' || header[i + 1] < '0' || header[i + 1] > '9') continue;
    size_t v = 0;
    for (size_t k = i + 1; k < n && header[k] >= '0' && header[k] <= '9' && v < MOST; k++)
      v = 10 * v + (size_t)(header[k] - '0');
    if (v > most && v <= MOST) most = v;
  }
  return most;
}

static void write_file(const char *dir, const char *name, const uint8_t *p, size_t n) {
  char path[128];
  static const uint8_t zeros[MOST];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "wb");
  if (!f) return;
  if (strstr(name, ".safetensors") && !strstr(name, ".json") && n && p[0] == '{') {
    for (int i = 0; i < 8; i++) fputc((int)((uint64_t)n >> 8 * i & 255), f);
    fwrite(p, 1, n, f);
    fwrite(zeros, 1, data_bytes((const char *)p, n), f);
  } else {
    fwrite(p, 1, n, f);
  }
  fclose(f);
}

static void write_files(const char *dir, const uint8_t *p, size_t n) {
  while (n) {
    const uint8_t *line = memchr(p, '\n', n);
    if (!line) return;
    char name[64] = "";
    size_t size = 0, head = (size_t)(line - p) + 1, k = 0;
    for (; k < head && p[k] != ' ' && k + 1 < sizeof name; k++) name[k] = (char)p[k];
    name[k] = 0;
    for (k++; k + 1 < head && p[k] >= '0' && p[k] <= '9' && size < MOST; k++) size = 10 * size + (size_t)(p[k] - '0');
    p += head, n -= head;
    if (size > n) size = n;
    for (size_t i = 0; i < NAMES; i++)
      if (!strcmp(name, names[i])) write_file(dir, name, p, size);
    p += size, n -= size;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  char dir[] = "/tmp/nibble-fuzz-ck.XXXXXX", path[128];
  nb_err err = {""};
  if (n > MOST || !mkdtemp(dir)) return 0;
  snprintf(path, sizeof path, "%s/sub", dir);
  mkdir(path, 0700);
  write_files(dir, data, n);
  nb_safetensors st;
  if (nb_safetensors_open(dir, &st, &err) == NB_OK) {
    nb_hash *hash = malloc((st.n_tensors + 1) * sizeof *hash), whole;
    if (!hash) abort();
    for (size_t i = 0; i < st.n_tensors; i++) {
      hash[i] = nb_safetensors_hash(&st.tensors[i]);
      if (nb_safetensors_lookup(&st, st.tensors[i].name) != &st.tensors[i]) abort();
    }
    for (size_t i = 0; i < st.n_shards; i++)
      if (nb_safetensors_fingerprint(&st, i, hash, &whole, &err) != NB_OK) abort();
    free(hash);
    (void)nb_explain_names(&st, NB_ERR_FORMAT, &err);
    nb_safetensors_close(&st);
  }
  nb_opened m;
  /* Without a tokenizer, unless the folder holds one. */
  snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
  unsigned flags = access(path, F_OK) == 0 ? 0 : NB_OPEN_NO_TOKENIZER;
  nb_status opened = nb_open(dir, flags, 1, &m, &err);
  if (opened != NB_OK && !*err.msg) abort();
  if (opened == NB_OK && m.tokenizer) {
    nb_text text = {0};
    const nb_chat_message message = {"user", "hello"};
    (void)nb_chat_render_tokenizer(m.tokenizer, &message, 1, true, &text, &err);
    nb_text_free(&text);
  }
  nb_opened_free(&m);
  snprintf(path, sizeof path, "%s/m-00001-of-00002.gguf", dir);
  if (access(path, F_OK) == 0) {
    if (nb_open(path, 0, 1, &m, &err) != NB_OK && !*err.msg) abort();
    nb_opened_free(&m);
  }
  for (size_t i = 0; i < NAMES; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    if (nb_explain_model(path, NB_ERR_FORMAT, &err) == NB_OK) abort();
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/sub", dir);
  rmdir(path);
  rmdir(dir);
  return 0;
}
