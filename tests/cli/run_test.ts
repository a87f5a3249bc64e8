/** How the blocker starts, refuses to start and reloads, as a process in a namespace of its own. */
import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import type { Program } from "../../src/demo/program.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { liveImpossible, savedRules } from "../gateway/live.ts";

const impossible = liveImpossible("unshare", "mount");
const why = impossible === null ? "" : ` (skipped: ${impossible})`;

/** What it looks up in /etc: which iptables is meant, where the libraries are. */
const KEPT_OF_ETC = "alternatives ld.so.cache ld.so.conf ld.so.conf.d protocols";

/** Runs it with an /etc of its own, in which there is /etc/btblocker alone. */
function start(
  { router }: Network,
  settings: Record<string, string>,
  config: string | null = null,
): Program {
  const script = `
    mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/btblocker &&
    for name in ${KEPT_OF_ETC}; do [ ! -e /etc/$name ] || cp -a /etc/$name /mnt/ || exit; done &&
    { [ -z "$CONFIG_TEXT" ] || printf '%s\\n' "$CONFIG_TEXT" > /mnt/btblocker/config.toml; } &&
    mount --move /mnt /etc && exec "$@"`;
  return router.spawn(["unshare", "--mount", "sh", "-c", script, "sh", ...blockerCommand()], {
    env: { QUEUE_COUNT: "1", XDP_MODE: "off", CONFIG_TEXT: config ?? "", ...settings },
  });
}

const FLEET = { FLEET_URL: "http://127.0.0.1:1" };
const TOKEN = "correct-horse-battery";
/** Not of this machine (RFC 5737), so that nobody can listen there. */
const FOREIGN = "192.0.2.77:9090";

const refused: readonly [what: string, settings: Record<string, string>, RegExp][] = [
  ["an address that cannot be had", { STATUS_LISTEN: FOREIGN, STATUS_TOKEN: TOKEN }, /at 192\.0/],
  [
    "a token file that is not there",
    { STATUS_LISTEN: "127.0.0.1:0", STATUS_TOKEN: "file:/nonexistent/token" },
    /Cannot read the status token/,
  ],
  [
    "a fleet key that is not there",
    { ...FLEET, FLEET_KEY_FILE: "/nonexistent/key" },
    /Cannot read \/nonexistent\/key of FLEET_KEY/,
  ],
  ["an empty fleet key", { ...FLEET, FLEET_KEY_FILE: "/dev/null" }, /FLEET_KEY: it is empty/],
  [
    "a file that is no certificate",
    {
      ...{ FLEET_URL: "https://127.0.0.1:1", FLEET_CERT: "/proc/version" },
      FLEET_CERT_KEY: "/proc/version",
    },
    /certificate/i,
  ],
];

for (const [what, settings, message] of refused) {
  Deno.test({
    name: `run refuses before any rule: ${what}${why}`,
    ignore: impossible !== null,
    async fn() {
      await using network = await Network.create("btrun");
      const program = start(network, { ...settings, LOG_FORMAT: "json" });
      const [printed] = await program.printedMatch(/"level":"error"|Guarding/);
      if (printed === "Guarding") await program.stop();
      const { code } = await program.status;
      assert.equal(code, 1, program.text());
      const last = JSON.parse(program.text().trimEnd().split("\n").at(-1)!);
      assert.equal(last.level, "error");
      assert.match(last.message, message);
      assert.doesNotMatch(program.text(), /Guarding/);
    },
  });
}

Deno.test({
  name: `a default configuration file that vanished is a bad one on reload${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btrun");
    const program = start(network, {}, "monitor_only = true");
    await program.printedMatch(/Watching FORWARD/);
    const file = `/proc/${program.pid}/root/etc/btblocker/config.toml`;
    Deno.removeSync(file);
    program.kill("SIGHUP");
    await program.printedMatch(
      /Cannot reload, the settings stay .*config\.toml: no such file any more/,
    );
    assert.doesNotMatch(program.text(), /Reloaded/);
    Deno.writeTextFileSync(file, "monitor_only = true\nban_duration = 60\nqueue_count = 2\n");
    program.kill("SIGHUP");
    await program.printedMatch(/Reloaded: BAN_DURATION$/m);
    assert.match(await savedRules(network.router), /BTBLOCKER/);
    assert.equal((await program.stop()).code, 0);
  },
});

Deno.test({
  name: `the status page is told of once there is something to tell${why}`,
  ignore: impossible !== null,
  async fn() {
    await using network = await Network.create("btrun");
    await network.router.run(["ip", "link", "set", "lo", "up"]);
    const program = start(network, { STATUS_LISTEN: "127.0.0.1:9090" });
    await program.printedMatch(/Guarding FORWARD[^]*Status page at http:\/\/127\.0\.0\.1:9090\//);
    assert.equal((await program.stop()).code, 0, program.text());
  },
});
