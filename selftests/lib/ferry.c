// SPDX-License-Identifier: GPL-2.0-or-later
/* The tests' client of /dev/kvmferry. */
#include "ferry.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

#define DEVICE		"/dev/kvmferry"
#define FAULT		"/sys/module/kvmferry/parameters/fault"
#define PATIENCE_MS	120000

/* The shell tests know how. */
static int in_shell(const char *function)
{
	char command[256];
	int status;

	snprintf(command, sizeof(command), ". \"$KVMFERRY_TOP\"/selftests/lib/ktap.sh; %s",
		 function);
	fflush(stdout);
	status = system(command);
	return status < 0 || !WIFEXITED(status) ? 1 : WEXITSTATUS(status);
}

void ferry_load_module(void)
{
	if (in_shell("host_module_load"))
		die("no module");
}

bool ferry_unload_module(void)
{
	return !in_shell("host_module_unload");
}

bool ferry_fault(const char *name)
{
	int fd = open(FAULT, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	/* an empty write would not reach the module */
	if (write(fd, *name ? name : "\n", *name ? strlen(name) : 1) < 0)
		die("fault point '%s': %s", name, strerror(errno));
	close(fd);
	return true;
}

long ferry_ioctl(int fd, unsigned long command, void *argument)
{
	long ret = ioctl(fd, command, argument);

	return ret < 0 ? -errno : ret;
}

int ferry_open_mem(pid_t pid, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void ignore_record(void *context, unsigned int channel,
			  const struct wire_record *record, const uint8_t *payload)
{
	(void)context;
	(void)channel;
	(void)record;
	(void)payload;
}

void ferry_open(struct ferry *f, stream_sink_fn *sink, void *context)
{
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->fd = must(open(DEVICE, O_RDWR | O_CLOEXEC));
	f->mem = -1;
	f->sink = sink ?: ignore_record;
	f->context = context;
	f->codecs = FERRY_BIT(LZ4);
	for (i = 0; i < FERRY_KEY_SIZE; i++)
		f->key[i] = 0xa0 + i;
}

static void close_channel(struct ferry_ring_client *c)
{
	must(munmap((void *)c->ring, FERRY_RING_DATA + 2 * c->size));
	must(close(c->fd));
}

void ferry_close(struct ferry *f)
{
	while (f->channels)
		close_channel(&f->channel[--f->channels]);
	if (f->mem >= 0)
		close(f->mem);
	must(close(f->fd));
	f->fd = f->mem = -1;
}

int ferry_attach(struct ferry *f, pid_t pid, uint64_t codecs)
{
	struct ferry_attach attach = { .pid = pid, .codecs = codecs };

	if (f->mem < 0)
		f->mem = ferry_open_mem(pid, O_RDWR);
	if (f->mem < 0)
		return f->mem;
	attach.mem_fd = f->mem;
	memcpy(attach.key, f->key, sizeof(attach.key));
	return ferry_ioctl(f->fd, FERRY_ATTACH, &attach);
}

int ferry_group(struct ferry *f, const struct ferry_group *group)
{
	struct ferry_group copy = *group;

	return ferry_ioctl(f->fd, FERRY_GROUP, &copy);
}

int ferry_group_stats(struct ferry *f, struct ferry_group_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	return ferry_ioctl(f->fd, FERRY_GROUP_STATS, stats);
}

int ferry_limit(struct ferry *f, uint64_t pages_per_s, uint32_t max_slowdown)
{
	struct ferry_limit limit = {
		.pages_per_s = pages_per_s, .max_slowdown = max_slowdown,
	};

	return ferry_ioctl(f->fd, FERRY_LIMIT, &limit);
}

int ferry_add_ram(struct ferry *f, const struct ram *ram)
{
	struct ferry_add_ram add = {
		.fd = ram->fd,
		.id = ram->id,
		.address = (uintptr_t)ram->map,
		.size = ram->size,
		.offset = ram->offset,
	};

	return ferry_ioctl(f->fd, FERRY_ADD_RAM, &add);
}

int ferry_add_channel(struct ferry *f, uint64_t size)
{
	struct ferry_ring_client *c = &f->channel[f->channels];
	struct ferry_add_channel add = { .size = size };
	long fd = ferry_ioctl(f->fd, FERRY_ADD_CHANNEL, &add);

	if (fd < 0)
		return fd;
	c->fd = fd;
	c->size = size;
	c->ring = must(mmap(NULL, FERRY_RING_DATA + 2 * size, PROT_READ, MAP_SHARED, fd, 0));
	stream_init(&c->stream, f->channels++, f->sink, f->context);
	return 0;
}

void ferry_setup(struct ferry *f, pid_t pid, const struct ram *ram, unsigned int rams,
		 unsigned int channels, uint64_t size)
{
	int err = ferry_attach(f, pid, f->codecs);
	unsigned int i;

	if (err)
		die("attach: %s", strerror(-err));
	err = ferry_group(f, &f->group);
	if (err && (err != -ENOTTY || f->group.policy != FERRY_GROUP_OFF))
		die("group: %s", strerror(-err));
	for (i = 0; i < rams; i++) {
		err = ferry_add_ram(f, &ram[i]);
		if (err)
			die("add RAM: %s", strerror(-err));
	}
	for (i = 0; i < channels; i++) {
		err = ferry_add_channel(f, size);
		if (err)
			die("add channel: %s", strerror(-err));
	}
}

pid_t ferry_worker(unsigned int channel)
{
	char path[300], name[32], wanted[32];
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	snprintf(wanted, sizeof(wanted), "kvmferry/%u\n", channel);
	while (proc && !found && (entry = readdir(proc))) {
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		comm = fopen(path, "re");
		if (!comm)
			continue;
		if (fgets(name, sizeof(name), comm) && !strcmp(name, wanted))
			found = atoi(entry->d_name);
		fclose(comm);
	}
	if (proc)
		closedir(proc);
	return found;
}

int ferry_begin(struct ferry *f, uint32_t flags)
{
	struct ferry_pass pass = { .flags = flags };
	long ret = ferry_ioctl(f->fd, FERRY_PASS, &pass);

	if (!ret)
		f->pass = pass.pass;
	return ret;
}

uint64_t ferry_take(struct ferry *f, unsigned int channel)
{
	struct ferry_ring_client *c = &f->channel[channel];
	uint64_t head = __atomic_load_n(&c->ring->head, __ATOMIC_ACQUIRE);
	uint64_t tail = c->ring->tail;
	struct ferry_consume consume = { .bytes = head - tail };
	const uint8_t *data = (const uint8_t *)c->ring + FERRY_RING_DATA;

	if (f->bite && consume.bytes > f->bite)
		consume.bytes = f->bite;
	if (!consume.bytes)
		return 0;
	if (c->ring->size != c->size || head - tail > c->size)
		die("the ring's first page makes no sense");
	stream_feed(&c->stream, data + (tail & (c->size - 1)), consume.bytes);
	must(ioctl(c->fd, FERRY_CONSUME, &consume));
	return consume.bytes;
}

static bool pass_has_ended(const struct ferry *f)
{
	unsigned int i;

	for (i = 0; i < f->channels; i++)
		if (f->channel[i].stream.pass < f->pass && !f->channel[i].stream.fault)
			return false;
	return true;
}

static bool is_lost(struct ferry *f)
{
	struct ferry_status status;

	return !ferry_status(f, 0, &status) && status.state == FERRY_STATE_LOST;
}

/*
 * Waits for bytes on any ring and takes them. The device is watched, too: a pass
 * that tracking was lost in ends there, and not on every ring.
 */
static int take_some(struct ferry *f)
{
	struct pollfd fds[FERRY_MAX_CHANNELS + 1];
	uint64_t bytes = 0;
	unsigned int i;
	int n;

	for (i = 0; i < f->channels; i++)
		fds[i] = (struct pollfd) { .fd = f->channel[i].fd, .events = POLLIN };
	fds[i] = (struct pollfd) { .fd = f->fd, .events = POLLIN };
	n = poll(fds, f->channels + 1, PATIENCE_MS);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (!n)
		return -ETIME;
	for (i = 0; i < f->channels; i++)
		bytes += ferry_take(f, i);
	return !bytes && is_lost(f) ? -ENODATA : 0;
}

int ferry_finish(struct ferry *f)
{
	struct pollfd device = { .fd = f->fd, .events = POLLIN };

	while (!pass_has_ended(f)) {
		int err = take_some(f);

		if (err)
			return err;
	}
	/* the rings were read to their end, so this is a matter of moments */
	if (must(poll(&device, 1, PATIENCE_MS)) != 1)
		return -ETIME;
	return is_lost(f) ? -ENODATA : 0;
}

int ferry_pass(struct ferry *f, uint32_t flags)
{
	int err = ferry_begin(f, flags);

	return err ?: ferry_finish(f);
}

void ferry_must_pass(struct ferry *f, uint32_t flags)
{
	int err = ferry_pass(f, flags);

	if (err)
		die("pass: %s", strerror(-err));
	if (ferry_fault_of_streams(f))
		die("stream: %s", ferry_fault_of_streams(f));
}

const char *ferry_fault_of_streams(const struct ferry *f)
{
	unsigned int i;

	for (i = 0; i < f->channels; i++)
		if (f->channel[i].stream.fault)
			return f->channel[i].stream.fault;
	return NULL;
}

int ferry_status(struct ferry *f, uint32_t flags, struct ferry_status *status)
{
	*status = (struct ferry_status) { .flags = flags };
	return ferry_ioctl(f->fd, FERRY_STATUS, status);
}

uint64_t ferry_pending_pages(struct ferry *f)
{
	struct ferry_status status;

	if (ferry_status(f, FERRY_STATUS_SCAN, &status))
		die("no status");
	return status.pending;
}

int ferry_pending(struct ferry *f, const struct ram *ram, uint64_t *bitmap)
{
	struct ferry_pending pending = {
		.block = ram->id,
		.count = bitmap_words(ram_pages(ram)) * 64,
		.bitmap = (uintptr_t)bitmap,
	};

	return ferry_ioctl(f->fd, FERRY_PENDING, &pending);
}

int ferry_group_map(struct ferry *f, const struct ram *ram, struct ferry_group_cell *cells)
{
	struct ferry_group_map map = {
		.block = ram->id,
		.count = (ram_pages(ram) + 511) / 512,
		.cells = (uintptr_t)cells,
	};

	return ferry_ioctl(f->fd, FERRY_GROUP_MAP, &map);
}

int ferry_digest(struct ferry *f, uint32_t id, uint32_t flags, uint8_t out[FERRY_HASH_SIZE])
{
	struct ferry_digest digest = { .block = id, .flags = flags };
	long ret = ferry_ioctl(f->fd, FERRY_DIGEST, &digest);

	memcpy(out, digest.digest, FERRY_HASH_SIZE);
	return ret;
}
