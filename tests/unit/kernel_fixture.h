/* SPDX-License-Identifier: BSD-2-Clause */
/* How cc makes a small kernel: the linker script, and the flags that go with it. */
#ifndef EBPFPROF_TESTS_KERNEL_FIXTURE_H
#define EBPFPROF_TESTS_KERNEL_FIXTURE_H

/* As the kernel's: labels without a type or size, the text's end is no byte of it. */
static const char kernel_script[] = "ENTRY(_stext)\n"
				    "PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6);\n"
				    "	 note PT_NOTE FLAGS(0); }\n"
				    "SECTIONS {\n"
				    "	. = 0xffffffff81000000;\n"
				    "	.text : { _text = .; _stext = .; *(.text) } :text\n"
				    "	. = ALIGN(4096); _etext = .;\n"
				    "	.notes : { *(.note.*) } :data :note\n"
				    "	.data : { *(.data) *(.bss) } :data\n"
				    "	/DISCARD/ : { *(.note.gnu.property) }\n"
				    "}\n";

#ifdef __x86_64__
#define KERNEL_FLAGS "-g -O1 -nostdlib -static -fno-pie -no-pie -mcmodel=kernel -Wl,-T,script"
#else
#define KERNEL_FLAGS "-g -O1 -nostdlib -static -fno-pie -no-pie -Wl,-T,script"
#endif

#endif
