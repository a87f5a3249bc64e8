/** A set of ports, a bit for each: 8 KiB that stay in the processor's nearest cache. */
export class PortSet {
  readonly #bits = new Int32Array(65_536 / 32);
  /** Whether no port is in it: then nothing need be looked up. */
  isEmpty = true;

  constructor(ports: readonly number[] = []) {
    this.set(ports);
  }

  /** Makes it these ports and no others. */
  set(ports: readonly number[]): void {
    this.#bits.fill(0);
    this.isEmpty = ports.length === 0;
    for (const port of ports) this.#bits[port >>> 5] |= 1 << port;
  }

  has(port: number): boolean {
    return ((this.#bits[port >>> 5] >>> port) & 1) === 1;
  }
}
