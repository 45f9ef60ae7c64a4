/* SPDX-License-Identifier: MIT */
/* How much processor time a container or a service may take: Linux's control groups, versions 1 and 2. More threads
 * than that only wait for each other. */
#ifndef NB_QUOTA_H
#define NB_QUOTA_H

/* The processors that the quotas of this process's groups, and of all groups around those, amount to, rounded up; 0: no
 * quota, or nothing about it can be read. root: "" for this machine; for tests a folder in which /proc and /sys lie.
 * Format: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files (cpu.max) and
 * https://docs.kernel.org/scheduler/sched-bwc.html (cpu.cfs_quota_us). */
int nb_quota_cpus(const char *root);

#endif
