# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# A system to install packages into, and what they leave there: another system, copied on write. Sourced, in a mount
# namespace of one's own.
#
#	copy_open LOWER FOLDER [SAVED]   FOLDER/root is the copy, FOLDER/upper what has changed in it; SAVED is of copy_save
#	copy_share FOLDERS...            these are the same in there as out here
#	copy_run COMMAND...              in it
#	copy_begin                       from now on changes count
#	copy_except FOLDER               what is in there by now does not (a path without / at its beginning, and without links)
#	copy_save FOLDER                 all changes go there, and which of them count
#	copy_leftovers                   what has changed since, a path a line; "gone: PATH", "changed: PATH"
#	copy_leftovers_are TEXT          on one line
#	copy_apt WORDS...                apt-get, for scripts
#	copy_list                        those packages of ours that dpkg knows, in any state
#	is_in TEXT PATTERN               is it? With a note if not
#
# apt, dpkg, man-db, dkms (its key) and depmod keep notes of their own: those are no leftovers, unless one is called kvmferry.

copy_open() {
	copy_lower=$1 copy=$2
	mkdir -p "$copy"
	mount -t tmpfs tmpfs "$copy"
	mkdir "$copy"/{root,upper,work}
	[ -z "${3:-}" ] || cp -a "$3/." "$copy"
	mount -t overlay -o "lowerdir=$copy_lower,upperdir=$copy/upper,workdir=$copy/work" overlay "$copy/root"
	copy_share /proc /sys /dev
	mount -t tmpfs tmpfs "$copy/root/run"
	mount -t tmpfs tmpfs "$copy/root/tmp"
	# offline, and all the quicker
	mount -t tmpfs tmpfs "$copy/root/var/lib/apt/lists"
}

copy_share() {
	local folder
	for folder; do
		mkdir -p "$copy/root$folder"
		mount --rbind "$folder" "$copy/root$folder"
	done
}

copy_run() { chroot "$copy/root" "$@"; }

copy_list() { copy_run dpkg-query --list 'kvmferry*' 2>/dev/null | grep -E '^[a-z]+ ' | grep -v '^un'; }

is_in() {
	# shellcheck disable=SC2053 # a pattern
	[[ $1 == $2 ]] || { ktap_note "not '$2', but '${1:0:1000}'"; return 1; }
}

# (A release of which there are no lists would be an error.)
copy_apt() { copy_run apt-get -qq -y -o APT::Default-Release= -o Dpkg::Use-Pty=0 --no-install-recommends "$@" </dev/null; }

copy_paths() { find "$copy/upper" -mindepth 1 -printf '%y %P\n'; }

copy_begin() { copy_paths >"$copy/known"; }

copy_except() { (cd "$copy/upper" && find "$1" -printf '%y %p\n') >>"$copy/known"; }

# (Nobody reads the caches, and they are large.)
copy_save() {
	rm -rf "$1"
	mkdir -p "$1"
	cp -a "$copy"/{upper,known} "$1"
	rm -rf "$1/upper/var/cache"
}

# copy_notes PATH: is this a note of somebody else's?
copy_notes() {
	case /$1 in
	/var/log/* | /var/cache/man/*) ;;
	*kvmferry*) return 1 ;;
	/var/cache/* | /var/lib/dpkg/* | /var/lib/apt/* | /var/lib/dkms/mok.* | /etc/ld.so.cache | */lib/modules/*/modules.*) ;;
	*) return 1 ;;
	esac
}

copy_leftovers() {
	local kind path old line
	local -A known=()
	while read -r line; do known[$line]=1; done <"$copy/known"
	while read -r kind path; do
		old=$copy_lower/$path
		[ -z "${known[$kind $path]:-}" ] || continue
		! copy_notes "$path" || continue
		case $kind in
		d) [ -d "$old" ] || echo "/$path" ;;
		c) [ ! -e "$old" ] || echo "gone: /$path" ;;
		*) if [ ! -e "$old" ]; then echo "/$path"; elif ! cmp -s "$old" "$copy/upper/$path"; then echo "changed: /$path"; fi ;;
		esac
	done < <(copy_paths)
}

copy_leftovers_are() { is_in "$(copy_leftovers | paste -sd' ')" "$1"; }
