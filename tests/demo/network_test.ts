/** Networks of processes that are interrupted or killed. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Network } from "../../src/demo/network.ts";
import { Program } from "../../src/demo/program.ts";
import { until } from "../until.ts";

const script = fileURLToPath(new URL("./two_networks.ts", import.meta.url));
const LABEL = "btend";

const problem: string | null = (() => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "not root on Linux";
  try {
    const { success } = new Deno.Command("ip", { args: ["netns", "list"], stdout: "null" })
      .outputSync();
    return success ? null : "no network namespaces";
  } catch (error) {
    return (error as Error).message;
  }
})();
if (problem !== null) console.log(`Tests of interrupted networks are skipped: ${problem}`);

async function start(): Promise<Program> {
  const program = new Program([Deno.execPath(), "run", "-q", "-A", script, LABEL]);
  await program.printedMatch(/ready/);
  assert.equal(namesOf(program).length, 5, "three namespaces and two directories");
  return program;
}

/** Namespaces and directories of a process's networks. */
function namesOf({ pid }: Program): string[] {
  return ["/run/netns", "/tmp"].flatMap((directory) =>
    [...Deno.readDirSync(directory)].map(({ name }) => name)
      .filter((name) => name.includes(`${LABEL}${pid}-`))
  );
}

for (const [signal, exitCode] of [["SIGHUP", 129], ["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test(
    `${signal} removes the networks of all threads`,
    { ignore: problem !== null },
    async () => {
      const program = await start();
      Deno.kill(program.pid, signal);
      assert.equal((await program.status).code, exitCode, program.text());
      assert.deepEqual(namesOf(program), []);
    },
  );
}

Deno.test("the next network removes those of a killed process, and no others", {
  ignore: problem !== null,
}, async () => {
  const killed = await start();
  const running = await start();
  killed.kill("SIGKILL");
  await killed.status;
  assert.equal(namesOf(killed).length, 5);
  await using _network = await Network.create(LABEL);
  await until(() => namesOf(killed).length === 0, () => namesOf(killed).join());
  assert.equal(namesOf(running).length, 5);
  await running.stop();
  assert.deepEqual(namesOf(running), []);
});
