// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The XML of a libvirt domain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domxml.h"

#define PATH_SIZE	512

/* ------------------------------------------------------------------------
 * The scanner
 * ------------------------------------------------------------------------ */

/*
 * Where it is. @path has the names of the open elements ("domain/devices/disk");
 * @attributes and @text are the inside of the last tag, and what stands between it and
 * the next.
 */
struct scan {
	const char *at;
	char path[PATH_SIZE];
	bool empty;		/* the last tag was <empty/>: it is open no more */
	const char *attributes, *text;
	size_t attributes_size, text_size;
};

/* What begins like this ends like that, and is nothing to us. */
static const struct {
	const char *begin, *end;
} skipped[] = {
	{ "<!--", "-->" },
	{ "<![CDATA[", "]]>" },
	{ "<!", ">" },
	{ "<?", "?>" },
};

static bool skip(struct scan *s)
{
	for (size_t i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
		const char *end;

		if (strncmp(s->at, skipped[i].begin, strlen(skipped[i].begin)) != 0)
			continue;
		end = strstr(s->at, skipped[i].end);
		s->at = end ? end + strlen(skipped[i].end) : s->at + strlen(s->at);
		return true;
	}
	return false;
}

static void leave(struct scan *s)
{
	char *last = strrchr(s->path, '/');

	*(last ? last : s->path) = '\0';
}

static void enter(struct scan *s, const char *name, size_t size)
{
	size_t used = strlen(s->path);

	snprintf(s->path + used, sizeof(s->path) - used, "%s%.*s", used ? "/" : "", (int)size, name);
}

enum step { STEP_BEGIN, STEP_END, STEP_OVER };

/* The next tag: an element's begin, or an end. Of <empty/> only the begin is told. */
static enum step next(struct scan *s)
{
	const char *name, *end;
	size_t size;

	if (s->empty)
		leave(s);
	s->empty = false;
	do {
		s->at += strcspn(s->at, "<");
	} while (skip(s));
	end = strchr(s->at, '>');
	if (!end)
		return STEP_OVER;
	name = s->at + 1;
	s->at = end + 1;
	if (*name == '/') {
		leave(s);
		return STEP_END;
	}
	s->empty = end[-1] == '/';
	size = strcspn(name, " \t\r\n/>");
	s->attributes = name + size;
	s->attributes_size = (size_t)(end - s->attributes);
	s->text = s->at;
	s->text_size = s->empty ? 0 : strcspn(s->at, "<");
	enter(s, name, size);
	return STEP_BEGIN;
}

/* Copies without entities; what does not fit is left out. */
static void copy(char to[DOMXML_WORD], const char *from, size_t size)
{
	static const struct {
		const char *entity;
		char c;
	} entities[] = {
		{ "&lt;", '<' }, { "&gt;", '>' }, { "&amp;", '&' },
		{ "&apos;", '\'' }, { "&quot;", '"' },
	};
	const char *end = from + size;
	size_t n = 0;

	while (from < end && n + 1 < DOMXML_WORD) {
		size_t length = 1;

		to[n] = *from;
		for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
			if (!strncmp(from, entities[i].entity, strlen(entities[i].entity))) {
				to[n] = entities[i].c;
				length = strlen(entities[i].entity);
			}
		from += length;
		n++;
	}
	to[n] = '\0';
}

/* An attribute of the last tag; empty if it has none of that name. */
static const char *attribute(const struct scan *s, const char *name, char value[DOMXML_WORD])
{
	const char *at = s->attributes, *end = at + s->attributes_size;
	size_t length = strlen(name);

	value[0] = '\0';
	for (; at + length + 2 < end; at++) {
		const char *quote = at + length + 2, *close;

		if (!strchr(" \t\r\n", at[0]) || strncmp(at + 1, name, length) != 0 ||
		    quote[-1] != '=')
			continue;
		close = memchr(quote + 1, *quote, (size_t)(end - quote - 1));
		if (close)
			copy(value, quote + 1, (size_t)(close - quote - 1));
		break;
	}
	return value;
}

static bool is_at(const struct scan *s, const char *path)
{
	return !strcmp(s->path, path);
}

static bool has(const struct scan *s, const char *name, const char *value)
{
	char word[DOMXML_WORD];

	return !strcmp(attribute(s, name, word), value);
}

/* ------------------------------------------------------------------------
 * What a domain says
 * ------------------------------------------------------------------------ */

/* One disk, of which the elements come one by one. */
struct domdisk {
	char name[DOMXML_WORD], path[DOMXML_WORD];
	bool stops;
};

static void read_words(struct domxml *d, const struct scan *s)
{
	if (is_at(s, "domain/name"))
		copy(d->name, s->text, s->text_size);
	else if (is_at(s, "domain/uuid"))
		copy(d->uuid, s->text, s->text_size);
	else if (is_at(s, "domain/on_poweroff"))
		copy(d->poweroff, s->text, s->text_size);
}

static void read_memory(struct domxml *d, const struct scan *s)
{
	if (is_at(s, "domain/memoryBacking/source"))
		attribute(s, "type", d->source);
	else if (is_at(s, "domain/memoryBacking/access"))
		attribute(s, "mode", d->access);
	else if (is_at(s, "domain/memoryBacking/hugepages"))
		d->hugepages = true;
	else if (is_at(s, "domain/cpu/numa/cell")) {
		d->cells++;
		d->shared_cells += has(s, "memAccess", "shared");
		d->private_cells += has(s, "memAccess", "private");
	}
}

/* -qmp unix:PATH,server=on,wait=off, as two arguments. */
static void read_argument(struct domxml *d, const struct scan *s, bool *named)
{
	static const char prefix[] = "unix:";
	char value[DOMXML_WORD];

	if (!is_at(s, "domain/qemu:commandline/qemu:arg"))
		return;
	attribute(s, "value", value);
	if (*named && !strncmp(value, prefix, sizeof(prefix) - 1)) {
		value[strcspn(value, ",")] = '\0';
		copy(d->qmp, value + sizeof(prefix) - 1, strlen(value) - sizeof(prefix) + 1);
	}
	*named = !strcmp(value, "-qmp");
}

/* Devices that write to RAM unseen, and other processes that map it. */
static void read_device(struct domxml *d, const struct scan *s)
{
	static const struct {
		const char *path, *name, *value, *words;
	} fixed[] = {
		{ "domain/devices/hostdev", NULL, NULL, "<hostdev>" },
		{ "domain/devices/interface", "type", "hostdev", "<interface type='hostdev'>" },
		{ "domain/devices/interface", "type", "vdpa", "<interface type='vdpa'>" },
		{ "domain/devices/interface", "type", "vhostuser", "<interface type='vhostuser'>" },
		{ "domain/devices/disk", "type", "vhostuser", "<disk type='vhostuser'>" },
		{ "domain/devices/disk", "type", "vhostvdpa", "<disk type='vhostvdpa'>" },
		{ "domain/devices/filesystem/driver", "type", "virtiofs",
		  "<filesystem> with <driver type='virtiofs'>" },
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (is_at(s, fixed[i].path) &&
		    (!fixed[i].name || has(s, fixed[i].name, fixed[i].value)))
			snprintf(d->fixed, sizeof(d->fixed), "%s", fixed[i].words);
}

static void read_disk(struct domdisk *disk, const struct scan *s)
{
	if (is_at(s, "domain/devices/disk"))
		*disk = (struct domdisk){ 0 };
	else if (is_at(s, "domain/devices/disk/source"))
		attribute(s, "dev", disk->path);
	else if (is_at(s, "domain/devices/disk/target"))
		attribute(s, "dev", disk->name);
	else if (is_at(s, "domain/devices/disk/driver"))
		disk->stops = has(s, "error_policy", "stop") &&
			      (has(s, "rerror_policy", "stop") || has(s, "rerror_policy", ""));
}

/* Only behind device-mapper can it be a target ferry. */
static void judge_disk(struct domxml *d, struct domdisk *disk)
{
	static const char mapper[] = "/dev/mapper/";

	if (disk->name[0] && !disk->stops && !strncmp(disk->path, mapper, sizeof(mapper) - 1))
		copy(d->disk, disk->name, strlen(disk->name));
	*disk = (struct domdisk){ 0 };
}

void domxml_read(struct domxml *d, const char *xml)
{
	struct scan s = { .at = xml };
	struct domdisk disk = { 0 };
	bool named = false;
	enum step step;

	*d = (struct domxml){ 0 };
	while ((step = next(&s)) != STEP_OVER) {
		if (step == STEP_END) {
			if (is_at(&s, "domain/devices"))
				judge_disk(d, &disk);
			continue;
		}
		read_words(d, &s);
		read_memory(d, &s);
		read_argument(d, &s, &named);
		read_device(d, &s);
		read_disk(&disk, &s);
	}
}

/* ------------------------------------------------------------------------
 * What is wrong with it
 * ------------------------------------------------------------------------ */

static bool is_shared(const struct domxml *d)
{
	if (d->cells && d->shared_cells == d->cells)
		return true;
	return !strcmp(d->access, "shared") && !d->private_cells;
}

static bool file_ok(const struct domxml *d) { return !strcmp(d->source, "file"); }
static bool huge_ok(const struct domxml *d) { return !d->hugepages; }
static bool qmp_ok(const struct domxml *d) { return d->qmp[0]; }
static bool fixed_ok(const struct domxml *d) { return !d->fixed[0]; }
static bool disk_ok(const struct domxml *d) { return !d->disk[0]; }
static bool poweroff_ok(const struct domxml *d) { return strcmp(d->poweroff, "restart") != 0; }

static const struct {
	const char *name;
	bool (*ok)(const struct domxml *d);
	enum check_result otherwise;
	const char *well;
	const char *remedy;
} checks[] = {
	{ "XML: RAM", file_ok, CHECK_FAIL, "RAM is in a file",
	  "RAM is not in a file; put <source type='file'/> into <memoryBacking>, which stands in <domain>, and have memory_backing_dir of /etc/libvirt/qemu.conf on a tmpfs" },
	{ "XML: sharing", is_shared, CHECK_FAIL, "RAM is mapped shared",
	  "RAM is mapped privately; put <access mode='shared'/> into <memoryBacking>, and take memAccess='private' out of <cell>" },
	{ "XML: huge pages", huge_ok, CHECK_FAIL, "RAM is not on huge pages",
	  "RAM is on hugetlbfs; take <hugepages/> out of <memoryBacking> (transparent huge pages do no harm)" },
	{ "XML: QMP", qmp_ok, CHECK_FAIL, "there is a QMP socket besides libvirt's own",
	  "there is no QMP socket but libvirt's own; put <qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='unix:/var/lib/libvirt/qemu/NAME.kvmferry,server=on,wait=off'/></qemu:commandline> before </domain>, and xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' into <domain>" },
	{ "XML: devices", fixed_ok, CHECK_FAIL, "no device is bound to this host",
	  "the VM has a %s, which is bound to this host or maps its RAM; take it out, or detach it while the VM is moved" },
	{ "XML: disks", disk_ok, CHECK_WARN, "no disk behind device-mapper tells its errors to the VM",
	  "requests of disk %s cannot be cancelled; put error_policy='stop' rerror_policy='stop' into its <driver>" },
	{ "XML: power-off", poweroff_ok, CHECK_FAIL, "libvirt does not reset it once it has gone",
	  "libvirt would try to reset and continue the VM here once it has gone; put <on_poweroff>destroy</on_poweroff> into <domain>" },
};

int domxml_check(const struct domxml *d, check_line_fn *line, void *opaque)
{
	int failures = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		bool ok = checks[i].ok(d);
		struct failure text = { 0 };

		/* Only these two have a %s, and only one of them can be meant. */
		snprintf(text.text, sizeof(text.text), ok ? checks[i].well : checks[i].remedy,
			 checks[i].ok == disk_ok ? d->disk : d->fixed);
		line(opaque, ok ? CHECK_PASS : checks[i].otherwise, checks[i].name, text.text);
		failures += !ok && checks[i].otherwise == CHECK_FAIL;
	}
	return failures;
}

/* ------------------------------------------------------------------------
 * Waiting for a VM
 * ------------------------------------------------------------------------ */

#define INCOMING	"<qemu:arg value='-incoming'/>"
#define DEFER		"<qemu:arg value='defer'/>"

char *domxml_incoming(const char *xml, struct failure *why)
{
	const char *at = strstr(xml, "</qemu:commandline>");
	char *incoming = NULL;

	if (!at)
		fail(why, "the XML has no <qemu:commandline>, and so no QMP socket for kvmferry: kvmferry check --domain tells at the source what to put in");
	else if (asprintf(&incoming, "%.*s" INCOMING DEFER "%s", (int)(at - xml), xml, at) < 0)
		fail(why, "no memory");
	return at ? incoming : NULL;
}

/* As libvirt prints them: one after the other, with blanks between. */
void domxml_settle(char *xml)
{
	char *at = xml, *end;

	while ((at = strstr(at, INCOMING))) {
		end = at + strlen(INCOMING);
		end += strspn(end, " \t\r\n");
		if (!strncmp(end, DEFER, strlen(DEFER)))
			memmove(at, end + strlen(DEFER), strlen(end + strlen(DEFER)) + 1);
		else
			at = end;
	}
}
