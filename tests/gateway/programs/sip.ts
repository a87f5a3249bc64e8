/**
 * As little of SIP (RFC 3261, with SDP, RFC 4566) as conntrack's helper wants: an invitation that
 * names a port for the media, which then come there from a port of their own.
 *
 *     sip.ts serve
 *     sip.ts ask HOST OWN-ADDRESS      prints how many of four datagrams of media came
 */
const DATAGRAMS = 4;
const MEDIA_PORT = 40_000;
const PATIENCE_MS = 10_000;
const [command, host, own] = Deno.args;
const open = (port: number) => Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port });

if (command === "serve") {
  const signalling = open(5060);
  console.log("ready");
  for await (const [, caller] of signalling) {
    const media = open(0);
    const { hostname } = caller as Deno.NetAddr;
    for (let i = 0; i < DATAGRAMS; i++) {
      await media.send(Uint8Array.of(0xf7, i), { transport: "udp", hostname, port: MEDIA_PORT });
      await media.receive();
    }
    media.close();
  }
} else {
  const media = open(MEDIA_PORT);
  const session = ["v=0", `o=- 1 1 IN IP4 ${own}`, "s=-", `c=IN IP4 ${own}`, "t=0 0"];
  const body = [...session, `m=audio ${MEDIA_PORT} RTP/AVP 0`, ""].join("\r\n");
  const invitation = [
    `INVITE sip:b@${host} SIP/2.0`,
    `Via: SIP/2.0/UDP ${own}:5060;branch=z9hG4bK1`,
    `From: <sip:a@${own}>;tag=1`,
    `To: <sip:b@${host}>`,
    `Call-ID: 1@${own}`,
    "CSeq: 1 INVITE",
    `Contact: <sip:a@${own}:5060>`,
    "Max-Forwards: 70",
    "Content-Type: application/sdp",
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
  const to = { transport: "udp", hostname: host, port: 5060 } as const;
  await open(5060).send(new TextEncoder().encode(invitation), to);
  let datagrams = 0;
  const end = () => {
    console.log(`answered ${datagrams}`);
    Deno.exit(0);
  };
  setTimeout(end, PATIENCE_MS);
  for await (const [, sender] of media) {
    datagrams++;
    await media.send(Uint8Array.of(1), sender);
    if (datagrams === DATAGRAMS) end();
  }
}
