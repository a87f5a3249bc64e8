/** Shadowsocks and obfs4: random from the first byte, as MSE is. */

import { until } from "../../until.ts";
import { type Conversation, listening, randomFile, sameContent } from "./conversation.ts";
import { startNginx } from "./web.ts";

const LENGTH = 20_000;
const DOWNLOADS = 4;

function shadowsocks(method: string): Conversation {
  return {
    name: `shadowsocks-${method}`,
    programs: ["ss-server", "ss-local", "curl", "nginx"],
    async run(lab) {
      const [server] = lab.outer;
      const directory = await lab.newDirectory("shadowsocks");
      await Deno.chmod(directory, 0o755);
      const file = await randomFile(directory, LENGTH);
      await startNginx(lab, server, directory, 8_088);
      const secret = ["-p", "8388", "-k", "laboratory", "-m", method];
      server.spawn(["ss-server", "-s", "0.0.0.0", ...secret], { log: `${directory}/server.log` });
      lab.inner.spawn(["ss-local", "-s", server.ipv4, "-b", "127.0.0.1", "-l", "1080", ...secret], {
        log: `${directory}/local.log`,
      });
      await listening(server, "tcp", 8_388);
      await listening(lab.inner, "tcp", 1_080);
      const received = `${directory}/received`;
      const url = `http://${server.ipv4}:8088/random.bin`;
      for (let i = 0; i < DOWNLOADS; i++) {
        const proxy = ["--socks5-hostname", "127.0.0.1:1080"];
        await lab.inner.run(["curl", "-sf", "-m", "40", ...proxy, "-o", received, url]);
        await sameContent(file, received);
      }
    },
  };
}

const obfs4: Conversation = {
  name: "obfs4proxy",
  programs: ["obfs4proxy", "curl", "nginx"],
  async run(lab) {
    const [server] = lab.outer;
    const directory = await lab.newDirectory("obfs4");
    await Deno.chmod(directory, 0o755);
    const file = await randomFile(directory, LENGTH);
    await startNginx(lab, server, directory, 8_088);
    const state = await lab.newDirectory("obfs4-server");
    const common = { TOR_PT_MANAGED_TRANSPORT_VER: "1" };
    server.spawn(["obfs4proxy"], {
      log: `${directory}/server.log`,
      env: {
        ...common,
        TOR_PT_STATE_LOCATION: state,
        TOR_PT_SERVER_TRANSPORTS: "obfs4",
        TOR_PT_SERVER_BINDADDR: `obfs4-${server.ipv4}:7000`,
        TOR_PT_ORPORT: "127.0.0.1:8088",
      },
    });
    await listening(server, "tcp", 7_000);
    const bridge = () => Deno.readTextFile(`${state}/obfs4_bridgeline.txt`).catch(() => "");
    await until(async () => /cert=\S+ iat-mode/.test(await bridge()));
    const cert = /cert=(\S+)/.exec(await bridge())![1];
    const client = lab.inner.spawn(["obfs4proxy"], {
      log: `${directory}/client.log`,
      env: {
        ...common,
        TOR_PT_STATE_LOCATION: await lab.newDirectory("obfs4-client"),
        TOR_PT_CLIENT_TRANSPORTS: "obfs4",
      },
    });
    const [, socks] = await client.printedMatch(/CMETHOD obfs4 socks5 (\S+)/);
    const received = `${directory}/received`;
    for (let i = 0; i < DOWNLOADS; i++) {
      await lab.inner.run([
        "curl",
        "-sf",
        "-m",
        "40",
        "--socks5",
        socks,
        // The bridge's arguments are what stands in the name and password together.
        "--proxy-user",
        `cert=${cert};iat-:mode=0`,
        "-o",
        received,
        `http://${server.ipv4}:7000/random.bin`,
      ]);
      await sameContent(file, received);
    }
  },
};

export const PROXIES: readonly Conversation[] = [
  shadowsocks("chacha20-ietf-poly1305"),
  shadowsocks("aes-256-gcm"),
  obfs4,
];
