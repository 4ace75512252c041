# SPDX-License-Identifier: BSD-2-Clause
#
# build/workloads/: programs with known behaviour.  Built as the programs are whose functions
# must all be seen: frame pointers, nothing inlined, no tail calls; without our hardening and
# never with -Werror.  C++ and Rust ones are left out, with a word, where there is no compiler.

CXX_PROGRAM := $(shell command -v $(if $(filter clang%,$(notdir $(CC))),clang++,g++))
RUSTC := $(shell ./scripts/find-tool rustc)

WORKLOAD_FLAGS := -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-inline \
	-mno-omit-leaf-frame-pointer -Wall -Wextra
WORKLOAD_LIBRARIES := plugin plugin_b
WORKLOAD_SOURCES := $(filter-out tests/workloads/plugin.c,$(wildcard tests/workloads/*.c))

WORKLOADS := $(WORKLOAD_SOURCES:tests/workloads/%.c=build/workloads/%) \
	$(WORKLOAD_LIBRARIES:%=build/workloads/%.so) \
	$(if $(CXX_PROGRAM),build/workloads/cxx) \
	$(if $(RUSTC),build/workloads/rustwork build/workloads/rustwork_v0)

workloads: $(WORKLOADS)
ifeq ($(CXX_PROGRAM),)
	@echo 'workloads: no C++ compiler: cxx is left out (./scripts/install-deps test)' >&2
endif
ifeq ($(RUSTC),)
	@echo 'workloads: no rustc: rustwork is left out (./scripts/install-deps test)' >&2
endif

build/workloads/%: tests/workloads/%.c tests/workloads/workloads.mk | build/workloads/
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WORKLOAD_FLAGS) -MMD -MP -o $@ $< -pthread -ldl

build/workloads/%.so: tests/workloads/plugin.c tests/workloads/workloads.mk | build/workloads/
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WORKLOAD_FLAGS) -DWORK=$*_work -fPIC -shared -o $@ $<

build/workloads/cxx: tests/workloads/cxx.cpp tests/workloads/spin.h tests/workloads/workloads.mk | \
		build/workloads/
	$(say) CXX $@
	$(Q)$(CXX_PROGRAM) $(WORKLOAD_FLAGS) -o $@ $<

# Without MAKEFLAGS: rustc would look for make's jobserver and warn that it cannot reach it.
RUST := env -u MAKEFLAGS $(RUSTC)
RUST_FLAGS := --edition 2021 -g -C opt-level=1 -C force-frame-pointers=yes

build/workloads/rustwork: tests/workloads/rustwork.rs tests/workloads/workloads.mk | build/workloads/
	$(say) RUSTC $@
	$(Q)$(RUST) $(RUST_FLAGS) --crate-name rustwork -o $@ $<

# The same with the newer way of mangling names.
build/workloads/rustwork_v0: tests/workloads/rustwork.rs tests/workloads/workloads.mk | \
		build/workloads/
	$(say) RUSTC $@
	$(Q)$(RUST) $(RUST_FLAGS) -C symbol-mangling-version=v0 --crate-name rustwork -o $@ $<
