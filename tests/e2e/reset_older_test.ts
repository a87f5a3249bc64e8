/** RESET_OLDER: connections older than the blocker begin anew, others and marked ones go on. */
import assert from "node:assert/strict";
import { Lab, labImpossible } from "../lab/lab.ts";
import { until } from "../until.ts";
import { Blocker, blockerCommand } from "./blocker.ts";

/** Echoes lines on a port; a line `<port> closed` when a connection ends, and how. */
const ECHO = `import socket, sys, threading
def serve(c):
    try:
        while True:
            data = c.recv(65536)
            if not data: print("end", flush=True); return
            c.sendall(data)
    except OSError as e: print("reset" if e.errno == 104 else e, flush=True)
def listen(port):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
for port in sys.argv[2:]: threading.Thread(target=listen, args=(int(port),), daemon=True).start()
print("ready", flush=True)
listen(int(sys.argv[1]))
`;
/** Says a line four times a second, connects anew when the connection is reset; prints what happens. */
const ASK = `import socket, sys, time
while True:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
    s.settimeout(5)
    print("connected", flush=True)
    try:
        while True:
            s.sendall(b"\\x00\\x01binary line\\n"); s.recv(100)
            print("answered", flush=True)
            time.sleep(0.25)
    except OSError as e: print("reset" if e.errno == 104 else e, flush=True)
`;
const PORT = 17_001;
const WHITELISTED = 443;

const count = (text: string, word: string) =>
  text.split("\n").filter((line) => line === word).length;

for (const family of [4, 6] as const) {
  Deno.test({
    name: `RESET_OLDER: a connection over IPv${family} begun before is reset at both ends, once`,
    ignore: labImpossible() !== null,
    async fn() {
      await using lab = await Lab.create({ outer: 1 });
      const [peer] = lab.outer;
      const address = family === 4 ? peer.ipv4 : peer.ipv6;
      const echo = peer.spawn(["python3", "-c", ECHO, String(PORT), String(WHITELISTED)]);
      await echo.printedMatch(/ready/);
      const ask = (port: number) => lab.inner.spawn(["python3", "-c", ASK, address, String(port)]);
      const [older, listed] = [ask(PORT), ask(WHITELISTED)];
      for (const asking of [older, listed]) await asking.printedMatch(/answered/);
      const interfaces = lab.network.hosts.map((host) => host.routerInterface);
      await Blocker.start(lab.router, interfaces, lab.directory, { RESET_OLDER: "true" });
      await until(() => count(older.text(), "connected") === 2);
      await until(() => count(echo.text(), "reset") === 1);
      const before = count(older.text(), "answered");
      await until(() => count(older.text(), "answered") >= before + 8);
      assert.equal(count(older.text(), "reset"), 1, "the new connection is left alone");
      assert.equal(count(listed.text(), "connected"), 1, "a whitelisted service is");
      assert.equal(count(listed.text(), "reset"), 0);
    },
  });
}

Deno.test({
  name: "RESET_OLDER: off by default, and a flow that an earlier run has judged keeps its mark",
  ignore: labImpossible() !== null,
  async fn() {
    await using lab = await Lab.create({ outer: 1 });
    const [peer] = lab.outer;
    const echo = peer.spawn(["python3", "-c", ECHO, String(PORT)]);
    await echo.printedMatch(/ready/);
    const interfaces = lab.network.hosts.map((host) => host.routerInterface);
    const start = (settings: Record<string, string>) =>
      Blocker.start(lab.router, interfaces, lab.directory, { MARK_MASK: "0x30000", ...settings });
    const older = lab.inner.spawn(["python3", "-c", ASK, peer.ipv4, String(PORT)]);
    await older.printedMatch(/answered/);
    const first = await start({});
    const asking = lab.inner.spawn(["python3", "-c", ASK, peer.ipv4, String(PORT)]);
    await until(() => count(asking.text(), "answered") >= 12);
    assert.equal(count(older.text(), "reset"), 0, "off by default");
    await first.program.stop();
    await start({ RESET_OLDER: "true" });
    const before = count(asking.text(), "answered");
    await until(() => count(asking.text(), "answered") >= before + 8);
    assert.equal(count(asking.text(), "reset"), 0, "judged before, and marked");
  },
});

/** What stands in the way of resets, and how the log tells of it. */
const OBSTACLES = [
  [
    "no CAP_NET_RAW",
    ["setpriv", "--bounding-set", "-net_raw"],
    [],
    /WARN .*CAP_NET_RAW is missing/,
  ],
  ["a firewall in OUTPUT", [], ["iptables", "-A", "OUTPUT", "-j", "DROP"], /^/],
] as const;
for (const [name, wrap, obstacle, told] of OBSTACLES) {
  Deno.test({
    name: `RESET_OLDER: where resets cannot be sent (${name}), an older connection goes on`,
    ignore: labImpossible() !== null,
    async fn() {
      await using lab = await Lab.create({ outer: 1 });
      const [peer] = lab.outer;
      const echo = peer.spawn(["python3", "-c", ECHO, String(PORT)]);
      await echo.printedMatch(/ready/);
      const older = lab.inner.spawn(["python3", "-c", ASK, peer.ipv4, String(PORT)]);
      await older.printedMatch(/answered/);
      if (obstacle.length > 0) await lab.router.run(obstacle);
      const config = `${lab.directory}/empty.toml`;
      await Deno.writeTextFile(config, "");
      const blocker = lab.router.spawn([...wrap, ...blockerCommand(), "run", "--config", config], {
        env: { RESET_OLDER: "true" },
      });
      await blocker.printedMatch(/Guarding /);
      const before = count(older.text(), "answered");
      await until(() => count(older.text(), "answered") >= before + 8);
      assert.equal(count(older.text(), "connected"), 1);
      assert.equal(count(older.text(), "reset"), 0);
      assert.match(blocker.text(), told);
    },
  });
}
