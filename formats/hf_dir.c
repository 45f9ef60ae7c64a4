/* SPDX-License-Identifier: MIT */
#include "hf_dir.h"

#include "hf_config.h"
#include "oserror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "DIR/name" if there is such a file, else *out = NULL. */
static nb_status locate(const char *dir, const char *name, char **out, nb_err *err) {
  size_t n = strlen(dir) + strlen(name) + 2;
  *out = malloc(n);
  if (!*out) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", dir);
  snprintf(*out, n, "%s/%s", dir, name);
  if (access(*out, F_OK) == 0) return NB_OK;
  free(*out);
  *out = NULL;
  return NB_OK;
}

static nb_status open_parts(const char *dir, nb_hf_dir *out, nb_err *err) {
  struct stat info;
  if (stat(dir, &info)) return nb_os_fail(err, errno, dir, "open");
  if (!S_ISDIR(info.st_mode))
    return nb_fail(err, NB_ERR_ARG,
                   "%s: is not a directory; a Hugging Face checkpoint is one, with config.json in it", dir);
  NB_TRY(locate(dir, "config.json", &out->config_json, err));
  if (!out->config_json)
    return nb_fail(err, NB_ERR_IO, "%s: there is no config.json in it, as a Hugging Face checkpoint has",
                   dir);
  NB_TRY(locate(dir, "generation_config.json", &out->generation_config_json, err));
  NB_TRY(locate(dir, "tokenizer.json", &out->tokenizer_json, err));
  NB_TRY(locate(dir, "tokenizer_config.json", &out->tokenizer_config_json, err));
  NB_TRY(locate(dir, "chat_template.jinja", &out->chat_template_jinja, err));
  NB_TRY(nb_hf_config_read(dir, &out->config, err));
  return nb_safetensors_open(dir, &out->weights, err);
}

nb_status nb_hf_dir_open(const char *dir, nb_hf_dir *out, nb_err *err) {
  memset(out, 0, sizeof *out);
  nb_status st = open_parts(dir, out, err);
  if (st != NB_OK) nb_hf_dir_close(out);
  return st;
}

void nb_hf_dir_close(nb_hf_dir *d) {
  nb_safetensors_close(&d->weights);
  free(d->config_json);
  free(d->generation_config_json);
  free(d->tokenizer_json);
  free(d->tokenizer_config_json);
  free(d->chat_template_jinja);
  memset(d, 0, sizeof *d);
}
