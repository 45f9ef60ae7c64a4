# SPDX-License-Identifier: MIT
# nibble: `make demo` and `make test` install what is missing, build and run. `make help` lists the rest.

VARIANT ?= release
OPENMP ?= 1
B := build/$(VARIANT)
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
SOVERSION := 0
PKG_CONFIG ?= pkg-config
AR ?= ar
V ?= 0
Q := $(if $(filter 0,$(V)),@)

PKGS := libcjson zlib libzip libpcre2-8 libutf8proc libxxhash
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)

# Calibration uses LAPACK when it is there; without it `nibble quantize --calib` says what to install.
LAPACK ?= $(shell $(PKG_CONFIG) --exists openblas lapacke 2>/dev/null && echo 1)
ifeq ($(LAPACK),1)
  PKG_CFLAGS += -DNB_HAVE_LAPACK $(shell $(PKG_CONFIG) --cflags openblas lapacke)
  PKG_LIBS += $(shell $(PKG_CONFIG) --libs openblas lapacke)
endif

OPT := -O2
SAN :=
ifeq ($(VARIANT),debug)
  OPT := -O0
endif
ifeq ($(VARIANT),asan)
  OPT := -O1
  SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(VARIANT),tsan)
  CC := clang
  OPT := -O1
  SAN := -fsanitize=thread
endif
OMPFLAGS := $(if $(filter 1,$(OPENMP)),-fopenmp)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wno-unknown-pragmas -Werror=vla
CFLAGS_ALL = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_DARWIN_C_SOURCE -DNB_VERSION='"$(VERSION)"' \
  $(OPT) -g -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno $(OMPFLAGS) $(SAN) $(WARN) \
  -I. -Ilib -Iformats -Ieval $(PKG_CFLAGS) $(CFLAGS)
LDLIBS_ALL = $(PKG_LIBS) -lm $(OMPFLAGS) $(SAN) $(LDFLAGS)

# One object file an instruction set, and only that object gets its flags.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
KERNELS := $(wildcard lib/kernels/ref.c lib/kernels/select.c)
ifneq ($(filter x86_64 amd64,$(ARCH)),)
  KERNELS += $(wildcard lib/kernels/avx2.c lib/kernels/avxvnni.c lib/kernels/avx512vnni.c)
endif
ifneq ($(filter aarch64 arm64,$(ARCH)),)
  KERNELS += $(wildcard lib/kernels/neon.c lib/kernels/neon_dotprod.c lib/kernels/neon_i8mm.c)
endif
FLAGS_avx2 := -mavx2 -mfma -mf16c
FLAGS_avxvnni := -mavx2 -mfma -mf16c -mavxvnni
FLAGS_avx512vnni := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c
FLAGS_neon := -march=armv8-a
FLAGS_neon_dotprod := -march=armv8.2-a+dotprod
FLAGS_neon_i8mm := -march=armv8.2-a+dotprod+i8mm

LIB_SRC := $(wildcard lib/*.c) $(KERNELS) $(wildcard formats/*.c) $(wildcard eval/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
TOOL_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tools/*.c))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all
all: $(B)/libnibble.a $(if $(wildcard lib/cpu.c),$(B)/nibble)

$(B)/libnibble.a: $(LIB_OBJ)
	@rm -f $@
	$(if $(Q),@echo "  AR    $@")
	$(Q)$(AR) rcs $@ $^

$(B)/nibble: $(TOOL_OBJ) $(B)/libnibble.a
	$(if $(Q),@echo "  LD    $@")
	$(Q)$(CC) -o $@ $^ $(LDLIBS_ALL)

$(B)/lib/kernels/%.o: lib/kernels/%.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $@")
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(filter -O2,$(OPT)),-O3) $(FLAGS_$*) -MMD -MP -c $< -o $@

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $@")
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(B)/unit/%: tests/unit/%.c tests/test.h $(B)/libnibble.a
	@mkdir -p $(@D)
	$(if $(Q),@echo "  CC    $@")
	$(Q)$(CC) $(CFLAGS_ALL) -I. -Itests -MMD -MP -MF $@.d $< $(B)/libnibble.a -o $@ $(LDLIBS_ALL)

.PHONY: unit
unit: $(UNIT)
	@sh tests/run_units.sh $(UNIT)

.PHONY: clean
clean:
	rm -rf build

-include $(shell find build/$(VARIANT) -name '*.d' 2>/dev/null)
