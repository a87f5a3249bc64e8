#!/bin/sh
# Installs btblocker below /usr/local, or removes it. Asks nothing; starts and enables nothing.
#
#   install.sh                      what lies beside this script (an unpacked release archive)
#   install.sh ARCHIVE.tar.gz       a release archive; ARCHIVE.tar.gz.sha256 must be beside it
#   install.sh https://…/ARCHIVE.tar.gz    the same, downloaded with its .sha256
#   install.sh --sha256 HEX ARCHIVE        the checksum given instead of the .sha256
#   install.sh --uninstall          removes what it installed; settings, logs and state stay
#   install.sh --purge              removes these too
set -eu
umask 022

prefix=/usr/local
library=$prefix/lib/btblocker
# What was installed, one path a line; directories that were made for it end in a slash.
manifest=$prefix/lib/btblocker.installed
user=btblocker
caches="/var/cache/btblocker /run/btblocker /root/.cache/btblocker"
data="/etc/btblocker /etc/default/btblocker /var/log/btblocker /var/lib/btblocker"
work=

fail() {
	printf '%s\n' "$1" >&2
	exit 1
}

has() {
	command -v "$1" >/dev/null 2>&1
}

clean() {
	if [ -n "$work" ]; then rm -rf "$work"; fi
}
trap clean EXIT

systemd_runs() {
	[ -d /run/systemd/system ] && has systemctl
}

# make_directory DIRECTORY: notes those that were not there.
make_directory() {
	if [ -d "$1" ]; then return 0; fi
	make_directory "$(dirname "$1")"
	mkdir "$1"
	printf '%s/\n' "$1" >>"$manifest"
}

note() {
	grep -qxF "$1" "$manifest" || printf '%s\n' "$1" >>"$manifest"
}

# place FILE TARGET MODE: whole or not at all.
place() {
	make_directory "$(dirname "$2")"
	cp "$1" "$2.new"
	chmod "$3" "$2.new"
	mv -f "$2.new" "$2"
	note "$2"
}

download() { # URL FILE
	if has curl; then
		curl -fsSL -o "$2" "$1"
	elif has wget; then
		wget -q -O "$2" "$1"
	else
		fail "Cannot download $1: neither curl nor wget is installed"
	fi || fail "Cannot download $1"
}

# fetch ARCHIVE-OR-URL [SHA256]: leaves the checked, unpacked archive in $source.
fetch() {
	work=$(mktemp -d)
	case $1 in
	http://*)
		fail "Cannot use $1: expected https" ;;
	https://*)
		archive=$work/${1##*/}
		download "$1" "$archive"
		if [ -z "$2" ]; then download "$1.sha256" "$archive.sha256"; fi
		;;
	*)
		archive=$1
		[ -r "$archive" ] || fail "Cannot read $archive"
		;;
	esac
	expected=$2
	if [ -z "$expected" ]; then
		[ -r "$archive.sha256" ] || fail "Cannot verify $archive: $archive.sha256 is not there"
		read -r expected _ <"$archive.sha256" || [ -n "$expected" ]
	fi
	actual=$(sha256sum <"$archive")
	[ "${actual%% *}" = "$expected" ] ||
		fail "Cannot install $archive: its checksum is ${actual%% *}, expected $expected"
	mkdir "$work/unpacked"
	tar -xzof "$archive" -C "$work/unpacked"
	set -- "$work/unpacked"/*/
	source=${1%/}
	[ -f "$source/btblocker" ] || fail "Cannot install $archive: it holds no btblocker"
}

add_user() {
	if grep -q "^$user:" /etc/passwd; then return 0; fi
	if has useradd; then
		useradd --system --user-group --home-dir /var/lib/btblocker --no-create-home \
			--shell /usr/sbin/nologin --comment btblocker "$user"
	elif has adduser; then # busybox
		addgroup -S "$user"
		adduser -S -D -H -h /var/lib/btblocker -s /sbin/nologin -G "$user" "$user"
	else
		fail "Cannot create the user $user: there is no useradd"
	fi
	note "user:$user"
}

name_missing() {
	missing=
	libraries=$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || :)
	case $libraries in *libnetfilter_queue.so.1*) ;; *) missing="$missing libnetfilter-queue1" ;; esac
	case $libraries in *libbpf.so.1*) ;; *) missing="$missing libbpf1" ;; esac
	has iptables || [ -x /usr/sbin/iptables ] || [ -x /sbin/iptables ] || missing="$missing iptables"
	if [ -n "$missing" ]; then
		printf 'Missing for btblocker run:%s (Debian, Ubuntu: apt-get install%s)\n' "$missing" "$missing"
	fi
}

install_program() {
	rm -rf "$library.new"
	if [ "$(head -c 2 "$source/btblocker")" = "#!" ]; then
		"$source/btblocker" --unpack "$library.new"
		sed "s|^here=.*|here=$library|" "$library.new/btblocker" >"$library.new/launcher"
		mv "$library.new/launcher" "$library.new/btblocker"
	else # made by deno compile: one file
		mkdir "$library.new"
		cp "$source/btblocker" "$library.new/btblocker"
	fi
	chmod 755 "$library.new/btblocker"
	rm -rf "$library"
	mv "$library.new" "$library"
	note "$library"
	make_directory "$prefix/bin"
	ln -sfn ../lib/btblocker/btblocker "$prefix/bin/btblocker"
	note "$prefix/bin/btblocker"
}

# optional FILE TARGET: if the archive has it.
optional() {
	if [ -f "$source/$1" ]; then place "$source/$1" "$2" 644; fi
}

install() {
	make_directory "$prefix/lib"
	touch "$manifest"
	note "$manifest"
	install_program
	optional btblocker.service "$prefix/lib/systemd/system/btblocker.service"
	optional btblocker.tmpfiles "$prefix/lib/tmpfiles.d/btblocker.conf"
	optional btblocker.logrotate /etc/logrotate.d/btblocker
	optional btblocker.8 "$prefix/share/man/man8/btblocker.8"
	optional completions/btblocker.bash "$prefix/share/bash-completion/completions/btblocker"
	optional completions/_btblocker "$prefix/share/zsh/site-functions/_btblocker"
	optional completions/btblocker.fish "$prefix/share/fish/vendor_completions.d/btblocker.fish"
	for file in LICENSE THIRD-PARTY-NOTICES.txt; do
		optional "$file" "$prefix/share/doc/btblocker/$file"
	done
	place "$self" "$prefix/share/btblocker/install.sh" 755
	add_user
	if systemd_runs; then
		systemctl daemon-reload
		systemd-tmpfiles --create btblocker.conf || :
		systemctl try-restart btblocker.service # if it ran: an upgrade
	fi
	"$prefix/bin/btblocker" --version
	name_missing
	echo "Start it at every boot: systemctl enable --now btblocker"
	echo "Remove it: $prefix/share/btblocker/install.sh --uninstall"
}

remove_user() {
	if ! grep -q "^$user:" /etc/passwd; then return 0; fi
	if has userdel; then userdel "$user"; else deluser "$user"; fi
	# Its group goes with it, where nobody else is in it.
	if has groupdel && grep -q "^$user:" /etc/group; then groupdel "$user"; fi
}

# While the program is there still: a killed blocker leaves its rules, PERSIST_BANS its pinned maps.
free_kernel() {
	if [ -x "$prefix/bin/btblocker" ]; then
		# Whatever the settings are: they may be what is wrong.
		"$prefix/bin/btblocker" rules remove --config /dev/null >/dev/null ||
			echo "Rules of btblocker may be left: iptables-save, nft list ruleset" >&2
	fi
	rm -rf /sys/fs/bpf/btblocker
}

uninstall() {
	if [ -f "$manifest" ]; then
		if systemd_runs; then systemctl disable --now btblocker.service 2>/dev/null || :; fi
		free_kernel
		# Newest first, so that a directory comes after what is in it.
		reversed=$(sed '1!G;h;$!d' "$manifest")
		printf '%s\n' "$reversed" | while read -r path; do
			case $path in
			user:*) remove_user ;;
			*/) rmdir "${path%/}" 2>/dev/null || : ;; # unless something else has moved in
			/*) rm -rf "$path" ;;
			esac
		done
		if systemd_runs; then systemctl daemon-reload; fi
	elif [ "$1" = keep ]; then
		fail "Cannot uninstall: $manifest is not there, install.sh has installed nothing"
	fi
	# shellcheck disable=SC2086 # a list
	rm -rf $caches
	for kept in $data; do
		[ -e "$kept" ] || continue
		if [ "$1" = purge ]; then
			rm -rf "$kept"
		else
			chown -R 0:0 "$kept" # the user's number may become another's
			echo "Kept: $kept (--purge removes it)"
		fi
	done
	echo "btblocker is removed"
}

self=$0
source=$(cd "$(dirname "$0")" && pwd)
archive=
checksum=
action=install
while [ $# -gt 0 ]; do
	case $1 in
	--uninstall) action=keep ;;
	--purge) action=purge ;;
	--sha256)
		[ $# -ge 2 ] || fail "Cannot use --sha256: expected a checksum after it"
		checksum=$2
		shift
		;;
	-h | --help)
		sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	-*) fail "Cannot use $1: expected --sha256 HEX, --uninstall, --purge or --help" ;;
	*) archive=$1 ;;
	esac
	shift
done
[ "$(uname -s)" = Linux ] || fail "Cannot install btblocker here: it guards networks on Linux only"
[ "$(id -u)" = 0 ] || fail "Cannot go on: run this as root"
if [ "$action" != install ]; then
	uninstall "$action"
	exit 0
fi
if [ -n "$archive" ]; then
	fetch "$archive" "$checksum"
elif [ ! -f "$source/btblocker" ]; then
	fail "Cannot install: expected a release archive, its file or its address"
fi
install
