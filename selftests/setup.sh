#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Install the Debian packages that building and testing need, those that are missing. Silent if none is.
set -eu

# package, and why
packages='
build-essential         the agent, the module, the test programs
pkg-config              finds the libraries
libjansson-dev          QMP, and the JSON that the agent prints
liblz4-dev              decoding at the target
libzstd-dev             decoding at the target
zlib1g-dev              decoding at the target
libssl-dev              TLS, BLAKE2b; signing tools of a kernel build
libseccomp-dev          the sandboxes of the agent
libcap-ng-dev           the sandboxes of the agent
libsystemd-dev          the agent as a service: sockets of systemd, readiness, fields in its journal
libcmocka-dev           unit tests
libxml2-dev             the XML of domains; unit tests: what a browser would make of a report
libelf-dev              building modules and kernels
pahole                  building modules for kernels whose headers ask for BTF
flex                    building the debug kernel
bison                   building the debug kernel
bc                      building the debug kernel
xz-utils                compressed modules, the kernel source
rsync                   one copy of the module sources per kernel
kmod                    depmod, modprobe, modinfo
cpio                    the initramfs of the emulated host
busybox-static          what is in it
qemu-system-x86         the emulated host, and the guests in it
qemu-utils              disk images of the guests
iproute2                network name spaces of the migration tests
e2fsprogs               file systems of the guests
dmsetup                 device-mapper targets of the storage tests
fio                     requests for bench-storage
open-iscsi              the test of fences: two ways to one logical unit; its services have nothing to do
sg3-utils               the test of fences: looks at reservations
util-linux              flock, setsid
patch                   the debug kernel
procps                  ps, for reports
libvirt-daemon          the migration test with libvirt; without the service, which is in libvirt-daemon-system
libvirt-clients         the same
apparmor                the same, where QEMU is confined
socat                   plays wrong sockets in the migration tests
jq                      reads the QEMUs and check.json
mmdebstrap              systems of other suites of Debian
dkms                    the test that installs the module as a user would
debhelper               the Debian packages
dh-dkms                 the Debian packages
udev                    the test of the packages
man-db                  the test of the packages
bash-completion         the test of the packages
systemd                 the test of the agent as a service
openssl                 keys of the TLS tests
lintian                 lint, of the Debian packages
sparse                  lint
clang                   fuzzing
libclang-rt-14-dev      fuzzing
llvm                    how much of the agent the fuzzers reach
clang-tidy              lint
shellcheck              lint
spin                    the model of the switchover
'

names=$(echo "$packages" | awk '{ print $1 }')
# not "is it known to dpkg": a removed package is known too
# shellcheck disable=SC2086 # a list
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $names 2>/dev/null | awk '$2 == "installed" { print $1 }')
missing=
for name in $names; do
	echo "$installed" | grep -qxF "$name" || missing="$missing $name"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "These Debian packages are missing, and only root can install them:" >&2
	echo "$packages" | awk -v missing="$missing " 'index(missing, " " $1 " ") { print "  " $0 }' >&2
	echo "Run as root: apt-get install$missing" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list
apt-get -qq -o Dpkg::Use-Pty=0 install --no-install-recommends $missing >/dev/null
