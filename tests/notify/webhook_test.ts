/** The webhook against a server of our own on loopback. */
import assert from "node:assert/strict";
import { Backoff } from "../../src/backoff.ts";
import { Webhook } from "../../src/notify/webhook.ts";
import { until } from "../until.ts";

interface Message {
  text: string;
  content: string;
  left_out: number;
  detections: { n: number }[];
}

/** Answers with the given statuses, the last one for good. */
function serve(...statuses: number[]) {
  const messages: Message[] = [];
  let asked = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const message = await request.json();
      const status = statuses[Math.min(asked++, statuses.length - 1)];
      if (status === 200) messages.push(message);
      return new Response(null, { status });
    },
  );
  return {
    messages,
    url: `http://127.0.0.1:${server.addr.port}/secret-path`,
    get asked() {
      return asked;
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function open(url: string) {
  const lines: string[] = [];
  const webhook = new Webhook({
    url,
    host: "gateway",
    log: (_level, line) => lines.push(line),
    gatherMs: 1,
    backoff: new Backoff(1, () => 0),
  });
  return { webhook, lines };
}

const notice = (n: number) => ({ line: `line ${n}`, record: { n } });

Deno.test("Webhook: detections made at once are one message, words and data", async () => {
  await using server = serve(200);
  const { webhook } = open(server.url);
  for (let n = 0; n < 12; n++) webhook.add(notice(n));
  await until(() => server.messages.length === 1);
  const [{ text, content, detections }] = server.messages;
  assert.equal(text, content);
  assert.match(text, /^btblocker on gateway:\nline 0\n/);
  assert.match(text, /line 9\nand 2 more$/);
  assert.deepEqual(detections.map(({ n }) => n), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  await webhook[Symbol.asyncDispose]();
  assert.equal(server.messages.length, 1);
});

Deno.test("Webhook: what is refused is sent again, told once, and without the secret address", async () => {
  await using server = serve(500, 429, 200);
  const { webhook, lines } = open(server.url);
  webhook.add(notice(1));
  await until(() => server.messages.length === 1);
  await until(() => lines.length === 3);
  assert.deepEqual(server.messages[0].detections, [{ n: 1 }]);
  assert.match(lines[0], /it answers 500/);
  assert.match(lines[1], /it answers 429/);
  assert.match(lines[2], /takes messages again/);
  assert(!lines.join().includes("secret-path"));
  await webhook[Symbol.asyncDispose]();
});

Deno.test("Webhook: a flood is bounded, and what found no room is told", async () => {
  await using server = serve(200);
  const { webhook } = open(server.url);
  for (let n = 0; n < 5_000; n++) webhook.add(notice(n));
  await until(() =>
    server.messages.reduce((sum, { detections }) => sum + detections.length, 0) === 1_000
  );
  assert.equal(server.messages.reduce((sum, { left_out }) => sum + left_out, 0), 4_000);
  assert.equal(webhook.counts.leftOut, 4_000);
  for (const { text } of server.messages) assert(text.length <= 2_000);
  await webhook[Symbol.asyncDispose]();
});

Deno.test("Webhook: nobody there: a warning without the address, and the stop does not wait", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const { webhook, lines } = open(`http://127.0.0.1:${port}/secret-path`);
  webhook.add(notice(1));
  await until(() => lines.length > 0);
  assert(!lines.join().includes("secret-path"), lines.join());
  await webhook[Symbol.asyncDispose]();
  assert.match(lines.at(-1)!, /was not told of 1 detection$/);
});

Deno.test("Webhook: a stop does not wait for one that hangs, nor asks it once more", async () => {
  const lines: string[] = [];
  let asked = 0;
  const webhook = new Webhook({
    ...{ url: "http://192.0.2.1/", host: "here", gatherMs: 1 },
    log: (_, line) => void lines.push(line),
    fetch: (_, init) => {
      asked++;
      const { signal } = init!;
      return new Promise((_, reject) =>
        signal!.addEventListener("abort", () => reject(signal!.reason))
      );
    },
  });
  webhook.add(notice(1));
  await until(() => asked === 1);
  await webhook[Symbol.asyncDispose]();
  assert.equal(asked, 1);
  assert.match(lines.join("\n"), /no answer before the stop.*\n.*was not told of 1 detection$/);
});

Deno.test("Webhook: a name of a stranger calls nobody", async () => {
  await using server = serve(200);
  const { webhook } = open(server.url);
  webhook.add({ line: "client <!channel> & co", record: {} });
  await until(() => server.messages.length === 1);
  const [message] = server.messages;
  assert.match(message.text, /client &lt;!channel&gt; &amp; co$/);
  assert.deepEqual((message as unknown as { allowed_mentions: unknown }).allowed_mentions, {
    parse: [],
  });
  await webhook[Symbol.asyncDispose]();
});
