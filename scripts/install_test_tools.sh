#!/usr/bin/env bash
# Installs what the tests use beside Deno, on Debian and its like (root): system libraries, real
# BitTorrent clients, real other programs, the BPF compiler. Services that packages bring are not
# started. What is there already is left as it is. With --bench also what the benchmarks compare with.
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
  obfs4proxy microsocks dante-server rsync git mosquitto mosquitto-clients redis-server memcached
  netcat-openbsd iperf3 sip-tester coturn ngtcp2-client ngtcp2-server libcoap3-bin nginx-light
  dnsmasq-base bind9-dnsutils
  # the unit, the manual, the completions, the guides
  systemd-container logrotate man-db zsh fish jq
  # the status page, the metrics
  chromium prometheus
  # reading captures beside us
  tshark wireshark-common
)
case "${1-}" in
  "") ;;
  --bench) packages+=(wrk xdp-tools libndpi-bin) ;;
  *)
    echo "Cannot use the argument $1: expected --bench or nothing" >&2
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

# Debian's way to keep packages from starting their services; an administrator's own file stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "Test tools: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
if ! install "${missing[@]}" 2>/dev/null; then
  apt-get update -qq
  # One by one, so that a package this release lacks does not take the others with it; the tests
  # that need it say so.
  install "${missing[@]}" || for package in "${missing[@]}"; do
    install "$package" || echo "Cannot install $package: tests that need it will be skipped" >&2
  done
fi
