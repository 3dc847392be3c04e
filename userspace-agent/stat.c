// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The VMs that are being moved away from this host.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "codec.h"
#include "kernel.h"
#include "policy.h"
#include "stat.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------------
 * What is shown
 * ------------------------------------------------------------------------ */

#define STATUS(field)	offsetof(struct ferry_vm_stats, status.field)
#define GROUP(field)	offsetof(struct ferry_vm_stats, group.field)
#define COMPRESSION(field) offsetof(struct ferry_vm_stats, compression.field)

/* Every count: its name for programs, its words for people. */
static const struct {
	const char *name;
	const char *words;
	size_t offset;
} counts[] = {
	{ "ram_pages",		"pages in all",			STATUS(ram_pages) },
	{ "pending_pages",	"pages pending",		STATUS(pending) },
	{ "taken",		"pages taken for sending",	STATUS(taken) },
	{ "pages_unchanged",	"  of these unchanged",		STATUS(unchanged) },
	{ "pages_zero",		"  sent as zero",		STATUS(zero) },
	{ "pages_raw",		"  sent as they are",		STATUS(raw) },
	{ "pages_untried",	"  of these without a try",	COMPRESSION(untried) },
	{ "pages_encoded",	"  sent compressed",		STATUS(encoded) },
	{ "bytes_wire",		"bytes on the wire",		STATUS(bytes_wire) },
	{ "write_faults",	"write faults",			GROUP(write_faults) },
	{ "read_faults",	"read faults",			GROUP(read_faults) },
	{ "opened",		"pages opened",			GROUP(opened) },
	{ "opened_changed",	"  found changed",		GROUP(opened_changed) },
	{ "opened_unchanged",	"  found unchanged",		GROUP(opened_unchanged) },
	{ "read_mapped",	"pages mapped for reading",	GROUP(read_mapped) },
	{ "skipped",		"faults not grouped",		GROUP(skipped) },
	{ "budget",		"pages of budget left",		GROUP(budget) },
	{ "throttled",		"times a vCPU waited",		GROUP(throttled) },
	{ "throttled_us",	"  microseconds in all",	GROUP(throttled_us) },
	{ "ring_waits",		"waits for room on a ring",	STATUS(waits) },
	{ "ring_bytes",		"bytes waiting on the rings",	COMPRESSION(waiting) },
	{ "stream_bytes_per_s",	"bytes a second taken from them", COMPRESSION(rate) },
	{ "cpu_ns",		"nanoseconds of CPU time",	COMPRESSION(cpu_ns) },
	{ "slept_ns",		"  slept for --cpu-limit",	COMPRESSION(slept_ns) },
	{ "idle_ns",		"nanoseconds of idle network",	COMPRESSION(idle_ns) },
	{ "memory",		"bytes kept about its pages",	STATUS(memory) },
	{ "channels",		"bytes that channels take",	STATUS(channels) },
};

static const char *const states[] = {
	[FERRY_STATE_NEW] = "new",
	[FERRY_STATE_IDLE] = "idle",
	[FERRY_STATE_PASS] = "pass",
	[FERRY_STATE_LOST] = "lost",
};

static const char *state_of(const struct ferry_vm_stats *vm)
{
	uint32_t state = vm->status.state;

	return state < COUNT(states) ? states[state] : "unknown";
}

static uint64_t count_of(const struct ferry_vm_stats *vm, size_t i)
{
	return *(const __u64 *)((const char *)vm + counts[i].offset);
}

/* ------------------------------------------------------------------------
 * For people, for programs
 * ------------------------------------------------------------------------ */

static void show_groups(FILE *out, const struct ferry_vm_stats *vm)
{
	size_t i;

	fprintf(out, "  %-32s", "write faults that opened");
	for (i = 0; i < COUNT(vm->group.groups); i++)
		if (vm->group.groups[i])
			fprintf(out, " %u:%" PRIu64, 1u << i,
				(uint64_t)vm->group.groups[i]);
	fputc('\n', out);
}

static void show_codecs(FILE *out, const struct ferry_vm_stats *vm)
{
	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++) {
		const struct ferry_codec_stats *c = &vm->compression.codec[i];

		if (c->pages)
			fprintf(out, "  %-8s %10" PRIu64 " pages became %12" PRIu64 " bytes in %10" PRIu64 " us\n",
				codec_name(i), (uint64_t)c->pages, (uint64_t)c->bytes,
				(uint64_t)c->ns / 1000);
	}
}

static json_t *codecs_object(const struct ferry_vm_stats *vm)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < FERRY_NR_CODECS; i++) {
		const struct ferry_codec_stats *c = &vm->compression.codec[i];

		if (c->pages)
			json_object_set_new(object, codec_name(i),
					    json_pack("{s:I, s:I, s:I}",
						      "pages", (json_int_t)c->pages,
						      "bytes", (json_int_t)c->bytes,
						      "us", (json_int_t)(c->ns / 1000)));
	}
	return object;
}

void stat_table(FILE *out, const struct ferry_vm_stats *vm)
{
	size_t i;

	fprintf(out, "process %d: %s, pass %u, pages are opened by: %s\n",
		(int)vm->pid, state_of(vm), vm->status.pass,
		policy_backend(vm->group.backend));
	for (i = 0; i < COUNT(counts); i++)
		fprintf(out, "  %-32s %14" PRIu64 "\n", counts[i].words,
			count_of(vm, i));
	show_groups(out, vm);
	show_codecs(out, vm);
}

json_t *stat_object(const struct ferry_vm_stats *vm)
{
	json_t *object = json_pack("{s:s, s:i, s:s, s:I, s:s}", "event", "vm",
				   "pid", (int)vm->pid, "state", state_of(vm),
				   "pass", (json_int_t)vm->status.pass,
				   "backend", policy_backend(vm->group.backend));
	json_t *groups = json_array();
	size_t i;

	for (i = 0; i < COUNT(counts); i++)
		json_object_set_new(object, counts[i].name,
				    json_integer((json_int_t)count_of(vm, i)));
	for (i = 0; i < COUNT(vm->group.groups); i++)
		json_array_append_new(groups, json_integer((json_int_t)vm->group.groups[i]));
	json_object_set_new(object, "groups", groups);
	json_object_set_new(object, "codecs", codecs_object(vm));
	return object;
}

static void show(const struct ferry_vm_stats *vm, bool json)
{
	json_t *object;

	if (!json) {
		stat_table(stdout, vm);
		return;
	}
	object = stat_object(vm);
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* ------------------------------------------------------------------------
 * Which VMs
 * ------------------------------------------------------------------------ */

/* Shows all. Returns how many there are, or -1. */
static int show_all(struct kernel *k, bool json, struct failure *why)
{
	struct ferry_vm_stats vm = { .pid = 0 };
	int found, shown = 0;

	while ((found = kernel_vm_stats(k, vm.pid + 1, &vm, why)) > 0) {
		show(&vm, json);
		shown++;
	}
	return found < 0 ? -1 : shown;
}

static int show_one(struct kernel *k, pid_t pid, bool json, struct failure *why)
{
	struct ferry_vm_stats vm;
	int found = kernel_vm_stats(k, pid, &vm, why);

	if (found < 0)
		return -1;
	if (!found || vm.pid != pid)
		return fail(why, "process %d is no VM that is being moved; kvmferry stat without --pid shows all that are",
			    (int)pid);
	show(&vm, json);
	return 1;
}

enum exit_status stat_run(pid_t pid, bool json)
{
	struct failure why = { 0 };
	struct kernel k;
	int shown;

	if (kernel_open(&k, &why)) {
		log_error("%s", why.text);
		return EXIT_FAILED;
	}
	shown = pid ? show_one(&k, pid, json, &why) : show_all(&k, json, &why);
	kernel_close(&k);
	if (shown < 0) {
		log_error("%s", why.text);
		return EXIT_FAILED;
	}
	if (!shown && !json)
		puts("no VM is being moved away from this host");
	return EXIT_DONE;
}
