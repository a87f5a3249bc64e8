#!/usr/bin/env bash
# Installs what the tests use beside Deno, on Debian and its like (root): system libraries, real
# BitTorrent clients, real other programs, the BPF compiler. Services that packages bring are not
# started. What is there already is left as it is. --bench: also what the benchmarks compare with.
# --list: only name what is missing.
set -euo pipefail

packages=(
  # the blocker itself
  libnetfilter-queue1 libbpf1 iptables nftables
  # the lab
  iproute2 util-linux procps curl tcpdump ethtool conntrack
  # compiling the XDP program
  clang llvm libbpf-dev
  # BitTorrent
  transmission-daemon transmission-cli aria2 qbittorrent-nox rtorrent deluged deluge-console
  python3 python3-libtorrent
  # other programs
  openssl openssh-server openssh-client openvpn wireguard-go wireguard-tools shadowsocks-libev
  v2ray i2pd tor obfs4proxy microsocks dante-server rsync git mosquitto mosquitto-clients
  redis-server memcached netcat-openbsd iperf3 sip-tester coturn ngtcp2-client ngtcp2-server libcoap3-bin nginx-light
  dnsmasq-base bind9-dnsutils
  # neighbours: docs/neighbours.md
  ufw firewalld dbus docker.io
  # the unit, the manual, the completions, the guides
  systemd-container logrotate man-db zsh fish jq nix-bin
  # the status page, the metrics
  chromium prometheus
  # reading captures beside us
  tshark wireshark-common
)
lists=
case "${1-}" in
  "") ;;
  --list) lists=1 ;;
  --bench) packages+=(wrk xdp-tools libndpi-bin) ;;
  *)
    echo "Cannot use the argument $1: expected --bench, --list or nothing" >&2
    exit 2
    ;;
esac

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "Test tools: all there"
  exit 0
fi
if [ -n "$lists" ]; then
  echo "Missing: ${missing[*]}"
  exit 0
fi

# Debian's way to keep packages from starting their services; an administrator's own file stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  made_policy=1
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "Test tools: installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A line a package, so that minutes of it do not look like nothing.
progress() { grep --line-buffered -E '^(Need to get|Setting up)' | sed -u 's/^/  /' || true; }
install() {
  apt-get install -y -q -o Dpkg::Use-Pty=0 --no-install-recommends "$@" 2>"$errors" | progress
}
errors=$(mktemp)
trap 'rm -f "$errors"; [ -z "${made_policy-}" ] || rm -f "$policy"' EXIT
if ! install "${missing[@]}"; then
  apt-get update -qq
  # One by one, so that a package this release lacks does not take the others with it; the tests
  # that need it say so.
  install "${missing[@]}" || for package in "${missing[@]}"; do
    install "$package" || {
      grep '^E:' "$errors" | head -n 1 >&2 || true
      echo "Cannot install $package: tests that need it will be skipped" >&2
    }
  done
fi

# Firewalls and engines that would come up with the next boot are more than tests may leave behind.
for package in firewalld ufw docker.io; do
  case " ${missing[*]} " in
    *" $package "*)
      for unit in service socket; do
        systemctl disable --quiet "${package%.io}.$unit" 2>/dev/null || true
      done
      ;;
  esac
done
