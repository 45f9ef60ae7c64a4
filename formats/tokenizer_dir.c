/* SPDX-License-Identifier: MIT */
#include "formats/tokenizer_dir.h"
#include "formats/mapfile.h"
#include "formats/tokenizer_config.h"
#include "formats/tokenizer_json.h"
#include "formats/tokenizer_tiktoken.h"
#include "text/tokenizer_build.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { MAX_FILE = 256 << 20 };

const char *const nb_tokenizer_file_names[NB_TOKENIZER_FILES] = {"tokenizer.json",        NB_TIKTOKEN_NAME,
                                                                 "tokenizer_config.json", "chat_template.jinja",
                                                                 "added_tokens.json",     "special_tokens_map.json"};

nb_status nb_tokenizer_from_files(const nb_tokenizer_files *files, nb_tokenizer **out, nb_err *err) {
  const nb_source *main = files->json.bytes ? &files->json : &files->tiktoken;
  nb_tokenizer_config config;
  nb_tokenizer *t = NULL;
  *out = NULL;
  nb_status st = nb_tokenizer_config_parse(files, &config, err);
  if (st == NB_OK)
    st = files->json.bytes ? nb_tokenizer_json_build(main, &config, &t, err)
                           : nb_tokenizer_tiktoken_build(main, &config, &t, err);
  if (st == NB_OK && (st = nb_tokenizer_finish(t, err)) != NB_OK) nb_fail_in(err, st, "%s", main->name);
  nb_tokenizer_config_free(&config);
  if (st == NB_OK) *out = t;
  else nb_tokenizer_free(t);
  return st;
}

/* Reads dir/name into *out; a file that is not there is no error. */
static nb_status read_beside(const char *dir, const char *name, char path[PATH_MAX], nb_source *out, nb_err *err) {
  struct stat sb;
  char *bytes;
  int n = snprintf(path, PATH_MAX, "%s/%s", dir, name);
  *out = (nb_source){NULL, 0, path};
  if (n < 0 || n >= PATH_MAX) return nb_fail(err, NB_ERR_ARG, "%.200s...: the path is too long", dir);
  if (stat(path, &sb)) return NB_OK;
  NB_TRY(nb_mapfile_read(path, MAX_FILE, &bytes, &out->n, err));
  out->bytes = bytes;
  return NB_OK;
}

/* The files of which transformers makes a tokenizer.json. */
static nb_status no_tokenizer(const char *dir, nb_err *err) {
  static const char *const older[] = {"tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"};
  char path[PATH_MAX];
  struct stat sb;
  for (size_t i = 0; i < sizeof older / sizeof *older; i++)
    if (snprintf(path, sizeof path, "%s/%s", dir, older[i]) < PATH_MAX && !stat(path, &sb))
      return nb_fail(err, NB_ERR_IO,
                     "%s has no tokenizer.json: download it too, or make it of %s: in Python "
                     "AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)",
                     dir, older[i]);
  return nb_fail(err, NB_ERR_IO, "%s has no tokenizer.json: download it too", dir);
}

nb_status nb_tokenizer_read_dir(const char *dir, nb_tokenizer **out, nb_err *err) {
  char path[NB_TOKENIZER_FILES][PATH_MAX];
  nb_tokenizer_files f = {.json = {NULL, 0, NULL}};
  nb_source *const file[NB_TOKENIZER_FILES] = {&f.json, &f.tiktoken, &f.config, &f.jinja, &f.added, &f.map};
  nb_status st = NB_OK;
  *out = NULL;
  for (int i = 0; i < NB_TOKENIZER_FILES && st == NB_OK; i++)
    if (i != 1 || !f.json.bytes) st = read_beside(dir, nb_tokenizer_file_names[i], path[i], file[i], err);
  if (st == NB_OK && !f.json.bytes && !f.tiktoken.bytes) st = no_tokenizer(dir, err);
  if (st == NB_OK) st = nb_tokenizer_from_files(&f, out, err);
  for (int i = 0; i < NB_TOKENIZER_FILES; i++) free((char *)file[i]->bytes);
  return st;
}
