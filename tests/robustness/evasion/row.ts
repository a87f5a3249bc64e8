/** A way to hide, and what the rows of all files say alike. */
import { type Conversation, DHT_PING, latin1, type TestEngine } from "../../engine/conversation.ts";
import { type Ends, TcpWire, udp } from "../packets.ts";

export const PEER_WIRE = ["peer-wire proof"];
export const DHT = ["dht proof"];
export const TRACKER = ["http-tracker proof"];
export const NOTHING: string[] = [];
export const V4: Ends = { source: "10.0.0.1", destination: "198.51.100.1" };
export const V6: Ends = { source: "2001:db8::1", destination: "2001:db8:1::2" };
export const NOISE = latin1("nothing that any detector knows, said in the place of something else");
export const announce = (text: string) =>
  latin1(text.replace("HASH", "%124Vx%9A%BC%DE%F1%23Eg%89ab" + "cdefgh"));
export const ANNOUNCE = announce(
  "GET /announce?info_hash=HASH&peer_id=-TR3000-1&port=1 HTTP/1.1\r\n\r\n",
);
export const DHT_V4 = udp(6881, 6881, DHT_PING, V4);

export interface Row {
  /** As in docs/EVASION.md. */
  readonly name: string;
  /** Methods and strengths of what the engine detects; none where it is not found. */
  readonly found: readonly string[];
  run(test: TestEngine): void;
}

/** A connection that is open. */
export const tcpWire = (test: TestEngine) => new TcpWire(test).open();

/** A page is asked for and comes. */
export function exchangePage(flow: Conversation): void {
  flow.say(0, latin1("GET /index HTTP/1.1\r\nHost: a\r\n\r\n"));
  flow.say(1, latin1("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
}
