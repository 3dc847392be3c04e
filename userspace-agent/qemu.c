// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a QEMU is asked.
 */
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "qemu.h"

int qemu_runstate(struct qmp *qmp, char *state, size_t size, struct failure *why)
{
	json_t *result = qmp_execute(qmp, QMP_TIMEOUT, why, "query-status", NULL);
	const char *words = json_string_value(json_object_get(result, "status"));

	if (!result)
		return -1;
	snprintf(state, size, "%s", words ? words : "unknown");
	json_decref(result);
	return 0;
}

static bool is_real_uuid(const char *uuid)
{
	return uuid && strspn(uuid, "0-") < strlen(uuid);
}

/* What is fit for a file name stays; anything else becomes '_'. */
static void copy_name(char name[QEMU_NAME_SIZE], const char *from)
{
	size_t i;

	for (i = 0; from[i] && i + 1 < QEMU_NAME_SIZE; i++)
		name[i] = isalnum((unsigned char)from[i]) ||
			  strchr("-_", from[i]) || (from[i] == '.' && i) ?
			  from[i] : '_';
	name[i] = '\0';
}

int qemu_identity(struct qmp *qmp, char name[QEMU_NAME_SIZE], struct failure *why)
{
	json_t *uuid = qmp_execute(qmp, QMP_TIMEOUT, why, "query-uuid", NULL);
	json_t *vm = qmp_execute(qmp, QMP_TIMEOUT, why, "query-name", NULL);
	const char *best = json_string_value(json_object_get(uuid, "UUID"));

	if (!is_real_uuid(best))
		best = json_string_value(json_object_get(vm, "name"));
	copy_name(name, best && *best ? best : "unnamed");
	json_decref(uuid);
	json_decref(vm);
	return uuid && vm ? 0 : -1;
}

int qemu_capability(const json_t *list, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *s = json_string_value(json_object_get(item,
								  "capability"));

		if (s && !strcmp(s, name))
			return json_is_true(json_object_get(item, "state"));
	}
	return -1;
}

bool qemu_is_migrating(const json_t *migrate)
{
	static const char *const over[] = { "none", "completed", "failed", "cancelled" };
	const char *status = json_string_value(json_object_get(migrate, "status"));
	size_t i;

	for (i = 0; i < sizeof(over) / sizeof(over[0]); i++)
		if (status && !strcmp(status, over[i]))
			return false;
	return status != NULL;
}

bool qemu_cancel(struct qmp *qmp, int timeout)
{
	int64_t deadline = clock_ms() + timeout;
	bool told = false, under_way;

	for (;;) {
		json_t *migrate = qmp_execute(qmp, QMP_TIMEOUT, NULL, "query-migrate", NULL);
		struct failure why = { 0 };

		under_way = qemu_is_migrating(migrate);
		json_decref(migrate);
		if (!under_way || !clock_left(deadline))
			return !under_way;
		if (!told && qmp_do(qmp, QMP_TIMEOUT, &why, "migrate_cancel", NULL))
			log_warn("%s", why.text);
		told = true;
		poll(NULL, 0, 5);
	}
}

int qemu_await_end(struct qmp *qmp, int timeout)
{
	int64_t deadline = clock_ms() + timeout;
	struct pollfd p = { .fd = qmp_fd(qmp), .events = POLLIN };

	while (!qmp_pump(qmp, NULL)) {
		if (!clock_left(deadline))
			return -1;
		poll(&p, 1, clock_left(deadline));
	}
	return 0;
}
