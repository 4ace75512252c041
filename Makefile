# SPDX-License-Identifier: BSD-2-Clause
#
# Builds ebpfprof into build/, which holds every product: build/ebpfprof is the program,
# build/bpf/ the BPF objects, build/gen/ the generated headers and protobuf code.
# `make help` lists the targets.  tests/tests.mk has the tests, fuzzers and workloads.
#
#   CC=clang            another compiler (gcc >= 12, clang >= 14)
#   CLANG=clang-16      the clang that compiles the BPF programs
#   WERROR=1            warnings are errors (scripts/test and CI; never the default, so that
#                       a newer compiler does not break the set-up)
#   V=1                 show the commands
#   CFLAGS= LDFLAGS=    added to ours

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

ifeq ($(origin CC),default)
CC := gcc
endif
AR := ar
PKG_CONFIG ?= pkg-config
PROTOC_C ?= protoc-c
PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CLANG),undefined)
CLANG := $(shell ./scripts/find-tool clang)
endif
ifeq ($(origin BPFTOOL),undefined)
BPFTOOL := $(shell ./scripts/find-tool bpftool)
endif

MACHINE := $(shell uname -m)
BPF_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(MACHINE)))
MULTIARCH := /usr/include/$(MACHINE)-linux-gnu
ARM64_INCLUDE := /usr/aarch64-linux-gnu/include

ifdef V
Q :=
say := @:
else
Q := @
say := @printf '  %-8s %s\n'
endif

# ---- flags ------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wno-missing-field-initializers -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wwrite-strings -Wformat=2
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

PACKAGES := libbpf zlib libprotobuf-c libcap libseccomp libdeflate libzstd liblzma libxxhash
PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
PACKAGE_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null)
LIBS := $(PACKAGE_LIBS) -liberty -pthread

# Frame pointers stay: the profiler is itself profiled by people who debug it.
BASE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -fno-omit-frame-pointer -pthread
HARDEN_CFLAGS := -fPIE -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
HARDEN_LDFLAGS := -pie -Wl,-z,relro,-z,now,-z,noexecstack
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined

INCLUDES := -iquote . -Ibuild/gen/proto -Ibuild/gen/bpf
ALL_CFLAGS := $(BASE_CFLAGS) $(HARDEN_CFLAGS) $(WARNINGS) $(INCLUDES) $(PACKAGE_CFLAGS) $(CFLAGS)
ALL_LDFLAGS := $(HARDEN_LDFLAGS) $(LDFLAGS)
ASAN_CFLAGS := $(BASE_CFLAGS) -fPIE $(SANITIZE) $(WARNINGS) $(INCLUDES) $(PACKAGE_CFLAGS) $(CFLAGS)
ASAN_LDFLAGS := -pie $(SANITIZE) $(LDFLAGS)

BPF_BASE_CFLAGS := -O2 -g -mcpu=v3 -target bpf -iquote . \
	-Wall -Wextra -Wno-unused-parameter $(if $(filter 1,$(WERROR)),-Werror)
BPF_CFLAGS := $(BPF_BASE_CFLAGS) -D__TARGET_ARCH_$(BPF_ARCH) -idirafter $(MULTIARCH)
BPF_ARM64_CFLAGS := $(BPF_BASE_CFLAGS) -D__TARGET_ARCH_arm64 -I$(ARM64_INCLUDE)

# ---- sources ----------------------------------------------------------------------------

# The modules, from the leaf up; each is an archive of its own, so that a test that links only
# some of them proves that they need no others.
MODULES := base symbolizer proto exporters collect pipeline cmd
base_DIR := profiler/base
symbolizer_DIR := symbolizer
proto_DIR := proto
exporters_DIR := exporters
collect_DIR := profiler/collect
pipeline_DIR := profiler/pipeline
cmd_DIR := profiler/cmd

SCHEMAS := $(wildcard proto/*.proto)
SCHEMA_SOURCES := $(SCHEMAS:proto/%.proto=build/gen/proto/%.pb-c.c)
SCHEMA_HEADERS := $(SCHEMA_SOURCES:.c=.h)

# Tracers are built once for each tier (bpf/tier.bpf.h): images.bpf.c is images_tp.bpf.o and so on.
TIERS := tp raw kprobe
TIERED := follow images
BPF_SOURCES := $(wildcard bpf/*.bpf.c)
BPF_NAMES := $(filter-out $(TIERED),$(BPF_SOURCES:bpf/%.bpf.c=%)) \
	$(foreach n,$(TIERED),$(TIERS:%=$n_%))
BPF_OBJECTS := $(BPF_NAMES:%=build/bpf/%.bpf.o)
BPF_ARM64_OBJECTS := $(BPF_NAMES:%=build/bpf-arm64/%.bpf.o)
SKELETONS := $(BPF_NAMES:%=build/gen/bpf/%.skel.h)

SOURCES := $(foreach m,$(MODULES),$(wildcard $($(m)_DIR)/*.c)) $(wildcard profiler/main.c)

# $(call objects,MODULE,TREE): the object files of one module in build/obj or build/asan
objects = $(patsubst %.c,$2/%.o,$(wildcard $($1_DIR)/*.c)) \
	$(if $(filter proto,$1),$(SCHEMA_SOURCES:build/%.c=$2/%.o))

# ---- what people type -------------------------------------------------------------------

.PHONY: all build ebpf ebpf-arm64 generate asan install uninstall clean rebuild format \
	check-system install-system-deps dev-setup stack_tracer.o help FORCE

all: build/ebpfprof ebpf

build: all

ebpf: $(BPF_OBJECTS) $(SKELETONS) build/values/bpf-objects ebpf-arm64

generate: $(SKELETONS) $(SCHEMA_SOURCES) $(SCHEMA_HEADERS)

asan: build/asan/ebpfprof

help:
	@sed -n 's/^#: //p' $(MAKEFILE_LIST)

#: all, build               build/ebpfprof and the BPF objects
#: ebpf                     BPF objects and skeletons, and the same objects for arm64 as a check
#: generate                 only the generated code: skeletons and protobuf
#: asan                     build/asan/ebpfprof, with address and undefined-behaviour sanitizers
#: stack_tracer.o           build/stack_tracer.o, the stack sampler's BPF object alone
#: clean, rebuild           remove build/; remove it and build again
#: install, uninstall       PREFIX=/usr/local DESTDIR=
#: format                   clang-format over all C
#: compile_commands.json    for clangd and other tools
#: check-system             can this machine build and run ebpfprof?  Says what is missing
#: install-system-deps      install the Debian/Ubuntu packages (scripts/install-deps)
#: dev-setup                the same, with all that tests and benchmarks need, and a first build

check-system:
	@./scripts/check-system

install-system-deps:
	@./scripts/install-deps build test

dev-setup:
	@./scripts/install-deps all
	@$(MAKE) all compile_commands.json

rebuild:
	@$(MAKE) clean
	@$(MAKE) all

clean:
	rm -rf build compile_commands.json

# Objects under the names that other documents use for them.
stack_tracer.o: build/stack_tracer.o

build/stack_tracer.o: build/bpf/sampler.bpf.o
	$(say) COPY $@
	$(Q)cp $< $@

install: build/ebpfprof
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/ebpfprof
	install -m 755 build/ebpfprof $(DESTDIR)$(PREFIX)/bin/ebpfprof
	install -m 644 LICENSE README.md $(DESTDIR)$(PREFIX)/share/doc/ebpfprof/

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/ebpfprof
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/ebpfprof

FORMATTED = $(shell find bpf symbolizer exporters proto profiler tests -name '*.[ch]')
format:
	clang-format -i $(FORMATTED)

# ---- remembered values: a file that changes only when its text does -------------------------

# $(call remember,NAME,TEXT): build/values/NAME, prerequisite of what depends on TEXT
define remember
build/values/$1: FORCE | build/values/
	@printf '%s\n' '$2' | cmp -s - $$@ || printf '%s\n' '$2' > $$@
endef

CLANG_VERSION := $(shell $(CLANG) --version 2>/dev/null | head -n 1)
$(eval $(call remember,bpf,$(CLANG) $(CLANG_VERSION) $(BPF_CFLAGS)))
$(eval $(call remember,bpf-objects,$(BPF_NAMES)))
$(eval $(call remember,bpf-arm64,$(CLANG) $(CLANG_VERSION) $(BPF_ARM64_CFLAGS)))
$(foreach m,$(MODULES),$(eval $(call remember,members-$m,$(strip $(call objects,$m,)))))

%/:
	@mkdir -p $@

# ---- generated code -----------------------------------------------------------------------

# A pattern with two targets: one run of protoc-c makes both.
build/gen/proto/%.pb-c.c build/gen/proto/%.pb-c.h: proto/%.proto | build/gen/proto/
	$(say) PROTOC $<
	$(Q)$(PROTOC_C) --proto_path=proto --c_out=build/gen/proto $<

ifeq ($(CLANG),)
CLANG_CHECK = @echo 'make: no clang found; run ./scripts/install-deps build' >&2; exit 1
endif
ifeq ($(BPFTOOL),)
BPFTOOL_CHECK = @echo 'make: no bpftool found; run ./scripts/install-deps build' >&2; exit 1
endif

# bpftool's linker drops DWARF, which would be half of the program's size, and keeps BTF.
define compile_bpf
$(CLANG_CHECK)
$(BPFTOOL_CHECK)
$(say) CLANG $@
$(Q)$(CLANG) $(BPF_CFLAGS) $(TIER_FLAG) -MMD -MP -MF $(@:.bpf.o=.d) -MT $@ -c $< -o $(@:.bpf.o=.dwarf.o)
$(Q)$(BPFTOOL) gen object $@ $(@:.bpf.o=.dwarf.o)
endef

build/bpf/%.bpf.o: bpf/%.bpf.c build/values/bpf Makefile | build/bpf/
	$(compile_bpf)

build/gen/bpf/%.skel.h: build/bpf/%.bpf.o | build/gen/bpf/
	$(BPFTOOL_CHECK)
	$(say) SKELETON $@
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

ifneq ($(wildcard $(ARM64_INCLUDE)/asm/ptrace.h),)
ebpf-arm64: $(BPF_ARM64_OBJECTS)
else
ebpf-arm64:
	@echo 'ebpf-arm64: not checked: $(ARM64_INCLUDE) is missing (linux-libc-dev-arm64-cross)' >&2
endif

define compile_bpf_arm64
$(CLANG_CHECK)
$(say) CLANG $@
$(Q)$(CLANG) $(BPF_ARM64_CFLAGS) $(TIER_FLAG) -MMD -MP -MF $(@:.bpf.o=.d) -MT $@ -c $< -o $@
endef

build/bpf-arm64/%.bpf.o: bpf/%.bpf.c build/values/bpf-arm64 Makefile | build/bpf-arm64/
	$(compile_bpf_arm64)

# $(call tier_rules,TIER,MACRO): the same two rules for X_TIER.bpf.o
define tier_rules
build/bpf/%_$1.bpf.o build/bpf-arm64/%_$1.bpf.o: TIER_FLAG := -DTIER_$2

build/bpf/%_$1.bpf.o: bpf/%.bpf.c build/values/bpf Makefile | build/bpf/
	$$(compile_bpf)

build/bpf-arm64/%_$1.bpf.o: bpf/%.bpf.c build/values/bpf-arm64 Makefile | build/bpf-arm64/
	$$(compile_bpf_arm64)
endef
$(eval $(call tier_rules,tp,TP))
$(eval $(call tier_rules,raw,RAW))
$(eval $(call tier_rules,kprobe,KPROBE))

# ---- objects, archives, program -------------------------------------------------------------

# The same sources are built in three trees: build/obj (the program), build/asan (tests with
# sanitizers) and build/fuzz (libFuzzer, always by clang).
TREES := obj asan fuzz
obj_CC := $(CC)
obj_CFLAGS := $(ALL_CFLAGS)
obj_LDFLAGS := $(ALL_LDFLAGS)
asan_CC := $(CC)
asan_CFLAGS := $(ASAN_CFLAGS)
asan_LDFLAGS := $(ASAN_LDFLAGS)
fuzz_CC := $(CLANG)
fuzz_CFLAGS := $(ASAN_CFLAGS) -fsanitize=fuzzer-no-link -DFUZZING
fuzz_LDFLAGS := $(ASAN_LDFLAGS) -fsanitize=fuzzer

# $(call tree_rules,TREE).  Generated code is compiled without our warnings.
define tree_rules
$(call remember,$1,$($1_CC) $(shell $($1_CC) --version 2>/dev/null | head -n 1) $($1_CFLAGS))
$(call remember,$1-link,$($1_CC) $($1_LDFLAGS) $(LIBS))

# What includes generated headers: the first build must have made them before.
$(call objects,proto,build/$1): | $(SCHEMA_HEADERS)
$(call objects,collect,build/$1): | $(SKELETONS)

build/$1/%.o: %.c build/values/$1 Makefile
	@mkdir -p $$(@D)
	$$(say) CC $$@
	$$(Q)$$($1_CC) $$($1_CFLAGS) -MMD -MP -c $$< -o $$@

build/$1/gen/%.o: build/gen/%.c build/values/$1 Makefile
	@mkdir -p $$(@D)
	$$(say) CC $$@
	$$(Q)$$($1_CC) $$($1_CFLAGS) -w -MMD -MP -c $$< -o $$@
endef
$(foreach t,$(TREES),$(eval $(call tree_rules,$t)))

# $(call archive,MODULE,TREE): build/TREE/libMODULE.a; remade when a source comes or goes
define archive
build/$2/lib$1.a: $(call objects,$1,build/$2) build/values/members-$1
	$$(say) AR $$@
	@mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach t,$(TREES),$(foreach m,$(MODULES),$(eval $(call archive,$m,$t))))

# $(call archives,MODULES,TREE): in the order in which a linker wants them, users first
archives = $(foreach m,cmd pipeline collect exporters proto symbolizer base,\
	$(if $(filter $m,$1),build/$2/lib$m.a))

build/ebpfprof: build/obj/profiler/main.o $(call archives,$(MODULES),obj) build/values/obj-link
	$(say) LINK $@
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

build/asan/ebpfprof: build/asan/profiler/main.o $(call archives,$(MODULES),asan) \
		build/values/asan-link
	$(say) LINK $@
	$(Q)$(CC) $(ASAN_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LIBS)

# ---- tools ----------------------------------------------------------------------------------

comma := ,
json_entry = {"directory": "$(CURDIR)", "file": "$1", "command": "$2 -c $1"}
compile_commands.json: FORCE
	@{ echo '['; \
	$(foreach s,$(SOURCES) $(TEST_SOURCES),echo '$(call json_entry,$s,$(CC) $(ALL_CFLAGS))$(comma)';) \
	$(foreach s,$(BPF_SOURCES),echo '$(call json_entry,$s,$(CLANG) $(BPF_CFLAGS))$(comma)';) \
	} | sed '$$ s/,$$//' > $@; echo ']' >> $@

include tests/tests.mk

# Not those of build/arm64, which is another tree (scripts/cross-arm64).
-include $(shell find build -path build/arm64 -prune -o -name '*.d' -print 2>/dev/null)
