// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the XML of a libvirt domain says, and what is told of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "domxml.h"

#define MEMORY	"<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"
#define QMP	"<qemu:arg value='-qmp'/>\n<qemu:arg value='unix:/run/vm1.qmp,server=on,wait=off'/>"
#define WAITS	"<qemu:arg value='-incoming'/>\n    <qemu:arg value='defer'/>"

/* A domain of these parts. */
static const char *domain(const char *memory, const char *devices, const char *arguments)
{
	static char xml[4096];

	snprintf(xml, sizeof(xml),
		 "<?xml version='1.0'?>\n<!-- <name>no</name> -->\n"
		 "<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
		 "  <name>a&amp;b</name>\n  <uuid>6b766d66-6572-7279-0000-000000000001</uuid>\n"
		 "  %s\n  <on_poweroff>destroy</on_poweroff>\n"
		 "  <devices>%s<serial type='pipe'><source path='/x'/></serial></devices>\n"
		 "  <qemu:commandline>\n    %s\n  </qemu:commandline>\n</domain>\n",
		 memory, devices, arguments);
	return xml;
}

/* Which lines were not well, and their words. */
struct told {
	char names[256], words[2048];
};

static void note(void *opaque, enum check_result result, const char *name, const char *text)
{
	struct told *t = opaque;

	if (result == CHECK_PASS)
		return;
	snprintf(t->names + strlen(t->names), sizeof(t->names) - strlen(t->names), "%s%s;",
		 result == CHECK_WARN ? "warn " : "", name);
	snprintf(t->words + strlen(t->words), sizeof(t->words) - strlen(t->words), "%s\n", text);
}

static struct told told;

static struct domxml read_well(const char *xml)
{
	struct failure why = { 0 };
	struct domxml d;

	if (domxml_read(&d, xml, &why))
		fail_msg("%s", why.text);
	return d;
}

/* Checks one, and returns how many failures there are. */
static int look(const char *xml)
{
	struct domxml d = read_well(xml);

	told = (struct told){ 0 };
	return domxml_check(&d, note, &told);
}

#define assert_tells(part) assert_non_null(strstr(told.words, part))

static void test_what_is_read(void **state)
{
	struct domxml d = read_well(domain(MEMORY, "", QMP));

	(void)state;
	assert_string_equal(d.name, "a&b");
	assert_string_equal(d.uuid, "6b766d66-6572-7279-0000-000000000001");
	assert_string_equal(d.qmp, "/run/vm1.qmp");
	assert_string_equal(d.source, "file");
	assert_string_equal(d.access, "shared");
	assert_string_equal(d.poweroff, "destroy");
}

/* What elements mean depends on where they stand; a prefix is but a name for a name space. */
static void test_where_it_stands(void **state)
{
	struct domxml d = read_well("<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
		"<metadata><name>no</name><on_poweroff>restart</on_poweroff></metadata><name><![CDATA[a<b]]></name>"
		"<q:commandline><q:arg value='-qmp'/><q:arg value='stdio'/>"
		"<q:arg value='-qmp'/><q:arg value='unix:/a'/></q:commandline></domain>");

	(void)state;
	assert_string_equal(d.name, "a<b");
	assert_string_equal(d.poweroff, "");
	assert_string_equal(d.qmp, "/a");
}

static void test_a_good_domain_passes(void **state)
{
	(void)state;
	assert_int_equal(look(domain(MEMORY, "", QMP)), 0);
	assert_string_equal(told.names, "");
}

static void test_each_part_that_is_missing(void **state)
{
	(void)state;
	assert_int_equal(look(domain("", "", QMP)), 2);
	assert_string_equal(told.names, "XML: RAM;XML: sharing;");
	assert_tells("<source type='file'/>");
	assert_tells("<access mode='shared'/>");

	look(domain("<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
		    "", QMP));
	assert_string_equal(told.names, "XML: RAM;");

	look(domain("<memoryBacking><source type='file'/><access mode='private'/></memoryBacking>",
		    "", QMP));
	assert_string_equal(told.names, "XML: sharing;");

	look(domain("<memoryBacking><hugepages/><source type='file'/><access mode='shared'/></memoryBacking>",
		    "", QMP));
	assert_string_equal(told.names, "XML: huge pages;");

	look(domain(MEMORY, "", "<qemu:arg value='-snapshot'/>"));
	assert_string_equal(told.names, "XML: QMP;");
	assert_tells("<qemu:arg value='-qmp'/>");
	assert_tells("xmlns:qemu=");
}

static void test_power_off(void **state)
{
	char *xml = strdup(domain(MEMORY, "", QMP));
	char *at = strstr(xml, "destroy");

	(void)state;
	memcpy(at, "restart", 7);
	assert_int_equal(look(xml), 1);
	assert_string_equal(told.names, "XML: power-off;");
	free(xml);
}

static void test_numa_cells(void **state)
{
	static const char file[] = "<memoryBacking><source type='file'/></memoryBacking>";
	char xml[512];

	(void)state;
	snprintf(xml, sizeof(xml), "%s<cpu><numa><cell id='0' memAccess='shared'/>"
		 "<cell id='1' memAccess='shared'/></numa></cpu>", file);
	assert_int_equal(look(domain(xml, "", QMP)), 0);
	snprintf(xml, sizeof(xml), "%s<cpu><numa><cell id='0' memAccess='shared'/>"
		 "<cell id='1'/></numa></cpu>", file);
	assert_int_equal(look(domain(xml, "", QMP)), 1);
	snprintf(xml, sizeof(xml), MEMORY "<cpu><numa><cell id='0'/>"
		 "<cell id='1' memAccess='private'/></numa></cpu>");
	assert_int_equal(look(domain(xml, "", QMP)), 1);
	assert_string_equal(told.names, "XML: sharing;");
}

static void test_devices(void **state)
{
	static const char *const bound[] = {
		"<hostdev mode='subsystem' type='pci'/>",
		"<interface type='hostdev'></interface>",
		"<interface type=\"vhostuser\"></interface>",
		"<filesystem type='mount'><driver type='virtiofs'/></filesystem>",
		"<disk type='vhostuser' device='disk'></disk>",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bound) / sizeof(bound[0]); i++) {
		assert_int_equal(look(domain(MEMORY, bound[i], QMP)), 1);
		assert_string_equal(told.names, "XML: devices;");
	}
	assert_int_equal(look(domain(MEMORY, "<interface type='bridge'/>"
				     "<filesystem type='mount'><driver type='path'/></filesystem>",
				     QMP)), 0);
	assert_string_equal(told.names, "");
}

/* A disk with these attributes of its driver, on this device. */
static const char *mapped(const char *driver, const char *device)
{
	static char xml[512];

	snprintf(xml, sizeof(xml), "<disk type='block'><driver name='qemu' %s/>"
		 "<source dev='%s'><seclabel model='dac'></seclabel></source>"
		 "<target dev='vdb'/></disk>", driver, device);
	return xml;
}

static void test_disks(void **state)
{
	(void)state;
	assert_int_equal(look(domain(MEMORY, mapped("", "/dev/mapper/vm1"), QMP)), 0);
	assert_string_equal(told.names, "warn XML: disks;");
	assert_tells("disk vdb");
	look(domain(MEMORY, mapped("error_policy='stop'", "/dev/mapper/vm1"), QMP));
	assert_string_equal(told.names, "");
	look(domain(MEMORY, mapped("error_policy='stop' rerror_policy='report'", "/dev/mapper/vm1"),
		    QMP));
	assert_string_equal(told.names, "warn XML: disks;");
	look(domain(MEMORY, mapped("", "/dev/sdb"), QMP));
	assert_string_equal(told.names, "");
}

static char *settle(const char *xml)
{
	struct failure why = { 0 };
	char *settled = domxml_settled(xml, &why);

	if (!settled)
		fail_msg("%s", why.text);
	return settled;
}

static void test_waiting(void **state)
{
	char *settled = settle(domain(MEMORY, "", QMP)), *waiting, *again;
	struct failure why = { 0 };

	(void)state;
	waiting = domxml_incoming(settled, &why);
	assert_non_null(waiting);
	assert_non_null(strstr(waiting, "value=\"-incoming\"/><qemu:arg value=\"defer\"/></qemu:commandline>"));
	again = settle(waiting);
	assert_string_equal(again, settled);
	free(again);
	free(waiting);
	free(settled);

	/* as libvirt prints it, and if somebody had it twice */
	settled = settle(domain(MEMORY, "", QMP WAITS WAITS));
	assert_null(strstr(settled, "incoming"));
	assert_null(strstr(settled, "defer"));
	assert_int_equal(look(settled), 0);
	free(settled);

	assert_null(domxml_incoming("<domain></domain>", &why));
	assert_non_null(strstr(why.text, "qemu:commandline"));
}

/* Whatever is cut off is no XML, and is said to be none. */
static void test_cut_short(void **state)
{
	char *whole = strdup(domain(MEMORY, mapped("", "/dev/mapper/vm1"), QMP WAITS));
	struct domxml d;

	(void)state;
	for (size_t size = 0; size < strlen(whole) - 1; size++) {
		char *cut = strndup(whole, size);
		struct failure why = { 0 };

		assert_int_equal(domxml_read(&d, cut, &why), -1);
		assert_non_null(strstr(why.text, "the XML of the domain cannot be read"));
		assert_null(domxml_settled(cut, &why));
		assert_null(domxml_incoming(cut, &why));
		free(cut);
	}
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_read),
		cmocka_unit_test(test_where_it_stands),
		cmocka_unit_test(test_a_good_domain_passes),
		cmocka_unit_test(test_each_part_that_is_missing),
		cmocka_unit_test(test_power_off),
		cmocka_unit_test(test_numa_cells),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_disks),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests_name("domxml", tests, NULL, NULL);
}
