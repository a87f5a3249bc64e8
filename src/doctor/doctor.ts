/** All that is looked at, in the order in which it is told. */
import type { Config } from "../config/options.ts";
import { askControl } from "../blocker/control.ts";
import { networkNamespaceInode } from "../gateway/network/network_namespace.ts";
import { carryOut, type Check, type Diagnosis, ok, problem, warning } from "./diagnosis.ts";
import { firstLookCheck } from "./first_look_check.ts";
import {
  bpfChecks,
  kernelCheck,
  LIBRARY_CHECKS,
  netfilterChecks,
  rightsChecks,
} from "./kernel_checks.ts";
import { kernelSources } from "./kernel_parts.ts";
import { kernelRelease } from "./machine.ts";
import { firewallChecks, interfaceChecks, queueCheck, settingChecks } from "./network_checks.ts";
import { namedChecks } from "./settings_checks.ts";

/** Looks at everything; never throws. @param os as in `Deno.build.os` */
export async function examine(config: Config, os: string = Deno.build.os): Promise<Diagnosis[]> {
  if (os !== "linux") {
    const detail = `${os}: NFQUEUE and XDP belong to Linux`;
    return [problem("kernel", detail, "btblocker analyze works here; guard networks on Linux")];
  }
  const findings: Diagnosis[] = [];
  const tell = async (checks: readonly Check[]) => {
    for (const check of checks) findings.push(...await carryOut(check));
  };
  const release = kernelRelease();
  const running = await findRunning();
  await tell([{ name: "running", look: () => running.finding }]);
  const sources = await kernelSources();
  await tell([kernelCheck(release), ...netfilterChecks(sources)]);
  await tell([...LIBRARY_CHECKS, ...rightsChecks()]);
  await tell([...firewallChecks(config, running.isThere), firstLookCheck(config, sources)]);
  await tell([queueCheck(config, running.pid), ...bpfChecks(release, config)]);
  await tell(interfaceChecksOf(config));
  await tell([...settingChecks(config), ...namedChecks(config, running.pid)]);
  return findings;
}

/** The list of interfaces is itself read from the machine. */
function interfaceChecksOf(config: Config): readonly Check[] {
  try {
    return interfaceChecks(config);
  } catch (error) {
    return [{ name: "xdp", look: () => Promise.reject(error) }];
  }
}

interface Running {
  /** Of the blocker in this network namespace; null for none, or none that answers. */
  readonly pid: number | null;
  /** One that does not answer is there too. */
  readonly isThere: boolean;
  readonly finding: Diagnosis;
}

async function findRunning(): Promise<Running> {
  try {
    const answer = await askControl(networkNamespaceInode(), "status", undefined);
    if (answer === null) {
      return { pid: null, isThere: false, finding: ok("running", "no btblocker runs here") };
    }
    const { pid, started, version } = answer.result as Record<string, unknown>;
    const detail = `btblocker ${version}, process ${pid}, since ${started}`;
    return { pid: Number(pid), isThere: true, finding: ok("running", detail) };
  } catch (error) {
    const detail = (error as Error).message;
    return { pid: null, isThere: true, finding: warning("running", detail) };
  }
}
