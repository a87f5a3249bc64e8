/**
 * A status server and a control socket with the descriptors that `ulimit -n` leaves:
 * starved_server.ts DIRECTORY. Prints both addresses as JSON, then the log; ends with its input.
 */
import { ControlServer } from "../../../src/blocker/control.ts";
import { setupLog } from "../../../src/report/log.ts";
import { StatusServer } from "../../../src/status/status_server.ts";
import { FakeSource } from "../fake_status.ts";

const [directory] = Deno.args;
setupLog({ level: "info", format: "text", isTerminal: false, isJournal: false });
await using server = await StatusServer.start({
  ...{ listen: "127.0.0.1:0", token: "" },
  source: new FakeSource(),
});
await using control = new ControlServer(1, { echo: (argument) => argument }, directory);
console.log(JSON.stringify({ page: server.address, socket: control.path }));
for await (const _ of Deno.stdin.readable);
