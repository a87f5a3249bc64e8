/** Which parts the kernel has: by its own list, by its configuration, by its modules' files. */
import { exists } from "../files.ts";
import { kernelRelease, readText } from "./machine.ts";

/** A part of the kernel: the module it may be, the configuration symbol it is built by. */
export interface KernelPart {
  readonly module: string;
  readonly symbol: string;
  /** A file that is there when the part is, whichever way. */
  readonly file?: string;
}

/** `unknown`: this kernel tells neither its configuration nor its modules (a container). */
export type Presence = "there" | "loadable" | "absent" | "unknown";

/** What can be known without loading anything. */
export interface KernelSources {
  /** Whether a file is there. */
  readonly exists: (path: string) => boolean;
  /** `CONFIG_…=` lines, or null where the kernel keeps them to itself. */
  readonly config: string | null;
  /** modules.dep and modules.builtin together, or null. */
  readonly modules: string | null;
}

export async function kernelSources(): Promise<KernelSources> {
  const release = kernelRelease();
  const config = await readGzip("/proc/config.gz") ?? readText(`/boot/config-${release}`);
  const lists = ["modules.dep", "modules.builtin"].map((name) => {
    return readText(`/lib/modules/${release}/${name}`);
  });
  const modules = lists.every((list) => list === null) ? null : lists.join("\n");
  return { exists, config, modules };
}

export function presenceOf(part: KernelPart, sources: KernelSources): Presence {
  const { module, symbol, file } = part;
  if (sources.exists(`/sys/module/${module}`)) return "there";
  if (file !== undefined && sources.exists(file)) return "there";
  const setting = sources.config === null
    ? undefined
    : new RegExp(`^${symbol}=([ym])$`, "m").exec(sources.config)?.[1];
  if (setting === "y") return "there";
  if (sources.config !== null && setting === undefined) return "absent";
  if (sources.modules !== null) {
    // kernel/net/netfilter/nfnetlink_queue.ko.xz: …; underscores and dashes are the same in names.
    const name = module.replaceAll("_", "[_-]");
    return new RegExp(`/${name}\\.ko`, "m").test(sources.modules) ? "loadable" : "absent";
  }
  return setting === "m" ? "loadable" : "unknown";
}

async function readGzip(path: string): Promise<string | null> {
  try {
    const packed = new Blob([await Deno.readFile(path)]).stream();
    return await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text();
  } catch {
    return null;
  }
}
