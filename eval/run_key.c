/* SPDX-License-Identifier: MIT */
#include "eval/run_key.h"

#include "formats/oserror.h"
#include "formats/tokenizer_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Adds the file's name in the model and its bytes; by reading, as what is mapped would count as the process's memory.
 */
static nb_status hash_file(const char *path, const char *name, XXH3_state_t *h, nb_err *err) {
  char *block;
  uint64_t n = 0;
  NB_TRY(nb_new(&block, 1 << 20, 1, "a file's hash", err));
  FILE *f = fopen(path, "rb");
  nb_status st = f ? NB_OK : nb_oserror_fail(err, errno, path, "open");
  for (size_t k = 1; st == NB_OK && k; n += k) {
    k = fread(block, 1, 1 << 20, f);
    XXH3_128bits_update(h, block, k);
    if (ferror(f)) st = nb_oserror_fail(err, errno, path, "read");
  }
  XXH3_128bits_update(h, &n, sizeof n);
  XXH3_128bits_update(h, name, strlen(name) + 1);
  if (f) fclose(f);
  nb_free(block);
  return st;
}

/* A file of a checkpoint's folder, where it is there. */
static nb_status hash_member(const char *dir, const char *name, XXH3_state_t *h, nb_err *err) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
    return nb_fail(err, NB_ERR_ARG, "%.200s...: the path is too long", dir);
  return access(path, F_OK) ? NB_OK : hash_file(path, name, h, err);
}

/* What a model's facts do not say of it: all of a .nbl file; of a checkpoint, whose weights they hash, what it says of
 * the model, of the tokens that end a text, and its tokenizer. */
static nb_status hash_files(const char *path, char out[NB_HASH_TEXT], nb_err *err) {
  struct stat info;
  bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a model's hash");
  XXH3_128bits_reset(h);
  nb_status st = folder ? hash_member(path, "config.json", h, err) : hash_file(path, "", h, err);
  if (folder && st == NB_OK) st = hash_member(path, "generation_config.json", h, err);
  for (size_t i = 0; folder && i < NB_TOKENIZER_FILES && st == NB_OK; i++)
    st = hash_member(path, nb_tokenizer_file_names[i], h, err);
  XXH128_hash_t v = XXH3_128bits_digest(h);
  snprintf(out, NB_HASH_TEXT, "%016llx%016llx", (unsigned long long)v.high64, (unsigned long long)v.low64);
  XXH3_freeState(h);
  return st;
}

nb_status nb_run_key(const nb_evaluation *e, const nb_plan *plan, const nb_model_facts *model, const char *path,
                     nb_text *out, nb_err *err) {
  const nb_protocol *p = &e->protocol;
  char files[NB_HASH_TEXT];
  NB_TRY(hash_files(path, files, err));
  char *task = cJSON_PrintUnformatted(e->task.json);
  if (!task) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a run's key");
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_string(&j, "nibble", NB_VERSION);
  nb_jsonout_string(&j, "task", task);
  nb_jsonout_string(&j, "preset", p->preset);
  nb_jsonout_string(&j, "split", p->split);
  nb_jsonout_u64(&j, "shots", p->shots);
  nb_jsonout_bool(&j, "plain", p->plain);
  nb_jsonout_u64(&j, "chat", p->chat);
  nb_jsonout_string(&j, "system", p->system);
  nb_jsonout_bool(&j, "texts", e->o.texts); /* journals keep prompts for them */
  nb_jsonout_u64(&j, "overlong", e->o.overlong);
  nb_jsonout_string(&j, "subjects", p->subjects);
  const uint64_t number[] = {p->limit, p->sample, p->seed, p->shard, p->shards, p->questions, e->n, e->order};
  for (size_t i = 0; i < sizeof number / sizeof *number; i++) nb_jsonout_u64(&j, "selection", number[i]);
  nb_jsonout_string(&j, "data", p->data_hash);
  nb_jsonout_u64(&j, "prompts", plan->hash[0]);
  nb_jsonout_u64(&j, "prompts", plan->hash[1]);
  nb_jsonout_string(&j, "weights", model->hash);
  nb_jsonout_string(&j, "files", files);
  nb_jsonout_string(&j, "kv", model->kv);
  nb_jsonout_close(&j, '}');
  cJSON_free(task);
  return j.st;
}
