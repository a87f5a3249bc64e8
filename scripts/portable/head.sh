#!/bin/sh
# btblocker @VERSION@ for Linux on @MACHINE@: this script and, behind it, a compressed archive of the
# program and of Deno @DENO@, which runs it. The first start verifies the archive and unpacks it into
# a cache directory; later starts only look it up.
#
#   btblocker --unpack DIRECTORY    unpack for all users of a machine, and end (install.sh does it)
#
# The first usable of: $CACHE_DIRECTORY (systemd), $XDG_CACHE_HOME/btblocker, ~/.cache/btblocker,
# /var/cache/btblocker, /tmp/btblocker-UID.
set -eu

version=@VERSION@
machine=@MACHINE@
sum=@SHA256@
offset=@OFFSET@ # of the archive's first byte, from 1
name=$version-@ID@
self=$0
verified=no
unpacking=

fail() {
	printf '%s\n' "$1" >&2
	exit 1
}

clean() {
	if [ -n "$unpacking" ]; then rm -rf "$unpacking"; fi
}

# Once, and before anything of the archive is used.
verify() {
	[ "$verified" = no ] || return 0
	[ -r "$self" ] || fail "Cannot unpack btblocker: $self cannot be read"
	[ "$(uname -m)" = "$machine" ] ||
		fail "Cannot run btblocker for $machine here: this machine is $(uname -m)"
	[ "$(tail -c "+$offset" "$self" | sha256sum)" = "$sum  -" ] ||
		fail "Cannot unpack $self: its checksum is wrong (download it again)"
	verified=yes
}

# unpack DIRECTORY: into a new directory beside it, which then takes its name, so that others see all
# of it or nothing, however many start at once.
unpack() {
	verify
	unpacking=$(mktemp -d "${1%/*}/.unpacking.XXXXXXXX" 2>/dev/null) || return 1
	trap clean EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	if tail -c "+$offset" "$self" | tar -xzof - -C "$unpacking" 2>/dev/null &&
		DENO_DIR=/dev/null "$unpacking/deno" --version >/dev/null 2>&1; then
		mv -T "$unpacking" "$1" 2>/dev/null || [ -O "$1/deno" ] || { clean; return 1; }
		clean # where another start was first
		unpacking=
		return 0
	fi
	# No room, or a file system that runs nothing.
	clean
	unpacking=
	return 1
}

# lookup DIRECTORY: ours and complete there, after unpacking if need be? Files of a directory that is
# not ours would run with our rights.
lookup() {
	[ -O "$1" ] || return 1
	if [ ! -e "$1/$name" ]; then unpack "$1/$name" || return 1; fi
	[ -O "$1/$name" ] && [ -O "$1/$name/deno" ] && [ -O "$1/$name/main.js" ] || return 1
	found=$1/$name
}

# below PARENT NAME: a directory of ours in one that nobody else can move it out of.
below() {
	case $1 in /*) ;; *) return 1 ;; esac
	[ -d "$1" ] || mkdir -p "$1" 2>/dev/null || return 1
	[ -O "$1" ] || return 1
	private "$1/$2"
}

private() {
	if [ ! -e "$1" ] && [ ! -L "$1" ]; then mkdir "$1" 2>/dev/null || [ -d "$1" ] || return 1; fi
	if [ -L "$1" ]; then return 1; fi
	lookup "$1"
}

find_directory() {
	first=${CACHE_DIRECTORY-}
	case $first in /*) if lookup "${first%%:*}"; then return 0; fi ;; esac
	if [ -n "${XDG_CACHE_HOME-}" ] && below "$XDG_CACHE_HOME" btblocker; then return 0; fi
	# sudo may leave another's home: -O refuses it.
	if [ -n "${HOME-}" ] && [ -O "$HOME" ] && below "$HOME/.cache" btblocker; then return 0; fi
	if below /var/cache btblocker; then return 0; fi
	# Only its owner can move what is in /tmp.
	if [ -k /tmp ] && private "/tmp/btblocker-$(id -u)"; then return 0; fi
	fail "Cannot unpack btblocker: no directory to unpack into (set XDG_CACHE_HOME to one of your own, with @MEGABYTES@ MB free and not mounted noexec)"
}

if [ "${1-}" = --unpack ]; then
	[ $# -eq 2 ] || fail "Cannot unpack: expected btblocker --unpack DIRECTORY"
	case $2 in /*) ;; *) fail "Cannot unpack into $2: expected an absolute path" ;; esac
	if [ -e "$2" ]; then fail "Cannot unpack into $2: it is there already"; fi
	umask 022
	mkdir -p "${2%/*}"
	unpack "$2" || fail "Cannot unpack into $2"
	chmod 755 "$2"
	{
		cat <<'LAUNCHER'
@LAUNCHER@
LAUNCHER
	} | sed "s|@HERE@|$2|" >"$2/btblocker"
	chmod 755 "$2/btblocker"
	exit 0
fi

old_umask=$(umask)
umask 077
found=
find_directory
umask "$old_umask"
export DENO_DIR=/dev/null DENO_NO_UPDATE_CHECK=1
exec "$found/deno" run @FLAGS@ "$found/main.js" "$@"
exit 1
