/**
 * Random bytes over TCP that are no MSE, the hardest thing to leave alone: at once both ways with
 * nc, and turn by turn with openings of MSE's sizes. As a program, the turns:
 *
 *     deno run -A tests/lab/programs/random.ts serve PORT
 *     deno run -A tests/lab/programs/random.ts connect ADDRESS PORT
 */

import { fileURLToPath } from "node:url";
import { randomBytes } from "../../../src/demo/torrent.ts";
import { type Conversation, listening, randomFile, sameContent } from "./conversation.ts";

const LENGTH = 30_000;

const netcat: Conversation = {
  name: "nc-random",
  programs: ["nc"],
  async run(lab) {
    const [server] = lab.outer;
    const there = await lab.newDirectory("there");
    const back = await lab.newDirectory("back");
    const question = await randomFile(there, LENGTH);
    const answer = await randomFile(back, LENGTH);
    const listen = `exec nc -N -l -p 6891 <${answer} >${back}/received`;
    const program = server.spawn(["sh", "-c", listen]);
    await listening(server, "tcp", 6_891);
    const connect = `nc -N ${server.ipv4} 6891 <${question} >${there}/received`;
    await lab.inner.run(["timeout", "50", "sh", "-c", connect]);
    await program.status;
    await sameContent(question, `${back}/received`);
    await sameContent(answer, `${there}/received`);
  },
};

const turns: Conversation = {
  name: "random-turns",
  programs: [Deno.execPath()],
  async run(lab) {
    const [server] = lab.outer;
    const script = fileURLToPath(new URL(import.meta.url));
    const deno = [Deno.execPath(), "run", "--quiet", "-A", script];
    const log = `${await lab.newDirectory("turns")}/log`;
    server.spawn([...deno, "serve", "6892"], { log });
    await listening(server, "tcp", 6_892);
    const printed = await lab.inner.run([...deno, "connect", server.ipv4, "6892"]);
    if (!printed.includes(`${TURNS.length} done`)) throw new Error(printed);
  },
};

/** Length of each turn, first the client's; the first two as MSE's, the third as its 56…. */
const TURNS = [[300, 250, 180, 120], [140, 560, 124, 82], [600, 100, 410, 900]] as const;
const BULK = 8_000;

async function readExactly(connection: Deno.Conn, length: number): Promise<void> {
  const buffer = new Uint8Array(length);
  let got = 0;
  while (got < length) {
    const read = await connection.read(buffer.subarray(got));
    if (read === null) throw new Error("closed early");
    got += read;
  }
}

async function talk(connection: Deno.TcpConn, turns: readonly number[], first: boolean) {
  for (const [index, length] of [...turns, BULK, BULK].entries()) {
    if ((index % 2 === 0) === first) await connection.write(randomBytes(length));
    else await readExactly(connection, length);
  }
}

if (import.meta.main) {
  const [role, ...rest] = Deno.args;
  if (role === "serve") {
    const listener = Deno.listen({ port: Number(rest[0]) });
    let number = 0;
    for await (const connection of listener) {
      await talk(connection, TURNS[number++ % TURNS.length], false);
      connection.close();
    }
  } else {
    for (const turns of TURNS) {
      const connection = await Deno.connect({ hostname: rest[0], port: Number(rest[1]) });
      await talk(connection, turns, true);
      connection.close();
    }
    console.log(`${TURNS.length} done`);
  }
}

export const RANDOM: readonly Conversation[] = [netcat, turns];
