/** Who it was, and one web address that is told: a live blocker with a neighbour and a server. */
import assert from "node:assert/strict";
import { Bed, impossible } from "../robustness/bed.ts";
import { until } from "../until.ts";
import { Blocker } from "./blocker.ts";

/** Prints every message that it is sent, a JSON line each. */
const SERVER = `import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *rest): pass
print("ready", flush=True)
http.server.HTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
`;
const ASK = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe", (sys.argv[1], 6881))
`;

Deno.test({
  name: "a detection says who it was, in the log, on the console and to the webhook",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const server = bed.router.spawn(["python3", "-c", SERVER]);
    await server.printedMatch(/ready/);
    const secret = `${bed.network.directory}/webhook`;
    await Deno.writeTextFile(secret, "http://127.0.0.1:8099/secret\n");
    const blocker = await Blocker.start(
      bed.router,
      bed.network.hosts.map((host) => host.routerInterface),
      bed.network.directory,
      { WEBHOOK_URL: `file:${secret}`, QUEUE_COUNT: "1" },
    );
    await bed.user.run(["python3", "-c", ASK, bed.server.ipv4]);
    await until(async () => (await blocker.detections()).length > 0);
    const [logged] = await blocker.detections() as unknown as [
      { who: { address: string; source: string; id: string }; info_hash: string },
    ];
    const link = await bed.user.run(["ip", "-o", "link", "show", "eth0"]);
    const hardware = /link\/ether (\S+)/.exec(link)![1];
    assert.equal(logged.info_hash, "6d6e6f707172737475767778797a313233343536");
    assert.deepEqual([logged.who.address, logged.who.source, logged.who.id], [
      bed.user.ipv4,
      "neighbour",
      hardware,
    ]);
    assert.match(blocker.log, new RegExp(`${bed.user.ipv4} is neighbour ${hardware}`));
    const [message] = await server.printedMatch(/\{.*\}/);
    const { text, detections } = JSON.parse(message);
    assert.match(text, /\[DETECT\] UDP/);
    assert.equal(detections[0].src_ip, bed.user.ipv4);
    assert.equal((await blocker.stop()).code, 0);
    assert(!blocker.log.includes("/secret"));
  },
});
