// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Running virsh: a shell script plays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "clock.h"
#include "virsh.h"

static char folder[] = "/tmp/kvmferry-virsh.XXXXXX", program[64];

/* From here on virsh does this. */
static void play(const char *script)
{
	FILE *file = fopen(program, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fclose(file);
	assert_int_equal(chmod(program, 0755), 0);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(program, sizeof(program), "%s/virsh", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(program);
	return rmdir(folder);
}

static int find_it(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
	return setenv("PATH", path, 1);
}

static void test_it_gets_arguments_and_input(void **state)
{
	struct failure why = { 0 };
	char *said;

	(void)state;
	play("echo \"$@\"; echo $LC_ALL; cat /dev/stdin");
	said = virsh("<domain/>", &why, "define", "/dev/stdin", NULL);
	assert_string_equal(said, "-q define /dev/stdin\nC\n<domain/>");
	free(said);
}

static void test_why_it_failed(void **state)
{
	struct failure why = { 0 };

	(void)state;
	play("echo never mind; printf 'error: cannot start it\\nerror: no\\nmemory\\n\\n' >&2; exit 1");
	assert_null(virsh(NULL, &why, "create", "a", NULL));
	assert_string_equal(why.text, "virsh create: cannot start it: no: memory");
	why = (struct failure){ 0 };
	play("yes 'error: it says too much' | head -n 100 >&2; exit 1");
	assert_null(virsh(NULL, &why, "domid", "a", NULL));
	assert_memory_equal(why.text, "virsh domid: it says too much: it says", 38);
	why = (struct failure){ 0 };
	play("exit 3");
	assert_null(virsh(NULL, &why, "domid", "a", NULL));
	assert_string_equal(why.text, "virsh domid: it gives no reason");
}

static void test_it_does_not_wait_for_ever(void **state)
{
	struct failure why = { 0 };
	int64_t began = clock_ms();
	char *said;

	(void)state;
	play("exec sleep 1000");
	virsh_wait_ms = 1000;
	assert_null(virsh(NULL, &why, "dumpxml", "a", NULL));
	assert_non_null(strstr(why.text, "virsh dumpxml: libvirt has not answered for 1 s"));
	assert_in_range(clock_ms() - began, 1000, 100000);
	/* who takes a while is waited for */
	virsh_wait_ms = 100000;
	play("sleep 0.2; echo done");
	said = virsh(NULL, &why, "dumpxml", "a", NULL);
	assert_string_equal(said, "done\n");
	free(said);
}

static void test_there_may_be_none(void **state)
{
	struct failure why = { 0 };

	(void)state;
	setenv("PATH", "/nowhere", 1);
	assert_null(virsh(NULL, &why, "list", NULL));
	assert_non_null(strstr(why.text, "use --qmp instead of --domain"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_it_gets_arguments_and_input, find_it),
		cmocka_unit_test_setup(test_why_it_failed, find_it),
		cmocka_unit_test_setup(test_it_does_not_wait_for_ever, find_it),
		cmocka_unit_test(test_there_may_be_none),
	};

	return cmocka_run_group_tests_name("virsh", tests, begin, end);
}
