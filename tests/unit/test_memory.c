/* SPDX-License-Identifier: MIT */
#include "eval/memory.h"
#include "tempdir.h"
#include "test.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { MB = 1 << 20, SIZE = 32 * MB };

static uint64_t grown(uint64_t before, uint64_t after) { return after > before ? after - before : 0; }

/* Touched heap counts as anonymous, touched pages of a mapped file as file-backed. */
TEST(kinds_are_told_apart) {
  nb_memory a, b, c;
  if (!nb_memory_read(&a)) SKIP("this system does not tell the kinds apart");
  if (TEST_SHADOWED) SKIP("a sanitizer keeps memory of its own");
  char *heap = malloc(SIZE);
  CHECK(heap != NULL);
  memset(heap, 1, SIZE);
  nb_memory_read(&b);
  CHECK(grown(a.anon_bytes, b.anon_bytes) > SIZE - MB && grown(a.anon_bytes, b.anon_bytes) < SIZE + SIZE / 4);
  CHECK(grown(a.file_bytes, b.file_bytes) < 2 * MB);
  CHECK(b.peak_bytes >= b.file_bytes + b.anon_bytes);

  char *path = temp_path("mapped");
  temp_write(path, heap, SIZE);
  int fd = open(path, O_RDONLY);
  const volatile char *map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
  CHECK((const void *)map != MAP_FAILED);
  unsigned sum = 0;
  for (size_t i = 0; i < SIZE; i += 4096) sum += (unsigned char)map[i];
  CHECK(sum == SIZE / 4096);
  nb_memory_read(&c);
  CHECK(grown(b.file_bytes, c.file_bytes) > SIZE - MB);
  CHECK(grown(b.anon_bytes, c.anon_bytes) < 2 * MB);
  munmap((void *)map, SIZE), close(fd), free(path), free(heap);
}

TEST(the_peak_stays) {
  nb_memory now, later;
  if (!nb_memory_read(&now)) SKIP("this system does not say");
  CHECK(now.peak_bytes > 0);
  nb_memory_read(&later);
  CHECK(later.peak_bytes >= now.peak_bytes);
}

int main(void) {
  RUN(kinds_are_told_apart);
  RUN(the_peak_stays);
  temp_remove();
  return test_end();
}
