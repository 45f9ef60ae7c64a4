/* SPDX-License-Identifier: MIT */
#include "base/quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE = 4096 };

/* The first numbers of a file: "max" is -1. How many there are, at most n. */
static int read_numbers(const char *path, long long *out, int n) {
  char line[128];
  FILE *f = fopen(path, "r");
  int got = 0;
  if (!f) return 0;
  if (fgets(line, sizeof line, f)) {
    for (char *word = line, *end; got < n && word; got++) {
      while (*word == ' ') word++;
      if (!strncmp(word, "max", 3)) out[got] = -1;
      else if (sscanf(word, "%lld", &out[got]) != 1) break;
      end = strchr(word, ' ');
      word = end;
    }
  }
  fclose(f);
  return got;
}

static int least(int a, int b) { return !a ? b : !b || a < b ? a : b; }

static int cpus_of(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  long long cpus = quota / period + (quota % period != 0);
  return cpus > 1 << 20 ? 0 : (int)cpus;
}

/* The quota of one group's folder; 0: none. */
static int folder_cpus(const char *folder, bool v2) {
  char path[PATH_BYTES + 32];
  long long quota[2] = {-1, 100000}, period;
  if (v2) {
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    return read_numbers(path, quota, 2) ? cpus_of(quota[0], quota[1]) : 0;
  }
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
  if (!read_numbers(path, quota, 1)) return 0;
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
  return read_numbers(path, &period, 1) ? cpus_of(quota[0], period) : 0;
}

/* The least quota of a group and of those around it. In a container the group's own path may not be visible: what is
 * mounted is then the group itself. */
static int group_cpus(const char *root, const char *mount, const char *group, bool v2) {
  char folder[PATH_BYTES];
  int n = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%s", root, mount, group), cpus = 0;
  if (n < 0 || n >= (int)sizeof folder) return 0;
  size_t top = (size_t)n - strlen(group);
  for (;;) {
    cpus = least(cpus, folder_cpus(folder, v2));
    char *slash = strrchr(folder, '/');
    if (!slash || slash < folder + top) return cpus;
    *slash = 0;
  }
}

/* Whether "cpu" is among the controllers of a line, "cpu,cpuacct". */
static bool has_cpu(const char *list) {
  for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
    if (!strncmp(p, "cpu", 3) && (p[3] == ',' || !p[3])) return true;
  return false;
}

int nb_quota_cpus(const char *root) {
  char path[PATH_BYTES], line[LINE];
  int cpus = 0;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) { /* "0::/group" of version 2, "4:cpu,cpuacct:/group" of version 1 */
    line[strcspn(line, "\n")] = 0;
    char *list = strchr(line, ':'), *group = list ? strchr(list + 1, ':') : NULL, mount[256];
    if (!group) continue;
    *group++ = 0, list++;
    if (!*list) {
      cpus = least(cpus, group_cpus(root, "", group, true));
    } else if (has_cpu(list)) {
      snprintf(mount, sizeof mount, "/%.200s", list);
      int n = group_cpus(root, mount, group, false);
      cpus = least(cpus, n ? n : group_cpus(root, "/cpu", group, false));
    }
  }
  if (f) fclose(f);
  return cpus;
}
