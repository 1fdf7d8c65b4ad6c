# make help lists the targets.
#
# BUILD chooses the flavour, each in its own folder under build/:
#   release   what users run            fp64   the same sources with real = double, for gradient checks
#   asan      the release sources under the address and undefined-behaviour sanitizers
# CROSS=aarch64 makes any of them for 64-bit ARM and runs it under emulation; `make aarch64` fetches what that needs.
BUILD ?= release
CC ?= cc
CLANG ?= clang
PREFIX ?= /usr/local
PYTHON ?= /usr/bin/python3
export MAKE PYTHON

# All cores, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif
# V=1 shows whole commands.
ifneq ($(V),1)
QUIET = @printf '  %-5s %s\n' '$(1)' '$(2)';
endif

OUT := build/$(BUILD)
PKG_CONFIG := pkg-config
ifneq ($(CROSS),)
OUT := build/$(CROSS)-$(BUILD)
SYSROOT := $(CURDIR)/build/$(CROSS)-sysroot
$(if $(wildcard $(SYSROOT)/complete),,$(error $(SYSROOT) is missing: `make $(CROSS)` fetches it))
CC := $(CROSS)-linux-gnu-gcc --sysroot=$(SYSROOT)
AR := $(CROSS)-linux-gnu-ar
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(CROSS)-linux-gnu/pkgconfig pkg-config
export EMULATOR := qemu-$(CROSS) -L $(SYSROOT)
endif
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)
HDF5_CFLAGS := $(shell $(PKG_CONFIG) --cflags hdf5 2>/dev/null)
HDF5_LIBS := $(shell $(PKG_CONFIG) --libs hdf5 2>/dev/null)

# No contraction outside the kernels: there, a fused multiply-add is part of the algorithm; elsewhere it would make results depend
# on what the compiler chose. -ffast-math and its parts are never used: they remove the checks for NaN that training relies on.
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
CFLAGS ?= -O3 -g
CPPFLAGS += -D_GNU_SOURCE -Iframework -I. -I$(OUT) $(HDF5_CFLAGS)
BASE_FLAGS := -std=c11 $(WARNINGS) -pthread -fno-math-errno
DEPENDENCIES := -MMD -MP
LIBS := -lyaml -lutf8proc $(HDF5_LIBS) -lcurl -lcrypto -lm
# gcc 12.2 dies of vectorising loops for the maximum by fmax() of floats taken to double, on ARM (its bug 108608).
TEST_FLAGS := $(if $(filter aarch64-%,$(MACHINE)),-fno-tree-vectorize)
ifeq ($(BUILD),fp64)
CPPFLAGS += -DRUNEXP_FP64
endif
ifeq ($(BUILD),asan)
CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
endif

# Every C file under some folders.
sources = $(sort $(shell find $(1) -name '*.c'))

# Kernels are compiled once for each instruction set, with their symbols suffixed (framework/kernels/isa.h).
KERNEL_ONCE := framework/kernels/select.c
KERNEL_SOURCES := $(filter-out $(KERNEL_ONCE),$(call sources,framework/kernels))
ifneq ($(filter x86_64-%,$(MACHINE)),)
ISAS := avx512 avx2 sse4 plain
endif
ISAS ?= plain
FLAGS_avx512 := -march=x86-64-v4 -mprefer-vector-width=512
FLAGS_avx2 := -march=x86-64-v3
FLAGS_sse4 := -march=x86-64-v2
FLAGS_plain :=
# Contraction must not depend on the shape of a loop: for generic x86-64, gcc 13 and newer leave short chains of multiply-adds in
# vectors of AVX2 uncontracted, and a row of a product would get other bits by itself than among others.
KERNEL_FLAGS := -ffp-contract=fast --param=avoid-fma-max-bits=0

MAIN_SOURCE := framework/cli/main.c
SOURCES := $(filter-out $(MAIN_SOURCE) $(KERNEL_SOURCES),$(call sources,framework models))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o) $(foreach isa,$(ISAS),$(KERNEL_SOURCES:%.c=$(OUT)/%.$(isa).o))
LIBRARY := $(OUT)/librunexp.a
# What tests start as the program.
PROGRAM := $(OUT)/runexp$(CROSS:%=-emulated)

programs = $(patsubst %.c,$(OUT)/%,$(wildcard tests/$(1)/$(2)*.c))
UNIT_TESTS := $(call programs,unit,test_)
PARITY_TESTS := $(call programs,parity,test_)
GRADIENT_TESTS := $(call programs,gradient,test_)
ifneq ($(CROSS),)
GRADIENT_TESTS := $(filter-out %/test_models,$(GRADIENT_TESTS)) # many minutes under emulation
endif
FAULT_TESTS := $(call programs,fault,test_)
BENCHES := $(patsubst %.c,$(OUT)/%,$(wildcard bench/*.c))
TORCH := build/torch
OURS_ALONE := lengths $(notdir $(BENCHES)) # the workloads that need no PyTorch

FORMATTED = $(shell find framework models tests bench -name '*.[ch]' | sort)
# The kernels are written in the vector extensions of gcc, which clang-tidy cannot read.
ANALYSED = $(filter-out framework/kernels/%,$(SOURCES)) $(MAIN_SOURCE)

##@ Using it

.PHONY: all
all: $(if $(filter build/release,$(OUT)),runexp,$(OUT)/runexp) ## build ./runexp (the default)

.PHONY: quickstart
quickstart: ## install what is missing, build, train a first model (a minute), plot it, let it speak
	@tools/packages build run
	@$(MAKE) --no-print-directory all
	./runexp experiments/quickstart.yaml
	./runexp sample quickstart --prompt "A man " --tokens 300
	@echo "The pictures are in plots/quickstart, everything else in runs/quickstart."

.PHONY: deps
deps: ## install the Debian packages needed to build and run
	@tools/packages build run

# What is installed where. The program finds its experiments from where it is itself: an installation can be moved.
DESTINATION := $(DESTDIR)$(PREFIX)
SHARED := $(DESTINATION)/share/runexp
MANUAL := $(DESTINATION)/share/doc/runexp

.PHONY: install
install: all ## install the program and its experiments under PREFIX (/usr/local)
	install -d "$(DESTINATION)/bin" "$(SHARED)/experiments/base" "$(MANUAL)"
	install -m 755 $(OUT)/runexp "$(DESTINATION)/bin/runexp"
	install -m 644 experiments/*.yaml "$(SHARED)/experiments"
	install -m 644 experiments/base/*.yaml "$(SHARED)/experiments/base"
	install -m 644 LICENSE README.md "$(MANUAL)"

# Folders that are empty then go too, but for those of the system.
.PHONY: uninstall
uninstall: ## remove what `make install` installed, with the same PREFIX; runs and plots stay where they are
	rm -f "$(DESTINATION)/bin/runexp"
	rm -rf "$(SHARED)" "$(MANUAL)"
	@case "$(PREFIX)" in /usr | /usr/local) ;; *) \
		cd "$(DESTINATION)" 2>/dev/null && rmdir bin share/doc share "$(DESTINATION)" 2>/dev/null || true ;; esac

.PHONY: clean
clean: ## remove what was built; runs/ and plots/ stay
	rm -rf build runexp

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^##@/ { printf "%s%s\n", n++ ? "\n" : "", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

##@ Testing it

.PHONY: test
test: ## install what the tests need, build, run every test; the last line is the total
	@tools/packages build run test
	@$(MAKE) --no-print-directory all
	+@tests/run_suites unit gradient parity golden end-to-end fault

.PHONY: test-deps
test-deps: ## install the Debian packages needed to test
	@tools/packages test

.PHONY: unit
unit: $(UNIT_TESTS) ## unit tests of every folder
	@tests/run_programs $^

.PHONY: gradient
gradient: ## every gradient against central differences, in double precision
	@$(MAKE) --no-print-directory BUILD=fp64 run-gradient-tests
.PHONY: run-gradient-tests
run-gradient-tests: $(GRADIENT_TESTS)
	@tests/run_programs $^

.PHONY: parity
parity: $(PARITY_TESTS) ## layers, optimizers and a whole model against PyTorch, from checked-in numbers
	@tests/run_programs $^

.PHONY: golden
golden: all ## what the command line prints, to the letter
	@$(PYTHON) tests/golden/run.py

.PHONY: golden-refresh
golden-refresh: all ## take what the command line prints now as right (then read the diff)
	@$(PYTHON) tests/golden/run.py --refresh

.PHONY: end-to-end
end-to-end: all ## whole runs: training, resuming, sampling, evaluating, plotting
	@$(PYTHON) tests/run_python.py tests/end_to_end

.PHONY: fault
fault: all $(FAULT_TESTS) ## runs that are killed, disks that are full, downloads that break
	+@tests/run_suites fault-programs fault-runs
.PHONY: fault-programs fault-runs
fault-programs: $(FAULT_TESTS)
	@tests/run_programs $^
fault-runs: all
	@$(PYTHON) tests/run_python.py tests/fault

.PHONY: asan
asan: ## unit and fault tests, wrong experiment files and a short run under the sanitizers
	@$(MAKE) --no-print-directory BUILD=asan asan-suites
.PHONY: asan-suites golden-wrong short-run
asan-suites: all
	+@tests/run_suites unit fault-programs mutations golden-wrong short-run
.PHONY: mutations
mutations: $(OUT)/fuzz/mutations
	@$< && echo "1 passed, 0 failed"
golden-wrong: all $(PROGRAM)
	@RUNEXP=$(PROGRAM) $(PYTHON) tests/golden/run.py wrong
short-run: all $(PROGRAM)
	@RUNEXP=$(PROGRAM) $(PYTHON) tests/run_python.py tests/end_to_end test_short_run

.PHONY: aarch64
aarch64: ## most tests again, of the program for 64-bit ARM, emulated (the first time this needs the network)
	@tools/packages build cross
	@tools/aarch64_sysroot build/aarch64-sysroot
	+@CROSS=aarch64 tests/run_suites unit gradient parity fault-programs golden-wrong short-run

.PHONY: fuzz
fuzz: $(OUT)/fuzz/config ## half a minute of mutated experiment files, always the same ones (needs clang)
	@rm -rf $(OUT)/fuzz/new && mkdir -p $(OUT)/fuzz/new
	@$< -seed=1 -runs=60000 -max_len=4096 -artifact_prefix=$(OUT)/fuzz/ $(OUT)/fuzz/new experiments tests/golden/wrong 2>$(OUT)/fuzz/log.txt || { cat $(OUT)/fuzz/log.txt; exit 1; }
	@tail -n 1 $(OUT)/fuzz/log.txt

.PHONY: bench run-bench
bench: ## speed against PyTorch, into bench/BENCHMARKS.md: half an hour; WORKLOADS="gpt_nano decoding" measures parts
	@tools/packages build run bench
	@$(MAKE) --no-print-directory run-bench
run-bench: all $(BENCHES) $(if $(filter-out $(OURS_ALONE),$(or $(WORKLOADS),all)),$(TORCH)/ready)
	@./runexp data get tinyshakespeare
	@$(PYTHON) bench/bench.py $(TORCH)/bin/python $(WORKLOADS)

.PHONY: fixtures
fixtures: ## compute numbers of tests/parity again, with PyTorch: FIXTURES="layers optimizers schedules gpt ltc cfc"
	@tools/packages fixtures
	$(PYTHON) tests/parity/make_fixtures.py $(FIXTURES)

##@ Keeping it clean

.PHONY: lint
lint: ## formatting, static analysis and the rules of the house
	+@tests/run_suites house-rules setting-types formatting analysis

.PHONY: house-rules
house-rules:
	@$(PYTHON) tests/lint/house_rules.py

.PHONY: setting-types
setting-types:
	@$(PYTHON) tests/lint/setting_types.py $(CC)

.PHONY: formatting
formatting:
	@tests/lint/formatting $(FORMATTED)

.PHONY: analysis
analysis: $(OUT)/version.h
	@tests/lint/analysis '$(CPPFLAGS) -std=c11' $(ANALYSED)

.PHONY: format
format: ## format every source file
	clang-format -i $(FORMATTED)

# --- how things are made

# What decides whether something must be made again although no source changed. Each is kept in a file, which is rewritten only
# when its text is another one.
COMMIT := $(shell test -e .git && git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
VERSION_TEXT := $(shell cat VERSION) $(or $(COMMIT),unknown)
FLAGS_TEXT := $(CC) $(CPPFLAGS) $(BASE_FLAGS) $(CFLAGS) $(LDFLAGS) $(LIBS) $(ISAS)
OBJECTS_TEXT := $(OBJECTS)
same = $(and $(findstring |$(1)|,|$(2)|),$(findstring |$(2)|,|$(1)|))
remember = $(if $(call same,$(file <$(OUT)/$(1)),$($(2))),,$(eval .PHONY: $(OUT)/$(1)))
$(call remember,version.txt,VERSION_TEXT)
$(call remember,flags.txt,FLAGS_TEXT)
$(call remember,objects.txt,OBJECTS_TEXT)
$(OUT)/version.txt: TEXT = $(VERSION_TEXT)
$(OUT)/flags.txt: TEXT = $(FLAGS_TEXT)
$(OUT)/objects.txt: TEXT = $(OBJECTS_TEXT)
$(OUT)/version.txt $(OUT)/flags.txt $(OUT)/objects.txt:
	@mkdir -p $(@D)
	@printf '%s\n' '$(TEXT)' >$@

# Which version and commit this is. Included by the few files that say it, so that a commit recompiles nothing else.
$(OUT)/version.h: $(OUT)/version.txt
	@printf '#define RUNEXP_VERSION "%s"\n#define RUNEXP_COMMIT "%s"\n' $(VERSION_TEXT) >$@
$(OBJECTS) $(OUT)/$(MAIN_SOURCE:.c=.o): | $(OUT)/version.h

runexp: $(OUT)/runexp
	@ln -sf $(OUT)/runexp runexp

$(OUT)/runexp: $(OUT)/$(MAIN_SOURCE:.c=.o) $(LIBRARY)
	$(call QUIET,link,$@)$(CC) $(CFLAGS) -pthread $(LDFLAGS) $^ $(LIBS) -o $@

$(OUT)/runexp-emulated: $(OUT)/runexp
	@printf '#!/bin/sh\nexec $(EMULATOR) $(CURDIR)/$< "$$@"\n' >$@
	@chmod +x $@

$(LIBRARY): $(OBJECTS) $(OUT)/objects.txt
	@rm -f $@
	@$(AR) qcs $@ $(OBJECTS)

$(OUT)/%.o: %.c $(OUT)/flags.txt
	@mkdir -p $(@D)
	$(call QUIET,cc,$<)$(CC) $(CPPFLAGS) $(BASE_FLAGS) $(DEPENDENCIES) -ffp-contract=off $(CFLAGS) -c $< -o $@

define kernel_rule
$(OUT)/framework/kernels/%.$(1).o: framework/kernels/%.c $(OUT)/flags.txt
	@mkdir -p $$(@D)
	$$(call QUIET,cc,$$< ($(1)))$$(CC) $$(CPPFLAGS) $$(BASE_FLAGS) $$(DEPENDENCIES) $(KERNEL_FLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -DKERNEL_ISA=$(1) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))

$(OUT)/tests/%: tests/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call QUIET,cc,$<)$(CC) $(CPPFLAGS) -Itests $(BASE_FLAGS) $(DEPENDENCIES) $(CFLAGS) $(TEST_FLAGS) $(LDFLAGS) $< $(LIBRARY) $(LIBS) -lcmocka -o $@

# OpenBLAS on OpenMP's threads, as oneDNN is: threads of its own would get in the way of the others'.
OPENBLAS := $(firstword $(wildcard /usr/lib/*/openblas-openmp))
$(OUT)/bench/matrix_products: BENCH_LIBS := -lgomp -ldnnl -L$(OPENBLAS) -Wl,-rpath,$(OPENBLAS) -lopenblas
$(OUT)/bench/%: bench/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call QUIET,cc,$<)$(CC) $(CPPFLAGS) $(BASE_FLAGS) $(DEPENDENCIES) $(CFLAGS) $(LDFLAGS) $< $(LIBRARY) $(LIBS) $(BENCH_LIBS) -o $@

# The current PyTorch. Remove the folder to get a newer one.
$(TORCH)/ready:
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check --no-cache-dir torch numpy
	@touch $@

# The reader of experiments under libFuzzer, and under the sanitizers alone with mutations of its own.
FUZZED := $(wildcard framework/base/*.c framework/config/*.c)
$(OUT)/fuzz/config: tests/fuzz/fuzz_config.c $(FUZZED) $(OUT)/flags.txt
	@mkdir -p $(@D)
	$(call QUIET,clang,$<)$(CLANG) $(CPPFLAGS) -Itests -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $< $(FUZZED) -lyaml -lm -o $@
$(OUT)/fuzz/mutations: tests/fuzz/fuzz_config.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call QUIET,cc,$<)$(CC) $(CPPFLAGS) -Itests $(BASE_FLAGS) $(DEPENDENCIES) $(CFLAGS) $(LDFLAGS) -DFUZZ_DRIVER $< $(LIBRARY) $(LIBS) -o $@

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
