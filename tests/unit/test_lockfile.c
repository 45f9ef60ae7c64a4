/* SPDX-License-Identifier: MIT */
/* Files that runs go on with: one holder at a time, never through a link. */
#include "formats/lockfile.h"
#include "tempdir.h"
#include "test.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static nb_err err;

static const char user[] = "run";

TEST(keeps_what_was_written) {
  char *path = temp_path("kept"), *bytes;
  size_t n;
  nb_lockfile f;
  CHECK_OK(nb_lockfile_open(path, user, &f, &err));
  CHECK_OK(nb_lockfile_read(&f, 100, &bytes, &n, &err));
  CHECK(n == 0);
  free(bytes);
  CHECK_OK(nb_lockfile_write(&f, "hello", 5, 0, &err));
  CHECK_OK(nb_lockfile_write(&f, "world", 5, 5, &err));
  CHECK_OK(nb_lockfile_cut(&f, 8, &err));
  nb_lockfile_close(&f, false);
  CHECK_OK(nb_lockfile_open(path, user, &f, &err));
  CHECK(nb_lockfile_read(&f, 7, &bytes, &n, &err) == NB_ERR_UNSUPPORTED);
  CHECK_OK(nb_lockfile_read(&f, 8, &bytes, &n, &err));
  CHECK(n == 8 && !memcmp(bytes, "hellowor", 8));
  free(bytes);
  nb_lockfile_close(&f, true);
  CHECK(access(path, F_OK) != 0);
  nb_lockfile_close(&f, true);
  free(path);
}

/* A killed holder's lock goes with it. */
TEST(has_one_holder) {
  char *path = temp_path("held");
  nb_lockfile f;
  int ready[2];
  char c;
  CHECK(pipe(ready) == 0);
  pid_t child = fork();
  if (child == 0) {
    if (nb_lockfile_open(path, user, &f, &err) != NB_OK || write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  CHECK(read(ready[0], &c, 1) == 1);
  CHECK(nb_lockfile_open(path, user, &f, &err) == NB_ERR_IO && strstr(err.msg, "in use by another run"));
  CHECK(access(path, F_OK) == 0);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  CHECK_OK(nb_lockfile_open(path, user, &f, &err));
  nb_lockfile_close(&f, true);
  close(ready[0]), close(ready[1]);
  free(path);
}

TEST(follows_no_link) {
  char *notes = temp_text("notes", "mine"), *path = temp_path("link"), *hard = temp_path("hard");
  struct stat st;
  nb_lockfile f;
  CHECK(symlink(notes, path) == 0 && link(notes, hard) == 0);
  CHECK(nb_lockfile_open(path, user, &f, &err) == NB_ERR_IO && strstr(err.msg, "symbolic link"));
  CHECK(nb_lockfile_open(hard, user, &f, &err) == NB_ERR_IO && strstr(err.msg, "second name"));
  CHECK(nb_lockfile_open(temp_dir(), user, &f, &err) == NB_ERR_IO);
  CHECK(f.fd == -1 && stat(notes, &st) == 0 && st.st_size == 4);
  free(notes), free(path), free(hard);
}

/* Whoever waits for a file that its holder removes gets a new one, not the one without a name. */
TEST(is_never_nameless) {
  char *path = temp_path("fought");
  nb_lockfile f;
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < 2000; i++)
      if (nb_lockfile_open(path, user, &f, &err) == NB_OK) nb_lockfile_close(&f, true);
    _exit(0);
  }
  for (int i = 0; i < 2000; i++) {
    struct stat a, b;
    if (nb_lockfile_open(path, user, &f, &err) != NB_OK) continue;
    CHECK(fstat(f.fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino);
    nb_lockfile_close(&f, true);
  }
  waitpid(child, NULL, 0);
  free(path);
}

int main(void) {
  RUN(keeps_what_was_written);
  RUN(has_one_holder);
  RUN(follows_no_link);
  RUN(is_never_nameless);
  temp_remove();
  return test_end();
}
