// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding the disks of a VM. vmdisks.h tells what is looked for.
 */
#include <stdio.h>
#include <string.h>

#include "vmdisks.h"

#define READ_WRITE_FLUSH	(1u << FERRY_DISK_READ | 1u << FERRY_DISK_WRITE | \
				 1u << FERRY_DISK_FLUSH)

/* What a device of the guest leaves in its device state when it fails. */
static const struct {
	const char *type;
	const char *controller;	/* that it must sit on; NULL: any */
	uint32_t kinds;
} models[] = {
	{ "virtio-blk-device", NULL,
	  READ_WRITE_FLUSH | 1u << FERRY_DISK_DISCARD | 1u << FERRY_DISK_WRITE_ZEROES },
	/* Not UNMAP and WRITE SAME: the target's QEMU breaks down over them. */
	{ "scsi-hd", "virtio-scsi-device", READ_WRITE_FLUSH },
};

/* A property of a QOM object that is text, or "" without it. */
static void property(struct qmp *qmp, const char *path, const char *name, char *text,
		     size_t size)
{
	json_t *value = qmp_execute(qmp, QMP_TIMEOUT, NULL, "qom-get", "{s:s, s:s}",
				    "path", path, "property", name);
	const char *string = json_string_value(value);

	snprintf(text, size, "%s", string ? string : "");
	json_decref(value);
}

static bool property_is(struct qmp *qmp, const char *path, const char *name,
			const char *wanted)
{
	char text[64];

	property(qmp, path, name, text, sizeof(text));
	return !strcmp(text, wanted);
}

/* Does the device at @path sit on a bus of a @controller? */
static bool sits_on(struct qmp *qmp, const char *path, const char *controller)
{
	char bus[256], *end;

	property(qmp, path, "parent_bus", bus, sizeof(bus));
	end = strrchr(bus, '/');
	if (!end)
		return false;
	*end = '\0';
	return property_is(qmp, bus, "type", controller);
}

static uint32_t kinds_of(struct qmp *qmp, const char *path)
{
	char type[64];
	size_t i;

	property(qmp, path, "type", type, sizeof(type));
	for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (!strcmp(type, models[i].type) &&
		    (!models[i].controller || sits_on(qmp, path, models[i].controller)))
			return models[i].kinds;
	return 0;
}

/* Why the requests of this disk cannot be cancelled, or nothing and what can be. */
static void judge(struct vmdisk *d, struct qmp *qmp, const json_t *inserted)
{
	const char *driver = json_string_value(json_object_get(inserted, "drv"));
	const json_t *cache = json_object_get(inserted, "cache");
	uint32_t kinds = kinds_of(qmp, d->name);

	if (d->disk.fd < 0)
		fail(&d->drained, "it is not on a device-mapper target \"ferry\"");
	else if (!driver || (strcmp(driver, "raw") != 0 && strcmp(driver, "host_device") != 0))
		fail(&d->drained, "its format is %s; only raw disks need not be",
		     driver ? driver : "not known");
	else if (!json_is_true(json_object_get(cache, "direct")))
		fail(&d->drained, "it goes through the host's page cache; use cache.direct=on (libvirt: cache='none')");
	else if (!kinds)
		fail(&d->drained, "its device is neither virtio-blk nor a disk on virtio-scsi");
	else if (!property_is(qmp, d->name, "rerror", "stop") ||
		 !property_is(qmp, d->name, "werror", "stop"))
		fail(&d->drained, "its device has not both rerror=stop and werror=stop (libvirt: error_policy='stop')");
	else
		d->kinds = kinds;
}

static int measure(struct vmdisk *d, struct failure *why)
{
	struct ferry_disk_status status;

	if (d->disk.fd < 0)
		return 0;
	if (disk_status(&d->disk, &status, why))
		return -1;
	d->sectors = status.sectors;
	return 0;
}

/* One answer of query-block. */
static int add(struct vmdisks *disks, struct qmp *qmp, const json_t *block,
	       struct failure *why)
{
	const json_t *inserted = json_object_get(block, "inserted");
	const char *name = json_string_value(json_object_get(block, "qdev"));
	const char *file = json_string_value(json_object_get(inserted, "file"));
	struct vmdisk *d = &disks->disk[disks->count];

	if (!inserted || !name || !file || json_is_true(json_object_get(inserted, "ro")) ||
	    strlen(name) >= sizeof(d->name))
		return 0;
	if (disks->count == WIRE_MAX_DISKS)
		return fail(why, "the VM has more than %d disks", WIRE_MAX_DISKS);
	disks->count++;
	if (disk_open(&d->disk, file, why) < 0 || measure(d, why))
		return -1;
	snprintf(d->name, sizeof(d->name), "%s", name);
	judge(d, qmp, inserted);
	return 0;
}

int vmdisks_find(struct vmdisks *disks, struct qmp *qmp, struct failure *why)
{
	json_t *blocks = qmp_execute(qmp, QMP_TIMEOUT, why, "query-block", NULL);
	int result = blocks ? 0 : -1;
	const json_t *block;
	size_t i;

	*disks = (struct vmdisks){ 0 };
	json_array_foreach(blocks, i, block)
		if (!result)
			result = add(disks, qmp, block, why);
	json_decref(blocks);
	if (result)
		vmdisks_close(disks);
	return result;
}

void vmdisks_close(struct vmdisks *disks)
{
	while (disks->count)
		disk_close(&disks->disk[--disks->count].disk);
}

int vmdisks_by_name(const struct vmdisks *disks, const char *name)
{
	for (unsigned int i = 0; i < disks->count; i++)
		if (!strcmp(disks->disk[i].name, name))
			return (int)i;
	return -1;
}
