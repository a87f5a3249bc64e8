/** What an operator does with a release, in a root file system. */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { programsOnLinks } from "../lab/programs_on_links.ts";
import { until } from "../until.ts";
import type { Root } from "./root.ts";

export const VERSION = manifest.version;
const CAPTURE = "/captures/transmission-tcp-http-tracker.pcap";
const ARCHIVE = `/release/btblocker-${VERSION}-linux-amd64.tar.gz`;
const PACKAGE = `/release/btblocker_${VERSION}_amd64.deb`;

/** Written by dpkg, useradd and their like whatever they install. */
const SYSTEM_FILES =
  /^\/(var\/lib\/dpkg|var\/cache\/(debconf|ldconfig|man)|var\/log|etc\/(sub[ug]id|passwd|group|g?shadow)-?$|etc\/\.pwd\.lock$|var\/lib\/systemd)/;

async function leftovers(root: Root): Promise<string[]> {
  return (await root.additions()).filter((path) => !SYSTEM_FILES.test(path));
}

async function user(root: Root): Promise<string[]> {
  const text = await root.succeed("cat", "/etc/passwd", "/etc/group");
  return text.split("\n").filter((line) => line.startsWith("btblocker:"));
}

/** The installed command says what it is and judges a capture, for everybody. */
async function works(root: Root): Promise<void> {
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  for (const prefix of [[], asNobody]) {
    const version = await root.succeed(...prefix, "btblocker", "--version");
    assert.match(version, new RegExp(`^btblocker ${VERSION.replaceAll(".", "\\.")} \\(commit `));
  }
  const found = await root.succeed(...asNobody, "btblocker", "analyze", "--json", CAPTURE);
  assert.match(found, /"method":"http-tracker".*\n.*"method":"peer-wire"/);
}

/** The demo blocks BitTorrent and nothing else; gives its rows in words. */
export async function block(root: Root): Promise<string> {
  const { code, text } = await root.run("btblocker", "demo", "--json");
  assert.equal(code, 0, text);
  const result = JSON.parse(text.trim().split("\n").at(-1)!) as {
    good: boolean;
    rows: {
      traffic: string;
      isBitTorrent: boolean;
      whole: number;
      unit: string;
      without: { received: number };
      with: { received: number };
    }[];
  };
  assert(result.good, text);
  return result.rows.map((row) =>
    `  ${row.traffic}: ${row.without.received} of ${row.whole} ${row.unit} without, ` +
    `${row.with.received} with`
  ).join("\n");
}

/**
 * Has a blocker killed that keeps its bans, then runs `removal`, all in a network namespace of its own:
 * neither its rules nor its pinned maps may be left. Gives what the removal printed.
 */
async function removeAfterKill(root: Root, removal: string): Promise<string> {
  const script = `
    ip link set lo up
    ip link add veth0 type veth peer name veth1
    ip link set veth0 up
    PERSIST_BANS=true INTERFACE=veth0 btblocker run --config /dev/null >/tmp/log 2>&1 &
    for i in $(seq 600); do grep -q Guarding /tmp/log && break; sleep 0.1; done
    kill -KILL $!
    { wait $! || true; } 2>/dev/null # bash tells of it
    echo "pinned: $(find /sys/fs/bpf/btblocker -type f | wc -l)"
    iptables-save | grep -c BTBLOCKER
    echo removal:
    ${removal}
    echo left:
    find /sys/fs/bpf -mindepth 1
    iptables-save; ip6tables-save`;
  const text = await root.succeed("unshare", "--net", "bash", "-euc", script);
  assert.match(text, /^pinned: [1-9]/m);
  const [, removed, left] = /removal:\n([^]*)left:\n([^]*)/.exec(text) ?? assert.fail(text);
  assert.doesNotMatch(left, /btblocker|NFQUEUE/i);
  return removed;
}

/** install.sh: verified, installed, installed again, removed, nothing left. */
export async function installScript(root: Root, whileInstalled?: () => Promise<void>) {
  const script = "/release/install.sh";
  const refused = await root.run(script, "--sha256", "0".repeat(64), ARCHIVE);
  assert.equal(refused.code, 1);
  assert.match(refused.text, /^Cannot install .*: its checksum is [0-9a-f]{64}, expected 0{64}/);
  assert.deepEqual(await leftovers(root), []);

  const installed = await root.succeed(script, ARCHIVE);
  assert.match(installed, /^btblocker \d/m);
  assert.deepEqual((await user(root)).length, 2);
  await works(root);
  await root.succeed(script, ARCHIVE); // again: an upgrade
  await works(root);
  await whileInstalled?.();

  await root.succeed("sh", "-c", "mkdir /etc/btblocker && touch /etc/btblocker/config.toml");
  const uninstall = "/usr/local/share/btblocker/install.sh --uninstall";
  const removed = await removeAfterKill(root, uninstall);
  assert.match(removed, /^Kept: \/etc\/btblocker /m);
  assert.deepEqual(await user(root), []);
  assert.deepEqual(await leftovers(root), ["/etc/btblocker/", "/etc/btblocker/config.toml"]);
  await root.succeed(script, "--purge");
  assert.deepEqual(await leftovers(root), []);
  const again = await root.run(script, "--uninstall");
  assert.match(again.text, /^Cannot uninstall: .* has installed nothing/);
}

/** The Debian package: installed, upgraded, removed, purged. */
export async function debianPackage(root: Root, whileInstalled?: () => Promise<void>) {
  const status = () =>
    root.run("dpkg-query", "--show", "--showformat", "${db:Status-Abbrev}${Version}", "btblocker");
  await root.succeed("dpkg", "--install", PACKAGE);
  assert.equal((await status()).text, `ii ${VERSION}`);
  assert.equal((await user(root)).length, 2);
  await works(root);
  assert.equal(await root.succeed("dpkg", "--verify", "btblocker"), "");
  assert.deepEqual(
    (await leftovers(root)).filter((path) => path.includes("systemd") && path.includes(".wants")),
    [], // nothing is enabled
  );

  // The next version: the same files under a higher number.
  await root.succeed(
    "sh",
    "-euc",
    `dpkg-deb --raw-extract ${PACKAGE} /tmp/next
     sed -i "s/^Version: .*/&+next/" /tmp/next/DEBIAN/control
     dpkg-deb -Zgzip -z1 --build /tmp/next /tmp/next.deb
     mkdir -p /etc/btblocker && touch /etc/btblocker/config.toml
     dpkg --install /tmp/next.deb`,
  );
  assert.equal((await status()).text, `ii ${VERSION}+next`);
  await works(root);
  await whileInstalled?.();

  await removeAfterKill(root, "dpkg --remove btblocker");
  assert.equal((await root.run("btblocker", "--version")).code, 127);
  assert.deepEqual(await leftovers(root), [
    "/etc/btblocker/",
    "/etc/btblocker/config.toml",
    "/etc/logrotate.d/btblocker",
  ]);
  await root.succeed("dpkg", "--purge", "btblocker");
  assert.deepEqual(await leftovers(root), []);
  assert.deepEqual(await user(root), []);
}

/** What the kernel leaves a container started with `--cap-drop ALL` and the four of compose.yml. */
const CAPABILITIES = "--inh-caps -all --bounding-set -all,+net_admin,+net_raw,+bpf,+perfmon";
const AS_USER = `setpriv --reuid 999 --regid 999 --clear-groups ${CAPABILITIES}`;
const AS_ROOT = `setpriv ${CAPABILITIES}`;

/** The commands of a stage of the Dockerfile, but for those that install packages. */
function stageCommands(dockerfile: string, stage: string): string[] {
  const start = dockerfile.indexOf(` AS ${stage}\n`);
  assert(start > 0, `no stage ${stage}`);
  const text = dockerfile.slice(start).replaceAll("\\\n", "").split(/^FROM /m)[0];
  return text.split("\n").filter((line) => line.startsWith("RUN "))
    .flatMap((line) => line.slice("RUN ".length).split(" && "))
    .map((command) => command.trim())
    .filter((command) => !/^apt-get |^rm -rf \/var\/lib\/apt/.test(command));
}

/**
 * The image's file system without Docker: what the Dockerfile's lines do once its packages are there,
 * then the program with the container's capabilities, as its root and, in the other variant, as its
 * user, in a network namespace of its own.
 */
export async function image(root: Root, dockerfile: string): Promise<string> {
  await root.succeed("tar", "-xzf", ARCHIVE, "-C", "/tmp");
  const name = ARCHIVE.replace(/.*\/(.*)\.tar\.gz$/, "$1");
  await root.succeed(`/tmp/${name}/btblocker`, "--unpack", "/usr/lib/btblocker");
  const run = async (stage: string) => {
    const commands = stageCommands(dockerfile, stage);
    assert(commands.length >= 3, stage);
    for (const command of commands) await root.succeed("sh", "-c", command);
  };
  await run("base");
  const asRoot = await guard(root, AS_ROOT);
  await run("nonroot");
  return `  root: ${asRoot}\n  user: ${await guard(root, AS_USER)}`;
}

/** Guards a link, has a torrent client's datagram sent over it, and looks at what is left. */
async function guard(root: Root, prefix: string): Promise<string> {
  const ping = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:LT201:y1:qe";
  const script = `
    ip link set lo up
    ip link add veth0 type veth peer name veth1
    ip address add 192.0.2.1/24 dev veth0
    ip link set veth0 up
    ip link set veth1 up
    XTABLES_LOCKFILE=/run/btblocker/xtables.lock CHAINS=INPUT,OUTPUT INTERFACE=veth0 \\
      ${prefix} btblocker run >/tmp/log 2>&1 &
    for i in $(seq 600); do grep -q Guarding /tmp/log && break; sleep 0.1; done
    ${prefix} btblocker status # the HEALTHCHECK
    for i in 1 2 3; do echo -n ${ping} >/dev/udp/192.0.2.2/6881 || true; sleep 0.2; done
    kill -TERM $!
    wait $! && echo "ended with 0"
    cat /tmp/log
    echo left:
    iptables-save; ip6tables-save`;
  const holder = new Deno.Command("unshare", { args: ["--net", "sleep", "infinity"] }).spawn();
  try {
    const network = `/proc/${holder.pid}/ns/net`;
    const own = Deno.readLinkSync("/proc/self/ns/net");
    await until(() => Deno.readLinkSync(network) !== own);
    const inside = (command: readonly string[]) => ["nsenter", `--net=${network}`, ...command];
    const text = await root.succeed(...inside(["bash", "-euc", script]));
    assert.deepEqual(await programsOnLinks(inside), []);
    return guarded(text);
  } finally {
    holder.kill("SIGKILL");
    await holder.status;
  }
}

/** The line that says what it guards. */
function guarded(text: string): string {
  assert.match(text, /^Guarding INPUT, OUTPUT/m);
  assert.match(text, /^ended with 0/m);
  assert.match(
    text,
    /\[DETECT\] UDP 192\.0\.2\.1:\d+ → 192\.0\.2\.2:6881 dht .* dropped, nobody banned$/m,
  );
  assert.doesNotMatch(
    text.slice(text.lastIndexOf("left:")),
    /BTBLOCKER|NFQUEUE/,
  );
  return /Guarding .* by NFQUEUE.*/.exec(text)?.[0] ?? assert.fail(text);
}
