/* SPDX-License-Identifier: MIT */
#include "eval/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t nb_memory_of_machine(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : (size_t)4 << 30;
}

#if defined(__APPLE__)
#include <TargetConditionals.h>
#include <mach/mach.h>
#if TARGET_OS_IPHONE
#include <os/proc.h>
uint64_t nb_memory_available(void) { return os_proc_available_memory(); }
#else
uint64_t nb_memory_available(void) { return 0; }
#endif

bool nb_memory_read(nb_memory *out) {
  task_vm_info_data_t info;
  mach_msg_type_number_t n = TASK_VM_INFO_COUNT;
  memset(out, 0, sizeof *out);
  if (task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &n) != KERN_SUCCESS) return false;
  out->anon_bytes = info.phys_footprint;
  out->file_bytes = info.resident_size > info.phys_footprint ? info.resident_size - info.phys_footprint : 0;
  out->peak_bytes = info.resident_size_peak;
  return true;
}

#else

uint64_t nb_memory_available(void) {
  char line[256];
  unsigned long long kib = 0;
  FILE *f = fopen("/proc/meminfo", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %llu", &kib) == 1) break;
  if (f) fclose(f);
  return (uint64_t)kib << 10;
}

bool nb_memory_read(nb_memory *out) {
  char line[256];
  memset(out, 0, sizeof *out);
  FILE *f = fopen("/proc/self/status", "r");
  if (!f) return false;
  while (fgets(line, sizeof line, f)) {
    unsigned long long kib;
    if (sscanf(line, "RssAnon: %llu", &kib) == 1) out->anon_bytes = kib << 10;
    else if (sscanf(line, "RssFile: %llu", &kib) == 1 || sscanf(line, "RssShmem: %llu", &kib) == 1)
      out->file_bytes += kib << 10;
    else if (sscanf(line, "VmHWM: %llu", &kib) == 1) out->peak_bytes = kib << 10;
  }
  fclose(f);
  return out->peak_bytes > 0;
}

#endif
