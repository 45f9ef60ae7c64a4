/* SPDX-License-Identifier: MIT */
/* A .nbl file in parts and in places: what is bound from parts, from within another file and from a descriptor is what
 * the whole file holds; parts that are missing, swapped, mixed or hostile are refused by name. */
#include "test.h"

#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "formats/outfile.h"
#include "formats/split.h"
#include "tempdir.h"

#include <fcntl.h>

static nb_err err;
static const char whole[] = "tests/fuzz/corpus/nbl/toy.nbl", other[] = "tests/fuzz/corpus/nbl/texts";

#define CHECK_SAYS(status, part, call)                                                                                 \
  do {                                                                                                                 \
    nb_status s_ = (call);                                                                                             \
    CHECK_MSG(s_ == (status), "%s is %d: %s", #call, (int)s_, s_ ? err.msg : "");                                      \
    CHECK_MSG(strstr(err.msg, part), "\"%s\" has no \"%s\"", err.msg, part);                                           \
  } while (0)

static void must(nb_status st) {
  if (st != NB_OK) printf("  %s\n", err.msg), exit(1);
}

/* The other file's checksum is not right in the corpus. */
static void mend(char *bytes) {
  uint8_t *p = (uint8_t *)bytes;
  nb_nbl_header_hash(p, nb_little_get(p + 56, 8), p + 16);
}

static char *file_bytes(const char *path, size_t *n) {
  char *bytes;
  must(nb_mapfile_read(path, 1 << 24, &bytes, n, &err));
  mend(bytes);
  return bytes;
}

/* Cuts a file; the parts are PREFIX-0000i-of-0000n.nbl in the test's folder. Gives how many. */
static size_t cut(const char *path, const char *name, uint64_t bytes) {
  size_t n;
  char *data = file_bytes(path, &n), *own = temp_file("own.nbl", data, n), *prefix = temp_path(name);
  nb_nbl *f;
  nb_split_plan plan;
  must(nb_nbl_open(own, false, 1, &f, &err));
  must(nb_split_plan_make(f, bytes, &plan, &err));
  for (size_t i = 0; i < plan.n; i++) CHECK(plan.begin[i + 1] - plan.begin[i] + NB_SPLIT_HEAD <= bytes);
  must(nb_split_write(f, &plan, prefix, NULL, &err));
  n = plan.n;
  nb_split_plan_free(&plan);
  nb_nbl_close(f);
  free(data), free(own), free(prefix);
  return n;
}

static char *part_path(const char *name, unsigned i, size_t n) {
  char *prefix = temp_path(name), path[NB_SPLIT_PATH];
  must(nb_split_name(prefix, i, (unsigned)n, path, &err));
  free(prefix);
  return strdup(path);
}

/* That f is the whole file, byte for byte, and its tensors too. */
static void check_whole(const nb_nbl *f) {
  size_t n, have;
  char *bytes = file_bytes(whole, &n);
  CHECK(nb_nbl_file_bytes(f) == n);
  for (uint64_t at = 0; at < n; at += have) {
    const void *run = nb_nbl_run(f, at, &have);
    CHECK(have > 0 && have <= n - at && !memcmp(run, bytes + at, have));
  }
  for (size_t i = 0; i < nb_nbl_count(f); i++)
    CHECK(!memcmp(nb_nbl_data(f, i), bytes + nb_nbl_at(f, i)->offset, nb_nbl_at(f, i)->size));
  CHECK(!memcmp(nb_nbl_hash_of(f), bytes + 16, 16));
  free(bytes);
}

TEST(parts_are_the_whole) {
  for (uint64_t size = 27000; size < 100000; size += 20000) {
    size_t n = cut(whole, "p", size);
    char *first = part_path("p", 1, n), *back = temp_path("back.nbl");
    nb_nbl *f;
    CHECK_MSG((n == 1) == (size > 60000), "%zu parts of %llu bytes", n, (unsigned long long)size);
    CHECK_OK(nb_nbl_open(first, true, 2, &f, &err));
    check_whole(f);
    CHECK_OK(nb_split_join(f, back, NULL, &err));
    nb_nbl_close(f);
    CHECK_OK(nb_nbl_open(back, true, 1, &f, &err));
    check_whole(f);
    nb_nbl_close(f);
    free(first), free(back);
  }
}

TEST(too_small_a_part) {
  size_t n;
  char *data = file_bytes(whole, &n), *own = temp_file("own.nbl", data, n);
  nb_nbl *f;
  nb_split_plan plan;
  unsigned long long least = 0;
  CHECK_OK(nb_nbl_open(own, false, 1, &f, &err));
  CHECK_SAYS(NB_ERR_ARG, "which stay together: give ", nb_split_plan_make(f, 1, &plan, &err));
  CHECK(sscanf(strstr(err.msg, "give "), "give %llu", &least) == 1);
  CHECK_OK(nb_split_plan_make(f, least, &plan, &err)); /* what the message says is enough, one byte less is not */
  nb_split_plan_free(&plan);
  CHECK(nb_split_plan_make(f, least - 1, &plan, &err) == NB_ERR_ARG);
  nb_nbl_close(f);
  free(data), free(own);
}

static bool stop_at(void *ctx, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  return --*(int *)ctx > 0;
}

/* A run that ends before its end leaves no part and no temporary, and what was there stays as it was. */
TEST(all_parts_or_none) {
  size_t n, old_n;
  char *data = file_bytes(whole, &n), *own = temp_file("own.nbl", data, n), *prefix = temp_path("c");
  nb_nbl *f;
  nb_split_plan plan;
  CHECK_OK(nb_nbl_open(own, false, 1, &f, &err));
  CHECK_OK(nb_split_plan_make(f, 27000, &plan, &err));
  CHECK(plan.n == 3);
  char *second = part_path("c", 2, 3), *third = part_path("c", 3, 3), *old;
  temp_write(second, "older", 5);
  int steps = 1;
  for (int stop = 1;; stop++) {
    steps = stop;
    const nb_progress p = {stop_at, &steps};
    nb_status st = nb_split_write(f, &plan, prefix, &p, &err);
    if (st == NB_OK) break;
    CHECK(st == NB_ERR_INTERRUPTED && stop < 100);
    CHECK(temp_count(temp_dir(), "c-0000") == 1 && temp_count(temp_dir(), ".tmp") == 0);
    CHECK_OK(nb_mapfile_read(second, 100, &old, &old_n, &err));
    CHECK(old_n == 5 && !memcmp(old, "older", 5));
    free(old);
  }
  CHECK(temp_count(temp_dir(), "c-0000") == 3);
  /* One that cannot be written to: all that can be told before is. */
  unlink(third), mkdir(third, 0700), temp_write(second, "older", 5);
  CHECK_SAYS(NB_ERR_IO, "is a directory", nb_split_write(f, &plan, prefix, NULL, &err));
  CHECK(temp_count(temp_dir(), ".tmp") == 0);
  CHECK_OK(nb_mapfile_read(second, 100, &old, &old_n, &err));
  CHECK(old_n == 5);
  nb_split_plan_free(&plan);
  nb_nbl_close(f);
  free(old), free(second), free(third), free(data), free(own), free(prefix);
}

TEST(parts_that_do_not_belong) {
  size_t n = cut(whole, "a", 27000), m = cut(other, "b", 27000);
  char *a[3], *b[3], *stray = temp_path("stray.nbl");
  nb_nbl *f;
  CHECK(n == 3 && m == 3);
  for (unsigned i = 0; i < 3; i++) a[i] = part_path("a", i + 1, 3), b[i] = part_path("b", i + 1, 3);
  nb_mapfile_place place[3] = {{.path = a[0]}, {.path = a[1]}, {.path = a[2]}};
  CHECK_OK(nb_nbl_open_places(place, 3, true, 1, &f, &err));
  check_whole(f);
  nb_nbl_close(f);
  CHECK_SAYS(NB_ERR_FORMAT, "a-00001-of-00003.nbl is one of 3 parts, but 2",
             nb_nbl_open_places(place, 2, false, 1, &f, &err));
  CHECK_SAYS(NB_ERR_FORMAT, "a-00002-of-00003.nbl is part 2 of 3: give the first",
             nb_nbl_open(a[1], false, 1, &f, &err));
  place[1].path = a[2], place[2].path = a[1];
  CHECK_SAYS(NB_ERR_FORMAT, "a-00003-of-00003.nbl is part 3 of 3, but stands where part 2",
             nb_nbl_open_places(place, 3, false, 1, &f, &err));
  place[1].path = b[1], place[2].path = a[2];
  CHECK_SAYS(NB_ERR_FORMAT, "b-00002-of-00003.nbl is a part of another file than",
             nb_nbl_open_places(place, 3, false, 1, &f, &err));
  place[1].path = whole;
  CHECK_SAYS(NB_ERR_FORMAT, "toy.nbl is not a part", nb_nbl_open_places(place, 3, false, 1, &f, &err));
  CHECK(rename(a[1], stray) == 0);
  CHECK_SAYS(NB_ERR_IO, "a-00002-of-00003.nbl: cannot open", nb_nbl_open(a[0], false, 1, &f, &err));
  CHECK(rename(b[1], a[1]) == 0);
  CHECK_SAYS(NB_ERR_FORMAT, "a-00002-of-00003.nbl is a part of another file", nb_nbl_open(a[0], false, 1, &f, &err));
  CHECK(rename(a[0], stray) == 0);
  CHECK_SAYS(NB_ERR_ARG, "should end with -00001-of-00003.nbl", nb_nbl_open(stray, false, 1, &f, &err));
  for (int i = 0; i < 3; i++) free(a[i]), free(b[i]);
  free(stray);
}

/* Every byte of the heads counts, and of the payload by the checksums. */
TEST(every_byte_of_a_part) {
  size_t n = cut(whole, "e", 27000), size[3];
  char *bytes[3];
  nb_nbl_bytes list[3];
  CHECK(n == 3);
  for (unsigned i = 0; i < 3; i++) {
    char *path = part_path("e", i + 1, 3);
    CHECK_OK(nb_mapfile_read(path, 1 << 24, &bytes[i], &size[i], &err));
    uint8_t *aligned = nb_alloc(size[i], 1);
    memcpy(aligned, bytes[i], size[i]);
    list[i] = (nb_nbl_bytes){aligned, size[i], path};
  }
  nb_nbl *f;
  CHECK_OK(nb_nbl_open_bytes(list, 3, true, 1, &f, &err));
  nb_nbl_close(f);
  for (int i = 0; i < 3; i++)
    for (size_t at = 0; at < size[i]; at += at < 80 ? 1 : 997) {
      uint8_t *p = (uint8_t *)(uintptr_t)list[i].data + at;
      *p ^= 4;
      nb_status st = nb_nbl_open_bytes(list, 3, true, 1, &f, &err);
      CHECK_MSG(st == NB_ERR_FORMAT || st == NB_ERR_UNSUPPORTED, "part %d, byte %zu: %d", i, at, (int)st);
      if (st == NB_OK) nb_nbl_close(f);
      *p ^= 4;
    }
  list[2].size -= 64;
  CHECK_SAYS(NB_ERR_FORMAT, "e-00003-of-00003.nbl has", nb_nbl_open_bytes(list, 3, false, 1, &f, &err));
  for (int i = 0; i < 3; i++)
    nb_free((void *)(uintptr_t)list[i].data), free((char *)(uintptr_t)list[i].name), free(bytes[i]);
}

/* An entry of an archive begins at a multiple of 4, and a descriptor may stand for the archive. */
TEST(within_another_file) {
  size_t n;
  char *data = file_bytes(whole, &n), *archive = temp_path("base.apk"), *room = calloc(1, n + 9000);
  nb_nbl *f;
  for (size_t at = 4; at < 8200; at = at * 3 + 4) {
    memcpy(room + at, data, n);
    temp_write(archive, room, at + n + 777);
    int fd = open(archive, O_RDONLY);
    const nb_mapfile_place by_path = {.path = archive, .offset = at, .length = n},
                           by_fd = {.fd = fd, .offset = at, .length = n};
    CHECK_OK(nb_nbl_open_places(&by_path, 1, true, 1, &f, &err));
    check_whole(f);
    nb_nbl_close(f);
    CHECK_OK(nb_nbl_open_places(&by_fd, 1, true, 2, &f, &err));
    close(fd);
    check_whole(f); /* the mapping stays */
    nb_nbl_close(f);
  }
  const nb_mapfile_place odd = {.path = archive, .offset = 6, .length = n},
                         beyond = {.path = archive, .offset = 10, .length = n + 9000},
                         far = {.path = archive, .offset = UINT64_MAX - 10, .length = 100}, no = {.fd = -1};
  CHECK_SAYS(NB_ERR_ARG, "no multiple of 4 bytes", nb_nbl_open_places(&odd, 1, false, 1, &f, &err));
  CHECK_SAYS(NB_ERR_ARG, "are not in it", nb_nbl_open_places(&beyond, 1, false, 1, &f, &err));
  CHECK_SAYS(NB_ERR_ARG, "are not in it", nb_nbl_open_places(&far, 1, false, 1, &f, &err));
  CHECK_SAYS(NB_ERR_IO, "file descriptor -1: cannot examine", nb_nbl_open_places(&no, 1, false, 1, &f, &err));
  CHECK(nb_nbl_open_places(&no, 0, false, 1, &f, &err) == NB_ERR_ARG);
  free(data), free(archive), free(room);
}

int main(void) {
  RUN(parts_are_the_whole);
  RUN(too_small_a_part);
  RUN(all_parts_or_none);
  RUN(parts_that_do_not_belong);
  RUN(every_byte_of_a_part);
  RUN(within_another_file);
  temp_remove();
  return test_end();
}
