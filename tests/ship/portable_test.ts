/** The portable executable: one file that unpacks itself once, safely, and is then only started. */

import assert from "node:assert/strict";
import { PROGRAM_FILES } from "../../scripts/packing/program.ts";
import { until } from "../until.ts";
import { IS_LINUX, portableExecutable, ROOT, run } from "./build.ts";

const IS_ROOT = IS_LINUX && Deno.uid() === 0;
const NOBODY = 65534;

/** A fresh home below a directory that goes at the end. */
async function withHome(test: (home: string, executable: string) => Promise<void>): Promise<void> {
  const executable = await portableExecutable();
  const home = await Deno.makeTempDir({ prefix: "btblocker-home-" });
  try {
    await test(home, executable);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Names of everything in a directory; nothing where it is not there. */
function names(directory: string): string[] {
  try {
    return Array.from(Deno.readDirSync(directory), ({ name }) => name);
  } catch {
    return [];
  }
}

function test(name: string, body: (home: string, executable: string) => Promise<void>): void {
  Deno.test({ name, ignore: !IS_LINUX, fn: () => withHome(body) });
}

function rootTest(name: string, body: (home: string, executable: string) => Promise<void>): void {
  Deno.test({ name: `${name} (root)`, ignore: !IS_ROOT, fn: () => withHome(body) });
}

test("the portable executable unpacks once, for its owner alone", async (home, executable) => {
  const first = await run([executable, "--version"], { HOME: home });
  assert.match(first.text, /^btblocker \d+\.\d+\.\d+ \(commit [0-9a-f]{7}\S*, built \d{4}-/);
  const cache = `${home}/.cache/btblocker`;
  const [unpacked, ...others] = names(cache);
  assert.deepEqual(others, []);
  for (const directory of [`${home}/.cache`, cache, `${cache}/${unpacked}`]) {
    assert.equal(Deno.statSync(directory).mode! & 0o777, 0o700, directory);
  }
  assert.deepEqual(
    names(`${cache}/${unpacked}`).sort(),
    [...PROGRAM_FILES, "deno"].sort(),
  );
  const inode = Deno.statSync(`${cache}/${unpacked}/deno`).ino;
  assert.deepEqual(await run([executable, "--version"], { HOME: home }), first);
  assert.equal(Deno.statSync(`${cache}/${unpacked}/deno`).ino, inode);
  assert.deepEqual(names(home), [".cache"]); // Deno leaves nothing of its own
});

test("first starts at the same time do not disturb each other", async (home, executable) => {
  const starts = Array.from({ length: 6 }, () => run([executable, "--version"], { HOME: home }));
  for (const { code, text } of await Promise.all(starts)) assert.equal(code, 0, text);
  assert.equal(names(`${home}/.cache/btblocker`).length, 1);
});

test("a changed portable executable refuses to unpack", async (home, executable) => {
  const changed = `${home}/changed`;
  await Deno.copyFile(executable, changed);
  using file = await Deno.open(changed, { read: true, write: true });
  const middle = Math.floor((await file.stat()).size / 2);
  await file.seek(middle, Deno.SeekMode.Start);
  const byte = new Uint8Array(1);
  await file.read(byte);
  byte[0] ^= 1;
  await file.seek(middle, Deno.SeekMode.Start);
  await file.write(byte);
  file.close();
  const { code, text } = await run(["sh", changed, "--version"], { HOME: home });
  assert.equal(code, 1);
  assert.match(text, /^Cannot unpack .*: its checksum is wrong/);
  assert.deepEqual(names(`${home}/.cache/btblocker`), []);
});

test("arguments and exit codes go through", async (home, executable) => {
  const usage = await run([executable, "analyze"], { HOME: home });
  assert.equal(usage.code, 2, usage.text);
  const missing = await run([executable, "analyze", "no such  file's.pcap"], { HOME: home });
  assert.equal(missing.code, 1);
  assert.match(missing.text, /Cannot read no such {2}file's\.pcap/);
  const capture = `${ROOT}tests/captures/transmission-tcp-http-tracker.pcap`;
  const found = await run([executable, "analyze", "--json", capture], { HOME: home });
  assert.equal(found.code, 0, found.text);
  assert.match(found.text, /"method":"http-tracker"/);
});

test("the process is the program itself: its number, its signals", async (home, executable) => {
  await run([executable, "--version"], { HOME: home });
  await using child = new Deno.Command(executable, {
    args: ["analyze", "-"], // waits for standard input
    env: { HOME: home },
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let program = "";
  await until(
    () => (program = Deno.readLinkSync(`/proc/${child.pid}/exe`)).endsWith("/deno"),
    () => program,
  );
  child.kill("SIGTERM");
  assert.equal((await child.status).signal, "SIGTERM");
});

test("the cache directory is the first usable one of the list", async (home, executable) => {
  const [service, xdg] = [`${home}/service`, `${home}/xdg`];
  await Deno.mkdir(service);
  const env = { HOME: home, XDG_CACHE_HOME: xdg, CACHE_DIRECTORY: `${service}:${home}/second` };
  await run([executable, "--version"], env);
  assert.deepEqual([names(service).length, names(home)], [1, ["service"]]);
  await run([executable, "--version"], { ...env, CACHE_DIRECTORY: "relative" });
  assert.deepEqual(names(xdg), ["btblocker"]);
  await run([executable, "--version"], { HOME: home, XDG_CACHE_HOME: "relative" });
  assert.deepEqual(names(`${home}/.cache`), ["btblocker"]);
});

rootTest("a directory that is another's is not used", async (_, executable) => {
  // In a mount namespace, where all of the list but /tmp is nobody's or led to by a link.
  const { code, text } = await run([
    ...["unshare", "--mount", "sh", "-eu", "-c"],
    `umask 022
     mount -t tmpfs none /mnt
     mount -t tmpfs none /var/cache
     cp ${executable} /mnt/btblocker
     mount -t tmpfs -o mode=1777 none /tmp
     mkdir -p /mnt/service /mnt/xdg /mnt/home/.cache
     ln -s /mnt /mnt/xdg/btblocker
     chown ${NOBODY} /mnt/service /mnt/home/.cache /var/cache
     export CACHE_DIRECTORY=/mnt/service XDG_CACHE_HOME=/mnt/xdg HOME=/mnt/home
     /mnt/btblocker --version
     find /tmp /mnt /var/cache -type d -mindepth 1 -printf '%p %m\\n'
     # The directory in /tmp, foreseen by another:
     rm -r /tmp/btblocker-0
     mkdir -m 777 /tmp/btblocker-0
     chown ${NOBODY} /tmp/btblocker-0
     ! /mnt/btblocker --version`,
  ]);
  assert.equal(code, 0, text);
  const [version, ...rest] = text.trim().split("\n");
  const refusal = rest.pop()!;
  assert.match(version, /^btblocker /);
  assert.match(refusal, /^Cannot unpack btblocker: no directory to unpack into/);
  const directories = rest.map((line) => line.replace(/\d+\.\d+\.\d+-[0-9a-f]{12}/, "ID")).sort();
  assert.deepEqual(directories, [
    "/mnt/home 755",
    "/mnt/home/.cache 755",
    "/mnt/service 755",
    "/mnt/xdg 755",
    "/tmp/btblocker-0 700",
    "/tmp/btblocker-0/ID 700",
  ]);
});

rootTest("unpacked for a machine it runs for everybody", async (home, executable) => {
  await Deno.chmod(home, 0o755);
  const directory = `${home}/lib/btblocker`;
  const unpacked = await run([executable, "--unpack", directory]);
  assert.equal(unpacked.code, 0, unpacked.text);
  assert.equal(Deno.statSync(`${directory}/deno`).mode! & 0o777, 0o755);
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const { code, text } = await run([...asNobody, `${directory}/btblocker`, "--version"]);
  assert.equal(code, 0, text);
  assert.match(text, /^btblocker /);
  assert.deepEqual(names(home), ["lib"]);
  const again = await run([executable, "--unpack", directory]);
  assert.equal(again.code, 1);
  assert.match(again.text, /it is there already/);
});
