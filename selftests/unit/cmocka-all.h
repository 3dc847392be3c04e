/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cmocka, with what has to be included before it.
 */
#ifndef KVMFERRY_TEST_CMOCKA_ALL_H
#define KVMFERRY_TEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* fail() is a function of the agent; tests have fail_msg(), which must do without. */
#undef fail
#undef fail_msg
#define fail_msg(format, ...)						\
	do {								\
		print_error("ERROR: " format "\n", ##__VA_ARGS__);	\
		_fail(__FILE__, __LINE__);				\
	} while (0)

#endif /* KVMFERRY_TEST_CMOCKA_ALL_H */
