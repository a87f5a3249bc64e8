/**
 * Plays the recorded captures through the router, over and over, from the attacker's link:
 *
 *     replayer.ts MAC PACKETS_A_SECOND SECONDS
 *
 * Each time every address of a capture becomes one of 10.0.0.0/8 that was not used before, so flows,
 * bans and evidence come and go. Prints how many packets it has sent.
 */
import { interfaceIndex } from "../../ffi/libc.ts";
import { libc, must } from "../bench/gateway/sockets.ts";
import { loadCorpus } from "../fuzz/corpus.ts";
import { hex } from "../protocols/datagrams.ts";
import { openLink } from "../robustness/programs/sender.ts";

const [mac, rate, seconds] = [Deno.args[0], Number(Deno.args[1]), Number(Deno.args[2])];
const LONGEST = 1500;
const ETHERNET = 14;

const captures = (await loadCorpus(400)).map((seeds) =>
  seeds.map(({ packet }) => packet).filter((packet) => {
    return packet[0] >> 4 === 4 && packet.length <= LONGEST;
  })
).filter(({ length }) => length > 0);

if (interfaceIndex("eth0") === 0) throw new Error("no eth0");
const fd = openLink("eth0");
const frame = new Uint8Array(ETHERNET + LONGEST);
frame.set(hex(mac.replaceAll(":", "") + "0200000000990800"));
const began = performance.now();
let sent = 0;
let nextAddress = 1;
for (let round = 0; performance.now() - began < seconds * 1000; round++) {
  const addresses = new Map<number, number>();
  const renamed = (address: number) => {
    if (!addresses.has(address)) addresses.set(address, 0x0a00_0000 | (nextAddress++ & 0xff_ffff));
    return addresses.get(address)!;
  };
  for (const packet of captures[round % captures.length]) {
    frame.set(packet, ETHERNET);
    readdress(frame, ETHERNET, renamed);
    // The link's queue may be full for a moment: a lost packet is a lost packet.
    libc.send(fd, frame, BigInt(ETHERNET + packet.length), 0);
    sent++;
    const early = (sent / rate) * 1000 - (performance.now() - began);
    if (early > 4) await new Promise((resolve) => setTimeout(resolve, early));
  }
}
must(sent, "send");
console.log(sent);
Deno.exit(0);

function readdress(bytes: Uint8Array, at: number, renamed: (address: number) => number): void {
  const view = new DataView(bytes.buffer);
  let change = 0;
  for (const place of [at + 12, at + 16]) {
    const before = view.getUint32(place);
    const after = renamed(before);
    view.setUint32(place, after);
    change += (~(before >>> 16) & 0xffff) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
  }
  adjust(view, at + 10, change);
  const protocol = bytes[at + 9];
  const transport = at + (bytes[at] & 15) * 4;
  if (protocol === 6) adjust(view, transport + 16, change);
  else if (protocol === 17 && view.getUint16(transport + 6) !== 0) {
    adjust(view, transport + 6, change);
  }
}

/** RFC 1624. */
function adjust(view: DataView, at: number, change: number): void {
  let sum = (~view.getUint16(at) & 0xffff) + change;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at, ~sum & 0xffff);
}
