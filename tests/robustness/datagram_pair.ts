/** A pair of connected datagram sockets, in the place of a netlink socket and the kernel behind it. */
import { close, send } from "../../ffi/libc.ts";

const libc = Deno.build.os !== "linux" ? null : Deno.dlopen("libc.so.6", {
  socketpair: { parameters: ["i32", "i32", "i32", "buffer" /* int[2] */], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32" /* flags */], result: "isize" },
});

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

export class DatagramPair implements Disposable {
  /** What the code under test gets. */
  readonly inner: number;
  readonly #outer: number;
  readonly #room = new Uint8Array(1 << 17);

  constructor() {
    const ends = new Int32Array(2);
    if (libc!.symbols.socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0) throw new Error("socketpair");
    [this.inner, this.#outer] = ends;
  }

  /** Puts one datagram there for the inner end to read. */
  put(datagram: Uint8Array<ArrayBuffer>): void {
    const sent = send(this.#outer, datagram, datagram.length);
    if (sent !== datagram.length) throw new Error(`send: ${sent}`);
  }

  /** The next datagram that the inner end has sent, or null. */
  get(): Uint8Array | null {
    const length = Number(
      libc!.symbols.recv(this.#outer, this.#room, BigInt(this.#room.length), MSG_DONTWAIT),
    );
    return length < 0 ? null : this.#room.slice(0, length);
  }

  [Symbol.dispose](): void {
    close(this.inner);
    close(this.#outer);
  }
}
