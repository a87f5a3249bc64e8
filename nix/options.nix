# Written by scripts/nix.ts from the option table, src/config/options.ts.
lib: with lib.types; {
  queueNum = {
    variable = "QUEUE_NUM";
    type = ints.between 0 65535;
    default = 0;
    example = "10";
    description = "Number of the first netfilter queue: a number from 0 to 65535.";
  };
  queueCount = {
    variable = "QUEUE_COUNT";
    type = nullOr (ints.between 1 64);
    default = null;
    defaultText = "number of cores, at most 8";
    example = "4";
    description = "Queues, each with a worker of its own: a number from 1 to 64.";
  };
  interface = {
    variable = "INTERFACE";
    type = nullOr (str);
    default = null;
    defaultText = "the default route's, and all that forward with CHAINS=FORWARD";
    example = "eth0,wg0";
    description = "Network interfaces that drop banned addresses: a comma-separated list of interface names of up to 15 characters.";
  };
  chains = {
    variable = "CHAINS";
    type = nonEmptyListOf (enum [ "INPUT" "FORWARD" "OUTPUT" ]);
    default = [ "FORWARD" ];
    example = "INPUT,OUTPUT";
    description = "Traffic to judge: through this machine, to it, from it: a comma-separated list of INPUT, FORWARD, OUTPUT.";
  };
  manageRules = {
    variable = "MANAGE_RULES";
    type = bool;
    default = true;
    example = "false";
    description = "Install the firewall rules at start and remove them at stop: true, false, 1 or 0.";
  };
  markMask = {
    variable = "MARK_MASK";
    type = str;
    default = "auto";
    example = "0x00030000";
    description = "The two bits of the connection mark that keep the decision of a flow (auto: free ones): auto, or a 32-bit mask with exactly 2 bits, such as 0x30000000.";
  };
  policy = {
    variable = "POLICY";
    type = enum [ "default" "strict" ];
    default = "default";
    example = "strict";
    description = "strict also drops what looks random on unknown ports (and so Shadowsocks): default or strict.";
  };
  resetOlder = {
    variable = "RESET_OLDER";
    type = enum [ "auto" "true" "false" ];
    default = "auto";
    example = "true";
    description = "At the start, reset TCP connections that are older, so that they begin under its eyes: auto, true or false.";
  };
  banTarget = {
    variable = "BAN_TARGET";
    type = enum [ "source" "remote" "both" "none" ];
    default = "source";
    example = "remote";
    description = "Whom to ban: the sender of the packet that proved it, the end that is not ours, both: source, remote, both or none.";
  };
  banScope = {
    variable = "BAN_SCOPE";
    type = enum [ "auto" "ip" "endpoint" ];
    default = "auto";
    example = "endpoint";
    description = "Ban the whole address, or only its port (several people behind one address): auto, ip or endpoint.";
  };
  banPrefix = {
    variable = "BAN_PREFIX";
    type = ints.between 48 128;
    default = 64;
    example = "56";
    description = "A ban of an IPv6 address is for so much of it; for it alone in networks of this machine: a prefix length from 48 to 128.";
  };
  banDuration = {
    variable = "BAN_DURATION";
    type = either ints.positive str;
    default = 18000;
    example = "30m";
    description = "How long a ban lasts: a duration from 1 to 315360000 seconds, such as 300, 5m, 5h or 1d.";
  };
  banFactor = {
    variable = "BAN_FACTOR";
    type = nullOr (ints.between 1 100);
    default = null;
    defaultText = "1 (off)";
    example = "2";
    description = "Who is banned again within a day of his last ban is banned so many times as long: a number from 1 to 100.";
  };
  banDurationMax = {
    variable = "BAN_DURATION_MAX";
    type = either ints.positive str;
    default = 604800;
    example = "30d";
    description = "How long a ban lasts at most, where BAN_FACTOR makes them longer: a duration from 1 to 315360000 seconds, such as 300, 5m, 5h or 1d.";
  };
  banRequiresReply = {
    variable = "BAN_REQUIRES_REPLY";
    type = bool;
    default = true;
    example = "false";
    description = "Ban only who is known to have sent it; false lets strangers have anybody banned: true, false, 1 or 0.";
  };
  whitelistPorts = {
    variable = "WHITELIST_PORTS";
    type = listOf port;
    default = [ 22 53 80 443 853 5222 5269 ];
    example = "22,443";
    description = "Ports of services, as called, whose flows are never dropped nor banned for: a comma-separated list of ports from 1 to 65535.";
  };
  whitelistIps = {
    variable = "WHITELIST_IPS";
    type = nullOr (listOf str);
    default = null;
    defaultText = "none";
    example = "10.0.0.0/8,2001:db8::/32";
    description = "Addresses and networks that are never banned: a comma-separated list of addresses and networks, such as 10.0.0.0/8,2001:db8::1.";
  };
  monitorOnly = {
    variable = "MONITOR_ONLY";
    type = bool;
    default = false;
    example = "true";
    description = "Judge and log, drop nothing, ban nobody: true, false, 1 or 0.";
  };
  blockSocks = {
    variable = "BLOCK_SOCKS";
    type = bool;
    default = false;
    example = "true";
    description = "Treat SOCKS proxy connections as BitTorrent: true, false, 1 or 0.";
  };
  blockMentions = {
    variable = "BLOCK_MENTIONS";
    type = bool;
    default = false;
    example = "true";
    description = "Also drop magnet links and .torrent downloads in plaintext HTTP; bans nobody: true, false, 1 or 0.";
  };
  xdpMode = {
    variable = "XDP_MODE";
    type = enum [ "auto" "tc" "generic" "native" "offload" "off" ];
    default = "auto";
    example = "native";
    description = "Where banned addresses are dropped: at tc ingress, or by XDP in the stack, driver or card: auto, tc, generic, native, offload or off.";
  };
  banLimit = {
    variable = "BAN_LIMIT";
    type = ints.between 1 4194304;
    default = 131072;
    example = "1000000";
    description = "Bans kept at most; one used long ago makes room, one by hand never: a number from 1 to 4194304.";
  };
  persistBans = {
    variable = "PERSIST_BANS";
    type = bool;
    default = false;
    example = "true";
    description = "Keep the bans in the kernel when the blocker stops, with their count for BAN_FACTOR: true, false, 1 or 0.";
  };
  cleanupInterval = {
    variable = "CLEANUP_INTERVAL";
    type = either ints.positive str;
    default = 300;
    example = "1m";
    description = "How often ended bans are removed from memory (they end on time all the same): a duration from 1 to 86400 seconds, such as 300, 5m, 5h or 1d.";
  };
  logLevel = {
    variable = "LOG_LEVEL";
    type = enum [ "error" "warn" "info" "debug" ];
    default = "info";
    example = "debug";
    description = "Least important messages to log: error, warn, info or debug.";
  };
  logFormat = {
    variable = "LOG_FORMAT";
    type = enum [ "text" "json" ];
    default = "text";
    example = "json";
    description = "Log lines for people or JSON lines for machines: text or json.";
  };
  detectionLogPath = {
    variable = "DETECTION_LOG";
    type = str;
    default = "";
    example = "/var/log/btblocker/detections.log";
    description = "File that gets every detection with the packet's bytes: a path (./-NAME where the name begins with -), or nothing for off.";
  };
  detectionLogFormat = {
    variable = "DETECTION_LOG_FORMAT";
    type = enum [ "text" "json" ];
    default = "text";
    example = "json";
    description = "Detection log for people or JSON lines for machines: text or json.";
  };
  detectionPcap = {
    variable = "DETECTION_PCAP";
    type = str;
    default = "";
    example = "/var/log/btblocker/detections.pcapng";
    description = "File for Wireshark (pcapng) that gets the packet of every detection, with its payload: a path (./-NAME where the name begins with -), or nothing for off.";
  };
  who = {
    variable = "WHO";
    type = bool;
    default = true;
    example = "false";
    description = "Say who has a detected address, by this machine's tables (WireGuard, DHCP, sockets): true, false, 1 or 0.";
  };
  webhookUrl = {
    variable = "WEBHOOK_URL";
    type = str;
    default = "";
    example = "file:/etc/btblocker/webhook";
    secret = true;
    description = "Where detections are told as JSON (Slack, Discord, ntfy, Matrix bridges): http://…, https://…, file:/PATH, or nothing for off (use file:/PATH: everybody can read the Nix store).";
  };
  statusListen = {
    variable = "STATUS_LISTEN";
    type = str;
    default = "";
    example = "127.0.0.1:9090";
    description = "Where the status page and /metrics are served: ADDRESS:PORT, [IPV6]:PORT, unix:/PATH, or nothing for off.";
  };
  statusToken = {
    variable = "STATUS_TOKEN";
    type = str;
    default = "";
    example = "file:/etc/btblocker/token";
    secret = true;
    description = "Lets its bearer lift bans on the status page, and see it where it is not local: 16 or more printable characters, file:/PATH, or nothing for off (use file:/PATH: everybody can read the Nix store).";
  };
  recheck = {
    variable = "RECHECK";
    type = ints.between 0 9007199254740991;
    default = 0;
    example = "1048576";
    description = "Judge a released flow again after so many bytes: a number of bytes, 0 for off, from 0 to 9007199254740991.";
  };
  fleetUrl = {
    variable = "FLEET_URL";
    type = str;
    default = "";
    example = "https://lapi.example:8080";
    description = "CrowdSec Local API through which machines share their bans: http://HOST:PORT, https://HOST:PORT, or nothing for off.";
  };
  fleetLogin = {
    variable = "FLEET_LOGIN";
    type = str;
    default = "";
    example = "gateway-7";
    description = "This machine's name at the fleet's API, to report its bans: up to 255 printable characters without spaces.";
  };
  fleetPassword = {
    variable = "FLEET_PASSWORD";
    type = str;
    default = "";
    example = "file:/etc/btblocker/fleet-password";
    secret = true;
    description = "Password of FLEET_LOGIN: printable characters without spaces, file:/PATH, or nothing for none (use file:/PATH: everybody can read the Nix store).";
  };
  fleetKey = {
    variable = "FLEET_KEY";
    type = str;
    default = "";
    example = "file:/etc/btblocker/fleet-key";
    secret = true;
    description = "This machine's own bouncer key, to take over the bans of others: printable characters without spaces, file:/PATH, or nothing for none (use file:/PATH: everybody can read the Nix store).";
  };
  fleetInterval = {
    variable = "FLEET_INTERVAL";
    type = either ints.positive str;
    default = 10;
    example = "30s";
    description = "How often the fleet is asked for news: a duration from 1 to 3600 seconds, such as 300, 5m, 5h or 1d.";
  };
  fleetScope = {
    variable = "FLEET_SCOPE";
    type = enum [ "btblocker" "all" ];
    default = "btblocker";
    example = "all";
    description = "Whose bans to take over: those for BitTorrent, or all that the fleet's API knows: btblocker or all.";
  };
  fleetPrivate = {
    variable = "FLEET_PRIVATE";
    type = bool;
    default = false;
    example = "true";
    description = "Share bans of private addresses too: one private network behind all gateways: true, false, 1 or 0.";
  };
  fleetCa = {
    variable = "FLEET_CA";
    type = str;
    default = "";
    example = "/etc/btblocker/fleet-ca.pem";
    description = "File with the authority (PEM) that the fleet's API is certified by: a path (./-NAME where the name begins with -), or nothing for off.";
  };
  fleetCert = {
    variable = "FLEET_CERT";
    type = str;
    default = "";
    example = "/etc/btblocker/fleet.pem";
    description = "File with this machine's certificate (PEM) for the fleet's API: a path (./-NAME where the name begins with -), or nothing for off.";
  };
  fleetCertKey = {
    variable = "FLEET_CERT_KEY";
    type = str;
    default = "";
    example = "/etc/btblocker/fleet.key";
    description = "File with the private key (PEM) of FLEET_CERT: a path (./-NAME where the name begins with -), or nothing for off.";
  };
  fleetSpool = {
    variable = "FLEET_SPOOL";
    type = str;
    default = "/var/lib/btblocker";
    example = "/var/spool/btblocker";
    description = "Directory where bans wait while the fleet's API is away: a path (./-NAME where the name begins with -), or nothing for off.";
  };
}
