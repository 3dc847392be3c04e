// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Domains of libvirt, before and after the agent's work.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "domain.h"
#include "domxml.h"
#include "helper.h"
#include "virsh.h"

#define SETTLE_MS	10000	/* for libvirt to notice what became of a QEMU */
#define RETRY_MS	100

/* How the agent's work ended, as the keeper knows it; or one of enum exit_status. */
#define AGENT_DIED	255

/**
 * struct keeper - what the keeper knows
 * @domain:	whom virsh is asked for: its name, or its UUID
 * @xml:	of the domain: as it runs at the source, as it will be defined at the target
 * @read:	what is in it
 * @autostart:	it was on, and is off now
 * @keep:	leave the target's domain there after a failure
 */
struct keeper {
	char domain[DOMXML_WORD];
	char *xml;
	struct domxml read;
	bool autostart;
	bool keep;
};

/* What the keeper answers, once. */
struct answer {
	bool ready;
	struct failure why;
	char qmp[DOMAIN_SOCKET];
};

/* ------------------------------------------------------------------------
 * Asking libvirt
 * ------------------------------------------------------------------------ */

/* A command whose words are of no interest. */
#define virsh_do(why, ...) virsh_said(virsh(NULL, why, __VA_ARGS__))

static int virsh_said(char *said)
{
	free(said);
	return said ? 0 : -1;
}

static bool is_active(const char *domain)
{
	char *said = virsh(NULL, NULL, "domid", domain, NULL);
	bool active = said && *said >= '0' && *said <= '9';

	free(said);
	return active;
}

/*
 * By a line of dominfo: "Autostart:      enable". Returns 1 it is, 0 it is not, -1 with @why if there is
 * no such domain.
 */
static int is_autostarted(const char *domain, struct failure *why)
{
	static const char key[] = "Autostart:", on[] = "enable";
	char *info = virsh(NULL, why, "dominfo", domain, NULL);
	const char *at = info ? strstr(info, key) : NULL;
	int autostarted = info ? 0 : -1;

	if (at) {
		at += sizeof(key) - 1;
		at += strspn(at, " ");
		autostarted = !strncmp(at, on, sizeof(on) - 1);
	}
	free(info);
	return autostarted;
}

static int read_domain(struct keeper *k, struct failure *why)
{
	k->xml = virsh(NULL, why, "dumpxml", "--domain", k->domain, NULL);
	if (!k->xml || domxml_read(&k->read, k->xml, why))
		return -1;
	snprintf(k->domain, sizeof(k->domain), "%s", k->read.uuid);
	return 0;
}

static int check_xml(const struct keeper *k, struct failure *why)
{
	return domxml_check(&k->read, check_log, NULL) ?
	       fail(why, "the domain's XML does not allow it") : 0;
}

/* QEMU has ended, and libvirt will notice. */
static bool await_end(const char *domain)
{
	const struct timespec time = { .tv_nsec = RETRY_MS * 1000000l };
	int64_t deadline = clock_ms() + SETTLE_MS;

	while (is_active(domain)) {
		if (!clock_left(deadline))
			return false;
		nanosleep(&time, NULL);
	}
	return true;
}

/* ------------------------------------------------------------------------
 * The source
 * ------------------------------------------------------------------------ */

static int autostart_off(struct keeper *k, struct failure *why)
{
	int autostarted = is_autostarted(k->domain, why);

	if (autostarted <= 0)
		return autostarted;
	k->autostart = true;
	return virsh_do(why, "autostart", "--disable", k->domain, NULL);
}

static int leave_begin(struct keeper *k, struct failure *why)
{
	if (read_domain(k, why))
		return -1;
	if (!is_active(k->domain))
		return fail(why, "domain %s does not run", k->read.name);
	return check_xml(k, why) || autostart_off(k, why) ? -1 : 0;
}

static void left(const struct keeper *k)
{
	if (!await_end(k->domain))
		log_warn("libvirt has not noticed that domain %s ended here: see virsh list; destroy it, it must never run here again",
			 k->read.name);
	else if (k->autostart)
		log_info("domain %s does not start with this host any more; where it is now: virsh autostart %s",
			 k->read.name, k->read.name);
}

static void stayed(const struct keeper *k)
{
	struct failure why = { 0 };

	if (k->autostart && virsh_do(&why, "autostart", k->domain, NULL))
		log_warn("domain %s stays here, but does not start with this host any more: %s",
			 k->read.name, why.text);
}

static void leave_end(const struct keeper *k, int status)
{
	if (status == EXIT_DONE || status == EXIT_HELD)
		left(k);
	else if (status == EXIT_FAILED)
		stayed(k);
	else
		log_warn("do not resume or start domain %s before kvmferry recover says that it is here%s",
			 k->read.name, k->autostart ? "; it does not start with this host any more" : "");
}

/* ------------------------------------------------------------------------
 * The target
 * ------------------------------------------------------------------------ */

static int read_file(struct keeper *k, const char *path, struct failure *why)
{
	FILE *file = strcmp(path, "-") != 0 ? fopen(path, "re") : stdin;
	size_t size = 0;

	k->xml = malloc(VIRSH_MAX);
	if (file && k->xml)
		size = fread(k->xml, 1, VIRSH_MAX - 1, file);
	if (!size)
		fail(why, "%s: no XML of a domain: %s", path, file ? "it is empty" : strerror(errno));
	else
		k->xml[size] = '\0';
	if (file && file != stdin)
		fclose(file);
	return size ? 0 : -1;
}

static int start(struct keeper *k, struct failure *why)
{
	char *xml = domxml_incoming(k->xml, why), *said = NULL;

	if (xml)
		said = virsh(xml, why, "create", "/dev/stdin", "--paused", NULL);
	free(xml);
	return virsh_said(said);
}

static int enter_begin(struct keeper *k, struct failure *why)
{
	char *settled = domxml_settled(k->xml, why);

	if (!settled)
		return -1;
	free(k->xml);
	k->xml = settled;
	if (domxml_read(&k->read, k->xml, why))
		return -1;
	if (!k->read.uuid[0])
		return fail(why, "the XML has no <uuid>; it has to be what virsh dumpxml --migratable prints at the source");
	snprintf(k->domain, sizeof(k->domain), "%s", k->read.uuid);
	if (check_xml(k, why))
		return -1;
	if (is_autostarted(k->domain, NULL) > 0)
		return fail(why, "domain %s is started with this host, while the VM is on another: virsh autostart --disable %s",
			    k->read.name, k->read.name);
	return start(k, why);
}

static void entered(const struct keeper *k)
{
	struct failure why = { 0 };

	if (virsh_said(virsh(k->xml, &why, "define", "/dev/stdin", NULL)))
		log_warn("domain %s runs here, but is gone once it is shut down, as it could not be defined: %s",
			 k->read.name, why.text);
}

static void not_entered(const struct keeper *k)
{
	struct failure why = { 0 };

	if (!k->keep && is_active(k->domain) && virsh_do(&why, "destroy", k->domain, NULL) &&
	    is_active(k->domain))
		log_warn("domain %s still waits here: %s", k->read.name, why.text);
}

static void enter_end(const struct keeper *k, int status)
{
	if (status == EXIT_DONE || status == EXIT_HELD)
		entered(k);
	else if (status == EXIT_FAILED)
		not_entered(k);
	else
		log_warn("do not resume, start or destroy domain %s before kvmferry recover says where it is; it is not defined here",
			 k->read.name);
}

/* ------------------------------------------------------------------------
 * The keeper
 * ------------------------------------------------------------------------ */

struct side {
	int (*begin)(struct keeper *k, struct failure *why);
	void (*end)(const struct keeper *k, int status);
};

static const struct side leaving = { leave_begin, leave_end };
static const struct side entering = { enter_begin, enter_end };

static int hear(int fd)
{
	unsigned char status;
	ssize_t n;

	do {
		n = read(fd, &status, 1);
	} while (n < 0 && errno == EINTR);
	return n == 1 ? status : AGENT_DIED;
}

__attribute__((noreturn))
static void keep(const struct side *side, struct keeper *k, int fd)
{
	struct answer answer = { 0 };

	answer.ready = !side->begin(k, &answer.why);
	snprintf(answer.qmp, sizeof(answer.qmp), "%s", k->read.qmp);
	/* an agent that is not there any more has not begun */
	if (write(fd, &answer, sizeof(answer)) != sizeof(answer))
		side->end(k, EXIT_FAILED);
	else if (answer.ready)
		side->end(k, hear(fd));
	_exit(0);
}

static int begin(struct domain *d, const struct side *side, struct keeper *k,
		 struct failure *why)
{
	struct answer answer = { 0 };

	d->keeper = helper_fork(&d->fd);
	if (!d->keeper)
		keep(side, k, d->fd);
	if (d->keeper < 0)
		return fail(why, "cannot begin a process for libvirt: %s", strerror(errno));
	if (recv(d->fd, &answer, sizeof(answer), 0) == sizeof(answer) && answer.ready) {
		snprintf(d->qmp, sizeof(d->qmp), "%s", answer.qmp);
		return 0;
	}
	helper_end(d->keeper, d->fd);
	return fail(why, "%s", answer.why.text[0] ? answer.why.text :
		    "the process for libvirt has ended");
}

int domain_leave(struct domain *d, const char *name, struct failure *why)
{
	struct keeper k = { 0 };

	snprintf(k.domain, sizeof(k.domain), "%s", name);
	return begin(d, &leaving, &k, why);
}

int domain_enter(struct domain *d, const char *file, bool keep, struct failure *why)
{
	struct keeper k = { .keep = keep };
	int result = read_file(&k, file, why) ? -1 : begin(d, &entering, &k, why);

	free(k.xml);
	return result;
}

enum exit_status domain_close(struct domain *d, enum exit_status status)
{
	unsigned char byte = (unsigned char)status;

	if (write(d->fd, &byte, 1) != 1)
		log_warn("the process that deals with libvirt has gone: see virsh list");
	helper_end(d->keeper, d->fd);
	return status;
}

/* ------------------------------------------------------------------------
 * A look
 * ------------------------------------------------------------------------ */

int domain_check(const char *name, char qmp[DOMAIN_SOCKET], check_line_fn *line, void *opaque)
{
	struct keeper k = { 0 };
	struct failure why = { 0 };
	int failures;
	bool active;

	qmp[0] = '\0';
	snprintf(k.domain, sizeof(k.domain), "%s", name);
	if (read_domain(&k, &why)) {
		line(opaque, CHECK_FAIL, "domain", why.text);
		free(k.xml);
		return 1;
	}
	active = is_active(k.domain);
	line(opaque, active ? CHECK_PASS : CHECK_FAIL, "domain", active ?
	     "libvirt has it, and its QEMU is there" :
	     "it does not run, so only its definition can be looked at; start it to have all of it checked");
	failures = domxml_check(&k.read, line, opaque) + !active;
	if (active && k.read.qmp[0])
		snprintf(qmp, DOMAIN_SOCKET, "%s", k.read.qmp);
	free(k.xml);
	return failures;
}
