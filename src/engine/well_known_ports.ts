/** Ports below are bound by the system's services (RFC 6335). */
export const SYSTEM_PORTS = 1024;

/**
 * Services that listen above 1023 and whose traffic is, or may be, encrypted without a readable
 * beginning. Ports prove nothing about BitTorrent, but the weakest test, that a flow is random and
 * its host has torrented, keeps away from where something else is expected. What a flow shows by
 * itself counts on every port.
 */
const REGISTERED = [
  1080, // SOCKS
  1194, // OpenVPN
  1293, // IPsec over TCP
  1701, // L2TP
  1723, // PPTP
  1935, // RTMP, RTMPE
  2049, // NFS
  2222, // SSH, alternative
  3128, // HTTP proxy
  3306, // MySQL
  3389, // RDP
  4433, // TLS, alternative
  5060, // SIP
  5061, // SIP over TLS
  5222, // XMPP
  5223, // Apple push
  5228, // Google push
  5269, // XMPP, servers
  5432, // PostgreSQL
  5900, // VNC
  6379, // Redis
  8080, // HTTP, alternative
  8333, // Bitcoin
  8388, // Shadowsocks
  8443, // HTTPS, alternative
  8883, // MQTT over TLS
  9001, // Tor
  11211, // memcached
  27017, // MongoDB
  30303, // Ethereum
  51820, // WireGuard
];

const isRegistered = new Uint8Array(65_536);
for (const port of REGISTERED) isRegistered[port] = 1;

/** Whether a port below 1024 or of a registered encrypted service. */
export function isWellKnownPort(port: number): boolean {
  return port < SYSTEM_PORTS || isRegistered[port] === 1;
}
