/**
 * Packets dropped on veth in a second of processor time by the filter, at tc and at XDP, and by `iptables -t raw`.
 * The traffic is made in the kernel (live frames redirected into the other end), by the thread that receives it.
 */
import { fileURLToPath } from "node:url";
import type { Namespaces } from "../bpf/namespaces.ts";
import { takeTurns } from "./rounds.ts";

const PACKETS = 1_000_000;
const ROUNDS = 5;
const here = fileURLToPath(new URL("./", import.meta.url));

/** Builds the programs to compare with; gives the object's path. Needs clang. */
export async function compileBare(): Promise<string> {
  const object = await Deno.makeTempFile({ suffix: ".o" });
  const flags = ["-target", "bpf", "-O2", "-g", `-I/usr/include/${Deno.build.arch}-linux-gnu`];
  const args = [...flags, "-c", `${here}xdp_bare.bpf.c`, "-o", object];
  const { success } = await new Deno.Command("clang", { args, stderr: "inherit" }).output();
  if (!success) throw new Error("Cannot compile the programs to compare with");
  return object;
}

/** Prints packets dropped a second, and gives those of tc and of iptables. */
export async function measureDrops(
  hosts: Namespaces,
  object: string,
): Promise<{ tc: number; iptables: number }> {
  await hosts.connect("v0", { gateway: ["10.9.1.1/24"], outside: ["10.9.1.2/24"] });
  const link = JSON.parse(await hosts.ip("gateway", "-j", "link", "show", "v0"));
  const mac = (link[0].address as string).replaceAll(":", "");
  // Without XDP a veth takes redirected frames only where GRO gives it a NAPI queue.
  await hosts.run("gateway", "ethtool", "-K", "v0", "gro", "on");
  await hosts.run("outside", "ethtool", "-K", "v0", "gro", "on");
  const send = async (): Promise<number> => {
    const command = ["run", "-q", "-A", `${here}xdp_send.ts`, object, mac, `${PACKETS}`];
    const result = await hosts.run("outside", Deno.execPath(), ...command);
    if (result.code !== 0) throw new Error(result.stderr);
    return Number(result.stdout);
  };
  const withFilter = (mode: "tc" | "native" | "generic") => async () => {
    const filter = await hosts.startFilter({ interfaces: ["v0"], xdpMode: mode });
    const request = { action: "add", addresses: ["10.9.1.2"], durationSeconds: 3600 };
    await filter.ask("bans", request);
    const rate = await send();
    const drops = await filter.ask<Record<string, { packets: number }>>("drops");
    await filter.kill("SIGTERM");
    return rate * drops.v0.packets / PACKETS;
  };
  const rule = ["PREROUTING", "-s", "10.9.1.2", "-j", "DROP"];
  const withIptables = async () => {
    const added = await hosts.run("gateway", "iptables", "-t", "raw", "-I", ...rule);
    if (added.code !== 0) throw new Error(added.stderr);
    const rate = await send();
    const listing = await hosts.run("gateway", "iptables", "-t", "raw", "-vxnL", "PREROUTING");
    await hosts.run("gateway", "iptables", "-t", "raw", "-D", ...rule);
    const dropped = Number(/^\s*(\d+).*DROP/m.exec(listing.stdout)?.[1]);
    return rate * dropped / PACKETS;
  };
  const rivals = [
    { name: "tc ingress, as shipped on veth", measure: withFilter("tc") },
    { name: "XDP, native", measure: withFilter("native") },
    { name: "XDP, generic", measure: withFilter("generic") },
    { name: "iptables -t raw", measure: withIptables },
  ];
  const results = await takeTurns(rivals, ROUNDS);
  console.log("Packets a second of processor time, made and dropped on veth");
  for (const [index, { name }] of rivals.entries()) {
    const rate = Math.round(results[index]).toLocaleString("en");
    const ratio = (results[index] / results.at(-1)!).toFixed(2);
    console.log(`  ${name.padEnd(40)}${rate.padStart(12)}   ${ratio} × iptables`);
  }
  return { tc: results[0], iptables: results.at(-1)! };
}
