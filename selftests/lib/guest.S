/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program that every vCPU of a test VM runs: 32-bit protected mode, flat
 * segments, no paging, no interrupts. %ebx holds the address of its mailbox and
 * %esp is not used. The code is position independent, since it is copied.
 */
#include "guest.h"

	.section .rodata
	.globl	guest_code, guest_code_end
	.code32

	/* Marsaglia's xorshift on \reg, with \tmp in between. */
	.macro	xorshift reg, tmp
	movl	\reg, \tmp
	shll	$13, \tmp
	xorl	\tmp, \reg
	movl	\reg, \tmp
	shrl	$17, \tmp
	xorl	\tmp, \reg
	movl	\reg, \tmp
	shll	$5, \tmp
	xorl	\tmp, \reg
	.endm

	/* %edx = address of a random page, %esi the generator's state */
	.macro	random_page
	xorshift %esi, %eax
	movl	%esi, %eax
	mull	BOX_COUNT(%ebx)
	shll	$12, %edx
	addl	BOX_BASE(%ebx), %edx
	.endm

	.macro	job number, label
	cmpl	$\number, %eax
	je	\label
	.endm

guest_code:
idle:
	outb	%al, $GUEST_PORT
	movl	BOX_OP(%ebx), %eax
	movl	BOX_BASE(%ebx), %edi
	movl	BOX_COUNT(%ebx), %ecx
	movl	BOX_STRIDE(%ebx), %ebp
	movl	BOX_VALUE(%ebx), %edx
	movl	BOX_FROM(%ebx), %esi
	cld
	job	GUEST_STORE, store
	job	GUEST_XADD, xadd
	job	GUEST_CMPXCHG, cmpxchg
	job	GUEST_READ, read
	job	GUEST_STOS, stos
	job	GUEST_MOVS, movs
	job	GUEST_LIST_STORE, list_store
	job	GUEST_NOISE, noise
	job	GUEST_RANDOM, random
	jmp	idle

store:
	movl	%edx, (%edi)
	incl	%edx
	addl	%ebp, %edi
	decl	%ecx
	jnz	store
	jmp	idle

xadd:
	movl	$1, %eax
	lock xaddl %eax, (%edi)
	addl	%ebp, %edi
	decl	%ecx
	jnz	xadd
	jmp	idle

cmpxchg:
	movl	(%edi), %eax
1:	leal	1(%eax), %edx
	lock cmpxchgl %edx, (%edi)
	jne	1b
	addl	%ebp, %edi
	decl	%ecx
	jnz	cmpxchg
	jmp	idle

read:
	xorl	%eax, %eax
1:	addl	(%edi), %eax
	addl	%ebp, %edi
	decl	%ecx
	jnz	1b
	movl	%eax, BOX_SUM(%ebx)
	jmp	idle

stos:
	movl	%edx, %eax
	rep stosl
	jmp	idle

movs:
	rep movsl
	jmp	idle

list_store:
	movl	$GUEST_LIST, %esi
1:	movl	(%esi), %edi
	movl	%edx, (%edi)
	addl	$4, %esi
	decl	%ecx
	jnz	1b
	jmp	idle

noise:
	movl	%edx, %eax
1:	xorshift %eax, %edx
	stosl
	decl	%ecx
	jnz	1b
	jmp	idle

random:
	movl	BOX_SEED(%ebx), %esi
1:	random_page
	movl	%edx, %edi
	addl	BOX_SLOT(%ebx), %edi
	movl	(%edi), %eax
	movl	4(%edi), %ecx
	negl	%ecx
	cmpl	%eax, %ecx
	je	2f
	incl	BOX_ERRORS(%ebx)
2:	incl	%eax
	movl	%eax, (%edi)
	negl	%eax
	movl	%eax, 4(%edi)
	movl	%esi, %eax
	andl	$0x7fc, %eax
	movl	%esi, 0x800(%edx, %eax)
	addl	$1, BOX_DONE(%ebx)
	adcl	$0, BOX_DONE+4(%ebx)
	movl	BOX_READS(%ebx), %ebp
3:	decl	%ebp
	js	4f
	random_page
	movl	(%edx), %eax
	jmp	3b
4:	movl	BOX_DELAY(%ebx), %ecx
	jecxz	6f
	/* no pause: that would be an exit each time */
5:	decl	%ecx
	jnz	5b
6:	cmpl	$0, BOX_STOP(%ebx)
	je	1b
	movl	%esi, BOX_SEED(%ebx)
	jmp	idle
guest_code_end:

	/*
	 * For system management mode, at GUEST_SMM: a store to each of some pages. In
	 * 16-bit code, the segments are flat all the same.
	 */
	.globl	guest_smm, guest_smm_end
	.code16
guest_smm:
	movl	$GUEST_SMM_BOX, %ebx
	movl	BOX_BASE(%ebx), %edi
	movl	BOX_COUNT(%ebx), %ecx
	movl	BOX_VALUE(%ebx), %edx
1:	movl	%edx, (%edi)
	addl	$4096, %edi
	decl	%ecx
	jnz	1b
	incl	BOX_DONE(%ebx)
	rsm
guest_smm_end:

	.section .note.GNU-stack, "", @progbits
