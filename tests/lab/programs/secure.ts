/** TLS, SSH, OpenVPN and WireGuard on ports torrents are known for. */

import type { Lab } from "../lab.ts";
import {
  certificate,
  type Conversation,
  listening,
  randomFile,
  sameContent,
} from "./conversation.ts";
import { startNginx } from "./web.ts";

const LENGTH = 30_000;

const tls: Conversation = {
  name: "openssl-tls",
  programs: ["openssl", "curl"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("tls");
    const file = await randomFile(directory, LENGTH);
    const [key, cert] = await certificate(server, directory);
    server.spawn(
      ["openssl", "s_server", "-accept", "6881", "-key", key, "-cert", cert, "-WWW", "-quiet"],
      { cwd: directory },
    );
    await listening(server, "tcp", 6881);
    const received = `${directory}/received`;
    const url = `https://${server.ipv4}:6881/random.bin`;
    // s_server closes without a TLS close or a length; the content is compared instead.
    await lab.inner.run(["curl", "-sk", "--http1.0", "-m", "40", "-o", received, url]).catch(
      () => {},
    );
    await sameContent(file, received);
  },
};

const ssh: Conversation = {
  name: "openssh",
  programs: ["sshd", "ssh", "ssh-keygen"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("ssh");
    const file = await randomFile(directory, LENGTH);
    for (const name of ["host", "user"]) {
      await server.run([
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        `${directory}/${name}`,
      ]);
    }
    await Deno.mkdir("/run/sshd", { recursive: true }); // sshd's privilege separation demands it
    server.spawn([
      "/usr/sbin/sshd",
      "-D",
      "-e",
      "-f",
      "/dev/null",
      "-p",
      "51413",
      "-h",
      `${directory}/host`,
      ...["PidFile=none", "UsePAM=no", "StrictModes=no"].flatMap((option) => ["-o", option]),
      "-o",
      `AuthorizedKeysFile=${directory}/user.pub`,
    ]);
    await listening(server, "tcp", 51_413);
    const received = `${directory}/received`;
    const client = `ssh -p 51413 -i ${directory}/user -o StrictHostKeyChecking=no ` +
      `-o UserKnownHostsFile=/dev/null -o BatchMode=yes root@${server.ipv4}`;
    await lab.inner.run(["sh", "-c", `${client} cat ${file} >${received}`]);
    await sameContent(file, received);
  },
};

interface Tunnel {
  name: string;
  proto: "udp" | "tcp";
  key: "static" | "tls-crypt";
}

/** A download through an OpenVPN tunnel. */
function openvpn({ name, proto, key }: Tunnel): Conversation {
  return {
    name,
    programs: ["openvpn", "openssl", "curl", "nginx", "/dev/net/tun"],
    async run(lab) {
      const [server] = lab.outer;
      const directory = await lab.newDirectory("openvpn");
      await randomFile(directory, LENGTH);
      const secret = `${directory}/static.key`;
      await server.run(["openvpn", "--genkey", "secret", secret]);
      const security = key === "static"
        ? () => ["--secret", secret, "--cipher", "AES-256-CBC"]
        : await fingerprints(lab, directory, secret);
      const port = "6881";
      const common = ["openvpn", "--dev", "tun0", "--verb", "1", "--nobind"];
      server.spawn([
        ...common.slice(0, -1),
        "--lport",
        port,
        "--proto",
        proto === "udp" ? "udp" : "tcp-server",
        "--ifconfig",
        "10.99.0.1",
        "10.99.0.2",
        ...security("server"),
      ], { log: `${directory}/server.log` });
      await listening(server, proto, 6881);
      const client = lab.inner.spawn([
        ...common,
        "--remote",
        server.ipv4,
        port,
        "--proto",
        proto === "udp" ? "udp" : "tcp-client",
        "--ifconfig",
        "10.99.0.2",
        "10.99.0.1",
        ...security("client"),
      ], { log: `${directory}/client.log` });
      await client.printedMatch(/Initialization Sequence Completed/);
      await downloadThrough(lab, directory, "10.99.0.1");
    },
  };
}

async function fingerprints(lab: Lab, directory: string, secret: string) {
  const of: Record<string, string> = {};
  const files: Record<string, [string, string]> = {};
  for (const side of ["server", "client"]) {
    await Deno.mkdir(`${directory}/${side}`);
    files[side] = await certificate(lab.inner, `${directory}/${side}`);
    const x509 = ["openssl", "x509", "-in", files[side][1], "-noout", "-fingerprint", "-sha256"];
    of[side] = (await lab.inner.run(x509)).trim().replace(/^.*=/, "");
  }
  return (side: "server" | "client") => [
    `--tls-${side}`,
    ...(side === "server" ? ["--dh", "none"] : []),
    "--key",
    files[side][0],
    "--cert",
    files[side][1],
    "--peer-fingerprint",
    of[side === "server" ? "client" : "server"],
    "--tls-crypt",
    secret,
  ];
}

/** Serves `random.bin` on the far end of a tunnel and fetches it through the tunnel. */
async function downloadThrough(lab: Lab, directory: string, address: string): Promise<void> {
  await Deno.chmod(directory, 0o755);
  await startNginx(lab, lab.outer[0], directory, 8_088);
  const received = `${directory}/received`;
  await lab.inner.run([
    "curl",
    "-sf",
    "-m",
    "50",
    "--connect-timeout",
    "5",
    "--retry",
    "8",
    "--retry-all-errors",
    "--retry-delay",
    "1",
    "-o",
    received,
    `http://${address}:8088/random.bin`,
  ]);
  await sameContent(`${directory}/random.bin`, received);
}

const wireguard: Conversation = {
  name: "wireguard-go",
  programs: ["wireguard-go", "wg", "curl", "nginx", "/dev/net/tun"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("wireguard");
    await randomFile(directory, LENGTH);
    const keys: Record<string, { key: string; public: string }> = {};
    for (const side of ["server", "client"]) {
      const file = `${directory}/${side}.key`;
      await server.run(["sh", "-c", `umask 077; wg genkey >${file}`]);
      const derived = await server.run(["sh", "-c", `wg pubkey <${file}`]);
      keys[side] = { key: file, public: derived.trim() };
    }
    const sides = [
      [server, "server", "client", "10.98.0.1", "10.98.0.2", []],
      [lab.inner, "client", "server", "10.98.0.2", "10.98.0.1", [
        "endpoint",
        `${server.ipv4}:6881`,
      ]],
    ] as const;
    for (const [host, self, peer, address, allowed, endpoint] of sides) {
      // The control socket's name is the interface's, in a directory all namespaces share.
      const name = `wg${self[0]}${Deno.pid}`;
      host.spawn(["wireguard-go", "-f", name], { log: `${directory}/${self}.log` });
      const port = self === "server" ? ["listen-port", "6881"] : [];
      const set = ["wg", "set", name, "private-key", keys[self].key, ...port];
      const script = `until wg show ${name} >/dev/null 2>&1; do sleep 0.1; done; ${
        set.join(" ")
      } peer ${keys[peer].public} allowed-ips ${allowed}/32 ${endpoint.join(" ")}`;
      await host.run(["sh", "-c", script]);
      await host.run(["ip", "address", "add", `${address}/24`, "dev", name]);
      await host.run(["ip", "link", "set", name, "up"]);
    }
    await downloadThrough(lab, directory, "10.98.0.1");
  },
};

export const SECURE: readonly Conversation[] = [
  tls,
  ssh,
  openvpn({ name: "openvpn-udp-static", proto: "udp", key: "static" }),
  openvpn({ name: "openvpn-tcp-static", proto: "tcp", key: "static" }),
  openvpn({ name: "openvpn-udp-tls-crypt", proto: "udp", key: "tls-crypt" }),
  openvpn({ name: "openvpn-tcp-tls-crypt", proto: "tcp", key: "tls-crypt" }),
  wireguard,
];
