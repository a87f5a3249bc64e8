/** Exit codes that others act on: the doctor's where `run` refuses, the image's HEALTHCHECK. */
import assert from "node:assert/strict";
import { Network } from "../../src/demo/network.ts";
import { blockerCommand } from "../e2e/blocker.ts";
import { createRouter, liveImpossible, startGateway, talk } from "../gateway/live.ts";
import { until } from "../until.ts";

const impossible = liveImpossible("unshare", "mount", "nft");
if (impossible !== null) console.log(`tests/cli/health: skipped: ${impossible}`);
const ignore = impossible !== null;

/** Does the kernel have nft's queue expression? Then `run` needs no iptables. */
function nftQueues(): boolean {
  const probe = "table inet probe { chain probe { queue num 0 bypass; }; }\n";
  const args = ["--net", "sh", "-c", `printf '%s' '${probe}' | nft --check -f -`];
  return new Deno.Command("unshare", { args, stderr: "null" }).outputSync().success;
}

Deno.test({
  name: "no iptables, and nft without the queue expression: run refuses, and doctor says so",
  ignore: ignore || nftQueues(),
  async fn() {
    await using network = await Network.create("bthe");
    const config = `${network.directory}/config.toml`;
    await Deno.writeTextFile(config, 'xdp_mode = "off"\nqueue_count = 1\n');
    const hide = "mount --make-rprivate / && " +
      "for tool in /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi; do " +
      '[ ! -e $tool ] || mount --bind /bin/false $tool || exit 9; done; exec "$@"';
    const without = async (command: string) => {
      const program = network.router.spawn([
        ...["unshare", "--mount", "sh", "-c", hide, "sh"],
        ...[...blockerCommand(), command, "--config", config],
      ]);
      const { code } = await program.status;
      return { code, text: program.text() };
    };
    const run = await without("run");
    assert.equal(run.code, 1, run.text);
    assert.match(run.text, /Cannot find iptables/);
    const doctor = await without("doctor");
    assert.match(doctor.text, /^problem +tables +Cannot find iptables/m);
    assert.match(doctor.text, /This machine cannot run it yet/);
    assert.equal(doctor.code, 1);
  },
});

Deno.test({
  name: "status ends with 1 while a queue is not served: HEALTHCHECK is red",
  ignore,
  async fn() {
    const image = await Deno.readTextFile(new URL("../../Dockerfile", import.meta.url));
    assert.match(image, /^HEALTHCHECK .* CMD \["btblocker", "status"\]$/m);
    await using lab = await createRouter(3000);
    const gateway = await startGateway(lab, { worker: "./dying_worker.ts" });
    const status = async () => {
      const program = lab.router.spawn([...blockerCommand(), "status"]);
      const { code } = await program.status;
      return { code, text: program.text() };
    };
    assert.equal((await status()).code, 0, gateway.text());
    await talk(lab, "tcp", 3000, { rounds: 1 });
    await until(() => /crashed: .*dead, as asked/.test(gateway.text()), () => gateway.text());
    await until(async () => {
      const { code, text } = await status();
      return code === 1 && /Not served, packets pass unjudged: queue 0/.test(text);
    });
    await gateway.stop();
  },
});
