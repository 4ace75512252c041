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
WORKLOAD_SOURCES := $(filter-out tests/workloads/plugin.c tests/workloads/refuse_bpf.c,$(wildcard tests/workloads/*.c))

WORKLOADS := $(WORKLOAD_SOURCES:tests/workloads/%.c=build/workloads/%) \
	$(WORKLOAD_LIBRARIES:%=build/workloads/%.so) build/workloads/refuse_bpf.so \
	$(if $(CXX_PROGRAM),build/workloads/cxx) \
	$(if $(RUSTC),build/workloads/rustwork build/workloads/rustwork_v0)

# build/workloads/unwind/: what stacks are compared on (scripts/check-unwind).  Built as
# distributions build, most of it without frame pointers; those for arm64 keep them but in leaves.
UNWIND_C := callbacks coroutines lazy nofp realign shortlived signals threads vdso
UNWIND_FLAGS := -O2 -g $(if $(filter aarch64,$(MACHINE)),,-fomit-frame-pointer) -Wall -Wextra
UNWIND_LINK := -pthread -ldl -Wl,-z,lazy
UNWIND_CLANG := $(shell ./scripts/find-tool clang)
UNWIND_CLANGXX := $(shell ./scripts/find-tool clang++)
UNWIND_MUSL := $(shell ./scripts/find-tool musl-gcc)
GO := $(shell ./scripts/find-tool go)

UNWIND_WORKLOADS := $(addprefix build/workloads/unwind/,$(UNWIND_C) lazylib.so withfp held \
	nofp_static nofp_static_pie realign_all \
	$(if $(UNWIND_CLANG),nofp_clang callbacks_clang realign_clang) \
	$(if $(UNWIND_MUSL),nofp_musl callbacks_musl) \
	$(if $(CXX_PROGRAM),throw) $(if $(UNWIND_CLANGXX),throw_clang) \
	$(if $(RUSTC),release) $(if $(GO),goburn cgoburn))
WORKLOADS += $(UNWIND_WORKLOADS)
# What scripts/vm-test takes along.
VM_WORKLOADS := nofp nofp_static withfp signals threads callbacks vdso shortlived \
	$(if $(CXX_PROGRAM),throw)

workloads: $(WORKLOADS)
vm-workloads: $(VM_WORKLOADS:%=build/workloads/unwind/%)
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

build/workloads/refuse_bpf.so: tests/workloads/refuse_bpf.c tests/workloads/workloads.mk | \
		build/workloads/
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared -o $@ $< -ldl

build/workloads/cxx: tests/workloads/cxx.cpp tests/workloads/spin.h tests/workloads/workloads.mk | \
		build/workloads/
	$(say) CXX $@
	$(Q)$(CXX_PROGRAM) $(WORKLOAD_FLAGS) -o $@ $<

# Without MAKEFLAGS: rustc would look for make's jobserver and warn that it cannot reach it.
RUST := env -u MAKEFLAGS -u MFLAGS $(RUSTC)
RUST_FLAGS := --edition 2021 -g -C opt-level=1 -C force-frame-pointers=yes

build/workloads/rustwork: tests/workloads/rustwork.rs tests/workloads/workloads.mk | build/workloads/
	$(say) RUSTC $@
	$(Q)$(RUST) $(RUST_FLAGS) --crate-name rustwork -o $@ $<

# The same with the newer way of mangling names.
build/workloads/rustwork_v0: tests/workloads/rustwork.rs tests/workloads/workloads.mk | \
		build/workloads/
	$(say) RUSTC $@
	$(Q)$(RUST) $(RUST_FLAGS) -C symbol-mangling-version=v0 --crate-name rustwork -o $@ $<

# ---- build/workloads/unwind ---------------------------------------------------------------------

# $(call unwind_program,NAME,SOURCE,COMPILER,FLAGS)
define unwind_program
build/workloads/unwind/$1: tests/workloads/unwind/$2 tests/workloads/workloads.mk | \
		build/workloads/unwind/
	$$(say) CC $$@
	$$(Q)$3 $(if $(filter %.c,$2),-std=gnu11) -D_GNU_SOURCE $(UNWIND_FLAGS) $4 -MMD -MP -o $$@ $$< \
		$(UNWIND_LINK)
endef

$(foreach p,$(filter-out nofp,$(UNWIND_C)),$(eval $(call unwind_program,$p,$p.c,$(CC),)))
$(eval $(call unwind_program,nofp,nofp.c,$(CC),-fomit-frame-pointer))
$(eval $(call unwind_program,withfp,nofp.c,$(CC),-fno-omit-frame-pointer))
$(eval $(call unwind_program,held,held.c,$(CC),-static))
$(eval $(call unwind_program,nofp_static,nofp.c,$(CC),-static -fomit-frame-pointer))
$(eval $(call unwind_program,nofp_static_pie,nofp.c,$(CC),-static-pie -fomit-frame-pointer))
$(eval $(call unwind_program,realign_all,realign.c,$(CC),-mstackrealign))
$(eval $(call unwind_program,nofp_clang,nofp.c,$(UNWIND_CLANG),-O3))
$(eval $(call unwind_program,callbacks_clang,callbacks.c,$(UNWIND_CLANG),-O3))
$(eval $(call unwind_program,realign_clang,realign.c,$(UNWIND_CLANG),-O3))
$(eval $(call unwind_program,nofp_musl,nofp.c,$(UNWIND_MUSL),-static))
$(eval $(call unwind_program,throw,throw.cpp,$(CXX_PROGRAM),))
$(eval $(call unwind_program,throw_clang,throw.cpp,$(UNWIND_CLANGXX),-O3))

# The dynamic one, of musl's own loader; fopencookie and qsort are musl's.
$(eval $(call unwind_program,callbacks_musl,callbacks.c,$(UNWIND_MUSL),))

build/workloads/unwind/lazylib.so: tests/workloads/unwind/lazylib.c tests/workloads/workloads.mk | \
		build/workloads/unwind/
	$(say) CC $@
	$(Q)$(CC) -std=gnu11 $(UNWIND_FLAGS) -fPIC -shared -fno-builtin -o $@ $< -Wl,-z,lazy

build/workloads/unwind/release: tests/workloads/unwind/release.rs tests/workloads/workloads.mk | \
		build/workloads/unwind/
	$(say) RUSTC $@
	$(Q)$(RUST) --edition 2021 -g -C opt-level=3 --crate-name release -o $@ $<

# perf cannot read compressed DWARF, and Go programs have no .eh_frame_hdr.
build/workloads/unwind/goburn build/workloads/unwind/cgoburn: build/workloads/unwind/%: \
		tests/workloads/unwind/%/main.go tests/workloads/workloads.mk | build/workloads/unwind/
	$(say) GO $@
	$(Q)$(GO) build -ldflags=-compressdwarf=false -o $@ $<
