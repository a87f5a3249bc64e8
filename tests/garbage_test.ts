import assert from "node:assert/strict";

/** In a worker, as those of the queues have it: tells whether garbage outlives turns, and a collection. */
const WORKER = `
import { collectGarbage } from "${new URL("../src/garbage.ts", import.meta.url)}";
const make = () => new WeakRef({ large: new Array(1000).fill("garbage") });
const later = () => new Promise((resolve) => setTimeout(resolve, 0));
await later();
const garbage = make();
await later(); // a WeakRef keeps what it was made of until the turn ends
const before = garbage.deref() !== undefined;
await later();
collectGarbage();
const after = garbage.deref() !== undefined;
self.postMessage({ before, after });
`;

Deno.test("a worker collects its garbage when it is asked to", async () => {
  const url = URL.createObjectURL(new Blob([WORKER], { type: "application/javascript" }));
  const worker = new Worker(url, { type: "module" });
  try {
    const told = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    assert.deepEqual(told, { before: true, after: false });
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
});
