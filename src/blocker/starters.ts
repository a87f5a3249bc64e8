/**
 * The programs that started this one on someone's behalf: `npx -y deno task run` is a chain of npm,
 * node, a shell and deno. SIGTERM to one of them ends that one only, and the blocker would run on
 * with its rules, out of sight. So it stops when one of them is gone.
 *
 * Shells that a person or a script uses are none of them, nor are init and service managers: who
 * starts a service in the background and leaves wants it to stay.
 */

/** Names that the kernel knows them by (comm, which npm and node may set themselves). */
const RUNNER = /^(deno|node|nodejs|npm|npx|yarn|pnpm|bun|bunx)\b/;
const CHECK_MS = 1_000;
/** Nobody nests deeper. */
const MOST = 16;

/** A process at one time: its number is used again later, its start differs then. */
export interface Ancestor {
  readonly pid: number;
  /** In clock ticks since the boot. */
  readonly started: string;
  readonly comm: string;
}

interface ProcessInfo extends Ancestor {
  readonly parent: number;
  /** It runs one command line: `sh -c "deno task run"`. */
  readonly runsCommand: boolean;
}

/** From the parent up to the outermost runner; shells between two runners belong to them. */
export function starters(parent: number = Deno.ppid, proc: string = "/proc"): Ancestor[] {
  const chain: Ancestor[] = [];
  let runners = 0;
  for (let pid = parent; pid > 1 && chain.length < MOST;) {
    const info = readProcess(pid, proc);
    if (info === null) break;
    const isRunner = RUNNER.test(info.comm);
    if (!isRunner && !info.runsCommand) break;
    chain.push(info);
    if (isRunner) runners = chain.length;
    pid = info.parent;
  }
  return chain.slice(0, runners);
}

/** Null where it is gone. proc_pid_stat(5): pid (comm) state ppid … starttime is the 22nd. */
function readProcess(pid: number, proc: string): ProcessInfo | null {
  try {
    const stat = Deno.readTextFileSync(`${proc}/${pid}/stat`);
    const end = stat.lastIndexOf(")"); // the name may have anything in it
    const fields = stat.slice(end + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null; // over, but not buried yet
    const comm = stat.slice(stat.indexOf("(") + 1, end);
    const words = Deno.readTextFileSync(`${proc}/${pid}/cmdline`).split("\0");
    const runsCommand = /^(ba|da|a|k|z)?sh$/.test(comm) && words[1] === "-c";
    return { pid, comm, parent: Number(fields[1]), started: fields[19], runsCommand };
  } catch {
    return null;
  }
}

/** Calls `onGone` once when one of them is gone. Nothing where there are none. */
export function watchStarters(
  chain: readonly Ancestor[],
  onGone: (gone: Ancestor) => void,
  proc: string = "/proc",
): Disposable {
  const timer = chain.length === 0 ? undefined : setInterval(() => {
    const gone = chain.find(({ pid, started }) => readProcess(pid, proc)?.started !== started);
    if (gone === undefined) return;
    clearInterval(timer);
    onGone(gone);
  }, CHECK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
