/* SPDX-License-Identifier: MIT */
#include "formats/archive.h"

#include "base/utf8.h"
#include "formats/mapfile.h"
#include "base/mem.h"
#include "formats/oserror.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef NB_HAVE_LIBZIP
#include <zip.h>
#endif
#include <zlib.h>

typedef struct member {
  char *name, *where;
  char *path;          /* of its own file; NULL when it is in the archive's bytes */
  uint64_t index;      /* in the zip archive */
  size_t packed, size; /* bytes in the zip archive, and what they become */
  dev_t device;        /* of its own file, */
  ino_t inode;         /* and which */
  bool linked;         /* found behind a link to a directory */
  bool gzip;
} member;

/* A directory that is being listed, and those around it. */
typedef struct place {
  const struct place *up;
  const char *dir, *prefix; /* its path; what its members' names begin with */
  dev_t device;
  ino_t inode;
  int depth;
  bool linked; /* it, or one around it, is a link */
} place;

struct nb_archive {
  char *path;
  nb_mapfile map;      /* of a single file */
  const uint8_t *data; /* its bytes, or the caller's */
  size_t size;
  struct zip *zip;
  member *members;
  size_t n, cap;
};

static bool ends_with(const char *s, const char *suffix) {
  size_t n = strlen(s), m = strlen(suffix);
  return n >= m && !strcmp(s + n - m, suffix);
}

static size_t allowance(size_t packed) {
  size_t expanded = packed > NB_ARCHIVE_MAX_MEMBER ? NB_ARCHIVE_MAX_MEMBER * 2 : packed * NB_ARCHIVE_MAX_RATIO;
  return expanded + (1 << 20);
}

/* --- gzip --- */

/* Inflates one gzip stream after another into out, which grows to at most `limit` bytes and a NUL. */
static nb_status inflate_all(z_stream *z, const char *where, size_t limit, char **out, size_t *n, nb_err *err) {
  size_t cap = 0;
  int r = Z_OK;
  *n = 0;
  while (r != Z_STREAM_END || (z->avail_in && *z->next_in)) { /* zeros may pad the end */
    if (r == Z_STREAM_END && inflateReset(z) != Z_OK) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
    if (*n > limit)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: expands to more than %zu bytes, refused as a decompression bomb",
                     where, limit);
    NB_TRY(nb_grow(out, &cap, *n + 65536, 1, err));
    uInt room = (uInt)nb_min(cap - *n - 1, (size_t)1 << 30);
    z->next_out = (Bytef *)*out + *n;
    z->avail_out = room;
    r = inflate(z, Z_NO_FLUSH);
    *n += room - z->avail_out;
    if (r == Z_MEM_ERROR) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
    if (r == Z_BUF_ERROR || (r == Z_OK && !z->avail_in && z->avail_out))
      return nb_fail(err, NB_ERR_FORMAT, "%s: the gzip data are truncated", where);
    if (r != Z_OK && r != Z_STREAM_END)
      return nb_fail(err, NB_ERR_FORMAT, "%s: damaged gzip data: %s", where, z->msg ? z->msg : "unknown error");
  }
  if (*n > limit)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: expands to more than %zu bytes, refused as a decompression bomb",
                   where, limit);
  (*out)[*n] = 0;
  return NB_OK;
}

static nb_status gunzip(const uint8_t *data, size_t size, const char *where, char **out, size_t *n, nb_err *err) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size};
  if (size > NB_ARCHIVE_MAX_MEMBER) return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %zu bytes are too many", where, size);
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", where);
  nb_status st = inflate_all(&z, where, nb_min(allowance(size), NB_ARCHIVE_MAX_MEMBER), out, n, err);
  inflateEnd(&z);
  if (st != NB_OK) {
    free(*out);
    *out = NULL, *n = 0;
  }
  return st;
}

/* --- the list of members --- */

/* Names are UTF-8 without control characters, with '/' between their parts. */
static void clean_name(char *name) {
  for (char *p = name, *end = name + strlen(name); p < end;) {
    uint32_t cp;
    size_t bad, n = nb_utf8_check(p, (size_t)(end - p), &cp, &bad);
    if (!n || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) memset(p, '?', n ? n : bad);
    if (*p == '\\') *p = '/';
    p += n ? n : bad;
  }
}

/* Adds a member; m holds what depends on the kind, m.path being taken over. */
static nb_status add(nb_archive *a, const char *name, bool in_zip, member m, nb_err *err) {
  size_t bytes = strlen(a->path) + strlen(name) + 3;
  nb_status st = nb_grow(&a->members, &a->cap, a->n + 1, sizeof *a->members, err);
  if (a->n >= NB_ARCHIVE_MAX_MEMBERS)
    st = nb_fail(err, NB_ERR_UNSUPPORTED, "%s: more than %d files", a->path, NB_ARCHIVE_MAX_MEMBERS);
  if (st == NB_OK) {
    m.name = strdup(name);
    m.where = in_zip ? malloc(bytes) : strdup(m.path ? m.path : a->path);
    if (!m.name || !m.where) st = nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", a->path);
  }
  if (st != NB_OK) {
    free(m.name), free(m.where), free(m.path);
    return st;
  }
  clean_name(m.name);
  if (in_zip) snprintf(m.where, bytes, "%s: %s", a->path, m.name);
  if (m.gzip && ends_with(m.name, ".gz")) m.name[strlen(m.name) - 3] = 0;
  a->members[a->n++] = m;
  return NB_OK;
}

static nb_status list_directory(nb_archive *a, const place *at, nb_err *err);

/* Whether the directory is at, or around it: a link that leads back. */
static bool leads_back(const place *at, const struct stat *s) {
  for (; at; at = at->up)
    if (at->device == s->st_dev && at->inode == s->st_ino) return true;
  return false;
}

static nb_status list_entry(nb_archive *a, const place *at, const char *entry, nb_err *err) {
  struct stat st, link;
  size_t path_bytes = strlen(at->dir) + strlen(entry) + 2, name_bytes = strlen(at->prefix) + strlen(entry) + 2;
  char *path = malloc(path_bytes), *name = malloc(name_bytes);
  nb_status ret = NB_OK;
  if (!path || !name) ret = nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", at->dir);
  if (ret == NB_OK) {
    snprintf(path, path_bytes, "%s/%s", at->dir, entry);
    snprintf(name, name_bytes, "%s%s", at->prefix, entry);
    if (stat(path, &st) || lstat(path, &link)) ret = nb_oserror_fail(err, errno, path, "examine");
    else if (S_ISDIR(st.st_mode) && !leads_back(at, &st)) {
      strcat(name, "/"); /* room for it was counted */
      ret = list_directory(
          a, &(place){at, path, name, st.st_dev, st.st_ino, at->depth + 1, at->linked || S_ISLNK(link.st_mode)}, err);
    } else if (S_ISREG(st.st_mode)) {
      ret = add(a, name, false,
                (member){.path = path,
                         .device = st.st_dev,
                         .inode = st.st_ino,
                         .linked = at->linked,
                         .gzip = ends_with(name, ".gz")},
                err);
      path = NULL;
    }
  }
  free(path), free(name);
  return ret;
}

static nb_status list_directory(nb_archive *a, const place *at, nb_err *err) {
  if (at->depth > NB_ARCHIVE_MAX_DEPTH)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: directories more than %d deep", at->dir, NB_ARCHIVE_MAX_DEPTH);
  DIR *d = opendir(at->dir);
  if (!d) return nb_oserror_fail(err, errno, at->dir, "list the directory");
  nb_status st = NB_OK;
  for (struct dirent *e; st == NB_OK && (e = readdir(d));) {
    if (*e->d_name != '.') st = list_entry(a, at, e->d_name, err);
  }
  closedir(d);
  return st;
}

/* By file, those that no link led to first; then by name. */
static int by_file(const void *a, const void *b) {
  const member *x = a, *y = b;
  if (x->device != y->device) return x->device < y->device ? -1 : 1;
  if (x->inode != y->inode) return x->inode < y->inode ? -1 : 1;
  if (x->linked != y->linked) return x->linked ? 1 : -1;
  return strcmp(x->name, y->name);
}

/* A file that is there twice because a linked directory shows it again is taken once. */
static void drop_seen_again(nb_archive *a) {
  size_t n = 0;
  if (a->n) qsort(a->members, a->n, sizeof *a->members, by_file);
  for (size_t i = 0; i < a->n; i++) {
    member *m = &a->members[i], *last = n ? &a->members[n - 1] : NULL;
    if (last && m->linked && m->device == last->device && m->inode == last->inode)
      free(m->name), free(m->where), free(m->path);
    else a->members[n++] = *m;
  }
  a->n = n;
}

#ifdef NB_HAVE_LIBZIP

/* Whether a name has a part "..", or is absolute. */
static bool leaves_archive(const char *name) {
  if (*name == '/' || *name == '\\') return true;
  for (const char *p = name; *p;) {
    size_t n = strcspn(p, "/\\");
    if (n == 2 && p[0] == '.' && p[1] == '.') return true;
    p += n + (p[n] != 0);
  }
  return false;
}

/* Whether any part of the name begins with a point (hidden; "._x" is macOS's) or is __MACOSX. */
static bool hidden(const char *name) {
  for (const char *p = name; *p;) {
    size_t n = strcspn(p, "/\\");
    if ((*p == '.' && n != 1) || (n == 8 && !memcmp(p, "__MACOSX", 8))) return true;
    p += n + (p[n] != 0);
  }
  return false;
}

static nb_status list_zip(nb_archive *a, nb_err *err) {
  size_t total = 0;
  zip_int64_t n = zip_get_num_entries(a->zip, 0);
  for (zip_int64_t i = 0; i < n; i++) {
    zip_stat_t s;
    const zip_uint64_t need = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (zip_stat_index(a->zip, (zip_uint64_t)i, 0, &s) || (s.valid & need) != need)
      return nb_fail(err, NB_ERR_FORMAT, "%s: member %lld cannot be examined", a->path, (long long)i);
    if (leaves_archive(s.name))
      return nb_fail(err, NB_ERR_FORMAT, "%s: the member name \"%.100s\" leaves the archive", a->path, s.name);
    if (!*s.name || ends_with(s.name, "/") || hidden(s.name)) continue;
    if (s.size > NB_ARCHIVE_MAX_MEMBER || !nb_add(total, (size_t)s.size, &total) || total > NB_ARCHIVE_MAX_TOTAL ||
        total > allowance(a->size))
      return nb_fail(err, NB_ERR_UNSUPPORTED,
                     "%s: expands too far (\"%.100s\" to %llu bytes), refused as a decompression bomb", a->path, s.name,
                     (unsigned long long)s.size);
    member m = {.index = (zip_uint64_t)i,
                .packed = (size_t)s.comp_size,
                .size = (size_t)s.size,
                .gzip = ends_with(s.name, ".gz")};
    NB_TRY(add(a, !strncmp(s.name, "./", 2) ? s.name + 2 : s.name, true, m, err));
  }
  return NB_OK;
}

#endif

static int by_name(const void *a, const void *b) {
  return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static nb_status sort_members(nb_archive *a, nb_err *err) {
  if (!a->n) return nb_fail(err, NB_ERR_FORMAT, "%s: no files in it", a->path);
  qsort(a->members, a->n, sizeof *a->members, by_name);
  for (size_t i = 1; i < a->n; i++) {
    if (!strcmp(a->members[i - 1].name, a->members[i].name))
      return nb_fail(err, NB_ERR_FORMAT, "%s: two members are called \"%.100s\"", a->path, a->members[i].name);
  }
  return NB_OK;
}

/* --- opening --- */

#ifdef NB_HAVE_LIBZIP

static nb_status open_zip(nb_archive *a, nb_err *err) {
  zip_error_t e;
  zip_error_init(&e);
  zip_source_t *source = zip_source_buffer_create(a->data, a->size, 0, &e);
  if (source) a->zip = zip_open_from_source(source, ZIP_RDONLY, &e);
  nb_status st = NB_OK;
  if (!a->zip) {
    st = nb_fail(err, NB_ERR_FORMAT, "%s: not a readable zip archive: %s", a->path, zip_error_strerror(&e));
    if (source) zip_source_free(source);
  }
  zip_error_fini(&e);
  return st == NB_OK ? list_zip(a, err) : st;
}

#else

static nb_status open_zip(nb_archive *a, nb_err *err) {
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s: this nibble was built without libzip: unpack the archive and give the directory", a->path);
}

#endif

/* What the bytes of a single file are. */
static nb_status open_bytes(nb_archive *a, nb_err *err) {
  static const char *const tars[] = {".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz"};
  for (size_t i = 0; i < sizeof tars / sizeof *tars; i++) {
    if (ends_with(a->path, tars[i]))
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: tar archives are not read: unpack it and give the directory",
                     a->path);
  }
  if (a->size >= 4 && (!memcmp(a->data, "PK\3\4", 4) || !memcmp(a->data, "PK\5\6", 4))) return open_zip(a, err);
  const char *slash = strrchr(a->path, '/');
  bool gzip = a->size >= 2 && a->data[0] == 0x1f && a->data[1] == 0x8b;
  return add(a, slash ? slash + 1 : a->path, false, (member){.gzip = gzip}, err);
}

static nb_status create(const char *path, nb_archive **out, nb_err *err) {
  *out = calloc(1, sizeof **out);
  if (*out) (*out)->path = strdup(path);
  if (*out && (*out)->path) return NB_OK;
  free(*out);
  *out = NULL;
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
}

static nb_status finish_open(nb_status st, nb_archive **out, nb_err *err) {
  if (st == NB_OK) st = sort_members(*out, err);
  if (st == NB_OK) return NB_OK;
  nb_archive_close(*out);
  *out = NULL;
  return st;
}

nb_status nb_archive_open(const char *path, nb_archive **out, nb_err *err) {
  struct stat info;
  NB_TRY(create(path, out, err));
  nb_archive *a = *out;
  if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
    nb_status listed = list_directory(a, &(place){NULL, path, "", info.st_dev, info.st_ino, 0, false}, err);
    drop_seen_again(a);
    return finish_open(listed, out, err);
  }
  nb_status st = nb_mapfile_open(path, &a->map, err);
  a->data = a->map.data, a->size = a->map.size;
  return finish_open(st == NB_OK ? open_bytes(a, err) : st, out, err);
}

nb_status nb_archive_open_memory(const void *data, size_t n, const char *name, nb_archive **out, nb_err *err) {
  NB_TRY(create(name, out, err));
  (*out)->data = data, (*out)->size = n;
  return finish_open(open_bytes(*out, err), out, err);
}

void nb_archive_close(nb_archive *a) {
  if (!a) return;
  for (size_t i = 0; i < a->n; i++) free(a->members[i].name), free(a->members[i].where), free(a->members[i].path);
  free(a->members);
#ifdef NB_HAVE_LIBZIP
  if (a->zip) zip_discard(a->zip);
#endif
  nb_mapfile_close(&a->map);
  free(a->path);
  free(a);
}

size_t nb_archive_count(const nb_archive *a) { return a->n; }
const char *nb_archive_name(const nb_archive *a, size_t i) { return a->members[i].name; }
const char *nb_archive_where(const nb_archive *a, size_t i) { return a->members[i].where; }

/* --- reading --- */

/* A copy of bytes with a NUL behind it. */
static nb_status copy(const void *data, size_t size, const char *where, char **out, size_t *n, nb_err *err) {
  if (size > NB_ARCHIVE_MAX_MEMBER)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %zu bytes, at most %zu are read", where, size, NB_ARCHIVE_MAX_MEMBER);
  *out = malloc(size + 1);
  if (!*out) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for its %zu bytes", where, size);
  memcpy(*out, data, size);
  (*out)[size] = 0;
  *n = size;
  return NB_OK;
}

#ifdef NB_HAVE_LIBZIP

static nb_status read_zip_member(nb_archive *a, const member *m, char **out, size_t *n, nb_err *err) {
  zip_stat_t s;
  zip_file_t *f = NULL;
  nb_status st = NB_OK;
  if (zip_stat_index(a->zip, m->index, 0, &s) == 0 && (s.valid & ZIP_STAT_ENCRYPTION_METHOD) &&
      s.encryption_method != ZIP_EM_NONE)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: is encrypted: unpack the archive and give the directory", m->where);
  if (m->size > allowance(m->packed))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %zu bytes expand to %zu, refused as a decompression bomb", m->where,
                   m->packed, m->size);
  *out = malloc(m->size + 1);
  if (!*out) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for its %zu bytes", m->where, m->size);
  f = zip_fopen_index(a->zip, m->index, 0);
  if (!f) NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %s", m->where, zip_strerror(a->zip)));
  while (*n <= m->size) { /* one byte more than announced, so that the end, and with it the checksum, is reached */
    zip_int64_t got = zip_fread(f, *out + *n, m->size + 1 - *n);
    if (got < 0) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: damaged: %s", m->where, zip_file_strerror(f)));
    if (got == 0) break;
    *n += (size_t)got;
  }
  if (*n != m->size)
    NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: damaged: it is not the %zu bytes long that the archive says", m->where,
                    m->size));
  (*out)[*n] = 0;
  zip_fclose(f);
  return NB_OK;
fail:
  if (f) zip_fclose(f);
  free(*out);
  *out = NULL, *n = 0;
  return st;
}

#else

static nb_status read_zip_member(nb_archive *a, const member *m, char **out, size_t *n, nb_err *err) {
  (void)m, (void)out, (void)n;
  return open_zip(a, err);
}

#endif

/* The member's bytes as they are stored: mapped, the archive's, or unpacked into *owned. */
static nb_status stored(nb_archive *a, const member *m, nb_mapfile *map, char **owned, const void **data, size_t *n,
                        nb_err *err) {
  if (m->path) NB_TRY(nb_mapfile_open(m->path, map, err));
  else if (a->zip) NB_TRY(read_zip_member(a, m, owned, n, err));
  if (m->path) *data = map->data, *n = map->size;
  else if (a->zip) *data = *owned;
  else *data = a->data, *n = a->size;
  return NB_OK;
}

nb_status nb_archive_read(nb_archive *a, size_t i, char **out, size_t *n, nb_err *err) {
  const member *m = &a->members[i];
  nb_mapfile map = {0};
  char *owned = NULL;
  const void *data;
  size_t size = 0;
  *out = NULL, *n = 0;
  nb_status st = stored(a, m, &map, &owned, &data, &size, err);
  if (st == NB_OK) {
    if (m->gzip) st = gunzip(data, size, m->where, out, n, err);
    else if (owned) *out = owned, *n = size, owned = NULL;
    else st = copy(data, size, m->where, out, n, err);
  }
  nb_mapfile_close(&map);
  free(owned);
  return st;
}
