import assert from "node:assert/strict";
import { parseQueueStatistics } from "../../../src/gateway/queue/queue_statistics.ts";

Deno.test("parseQueueStatistics() reads the kernel's table", () => {
  // As Linux 6.18 prints it: two queues of one process.
  const text = "    0  12345     3 2 65531     4     5    40062  1\n" +
    "65535   -101     0 2 65531     0     0        0  1\n";
  assert.deepEqual([...parseQueueStatistics(text)], [
    [0, { waiting: 3, dropped: 9 }],
    [65_535, { waiting: 0, dropped: 0 }],
  ]);
});

Deno.test("parseQueueStatistics() passes over what it cannot read", () => {
  assert.equal(parseQueueStatistics("").size, 0);
  assert.equal(parseQueueStatistics("queue pid waiting\n1 2 3\n").size, 0);
});
