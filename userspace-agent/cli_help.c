// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What --help says.
 */
#include "cli_help.h"
#include "journal.h"
#include "state.h"

#define RUN_DIR_HELP \
"  --run-dir DIR       where it is shown how migrations come along (" STATE_DIR ")\n"

#define COMMON_HELP \
"  --state-dir DIR     where owner records are kept (" JOURNAL_DIR ")\n" \
OUTPUT_HELP

#define OUTPUT_HELP \
"  --json              one JSON object per line on standard output\n" \
"  --verbose           say more\n" \
"  --help              this text\n"

#define TLS_HELP \
"  --tls-psk FILE      speak TLS; both sides have the same secret key (openssl rand -hex 32)\n" \
"  --tls-cert FILE     speak TLS; our certificate,\n" \
"  --tls-key FILE      its key,\n" \
"  --tls-ca FILE       and the authority that has signed the other side's\n"

const char cli_send_help[] =
"Usage: kvmferry send --qmp SOCK --to HOST:PORT [OPTION]...\n"
"       kvmferry send --domain NAME --to HOST:PORT [OPTION]...\n"
"\n"
"Moves the VM of the QEMU at SOCK to the host where `kvmferry receive` waits.\n"
"\n"
"  --qmp SOCK          QMP socket of QEMU, one that nobody else uses\n"
"  --domain NAME       instead, the domain of libvirt's that this VM is\n"
"  --to HOST:PORT      the target's agent\n"
"  --from ADDR[,...]   addresses of this host that the streams leave from, in turn\n"
"  --channels N        data streams, 1 to 16 (2)\n"
"  --ring MIB          size of each stream's ring, 1, 2, 4 ... 64 (16)\n"
"  --codec LIST        codecs that RAM may be compressed with, the one that keeps the\n"
"                      streams busy each time: auto, or one or more of none,lz4,\n"
"                      lz4hc,zstd,zstd-stream,deflate (auto: none,lz4,zstd,zstd-stream)\n"
"  --bandwidth MBIT    send no more than so many megabits a second (any)\n"
"  --cpu-limit PC      percent of one CPU that the kernel's threads may use (any)\n"
"  --nice N            nice value of these threads, 0 to 19 (0)\n"
"  --downtime MS       switch over once the blackout is expected to be so short (300)\n"
"  --max-passes N      switch over after N passes at the latest (30)\n"
"  --max-slowdown PC   percent of its time that a vCPU may be made to wait if the VM\n"
"                      writes faster than it can be sent, 0 to 99; 0 never (95)\n"
"  --group POLICY      how many pages one write fault opens: off, contiguous, dynamic\n"
"                      or static:N, N a power of two up to 512 (dynamic)\n"
"  --read-group N      pages that a fault makes readable again, up to 512 (512)\n"
"  --resend-unchanged  send pages even if the target has their content already\n"
"  --storage WHAT      cancel: disk requests that can be cancelled are, and the target\n"
"                      sends them again; drain: wait for all of them (cancel)\n"
"  --fence pr          have the target cut this host off from the storage, by persistent\n"
"                      reservation, if it dies with cancelled requests in doubt\n"
"  --timeout S         give up when a step takes longer (30)\n"
"  --verify full       before the commit, read all RAM on both sides and compare\n"
TLS_HELP
"  --insecure          send RAM in clear text beyond the loopback interface\n"
"  --keep-source       leave the source's QEMU there afterwards, paused\n"
RUN_DIR_HELP
COMMON_HELP
"\n"
"Exit status: 0 moved; 1 not moved, the VM stays here as it was; 2 usage;\n"
"3 nobody runs the VM for certain, and the message says how to decide; 4 moved,\n"
"but some of its disk may be held there, see kvmferry disk.\n";

const char cli_receive_help[] =
"Usage: kvmferry receive --qmp SOCK --listen HOST:PORT [OPTION]...\n"
"       kvmferry receive --domain-xml FILE --listen HOST:PORT [OPTION]...\n"
"\n"
"Waits for one VM and runs it in the QEMU at SOCK, which was started with the\n"
"source's command line plus -incoming defer -S.\n"
"\n"
"  --qmp SOCK          QMP socket of QEMU, one that nobody else uses\n"
"  --domain-xml FILE   instead, have libvirt start a domain for it, and define it once\n"
"                      it has come, from what virsh dumpxml --migratable prints at the\n"
"                      source; - is standard input\n"
"  --listen HOST:PORT  where to wait for the source; not with a socket of systemd's\n"
"  --timeout S         give up when the source or a step takes longer (30)\n"
"  --wait S            give up when no source has come for so long (any time)\n"
"  --fence pr          cut a source that dies with cancelled requests in doubt off from the\n"
"                      storage, by persistent reservation; both sides need it\n"
TLS_HELP
"  --insecure          accept RAM in clear text beyond the loopback interface\n"
"  --keep-target       leave QEMU there after a failure\n"
RUN_DIR_HELP
COMMON_HELP
"\n"
"Exit status: 0 the VM runs here; 1 it does not, and nothing was lost; 2 usage;\n"
"3 the VM belongs here but could not be run, and the message says what to do; 4 it\n"
"runs here, but some of its disk is held, see kvmferry disk.\n";

const char cli_check_help[] =
"Usage: kvmferry check --qmp SOCK [OPTION]...\n"
"       kvmferry check --domain NAME [OPTION]...\n"
"\n"
"Looks whether the VM of the QEMU at SOCK can be moved, without touching it.\n"
"\n"
"  --qmp SOCK          QMP socket of QEMU, one that nobody else uses\n"
"  --domain NAME       instead, the domain of libvirt's that this VM is; its XML is\n"
"                      looked at, too, and what has to be put in is told\n"
"  --target            look at a QEMU that waits for a VM, with the target's eyes\n"
COMMON_HELP
"\n"
"Exit status: 0 it can; 1 it cannot; 2 usage.\n";

const char cli_stat_help[] =
"Usage: kvmferry stat [OPTION]...\n"
"\n"
"Tells how the VMs come along that are being moved away from this host.\n"
"\n"
"  --pid PID           only the VM of this process\n"
OUTPUT_HELP
"\n"
"Exit status: 0 told, even if there is none; 1 not, or no VM PID; 2 usage.\n";

const char cli_disk_help[] =
"Usage: kvmferry disk [OPTION]...\n"
"\n"
"Tells what of this host's disks is in doubt, held or guarded since a migration, why,\n"
"and what to do.\n"
"\n"
"  --disk NAME         only the disk that device-mapper calls so\n"
"  --open              open all that is guarded of it. Only if nothing is in doubt any\n"
"                      more on the VM's former host, or that host is fenced: a late write\n"
"                      would land on newer data\n"
"  --cut-off           cut the VM's former host off from the storage, then open what was\n"
"                      guarded for it. The VM has to have come with --fence pr\n"
"  --release           end a fence. Only once the host that was cut off has been started\n"
"                      anew, or is gone for good\n"
"  --state-dir DIR     where fences are remembered (" JOURNAL_DIR ")\n"
OUTPUT_HELP
"\n"
"Exit status: 0 told, even if there is none; 1 not, or no such disk; 2 usage.\n";

const char cli_recover_help[] =
"Usage: kvmferry recover [OPTION]...\n"
"\n"
"Tells who may run a VM after a crash: from the owner record of this host and, where that\n"
"is not enough, that of the other one.\n"
"\n"
"  --qmp SOCK          QMP socket of the VM's QEMU here. Should the VM run although it\n"
"                      was committed to the other host, it is stopped\n"
"  --vm NAME           the VM's UUID, else its name; all that have records if neither is given\n"
"  --peer FILE         what kvmferry recover --vm NAME --json says on the other\n"
"                      host; - is standard input\n"
"  --apply             do it: continue the VM here, or end its QEMU if it is on the other\n"
"                      host; if it may be on either, have it here\n"
COMMON_HELP
"\n"
"Exit status: 0 it is certain (and done, with --apply), or there is no record; 1 QEMU does\n"
"not answer; 2 usage; 3 nobody may run it, or the operator decides: the last line says how.\n";

const char cli_main_help[] =
"Usage: kvmferry COMMAND [OPTION]...\n"
"\n"
"Moves running KVM guests between hosts, with an unmodified QEMU.\n"
"\n"
"  send       move a VM away from this host\n"
"  receive    wait for a VM and run it on this host\n"
"  check      look whether a VM can be moved\n"
"  stat       tell how the VMs that are being moved come along\n"
"  disk       tell what is held of the disks of VMs, and why\n"
"  recover    tell who may run a VM after a crash, and bring it about\n"
"  top        show the migrations of this host while they run\n"
"  report     make a page with pictures of what send --json has written\n"
"  help       this text, or that of a COMMAND\n"
"  version    which kvmferry this is\n"
"\n"
"kvmferry COMMAND --help tells more; so does kvmferry(8).\n";
