/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a call looks like in machine code, for both architectures; and whether every call of this
 * machine's libc is seen, by objdump's account of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profiler/base/cleanup.h"

/* The header has one architecture's functions; the other's come in under other names. */
#undef __TARGET_ARCH_x86
#undef __TARGET_ARCH_arm64
#define __TARGET_ARCH_x86
#include "bpf/call_site.h"
#undef __TARGET_ARCH_x86
#undef EBPFPROF_BPF_CALL_SITE_H
#define __TARGET_ARCH_arm64
#define call_site_ends arm64_ends
#define call_site_is_thread_start arm64_is_thread_start
#define call_site_leaf_offset arm64_leaf_offset
#define call_site_is_syscall arm64_is_syscall
#define call_site_is_context_start arm64_is_context_start
#define call_site_is_signal_return arm64_is_signal_return
#include "bpf/call_site.h"
#undef call_site_ends
#undef call_site_is_thread_start
#undef call_site_leaf_offset
#undef call_site_is_syscall
#undef call_site_is_context_start
#undef call_site_is_signal_return

#define CODE_BYTES 8
#define LIBC_CALLS_MIN 5000 /* fewer: objdump's output was not understood */

/* The instruction @bytes at the end of 8 bytes of code, behind @before. */
static bool is_call_behind(const uint8_t *bytes, size_t len, uint8_t before)
{
	uint8_t code[CODE_BYTES];

	assert_true(len <= CODE_BYTES);
	memset(code, before, sizeof(code));
	memcpy(code + CODE_BYTES - len, bytes, len);
	return call_site_ends(code);
}

static bool is_call(const uint8_t *bytes, size_t len)
{
	bool call = is_call_behind(bytes, len, 0x90);

	/* What is in front must not matter: a REX prefix, CET's notrack, zero bytes. */
	if (call && (!is_call_behind(bytes, len, 0x41) || !is_call_behind(bytes, len, 0x3e) ||
		     !is_call_behind(bytes, len, 0x00)))
		fail_msg("a call that depends on what is in front of it");
	return call;
}

#define CALL(...)                                                                                  \
	is_call((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_direct_call(void **state)
{
	(void)state;
	assert_true(CALL(0xe8, 0x19, 0x00, 0x00, 0x00));
	assert_true(CALL(0xe8, 0xff, 0xff, 0xff, 0xff));
	assert_true(CALL(0x67, 0xe8, 0x10, 0x00, 0x00, 0x00));		   /* addr32 call */
	assert_true(CALL(0x66, 0x66, 0x48, 0xe8, 0x10, 0x00, 0x00, 0x00)); /* __tls_get_addr */
	assert_true(CALL(0xf2, 0xe8, 0x10, 0x00, 0x00, 0x00));		   /* bnd call */
}

/* Length of a `call r/m64` after its prefix by the Intel SDM, vol. 2, tables 2-2 and 2-3. */
static size_t call_bytes(uint8_t modrm, uint8_t sib)
{
	unsigned int mod = modrm >> 6, rm = modrm & 7;
	size_t len = 2;

	if (mod == 3)
		return len;
	if (rm == 4)
		len++;
	if (mod == 1)
		return len + 1;
	if (mod == 2 || (rm == 5 && mod == 0) || (rm == 4 && (sib & 7) == 5))
		return len + 4;
	return len;
}

static void test_each_form_of_an_indirect_call(void **state)
{
	unsigned int modrm, sib, forms = 0;

	(void)state;
	for (modrm = 0; modrm < 256; modrm++) {
		if ((modrm >> 3 & 7) != 2)
			continue; /* not FF /2 */
		for (sib = 0; sib < 256; sib++) {
			uint8_t code[7] = { 0xff, (uint8_t)modrm, 0x11, 0x22, 0x33, 0x44, 0x55 };

			if ((modrm & 7) == 4 && modrm < 0xc0)
				code[2] = (uint8_t)sib;
			else if (sib)
				break;
			if (!is_call(code, call_bytes((uint8_t)modrm, (uint8_t)sib)))
				fail_msg("ff %02x %02x is not seen", modrm, code[2]);
			forms++;
		}
	}
	assert_int_equal(forms, 32 - 3 + 3 * 256);
}

static void test_indirect_calls_as_compilers_write_them(void **state)
{
	(void)state;
	assert_true(CALL(0xff, 0xd0));				     /* call *%rax */
	assert_true(CALL(0x41, 0xff, 0xd0));			     /* call *%r8 */
	assert_true(CALL(0x41, 0xff, 0xd4));			     /* call *%r12 */
	assert_true(CALL(0x41, 0xff, 0xd7));			     /* call *%r15 */
	assert_true(CALL(0x3e, 0xff, 0xd2));			     /* notrack call *%rdx */
	assert_true(CALL(0xff, 0x10));				     /* call *(%rax) */
	assert_true(CALL(0x41, 0xff, 0x12));			     /* call *(%r10) */
	assert_true(CALL(0xff, 0x14, 0x24));			     /* call *(%rsp) */
	assert_true(CALL(0x41, 0xff, 0x14, 0x24));		     /* call *(%r12) */
	assert_true(CALL(0x41, 0xff, 0x14, 0xc7));		     /* call *(%r15,%rax,8) */
	assert_true(CALL(0xff, 0x50, 0x18));			     /* call *0x18(%rax) */
	assert_true(CALL(0x41, 0xff, 0x55, 0x00));		     /* call *0x0(%r13) */
	assert_true(CALL(0xff, 0x54, 0x24, 0x08));		     /* call *0x8(%rsp) */
	assert_true(CALL(0xff, 0x54, 0xc3, 0x10));		     /* call *0x10(%rbx,%rax,8) */
	assert_true(CALL(0xff, 0x90, 0x60, 0x03, 0x00, 0x00));	     /* call *0x360(%rax) */
	assert_true(CALL(0x41, 0xff, 0x94, 0x24, 0x10, 0x01, 0, 0)); /* call *0x110(%r12) */
	assert_true(CALL(0xff, 0x94, 0xc3, 0x00, 0x01, 0x00, 0x00)); /* call *0x100(%rbx,%rax,8) */
	assert_true(CALL(0xff, 0x15, 0x12, 0xcf, 0x1a, 0x00));	     /* call *0x1acf12(%rip) */
	assert_true(CALL(0xff, 0x14, 0xc5, 0x40, 0x20, 0x40, 0x00)); /* call *0x402040(,%rax,8) */
	assert_true(CALL(0x64, 0xff, 0x14, 0x25, 0x10, 0, 0, 0));    /* call *%fs:0x10 */
}

static void test_other_instructions_are_no_calls(void **state)
{
	(void)state;
	assert_false(CALL(0x90));
	assert_false(CALL(0xc3));
	assert_false(CALL(0xe9, 0x19, 0x00, 0x00, 0x00));	/* jmp */
	assert_false(CALL(0xff, 0xe0));				/* jmp *%rax */
	assert_false(CALL(0xff, 0x25, 0x12, 0x34, 0x56, 0x00)); /* jmp *0x563412(%rip) */
	assert_false(CALL(0xff, 0xc0));				/* inc %eax */
	assert_false(CALL(0xff, 0x30));				/* push (%rax) */
	assert_false(CALL(0xff, 0x50));				/* a call that is cut off */
	assert_false(CALL(0x0f, 0x05));				/* syscall */
	assert_false(CALL(0x48, 0x89, 0xe5));
	assert_false(CALL(0, 0, 0, 0, 0, 0, 0, 0));
	assert_false(CALL(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
}

static void test_goroutine_starts_behind_a_nop(void **state)
{
	(void)state;
	assert_true(call_site_is_thread_start((const uint8_t[8]){ [7] = 0x90 }));
	assert_false(call_site_is_thread_start((const uint8_t[8]){ [6] = 0x90 }));
}

static int leaf_offset(bool in_syscall, const uint8_t *code)
{
	return call_site_leaf_offset(code, in_syscall);
}

/* Two bytes in front of ip, six from it on. */
#define LEAF(...) leaf_offset(false, (const uint8_t[CODE_BYTES]){ __VA_ARGS__ })
#define LEAF_IN_KERNEL(...) leaf_offset(true, (const uint8_t[CODE_BYTES]){ __VA_ARGS__ })

static void test_leaf_without_a_frame_of_its_own(void **state)
{
	(void)state;
	/* A prologue: at endbr64, at push %rbp, at mov %rsp,%rbp in both spellings. */
	assert_int_equal(LEAF(0x66, 0x90, 0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48), 0);
	assert_int_equal(LEAF(0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0x41, 0x57), 0);
	assert_int_equal(LEAF(0xfa, 0x55, 0x48, 0x89, 0xe5, 0x41, 0x57, 0x41), 8);
	assert_int_equal(LEAF(0xfa, 0x55, 0x48, 0x8b, 0xec, 0x41, 0x57, 0x41), 8);
	/* At a return, and at what a PLT has. */
	assert_int_equal(LEAF(0x5d, 0x90, 0xc3, 0x0f, 0x1f, 0, 0, 0), 0);
	assert_int_equal(LEAF(0x5d, 0x90, 0xc2, 0x08, 0x00, 0, 0, 0), 0);
	assert_int_equal(LEAF(0x5d, 0x90, 0xf3, 0xc3, 0x00, 0, 0, 0), 0);
	assert_int_equal(LEAF(0, 0, 0xff, 0x25, 0xb2, 0xcf, 0x1a, 0), 0);
	assert_int_equal(LEAF(0, 0, 0xf2, 0xff, 0x25, 0xb2, 0xcf, 0x1a), 0);
}

static void test_leaf_with_its_frame_is_trusted(void **state)
{
	(void)state;
	assert_int_equal(LEAF(0x89, 0xe5, 0x41, 0x57, 0x41, 0x56, 0, 0), -1);
	assert_int_equal(LEAF(0x90, 0x90, 0x48, 0x89, 0xe5, 0x90, 0, 0), -1); /* no push before */
	assert_int_equal(LEAF(0, 0x55, 0x48, 0x89, 0xc7, 0x90, 0, 0), -1);    /* mov %rax,%rdi */
	assert_int_equal(LEAF(0, 0, 0xf3, 0x0f, 0x1e, 0xc8, 0, 0), -1);	      /* rdsspd %eax */
	assert_int_equal(LEAF(0, 0, 0xf3, 0x0f, 0x10, 0x00, 0, 0), -1);	      /* movss */
	assert_int_equal(LEAF(0, 0, 0xff, 0xd0, 0, 0, 0, 0), -1);
	assert_int_equal(LEAF(0, 0, 0xc9, 0xc3, 0, 0, 0, 0), -1); /* leave: still its own */
	assert_int_equal(LEAF(0, 0, 0, 0, 0, 0, 0, 0), -1);
}

static void test_system_call_stubs_have_no_frame(void **state)
{
	(void)state;
	assert_int_equal(LEAF_IN_KERNEL(0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff), 0);
	/* In the kernel by a fault: the instruction at ip has not run, its frame is not made yet. */
	assert_int_equal(LEAF_IN_KERNEL(0x90, 0x90, 0x55, 0x48, 0x89, 0xe5, 0, 0), 0);
	assert_int_equal(LEAF_IN_KERNEL(0x90, 0x90, 0x8b, 0x07, 0x89, 0xe5, 0, 0), -1);
	assert_int_equal(LEAF(0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff), -1);
}

static bool is_arm64_call(uint32_t word)
{
	return arm64_ends((const uint8_t[CODE_BYTES]){ 0xff, 0xff, 0xff, 0xff, (uint8_t)word,
						       (uint8_t)(word >> 8), (uint8_t)(word >> 16),
						       (uint8_t)(word >> 24) });
}

static void test_calls_of_arm64(void **state)
{
	(void)state;
	assert_true(is_arm64_call(0x94000000));	 /* bl . */
	assert_true(is_arm64_call(0x97ffffff));	 /* bl .-4 */
	assert_true(is_arm64_call(0xd63f0000));	 /* blr x0 */
	assert_true(is_arm64_call(0xd63f03c0));	 /* blr x30 */
	assert_true(is_arm64_call(0xd63f081f));	 /* blraaz x0 */
	assert_true(is_arm64_call(0xd73f0801));	 /* blraa x0, x1 */
	assert_false(is_arm64_call(0x14000000)); /* b */
	assert_false(is_arm64_call(0xd61f0000)); /* br x0 */
	assert_false(is_arm64_call(0xd65f03c0)); /* ret */
	assert_false(is_arm64_call(0xd69f03e0)); /* eret */
	assert_false(is_arm64_call(0xd503201f)); /* nop */
	assert_false(is_arm64_call(0xd4000001)); /* svc */
	assert_true(
		arm64_is_thread_start((const uint8_t[8]){ 0, 0, 0, 0, 0x1f, 0x20, 0x03, 0xd5 }));
	assert_false(arm64_is_thread_start((const uint8_t[8]){ 0 }));
	assert_int_equal(arm64_leaf_offset((const uint8_t[8]){ 0 }, 1), -1);
}

/* ---- libc as objdump sees it ---------------------------------------------------------------- */

enum position {
	INSIDE, /* of an instruction */
	BOUNDARY,
	BEHIND_CALL,
};

/* Code in a row, and for each of its positions what objdump says of it. */
struct listing {
	uint8_t *code; /* [len] */
	uint8_t *positions;
	size_t len, capacity;
	bool after_call;
};

static void listing_add(struct listing *listing, const uint8_t *bytes, size_t len, bool call)
{
	if (listing->len + len > listing->capacity) {
		listing->capacity = listing->capacity ? 2 * listing->capacity : 1u << 20;
		listing->code = realloc(listing->code, listing->capacity);
		listing->positions = realloc(listing->positions, listing->capacity);
	}
	memcpy(listing->code + listing->len, bytes, len);
	memset(listing->positions + listing->len, INSIDE, len);
	listing->positions[listing->len] = listing->after_call ? BEHIND_CALL : BOUNDARY;
	listing->len += len;
	listing->after_call = call;
}

/* One line: "   26381:\te8 19 00 00 00       \tcall   2639f <abort@@GLIBC_2.2.5>" */
static void listing_add_line(struct listing *listing, const char *line)
{
	const char *at = strchr(line, '\t'), *text = at ? strchr(at + 1, '\t') : NULL;
	uint8_t bytes[16];
	size_t len = 0;
	char *end;

	if (!text)
		return;
	for (at++; at < text && len < sizeof(bytes); at = end) {
		unsigned long byte = strtoul(at, &end, 16);

		if (end == at || end > text)
			break;
		bytes[len++] = (uint8_t)byte;
	}
	if (len)
		listing_add(listing, bytes, len,
			    strstr(text, "call ") && !strstr(text, "syscall") &&
				    !strstr(text, "lcall"));
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *path)
{
	(void)size;
	if (!strstr(info->dlpi_name, "/libc.so") && !strstr(info->dlpi_name, "/libc-"))
		return 0;
	snprintf(path, 256, "%s", info->dlpi_name);
	return 1;
}

static bool listing_read(struct listing *listing)
{
	char libc[256] = "", command[320], line[512];
	FILE *objdump;

	if (!dl_iterate_phdr(find_libc, libc))
		return false;
	snprintf(command, sizeof(command), "objdump -dw '%s' 2>/dev/null", libc);
	objdump = popen(command, "r");
	if (!objdump)
		return false;
	while (fgets(line, sizeof(line), objdump))
		listing_add_line(listing, line);
	return pclose(objdump) == 0;
}

static void test_every_call_of_libc_is_seen_and_little_else(void **state)
{
	struct listing listing = {};
	size_t at, calls = 0, missed = 0, others = 0, accepted = 0;

	(void)state;
#ifndef __x86_64__
	print_message("skipped: objdump's listing is read for x86-64 only\n");
	skip();
#endif
	if (!listing_read(&listing)) {
		free(listing.code);
		free(listing.positions);
		print_message("skipped: no libc that objdump could list\n");
		skip();
	}
	for (at = CODE_BYTES; at < listing.len; at++) {
		bool seen = call_site_ends(listing.code + at - CODE_BYTES);

		if (listing.positions[at] == BEHIND_CALL) {
			calls++;
			missed += !seen;
		} else {
			others++;
			accepted += seen;
		}
	}
	print_message("libc: %zu calls, %zu not seen; of %zu other places %.2f %% taken for one\n",
		      calls, missed, others, 100.0 * (double)accepted / (double)others);
	free(listing.code);
	free(listing.positions);
	assert_true(calls >= LIBC_CALLS_MIN);
	assert_int_equal(missed, 0);
	assert_true(accepted * 10 < others);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_call),
		cmocka_unit_test(test_each_form_of_an_indirect_call),
		cmocka_unit_test(test_indirect_calls_as_compilers_write_them),
		cmocka_unit_test(test_other_instructions_are_no_calls),
		cmocka_unit_test(test_goroutine_starts_behind_a_nop),
		cmocka_unit_test(test_leaf_without_a_frame_of_its_own),
		cmocka_unit_test(test_leaf_with_its_frame_is_trusted),
		cmocka_unit_test(test_system_call_stubs_have_no_frame),
		cmocka_unit_test(test_calls_of_arm64),
		cmocka_unit_test(test_every_call_of_libc_is_seen_and_little_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
