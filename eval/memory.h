/* SPDX-License-Identifier: MIT */
/* What memory the process holds, by kind. */
#ifndef NB_MEMORY_H
#define NB_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Resident bytes. All 0 where the system does not tell. */
typedef struct nb_memory {
  uint64_t file_bytes; /* mapped files' pages: the system can drop them and read them again */
  uint64_t anon_bytes; /* heap, stacks, caches: must stay */
  uint64_t peak_bytes; /* the most that both were together, since the process began */
} nb_memory;

/* Linux, Android: /proc/self/status (RssFile and RssShmem, RssAnon, VmHWM). macOS: task_info (the physical footprint
 * counts as anonymous). False where neither is. */
bool nb_memory_read(nb_memory *out);

/* Bytes that this process may still take: Linux, Android: MemAvailable of /proc/meminfo; iOS: what its limit leaves
 * (os_proc_available_memory). 0 where the system does not tell. */
uint64_t nb_memory_available(void);

/* Bytes of the machine's memory; 4 GiB where the system does not tell. */
size_t nb_memory_of_machine(void);

#endif
