/* SPDX-License-Identifier: MIT */
#include "base/cpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__x86_64__)

/* The register states that the operating system saves; 0 when it does not use XSAVE. */
static unsigned xcr0(unsigned leaf1_ecx) {
  if (!(leaf1_ecx & 1u << 27)) return 0;
  unsigned eax, edx;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return eax;
}

/* Whether the system saves tile registers and lets this process use them, which Linux must be asked for: a process
 * whose signal stacks are too small for so large a state is refused. */
static bool tiles_permitted(unsigned state) {
#if defined(__linux__) && defined(SYS_arch_prctl)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
  return (state >> 17 & 3) == 3 && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  (void)state;
  return false;
#endif
}

unsigned nb_cpu_detect(void) {
  unsigned a, b, c, d, c1;
  if (!__get_cpuid(1, &a, &b, &c1, &d)) return 0;
  unsigned state = xcr0(c1), found = 0;
  bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
  bool fma = c1 & 1u << 12, f16c = c1 & 1u << 29, avx = c1 & 1u << 28;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  if (ymm && avx && fma && f16c && b & 1u << 5) found |= NB_CPU_AVX2;
  const unsigned f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  if (found && zmm && (b & f_dq_bw_vl) == f_dq_bw_vl) found |= NB_CPU_AVX512;
  if (found & NB_CPU_AVX512 && c & 1u << 11) found |= NB_CPU_AVX512VNNI;
  if (found & NB_CPU_AVX512VNNI && (d & 3u << 24) == 3u << 24 && tiles_permitted(state)) found |= NB_CPU_AMXINT8;
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && found && a & 1u << 4) found |= NB_CPU_AVXVNNI;
  return found;
}

void nb_cpu_name(char out[128]) {
  unsigned r[12] = {0};
  for (unsigned i = 0; i < 3; i++)
    if (!__get_cpuid(0x80000002 + i, &r[4 * i], &r[4 * i + 1], &r[4 * i + 2], &r[4 * i + 3])) break;
  char brand[sizeof r + 1] = {0};
  memcpy(brand, r, sizeof r);
  size_t start = strspn(brand, " "), end = strlen(brand);
  while (end > start && brand[end - 1] == ' ') end--;
  snprintf(out, 128, "%.*s", end > start ? (int)(end - start) : 7, end > start ? brand + start : "unknown");
}

#elif defined(__aarch64__)

#if defined(__APPLE__)
static bool sysctl_flag(const char *name) {
  int v = 0;
  size_t n = sizeof v;
  return sysctlbyname(name, &v, &n, NULL, 0) == 0 && v != 0;
}
#endif

/* NEON is part of AArch64; the two extensions come from the kernel. */
unsigned nb_cpu_detect(void) {
  unsigned found = NB_CPU_NEON;
#if defined(__linux__)
  if (getauxval(AT_HWCAP) & 1ul << 20) found |= NB_CPU_DOTPROD;                         /* HWCAP_ASIMDDP */
  if (found & NB_CPU_DOTPROD && getauxval(AT_HWCAP2) & 1ul << 13) found |= NB_CPU_I8MM; /* HWCAP2_I8MM */
#elif defined(__APPLE__)
  if (sysctl_flag("hw.optional.arm.FEAT_DotProd")) found |= NB_CPU_DOTPROD;
  if (found & NB_CPU_DOTPROD && sysctl_flag("hw.optional.arm.FEAT_I8MM")) found |= NB_CPU_I8MM;
#endif
  return found;
}

void nb_cpu_name(char out[128]) {
  snprintf(out, 128, "unknown");
#if defined(__APPLE__)
  size_t n = 128;
  if (sysctlbyname("machdep.cpu.brand_string", out, &n, NULL, 0) != 0) snprintf(out, 128, "unknown");
#else
  FILE *f = fopen("/proc/cpuinfo", "r");
  if (!f) return;
  char line[256];
  while (fgets(line, sizeof line, f)) {
    char *value = strchr(line, ':');
    if (!value || (strncmp(line, "Hardware", 8) != 0 && strncmp(line, "model name", 10) != 0)) continue;
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\n")] = 0;
    if (*value) snprintf(out, 128, "%.127s", value);
  }
  fclose(f);
#endif
}

#elif defined(__wasm__)

/* A module with SIMD128 runs only where that is: an engine without it refuses the whole. */
unsigned nb_cpu_detect(void) { return NB_CPU_SIMD128; }
void nb_cpu_name(char out[128]) { snprintf(out, 128, "WebAssembly"); }

#else

unsigned nb_cpu_detect(void) { return 0; }
void nb_cpu_name(char out[128]) { snprintf(out, 128, "unknown"); }

#endif

nb_status nb_cpu_mask(const char *arg, unsigned *features, nb_err *err) {
  enum {
    KEEP_AVX512 = NB_CPU_AVX2 | NB_CPU_AVXVNNI | NB_CPU_AVX512,
    KEEP_AVX512VNNI = KEEP_AVX512 | NB_CPU_AVX512VNNI,
  };
  static const struct {
    const char *name;
    unsigned needs, keeps; /* needs: the feature that gives the set its name */
  } sets[] = {
      {"ref", 0, 0},
      {"avx2", NB_CPU_AVX2, NB_CPU_AVX2},
      {"avxvnni", NB_CPU_AVXVNNI, NB_CPU_AVX2 | NB_CPU_AVXVNNI},
      {"avx512", NB_CPU_AVX512, KEEP_AVX512},
      {"avx512vnni", NB_CPU_AVX512VNNI, KEEP_AVX512VNNI},
      {"amxint8", NB_CPU_AMXINT8, KEEP_AVX512VNNI | NB_CPU_AMXINT8},
      {"neon", NB_CPU_NEON, NB_CPU_NEON},
      {"neon_dotprod", NB_CPU_DOTPROD, NB_CPU_NEON | NB_CPU_DOTPROD},
      {"neon_i8mm", NB_CPU_I8MM, NB_CPU_NEON | NB_CPU_DOTPROD | NB_CPU_I8MM},
      {"simd128", NB_CPU_SIMD128, NB_CPU_SIMD128},
  };
  if (strcmp(arg, "native") == 0) return NB_OK;
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    if (strcmp(arg, sets[i].name) != 0) continue;
    if ((*features & sets[i].needs) != sets[i].needs)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "this machine has no %s: use --cpu native", arg);
    *features &= sets[i].keeps;
    return NB_OK;
  }
  char names[200] = "native";
  for (size_t i = 0, n = strlen(names); i < sizeof sets / sizeof *sets; i++)
    n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i + 1 < sizeof sets / sizeof *sets ? ", " : " or ",
                          sets[i].name);
  return nb_fail(err, NB_ERR_ARG, "'%s' is not an instruction set: write %s", arg, names);
}
