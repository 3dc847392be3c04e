// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The XML of a libvirt domain.
 */
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "domxml.h"

#define QEMU_NAMESPACE	"http://libvirt.org/schemas/domain/qemu/1.0"

/* ------------------------------------------------------------------------
 * A document, and questions to it in XPath
 * ------------------------------------------------------------------------ */

static int no_xml(struct failure *why)
{
	const xmlError *error = xmlGetLastError();
	const char *text = error && error->message ? error->message : "";

	return fail(why, "the XML of the domain cannot be read: line %d: %.*s", error ? error->line : 0,
		    (int)strcspn(text, "\n"), text);
}

static xmlXPathContext *query_open(const char *xml, struct failure *why)
{
	xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
				    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlXPathContext *query = doc ? xmlXPathNewContext(doc) : NULL;

	if (!doc)
		no_xml(why);
	else if (query && !xmlXPathRegisterNs(query, BAD_CAST "qemu", BAD_CAST QEMU_NAMESPACE))
		return query;
	else
		fail(why, "no memory");
	xmlXPathFreeContext(query);
	xmlFreeDoc(doc);
	return NULL;
}

static void query_close(xmlXPathContext *query)
{
	xmlDoc *doc = query->doc;

	xmlXPathFreeContext(query);
	xmlFreeDoc(doc);
}

/* What stands at @path; empty if nothing does. What does not fit is left out. */
static void text_at(xmlXPathContext *query, const char *path, char text[DOMXML_WORD])
{
	xmlXPathObject *found = xmlXPathEvalExpression(BAD_CAST path, query);
	xmlChar *string = xmlXPathCastToString(found);

	snprintf(text, DOMXML_WORD, "%s", string ? (const char *)string : "");
	xmlFree(string);
	xmlXPathFreeObject(found);
}

static unsigned int found_nodes(const xmlXPathObject *found)
{
	return found && found->nodesetval ? (unsigned int)found->nodesetval->nodeNr : 0;
}

static unsigned int count_of(xmlXPathContext *query, const char *path)
{
	xmlXPathObject *found = xmlXPathEvalExpression(BAD_CAST path, query);
	unsigned int count = found_nodes(found);

	xmlXPathFreeObject(found);
	return count;
}

/* ------------------------------------------------------------------------
 * What a domain says
 * ------------------------------------------------------------------------ */

#define WORD(member)	offsetof(struct domxml, member)

static const struct {
	size_t word;
	const char *path;
} words[] = {
	{ WORD(name), "/domain/name" },
	{ WORD(uuid), "/domain/uuid" },
	{ WORD(poweroff), "/domain/on_poweroff" },
	{ WORD(source), "/domain/memoryBacking/source/@type" },
	{ WORD(access), "/domain/memoryBacking/access/@mode" },
	/* -qmp unix:PATH,server=on,wait=off, as two arguments */
	{ WORD(qmp), "substring-before(concat(substring-after(/domain/qemu:commandline/qemu:arg"
		     "[preceding-sibling::*[1]/@value='-qmp'][starts-with(@value, 'unix:')]/@value,"
		     " 'unix:'), ','), ',')" },
	/* Only behind device-mapper can a disk be a target ferry. */
	{ WORD(disk), "/domain/devices/disk[starts-with(source/@dev, '/dev/mapper/')]"
		      "[not(driver/@error_policy='stop') or driver/@rerror_policy!='stop']/target/@dev" },
};

/* Devices that write to RAM unseen, and other processes that map it. */
static const struct {
	const char *path, *words;
} fixed[] = {
	{ "/domain/devices/hostdev", "<hostdev>" },
	{ "/domain/devices/interface[@type='hostdev']", "<interface type='hostdev'>" },
	{ "/domain/devices/interface[@type='vdpa']", "<interface type='vdpa'>" },
	{ "/domain/devices/interface[@type='vhostuser']", "<interface type='vhostuser'>" },
	{ "/domain/devices/disk[@type='vhostuser']", "<disk type='vhostuser'>" },
	{ "/domain/devices/disk[@type='vhostvdpa']", "<disk type='vhostvdpa'>" },
	{ "/domain/devices/filesystem[driver/@type='virtiofs']",
	  "<filesystem> with <driver type='virtiofs'>" },
};

int domxml_read(struct domxml *d, const char *xml, struct failure *why)
{
	xmlXPathContext *query = query_open(xml, why);
	size_t i;

	*d = (struct domxml){ 0 };
	if (!query)
		return -1;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		text_at(query, words[i].path, (char *)d + words[i].word);
	d->hugepages = count_of(query, "/domain/memoryBacking/hugepages");
	d->cells = count_of(query, "/domain/cpu/numa/cell");
	d->shared_cells = count_of(query, "/domain/cpu/numa/cell[@memAccess='shared']");
	d->private_cells = count_of(query, "/domain/cpu/numa/cell[@memAccess='private']");
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (count_of(query, fixed[i].path))
			snprintf(d->fixed, sizeof(d->fixed), "%s", fixed[i].words);
	query_close(query);
	return 0;
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

/* The document as text, to be freed. */
static char *print(xmlDoc *doc, struct failure *why)
{
	xmlChar *printed = NULL;
	char *text = NULL;
	int size;

	xmlDocDumpMemory(doc, &printed, &size);
	if (printed)
		text = strdup((const char *)printed);
	xmlFree(printed);
	if (!text)
		fail(why, "no memory");
	return text;
}

static int add_argument(xmlNode *commandline, const char *value, struct failure *why)
{
	xmlNode *argument = xmlNewChild(commandline, commandline->ns, BAD_CAST "arg", NULL);

	return argument && xmlNewProp(argument, BAD_CAST "value", BAD_CAST value) ? 0 :
		fail(why, "no memory");
}

char *domxml_incoming(const char *xml, struct failure *why)
{
	xmlXPathContext *query = query_open(xml, why);
	xmlXPathObject *found;
	char *incoming = NULL;

	if (!query)
		return NULL;
	found = xmlXPathEvalExpression(BAD_CAST "/domain/qemu:commandline", query);
	if (!found_nodes(found))
		fail(why, "the XML has no <qemu:commandline>, and so no QMP socket for kvmferry: kvmferry check --domain tells at the source what to put in");
	else if (!add_argument(found->nodesetval->nodeTab[0], "-incoming", why) &&
		 !add_argument(found->nodesetval->nodeTab[0], "defer", why))
		incoming = print(query->doc, why);
	xmlXPathFreeObject(found);
	query_close(query);
	return incoming;
}

char *domxml_settled(const char *xml, struct failure *why)
{
	xmlXPathContext *query = query_open(xml, why);
	xmlXPathObject *found;
	char *settled;

	if (!query)
		return NULL;
	found = xmlXPathEvalExpression(BAD_CAST
		"/domain/qemu:commandline/qemu:arg[@value='-incoming'][following-sibling::*[1][@value='defer']]",
		query);
	for (unsigned int i = 0; i < found_nodes(found); i++) {
		xmlNode *incoming = found->nodesetval->nodeTab[i], *defer = xmlNextElementSibling(incoming);

		xmlUnlinkNode(defer);
		xmlFreeNode(defer);
		xmlUnlinkNode(incoming);
		xmlFreeNode(incoming);
		found->nodesetval->nodeTab[i] = NULL;
	}
	xmlXPathFreeObject(found);
	settled = print(query->doc, why);
	query_close(query);
	return settled;
}
