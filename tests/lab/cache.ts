/** What the matrix fetches or makes for itself: large, and not wanted in every run of the tests. */

import { fileURLToPath } from "node:url";
import { output } from "../../src/demo/program.ts";

const CACHE = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
/** `LAB_CACHE` names another place. */
const DIRECTORY = Deno.env.get("LAB_CACHE") ?? `${CACHE}/btblocker-lab`;
const PATIENCE_MS = 20 * 60_000;

const WEBTORRENT_SOURCE = fileURLToPath(new URL("webtorrent", import.meta.url));
const WEBTORRENT_DIRECTORY = `${DIRECTORY}/webtorrent-3.0.21`;
/** WebTorrent's client, which Deno runs beside its packages. */
export const WEBTORRENT = `${WEBTORRENT_DIRECTORY}/client.mjs`;
/** A WebSocket tracker, likewise. */
export const WEBSOCKET_TRACKER = `${WEBTORRENT_DIRECTORY}/tracker.mjs`;

/** The root of a Debian 13; `LAB_TRIXIE` names one that is there. */
export const TRIXIE = Deno.env.get("LAB_TRIXIE") ?? `${DIRECTORY}/trixie`;
const TRIXIE_PACKAGES = [
  ...["transmission-daemon", "transmission-cli", "aria2", "qbittorrent-nox", "deluged"],
  ...["deluge-console", "python3-libtorrent"],
  // What the drivers call.
  ...["curl", "iptables", "util-linux"],
];

/** Installs WebTorrent as its lock file says (npm), without running what its packages bring. */
export async function fetchWebtorrent(): Promise<void> {
  const npm = "npm ci --ignore-scripts --install-links --no-audit --no-fund";
  // The client last: where it is, the packages are.
  const script = `set -e; mkdir -p "$1"; cp -r "$0"/package*.json "$0/webrtc-polyfill" "$1"
    [ -d "$1/node_modules/webtorrent" ] && [ -e "$2" ] || (cd "$1" && ${npm}); cp "$0"/*.mjs "$1"`;
  await output(
    ["sh", "-c", script, WEBTORRENT_SOURCE, WEBTORRENT_DIRECTORY, WEBTORRENT],
    PATIENCE_MS,
  );
}

/** Makes the root with debootstrap, where there is none: some minutes, 1 GB. */
export async function makeTrixie(): Promise<void> {
  // The clients by apt: debootstrap does not know in which order to set up so many.
  const install = [
    "mount -t proc proc /proc",
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d",
    `DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ${
      TRIXIE_PACKAGES.join(" ")
    }`,
    "apt-get clean",
  ].join("\n");
  const script = `set -e; exec >&2; [ -e "$0" ] && exit
    mkdir -p "$(dirname "$0")"; rm -rf "$0.part"
    debootstrap --variant=minbase trixie "$0.part"; cp /etc/hosts /etc/resolv.conf "$0.part/etc"
    unshare --mount --propagation private chroot "$0.part" sh -ec "$1"
    mv "$0.part" "$0"`;
  await output(["sh", "-c", script, TRIXIE, install], PATIENCE_MS);
}
