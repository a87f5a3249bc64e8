/** Prints as JSON which interfaces lead to the internet, and which of the others have networks of ours. */
import { LocalAddresses } from "../../../src/gateway/network/local_addresses.ts";
import { formatNetwork, parseNetwork } from "../../../src/gateway/network/networks.ts";

using local = new LocalAddresses();
const ours = new Set(local.ours.all().map(formatNetwork));
const inside = Deno.networkInterfaces()
  .filter(({ family, cidr }) => family === "IPv4" && ours.has(formatNetwork(parseNetwork(cidr!)!)))
  .filter(({ name }) => name !== "lo")
  .map(({ name }) => name);
console.log(JSON.stringify({
  defaultInterfaces: local.defaultInterfaces,
  inside: [...new Set(inside)],
}));
