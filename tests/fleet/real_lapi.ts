/**
 * A real Local API of CrowdSec for tests: Debian's package, unpacked (installing it would register it
 * with CrowdSec's central API), with a configuration of its own and no hub.
 */
import { Program } from "../../src/demo/program.ts";

export const LAPI_PORT = 18_080;
export const KEY = "a-bouncer-key-of-sufficient-length";
export const PASSWORD = "a-machine-password-of-sufficient-length";
const PACKAGE = "crowdsec";
const DOWNLOAD_MS = 60_000;

/** Directory of the programs, or why there is none. Downloads the package once a machine. */
async function findPrograms(): Promise<{ directory: string; problem: null } | { problem: string }> {
  if (Deno.build.os !== "linux") return { problem: "needs Linux" };
  const parent = Deno.env.get("XDG_CACHE_HOME") ?? "/var/tmp";
  const cache = `${parent}/btblocker-crowdsec`;
  const directory = `${cache}/usr/bin`;
  if (isThere(`${directory}/crowdsec`)) return { directory, problem: null };
  if (isThere("/usr/bin/crowdsec") && isThere("/usr/bin/cscli")) {
    return { directory: "/usr/bin", problem: null };
  }
  const work = await Deno.makeTempDir();
  try {
    const script = `apt-get download -q ${PACKAGE} >&2 && dpkg-deb -x ${PACKAGE}_*.deb unpacked`;
    const { success, stderr } = await new Deno.Command("sh", {
      ...{ args: ["-c", script], cwd: work },
      signal: AbortSignal.timeout(DOWNLOAD_MS),
    }).output();
    if (!success) {
      const reason = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
      return { problem: `crowdsec's package cannot be had: ${reason}` };
    }
    // Whole or not at all: tests of several processes look for it at once.
    const fresh = await Deno.makeTempDir({ dir: parent, prefix: "btblocker-crowdsec-" });
    await new Deno.Command("cp", { args: ["-r", `${work}/unpacked/usr`, fresh] }).output();
    await Deno.chmod(fresh, 0o755);
    try {
      await Deno.rename(fresh, cache);
    } catch {
      await Deno.remove(fresh, { recursive: true }); // another was faster
    }
    return isThere(`${directory}/crowdsec`)
      ? { directory, problem: null }
      : { problem: `cannot write ${cache}` };
  } catch (error) {
    return { problem: `crowdsec's package cannot be had: ${(error as Error).message}` };
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const programs = await findPrograms();
/** Why there is no real API here; null where there is. */
export const lapiProblem: string | null = programs.problem;
if (lapiProblem !== null) console.log(`Tests with a real Local API are skipped: ${lapiProblem}`);

export interface RealLapiOptions {
  /** Where it listens; the default is this machine alone. */
  readonly host?: string;
  readonly port?: number;
  /** A command line to run it elsewhere: in a network namespace. */
  readonly inside?: (command: readonly string[]) => string[];
  /** Paths of PEM files; clients of the unit `fleet` are let in by their certificates. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

export class RealLapi implements AsyncDisposable {
  readonly url: string;
  readonly #directory: string;
  readonly #inside: (command: readonly string[]) => string[];
  #program: Program | null = null;

  private constructor(directory: string, options: RealLapiOptions) {
    this.#directory = directory;
    this.#inside = options.inside ?? ((command) => [...command]);
    const scheme = options.tls === undefined ? "http" : "https";
    this.url = `${scheme}://localhost:${options.port ?? LAPI_PORT}/`;
  }

  /** With the machines `gw-1` to `gw-9` and bouncers of such names; starts it. */
  static async create(given: RealLapiOptions = {}): Promise<RealLapi> {
    // In a namespace of its own any port is free; here others may be at work.
    const options = { port: given.inside === undefined ? freePort() : LAPI_PORT, ...given };
    const directory = await Deno.makeTempDir({ prefix: "btblocker-lapi-" });
    const lapi = new RealLapi(directory, options);
    try {
      await lapi.#configure(options);
      await lapi.start();
      return lapi;
    } catch (error) {
      await lapi[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #configure({ host = "127.0.0.1", port = LAPI_PORT, tls }: RealLapiOptions): Promise<void> {
    const at = this.#directory;
    for (const name of ["data", "hub", "plugins", "notifications"]) {
      await Deno.mkdir(`${at}/${name}`);
    }
    const tlsLines = tls === undefined ? "" : `
    tls:
      cert_file: ${tls.cert}
      key_file: ${tls.key}
      ca_cert_path: ${tls.ca}
      client_verification: VerifyClientCertIfGiven
      agents_allowed_ou: [fleet]
      bouncers_allowed_ou: [fleet]`;
    const write = (name: string, text: string) => Deno.writeTextFile(`${at}/${name}`, text);
    await write(
      "config.yaml",
      `common: { daemonize: false, log_media: stdout, log_level: info, working_dir: . }
config_paths:
  config_dir: ${at}
  data_dir: ${at}/data
  simulation_path: ${at}/simulation.yaml
  hub_dir: ${at}/hub
  index_path: ${at}/hub/.index.json
  notification_dir: ${at}/notifications
  plugin_dir: ${at}/plugins
crowdsec_service: { acquisition_path: ${at}/acquis.yaml, parser_routines: 1 }
cscli: { output: human, color: "no" }
db_config: { log_level: info, type: sqlite, db_path: ${at}/data/crowdsec.db, use_wal: true }
api:
  client: { insecure_skip_verify: true, credentials_path: ${at}/client.yaml }
  server:
    log_level: info
    listen_uri: ${host}:${port}
    profiles_path: ${at}/profiles.yaml${tlsLines}
prometheus: { enabled: false }
`,
    );
    await write(
      "profiles.yaml",
      "name: ban\nfilters: [ 'Alert.Remediation == true' ]\n" +
        "decisions: [ { type: ban, duration: 4h } ]\non_success: break\n",
    );
    await write("simulation.yaml", "simulation: off\n");
    await write("hub/.index.json", "{}");
    await write("acquis.yaml", "");
    await write("client.yaml", `url: ${this.url}\nlogin: admin\npassword: ${PASSWORD}\n`);
    const machines = ["admin", "gw-1", "gw-2", "gw-3"];
    for (const name of machines) {
      await this.cscli(
        "machines",
        "add",
        name,
        "--password",
        PASSWORD,
        "-f",
        "/dev/null",
        "--force",
      );
    }
    for (const name of machines.slice(1)) {
      await this.cscli("bouncers", "add", name, "-k", keyOf(name));
    }
  }

  /** Starts it anew over the same database. */
  async start(): Promise<void> {
    const crowdsec = `${programDirectory()}/crowdsec`;
    const config = `${this.#directory}/config.yaml`;
    this.#program = new Program(this.#inside([crowdsec, "-c", config, "-no-cs", "-no-capi"]));
    await this.#program.printedMatch(/Local API listening/);
  }

  get pid(): number {
    return this.#program?.pid ?? 0;
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#program?.stop("SIGKILL");
    this.#program = null;
  }

  /** Runs `cscli` and gives what it prints. */
  async cscli(...args: string[]): Promise<string> {
    const config = `${this.#directory}/config.yaml`;
    const [command, ...rest] = this.#inside([`${programDirectory()}/cscli`, "-c", config, ...args]);
    const result = await new Deno.Command(command, { args: rest }).output();
    const text = new TextDecoder();
    if (result.success) return text.decode(result.stdout);
    throw new Error(`cscli ${args.join(" ")}: ${text.decode(result.stderr)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Not one the kernel gives to those who ask for any: it must be free again after each restart. */
function freePort(): number {
  const [number] = crypto.getRandomValues(new Uint16Array(1));
  const port = 20_000 + number % 10_000;
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return port;
  } catch {
    return freePort();
  }
}

/** The bouncer key of a gateway: each has its own. */
export function keyOf(name: string): string {
  return `${KEY}-${name}`;
}

function programDirectory(): string {
  if (programs.problem !== null) throw new Error(programs.problem);
  return programs.directory;
}
