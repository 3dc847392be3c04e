# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# Sourced, in the emulated host. dkms runs depmod, which reads every module there is: minutes in here.

# small_module_tree FOLDER: to stand for the running kernel's folder of modules, with those that ours depends on and no others.
# depmod is the caller's.
small_module_tree() {
	small_from=/lib/modules/$(uname -r)
	mkdir -p "$1/kernel"
	cp "$small_from"/modules.builtin* "$small_from"/modules.order "$1"
	for small_name in $(modinfo -F depends "$KVMFERRY_KO" | tr , ' '); do
		modprobe --show-depends "$small_name" | awk '$1 == "insmod" { print $2 }'
	done | sort -u | xargs -r cp -t "$1/kernel"
	ln -sfn "$(readlink -f "$KVMFERRY_MODULES/kdir")" "$1/build"
}
