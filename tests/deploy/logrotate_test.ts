import assert from "node:assert/strict";
import { liveImpossible } from "../gateway/live.ts";
import { PROJECT } from "./unprivileged.ts";

const impossible = liveImpossible("logrotate");
const why = impossible === null ? "" : ` (skipped: ${impossible})`;

Deno.test({
  name: `logrotate moves the detection log and pcap away and sends the signal once${why}`,
  ignore: impossible !== null,
  async fn() {
    const directory = await Deno.makeTempDir();
    try {
      const signalled = `${directory}/signalled`;
      const text = (await Deno.readTextFile(`${PROJECT}deploy/logrotate/btblocker`))
        .replaceAll("/var/log/btblocker/", `${directory}/`)
        .replace("su btblocker btblocker", "su root root")
        .replace(/systemctl kill .*/, `echo HUP >>${signalled}`);
      assert.match(text, new RegExp(`echo HUP >>${signalled}`));
      await Deno.writeTextFile(`${directory}/config`, text, { mode: 0o644 });
      for (const name of ["detections.log", "other.log", "detections.pcapng"]) {
        await Deno.writeTextFile(`${directory}/${name}`, "an entry\n", { mode: 0o600 });
      }
      const rotate = async () => {
        const { success, stderr } = await new Deno.Command("logrotate", {
          args: ["--force", "--state", `${directory}/state`, `${directory}/config`],
        }).output();
        assert.equal(new TextDecoder().decode(stderr), "");
        assert.ok(success);
      };
      await rotate();
      const { mode } = await Deno.stat(`${directory}/detections.log.1`);
      assert.equal(mode! & 0o777, 0o600);
      await assert.rejects(Deno.stat(`${directory}/detections.log`), "the blocker makes it anew");
      await assert.rejects(Deno.stat(`${directory}/detections.pcapng`));
      assert.equal((await Deno.stat(`${directory}/detections.pcapng.1`)).mode! & 0o777, 0o600);
      assert.equal(await Deno.readTextFile(signalled), "HUP\n");
      await rotate(); // nothing to rotate
      assert.equal(await Deno.readTextFile(`${directory}/detections.log.1`), "an entry\n");
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
