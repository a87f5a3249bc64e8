/** The matrix's count of what came over the wire, against what was really sent. */

import assert from "node:assert/strict";
import { startFileServer } from "../lab/file_server.ts";
import { Lab, labImpossible } from "../lab/lab.ts";
import { randomBytes } from "../../src/demo/torrent.ts";
import { WireCounter } from "./matrix/wire.ts";

const LENGTH = 300_000;
/** Heads of the answers and selective acknowledgments. */
const MOST_BESIDE = 2_000;

for (const family of [4, 6] as const) {
  Deno.test({
    name: `matrix: bytes on the wire are payload, over IPv${family}, the tracker's left out`,
    ignore: labImpossible() !== null,
    async fn() {
      await using lab = await Lab.create({ outer: 2 });
      const [peer, tracker] = lab.outer;
      const file = `${lab.directory}/content`;
      await Deno.writeFile(file, randomBytes(LENGTH));
      const wire = await WireCounter.start(lab.inner, [tracker.ipv4, tracker.ipv6]);
      assert.equal(await wire.bytes(), 0);
      for (const host of [peer, tracker]) {
        await startFileServer(lab, host, 8_080, file);
        const address = family === 4 ? host.ipv4 : `[${host.ipv6}]`;
        const curl = ["curl", "-sf", "-m", "40", "-o", `${lab.directory}/got`];
        await lab.inner.run([...curl, `http://${address}:8080/`]);
        const bytes = await wire.bytes();
        assert.ok(bytes >= LENGTH && bytes <= LENGTH + MOST_BESIDE, `${bytes} after ${host.name}`);
      }
    },
  });
}
