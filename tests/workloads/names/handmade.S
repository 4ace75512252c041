/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Assembly as people write it: no .size, and of the functions only one has a .type.  handmade
 * [ANY]: spins in hand_spin below hand_call for some seconds, or with an argument for no time.
 */
	.text

hand_local:			/* LINE: hand_local */
	pushq %rbp
	movq %rsp, %rbp
771:	nop			/* LINE: local-mark */
	.pushsection .marks,"",@progbits
	.quad 771b
	.asciz "local-mark"
	.popsection
	popq %rbp
	ret

	.globl hand_spin
hand_spin:			/* LINE: hand_spin */
	pushq %rbp
	movq %rsp, %rbp
1:	imulq $636413622, %rax, %rax
	nop			/* LINE: spin-mark */
	.pushsection .marks,"",@progbits
	.quad 1b
	.asciz "spin-loop"
	.popsection
	subq $1, %rdi		/* LINE: spin-sub */
	jnz 1b
	popq %rbp
	ret

	.globl hand_call
	.type hand_call, @function
hand_call:			/* LINE: hand_call */
	pushq %rbp
	movq %rsp, %rbp
771:	call hand_spin		/* LINE: call-mark */
	.pushsection .marks,"",@progbits
	.quad 771b
	.asciz "call-mark"
	.popsection
	call hand_local
	popq %rbp
	ret

	.globl main
	.type main, @function
main:
	pushq %rbp
	movq %rsp, %rbp
	movq $4000000000, %rdx
	cmpl $1, %edi
	movq $1, %rdi
	cmove %rdx, %rdi
	call hand_call
	xorl %eax, %eax
	popq %rbp
	ret

	.section .note.GNU-stack,"",@progbits
