import assert from "node:assert/strict";
import { detectionLine } from "../../src/report/console.ts";
import { record } from "./detection_fixture.ts";

Deno.test("detectionLine() says what was done", () => {
  const head = "[DETECT] UDP 192.168.1.100:51234 → 8.8.8.8:6881 udp-tracker " +
    "(announce request, qBittorrent 1.4.2) - ";
  assert.equal(detectionLine(record()), `${head}banned 192.168.1.100 for 5h`);
  assert.equal(
    detectionLine(record({ action: "monitored", bans: [] })),
    `${head}Monitor only (no ban)`,
  );
  assert.equal(detectionLine(record({ bans: [] })), `${head}dropped, nobody banned`);
  const both = ["192.168.1.100", "8.8.8.8"].map((target) => ({ target, seconds: 300 }));
  assert.equal(
    detectionLine(record({ bans: both })),
    `${head}banned 192.168.1.100 and 8.8.8.8 for 5m`,
  );
  const repeated = [both[0], { ...both[1], seconds: 600 }];
  assert.equal(
    detectionLine(record({ bans: repeated })),
    `${head}banned 192.168.1.100 for 5m and 8.8.8.8 for 10m`,
  );
});

Deno.test("detectionLine() writes IPv6 with brackets and leaves an unknown client out", () => {
  const line = detectionLine(
    record({}, { client: null, protocol: 6, source: "2001:db8::1", destination: "2001:db8::2" }),
  );
  assert.ok(line.startsWith(
    "[DETECT] TCP [2001:db8::1]:51234 → [2001:db8::2]:6881 udp-tracker (announce request) - ",
  ));
});
