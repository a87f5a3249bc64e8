import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TextLineStream } from "../../src/blocker/text_lines.ts";
import { ServiceManager } from "../../src/blocker/systemd.ts";
import { until } from "../until.ts";

/** A manager whose datagrams are kept. */
function manager(variables: Record<string, string>) {
  const sent: string[] = [];
  const service = new ServiceManager({
    variable: (name) => variables[name],
    send: (path, bytes) => {
      sent.push(`${path}: ${new TextDecoder().decode(bytes)}`);
      return bytes.length;
    },
  });
  return { service, sent };
}

Deno.test("ServiceManager says what sd_notify(3) asks for", () => {
  const { service, sent } = manager({ NOTIFY_SOCKET: "/run/systemd/notify" });
  service.ready("Guarding FORWARD");
  service.reloading();
  service.status("two\nlines");
  service.stopping();
  assert.deepEqual(sent, [
    "/run/systemd/notify: READY=1\nSTATUS=Guarding FORWARD\n",
    "/run/systemd/notify: RELOADING=1\nSTATUS=Reading the settings again\n",
    "/run/systemd/notify: STATUS=two lines\n",
    "/run/systemd/notify: STOPPING=1\nSTATUS=Removing the rules\n",
  ]);
});

Deno.test("ServiceManager is silent without a manager, and with a socket of another kind", () => {
  const others: Record<string, string>[] = [
    {},
    { NOTIFY_SOCKET: "" },
    { NOTIFY_SOCKET: "vsock:2:1" },
  ];
  for (const variables of others) {
    const { service, sent } = manager({ WATCHDOG_USEC: "1000", ...variables });
    service.ready("ready");
    service.watch(() => true);
    assert.deepEqual(sent, []);
    service[Symbol.dispose]();
  }
});

Deno.test("ServiceManager feeds the watchdog twice in its time, and only while all is well", async () => {
  const { service, sent } = manager({ NOTIFY_SOCKET: "@notify", WATCHDOG_USEC: "20000" });
  let isAlive = true;
  service.watch(() => isAlive);
  assert.deepEqual(sent, ["@notify: WATCHDOG=1\n"]);
  await until(() => sent.length >= 3);
  isAlive = false;
  const before = sent.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(sent.length, before);
  service[Symbol.dispose]();
  service[Symbol.dispose]();
});

Deno.test("ServiceManager leaves a watchdog alone that is meant for another process", () => {
  const { service } = manager({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" });
  assert.equal(service.watchdogMs, 0);
  const ours = { WATCHDOG_USEC: "30000000", WATCHDOG_PID: `${Deno.pid}` };
  assert.equal(manager(ours).service.watchdogMs, 30_000);
  assert.equal(manager({ WATCHDOG_USEC: "nonsense" }).service.watchdogMs, 0);
});

Deno.test({
  name: "ServiceManager reaches a real socket, by path and by abstract name",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const directory = await Deno.makeTempDir();
    const program = fileURLToPath(new URL("../report/programs/notify_socket.ts", import.meta.url));
    try {
      for (const path of [`${directory}/socket`, `\0btblocker-test-${Deno.pid}`]) {
        const isAbstract = path.startsWith("\0");
        const listener = isAbstract ? pythonListener(path.slice(1)) : [
          Deno.execPath(),
          ...["run", "--quiet", "--unstable-net", "-A", program, path],
        ];
        if (listener === null) continue;
        const child = new Deno.Command(listener[0], { args: listener.slice(1), stdout: "piped" })
          .spawn();
        const lines = child.stdout.pipeThrough(new TextLineStream()).getReader();
        assert.equal((await lines.read()).value, '"ready"');
        const socket = isAbstract ? `@${path.slice(1)}` : path;
        const variable = (name: string) => name === "NOTIFY_SOCKET" ? socket : undefined;
        using service = new ServiceManager({ variable });
        service.ready("Guarding");
        assert.equal((await lines.read()).value, '"READY=1\\nSTATUS=Guarding\\n"');
        await lines.cancel();
        child.kill("SIGKILL");
        await child.status;
      }
      // Nobody listens: nothing happens.
      const variable = (name: string) => name === "NOTIFY_SOCKET" ? `${directory}/no` : undefined;
      using service = new ServiceManager({ variable });
      service.ready("Guarding");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

/** Deno has no abstract sockets; python3 has, where it is installed. */
function pythonListener(name: string): string[] | null {
  const probe = new Deno.Command("sh", { args: ["-c", "command -v python3"] }).outputSync();
  if (!probe.success) return null;
  const code = "import json,socket,sys\n" +
    "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);s.bind('\\0'+sys.argv[1])\n" +
    "print(json.dumps('ready'),flush=True)\n" +
    "while True:print(json.dumps(s.recv(4096).decode()),flush=True)";
  return ["python3", "-c", code, name];
}
