# SPDX-License-Identifier: BSD-2-Clause
#
# The rings of tests, the fuzzers and the workloads; included by the Makefile.
#
#   make test-unit TESTS='test_elf test_symtab'     only these programs
#   make test-e2e PYTEST='-k recurse -x'            options for pytest
#   make fuzz FUZZ_SECONDS=600 FUZZERS=fuzz_pprof   longer, one fuzzer

.PHONY: test-unit test-ebpf test-e2e test-vm test-vm-arm64 vm-programs vm-workloads test-all \
	test-full benchmark benchmark-performance bench-programs fuzz workloads

#: test-unit                ring 1: unit tests, fuzz corpora, layering and size checks; no root
#: test-ebpf                ring 2: every BPF object loads, within its instruction budget; root
#: test-e2e                 ring 3: known workloads on the real kernel; root
#: test-vm                  ring 4: other kernels, in virtual machines: VM='5.10 6.1'
#: test-vm-arm64            the same on arm64, emulated, by a cross-build (scripts/cross-arm64)
#: test-all, test-full      unit, ebpf, e2e; the same and e2e under sanitizers, VMs, fuzzers
#: fuzz                     every fuzzer for FUZZ_SECONDS=60
#: workloads                build/workloads/, the programs that end-to-end tests profile
#: bench-programs           build/bench/, the programs that benchmarks compare with
#: benchmark                every scripts/bench-*
#: benchmark-performance    scripts/bench-sampler alone

# ---- unit tests -----------------------------------------------------------------------------

# It steps through programs by the instructions of x86-64.
UNIT_X86_64 := $(addprefix tests/unit/,test_unwind_step.c stepper.c step_target.c)
UNIT_ALL := $(filter-out $(if $(filter x86_64,$(MACHINE)),,$(UNIT_X86_64)),$(wildcard tests/unit/*.c))
UNIT_SOURCES := $(filter tests/unit/test_%,$(UNIT_ALL))
UNIT_SUPPORT := $(filter-out $(UNIT_SOURCES),$(UNIT_ALL))
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
TEST_SOURCES := $(UNIT_SOURCES) $(UNIT_SUPPORT) $(wildcard tests/fuzz/*.c tests/bpf/*.c)
TESTS ?= $(UNIT_SOURCES:tests/unit/%.c=%)
FUZZERS ?= $(FUZZ_SOURCES:tests/fuzz/%.c=%)

# A test links the modules that it includes and what those may use, nothing more: this proves
# at link time what scripts/check-layers proves of the #include lines.
base_USES := base
symbolizer_USES := symbolizer base
proto_USES := proto base
exporters_USES := exporters proto base
collect_USES := collect base
pipeline_USES := pipeline collect symbolizer proto base
cmd_USES := $(MODULES)

# Words FILE:FOLDER, one for each folder of ours that a test's file includes.
TEST_INCLUDES := $(shell sed -n 's,^[^ ] *include "\(.*\)/[^/]*"$$,\1,; T; F; p' \
	$(UNIT_SOURCES) $(FUZZ_SOURCES) $(wildcard tests/bench/*.c) /dev/null | paste -d: - -)
# $(call modules_of,SOURCE)
modules_of = $(sort $(foreach m,$(MODULES),\
	$(if $(filter $1:$($m_DIR),$(TEST_INCLUDES)),$($m_USES))))

WRAPPED := malloc calloc realloc
WRAP_LDFLAGS = $(if $(filter %/fail_malloc.c,$(UNIT_SUPPORT)),$(WRAPPED:%=-Wl,--wrap=%))

# What tests share is an archive, of which a program gets what it uses.
define unit_support
build/$1/libunit.a: $(UNIT_SUPPORT:%.c=build/$1/%.o) build/values/members-unit
	$$(say) AR $$@
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(eval $(call remember,members-unit,$(UNIT_SUPPORT)))
$(foreach t,obj asan,$(eval $(call unit_support,$t)))

# $(call unit_program,NAME,TREE)
define unit_program
build/$2/tests/unit/$1.o: | $(SCHEMA_HEADERS)
build/$2/tests/unit/$1: build/$2/tests/unit/$1.o build/$2/libunit.a \
		$(call archives,$(call modules_of,tests/unit/$1.c),$2) build/values/$2-link tests/tests.mk
	$$(say) LINK $$@
	$$(Q)$$($2_CC) $$($2_LDFLAGS) $$(WRAP_LDFLAGS) -o $$@ $$(filter %.o,$$^) \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -lcmocka $$(LIBS)
endef
$(foreach t,obj asan,$(foreach p,$(UNIT_SOURCES:tests/unit/%.c=%),\
	$(eval $(call unit_program,$p,$t))))

# $(call fuzz_program,NAME,TREE,MAIN): as a replayer of its corpus (asan), as a fuzzer (fuzz)
define fuzz_program
build/$2/tests/fuzz/$1.o: | $(SCHEMA_HEADERS)
build/$2/tests/fuzz/$1: build/$2/tests/fuzz/$1.o $3 \
		$(call archives,$(call modules_of,tests/fuzz/$1.c),$2) build/values/$2-link tests/tests.mk
	$$(say) LINK $$@
	$$(Q)$$($2_CC) $$($2_LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $$(LIBS)
endef
$(foreach p,$(FUZZ_SOURCES:tests/fuzz/%.c=%),\
	$(eval $(call fuzz_program,$p,asan,build/asan/tests/fuzz/replay_main.o)) \
	$(eval $(call fuzz_program,$p,fuzz,)))

UNIT_PROGRAMS = $(TESTS:%=build/obj/tests/unit/%) $(TESTS:%=build/asan/tests/unit/%)
REPLAY_PROGRAMS = $(FUZZERS:%=build/asan/tests/fuzz/%)
UNIT_CHECKS := scripts/check-layers scripts/check-sizes $(wildcard tests/unit/*_test.sh)
# With TESTS= given, only what was asked for.
ifeq ($(origin TESTS),file)
UNIT_EXTRA = $(REPLAY_PROGRAMS) $(UNIT_CHECKS)
UNIT_TOOLS = build/bench/frame_table
endif

test-unit: $(UNIT_PROGRAMS) $(filter build/%,$(UNIT_EXTRA)) $(UNIT_TOOLS)
	@./tests/unit/run $(UNIT_PROGRAMS) $(UNIT_EXTRA)

fuzz: $(FUZZERS:%=build/fuzz/tests/fuzz/%)
	@./tests/fuzz/run $(or $(FUZZ_SECONDS),60) $^

# The program that is killed for a system call that its sandbox refuses, so that none goes unseen.
build/obj/tests/sandbox_kills.o: profiler/base/sandbox.c build/values/obj Makefile tests/tests.mk
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) $(ALL_CFLAGS) -DSANDBOX_KILLS -MMD -MP -c $< -o $@

build/strict/ebpfprof: build/obj/profiler/main.o build/obj/tests/sandbox_kills.o \
		$(call archives,$(MODULES),obj) build/values/obj-link
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

# ---- rings on the kernel ----------------------------------------------------------------------

build/obj/tests/bpf/load_objects: build/obj/tests/bpf/load_objects.o build/values/obj-link
	$(say) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(LIBS)

test-ebpf: ebpf build/obj/tests/bpf/load_objects
	@./tests/bpf/run

test-e2e: build/ebpfprof build/strict/ebpfprof workloads
	@./tests/e2e/run $(PYTEST)

VM_UNIT_TESTS := test_images test_unwind_maps
vm-programs: build/ebpfprof $(BPF_OBJECTS) build/values/bpf-objects \
		build/obj/tests/bpf/load_objects \
		$(VM_UNIT_TESTS:%=build/obj/tests/unit/%) vm-workloads

test-vm: vm-programs
	@./scripts/vm-test $(VM)

test-vm-arm64:
	@./scripts/vm-test --arch arm64 $(VM)

test-all:
	@./scripts/run-rings unit ebpf e2e

test-full:
	@./scripts/run-rings unit ebpf e2e e2e-asan vm fuzz

# ---- workloads ----------------------------------------------------------------------------------

include tests/workloads/workloads.mk

# ---- benchmarks ---------------------------------------------------------------------------------

# What benchmarks compare with, built as the program and its BPF objects are.
BENCH_SOURCES := $(wildcard tests/bench/*.c)
BENCH_BPF := $(filter %.bpf.c,$(BENCH_SOURCES))
BENCH_PROGRAMS := $(patsubst tests/bench/%.c,build/bench/%,$(filter-out $(BENCH_BPF),$(BENCH_SOURCES)))

build/bench/%.bpf.o: tests/bench/%.bpf.c build/values/bpf tests/tests.mk | build/bench/
	$(CLANG_CHECK)
	$(say) CLANG $@
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

# $(call bench_program,NAME)
define bench_program
build/bench/$1: build/obj/tests/bench/$1.o \
		$(call archives,$(call modules_of,tests/bench/$1.c),obj) build/values/obj-link \
		tests/tests.mk | build/bench/
	$$(say) LINK $$@
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $$(LIBS)
endef
$(foreach p,$(BENCH_PROGRAMS:build/bench/%=%),$(eval $(call bench_program,$p)))

bench-programs: $(BENCH_PROGRAMS) $(BENCH_BPF:tests/bench/%.c=build/bench/%.o)

benchmark: all workloads bench-programs
	@set -e; for bench in scripts/bench-*; do \
		if [ -x "$$bench" ]; then echo "== $$bench"; "./$$bench"; fi; done

benchmark-performance: all workloads bench-programs
	@./scripts/bench-sampler
