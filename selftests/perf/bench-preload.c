// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loaded into QEMU with LD_PRELOAD: runs KVM's own dirty log at whatever pace the
 * benchmark asks for. QEMU itself can log only in the course of a migration, in
 * iterations whose length nobody can choose, or for whole seconds (calc-dirty-rate);
 * and KVM lets no other process use the VM's descriptor.
 *
 * Takes down the VM's memory slots as QEMU makes them, and serves a socket, the path of
 * which is in BENCH_LOG_SOCKET. Each request is a byte, each answer a struct bench_answer:
 *
 *	b	begin: logging on, all pages protected
 *	f	fetch: the pages written since, protected again, and each made ready to
 *		be sent
 *	e	end: logging off
 *
 * QEMU enables KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, so that protecting takes a call of its own.
 */
#include <errno.h>
#include <lz4.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench-log.h"
#include "bench-preload.h"
#include "hash.h"
#include "wire.h"

#define MAX_SLOTS	64
#define PAGE		4096u

static struct {
	pthread_mutex_t lock;	/* protects the slots */
	int vm;
	bool manual;
	struct log_slot slot[MAX_SLOTS];
	unsigned int slots;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .vm = -1 };

static struct log_slot *find_slot(uint32_t number)
{
	unsigned int i;

	for (i = 0; i < state.slots; i++)
		if (state.slot[i].region.slot == number)
			return &state.slot[i];
	return state.slots < MAX_SLOTS ? &state.slot[state.slots++] : NULL;
}

static void note_region(int vm, const struct kvm_userspace_memory_region *region)
{
	struct log_slot *slot;

	pthread_mutex_lock(&state.lock);
	state.vm = vm;
	slot = find_slot(region->slot);
	if (slot)
		slot->region = *region;
	pthread_mutex_unlock(&state.lock);
}

static bool is_manual(const struct kvm_enable_cap *cap)
{
	return cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 &&
	       cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
}

/* The C library's, but two of QEMU's requests are looked at. */
int ioctl(int fd, unsigned long request, ...)
{
	void *argument;
	va_list args;
	int ret;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	ret = syscall(SYS_ioctl, fd, request, argument);
	if (ret < 0)
		return ret;
	if (request == KVM_SET_USER_MEMORY_REGION)
		note_region(fd, argument);
	else if (request == KVM_ENABLE_CAP && is_manual(argument))
		state.manual = true;
	return ret;
}

static bool is_ram(const struct log_slot *slot)
{
	return slot->region.memory_size && !(slot->region.flags & KVM_MEM_READONLY);
}

static int switch_all(bool on)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < state.slots && !err; i++) {
		/* switching tells the kernel about the slot, and thereby us: a copy */
		struct kvm_userspace_memory_region region = state.slot[i].region;

		if (!is_ram(&state.slot[i]))
			continue;
		err = log_switch(state.vm, &state.slot[i], on);
		state.slot[i].region = region;
	}
	return err;
}

static void give_up(const char *what)
{
	fprintf(stderr, "bench-preload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/*
 * What becomes of a page that is sent, as in the module and the benchmark's drain(), so
 * that the two differ in how they follow the guest and in nothing else: copy it, as the
 * guest may be writing to it; hash it; look whether it is zero; encode it; put it on a
 * ring with a checksum; take it from there. Returns the bytes on the ring.
 */
static uint64_t send_page(const uint8_t *page, uint64_t number)
{
	static const uint8_t key[FERRY_KEY_SIZE];
	static uint8_t copy[PAGE], sum[FERRY_HASH_SIZE], ring[2 * PAGE], drained[2 * PAGE];
	static char encoded[LZ4_COMPRESSBOUND(PAGE)];
	static struct hash *hash;
	uint32_t crc;
	int bytes;

	if (!hash && !(hash = hash_new(key)))
		give_up("no hash");
	memcpy(copy, page, PAGE);
	hash_page(hash, 0, number, copy, sum);
	if (hash_is_zero(copy))
		return 0;
	bytes = LZ4_compress_default((char *)copy, encoded, PAGE, sizeof(encoded));
	crc = wire_crc32c(0, encoded, bytes);
	memcpy(ring, &crc, sizeof(crc));
	memcpy(ring + sizeof(crc), encoded, bytes);
	memcpy(drained, ring, sizeof(crc) + bytes);
	/* nobody reads them, and that is not for the compiler to know */
	__asm__ volatile("" : : "r"(ring), "r"(drained) : "memory");
	return bytes;
}

static uint64_t send_dirty(const struct log_slot *slot)
{
	uint64_t page, bytes = 0;

	for (page = 0; page < slot->region.memory_size / PAGE; page++) {
		if (!(slot->dirty[page / 64] >> (page % 64) & 1))
			continue;
		bytes += send_page((void *)(slot->region.userspace_addr + page * PAGE), page);
	}
	return bytes;
}

static int fetch_all(uint64_t *pages)
{
	static volatile uint64_t bytes;
	unsigned int i;
	int err = 0;

	for (i = 0; i < state.slots && !err; i++) {
		if (!is_ram(&state.slot[i]))
			continue;
		err = log_fetch(state.vm, &state.slot[i], state.manual, pages);
		if (!err)
			bytes += send_dirty(&state.slot[i]);
	}
	return err;
}

static void serve(int client)
{
	struct bench_answer answer;
	char request;

	while (read(client, &request, 1) == 1) {
		memset(&answer, 0, sizeof(answer));
		if (request == 'f')
			answer.error = fetch_all(&answer.pages);
		else
			answer.error = switch_all(request == 'b');
		if (write(client, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	close(client);
}

static void *listen_for_requests(void *arg)
{
	int client, fd = (long)arg;

	for (;;) {
		client = accept(fd, NULL, NULL);
		if (client >= 0)
			serve(client);
	}
	return NULL;
}

static void open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sigset_t all, before;
	pthread_t thread;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) || listen(fd, 1))
		give_up(path);
	/* QEMU's signals are not for this thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&thread, NULL, listen_for_requests, (void *)(long)fd);
	if (errno)
		give_up("thread");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The commands on the way to QEMU (nsenter, for one) are loaded with this, too. */
__attribute__((constructor))
static void begin(void)
{
	const char *path = getenv("BENCH_LOG_SOCKET");

	if (path && !strncmp(program_invocation_short_name, "qemu-system", 11))
		open_socket(path);
}
