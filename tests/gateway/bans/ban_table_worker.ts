/** One thread of the test with several: works on 1,000 addresses of its own and 500 shared ones. */
/// <reference lib="deno.worker" />

import { REASON_FLEET } from "../../../src/gateway/bans/ban_codec.ts";
import { addressKey } from "../../../src/gateway/bans/ban_key.ts";
import { BanTable } from "../../../src/gateway/bans/ban_table.ts";

const OWN = 1_000;
const SHARED = 500;

self.onmessage = (
  { data }: MessageEvent<{ buffer: SharedArrayBuffer; number: number; rounds: number }>,
) => {
  const { buffer, number, rounds } = data;
  const bans = new BanTable(buffer);
  const words = Int32Array.of(0, 0, 0xffff, 0);
  const has = () => bans.get(addressKey(words), 1) !== null;
  let wrong = 0;
  for (let i = 0; i < rounds; i++) {
    const index = i % OWN;
    words[3] = ((number + 1) << 16) + index;
    bans.add(addressKey(words), 1e6, 0, REASON_FLEET);
    if (!has()) wrong++;
    if (index % 2 === 0 && (!bans.remove(addressKey(words)) || has())) wrong++;
    words[3] = (9 << 16) + (i * 7 + number) % SHARED;
    bans.add(addressKey(words), 1e6, 0, REASON_FLEET);
    if (!has()) wrong++;
    words[3] = (10 << 16) + index; // nobody's
    if (has()) wrong++;
  }
  self.postMessage(wrong);
};
