/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The XML of a libvirt domain, as far as moving it depends on it. Text in, findings out: nobody is asked.
 *
 * libxml2 reads it, which fetches nothing and expands nothing of it.
 */
#ifndef KVMFERRY_DOMXML_H
#define KVMFERRY_DOMXML_H

#include <stdbool.h>
#include "check.h"

#define DOMXML_WORD	128

/**
 * struct domxml - what a domain's XML says
 * @name, @uuid:	of the domain; empty: there is none
 * @qmp:	path of the QMP socket that <qemu:commandline> makes; empty: none
 * @source:	of <memoryBacking>: "file", ...
 * @access:	of <memoryBacking>: "shared", ...
 * @cells:	of its NUMA cells, how many there are,
 * @shared_cells, @private_cells:	and say so of themselves
 * @hugepages:	RAM is on huge pages
 * @poweroff:	what on_poweroff is
 * @fixed:	a device that holds the VM on this host, or maps its RAM: its element
 * @disk:	a disk behind device-mapper whose errors do not stop the VM: its name in the VM
 */
struct domxml {
	char name[DOMXML_WORD], uuid[DOMXML_WORD], qmp[DOMXML_WORD];
	char source[DOMXML_WORD], access[DOMXML_WORD];
	unsigned int cells, shared_cells, private_cells;
	bool hugepages;
	char poweroff[DOMXML_WORD];
	char fixed[DOMXML_WORD], disk[DOMXML_WORD];
};

/* Returns 0, or -1 with @why if that is no XML of a domain. */
int domxml_read(struct domxml *d, const char *xml, struct failure *why);

/**
 * domxml_check - what of it stands in the way of a move
 * @line:	called for each thing that was looked at; what is not well, with the XML that would be
 *
 * Returns the number of failures.
 */
int domxml_check(const struct domxml *d, check_line_fn *line, void *opaque);

/**
 * domxml_incoming - the XML of a domain that waits for its VM
 *
 * That is the same with "-incoming defer" among QEMU's arguments. Returns it, to be freed, or NULL with
 * @why, if @xml has none to which these could be added.
 */
char *domxml_incoming(const char *xml, struct failure *why);

/**
 * domxml_settled - the XML of a domain that does not wait
 *
 * That is @xml without these arguments. A domain that has come has them for as long as it runs; begun
 * anew with them, it would wait for ever. Returns it, to be freed, or NULL with @why.
 */
char *domxml_settled(const char *xml, struct failure *why);

#endif /* KVMFERRY_DOMXML_H */
