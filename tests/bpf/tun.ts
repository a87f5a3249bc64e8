/** Feeds packets into a TUN device, as a tunnel's program would. */
const LIBC = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
} as const;

const O_RDWR = 2;
const TUNSETIFF = 0x4004_54can;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000; // no packet information before the IP header

/** Opens a TUN device that exists; returns what makes it receive a packet. */
export function openTun(name: string): (packet: Uint8Array<ArrayBuffer>) => void {
  const { symbols: libc } = Deno.dlopen("libc.so.6", LIBC);
  const encode = (text: string) => new TextEncoder().encode(`${text}\0`);
  const fd = libc.open(encode("/dev/net/tun"), O_RDWR);
  const request = new Uint8Array(40); // struct ifreq: name 16, flags
  request.set(encode(name));
  new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI, true);
  if (fd < 0 || libc.ioctl(fd, TUNSETIFF, request) < 0) throw new Error(`Cannot open TUN ${name}`);
  return (packet) => {
    const written = libc.write(fd, packet, BigInt(packet.length));
    if (Number(written) !== packet.length) throw new Error(`Cannot write to TUN ${name}`);
  };
}
