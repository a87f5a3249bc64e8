/** MONITOR_ONLY switched on and off: what is known of flows stays known, what is dropped changes. */
import assert from "node:assert/strict";
import { Bed, impossible } from "../robustness/bed.ts";
import { until } from "../until.ts";
import { Blocker, blockerCommand } from "./blocker.ts";

/** Answers every datagram with its own; asks with a DHT ping each 100 ms and prints what came back. */
const ECHO = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 6881))
while True:
    data, sender = s.recvfrom(2048)
    s.sendto(data, sender)
`;
const ASK = `import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.1)
s.bind(("0.0.0.0", 6882))
answers = 0
while True:
    s.sendto(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", (sys.argv[1], 6881))
    try:
        s.recvfrom(2048)
        answers += 1
        print(answers, flush=True)
    except OSError:
        pass
    time.sleep(0.1)
`;

Deno.test({
  name: "MONITOR_ONLY off: a flow found before is dropped; on again: it passes",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const config = `${bed.network.directory}/config.toml`;
    const write = (monitorOnly: boolean) =>
      Deno.writeTextFile(
        config,
        `interface = "${bed.attacker.routerInterface}"\nqueue_count = 1\nban_target = "none"\n` +
          `monitor_only = ${monitorOnly}\n`,
      );
    await write(true);
    const blocker = bed.router.spawn([...blockerCommand(), "run", "--config", config]);
    await blocker.printedMatch(/Watching /);
    const reload = async (monitorOnly: boolean) => {
      const before = blocker.text().match(/Reloaded/g)?.length ?? 0;
      await write(monitorOnly);
      blocker.kill("SIGHUP");
      await until(() => (blocker.text().match(/Reloaded/g)?.length ?? 0) > before);
    };
    bed.server.spawn(["python3", "-c", ECHO]);
    const asking = bed.user.spawn(["python3", "-c", ASK, bed.server.ipv4]);
    const answers = () => asking.text().trim().split("\n").filter((line) => line !== "").length;
    /** Answers to the next ten or so queries. */
    const more = async () => {
      const before = answers();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return answers() - before;
    };

    await until(() => /\[DETECT\]/.test(blocker.text()), () => "no detection");
    await until(() => answers() > 3, () => "a monitor drops");
    await reload(false);
    assert.equal(await more(), 0, "known as BitTorrent, and blocked now");
    await reload(true);
    await until(() => more().then((count) => count > 3), () => "a monitor drops");
    assert.equal((await blocker.stop("SIGTERM")).code, 0, blocker.text());
    assert.deepEqual(await Blocker.leftovers(bed.router), []);
  },
});
