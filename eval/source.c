/* SPDX-License-Identifier: MIT */
#include "source.h"

#include "mapfile.h"
#include "mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 4, MAX_MEMBER = 1 << 30 };

struct nb_source {
  char *path;
  bool file;
  char **name; /* (n) */
  size_t n, cap;
};

/* a/b, or b when a is empty; NULL when memory is out. */
static char *join(const char *a, const char *b) {
  size_t na = strlen(a), nb = strlen(b);
  char *s = malloc(na + nb + 2);
  if (s) memcpy(s, a, na), s[na] = '/', memcpy(s + na + (na > 0), b, nb + 1);
  return s;
}

static nb_status out_of_memory(nb_err *err) { return nb_fail(err, NB_ERR_MEMORY, "out of memory: a list of files"); }

static nb_status add(nb_source *s, char *name, nb_err *err) {
  if (!name) return out_of_memory(err);
  if (nb_grow(&s->name, &s->cap, s->n + 1, sizeof *s->name, err) != NB_OK) return free(name), NB_ERR_MEMORY;
  s->name[s->n++] = name;
  return NB_OK;
}

/* Adds the files below the directory; hidden ones are left out. */
static nb_status walk(nb_source *s, const char *below, int depth, nb_err *err) {
  char *dir = *below ? join(s->path, below) : strdup(s->path);
  if (!dir) return out_of_memory(err);
  DIR *d = opendir(dir);
  nb_status st = d ? NB_OK : nb_fail(err, NB_ERR_IO, "%s: %s", dir, strerror(errno));
  for (struct dirent *e; st == NB_OK && (e = readdir(d));) {
    if (e->d_name[0] == '.') continue;
    char *name = join(below, e->d_name), *full = name ? join(s->path, name) : NULL;
    struct stat info;
    if (!full) st = out_of_memory(err);
    else if (stat(full, &info)) st = NB_OK; /* a dangling link, or gone meanwhile */
    else if (S_ISDIR(info.st_mode)) st = depth < MAX_DEPTH ? walk(s, name, depth + 1, err) : NB_OK;
    else if (S_ISREG(info.st_mode)) st = add(s, name, err), name = NULL;
    free(full), free(name);
  }
  if (d) closedir(d);
  free(dir);
  return st;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

nb_status nb_source_open(const char *path, nb_source **out, nb_err *err) {
  struct stat info;
  *out = NULL;
  if (stat(path, &info)) return nb_fail(err, NB_ERR_IO, "%s: %s", path, strerror(errno));
  nb_source *s = calloc(1, sizeof *s);
  nb_status st = NB_OK;
  if (!s || !(s->path = strdup(path))) NB_GOTO(out_of_memory(err));
  s->file = !S_ISDIR(info.st_mode);
  if (s->file) NB_GOTO(add(s, strdup(path), err));
  else NB_GOTO(walk(s, "", 0, err));
  if (s->n) qsort(s->name, s->n, sizeof *s->name, by_name);
  *out = s;
  return NB_OK;
fail:
  nb_source_close(s);
  return st;
}

void nb_source_close(nb_source *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n; i++) free(s->name[i]);
  free(s->name), free(s->path), free(s);
}

const char *nb_source_path(const nb_source *s) { return s->path; }
bool nb_source_is_file(const nb_source *s) { return s->file; }
size_t nb_source_count(const nb_source *s) { return s->n; }
const char *nb_source_name(const nb_source *s, size_t i) { return s->name[i]; }

nb_status nb_source_read(nb_source *s, size_t i, char **bytes, size_t *n, nb_err *err) {
  *bytes = NULL;
  if (s->file) return nb_read_file(s->path, MAX_MEMBER, bytes, n, err);
  char *full = join(s->path, s->name[i]);
  nb_status st = full ? nb_read_file(full, MAX_MEMBER, bytes, n, err) : out_of_memory(err);
  free(full);
  return st;
}

nb_status nb_source_read_beside(nb_source *s, const char *name, char **bytes, size_t *n, nb_err *err) {
  struct stat info;
  *bytes = NULL;
  if (s->file) return stat(name, &info) ? NB_OK : nb_read_file(name, MAX_MEMBER, bytes, n, err);
  for (size_t i = 0; i < s->n; i++)
    if (!strcmp(s->name[i], name)) return nb_source_read(s, i, bytes, n, err);
  return NB_OK;
}
