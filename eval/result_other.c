/* SPDX-License-Identifier: MIT */
#include "eval/result_other.h"

#include <string.h>

#define WANTED "; give the file that `nibble eval --out` wrote"

/* Bytes at a place by which a kind of file is told. */
static const struct {
  size_t at;
  const char *bytes, *what;
} by_bytes[] = {{0, "PAR1", "a Parquet table, such as a data set or details of another tool" WANTED},
                {0, "PK\3\4", "a zip archive; a bundle holds its run as result.json"},
                {0, "\x1f\x8b", "packed with gzip; unpack it"},
                {0, "GGUF", "a GGUF model; run it with `nibble eval`" WANTED},
                {0, "\x89NBL", "a .nbl model; run it with `nibble eval`" WANTED},
                {0, "nbjrnl", "a journal of `nibble eval`; run the command again to end it" WANTED},
                {8, "{\"", "a .safetensors file; run its checkpoint with `nibble eval`" WANTED}};

/* Members that an object of that kind has. */
static const struct {
  const char *member[2], *what;
} by_members[] = {{{"results", "configs"}, "a result of lm-evaluation-harness, without each question's answers" WANTED},
                  {{"results", "config_general"}, "a result of lighteval, without each question's answers" WANTED},
                  {{"doc_id", "doc"}, "a sample of lm-evaluation-harness" WANTED},
                  {{"runs", "verdicts"}, "what `nibble eval --json` says of several runs; give one of its --out files"},
                  {{"verdict", "gates"}, "a comparison's verdict (--json), not a run" WANTED},
                  {{"data", "prompt"}, "a task description; give it to `nibble eval --task`"},
                  {{"architectures", "model_type"}, "a model's config.json" WANTED},
                  {{"model", "added_tokens"}, "a tokenizer" WANTED},
                  {{"question", "choices"}, "a question of a data set; give it to `nibble eval --data`"}};

const char *nb_result_other(const char *bytes, size_t n, const cJSON *root) {
  if (!root) {
    for (size_t i = 0; i < sizeof by_bytes / sizeof *by_bytes; i++) {
      size_t k = strlen(by_bytes[i].bytes);
      if (n >= by_bytes[i].at + k && !memcmp(bytes + by_bytes[i].at, by_bytes[i].bytes, k) &&
          (!by_bytes[i].at || *bytes != '{'))
        return by_bytes[i].what;
    }
    return NULL;
  }
  if (cJSON_IsArray(root)) return "a list, such as a data set" WANTED;
  for (size_t i = 0; i < sizeof by_members / sizeof *by_members; i++)
    if (cJSON_GetObjectItemCaseSensitive(root, by_members[i].member[0]) &&
        cJSON_GetObjectItemCaseSensitive(root, by_members[i].member[1]))
      return by_members[i].what;
  return NULL;
}
