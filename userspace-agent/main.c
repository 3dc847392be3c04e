// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvmferry: moves running virtual machines between hosts.
 */
#include <signal.h>
#include <sys/stat.h>

#include "cli.h"
#include "journald.h"
#include "tls.h"

int main(int argc, char **argv)
{
	/* A peer that hangs up is an error of write(), not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	tls_wipe_memory();
	log_set_sink(journald_send);
	return (int)cli_run(argc, argv);
}
