/* SPDX-License-Identifier: MIT */
#include "formats/outfile.h"
#include "tempdir.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#if defined(__linux__)
#include <sys/mount.h>
#endif

static nb_err err;

static int holds(const char *path, const char *text) {
  char buf[64] = "";
  FILE *f = fopen(path, "rb");
  if (!f) return 0;
  size_t n = fread(buf, 1, sizeof buf - 1, f);
  fclose(f);
  return n == strlen(text) && !strcmp(buf, text);
}

TEST(appears_whole) {
  char *path = temp_text("out", "old");
  nb_outfile f;
  CHECK_OK(nb_outfile_create(path, &f, &err));
  CHECK_OK(nb_outfile_write(&f, "hello ", 6, &err));
  CHECK_OK(nb_outfile_write(&f, "world", 5, &err));
  CHECK_OK(nb_outfile_pwrite(&f, "W", 1, 6, &err));
  CHECK(f.size == 11);
  CHECK(holds(path, "old") && temp_count(temp_dir(), ".tmp") == 1);
  CHECK_OK(nb_outfile_commit(&f, &err));
  CHECK(holds(path, "hello World") && temp_count(temp_dir(), ".tmp") == 0);
  nb_outfile_abort(&f);
  CHECK(holds(path, "hello World"));
  CHECK_OK(nb_outfile_save(path, "new", 3, &err));
  CHECK(holds(path, "new"));
  free(path);
}

TEST(abort_leaves_nothing) {
  char *path = temp_path("aborted");
  nb_outfile f = {0};
  nb_outfile_abort(&f);
  CHECK_OK(nb_outfile_create(path, &f, &err));
  CHECK_OK(nb_outfile_write(&f, "x", 1, &err));
  nb_outfile_abort(&f);
  nb_outfile_abort(&f);
  CHECK(access(path, F_OK) && temp_count(temp_dir(), ".tmp") == 0);
  free(path);
}

TEST(refuses_bad_targets) {
  nb_outfile f;
  char *dir = temp_subdir("dir"), *missing = temp_path("missing/out"), *under = temp_path("file/out");
  char *file = temp_text("file", "x");
  CHECK(nb_outfile_create("", &f, &err) == NB_ERR_ARG);
  CHECK(nb_outfile_create(dir, &f, &err) == NB_ERR_IO && strstr(err.msg, "is a directory"));
  CHECK(nb_outfile_create(missing, &f, &err) == NB_ERR_IO && strstr(err.msg, "No such file or directory"));
  CHECK(nb_outfile_create(under, &f, &err) == NB_ERR_IO && strstr(err.msg, "Not a directory"));
  CHECK(nb_outfile_create("/dev/null", &f, &err) == NB_ERR_IO && strstr(err.msg, "not a regular file"));
  CHECK(temp_count(temp_dir(), ".tmp") == 0);
  free(dir), free(missing), free(under), free(file);
}

/* A child begins a file and ends with it open, as if killed; or waits until it is killed. */
static pid_t begin_in_child(const char *path, bool wait_there) {
  int ready[2];
  char c;
  if (pipe(ready)) return -1;
  pid_t child = fork();
  if (child == 0) {
    nb_outfile f;
    if (nb_outfile_create(path, &f, &err) != NB_OK || write(ready[1], "x", 1) != 1) _exit(1);
    while (wait_there) pause();
    _exit(0);
  }
  close(ready[1]);
  if (read(ready[0], &c, 1) != 1) child = -1;
  close(ready[0]);
  return child;
}

TEST(removes_what_killed_runs_left) {
  char *path = temp_path("left"), *other = temp_path("left2");
  pid_t dead = begin_in_child(path, false), alive, another;
  CHECK(dead > 0 && waitpid(dead, NULL, 0) == dead);
  CHECK(temp_count(temp_dir(), ".tmp") == 1);
  another = begin_in_child(other, true);
  CHECK(another > 0 && temp_count(temp_dir(), ".tmp") == 2); /* another target's is nobody else's business */
  alive = begin_in_child(path, true);
  CHECK(alive > 0 && temp_count(temp_dir(), ".tmp") == 2); /* the dead one's is gone */
  CHECK_OK(nb_outfile_save(path, "x", 1, &err));
  CHECK(temp_count(temp_dir(), ".tmp") == 2); /* the living ones' stay */
  kill(alive, SIGKILL), kill(another, SIGKILL);
  CHECK(waitpid(alive, NULL, 0) == alive && waitpid(another, NULL, 0) == another);
  CHECK_OK(nb_outfile_save(path, "y", 1, &err));
  CHECK_OK(nb_outfile_save(other, "z", 1, &err));
  CHECK(temp_count(temp_dir(), ".tmp") == 0 && holds(path, "y") && holds(other, "z"));
  free(path), free(other);
}

TEST(long_names) {
  char name[240];
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = 0;
  char *path = temp_path(name);
  CHECK_OK(nb_outfile_save(path, "x", 1, &err));
  CHECK(holds(path, "x") && temp_count(temp_dir(), ".tmp") == 0);
  free(path);
}

/* In a child that is not root. */
TEST(needs_permission) {
  char *dir = temp_subdir("locked"), *in = temp_path("locked/out"), *file = temp_text("readonly", "x");
  chmod(temp_dir(), 0777), chmod(dir, 0555), chmod(file, 0444);
  pid_t child = fork();
  if (child == 0) {
    nb_outfile f;
    if (geteuid() == 0 && setuid(65534)) _exit(9);
    if (nb_outfile_create(in, &f, &err) != NB_ERR_IO || !strstr(err.msg, "Permission denied")) _exit(1);
    if (nb_outfile_create(file, &f, &err) != NB_ERR_IO || !strstr(err.msg, "Permission denied")) _exit(2);
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_MSG(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
  chmod(dir, 0700), chmod(temp_dir(), 0700);
  CHECK(temp_count(dir, ".tmp") == 0);
  free(dir), free(in), free(file);
}

TEST(keeps_a_symbolic_link) {
  char *target = temp_text("target", "old"), *link = temp_path("link");
  struct stat st;
  CHECK(symlink(target, link) == 0);
  CHECK_OK(nb_outfile_save(link, "new", 3, &err));
  CHECK(lstat(link, &st) == 0 && S_ISLNK(st.st_mode) && holds(target, "new"));
  free(target), free(link);
}

TEST(keeps_permissions) {
  char *path = temp_text("private", "old");
  struct stat st;
  const mode_t modes[] = {0600, 0640, 0666, 0755};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    nb_outfile f;
    CHECK(chmod(path, modes[i]) == 0);
    CHECK_OK(nb_outfile_create(path, &f, &err));
    CHECK(fstat(f.fd, &st) == 0 && (st.st_mode & 0777) == modes[i]); /* while it is written, too */
    CHECK_OK(nb_outfile_write(&f, "new", 3, &err));
    CHECK_OK(nb_outfile_commit(&f, &err));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == modes[i] && holds(path, "new"));
  }
  free(path);
}

TEST(relative_path) {
  char *cwd = getcwd(NULL, 0);
  CHECK(chdir(temp_dir()) == 0);
  CHECK_OK(nb_outfile_save("relative", "x", 1, &err));
  CHECK(holds("relative", "x"));
  CHECK(chdir(cwd) == 0);
  free(cwd);
}

/* A limit on file sizes stands for any disk that stops taking bytes. */
TEST(failed_write_leaves_nothing) {
  struct rlimit old, small;
  char *path = temp_text("limited", "old"), *block = calloc(1, 1 << 20);
  nb_outfile f;
  signal(SIGXFSZ, SIG_IGN);
  CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
  small = old, small.rlim_cur = (1 << 20) + 5;
  CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_OK(nb_outfile_create(path, &f, &err));
  CHECK_OK(nb_outfile_write(&f, block, 1 << 20, &err));
  CHECK(nb_outfile_write(&f, block, 1 << 20, &err) == NB_ERR_IO); /* five bytes short, then EFBIG */
  CHECK(strstr(err.msg, "limited: cannot write: ") != NULL);
  nb_outfile_abort(&f);
  CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
  CHECK(holds(path, "old") && temp_count(temp_dir(), ".tmp") == 0);
  free(path), free(block);
}

TEST(full_disk) {
#if defined(__linux__)
  char *dir = temp_subdir("full"), *path = temp_path("full/out"), *block = calloc(1, 1 << 20);
  if (mount("tmpfs", dir, "tmpfs", 0, "size=2m")) {
    free(dir), free(path), free(block);
    SKIP("needs to mount a small tmpfs (root)");
  }
  nb_outfile f;
  nb_status created = nb_outfile_create(path, &f, &err);
  CHECK(created == NB_OK);
  CHECK(nb_outfile_reserve(&f, 100 << 20, &err) == NB_ERR_IO && strstr(err.msg, "No space left on device"));
  CHECK(strstr(err.msg, "reserve the 105 MB that it needs") != NULL);
  CHECK(nb_outfile_reserve(&f, 1 << 20, &err) == NB_OK);
  nb_status st = NB_OK;
  for (int i = 0; i < 3 && st == NB_OK; i++) st = nb_outfile_write(&f, block, 1 << 20, &err);
  CHECK(st == NB_ERR_IO && strstr(err.msg, "full/out: cannot write: No space left on device (free some space"));
  nb_outfile_abort(&f);
  CHECK(temp_count(dir, "out") == 0 && temp_count(dir, ".tmp") == 0);
  CHECK(nb_outfile_save(path, block, 1 << 20, &err) == NB_OK); /* the room is back */
  umount(dir);
  free(dir), free(path), free(block);
#else
  SKIP("Linux only");
#endif
}

static void on_signal(int sig) {
  nb_outfile_remove_all();
  _exit(128 + sig);
}

TEST(a_signal_removes_the_temporary) {
  char *path = temp_path("interrupted"), *second = temp_path("interrupted too");
  pid_t child = fork();
  if (child == 0) {
    nb_outfile f, g;
    signal(SIGTERM, on_signal);
    if (nb_outfile_create(path, &f, &err) || nb_outfile_create(second, &g, &err)) _exit(1);
    if (nb_outfile_write(&f, "half", 4, &err)) _exit(1);
    if (temp_count(temp_dir(), ".tmp") != 2) _exit(2);
    raise(SIGTERM);
    _exit(3);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
  CHECK(temp_count(temp_dir(), ".tmp") == 0 && temp_count(temp_dir(), "interrupted") == 0);
  free(path), free(second);
}

TEST(many_at_once) {
  enum { MANY = 50 };
  nb_outfile f[MANY];
  char *paths[MANY];
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < MANY; i++) {
      char name[32];
      snprintf(name, sizeof name, "many%d", i);
      paths[i] = temp_path(name);
      CHECK_OK(nb_outfile_create(paths[i], &f[i], &err));
    }
    CHECK(temp_count(temp_dir(), ".tmp") == MANY);
    if (round) nb_outfile_remove_all();
    for (int i = 0; i < MANY; i++) nb_outfile_abort(&f[i]), free(paths[i]);
    CHECK(temp_count(temp_dir(), ".tmp") == 0);
  }
}

/* Several files that make one output get their names together. */
TEST(together) {
  const char *const names[] = {"set0", "set1", "set2", "set3"};
  char *paths[4];
  nb_outfile f[4];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 4; i++) {
      paths[i] = temp_path(names[i]);
      CHECK_OK(nb_outfile_create(paths[i], &f[i], &err));
      CHECK_OK(nb_outfile_write(&f[i], names[i], 4, &err));
    }
    CHECK(temp_count(temp_dir(), "set") == 4 + (round == 2 ? 4 : 0));
    if (round == 0) CHECK(mkdir(paths[1], 0700) == 0); /* it came meanwhile, and cannot be replaced */
    nb_status st = nb_outfile_commit_all(f, 4, &err);
    if (round == 0) {
      CHECK(st == NB_ERR_IO && strstr(err.msg, "set1: cannot give the finished file its name"));
      CHECK(temp_count(temp_dir(), "set") == 1 && rmdir(paths[1]) == 0); /* 3 and 2 had their names already */
    } else {
      CHECK(st == NB_OK);
      for (int i = 0; i < 4; i++) CHECK(holds(paths[i], names[i]));
    }
    CHECK(temp_count(temp_dir(), ".tmp") == 0);
    for (int i = 0; i < 4; i++) nb_outfile_abort(&f[i]), free(paths[i]);
  }
}

int main(void) {
  RUN(appears_whole);
  RUN(abort_leaves_nothing);
  RUN(refuses_bad_targets);
  RUN(removes_what_killed_runs_left);
  RUN(long_names);
  RUN(needs_permission);
  RUN(keeps_a_symbolic_link);
  RUN(keeps_permissions);
  RUN(relative_path);
  RUN(failed_write_leaves_nothing);
  RUN(full_disk);
  RUN(a_signal_removes_the_temporary);
  RUN(many_at_once);
  RUN(together);
  temp_remove();
  return test_end();
}
