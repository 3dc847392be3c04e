# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by whoever has QEMUs of several versions.

# qemu_version WORDS...: of the QEMU that these words start: 7.2
qemu_version() { "$@" --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p'; }
