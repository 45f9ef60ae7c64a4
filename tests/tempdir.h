/* SPDX-License-Identifier: MIT */
/* A directory of its own for a test program, made on first use. Paths returned are the caller's to free. */
#ifndef NB_TEMPDIR_H
#define NB_TEMPDIR_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline const char *temp_dir(void) {
  static char dir[512];
  if (!*dir) {
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/nibble-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(dir)) perror(dir), exit(1);
  }
  return dir;
}

static inline char *temp_path(const char *name) {
  size_t n = strlen(temp_dir()) + strlen(name) + 2;
  char *p = malloc(n);
  snprintf(p, n, "%s/%s", temp_dir(), name);
  return p;
}

static inline void temp_write(const char *path, const void *data, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(data, 1, n, f) != n || fclose(f)) perror(path), exit(1);
}

static inline char *temp_file(const char *name, const void *data, size_t n) {
  char *p = temp_path(name);
  temp_write(p, data, n);
  return p;
}

static inline char *temp_text(const char *name, const char *text) { return temp_file(name, text, strlen(text)); }

static inline char *temp_subdir(const char *name) {
  char *p = temp_path(name);
  if (mkdir(p, 0700)) perror(p), exit(1);
  return p;
}

/* How many entries of a directory contain `part` in their names. */
static inline int temp_count(const char *dir, const char *part) {
  int n = 0;
  DIR *d = opendir(dir);
  for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '\0' && strstr(e->d_name, part) != NULL;
  if (d) closedir(d);
  return n;
}

static inline void temp_remove_tree(const char *path) {
  DIR *d = opendir(path);
  for (struct dirent *e; d && (e = readdir(d));) {
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    struct stat st;
    size_t n = strlen(path) + strlen(e->d_name) + 2;
    char *child = malloc(n);
    snprintf(child, n, "%s/%s", path, e->d_name);
    if (lstat(child, &st) == 0 && S_ISDIR(st.st_mode)) temp_remove_tree(child);
    else unlink(child);
    free(child);
  }
  if (d) closedir(d);
  rmdir(path);
}

/* Call at the end of main. */
static inline void temp_remove(void) { temp_remove_tree(temp_dir()); }

#endif
