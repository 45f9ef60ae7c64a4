/* SPDX-License-Identifier: MIT */
#include "formats/explain.h"

#include "base/mem.h"
#include "formats/json.h"
#include "formats/mapfile.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, NAME = 256 };

/* ---- files, by their first bytes ---- */

/* The first bytes of a regular file, with a NUL behind them; how many. */
static size_t read_head(const char *path, char head[NB_FILE_HEAD + 1]) {
  struct stat s;
  int fd = stat(path, &s) == 0 && S_ISREG(s.st_mode) ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
  ssize_t got = fd < 0 ? 0 : read(fd, head, NB_FILE_HEAD);
  if (fd >= 0) close(fd);
  size_t n = got < 0 ? 0 : (size_t)got;
  head[n] = 0;
  return n;
}

static bool asks_questions(nb_file_kind wanted) { return wanted == NB_FILE_QUESTION || wanted == NB_FILE_PARQUET; }

/* What to do with a file that was given for a model, for a result, or for questions. */
static const char *advice(nb_file_kind is, nb_file_kind wanted) {
  static const char run[] = "run it with `nibble eval --out`", folder[] = "give its folder",
                    retry[] = "give the same command again to end the run",
                    saved[] = "save it with safetensors, model.save_pretrained(DIR)",
                    whole[] = "give its folder, which has config.json and tokenizer.json",
                    pull[] = "run `git lfs pull` in its folder, or download it again",
                    page[] = "what should be here was not downloaded",
                    first[] = "the model comes first, then --data with the questions",
                    judged[] = "`nibble compare` judges it; --data takes the questions themselves",
                    asks[] = "--data takes the questions themselves";
  static const struct {
    nb_file_kind is;
    const char *model, *result, *questions;
  } known[] = {
      {NB_FILE_LFS, pull, pull, pull},
      {NB_FILE_NBL, NULL, run, first},
      {NB_FILE_NBLZ, "expand it with `nibble unpack`", "expand it with `nibble unpack`", first},
      {NB_FILE_SPLIT, NULL, run, first},
      {NB_FILE_GGUF, NULL, run, first},
      {NB_FILE_SAFETENSORS, whole, run, first},
      {NB_FILE_EXPORT, whole, run, first},
      {NB_FILE_PICKLE, saved, NULL, first},
      {NB_FILE_STATS, "it is for `nibble quantize --stats`", NULL, asks},
      {NB_FILE_PART, retry, NULL, asks},
      {NB_FILE_JOURNAL, retry, retry, asks},
      {NB_FILE_INDEX, folder, NULL, NULL},
      {NB_FILE_CONFIG, folder, NULL, NULL},
      {NB_FILE_TOKENIZER, folder, NULL, NULL},
      {NB_FILE_WEB_PAGE, page, page, page},
      {NB_FILE_PAGE, NULL, NULL, asks},
      {NB_FILE_RESULT, NULL, NULL, judged},
      {NB_FILE_HARNESS, NULL, NULL, judged},
      {NB_FILE_SAMPLE, NULL, NULL, judged},
      {NB_FILE_LIGHTEVAL, NULL, NULL, asks},
      {NB_FILE_VERDICT, NULL, NULL, asks},
      {NB_FILE_BUNDLE, NULL, "give the result.json in it", judged},
      {NB_FILE_GZIP, "unpack it", "unpack it", "give its name the ending .gz"},
      {NB_FILE_PARQUET, NULL, NULL, "give its name the ending .parquet"},
      {NB_FILE_TASK, NULL, "give it to `nibble eval --task`", NULL},
      {NB_FILE_PROBE, NULL, "give it to `nibble eval --data`", NULL},
      {NB_FILE_QUESTION, NULL, "give it to `nibble eval --data`", NULL},
      {NB_FILE_RUNS, NULL, "give one of its --out files", asks},
      {NB_FILE_SUITE, NULL, "give the files of its rows, which lie beside it", asks},
      {NB_FILE_LLAMA_LOG, NULL,
       "it does not name its questions; run the GGUF file's checkpoint with `nibble eval --out`", asks},
  };
  const char *what = NULL;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].is == is)
      what = asks_questions(wanted) ? known[i].questions : wanted == NB_FILE_RESULT ? known[i].result : known[i].model;
  return !what && wanted == NB_FILE_RESULT ? "give the file that `nibble eval --out` wrote" : what;
}

nb_status nb_explain_bytes(const char *path, const void *head, size_t n, nb_file_kind wanted, nb_status st,
                           nb_err *err) {
  if (st == NB_OK || st == NB_ERR_MEMORY || st == NB_ERR_INTERRUPTED) return st;
  nb_file_kind is = nb_filekind_of(head, n);
  if (is == NB_FILE_UNKNOWN || is == wanted) return st; /* it is what was wanted, and something is wrong with it */
  const char *todo = advice(is, wanted);
  if (!todo && asks_questions(wanted)) return st; /* rows of any object, whatever their fields are called */
  return nb_fail(err, NB_ERR_FORMAT, "%s is %s, not %s%s%s", path, nb_filekind_name(is), nb_filekind_name(wanted),
                 todo ? ": " : "", todo ? todo : "");
}

nb_status nb_explain_text(const char *path, const char *bytes, size_t n, nb_err *err) {
  static const nb_file_kind binary[] = {NB_FILE_NBL,    NB_FILE_GGUF,   NB_FILE_SAFETENSORS, NB_FILE_EXPORT,
                                        NB_FILE_STATS,  NB_FILE_PART,   NB_FILE_JOURNAL,     NB_FILE_PARQUET,
                                        NB_FILE_PICKLE, NB_FILE_BUNDLE, NB_FILE_ZIP,         NB_FILE_GZIP,
                                        NB_FILE_LFS,    NB_FILE_NBLZ,   NB_FILE_SPLIT,       NB_FILE_CACHE};
  nb_file_kind is = nb_filekind_of(bytes, nb_min(n, NB_FILE_HEAD));
  for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
    if (is == binary[i]) return nb_fail(err, NB_ERR_FORMAT, "%s is %s, not a text", path, nb_filekind_name(is));
  return NB_OK;
}

nb_status nb_explain_read_text(const char *path, size_t max_bytes, char **out, size_t *n, nb_err *err) {
  NB_TRY(nb_mapfile_read(path, max_bytes, out, n, err));
  nb_status st = nb_explain_text(path, *out, *n, err);
  if (st == NB_OK) return NB_OK;
  free(*out);
  *out = NULL;
  return st;
}

/* ---- folders ---- */

static bool has(const char *dir, const char *name) {
  char path[PATH_BYTES];
  struct stat s;
  return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && lstat(path, &s) == 0;
}

static bool ends(const char *name, const char *with) {
  size_t n = strlen(name), m = strlen(with);
  return n > m && !strcmp(name + n - m, with);
}

/* The last entry of a folder, by name, that ends so (every one that is a folder with NULL); false: none. */
static bool find_entry(const char *dir, const char *ending, char name[NAME]) {
  DIR *d = opendir(dir);
  *name = 0;
  for (const struct dirent *e; d && (e = readdir(d));) {
    char path[PATH_BYTES];
    struct stat s;
    if (e->d_name[0] == '.' || strlen(e->d_name) >= NAME || strcmp(e->d_name, name) < 0) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    if (ending ? ends(e->d_name, ending) : stat(path, &s) == 0 && S_ISDIR(s.st_mode)) strcpy(name, e->d_name);
  }
  if (d) closedir(d);
  return *name;
}

/* A file of the checkpoint that is a link to nothing or a pointer of git-lfs. */
static nb_status bad_entry(const char *dir, nb_status st, nb_err *err) {
  DIR *d = opendir(dir);
  char head[NB_FILE_HEAD + 1], path[PATH_BYTES];
  nb_status found = st;
  for (const struct dirent *e; d && found == st && (e = readdir(d));) {
    struct stat s;
    if (!ends(e->d_name, ".json") && !ends(e->d_name, ".safetensors") && !ends(e->d_name, ".jinja")) continue;
    if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path || lstat(path, &s)) continue;
    if (S_ISLNK(s.st_mode) && stat(path, &s))
      found =
          nb_fail(err, NB_ERR_FORMAT, "%s is a link to a file that is not there: download the checkpoint again", path);
    else if (nb_filekind_is(NB_FILE_LFS, head, read_head(path, head)))
      found = nb_fail(err, NB_ERR_FORMAT,
                      "%s is a pointer of git-lfs in place of the file: run `git lfs pull` in %s, or download it again",
                      path, dir);
  }
  if (d) closedir(d);
  return found;
}

/* The root of a model in the hub's cache: models--OWNER--NAME with blobs, refs and snapshots. */
static nb_status cache_root(const char *dir, nb_status st, nb_err *err) {
  char snapshots[PATH_BYTES], name[NAME];
  snprintf(snapshots, sizeof snapshots, "%.4000s/snapshots", dir);
  if (has(dir, "snapshots") && find_entry(snapshots, NULL, name))
    return nb_fail(err, NB_ERR_FORMAT, "%.150s is a model's root in the hub's cache: give %.200s/%.100s", dir,
                   snapshots, name);
  if (has(dir, "snapshots")) return nb_fail(err, NB_ERR_FORMAT, "%s: the hub's cache holds nothing of it", dir);
  return st;
}

static nb_status adapter(const char *dir, nb_status st, nb_err *err) {
  char path[PATH_BYTES], head[NB_FILE_HEAD + 1], file[NAME], base[NAME] = "its base model";
  if (!has(dir, "adapter_config.json")) return st;
  if (find_entry(dir, ".safetensors", file) && strncmp(file, "adapter_", 8)) return st; /* weights of its own */
  snprintf(path, sizeof path, "%.4000s/adapter_config.json", dir);
  cJSON *j = NULL;
  const char *name = NULL;
  size_t n = read_head(path, head);
  if (nb_json_parse(head, n, path, &j, NULL) == NB_OK &&
      nb_json_optional_string(j, path, "base_model_name_or_path", &name, NULL) == NB_OK && name)
    snprintf(base, sizeof base, "%s", name);
  cJSON_Delete(j);
  return nb_fail(err, NB_ERR_FORMAT,
                 "%.200s holds an adapter (LoRA), not a whole model: join it with %.100s first, in Python "
                 "AutoPeftModelForCausalLM.from_pretrained(\"%.100s\").merge_and_unload().save_pretrained(\"merged\")",
                 dir, base, dir);
}

/* What a folder lacks, and what it has instead. */
static nb_status lacks(const char *dir, nb_status st, nb_err *err) {
  static const char *const pickles[] = {".bin", ".pth", ".pt"};
  char name[NAME], inner[PATH_BYTES];
  bool weights = find_entry(dir, ".safetensors", name);
  if (!weights && find_entry(dir, ".gguf", name))
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s holds GGUF: give the file itself, %s/%s, or download the original checkpoint", dir, dir, name);
  for (size_t i = 0; !weights && i < sizeof pickles / sizeof *pickles; i++)
    if (find_entry(dir, pickles[i], name))
      return nb_fail(err, NB_ERR_FORMAT,
                     "%s has its weights in PyTorch's format (%s): save it with safetensors, in Python "
                     "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)",
                     dir, name);
  if (!weights && !has(dir, "config.json") && find_entry(dir, NULL, name)) {
    snprintf(inner, sizeof inner, "%.3800s/%s", dir, name);
    if (has(inner, "config.json"))
      return nb_fail(err, NB_ERR_FORMAT, "%s has no config.json; did you mean %s?", dir, inner);
  }
  return st;
}

/* OWNER/NAME, as models are called on the hub. */
static bool is_hub_id(const char *path) {
  const char *slash = strchr(path, '/');
  if (!slash || slash == path || !slash[1] || strchr(slash + 1, '/') || path[0] == '.' || path[0] == '~') return false;
  for (const char *p = path; *p; p++)
    if (!isalnum((unsigned char)*p) && !strchr("/-_.", *p)) return false;
  return !ends(path, ".nbl");
}

static nb_status no_such_path(const char *path, nb_status st, nb_err *err) {
  struct stat s;
  if (lstat(path, &s) == 0)
    return nb_fail(err, NB_ERR_FORMAT, "%s is a link to something that is not there: download it again", path);
  if (!is_hub_id(path)) return st;
  return nb_fail(err, NB_ERR_FORMAT,
                 "%.150s: there is no such folder or file here, and nibble downloads nothing: run `hf download %.120s "
                 "--local-dir %.100s` first and give that folder",
                 path, path, strchr(path, '/') + 1);
}

nb_status nb_explain_model(const char *path, nb_status st, nb_err *err) {
  struct stat s;
  char head[NB_FILE_HEAD + 1];
  /* What is understood and refused (NB_ERR_UNSUPPORTED) says so best itself. */
  if (st == NB_OK || st == NB_ERR_MEMORY || st == NB_ERR_INTERRUPTED || st == NB_ERR_UNSUPPORTED) return st;
  if (stat(path, &s)) return no_such_path(path, st, err);
  if (!S_ISDIR(s.st_mode)) {
    size_t n = read_head(path, head);
    /* It was read as one, and st is what is wrong with it. */
    if (nb_filekind_is(NB_FILE_GGUF, head, n) || nb_filekind_is(NB_FILE_SPLIT, head, n)) return st;
    return nb_explain_bytes(path, head, n, NB_FILE_NBL, st, err);
  }
  nb_status (*const look[])(const char *, nb_status, nb_err *) = {cache_root, bad_entry, adapter, lacks};
  for (size_t i = 0; i < sizeof look / sizeof *look; i++) {
    nb_err better = {""};
    look[i](path, st, &better);
    if (!better.msg[0]) continue;
    if (err) *err = better;
    return NB_ERR_FORMAT;
  }
  return st;
}

/* ---- names of tensors ---- */

nb_status nb_explain_names(const nb_safetensors *c, nb_status st, nb_err *err) {
  static const struct {
    const char *prefix, *why;
  } known[] = {
      {"_orig_mod.", "the model was saved compiled: save model._orig_mod instead"},
      {"base_model.model.", "peft saved it: join the adapter first, model.merge_and_unload().save_pretrained(DIR)"},
      {"module.", "the model was saved within DataParallel or FSDP: save model.module instead"},
      {"language_model.", "it is a part of a model for images or sound too: save its language model alone"},
  };
  if (st == NB_OK || !c->n_tensors) return st;
  size_t with_model = 0, layers = 0;
  for (size_t i = 0; i < c->n_tensors; i++) {
    const char *name = c->tensors[i].name, *file = c->shards[c->tensors[i].shard].path;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
      if (!strncmp(name, known[k].prefix, strlen(known[k].prefix)))
        return nb_fail(err, NB_ERR_FORMAT, "%s: names of tensors begin with \"%s\" (%.100s): %s", file, known[k].prefix,
                       name, known[k].why);
    if (strstr(name, ".lora_A") || strstr(name, ".lora_B"))
      return nb_fail(err, NB_ERR_FORMAT,
                     "%s: an adapter stands beside the weights (%.100s): join it first, model.merge_and_unload()", file,
                     name);
    with_model += !strncmp(name, "model.", 6), layers += !strncmp(name, "layers.", 7);
  }
  if (with_model || !layers) return st;
  return nb_fail(err, NB_ERR_FORMAT,
                 "%s: names of tensors lack the prefix \"model.\" (%.100s): the model was saved without its head; in "
                 "Python AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)",
                 c->shards[0].path, c->tensors[0].name);
}
