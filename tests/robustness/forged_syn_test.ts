/**
 * A SYN that anybody can send in another's name, live: who knows the ports of a connection knows no
 * sequence number, and can neither end it nor get anybody banned.
 */
import assert from "node:assert/strict";
import { ACK, RST, SYN } from "../../src/packet/packet.ts";
import { HANDSHAKE } from "../engine/conversation.ts";
import { Bed, impossible } from "./bed.ts";
import { ip, TCP, tcp } from "./packets.ts";

const NONE = new Uint8Array(0);
const PORTS = { sourcePort: 45_000, destinationPort: 9_000 };

/** Says each line back. */
const SERVER = `import socket
s=socket.create_server(("0.0.0.0",9000))
print("ready",flush=True)
while True:
    c,_=s.accept()
    while (line:=c.recv(4096)): c.sendall(line)
`;
/** Says a line as soon as there is the next file, and waits for what comes back. */
const CLIENT = `import os,socket,sys,time
s=socket.create_connection((sys.argv[1],9000),source_address=("",45000))
s.settimeout(20)
for i in range(9):
    while not os.path.exists(sys.argv[2]+str(i)): time.sleep(0.02)
    s.sendall(b"a line of text, number %d, and more of it\\n"%i)
    s.recv(4096)
    print("line",i,flush=True)
`;

Deno.test({
  name: "attack: a forged SYN, with a handshake in it or without, ends no connection",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const { router, attacker, server } = bed;
    await router.run(["ip", "route", "add", "default", "via", attacker.ipv4]);
    await bed.start();
    await server.spawn(["python3", "-c", SERVER]).printedMatch(/ready/);
    const turn = `${bed.network.directory}/turn`;
    const client = attacker.spawn(["python3", "-c", CLIENT, server.ipv4, turn]);
    let lines = 0;
    const talk = async () => {
      await Deno.writeTextFile(turn + lines, "");
      await client.printedMatch(new RegExp(`line ${lines++}`));
    };
    const ends = { source: attacker.ipv4, destination: server.ipv4 };
    const forged = (flags: number, payload: Uint8Array, sequence = 12_345) =>
      ip({ ...ends, protocol: TCP }, tcp({ ...PORTS, sequence, flags }, payload, ends));
    await talk();
    for (
      const packets of [
        [forged(SYN, HANDSHAKE)],
        [forged(SYN, NONE), forged(ACK, HANDSHAKE, 12_346)],
        [forged(SYN | ACK, HANDSHAKE), forged(RST, HANDSHAKE)],
      ]
    ) {
      await bed.sendPackets(...packets);
      await bed.accounted();
      await talk();
    }
    assert((await bed.status()).counters.detections > 0, "nothing of it was seen");
    assert.deepEqual(await bed.banned(), []);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});

const ANNOUNCE =
  `GET /announce?info_hash=${"%AA".repeat(20)}&peer_id=-qB4520-abcdefghijkl&port=6881` +
  " HTTP/1.1\r\nHost: tracker\r\nUser-Agent: qBittorrent/4.5.2\r\n\r\n";
/** Takes whatever comes, and tells of an announce in it. */
const SINK = `import socket
s=socket.create_server(("0.0.0.0",9000))
print("ready",flush=True)
c,_=s.accept()
last=b""
while (more:=c.recv(65536)):
    if b"info_hash" in last[-9:]+more: print("arrived",flush=True)
    last=more
`;
/** A browser's upload: text first, and once a file is there what a page's script has made. */
const UPLOAD = `import os,socket,sys,time
s=socket.create_connection((sys.argv[1],9000),source_address=("",45000))
s.setsockopt(socket.IPPROTO_TCP,socket.TCP_NODELAY,1)
s.sendall(b"POST /up HTTP/1.1\\r\\nHost: page\\r\\nUser-Agent: Mozilla/5.0\\r\\nContent-Length: 9999999\\r\\n\\r\\n")
for i in range(20):
    s.sendall(b"x"*1000)
    time.sleep(0.02)
print("text",flush=True)
while not os.path.exists(sys.argv[2]): time.sleep(0.02)
s.sendall(sys.argv[3].encode())
print("made",flush=True)
time.sleep(60)
`;

Deno.test({
  name: "attack: a page's server sends a SYN in the middle of an upload, and its visitor goes on",
  ignore: impossible !== null,
  async fn() {
    await using bed = await Bed.create();
    const { router, attacker, user } = bed;
    await router.run(["ip", "route", "add", "default", "via", attacker.ipv4]);
    await bed.start();
    const sink = attacker.spawn(["python3", "-c", SINK]);
    await sink.printedMatch(/ready/);
    const made = `${bed.network.directory}/made`;
    const visitor = user.spawn(["python3", "-c", UPLOAD, attacker.ipv4, made, ANNOUNCE]);
    await visitor.printedMatch(/text/);
    const ends = { source: attacker.ipv4, destination: user.ipv4 };
    const ports = { sourcePort: 9_000, destinationPort: 45_000 };
    await bed.sendPackets(
      ip({ ...ends, protocol: TCP }, tcp({ ...ports, sequence: 12_345, flags: SYN }, NONE, ends)),
    );
    await bed.accounted();
    await Deno.writeTextFile(made, "");
    await visitor.printedMatch(/made/);
    await sink.printedMatch(/arrived/);
    await bed.accounted();
    assert.deepEqual(await bed.banned(), []);
    assert.equal((await bed.blocker.stop()).code, 0);
  },
});
