/* SPDX-License-Identifier: MIT */
/* Quotas of control groups, from folders like those that Linux shows. */
#include "base/parallel.h"
#include "base/quota.h"
#include "tempdir.h"
#include "test.h"

#include <sys/stat.h>

/* Writes a file below the test's folder, with the folders on the way. */
static void put(const char *name, const char *text) {
  char *path = temp_path(name);
  for (char *p = path + strlen(temp_dir()) + 1; (p = strchr(p, '/')); p++) {
    *p = 0;
    mkdir(path, 0777);
    *p = '/';
  }
  FILE *f = fopen(path, "w");
  CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
  free(path);
}

static int cpus(const char *root) {
  char *path = temp_path(root);
  int n = nb_quota_cpus(path);
  free(path);
  return n;
}

TEST(version_2) {
  put("a/proc/self/cgroup", "0::/user.slice/job\n");
  put("a/sys/fs/cgroup/user.slice/job/cpu.max", "250000 100000\n");
  CHECK(cpus("a") == 3); /* rounded up */
  put("a/sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  CHECK(cpus("a") == 0);
  put("a/sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n"); /* of the group around it */
  CHECK(cpus("a") == 2);
  put("a/sys/fs/cgroup/user.slice/job/cpu.max", "1000 100000\n");
  CHECK(cpus("a") == 1);
}

TEST(version_2_in_a_container) {
  put("b/proc/self/cgroup", "0::/\n");
  put("b/sys/fs/cgroup/cpu.max", "400000 100000\n");
  CHECK(cpus("b") == 4);
  put("c/proc/self/cgroup", "0::/docker/abc\n"); /* not visible from inside */
  put("c/sys/fs/cgroup/cpu.max", "400000 200000\n");
  CHECK(cpus("c") == 2);
}

TEST(version_1) {
  put("d/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/y\n0::/z\n");
  put("d/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
  put("d/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  CHECK(cpus("d") == 0);
  put("d/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "350000\n");
  CHECK(cpus("d") == 4);
  put("e/proc/self/cgroup", "4:cpuacct,cpu:/\n2:cpuset:/\n");
  put("e/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  put("e/sys/fs/cgroup/cpu/cpu.cfs_period_us", "25000\n");
  CHECK(cpus("e") == 2);
}

TEST(nothing_to_read) {
  CHECK(cpus("nowhere") == 0);
  put("f/proc/self/cgroup", "nonsense\n1\n::\n0:\n7:cpu\n0::relative\n");
  put("f/sys/fs/cgroup/cpu.max", "a b\n");
  CHECK(cpus("f") == 0);
  put("f/sys/fs/cgroup/cpu.max", "99999999999999999999999 1\n");
  CHECK(cpus("f") == 0);
  put("f/sys/fs/cgroup/cpu.max", "100000 0\n");
  CHECK(cpus("f") == 0);
  put("f/sys/fs/cgroup/cpu.max", "");
  CHECK(cpus("f") == 0);
}

TEST(this_machine) {
  int quota = nb_quota_cpus(""), n = nb_parallel_cpus();
  CHECK(n >= 1 && n <= NB_MAX_THREADS && (!quota || n <= quota));
}

int main(void) {
  RUN(version_2);
  RUN(version_2_in_a_container);
  RUN(version_1);
  RUN(nothing_to_read);
  RUN(this_machine);
  temp_remove();
  return test_end();
}
