// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the module must refuse, each with exactly the error that its header
 * documents. Needs no guest: a process that maps a file is VM enough.
 *
 * Here is what holds for every command; refusals_*.c have the commands one by one.
 */
#include "refusals.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "die.h"
#include "ktap.h"

struct ram ram;

void expect(int want, long got, const char *what)
{
	const char *name = want ? strerrorname_np(want) : "success";

	if (got < 0)
		ktap_ok(got == -want, "%s: %s%s%s", what, name, got == -want ? "" : ", not ",
			got == -want ? "" : strerrorname_np(-got));
	else
		ktap_ok(!want, "%s: %s%s", what, name, want ? ", not success" : "");
}

void expect_that(bool right, const char *what)
{
	ktap_ok(right, "%s", what);
}

struct ferry *fresh(void)
{
	static struct ferry f;

	ferry_open(&f, NULL, NULL);
	return &f;
}

struct ferry *attached(void)
{
	struct ferry *f = fresh();

	if (ferry_attach(f, getpid(), FERRY_BIT(LZ4)))
		die("cannot attach to ourselves");
	return f;
}

struct ferry *ready(void)
{
	struct ferry *f = attached();

	if (ferry_add_ram(f, &ram) || ferry_add_channel(f, FERRY_RING_MIN))
		die("cannot set up");
	return f;
}

/* --- the rules that hold for every command */

static void test_commands(void)
{
	struct ferry *f = fresh();
	struct ferry_info info = {};
	char buf[512] = {};
	void *read_only = must(mmap(NULL, RAM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR(FERRY_IOCTL_TYPE, 0x3f, struct ferry_info), buf),
	       "unknown command");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR(FERRY_IOCTL_TYPE, 0x00, struct ferry_pass), buf),
	       "known number, other size");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOR(FERRY_IOCTL_TYPE, 0x00, struct ferry_info), buf),
	       "known number, other direction");
	expect(ENOTTY, ferry_ioctl(f->fd, _IOWR('k', 0x00, struct ferry_info), buf),
	       "another driver's command");
	expect(ENOTTY, ferry_ioctl(f->fd, FERRY_CONSUME, buf), "a channel's command");
	expect(EFAULT, ferry_ioctl(f->fd, FERRY_INFO, read_only), "answer into read-only memory");
	expect(0, ferry_ioctl(f->fd, FERRY_INFO, &info), "handshake");
	ktap_ok(info.abi == FERRY_ABI && info.codecs & 1 && info.version[0] &&
		memchr(info.version, 0, sizeof(info.version)), "handshake: abi, codecs, version %s",
		info.version);
	munmap(read_only, RAM_PAGE);
	ferry_close(f);
}

static const struct {
	const char *name;
	unsigned long command;
	size_t size;
	/* places of fields that must be zero: offset and size of each */
	struct {
		size_t at, size;
	} zero[2];
} arguments[] = {
#define ZERO(type, field) { offsetof(struct type, field), sizeof(((struct type *)0)->field) }
	{ "INFO", FERRY_INFO, sizeof(struct ferry_info),
	  { ZERO(ferry_info, flags), ZERO(ferry_info, reserved) } },
	{ "ATTACH", FERRY_ATTACH, sizeof(struct ferry_attach),
	  { ZERO(ferry_attach, flags), ZERO(ferry_attach, reserved0) } },
	{ "ADD_RAM", FERRY_ADD_RAM, sizeof(struct ferry_add_ram),
	  { ZERO(ferry_add_ram, flags), ZERO(ferry_add_ram, reserved) } },
	{ "ADD_CHANNEL", FERRY_ADD_CHANNEL, sizeof(struct ferry_add_channel),
	  { ZERO(ferry_add_channel, flags), ZERO(ferry_add_channel, reserved) } },
	{ "PASS", FERRY_PASS, sizeof(struct ferry_pass),
	  { ZERO(ferry_pass, reserved0), ZERO(ferry_pass, reserved) } },
	{ "STATUS", FERRY_STATUS, sizeof(struct ferry_status),
	  { ZERO(ferry_status, reserved) } },
	{ "PENDING", FERRY_PENDING, sizeof(struct ferry_pending),
	  { ZERO(ferry_pending, flags), ZERO(ferry_pending, reserved) } },
	{ "DIGEST", FERRY_DIGEST, sizeof(struct ferry_digest),
	  { ZERO(ferry_digest, reserved) } },
	{ "GROUP", FERRY_GROUP, sizeof(struct ferry_group),
	  { ZERO(ferry_group, reserved) } },
	{ "GROUP_STATS", FERRY_GROUP_STATS, sizeof(struct ferry_group_stats),
	  { ZERO(ferry_group_stats, flags), ZERO(ferry_group_stats, reserved) } },
	{ "GROUP_MAP", FERRY_GROUP_MAP, sizeof(struct ferry_group_map),
	  { ZERO(ferry_group_map, flags), ZERO(ferry_group_map, reserved) } },
	{ "LIMIT", FERRY_LIMIT, sizeof(struct ferry_limit),
	  { ZERO(ferry_limit, flags), ZERO(ferry_limit, reserved) } },
	{ "VM_STATS", FERRY_VM_STATS, sizeof(struct ferry_vm_stats),
	  { ZERO(ferry_vm_stats, flags), ZERO(ferry_vm_stats, reserved) } },
	{ "WORKERS", FERRY_WORKERS, sizeof(struct ferry_workers),
	  { ZERO(ferry_workers, reserved0), ZERO(ferry_workers, reserved) } },
	{ "COMPRESSION_STATS", FERRY_COMPRESSION_STATS, sizeof(struct ferry_compression_stats),
	  { ZERO(ferry_compression_stats, flags), ZERO(ferry_compression_stats, reserved) } },
};

#define ARGUMENTS	(sizeof(arguments) / sizeof(*arguments))

/* Every byte that must be zero, set one at a time: how many were accepted? */
static unsigned int accepted(struct ferry *f, unsigned int i)
{
	unsigned int zone, count = 0;
	size_t byte;

	for (zone = 0; zone < 2; zone++) {
		for (byte = 0; byte < arguments[i].zero[zone].size; byte++) {
			uint8_t arg[1024] = {};

			arg[arguments[i].zero[zone].at + byte] = 0x80;
			count += ferry_ioctl(f->fd, arguments[i].command, arg) != -EINVAL;
		}
	}
	return count;
}

static void test_arguments(void)
{
	struct ferry *f = fresh();
	struct ferry_pass pass = { .flags = FERRY_PASS_FINAL << 1 };
	struct ferry_status status = { .flags = FERRY_STATUS_SCAN << 1 };
	struct ferry_digest digest = { .flags = FERRY_DIGEST_FULL << 1 };
	char *edge = must(mmap(NULL, 2 * RAM_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned int i;

	edge += RAM_PAGE;
	must(munmap(edge, RAM_PAGE));

	for (i = 0; i < ARGUMENTS; i++) {
		char name[64];

		ktap_ok(!accepted(f, i), "%s: no reserved byte may be set", arguments[i].name);
		snprintf(name, sizeof(name), "%s: no argument", arguments[i].name);
		expect(EFAULT, ferry_ioctl(f->fd, arguments[i].command, NULL), name);
		snprintf(name, sizeof(name), "%s: half an argument", arguments[i].name);
		expect(EFAULT, ferry_ioctl(f->fd, arguments[i].command,
					   edge - arguments[i].size / 2), name);
	}
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_PASS, &pass), "PASS: unknown flag");
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_STATUS, &status), "STATUS: unknown flag");
	expect(EINVAL, ferry_ioctl(f->fd, FERRY_DIGEST, &digest), "DIGEST: unknown flag");
	ferry_close(f);
}

/* --- the order of the commands */

static void test_order(void)
{
	struct ferry_add_channel channel = { .size = FERRY_RING_MIN };
	struct ferry_status status;
	struct ferry *f = fresh();
	uint64_t bitmap[64];

	expect(0, ferry_status(f, FERRY_STATUS_SCAN, &status), "status before all else");
	ktap_ok(status.state == FERRY_STATE_NEW && !status.pass && !status.ram_pages,
		"the state is new");
	expect(ENXIO, ferry_add_ram(f, &ram), "RAM before attach");
	expect(ENXIO, ferry_ioctl(f->fd, FERRY_ADD_CHANNEL, &channel), "channel before attach");
	expect(ENXIO, ferry_begin(f, 0), "pass before attach");
	expect(ENOENT, ferry_pending(f, &ram, bitmap), "pending before attach");
	expect(ENOENT, ferry_digest(f, 0, 0, (uint8_t *)bitmap), "digest before attach");
	ferry_close(f);

	f = attached();
	expect(0, ferry_status(f, 0, &status), "status when attached");
	ktap_ok(status.state == FERRY_STATE_IDLE, "the state is idle");
	expect(ENXIO, ferry_begin(f, 0), "pass without RAM or channel");
	expect(0, ferry_add_ram(f, &ram), "add RAM");
	expect(ENXIO, ferry_begin(f, 0), "pass without channel");
	ferry_close(f);
	f = attached();
	expect(0, ferry_add_channel(f, FERRY_RING_MIN), "add a channel");
	expect(ENXIO, ferry_begin(f, 0), "pass without RAM");
	ferry_close(f);
}

int main(void)
{
	struct ram_spec spec = { .size = SIZE };

	ktap_plan(3 * ARGUMENTS + 168);
	ferry_load_module();
	ram_create(&ram, &spec);
	test_commands();
	test_arguments();
	test_attach();
	test_rights();
	test_ram();
	test_order();
	test_channels();
	test_groups();
	test_limit();
	test_vm_stats();
	test_busy();
	test_pending();
	test_group_map();
	test_ring();
	ram_destroy(&ram);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
