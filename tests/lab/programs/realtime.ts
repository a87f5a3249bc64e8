/** SIP with RTP, STUN and TURN, QUIC, CoAP: the UDP protocols closest to uTP and trackers. */

import { delay } from "../client.ts";
import {
  certificate,
  type Conversation,
  listening,
  randomFile,
  sameContent,
} from "./conversation.ts";

const sip: Conversation = {
  name: "sip-rtp",
  programs: ["sipp"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("sip");
    // The built-in scenario plays `pcap/g711a.pcap` from where it runs.
    await Deno.symlink("/usr/share/sip-tester", `${directory}/pcap`);
    const uas = ["sipp", "-sn", "uas", "-p", "5070", "-nostdin", "-rtp_echo", "-i", server.ipv4];
    server.spawn(uas, { cwd: directory, log: `${directory}/uas.log` });
    await listening(server, "udp", 5_070);
    const uac = ["sipp", "-sn", "uac_pcap", `${server.ipv4}:5070`, "-m", "1", "-nostdin"];
    const client = lab.inner.spawn([...uac, "-i", lab.inner.ipv4, "-p", "6881"], {
      cwd: directory,
      log: `${directory}/uac.log`,
    });
    const status = await client.status;
    if (!status.success) throw new Error(client.text().slice(-2000));
  },
};

const turn: Conversation = {
  name: "stun-turn",
  programs: ["turnserver", "turnutils_stunclient", "turnutils_uclient"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("turn");
    server.spawn([
      "turnserver",
      "-n",
      "--no-cli",
      "--no-tls",
      "--no-dtls",
      "--lt-cred-mech",
      "--allow-loopback-peers",
      "--user=lab:lab",
      "--realm=example.org",
      `--listening-ip=${server.ipv4}`,
      `--relay-ip=${server.ipv4}`,
      "--listening-port=6888",
      "--log-file=stdout",
      `--pidfile=${directory}/pid`,
      `--userdb=${directory}/db`,
    ], { cwd: directory, log: `${directory}/log` });
    await listening(server, "udp", 6_888);
    await lab.inner.run(["turnutils_stunclient", "-p", "6888", server.ipv4]);
    const client = ["turnutils_uclient", "-u", "lab", "-w", "lab", "-p", "6888", "-y", "-c"];
    const report = await lab.inner.run([...client, "-n", "30", "-m", "2", server.ipv4], 120_000);
    if (!/Total lost packets 0 /.test(report)) throw new Error(report);
  },
};

const quic: Conversation = {
  name: "quic-ngtcp2",
  programs: ["gtlsclient", "gtlsserver"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("quic");
    const file = await randomFile(directory, 30_000);
    const [key, cert] = await certificate(server, directory);
    server.spawn(["gtlsserver", "-q", "-d", directory, server.ipv4, "6889", key, cert], {
      log: `${directory}/server.log`,
    });
    await listening(server, "udp", 6_889);
    const received = await lab.newDirectory("received");
    const url = `https://lab.example:6889/random.bin`;
    await lab.inner.run([
      "gtlsclient",
      "-q",
      "--exit-on-all-streams-close",
      `--download=${received}`,
      server.ipv4,
      "6889",
      url,
    ]);
    await sameContent(file, `${received}/random.bin`);
  },
};

const coap: Conversation = {
  name: "coap",
  programs: ["coap-server-notls", "coap-client-notls"],
  async run(lab) {
    const [server] = lab.outer;
    server.spawn(["coap-server-notls", "-A", server.ipv4, "-p", "6890"]);
    await listening(server, "udp", 6_890);
    const url = `coap://${server.ipv4}:6890`;
    // A confirmable request with a token of one byte begins 0x41, as a uTP SYN does.
    for (const token of ["a", "b", "cd", "efgh"]) {
      for (const path of ["/.well-known/core", "/time", "/"]) {
        const get = ["coap-client-notls", "-B", "3", "-T", token, "-m", "get"];
        await lab.inner.run([...get, url + path]);
      }
    }
    await delay(100);
  },
};

export const REALTIME: readonly Conversation[] = [sip, turn, quic, coap];
