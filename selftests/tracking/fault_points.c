// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every fault point of the module (kmod/fault.h), and what must come of it. Those
 * that break a rule of tracking on purpose are armed by the test of that rule:
 * "protect-all" in dirty_sets and oracle, "foreign-blind" in hole_punch and swap,
 * "pin-blind" in pinned, "huge-blind" in huge_pages, "mapping-blind" in lifetimes,
 * "memory-hidden" in footprint.
 */
#include "ktap.h"
#include "scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "die.h"

#define PARAMETER	"/sys/module/kvmferry/parameters/fault"
#define GPA		0x1000000ul
#define PAGES		600ul

static struct scene scene;

static long write_parameter(const char *text)
{
	int fd = must(open(PARAMETER, O_RDWR | O_CLOEXEC));
	long ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;

	close(fd);
	return ret;
}

static bool parameter_is(const char *name)
{
	char buf[64] = {}, want[64];
	int fd = must(open(PARAMETER, O_RDONLY | O_CLOEXEC));

	snprintf(want, sizeof(want), "%s\n", name);
	must(read(fd, buf, sizeof(buf) - 1));
	close(fd);
	return !strcmp(buf, want);
}

static void test_parameter(void)
{
	struct ferry_info info = {};
	struct ferry f;
	struct stat st;

	ferry_open(&f, NULL, NULL);
	must(ferry_ioctl(f.fd, FERRY_INFO, &info));
	ferry_close(&f);
	ktap_ok(info.features & FERRY_FEATURE_FAULT_POINTS, "the handshake tells of a test build");
	must(stat(PARAMETER, &st));
	ktap_ok((st.st_mode & 0777) == 0600 && !st.st_uid, "only root may arm faults");
	ktap_ok(write_parameter("no-such-fault") == -EINVAL && parameter_is(""),
		"a name that does not exist: EINVAL, nothing armed");
	ktap_ok(!write_parameter("crc-wrong\n") && parameter_is("crc-wrong") &&
		!write_parameter("\n") && parameter_is(""), "armed and disarmed");
}

/* Each fails once; then the same call on the same file succeeds: nothing was left. */
static void test_no_memory(void)
{
	struct ram *ram = &scene.vmm.ram[0];
	struct ferry *f = &scene.ferry;
	int err;

	ferry_open(f, shadow_sink, &scene.shadow);
	shadow_init(&scene.shadow, NULL);
	shadow_add(&scene.shadow, 0, PAGES);

	ferry_fault("attach-nomem");
	ktap_ok(ferry_attach(f, getpid(), FERRY_BIT(LZ4)) == -ENOMEM, "attach-nomem: ENOMEM");
	ktap_ok(ferry_add_ram(f, ram) == -ENXIO, "attach-nomem: not attached");
	ferry_fault("");
	ktap_ok(!ferry_attach(f, getpid(), FERRY_BIT(LZ4)), "attach-nomem: no trace of it");

	ferry_fault("ram-nomem");
	ktap_ok(ferry_add_ram(f, ram) == -ENOMEM, "ram-nomem: ENOMEM");
	ferry_fault("");
	ktap_ok(!ferry_pending_pages(f), "ram-nomem: there is no RAM");
	ktap_ok(!ferry_add_ram(f, ram), "ram-nomem: no trace of it");

	ferry_fault("channel-nomem");
	ktap_ok(ferry_add_channel(f, FERRY_RING_MIN) == -ENOMEM, "channel-nomem: ENOMEM");
	ferry_fault("");
	ktap_ok(ferry_begin(f, 0) == -ENXIO, "channel-nomem: there is no channel");
	ktap_ok(!ferry_add_channel(f, FERRY_RING_MIN), "channel-nomem: no trace of it");
	err = ferry_pass(f, 0);
	ktap_ok(!err && !scene_differences(&scene), "and a pass works (%d)", err);
	scene_detach(&scene);
}

static void test_encode_error(void)
{
	scene_attach(&scene, 1, FERRY_RING_MIN);
	ferry_fault("encode-error");
	ferry_must_pass(&scene.ferry, 0);
	ferry_fault("");
	ktap_ok(!scene.shadow.encoded && scene.shadow.raw == PAGES,
		"encode-error: %lu of %lu pages are raw", scene.shadow.raw, PAGES);
	ktap_ok(!scene_differences(&scene), "encode-error: shadow equals RAM");
	scene_detach(&scene);
}

static void test_crc_wrong(void)
{
	const char *why;

	scene_attach(&scene, 1, FERRY_RING_MIN);
	ferry_fault("crc-wrong");
	must(ferry_begin(&scene.ferry, 0));
	ferry_finish(&scene.ferry);
	ferry_fault("");
	why = ferry_fault_of_streams(&scene.ferry);
	ktap_ok(why && !strcmp(why, "a wrong checksum") && !scene.ferry.channel[0].stream.records,
		"crc-wrong: the first record is refused: %s", why ?: "not at all");
	scene_detach(&scene);
}

static void test_read_error(void)
{
	struct ferry_status status;
	uint8_t digest[FERRY_HASH_SIZE];

	scene_attach(&scene, 2, FERRY_RING_MIN);
	ferry_fault("read-error");
	ktap_ok(ferry_pass(&scene.ferry, 0) == -ENODATA, "read-error: the pass ends without data");
	ferry_fault("");
	must(ferry_status(&scene.ferry, 0, &status));
	ktap_ok(status.state == FERRY_STATE_LOST && status.error == EIO, "read-error: lost, EIO");
	ktap_ok(ferry_begin(&scene.ferry, 0) == -ENODATA, "read-error: no further pass");
	ktap_ok(scene.ferry.channel[0].stream.pass == 0 || scene.ferry.channel[1].stream.pass == 0,
		"read-error: no end of the pass on the ring");
	/* of what was sent it may still speak, or not; but not hang */
	ferry_digest(&scene.ferry, 0, 0, digest);
	scene_detach(&scene);

	scene_attach(&scene, 2, FERRY_RING_MIN);
	ktap_ok(!ferry_pass(&scene.ferry, 0) && !scene_differences(&scene),
		"read-error: a new migration works");
	scene_detach(&scene);
}

int main(void)
{
	scene_open(&scene);
	if (access(PARAMETER, F_OK)) {
		vmm_close(&scene.vmm);
		ktap_skip_all("no fault points in this build");
	}
	ktap_plan(23);
	scene_add_ram(&scene, &(struct ram_spec) { .size = PAGES * RAM_PAGE, .gpa = GPA });
	vmm_boot(&scene.vmm, 1);
	scene_populate(&scene);

	test_parameter();
	test_no_memory();
	test_encode_error();
	test_crc_wrong();
	test_read_error();

	scene.ferry.fd = -1;
	scene_close(&scene);
	ktap_ok(ferry_unload_module(), "the module unloads");
	return ktap_finish();
}
