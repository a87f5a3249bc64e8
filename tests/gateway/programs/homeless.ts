/** Runs commands of the system from a directory that is gone, and prints what they said. */
import { outputOf } from "../../../src/doctor/machine.ts";
import { execute } from "../../../src/gateway/rules/command.ts";

const directory = Deno.makeTempDirSync();
Deno.chdir(directory);
Deno.removeSync(directory);
const ran = await execute("cat", [], "seen");
const asked = await outputOf("echo", ["seen"]);
const missing = await execute("btblocker-no-such-command", []);
console.log(JSON.stringify([ran.stdout, asked, missing.stderr]));
