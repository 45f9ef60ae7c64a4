/* SPDX-License-Identifier: MIT */
#include "formats/paths.h"

#include "formats/nbl_layout.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = 4096, PATH_BYTES = 4096, MAX_DEPTH = 8 };

/* ---- what a file is ---- */

/* How each kind begins, and what stands in its first HEAD bytes besides. */
static const struct {
  nb_path_kind file;
  const char *what, *begin, *within;
} kinds[] = {
    {NB_PATH_NBL, "a .nbl file", NB_NBL_MAGIC, NULL},
    {NB_PATH_STATS, "a file of nibble calibrate", "NBCALIB", NULL},
    {NB_PATH_RESULT, "a result of nibble eval", "{", "\"format\": \"nibble-result\""},
    {NB_PATH_RESULT, "a result of nibble eval", "{", "\"format\":\"nibble-result\""},
    {NB_PATH_PAGE, "a page of nibble", "<!DOCTYPE html>", "<title>nibble"},
    {NB_PATH_JUNIT, "a JUnit file of nibble", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"", NULL},
    {NB_PATH_MARKDOWN, "a summary of nibble", "## nibble: ", NULL},
    {NB_PATH_BUNDLE, "a bundle of nibble eval", "PK\3\4", "result.json"},
    {NB_PATH_JOURNAL, "a journal of nibble eval", "nbjrnl", NULL},
    {NB_PATH_GGUF, "a GGUF file", "GGUF", NULL},
    {NB_PATH_NBLZ, "a packed .nbl file", "NBLZ", NULL},
    {NB_PATH_PART, "finished matrices of nibble quantize", "NBLPART", NULL},
    {NB_PATH_CHECKPOINT, "a checkpoint of nibble export", "", "\"nibble\":\""},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *kind_name(nb_path_kind file) {
  size_t i = 0;
  while (i + 1 < KINDS && kinds[i].file != file) i++;
  return kinds[i].what;
}

static bool holds(const char *text, size_t n, const char *word) {
  size_t m = strlen(word);
  for (size_t i = 0; i + m <= n; i++)
    if (!memcmp(text + i, word, m)) return true;
  return false;
}

/* Whether the file at path is of that kind; an empty one is of every kind. */
static bool is_of_kind(const char *path, nb_path_kind file) {
  char head[HEAD];
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof head);
  if (fd >= 0) close(fd);
  for (size_t i = 0; i < KINDS && got > 0; i++) {
    size_t m = strlen(kinds[i].begin);
    if (kinds[i].file != file || (size_t)got < m || memcmp(head, kinds[i].begin, m)) continue;
    if (!kinds[i].within || holds(head, (size_t)got, kinds[i].within)) return true;
  }
  return got == 0;
}

/* ---- whether two paths are one file ---- */

typedef struct place {
  const nb_path *of;
  nb_path_kind kind;
  char path[PATH_BYTES];
  struct stat file, dir; /* of the file, and of the folder that it is or would be in */
  bool exists, has_dir;
} place;

static const char *last_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void find_place(const nb_path *p, const char *suffix, nb_path_kind kind, place *out) {
  char dir[PATH_BYTES];
  out->of = p, out->kind = kind;
  snprintf(out->path, sizeof out->path, "%s%s", p->path, suffix);
  snprintf(dir, sizeof dir, "%.*s", (int)(last_name(out->path) - out->path), out->path);
  out->exists = stat(out->path, &out->file) == 0;
  out->has_dir = stat(*dir ? dir : ".", &out->dir) == 0;
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_place(const place *a, const place *b) {
  if (a->exists && b->exists) return same_file(&a->file, &b->file);
  return a->has_dir && b->has_dir && same_file(&a->dir, &b->dir) && !strcmp(last_name(a->path), last_name(b->path));
}

/* ---- the rules ---- */

/* What a message calls it: an option, or what it is to a caller without options. */
static const char *path_text(const nb_path *p, char buf[64]) {
  if (!p->option) return p->file > NB_PATH_READ ? "the output" : "an argument";
  snprintf(buf, 64, "--%s", p->option);
  return buf;
}

static nb_status check_folder(const place *out, const nb_path *input, const char *dir, int depth, nb_err *err);

/* One file in a folder that is read. A file of the output's own kind is what an earlier run left there. */
static nb_status check_entry(const place *out, const nb_path *input, const char *path, int depth, nb_err *err) {
  struct stat s;
  char a[64], b[64];
  if (stat(path, &s)) return NB_OK;
  if (S_ISDIR(s.st_mode)) return depth < MAX_DEPTH ? check_folder(out, input, path, depth + 1, err) : NB_OK;
  if (!same_file(&s, &out->file) || is_of_kind(path, out->kind)) return NB_OK;
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

/* An output against an input. */
static nb_status check_input(const place *out, const nb_path *input, nb_err *err) {
  place in;
  char a[64], b[64];
  find_place(input, "", NB_PATH_READ, &in);
  if (!in.exists || !out->exists) return NB_OK;
  if (same_file(&in.file, &out->file))
    return nb_fail(err, NB_ERR_ARG, "%s would write over %s (%s), which is read: give another name",
                   path_text(out->of, a), input->path, path_text(input, b));
  return S_ISDIR(in.file.st_mode) && S_ISREG(out->file.st_mode) ? check_folder(out, input, input->path, 0, err) : NB_OK;
}

static nb_status check_kind(const place *out, bool force, nb_err *err) {
  if (force || !out->exists || !S_ISREG(out->file.st_mode) || is_of_kind(out->path, out->kind)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s is there already and not %s: give another name, or %s to replace it", out->path,
                 kind_name(out->of->file), out->of->option ? "--force" : "force");
}

/* A folder that holds a checkpoint is exported to again when its weights are such an export's. */
static nb_status check_export(const nb_path *p, bool force, nb_err *err) {
  static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "config.json"};
  char weights[PATH_BYTES], path[PATH_BYTES];
  snprintf(weights, sizeof weights, "%s/%s", p->path, names[0]);
  for (size_t i = 0; !force && i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", p->path, names[i]);
    if (access(path, F_OK)) continue;
    if (i != 1 && !access(weights, F_OK) && is_of_kind(weights, NB_PATH_CHECKPOINT)) continue;
    return nb_fail(err, NB_ERR_ARG, "%s is there already and not of nibble export: give another folder, or --force",
                   path);
  }
  return NB_OK;
}

/* The files that stand for one output. */
static size_t places_of(const nb_path *p, place out[3]) {
  find_place(p, p->file == NB_PATH_CHECKPOINT ? "/model.safetensors" : "", p->file, &out[0]);
  if (p->file == NB_PATH_CHECKPOINT) find_place(p, "/config.json", p->file, &out[1]);
  if (p->file == NB_PATH_NBL)
    find_place(p, ".part", NB_PATH_PART, &out[1]), find_place(p, ".untuned", NB_PATH_NBL, &out[2]);
  return p->file == NB_PATH_CHECKPOINT ? 2 : p->file == NB_PATH_NBL ? 3 : 1;
}

/* Two outputs against each other. */
static nb_status check_pair(const nb_path *a, const nb_path *b, nb_err *err) {
  place x[3], y[3];
  size_t n = places_of(a, x), m = places_of(b, y);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < m; k++)
      if (same_place(&x[i], &y[k]))
        return nb_fail(err, NB_ERR_ARG, "--%s and --%s would both write %s: give each its own name", a->option,
                       b->option, x[i].path);
  return NB_OK;
}

nb_status nb_path_check(const nb_path *paths, size_t n, bool force, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    place out[3];
    if (paths[i].file <= NB_PATH_READ) continue;
    size_t places = places_of(&paths[i], out);
    for (size_t k = 0; k < places; k++)
      for (size_t j = 0; j < n; j++)
        if (paths[j].file == NB_PATH_READ) NB_TRY(check_input(&out[k], &paths[j], err));
    for (size_t j = 0; j < i; j++)
      if (paths[j].file > NB_PATH_READ) NB_TRY(check_pair(&paths[j], &paths[i], err));
    if (paths[i].file == NB_PATH_CHECKPOINT) NB_TRY(check_export(&paths[i], force, err));
    else NB_TRY(check_kind(&out[0], force, err));
  }
  return NB_OK;
}
