import assert from "node:assert/strict";
import type { PacketCopy } from "../../src/engine/packet_copy.ts";
import { DetectionFiles } from "../../src/report/detection_files.ts";
import { record } from "./detection_fixture.ts";

const PACKET: PacketCopy = { bytes: new Uint8Array(20), length: 20 };
const OFF = { detectionLog: "", detectionLogFormat: "json", detectionPcap: "" } as const;
const FULL = "/dev/full"; // takes nothing

Deno.test({
  name: "DetectionFiles count what each did not take, over reloads (needs /dev/full)",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const directory = Deno.makeTempDirSync();
    try {
      const warnings: string[] = [];
      using files = new DetectionFiles((message) => warnings.push(message));
      const none = { lost: 0, leftOut: 0 };
      files.open(OFF);
      files.write(record(), PACKET);
      assert.deepEqual(files.status, { log: none, pcap: none }, "off, so nothing is lost");
      files.open({ ...OFF, detectionLog: FULL, detectionPcap: `${directory}/packets.pcapng` });
      for (let i = 0; i < 3; i++) files.write(record(), PACKET);
      assert.deepEqual(files.status, { log: { lost: 3, leftOut: 0 }, pcap: none });
      files.open(OFF);
      assert.deepEqual(files.status.log, { lost: 3, leftOut: 0 });
      files.open({ ...OFF, detectionLog: FULL, detectionPcap: `${directory}/none/x.pcapng` });
      files.write(record(), PACKET);
      const both = { log: { lost: 4, leftOut: 0 }, pcap: { lost: 1, leftOut: 0 } };
      assert.deepEqual(files.status, both);
      files[Symbol.dispose]();
      files[Symbol.dispose]();
      assert.deepEqual(files.status, both, "closed twice, counted once");
      assert.ok(warnings.every((message) => /^Cannot write the detection /.test(message)));
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});
