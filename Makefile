# SPDX-License-Identifier: MIT
# nibble: `make demo` and `make test` install what is missing, build and run. `make help` lists the rest.

# Everything of one build lives in build/<variant>: release, debug, asan, tsan, fuzz, coverage, aarch64 (kernels only,
# cross), phone (all of the program, cross), wasm and wasm64 (the same for browsers).
VARIANT ?= release
B := build/$(VARIANT)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
VERSION := 0.1.0
SOVERSION := 0
PKG_CONFIG ?= pkg-config
STRIP ?= strip
AR ?= ar
OS := $(shell uname -s)
comma := ,
V ?= 0
Q := $(if $(filter 0,$(V)),@)

PKGS := libcjson zlib libpcre2-8 libutf8proc libxxhash

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
ifeq ($(VARIANT),fuzz)
  CC := clang
  OPT := -O1
  SAN := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
  ONE_THREAD := -DNB_NO_POOL
  # The targets are parsers: kernels are not instrumented, which takes clang minutes (VARIANT=asan checks them).
  $(B)/lib/kernels/%.o: SAN :=
endif
ifeq ($(VARIANT),coverage)
  OPT := -O0
  SAN := --coverage
  ONE_THREAD := -DNB_NO_POOL
  $(B)/lib/kernels/%.o: SAN :=
endif
ifeq ($(VARIANT),aarch64)
  CC := aarch64-linux-gnu-gcc
  AR := aarch64-linux-gnu-ar
  PKGS :=
  LDFLAGS += -static
  RUN := $(firstword $(shell command -v qemu-aarch64 qemu-aarch64-static) qemu-aarch64)
endif

ifeq ($(VARIANT),phone)
  # The whole program for AArch64 Linux and Android's shell, in one static file (make phone).
  CC := aarch64-linux-gnu-gcc
  AR := aarch64-linux-gnu-ar
  PKGS :=
  PKG_CFLAGS := -I$(B)/deps/include -DPCRE2_STATIC -DUTF8PROC_STATIC
  PKG_LIBS := $(B)/deps/libdeps.a
  LDFLAGS += -static
  RUN := $(firstword $(shell command -v qemu-aarch64 qemu-aarch64-static) qemu-aarch64)
endif

DEBUG := -g
PIC := -fPIC
THREADS := -pthread
# WebAssembly by Emscripten: with addresses of 32 bits, and where it knows them (3.1.6 does not) of 64.
EMCC64 := emcc -sMEMORY64=1 -Wno-experimental
WASM64 ?= $(shell $(EMCC64) -dumpmachine 2>/dev/null | grep -q wasm64 && echo 1)
ifneq ($(filter wasm wasm64,$(VARIANT)),)
  # The kernels, too (make VARIANT=wasm check-kernels). The output takes thrice as long with what debuggers read. One
  # thread: pages from a file have no memory that threads could share.
  CC := $(if $(filter wasm64,$(VARIANT)),$(EMCC64),emcc)
  AR := emar
  PKGS :=
  PKG_CFLAGS := -I$(B)/deps/include -DPCRE2_STATIC -DUTF8PROC_STATIC
  PKG_LIBS := $(B)/deps/libdeps.a
  ONE_THREAD := -DNB_NO_POOL
  OPT += -msimd128
  DEBUG :=
  PIC :=
  THREADS :=
  LDFLAGS += -O1 -sSINGLE_FILE=1 -sALLOW_MEMORY_GROWTH=1 -sMAXIMUM_MEMORY=$(if $(filter wasm64,$(VARIANT)),16GB,4GB) \
    -sTOTAL_STACK=1MB -sDEFAULT_TO_CXX=0
  # The program under node, with its files, for tests.
  $(B)/nibble: LDFLAGS += -sNODERAWFS=1 -sEXIT_RUNTIME=1
  RUN := node
  # What Debian's emcc uses of Debian's node, also where another node is.
  export NODE_PATH := /usr/share/nodejs
  WEB_ENGINES := build/wasm/engine.js $(if $(filter 1,$(WASM64)),build/wasm64/engine.js)
endif
ifeq ($(VARIANT),wasm64)
  RUN := node --experimental-wasm-memory64
  # Tables of functions keep indices of 32 bits: with those of 64, which came later, node 20 does not take the module.
  LDFLAGS += -sBINARYEN_EXTRA_PASSES=--table64-lowering
  CFLAGS += -Wno-experimental # once more, after -Wall
  # Debian's emcc brings no C library for it and will not make one in its own folder.
  export EM_FROZEN_CACHE := 0
  export EM_CACHE ?= $(CURDIR)/build/emcache
endif

ifneq ($(PKGS),)
  HAVE_PKGS := $(shell $(PKG_CONFIG) --exists $(PKGS) 2>/dev/null && echo 1)
  PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
  PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
  # Zip archives are read with libzip when it is there.
  LIBZIP ?= $(shell $(PKG_CONFIG) --exists libzip 2>/dev/null && echo 1)
  ifeq ($(LIBZIP),1)
    PKG_CFLAGS += -DNB_HAVE_LIBZIP $(shell $(PKG_CONFIG) --cflags libzip)
    PKG_LIBS += $(shell $(PKG_CONFIG) --libs libzip)
  endif
  # And reading Parquet files that are compressed with zstd.
  ZSTD ?= $(shell $(PKG_CONFIG) --exists libzstd && echo 1)
  ifeq ($(ZSTD),1)
    PKG_CFLAGS += -DNB_HAVE_ZSTD $(shell $(PKG_CONFIG) --cflags libzstd)
    PKG_LIBS += $(shell $(PKG_CONFIG) --libs libzstd)
  endif
  # What only the program uses: `nibble serve` and the line editor of `nibble chat`.
  LIBMICROHTTPD ?= $(shell $(PKG_CONFIG) --exists libmicrohttpd && echo 1)
  ifeq ($(LIBMICROHTTPD),1)
    TOOL_CFLAGS += -DNB_HAVE_MICROHTTPD $(shell $(PKG_CONFIG) --cflags libmicrohttpd)
    TOOL_LIBS += $(shell $(PKG_CONFIG) --libs libmicrohttpd)
  endif
  LIBEDIT ?= $(shell $(PKG_CONFIG) --exists libedit && echo 1)
  ifeq ($(LIBEDIT),1)
    TOOL_CFLAGS += -DNB_HAVE_LIBEDIT $(shell $(PKG_CONFIG) --cflags libedit)
    TOOL_LIBS += $(shell $(PKG_CONFIG) --libs libedit)
  endif
else
  HAVE_PKGS := 1
endif

# Threads are nibble's own (lib/base/parallel_pool.c); OPENMP=1 takes OpenMP's.
OPENMP ?= 0
ifeq ($(OPENMP),1)
  OMPFLAGS := -fopenmp
  OMPLIBS := -fopenmp
  ifeq ($(OS),Darwin)
    OMP_DIR := $(shell brew --prefix libomp 2>/dev/null)
    OMPFLAGS := -Xpreprocessor -fopenmp -I$(OMP_DIR)/include
    OMPLIBS := -L$(OMP_DIR)/lib -lomp
  endif
endif

# Assertions of internal assumptions (lib/base/assert.h).
ASSERT := $(if $(filter asan tsan coverage,$(VARIANT)),-DNB_ASSERT)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wno-unknown-pragmas -Werror=vla
CFLAGS_ALL = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -D_DARWIN_C_SOURCE -DNB_VERSION='"$(VERSION)"' \
  $(OPT) $(ASSERT) $(DEBUG) $(PIC) -fvisibility=hidden -ffp-contract=off -fno-math-errno $(ONE_THREAD) $(OMPFLAGS) $(SAN) $(WARN) \
  -I. -Ilib $(PKG_CFLAGS) $(TOOL_CFLAGS) $(CFLAGS)
LDLIBS_ALL = $(PKG_LIBS) -lm $(THREADS) $(OMPLIBS) $(SAN) $(LDFLAGS)

# One object file an instruction set, and only that object gets its flags.
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
KERNELS := $(wildcard lib/kernels/ref.c lib/kernels/kernels.c)
ifneq ($(filter x86_64 amd64,$(ARCH)),)
  KERNELS += $(wildcard lib/kernels/avx2.c lib/kernels/avxvnni.c lib/kernels/avx512.c lib/kernels/avx512vnni.c lib/kernels/amxint8.c)
endif
ifneq ($(filter aarch64 arm64,$(ARCH)),)
  KERNELS += $(wildcard lib/kernels/neon.c lib/kernels/neon_dotprod.c lib/kernels/neon_i8mm.c)
endif
ifneq ($(filter wasm32 wasm64,$(ARCH)),)
  KERNELS += lib/kernels/simd128.c
endif
FLAGS_avx2 := -mavx2 -mfma -mf16c
FLAGS_avxvnni := -mavx2 -mfma -mf16c -mavxvnni
FLAGS_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
FLAGS_avx512vnni := $(FLAGS_avx512) -mavx512vnni
FLAGS_amxint8 := $(FLAGS_avx512vnni) -mamx-tile -mamx-int8
FLAGS_neon := -march=armv8-a
FLAGS_neon_dotprod := -march=armv8.2-a+dotprod
FLAGS_neon_i8mm := -march=armv8.2-a+dotprod+i8mm

LIB_SRC := $(wildcard $(addsuffix /*.c,lib/base lib/model lib/quant lib/text formats eval convert api)) $(KERNELS)
# What the test of the kernels needs, for which a cross compiler alone is enough.
KERNEL_OBJ := $(patsubst %.c,$(B)/%.o,$(addprefix lib/base/,cpu.c mem.c status.c parallel.c parallel_pool.c quota.c qmat.c ggml.c ggml_write.c) $(KERNELS))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o) $(addprefix $(B)/gen/,task_builtin.o pages.o calibration.o)
TOOL_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tools/*.c tools/*/*.c))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# ---- build ----

.PHONY: all
all: $(B)/libnibble.a $(B)/nibble

# Says what to install when the libraries are not there; an empty prerequisite when they are.
NEED := $(if $(HAVE_PKGS),,need)
.PHONY: need
need:
	@sh tools/deps.sh --check
	@echo "The packages are there but pkg-config does not find: $(PKGS)" >&2; exit 1

say = $(if $(Q),@echo "  $(1)  $@")

# The built-in descriptions of tasks and suites, and what is published, as C: an array of bytes each, and lists of them.
TASKS := $(sort $(wildcard data/tasks/*.json))
SUITES := $(sort $(wildcard data/suites/*.json))
json_name = $$(basename $$f .json)
json_bytes = echo "static const unsigned char $(1)_$$(basename $$f .json | tr - _)[] = {"; \
  od -An -v -tx1 $$f | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; echo "};"
json_entry = "{\"$(json_name)\", $(1)_$$(basename $$f .json | tr - _), sizeof $(1)_$$(basename $$f .json | tr - _)}"
json_list = for f in $(3); do $(call json_bytes,$(1)); done; echo "const nb_builtin nb_builtin_$(2)[] = {"; \
  for f in $(3); do echo $(call json_entry,$(1)),; done; \
  echo "};"; echo "const size_t nb_n_builtin_$(2) = sizeof nb_builtin_$(2) / sizeof *nb_builtin_$(2);"
$(B)/gen/task_builtin.c: $(TASKS) $(SUITES) data/published.json Makefile
	@mkdir -p $(@D)
	@{ echo '#include "eval/suite.h"'; $(call json_list,task,tasks,$(TASKS)); $(call json_list,suite,suites,$(SUITES)); \
	  f=data/published.json; $(call json_bytes,data); echo "const nb_builtin nb_builtin_published = "$(call json_entry,data)";"; } > $@

# The calibration texts likewise.
CALIBRATION := $(sort $(wildcard data/calibration/*.txt data/calibration/*.jsonl))
$(B)/gen/calibration.c: $(CALIBRATION) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "convert/calib_source.h"'; \
	  for f in $(CALIBRATION); do n=$$(basename $$f | tr . _); echo "static const unsigned char text_$$n[] = {"; \
	    od -An -v -tu1 $$f | sed 's/ *\([0-9][0-9]*\)/\1,/g'; echo "};"; done; \
	  echo "const nb_calib_bundled nb_calib_bundle[] = {"; \
	  for f in $(CALIBRATION); do n=$$(basename $$f | tr . _); \
	    echo "{\"$$(basename $$f)\", text_$$n, sizeof text_$$n},"; done; echo "};"; \
	  echo "const size_t nb_n_calib_bundle = sizeof nb_calib_bundle / sizeof *nb_calib_bundle;"; } > $@

# The pages likewise, with what they share in place of the lines @page.head@, @page.css@ and @page.js@; @chat.js@ is what
# the chat talks to.
PAGES := $(sort $(wildcard data/report/*.html))
page_part = -e '/^@$(notdir $1)@$$/{' -e 'r $1' -e d -e '}'
PAGE_PARTS := $(foreach p,page.head page.css page.js,$(call page_part,data/report/$p))
$(B)/gen/pages.c: $(PAGES) $(wildcard data/report/page.* data/report/chat.js) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "eval/page.h"'; \
	  for f in $(PAGES); do n=$$(basename $$f .html); echo "static const unsigned char page_$$n[] = {"; \
	    sed $(PAGE_PARTS) $(call page_part,data/report/chat.js) $$f | od -An -v -tx1 | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'; echo "};"; done; \
	  echo "const nb_page nb_pages[] = {"; \
	  for f in $(PAGES); do n=$$(basename $$f .html); echo "{\"$$n\", page_$$n, sizeof page_$$n},"; done; \
	  echo "};"; echo "const size_t nb_n_pages = sizeof nb_pages / sizeof *nb_pages;"; } > $@

$(B)/gen/%.o: $(B)/gen/%.c $(FLAGS)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# Objects are made again when the compiler or its flags change: `make LIBZIP=0` on a built tree is another build.
FLAGS := $(B)/flags
.PHONY: force
$(FLAGS): force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(LDLIBS_ALL))' | cmp -s - $@ 2>/dev/null || \
	  printf '%s\n' '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(LDLIBS_ALL))' >$@

$(B)/libnibble.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(B)/nibble: $(TOOL_OBJ) $(B)/libnibble.a
	$(call say,LD)
	$(Q)$(CC) -o $@ $^ $(TOOL_LIBS) $(LDLIBS_ALL)

$(B)/lib/kernels/%.o: lib/kernels/%.c $(FLAGS) | $(NEED)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(if $(SAN),-g1) $(if $(filter -O2,$(OPT)),-O3) $(FLAGS_$*) -MMD -MP -c $< -o $@

$(B)/%.o: %.c $(FLAGS) | $(NEED)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# ---- tests ----

# The two commands for newcomers use every processor, unless -j was given.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2))

.PHONY: test
test: ## install what is missing, build, run every test
	@sh tools/deps.sh
	@$(MAKE) $(JOBS) check

.PHONY: check
check: all $(UNIT) ## every test, without network and without installing anything
	@sh tests/check.sh "$(MAKE)"

$(B)/unit/%: tests/unit/%.c tests/test.h $(B)/libnibble.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -Itests -MMD -MP -MF $@.d $< $(B)/libnibble.a -o $@ $(LDLIBS_ALL)

# Compare with what the command does.
$(B)/unit/test_api $(B)/unit/test_api_quantize $(B)/unit/test_api_session: | $(B)/nibble

.PHONY: unit
unit: $(UNIT) ## unit tests
	@sh tests/run_units.sh $(UNIT)

# Helpers of the command-line tests.
HELPERS := $(B)/jsonq $(B)/damage_nbl $(B)/mutate_nbl
$(HELPERS): $(B)/%: tests/%.c $(B)/libnibble.a
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $< $(B)/libnibble.a -o $@ $(LDLIBS_ALL)

.PHONY: cli
cli: all $(HELPERS) ## command-line tests (CASE=area/case runs one)
	@sh tests/cli/run.sh $(B)/nibble "$(CASE)"

DOMAINS ?= ../shared/data/domains
.PHONY: bench-quality
bench-quality: all ## fidelity (PART=domains: MODEL=; PART=targets, ablation or texts: MODEL=, CALIB=, MEASURE=)
	$(if $(filter domains,$(PART)),sh tests/bench_domains.sh $(B)/nibble "$(MODEL)" $(DOMAINS) build/quality/domains,\
	  sh tests/bench_quality.sh $(B)/nibble $(MODEL) $(CALIB) $(MEASURE) build/quality $(PART))

$(B)/check_kernels: $(wildcard tests/kernels/*.c) $(KERNEL_OBJ)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -Itests -MMD -MP -MF $@.d $(filter %.c %.o,$^) -o $@ $(filter-out $(PKG_LIBS),$(LDLIBS_ALL))

.PHONY: check-kernels
check-kernels: $(B)/check_kernels ## every kernel against the plain C one (ARGS="--seed 1 --isa avx2 --bench")
	@$(RUN) $(B)/check_kernels $(ARGS)

# Replay needs no fuzzer: the same targets over the corpus and over fixed mutations of it.
SERVE_PARSER := $(patsubst %,$(B)/tools/%.o,serve/request messages)
$(B)/replay/serve_request $(B)/fuzz_serve_request: $(SERVE_PARSER)
$(B)/replay/%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(B)/libnibble.a
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d $(filter %.c %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS_ALL)

.PHONY: replay
replay: $(FUZZ:%=$(B)/replay/%) ## fuzz targets over the committed corpus and its mutations
	@sh tests/run_units.sh $^

# The program with a shim under its calls of the system (tests/fault/fault.c), for GNU ld.
FAULT_CALLS := malloc calloc realloc strdup strndup open_memstream write pwrite fwrite ftruncate fallocate fflush fsync rename \
  mmap open fopen read pread fread
$(B)/nibble-fault: tests/fault/fault.c $(TOOL_OBJ) $(B)/libnibble.a
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS_ALL) $(FAULT_CALLS:%=-Wl,--wrap=%) -o $@ $(filter %.c %.o %.a,$^) $(TOOL_LIBS) $(LDLIBS_ALL)

FAULTS ?= 20
.PHONY: fault
fault: $(B)/nibble-fault ## one call of memory, writing, reading... fails, each in turn (FAULTS=0: all of them)
	@sh tests/fault/run.sh $(B)/nibble-fault $(FAULTS)

FUZZ_TIME ?= 60
.PHONY: fuzz fuzz-programs $(FUZZ:%=fuzz-%)
fuzz: ## fuzz every target for FUZZ_TIME seconds each with clang (TARGET=json: one)
	@$(MAKE) $(JOBS) VARIANT=fuzz fuzz-programs
	@$(MAKE) $(JOBS) -O VARIANT=fuzz $(addprefix fuzz-,$(or $(TARGET),$(FUZZ)))

$(FUZZ:%=fuzz-%): fuzz-%: $(B)/fuzz_%
	@mkdir -p build/fuzz/corpus/$* tests/fuzz/corpus/$*
	@echo "fuzzing $*"
	@$< -max_total_time=$(FUZZ_TIME) -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix=build/fuzz/ \
	  build/fuzz/corpus/$* tests/fuzz/corpus/$*

fuzz-programs: $(FUZZ:%=$(B)/fuzz_%)
$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(B)/libnibble.a
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -MMD -MP -MF $@.d $(filter %.c %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS_ALL)

.PHONY: asan tsan
asan: ## unit, command-line and replay tests under AddressSanitizer and UBSan
	@$(MAKE) VARIANT=asan unit replay cli
tsan: ## unit and command-line tests under ThreadSanitizer (clang)
	@$(MAKE) VARIANT=tsan unit cli

COVERED ?= unit cli
.PHONY: coverage
coverage: ## lines that tests reach; of parsers by the corpus and by all (COVERED=unit: without the command line)
	@find build/coverage -name '*.gcda' -delete 2>/dev/null || :
	@$(MAKE) VARIANT=coverage replay
	@sh tests/coverage.sh build/coverage >build/coverage/replay.txt
	@$(MAKE) VARIANT=coverage $(COVERED)
	@sh tests/coverage.sh build/coverage build/coverage/replay.txt

.PHONY: lint
lint: ## layers, file lengths, licence lines
	@sh tests/lint.sh

.PHONY: install-check
install-check: ## installs into a scratch folder and builds the example against it
	@sh tests/install/run.sh "$(MAKE)"

PYTHON ?= python3
# Cycles of the AArch64 kernels on phones' cores, from their assembly.
LLVM_MCA ?= $(lastword $(sort $(wildcard /usr/lib/llvm-*/bin/llvm-mca)))
AARCH64_CC ?= aarch64-linux-gnu-gcc
build/phone/%.s: lib/kernels/%.c $(wildcard lib/kernels/*.h)
	@mkdir -p $(@D)
	@$(AARCH64_CC) -dumpfullversion >$(@D)/compiler
	$(AARCH64_CC) -std=c11 -O3 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -fPIC -ffp-contract=off -fno-math-errno \
	  -I. -Ilib $(FLAGS_$*) -S $< -o $@
.PHONY: phone-speed
phone-speed: $(patsubst %,build/phone/%.s,neon neon_dotprod neon_i8mm) ## cycles of kernels on phones' cores (aarch64 gcc, llvm-mca)
	@command -v "$(LLVM_MCA)" >/dev/null || { echo "llvm-mca is not here: install llvm-19" >&2; exit 1; }
	$(PYTHON) tests/phone_speed.py build/phone $(LLVM_MCA) >build/phone/speed.json
	@mv build/phone/speed.json data/bench/phone-speed.json
.PHONY: python-check wheel
python-check: all ## the Python package in a fresh environment: pip install, mypy, pytest (needs a network)
	@sh tests/packages/python.sh "$(MAKE)" "$(PYTHON)" $(B)

.PHONY: package-check
package-check: all ## Debian packages, the GitHub Action's steps, the Homebrew formula (each skips without its tools)
	@sh tests/packages/run.sh "$(MAKE)" $(B)

wheel: ## build/dist/*.whl that runs on other machines without a compiler (auditwheel, patchelf)
	@sh tools/packages/wheel.sh "$(PYTHON)"

# ---- demo ----

.PHONY: demo
demo: ## convert a checkpoint, evaluate both forms, print one table (MODEL= DATA= EVAL= for your own)
	@sh tools/deps.sh
	@$(MAKE) $(JOBS) all
	@sh tools/demo.sh $(B)/nibble "$(MODEL)" "$(DATA)"

# ---- phones ----

.PHONY: phone phone-check apple-check android-check
phone: ## build/phone/nibble: one static file for AArch64 Linux, Termux and adb (fetches five sources: apps/deps.sh)
	@sh apps/deps.sh build/phone/deps aarch64-linux-gnu-gcc aarch64-linux-gnu-ar
	@$(MAKE) VARIANT=phone build/phone/nibble

QEMU ?= $(firstword $(shell command -v qemu-aarch64 qemu-aarch64-static) qemu-aarch64)
phone-check: all ## that program under qemu gives this one's bytes
	@printf '#!/bin/sh\nexec %s "%s" "$$@"\n' "$(QEMU)" "$(CURDIR)/build/phone/nibble" >build/phone/run
	@chmod +x build/phone/run
	@sh tests/same_bits.sh $(B)/nibble build/phone/run

# ---- browsers ----

.PHONY: wasm wasm-check web-deps
wasm: ## build/wasm/nibble-chat.html: a page that chats offline (Emscripten; WEB_MODEL=: the .nbl file in it; WASM64=0: none above 2 GB)
	@command -v emcc >/dev/null || { echo "emcc is not here: apt-get install emscripten" >&2; exit 1; }
	@for v in wasm $(if $(filter 1,$(WASM64)),wasm64); do \
	  $(MAKE) VARIANT=$$v web-deps && $(MAKE) VARIANT=$$v build/$$v/engine.js || exit 1; done
	@$(MAKE) VARIANT=wasm build/wasm/nibble-chat.html
web-deps:
	@sh apps/deps.sh $(B)/deps "$(CC)" "$(AR)"

WEB_FLAGS := -sMODULARIZE=1 -sEXPORT_NAME=Nibble -sENVIRONMENT=worker -sEXPORTED_RUNTIME_METHODS=ccall,FS,WORKERFS -lworkerfs.js
# Emscripten 3.1.69 asks whether memory64 grows by BigInts under the name that the proposal had first.
$(B)/engine.js: $(B)/apps/web/web.o $(B)/libnibble.a apps/web/worker.js
	$(call say,LD)
	$(Q)$(CC) -o $(B)/module.js $(filter %.o %.a,$^) --no-entry $(WEB_FLAGS) $(LDLIBS_ALL)
	@sed "s/'index': 'i64'/&, 'address': 'i64'/" $(B)/module.js | cat - apps/web/worker.js >$@

# The model that the page carries: the demo's, where `make demo` was.
WEB_MODEL ?= $(wildcard build/demo/model.nbl)
$(B)/chat.html: data/report/chat.html $(wildcard data/report/page.*) apps/web/chat.js
	@mkdir -p $(@D)
	@sed $(PAGE_PARTS) $(call page_part,apps/web/chat.js) data/report/chat.html >$@
$(B)/nibble-chat.html: $(WEB_ENGINES) $(B)/chat.html apps/web/page.sh $(WEB_MODEL)
	$(call say,PAGE)
	@sh apps/web/page.sh $(B)/chat.html "$(WEB_MODEL)" $(WEB_ENGINES) >$@.tmp && mv $@.tmp $@

wasm-check: all ## kernels, program, engine and page of build/wasm give this program's bits (node, chromium; each skips without)
	@sh tests/web/run.sh "$(MAKE)" $(B)/nibble "$(WASM64)" "$(ARGS)"

# zig brings Apple's headers for C: python3 -m pip install ziglang, then ZIG="python3 -m ziglang".
ZIG ?= zig
apple-check: all ## the library's C compiled for arm64 macOS by zig, the Swift package by swiftc and run (each skips without)
	@if $(ZIG) version >/dev/null 2>&1; then \
	  VARIABLES="FLAGS_neon=-mcpu=apple_m1 FLAGS_neon_dotprod=-mcpu=apple_m1 FLAGS_neon_i8mm=-mcpu=apple_m2" \
	  sh apps/apple/build.sh build/apple-zig "$(ZIG) cc -target aarch64-macos" "$(ZIG) ar" ""; \
	else echo "skip: apple-check: there is no $(ZIG)"; fi
	@sh tests/apps/swift.sh $(B) $(LDLIBS_ALL)

android-check: all ## the JNI code in a Java virtual machine, and the Kotlin API's types (each skips without its compiler)
	@sh tests/apps/android.sh $(B) "$(CC)" $(LDLIBS_ALL)

# ---- install ----

ifeq ($(OS),Darwin)
  SHLIB := libnibble.$(SOVERSION).dylib
  SHLIB_LINK := libnibble.dylib
  SHLIB_FLAGS = -dynamiclib -install_name $(LIBDIR)/$(SHLIB) -Wl,-exported_symbols_list,$(B)/exports
else
  SHLIB := libnibble.so.$(SOVERSION)
  SHLIB_LINK := libnibble.so
  # Segments at multiples of 16 KiB: phones with pages of that size load no others.
  SHLIB_FLAGS = -shared -Wl,-soname,$(SHLIB) -Wl,--no-undefined -Wl,--version-script=api/libnibble.map \
    $(if $(filter aarch64 arm64,$(ARCH)),-Wl$(comma)-z$(comma)max-page-size=16384)
endif

# The names alone, as macOS's linker wants them.
$(B)/exports: api/libnibble.map
	@sed -n 's/^ *\(nibble_[a-z_]*\);/_\1/p' $< >$@

$(B)/$(SHLIB): $(LIB_OBJ) api/libnibble.map $(if $(filter Darwin,$(OS)),$(B)/exports)
	$(call say,LD)
	$(Q)$(CC) $(SHLIB_FLAGS) -o $@ $(LIB_OBJ) $(LDLIBS_ALL)

.PHONY: abi
abi: $(B)/$(SHLIB) ## what programs built against the library rely on, against api/nibble.abi (Linux)
	@sh tests/abi.sh $(B)/$(SHLIB) "$(CC)"

.PHONY: shared
shared: $(B)/$(SHLIB)

# Programs find the library where it was installed, also where the system does not look; in /usr it does.
RPATH := $(if $(filter /usr,$(PREFIX)),,-Wl$(comma)-rpath$(comma)$${libdir} )

# What the Python package api/python/nibble carries, into DESTDIR.
.PHONY: python-parts
python-parts: $(B)/$(SHLIB) api/nibble.h
	install -d "$(DESTDIR)"
	install -m 755 $(B)/$(SHLIB) "$(DESTDIR)/libnibble.so"
	-$(STRIP) -S -x "$(DESTDIR)/libnibble.so"
	install -m 644 api/nibble.h "$(DESTDIR)/nibble.h"

# Depends on PREFIX: made anew each time.
.PHONY: $(B)/nibble.pc
$(B)/nibble.pc: tools/nibble.pc.in
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' -e 's|@VERSION@|$(VERSION)|' -e 's|@RPATH@|$(RPATH)|' \
	  -e 's|@LIBS@|$(PKG_LIBS) -lm $(THREADS) $(OMPLIBS)|' $< >$@

$(B)/nibble.1: tools/nibble.1.in tools/mkman.sh $(B)/nibble
	@sh tools/mkman.sh $(B)/nibble >$@.tmp && mv $@.tmp $@

$(B)/nibble.bash $(B)/nibble.zsh $(B)/nibble.fish: $(B)/nibble.%: $(B)/nibble
	@$(B)/nibble completion $* >$@.tmp && mv $@.tmp $@

# Where the shells look for completions.
BASH_DIR := share/bash-completion/completions
ZSH_DIR := share/zsh/site-functions
FISH_DIR := share/fish/vendor_completions.d

.PHONY: install
install: all $(B)/$(SHLIB) $(B)/nibble.pc $(B)/nibble.1 $(B)/nibble.bash $(B)/nibble.zsh $(B)/nibble.fish ## program, library, header, pkg-config file, man page, completions under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include \
	  $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/$(BASH_DIR) $(DESTDIR)$(PREFIX)/$(ZSH_DIR) \
	  $(DESTDIR)$(PREFIX)/$(FISH_DIR)
	install -m 644 $(B)/nibble.bash $(DESTDIR)$(PREFIX)/$(BASH_DIR)/nibble
	install -m 644 $(B)/nibble.zsh $(DESTDIR)$(PREFIX)/$(ZSH_DIR)/_nibble
	install -m 644 $(B)/nibble.fish $(DESTDIR)$(PREFIX)/$(FISH_DIR)/nibble.fish
	install -m 755 $(B)/nibble $(DESTDIR)$(PREFIX)/bin/nibble
	install -m 644 $(B)/libnibble.a $(DESTDIR)$(LIBDIR)/libnibble.a
	install -m 755 $(B)/$(SHLIB) $(DESTDIR)$(LIBDIR)/$(SHLIB)
	ln -sf $(SHLIB) $(DESTDIR)$(LIBDIR)/$(SHLIB_LINK)
	-$(STRIP) $(DESTDIR)$(PREFIX)/bin/nibble && $(STRIP) -S $(DESTDIR)$(LIBDIR)/libnibble.a && \
	  $(STRIP) -S -x $(DESTDIR)$(LIBDIR)/$(SHLIB)
	install -m 644 api/nibble.h $(DESTDIR)$(PREFIX)/include/nibble.h
	install -m 644 $(B)/nibble.pc $(DESTDIR)$(LIBDIR)/pkgconfig/nibble.pc
	install -m 644 $(B)/nibble.1 $(DESTDIR)$(PREFIX)/share/man/man1/nibble.1
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || ldconfig 2>/dev/null || :

.PHONY: uninstall
uninstall: ## removes what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/nibble $(DESTDIR)$(LIBDIR)/libnibble.a $(DESTDIR)$(LIBDIR)/$(SHLIB) \
	  $(DESTDIR)$(LIBDIR)/$(SHLIB_LINK) $(DESTDIR)$(PREFIX)/include/nibble.h \
	  $(DESTDIR)$(LIBDIR)/pkgconfig/nibble.pc $(DESTDIR)$(PREFIX)/share/man/man1/nibble.1 \
	  $(DESTDIR)$(PREFIX)/$(BASH_DIR)/nibble $(DESTDIR)$(PREFIX)/$(ZSH_DIR)/_nibble \
	  $(DESTDIR)$(PREFIX)/$(FISH_DIR)/nibble.fish

# ---- the rest ----

# Tables that scripts wrote stay as they wrote them.
FORMATTED = $(filter-out lib/base/unicode_recent.h lib/base/unicode_case.h tests/hostile_strings.h,\
  $(wildcard lib/*/*.[ch] formats/*.[ch] eval/*.[ch] convert/*.[ch] api/*.[ch] tools/*.[ch] tools/*/*.[ch] apps/*/*/src/main/cpp/*.c apps/web/*.c tests/*.[ch] tests/*/*.[ch]))
.PHONY: format
format: ## clang-format over every C file
	@clang-format -i $(FORMATTED)
.PHONY: formatted
formatted:
	@echo $(FORMATTED)

# The bytes depend on the commit alone: its time, its files in git's order, no name and time in gzip's header.
.PHONY: dist
dist: ## nibble-VERSION.tar.gz of the last commit; the same bytes every time
	@mkdir -p build/dist
	git -c core.autocrlf=false archive --format=tar --prefix=nibble-$(VERSION)/ HEAD >build/dist/nibble-$(VERSION).tar
	gzip -9 -n -f build/dist/nibble-$(VERSION).tar
	@echo "build/dist/nibble-$(VERSION).tar.gz"

.PHONY: formula
formula: ## build/dist/nibble.rb, a Homebrew formula for the archive of `make dist` (URL=https://.../nibble-VERSION.tar.gz)
	@sh tools/packages/formula.sh $(VERSION) "$(URL)"

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+.*:.*## / {split($$1, t, ":"); printf "  %-15s %s\n", t[1], $$2}' Makefile
	@echo "variables: VARIANT=release|debug|asan|tsan|coverage PREFIX= DESTDIR= CC= CFLAGS= V=1"

-include $(shell find $(B) -name '*.d' 2>/dev/null)
