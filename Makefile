# make help lists the targets.
#
# BUILD chooses the flavour, each in its own folder under build/:
#   release   what users run            fp64   the same sources with real = double, for gradient checks
#   asan      address and undefined-behaviour sanitizers over the release sources
BUILD ?= release
CC ?= cc
PREFIX ?= /usr/local

OUT := build/$(BUILD)
MACHINE := $(shell $(CC) -dumpmachine)
HDF5_CFLAGS := $(shell pkg-config --cflags hdf5 2>/dev/null)
HDF5_LIBS := $(shell pkg-config --libs hdf5 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
CFLAGS ?= -O3 -g
CPPFLAGS += -D_GNU_SOURCE -Iframework -I. $(HDF5_CFLAGS) -DRUNEXP_VERSION='"$(shell cat VERSION)"'
# No contraction outside the kernels: there, a fused multiply-add is part of the algorithm; elsewhere it would make results depend
# on what the compiler chose. -ffast-math and its parts are never used: they remove the checks for NaN that training relies on.
BASE_FLAGS := -std=c11 $(WARNINGS) -fopenmp -fno-math-errno -MMD -MP
LIBS := -lyaml $(HDF5_LIBS) -lcurl -lcrypto -lm
ifeq ($(BUILD),fp64)
CPPFLAGS += -DRUNEXP_FP64
endif
ifeq ($(BUILD),asan)
CFLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS += -fsanitize=address,undefined
endif

# Kernels are compiled once for each instruction set, with their names suffixed (framework/kernels/isa.h).
KERNEL_ONCE := framework/kernels/select.c
KERNEL_SOURCES := $(filter-out $(KERNEL_ONCE),$(wildcard framework/kernels/*.c))
ifneq ($(filter x86_64-%,$(MACHINE)),)
ISAS := avx512 avx2 sse4 plain
endif
ISAS ?= plain
FLAGS_avx512 := -march=x86-64-v4 -mprefer-vector-width=512
FLAGS_avx2 := -march=x86-64-v3
FLAGS_sse4 := -march=x86-64-v2
FLAGS_plain :=

MAIN_SOURCE := framework/cli/main.c
SOURCES := $(filter-out $(MAIN_SOURCE) $(KERNEL_SOURCES),$(wildcard framework/*/*.c models/*.c))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o) $(foreach isa,$(ISAS),$(KERNEL_SOURCES:%.c=$(OUT)/%.$(isa).o))
LIBRARY := $(OUT)/librunexp.a

TEST_SOURCES_unit := $(wildcard tests/unit/test_*.c)
TEST_SOURCES_parity := $(wildcard tests/parity/test_*.c)
TEST_SOURCES_gradient := $(wildcard tests/gradient/test_*.c)
TESTS_IN_FLOAT := $(TEST_SOURCES_unit:%.c=$(OUT)/%) $(TEST_SOURCES_parity:%.c=$(OUT)/%)
TESTS_IN_DOUBLE := $(TEST_SOURCES_gradient:%.c=$(OUT)/%)

.PHONY: all
all: runexp ## build ./runexp (the default)

runexp: $(OUT)/runexp
	@ln -sf $(OUT)/runexp runexp

$(OUT)/runexp: $(OUT)/$(MAIN_SOURCE:.c=.o) $(LIBRARY)
	$(CC) $(CFLAGS) -fopenmp $(LDFLAGS) $^ $(LIBS) -o $@

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(BASE_FLAGS) -ffp-contract=off $(CFLAGS) -c $< -o $@

define kernel_rule
$(OUT)/framework/kernels/%.$(1).o: framework/kernels/%.c Makefile
	@mkdir -p $$(@D)
	$$(CC) $$(CPPFLAGS) $$(BASE_FLAGS) -ffp-contract=fast $$(CFLAGS) $$(FLAGS_$(1)) -DKERNEL_ISA=$(1) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))
$(OUT)/framework/kernels/select.o: CPPFLAGS += $(ISAS:%=-DKERNELS_HAVE_%)

$(OUT)/tests/%: tests/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -Itests $(BASE_FLAGS) $(CFLAGS) $(LDFLAGS) $< $(LIBRARY) $(LIBS) -lcmocka -o $@

.PHONY: run-tests-float run-tests-double
run-tests-float: $(TESTS_IN_FLOAT)
	@tests/run_programs $^
run-tests-double: $(TESTS_IN_DOUBLE)
	@tests/run_programs $^

.PHONY: fixtures
fixtures: ## compute the numbers of tests/parity again (needs python3-torch and python3-h5py)
	/usr/bin/python3 tests/parity/make_fixtures.py

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
