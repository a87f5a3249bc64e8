/** Recordings of real BitTorrent clients. */

import { delay, type Mode } from "../client.ts";
import { CLIENTS, type Discovery, type Lab, startSwarm, type SwarmOptions } from "../lab.ts";
import { startNginx } from "../programs/web.ts";
import { createTorrent } from "../../../src/demo/torrent.ts";
import { output } from "../../../src/demo/program.ts";
import type { Truth } from "./labels.ts";
import type { Scenario } from "./scenario.ts";

/** Small: the beginnings of flows matter, and the repository keeps the files. */
const LENGTH = 65_536;

type Row = readonly [
  name: string,
  seeder: string,
  leecher: string,
  mode: Mode,
  discovery: Discovery,
  more?: Partial<SwarmOptions>,
];

/** A transfer to its end. Encrypted ones have a tracker's answer as evidence unless direct. */
const COMPLETE: readonly Row[] = [
  ["transmission-tcp-http-tracker", "transmission", "transmission", "tcp", "http"],
  ["aria2-tcp-http-tracker", "aria2", "aria2", "tcp", "http"],
  ["rtorrent-tcp-udp-tracker", "rtorrent", "rtorrent", "tcp", "udp"],
  ["qbittorrent-tcp-udp-tracker", "qbittorrent", "qbittorrent", "tcp", "udp"],
  ["deluge-tcp-http-tracker", "deluge", "deluge", "tcp", "http"],
  ["libtorrent-tcp-direct", "libtorrent", "libtorrent", "tcp", "direct"],
  ["transmission-utp-udp-tracker", "transmission", "transmission", "utp", "udp"],
  ["qbittorrent-utp-http-tracker", "qbittorrent", "qbittorrent", "utp", "http"],
  ["libtorrent-utp-direct", "libtorrent", "libtorrent", "utp", "direct"],
  ["libtorrent-utp-mse-direct", "libtorrent", "libtorrent", "utp-mse", "direct"],
  ["transmission-utp-mse-http-tracker", "transmission", "transmission", "utp-mse", "http"],
  ["transmission-mse-rc4-http-tracker", "transmission", "transmission", "mse-rc4", "http"],
  ["transmission-mse-rc4-direct", "transmission", "transmission", "mse-rc4", "direct"],
  ["qbittorrent-mse-rc4-http-tracker", "qbittorrent", "qbittorrent", "mse-rc4", "http"],
  ["rtorrent-mse-rc4-udp-tracker", "rtorrent", "rtorrent", "mse-rc4", "udp"],
  ["rtorrent-mse-plain-direct", "rtorrent", "rtorrent", "mse-plain", "direct"],
  ["aria2-mse-rc4-udp-tracker", "aria2", "aria2", "mse-rc4", "udp"],
  ["aria2-mse-plain-http-tracker", "aria2", "aria2", "mse-plain", "http"],
  ["deluge-mse-rc4-http-tracker", "deluge", "deluge", "mse-rc4", "http"],
  ["deluge-mse-plain-direct", "deluge", "deluge", "mse-plain", "direct"],
  ["libtorrent-mse-rc4-direct", "libtorrent", "libtorrent", "mse-rc4", "direct"],
  ["libtorrent-mse-plain-direct", "libtorrent", "libtorrent", "mse-plain", "direct"],
  ["transmission-default-http-tracker", "transmission", "transmission", "default", "http"],
  ["qbittorrent-default-http-tracker", "qbittorrent", "qbittorrent", "default", "http"],
  ["rtorrent-default-http-tracker", "rtorrent", "rtorrent", "default", "http"],
  ["aria2-default-direct", "aria2", "aria2", "default", "direct"],
  ["libtorrent-default-direct", "libtorrent", "libtorrent", "default", "direct"],
  ["transmission-libtorrent-tcp-magnet", "transmission", "libtorrent", "tcp", "magnet"],
  ["libtorrent-transmission-tcp-magnet", "libtorrent", "transmission", "tcp", "magnet"],
  ["libtorrent-aria2-tcp-magnet", "libtorrent", "aria2", "tcp", "magnet"],
  ["libtorrent-dht-tcp", "libtorrent", "libtorrent", "tcp", "dht"],
  ["libtorrent-dht-mse-rc4", "libtorrent", "libtorrent", "mse-rc4", "dht"],
  ["transmission-tcp-http-tracker-ipv6", "transmission", "transmission", "tcp", "http", {
    family: 6,
  }],
  ["libtorrent-utp-direct-ipv6", "libtorrent", "libtorrent", "utp", "direct", { family: 6 }],
  ["qbittorrent-mse-rc4-http-tracker-ipv6", "qbittorrent", "qbittorrent", "mse-rc4", "http", {
    family: 6,
  }],
  ["libtorrent-tcp-udp-tracker-ipv6", "libtorrent", "libtorrent", "tcp", "udp", { family: 6 }],
  ["libtorrent-tcp-pex", "libtorrent", "libtorrent", "tcp", "http", { seeders: 3 }],
];

function complete(row: Row): Scenario {
  const [name, seeder, leecher, mode, discovery, more] = row;
  return {
    name,
    source: `${seeder} to ${leecher}, ${mode}, ${discovery}`,
    outer: (more?.seeders ?? 1) + 1,
    truth: {
      evidence: discovery !== "direct",
      // aria2 uses UDP trackers only with DHT on.
      dht: discovery === "dht" || (leecher === "aria2" && discovery === "udp"),
    },
    run: (lab) =>
      transfer(lab, {
        seeder: CLIENTS[seeder],
        leecher: CLIENTS[leecher],
        mode,
        discovery,
        length: LENGTH,
        ...more,
      }),
  };
}

async function transfer(lab: Lab, options: SwarmOptions): Promise<void> {
  const swarm = await startSwarm(lab, options);
  const bytes = await swarm.leecher.completed(60_000);
  if (bytes !== swarm.torrent.content.length) {
    throw new Error(`only ${bytes} bytes arrived\n${swarm.leecher.program.text().slice(-2000)}`);
  }
}

/** Four seeders at distinct networks and ports, given directly: nothing but encrypted flows. */
function fanOut(client: string): Scenario {
  return {
    name: `${client}-mse-rc4-four-peers`,
    source: `four ${client} to ${client}, mse-rc4, direct`,
    outer: 5,
    truth: {},
    minimumUndecidable: 4,
    run: (lab) =>
      transfer(lab, {
        seeder: CLIENTS[client],
        leecher: CLIENTS[client],
        mode: "mse-rc4",
        discovery: "direct",
        seeders: 4,
        length: LENGTH,
      }),
  };
}

/** Recorded from the middle of a transfer. */
function midStream(client: string, mode: Mode, truth: Truth, seeders = 1): Scenario {
  return {
    name: `${client}-${mode}-${seeders > 1 ? "four-peers-" : ""}mid-stream`,
    source: `${seeders} ${client} to ${client}, ${mode}, begun in the middle`,
    outer: seeders + 1,
    truth: { ...truth, midStream: true },
    // By the lengths of requests and pieces, where nothing else shows.
    ...mode === "mse-rc4" ? { minimumUndecidable: seeders } : {},
    async run(lab, recorder) {
      const swarm = await startSwarm(lab, {
        seeder: CLIENTS[client],
        leecher: CLIENTS[client],
        mode,
        discovery: "direct",
        seeders,
        length: 2 << 20,
        uploadLimit: 100_000 / seeders,
      });
      const deadline = performance.now() + 40_000;
      while (await swarm.leecher.verifiedBytes() < 65_536) {
        if (performance.now() > deadline) throw new Error("the transfer has not begun");
        await delay(200);
      }
      await recorder.start();
      await delay(1_800);
      await recorder.stop();
    },
  };
}

const WEB_PORT = 8_081;

const webSeed: Scenario = {
  name: "libtorrent-web-seed",
  source: "nginx to libtorrent, BEP 19",
  truth: { ports: { [WEB_PORT]: "web-seed" } },
  async run(lab) {
    const [server] = lab.outer;
    const url = `http://${server.ipv4}:${WEB_PORT}/sample.bin`;
    const torrent = createTorrent({ length: LENGTH, urlList: [url] });
    const root = await lab.newDirectory("web");
    await Deno.chmod(root, 0o755);
    await Deno.writeFile(`${root}/sample.bin`, torrent.content);
    await startNginx(lab, server, root, WEB_PORT);
    const leecher = await CLIENTS.libtorrent.start({
      host: lab.inner,
      directory: await lab.newDirectory("leech"),
      torrent,
      mode: "tcp",
      role: "leech",
      port: 51_413,
    });
    if (await leecher.completed(20_000) !== LENGTH) throw new Error(leecher.program.text());
  },
};

/** A root certificate, one of a peer for any torrent (`*`) with its key, and Diffie-Hellman parameters. */
const CERTIFICATES = `set -e; exec >&2; cd "$0"
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 3650 -subj /CN=root
openssl req -newkey rsa:2048 -nodes -keyout peer.key -out peer.csr -subj /CN=peer
echo 'subjectAltName=DNS:*' > names
openssl x509 -req -in peer.csr -CA root.pem -CAkey root.key -CAcreateserial -out peer.pem -days 3650 \\
  -extfile names
openssl dhparam -dsaparam -out parameters.pem 2048`;

const sslTorrent: Scenario = {
  name: "libtorrent-ssl-torrent",
  source: "libtorrent to libtorrent, TLS of an SSL torrent, direct",
  truth: { peerTcp: "peer-wire" },
  async run(lab) {
    const made = await lab.newDirectory("certificates");
    await output(["sh", "-c", CERTIFICATES, made]);
    const sslCert = await Deno.readTextFile(`${made}/root.pem`);
    const torrent = createTorrent({ length: LENGTH, sslCert });
    const tls = [`${made}/peer.pem`, `${made}/peer.key`, `${made}/parameters.pem`] as const;
    const [server] = lab.outer;
    const common = { torrent, tls, mode: "tcp" } as const;
    const seed = { ...common, host: server, port: 51_414, role: "seed" } as const;
    await CLIENTS.libtorrent.start({ ...seed, directory: await lab.newDirectory("seed") });
    const leecher = await CLIENTS.libtorrent.start({
      ...{ ...common, host: lab.inner, port: 51_413, role: "leech" },
      directory: await lab.newDirectory("leech"),
      peers: [{ host: server.ipv4, port: 51_414 }],
    });
    if (await leecher.completed(20_000) !== LENGTH) throw new Error(leecher.program.text());
  },
};

const socks: Scenario = {
  name: "libtorrent-tcp-socks5",
  source: "libtorrent through microsocks to libtorrent, http tracker",
  outer: 3,
  truth: { ports: { 1080: "by content" } },
  async run(lab) {
    const proxy = lab.outer[1];
    proxy.spawn(["microsocks", "-i", "0.0.0.0", "-p", "1080"]);
    await delay(300);
    await transfer(lab, {
      seeder: CLIENTS.libtorrent,
      leecher: CLIENTS.libtorrent,
      mode: "tcp",
      discovery: "http",
      length: LENGTH,
      proxy: { kind: "socks5", host: proxy.ipv4, port: 1080 },
    });
  },
};

/** Addresses, not the interface: it has a link-local one that dante cannot bind. */
const dante = (address: string) => `
internal: ${address} port = 1080
external: ${address}
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
`;

/** uTP in SOCKS5's UDP encapsulation (RFC 1928, section 7). */
const socksUdp: Scenario = {
  name: "libtorrent-utp-socks5",
  source: "libtorrent through dante to libtorrent, utp, http tracker",
  outer: 3,
  truth: { ports: { 1080: "by content" } },
  async run(lab) {
    const proxy = lab.outer[1];
    const directory = await lab.newDirectory("dante");
    await Deno.writeTextFile(`${directory}/conf`, dante(proxy.ipv4));
    proxy.spawn(["danted", "-f", `${directory}/conf`, "-p", `${directory}/pid`]);
    await delay(700);
    await transfer(lab, {
      seeder: CLIENTS.libtorrent,
      leecher: CLIENTS.libtorrent,
      mode: "utp",
      discovery: "http",
      length: LENGTH,
      proxy: { kind: "socks5", host: proxy.ipv4, port: 1080 },
    });
  },
};

const localDiscovery: Scenario = {
  name: "libtorrent-lsd",
  source: "libtorrent alone, local service discovery on",
  truth: {},
  async run(lab) {
    const torrent = createTorrent({ length: LENGTH });
    await CLIENTS.libtorrent.start({
      host: lab.inner,
      directory: await lab.newDirectory("leech"),
      torrent,
      mode: "tcp",
      role: "leech",
      port: 51_413,
      localDiscovery: true,
    });
    await delay(3_000);
  },
};

export const BITTORRENT: readonly Scenario[] = [
  ...COMPLETE.map(complete),
  fanOut("libtorrent"),
  fanOut("transmission"),
  fanOut("aria2"),
  midStream("libtorrent", "tcp", { peerTcp: "peer-wire" }),
  midStream("transmission", "tcp", { peerTcp: "peer-wire" }),
  midStream("libtorrent", "utp", {}),
  midStream("libtorrent", "mse-rc4", { peerTcp: "mse" }),
  midStream("libtorrent", "mse-rc4", { peerTcp: "mse" }, 4),
  webSeed,
  sslTorrent,
  socks,
  socksUdp,
  localDiscovery,
];
