import assert from "node:assert/strict";
import { EnvironmentError, UsageError } from "../../src/errors.ts";
import { askControl, ControlServer } from "../../src/blocker/control.ts";

const INODE = 4_026_531_840;
const ignore = Deno.build.os !== "linux";

async function withDirectory(action: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "btblocker-control-" });
  try {
    await action(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const HANDLERS = {
  echo: (argument: unknown) => argument,
  later: (argument: unknown) => Promise.resolve([argument]),
  refuse: () => {
    throw new UsageError("Cannot do that: expected something else");
  },
  fail: () => {
    throw new EnvironmentError("Cannot do that: EPERM, operation not permitted", "run as root");
  },
};

Deno.test(
  "a command is answered by its handler",
  { ignore },
  () =>
    withDirectory(async (directory) => {
      await using _ = new ControlServer(INODE, HANDLERS, directory);
      const argument = { list: [1, "zwölf", null] };
      assert.deepEqual(await askControl(INODE, "echo", argument, directory), { result: argument });
      assert.deepEqual(await askControl(INODE, "later", 7, directory), { result: [7] });
      const long = "x".repeat(3_000_000); // more than a socket's buffer
      assert.deepEqual(await askControl(INODE, "echo", long, directory), { result: long });
    }),
);

Deno.test(
  "what a handler throws arrives as it was thrown",
  { ignore },
  () =>
    withDirectory(async (directory) => {
      await using _ = new ControlServer(INODE, HANDLERS, directory);
      const ask = (command: string) => askControl(INODE, command, null, directory);
      await assert.rejects(
        ask("refuse"),
        new UsageError("Cannot do that: expected something else"),
      );
      await assert.rejects(ask("fail"), (error: Error) =>
        error instanceof EnvironmentError &&
        error.message === "Cannot do that: EPERM, operation not permitted (run as root)");
      await assert.rejects(ask("unknown"), UsageError);
      await assert.rejects(ask("toString"), UsageError);
    }),
);

Deno.test(
  "nobody listens: null, also after one that was killed",
  { ignore },
  () =>
    withDirectory(async (directory) => {
      assert.equal(await askControl(INODE, "echo", 1, directory), null);
      assert.equal(await askControl(INODE, "echo", 1, `${directory}/missing`), null);
      // A socket file without a listener is what kill -9 leaves.
      const path = `${directory}/control-${INODE}.sock`;
      Deno.listen({ transport: "unix", path }).close();
      await Deno.stat(path).catch(() => Deno.writeTextFile(path, ""));
      assert.equal(await askControl(INODE, "echo", 1, directory), null);
      await using _ = new ControlServer(INODE, HANDLERS, directory);
      assert.deepEqual(await askControl(INODE, "echo", 1, directory), { result: 1 });
    }),
);

Deno.test("a second one is refused and leaves the first alone; other namespaces have their own", {
  ignore,
}, () =>
  withDirectory(async (directory) => {
    await using first = new ControlServer(INODE, HANDLERS, directory);
    assert.throws(
      () => new ControlServer(INODE, HANDLERS, directory),
      (error: Error) =>
        error instanceof EnvironmentError &&
        error.message.startsWith(
          `Cannot start: btblocker is running here already (process ${Deno.pid})`,
        ),
    );
    assert.deepEqual(await askControl(INODE, "echo", 1, directory), { result: 1 });
    await using _ = new ControlServer(INODE + 1, HANDLERS, directory);
    assert.equal((await Deno.stat(first.path)).mode! & 0o777, 0o600);
    assert.equal((await Deno.stat(directory)).mode! & 0o777, 0o711);
  }));

Deno.test(
  "after it has stopped, another may start",
  { ignore },
  () =>
    withDirectory(async (directory) => {
      {
        await using _ = new ControlServer(INODE, HANDLERS, directory);
      }
      assert.deepEqual([...Deno.readDirSync(directory)], [], "nothing is left");
      assert.equal(await askControl(INODE, "echo", 1, directory), null);
      await using _ = new ControlServer(INODE, HANDLERS, directory);
      assert.deepEqual(await askControl(INODE, "echo", 2, directory), { result: 2 });
    }),
);

Deno.test(
  "nonsense on the socket is answered, and the next line too",
  { ignore },
  () =>
    withDirectory(async (directory) => {
      await using server = new ControlServer(INODE, HANDLERS, directory);
      const connection = await Deno.connect({ transport: "unix", path: server.path });
      await connection.write(
        new TextEncoder().encode('nonsense\n{}\n{"command":"echo","argument":5}\n'),
      );
      let text = "";
      for await (const part of connection.readable.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.split("\n").length > 3) break;
      }
      const answers = text.trim().split("\n").map((line) => JSON.parse(line));
      assert.equal(answers[0].kind, "environment");
      assert.equal(answers[1].kind, "usage");
      assert.deepEqual(answers[2], { result: 5 });
    }),
);
