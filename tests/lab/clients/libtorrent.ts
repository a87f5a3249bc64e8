import { fileURLToPath } from "node:url";
import {
  type Client,
  type ClientOptions,
  contentPath,
  type Mode,
  prepare,
  RunningClient,
} from "../client.ts";

/** Distribution's Python: the one that has the binding. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = fileURLToPath(new URL("../libtorrent_client.py", import.meta.url));

type Settings = Record<string, string | number | boolean>;

/** Encryption policies (0 forced, 1 enabled, 2 disabled) and levels (1 plaintext, 2 RC4, 3 both). */
function encryptionSettings(mode: Mode): Settings {
  if (mode === "default") return {};
  const encrypted = mode.includes("mse");
  const policy = encrypted ? 0 : 2;
  return {
    in_enc_policy: policy,
    out_enc_policy: policy,
    allowed_enc_level: mode === "mse-plain" ? 1 : 2,
    prefer_rc4: mode !== "mse-plain",
  };
}

function transportSettings(mode: Mode): Settings {
  if (mode === "default") return {};
  const utp = mode.startsWith("utp");
  return {
    enable_incoming_tcp: !utp,
    enable_outgoing_tcp: !utp,
    enable_incoming_utp: utp,
    enable_outgoing_utp: utp,
  };
}

/** A session of the libtorrent library, the engine of qBittorrent and Deluge. */
export const libtorrent: Client = {
  name: "libtorrent",
  program: PYTHON,
  modes: ["tcp", "mse-rc4", "mse-plain", "utp", "utp-mse", "default"],
  takesPeers: true,
  takesProxy: true,
  async start(options: ClientOptions): Promise<RunningClient> {
    const { host, directory, mode, port, tls } = options;
    const socket = tls === undefined ? port : `${port}s`;
    const torrent = await prepare(options);
    const settings: Settings = {
      ...encryptionSettings(mode),
      ...transportSettings(mode),
      listen_interfaces: `0.0.0.0:${socket},[::]:${socket}`,
      enable_dht: options.dht !== undefined,
      enable_lsd: options.localDiscovery === true,
    };
    if (options.uploadLimit !== undefined) settings.upload_rate_limit = options.uploadLimit;
    if (options.proxy !== undefined) {
      settings.proxy_type = options.proxy.kind === "socks5" ? 2 : 4; // without a password
      settings.proxy_hostname = options.proxy.host;
      settings.proxy_port = options.proxy.port;
      // It tries uTP first, and no other way where that cannot leave at all: no HTTP proxy carries it.
      if (options.proxy.kind === "http-connect") settings.enable_outgoing_utp = false;
    }
    const order = {
      settings,
      ...(options.magnet ? { magnet: options.torrent.magnet } : { torrent }),
      save_path: contentPath(options).replace(/\/[^/]*$/, ""),
      peers: (options.peers ?? []).map((peer) => [peer.host, peer.port]),
      dht: (options.dht ?? []).map((node) => [node.host, node.port]),
      seed: options.role === "seed",
      tls,
    };
    const program = host.spawn([PYTHON, SCRIPT, JSON.stringify(order)], {
      log: `${directory}/log`,
    });
    await program.printedMatch(/^ready/m);
    return new RunningClient(options, program);
  },
};
