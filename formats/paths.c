/* SPDX-License-Identifier: MIT */
#include "formats/paths.h"

#include "formats/tokenizer_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, MAX_DEPTH = 8, PLACES = 2 + NB_TOKENIZER_FILES /* of an export, most of all */ };

/* Whether the file at path is of that kind; an empty one is of every kind. */
static bool is_of_kind(const char *path, nb_file_kind file) {
  char head[NB_FILE_HEAD];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof head);
  if (fd >= 0) close(fd);
  return got == 0 || (got > 0 && nb_filekind_is(file, head, (size_t)got));
}

/* ---- whether two paths are one file ---- */

typedef struct place {
  const nb_path *of;
  nb_file_kind kind;
  char path[PATH_BYTES];
  struct stat file, dir; /* of the file, and of the folder that it is or would be in */
  bool exists, has_dir;
} place;

static const char *last_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void find_place(const nb_path *p, const char *suffix, nb_file_kind kind, place *out) {
  char dir[PATH_BYTES];
  out->of = p, out->kind = kind;
  size_t n = strlen(p->path);
  bool slash = n && p->path[n - 1] == '/' && *suffix == '/';
  snprintf(out->path, sizeof out->path, "%s%s", p->path, suffix + slash);
  snprintf(dir, sizeof dir, "%.*s", (int)(last_name(out->path) - out->path), out->path);
  out->exists = stat(out->path, &out->file) == 0;
  out->has_dir = stat(*dir ? dir : ".", &out->dir) == 0;
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_place(const place *a, const place *b) {
  if (a->exists && b->exists) return same_file(&a->file, &b->file);
  if (!a->has_dir && !b->has_dir) return !strcmp(a->path, b->path); /* in a folder that is yet to be made */
  return a->has_dir && b->has_dir && same_file(&a->dir, &b->dir) && !strcmp(last_name(a->path), last_name(b->path));
}

/* ---- the rules ---- */

/* What a message calls it: an option, or what it is to a caller without options. */
static const char *path_text(const nb_path *p, char buf[64]) {
  if (!p->option) return nb_path_written(p->file) ? "the output" : "an argument";
  snprintf(buf, 64, "%s%s", *p->option == '/' ? "" : "--", p->option);
  return buf;
}

static nb_status check_folder(const place *out, const nb_path *input, const char *dir, int depth, nb_err *err);

/* One file in a folder that is read. A file of the output's own kind is what an earlier run left there; but an exported
 * checkpoint that is the model is read. */
static nb_status check_entry(const place *out, const nb_path *input, const char *path, int depth, nb_err *err) {
  struct stat s;
  char a[64], b[64];
  bool may_be_its_own = out->kind != NB_FILE_EXPORT || input->option;
  if (stat(path, &s)) return NB_OK;
  if (S_ISDIR(s.st_mode)) return depth < MAX_DEPTH ? check_folder(out, input, path, depth + 1, err) : NB_OK;
  if (!same_file(&s, &out->file) || (may_be_its_own && is_of_kind(path, out->kind))) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s would write over %s, a part of %s (%s), which is read: give another name",
                 path_text(out->of, a), path, input->path, path_text(input, b));
}

static nb_status check_folder(const place *out, const nb_path *input, const char *dir, int depth, nb_err *err) {
  DIR *d = opendir(dir);
  nb_status st = NB_OK;
  for (const struct dirent *e; d && st == NB_OK && (e = readdir(d));) {
    char path[PATH_BYTES];
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path)
      st = check_entry(out, input, path, depth, err);
  }
  if (d) closedir(d);
  return st;
}

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }
static bool ends(const char *s, const char *with) {
  return strlen(s) >= strlen(with) && !strcmp(s + strlen(s) - strlen(with), with);
}

/* Whether a file beside the one that is given is read along with it, by their names. */
static bool read_along(const char *given, const char *beside) {
  static const char first[] = "-00001-of-";
  const char *split = strstr(given, first);
  if (split && (ends(given, ".gguf") || ends(given, ".nbl")))
    return !strncmp(beside, given, (size_t)(split - given) + 1) && ends(beside, split + strlen("-00001"));
  if (begins(given, "results_") && ends(given, ".json")) {
    size_t date = strcspn(given + 8, ".");
    return begins(beside, "samples_") && ends(beside, ".jsonl") && strlen(beside) > date + 6 &&
           !strncmp(beside + strlen(beside) - 6 - date, given + 8, date);
  }
  size_t stem = strcspn(given, ".");
  return !strncmp(given, beside, stem) && beside[stem] == '-' && ends(beside, ".lst");
}

static nb_status check_beside(const place *out, const nb_path *input, nb_err *err) {
  const char *name = last_name(input->path);
  char dir[PATH_BYTES], path[PATH_BYTES], a[64], b[64];
  struct stat s;
  snprintf(dir, sizeof dir, "%.*s", (int)(name - input->path), input->path);
  DIR *d = opendir(*dir ? dir : ".");
  nb_status st = NB_OK;
  for (const struct dirent *e; d && st == NB_OK && (e = readdir(d));) {
    if (!read_along(name, e->d_name)) continue;
    if (snprintf(path, sizeof path, "%s%s", dir, e->d_name) >= (int)sizeof path || stat(path, &s)) continue;
    if (same_file(&s, &out->file))
      st = nb_fail(err, NB_ERR_ARG, "%s would write over %s, which is read with %s (%s): give another name",
                   path_text(out->of, a), path, input->path, path_text(input, b));
  }
  if (d) closedir(d);
  return st;
}

/* An output against an input. */
static nb_status check_input(const place *out, const nb_path *input, nb_err *err) {
  place in;
  char a[64], b[64];
  find_place(input, "", NB_PATH_READ, &in);
  if (!in.exists || !out->exists) return NB_OK;
  if (same_file(&in.file, &out->file))
    return nb_fail(err, NB_ERR_ARG, "%s would write over %s (%s), which is read: give another name",
                   path_text(out->of, a), input->path, path_text(input, b));
  if (!S_ISREG(out->file.st_mode)) return NB_OK;
  if (S_ISDIR(in.file.st_mode)) return check_folder(out, input, input->path, 0, err);
  return check_beside(out, input, err);
}

static nb_status check_kind(const place *out, bool force, nb_err *err) {
  if (force || !out->exists || !S_ISREG(out->file.st_mode) || is_of_kind(out->path, out->kind)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s is there already and not %s: give another name, or %s", out->path,
                 nb_filekind_name(out->kind), out->of->option ? "--force to replace it" : "remove it first");
}

/* Whether something is there that an export may not replace: a checkpoint made elsewhere. */
static nb_status check_export(const place *out, size_t n, bool force, nb_err *err) {
  char index[PATH_BYTES + 16];
  snprintf(index, sizeof index, "%s.index.json", out[0].path);
  bool sharded = !access(index, F_OK), ours = !sharded && out[0].exists && is_of_kind(out[0].path, out[0].kind);
  const char *there = sharded ? index : NULL;
  for (size_t i = 0; i < n && !there; i++)
    if (out[i].exists) there = out[i].path;
  if (!there || ours || force) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s is there already and not of nibble export: give another folder, or --force",
                 there);
}

/* The files that stand for one output. `all`: with the tokenizer's of an export. */
static size_t places_of(const nb_path *p, bool all, place out[PLACES]) {
  size_t n = 0;
  char suffix[64];
  if (p->file != NB_FILE_EXPORT) find_place(p, "", p->file, &out[n++]);
  if (p->file == NB_FILE_NBL)
    find_place(p, ".part", NB_FILE_PART, &out[n++]), find_place(p, ".untuned", NB_FILE_NBL, &out[n++]);
  if (p->file != NB_FILE_EXPORT) return n;
  find_place(p, "/model.safetensors", p->file, &out[n++]);
  find_place(p, "/config.json", p->file, &out[n++]);
  for (size_t i = 0; all && i < NB_TOKENIZER_FILES; i++) {
    snprintf(suffix, sizeof suffix, "/%s", nb_tokenizer_file_names[i]);
    find_place(p, suffix, p->file, &out[n++]);
  }
  return n;
}

/* Two outputs against each other. */
static nb_status check_pair(const nb_path *a, const nb_path *b, nb_err *err) {
  place x[PLACES], y[PLACES];
  size_t n = places_of(a, true, x), m = places_of(b, true, y);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < m; k++)
      if (same_place(&x[i], &y[k]))
        return nb_fail(err, NB_ERR_ARG, "--%s and --%s would both write %s: give each its own name", a->option,
                       b->option, x[i].path);
  return NB_OK;
}

/* Whether tokenizer files are copied to an export: from another folder than its own. */
static bool copies_tokenizer(const nb_path *out, const nb_path *paths, size_t n) {
  struct stat from, to;
  for (size_t i = 0; i < n; i++)
    if (paths[i].file == NB_PATH_READ && paths[i].option)
      return stat(paths[i].path, &from) || stat(out->path, &to) || !same_file(&from, &to);
  return false;
}

nb_status nb_path_check(const nb_path *paths, size_t n, bool force, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    place out[PLACES];
    if (!nb_path_written(paths[i].file)) continue;
    size_t places = places_of(&paths[i], copies_tokenizer(&paths[i], paths, n), out);
    for (size_t k = 0; k < places; k++)
      for (size_t j = 0; j < n; j++)
        if (paths[j].file == NB_PATH_READ) NB_TRY(check_input(&out[k], &paths[j], err));
    for (size_t j = 0; j < i; j++)
      if (nb_path_written(paths[j].file)) NB_TRY(check_pair(&paths[j], &paths[i], err));
    if (paths[i].file == NB_FILE_EXPORT) NB_TRY(check_export(out, places, force, err));
    else
      for (size_t k = 0; k < places; k++) NB_TRY(check_kind(&out[k], force, err));
  }
  return NB_OK;
}
