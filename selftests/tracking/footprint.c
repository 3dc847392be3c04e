// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a migrating VM costs the module: at most half a percent of the guest's RAM,
 * channels apart, and no more than FERRY_STATUS says. All of it comes back.
 */
#include "ktap.h"
#include "ferry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "die.h"

#define SIZE	(512ul << 20)
#define RING	(1ul << 20)
#define RINGS	4
/* A batch of 16 pages, room to encode it, and some pages more. */
#define CHANNEL	(2 * 16 * RAM_PAGE + 8 * RAM_PAGE)
#define GROUP	"/sys/fs/cgroup/ferry"
/* Accounting is done in batches per CPU, and the kernel does some on the side. */
#define SLACK	(1024l << 10)

static struct ram ram;

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/* Kernel memory charged to our group, in bytes. */
static long kernel_memory(void)
{
	FILE *stat = fopen(GROUP "/memory.stat", "re");
	long value = -1;
	char line[128];

	while (stat && fgets(line, sizeof(line), stat))
		if (sscanf(line, "kernel %ld", &value) == 1)
			break;
	if (value < 0)
		die("no memory.stat");
	fclose(stat);
	return value;
}

static void put_together(struct ferry *ferry, struct ferry_status *status)
{
	ferry_open(ferry, NULL, NULL);
	ferry_setup(ferry, getpid(), &ram, 1, RINGS, RING);
	must(ferry_status(ferry, 0, status));
}

/* Is what was charged since @before no more than the status says? */
static bool is_told(const struct ferry_status *status, long before)
{
	long grown = kernel_memory() - before, told = status->memory + status->channels;

	ktap_note("%ld KiB charged, %ld KiB told", grown >> 10, told >> 10);
	return grown <= told + SLACK;
}

static void test_cost(void)
{
	struct ferry_status status, after;
	long before = kernel_memory(), left;
	struct ferry ferry;
	double percent;

	put_together(&ferry, &status);
	percent = 100.0 * status.memory / SIZE;
	ktap_ok(percent <= 0.5, "%lu KiB for %lu MiB of guest RAM: %.3f %%",
		(unsigned long)status.memory >> 10, SIZE >> 20, percent);
	ktap_ok(status.memory >= SIZE / RAM_PAGE / 8, "which is at least a bit for each page");
	ktap_ok(status.channels >= RINGS * RING && status.channels <= RINGS * (RING + CHANNEL),
		"%lu KiB for channels, rings of %lu", (unsigned long)status.channels >> 10,
		RINGS * RING >> 10);
	ktap_ok(is_told(&status, before), "the memory group was charged no more than that in all");

	ferry_must_pass(&ferry, 0);
	must(ferry_status(&ferry, 0, &after));
	ktap_ok(after.memory == status.memory && after.channels == status.channels,
		"a pass takes no more");
	ferry_close(&ferry);
	left = kernel_memory() - before;
	ktap_ok(left < SLACK, "after the close %ld KiB are left", left >> 10);
}

/* The control: what if the module took memory that the status does not tell of? */
static void test_control(void)
{
	struct ferry_status status;
	struct ferry ferry;
	long before;

	if (!ferry_fault("memory-hidden")) {
		ktap_skip("no fault points in this build", "control");
		return;
	}
	before = kernel_memory();
	put_together(&ferry, &status);
	ktap_ok(!is_told(&status, before), "control: what the status hides shows in the charge");
	ferry_fault("");
	ferry_close(&ferry);
}

int main(void)
{
	struct ram_spec spec = { .size = SIZE };

	ktap_plan(7);
	ferry_load_module();
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	must(mkdir(GROUP, 0755));
	put(GROUP "/cgroup.procs", "0");
	ram_create(&ram, &spec);

	test_cost();
	test_control();

	ram_destroy(&ram);
	put("/sys/fs/cgroup/cgroup.procs", "0");
	if (!ferry_unload_module())
		die("the module does not unload");
	return ktap_finish();
}
