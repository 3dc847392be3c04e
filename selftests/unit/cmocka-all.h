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

/* fail() is a function of the agent; tests have fail_msg(). */
#undef fail

#endif /* KVMFERRY_TEST_CMOCKA_ALL_H */
