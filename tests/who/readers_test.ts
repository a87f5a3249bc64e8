/** Tables as the programs write them: texts typed from their documentation and real files. */
import assert from "node:assert/strict";
import { dnsmasqLeases, iscLeases, keaLeases } from "../../src/who/leases.ts";
import { cleanName, describePerson } from "../../src/who/person.ts";
import { procAddress, serviceOf, socketOf, userNames } from "../../src/who/processes.ts";
import { openvpnClients, pppSessions, wireguardNames, wireguardPeers } from "../../src/who/vpn.ts";

const NOW_S = 1_700_000_000;
const dhcp = (id: string, name: string | null) => ({ source: "dhcp", id, name });

Deno.test("dnsmasqLeases() reads IPv4 and IPv6 leases, and none that has ended", () => {
  const text = `1700003600 52:54:00:12:34:56 192.168.1.23 laptop 01:52:54:00:12:34:56
1699999999 52:54:00:00:00:01 192.168.1.24 gone *
0 52:54:00:00:00:02 192.168.1.25 * *
duid 00:01:00:01:2b:aa:bb:cc:52:54:00:12:34:56
1700003600 305419896 fd00::23 laptop 00:01:00:01:2b:aa:bb:cc
`;
  assert.deepEqual([...dnsmasqLeases(text, NOW_S)], [
    ["192.168.1.23", dhcp("52:54:00:12:34:56", "laptop")],
    ["192.168.1.25", dhcp("52:54:00:00:00:02", null)],
    ["fd00::23", dhcp("00:01:00:01:2b:aa:bb:cc", "laptop")],
  ]);
});

Deno.test("keaLeases() reads the columns by their names; the last line of an address holds", () => {
  const four =
    `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
10.0.0.7,52:54:00:00:00:07,01:52,3600,1700003600,1,0,0,phone,0,
10.0.0.8,52:54:00:00:00:08,,3600,1700003600,1,0,0,,1,
10.0.0.9,52:54:00:00:00:09,,3600,1600000000,1,0,0,old,0,
10.0.0.7,52:54:00:00:00:17,,3600,1700003600,1,0,0,tablet,0,
10.0.0.10,52:54`;
  assert.deepEqual(
    new Map(keaLeases(four, NOW_S)).get("10.0.0.7"),
    dhcp("52:54:00:00:00:17", "tablet"),
  );
  assert.equal([...keaLeases(four, NOW_S)].length, 2);
  const six =
    `address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,hostname,hwaddr,state
2001:db8::7,00:03:00:01:52:54,3600,1700003600,1,1800,0,1,128,desk,,0
`;
  assert.deepEqual([...keaLeases(six, NOW_S)], [[
    "2001:db8::7",
    dhcp("00:03:00:01:52:54", "desk"),
  ]]);
  assert.deepEqual([...keaLeases("", NOW_S)], []);
});

Deno.test("iscLeases() reads active leases that have not ended", () => {
  const text = `lease 10.1.0.5 {
  starts 2 2023/11/14 22:00:00;
  ends 3 2023/11/15 22:13:20;
  binding state active;
  next binding state free;
  hardware ethernet 52:54:00:AA:bb:cc;
  client-hostname "box";
}
lease 10.1.0.6 {
  ends 2 2023/11/14 22:00:00;
  binding state active;
  hardware ethernet 52:54:00:aa:bb:dd;
}
lease 10.1.0.7 {
  binding state free;
}
lease 10.1.0.8 {
  ends never;
  binding state active;
  hardware ethernet 52:54:00:aa:bb:ee;
}
`;
  assert.deepEqual([...iscLeases(text, NOW_S)], [
    ["10.1.0.5", dhcp("52:54:00:aa:bb:cc", "box")],
    ["10.1.0.8", dhcp("52:54:00:aa:bb:ee", null)],
  ]);
});

const KEY_A = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const KEY_B = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

Deno.test("wireguardPeers() gives the networks of peers, not those of tunnels of this machine", () => {
  const dump = [
    "wg0\tprivate\tpublic\t51820\toff",
    `wg0\t${KEY_A}\t(none)\t198.51.100.7:40000\t10.8.0.5/32,fd00:8::5/128\t1700000000\t1\t2\toff`,
    `wg0\t${KEY_B}\t(none)\t(none)\t(none)\t0\t0\t0\toff`,
    `up0\t${KEY_B}\t(none)\t203.0.113.1:51820\t0.0.0.0/0,::/0\t0\t0\t0\t25`,
  ].join("\n");
  const alice = { source: "wireguard", id: KEY_A, name: "alice" };
  assert.deepEqual([...wireguardPeers(dump, new Map([[KEY_A, "alice"]]))], [
    { network: "10.8.0.5/32", person: alice },
    { network: "fd00:8::5/128", person: alice },
  ]);
});

const configs = [
  ["above the section", `# alice\n[Peer]\nPublicKey = ${KEY_A}`, "alice"],
  ["on the section", `[Peer] # bob's phone\nPublicKey=${KEY_A}`, "bob's phone"],
  ["in the section", `[Peer]\n# Name = carol\nPublicKey = ${KEY_A}`, "carol"],
  ["friendly_name", `[Peer]\n# friendly_name=dave\nPublicKey = ${KEY_A}`, "dave"],
  ["of an installer", `### Client erin\n[Peer]\nPublicKey = ${KEY_A}`, "erin"],
  [
    "none",
    `[Interface]\n# the server\nAddress = 10.8.0.1\n\n[Peer]\nPublicKey = ${KEY_A}`,
    undefined,
  ],
] as const;
for (const [where, config, name] of configs) {
  Deno.test(`wireguardNames() reads a name ${where}`, () => {
    assert.equal(wireguardNames(config).get(KEY_A), name);
  });
}

Deno.test("openvpnClients() reads the routing table of all three versions", () => {
  const version1 = `OpenVPN CLIENT LIST
Updated,2023-11-14 22:13:20
Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since
alice,198.51.100.7:1194,1,2,2023-11-14 22:00:00
ROUTING TABLE
Virtual Address,Common Name,Real Address,Last Ref
10.8.0.6,alice,198.51.100.7:1194,2023-11-14 22:13:10
10.1.0.0/24,alice,198.51.100.7:1194,2023-11-14 22:13:10
GLOBAL STATS
Max bcast/mcast queue length,0
END
`;
  const expected = [["10.8.0.6", { source: "openvpn", id: "alice", name: null }]];
  assert.deepEqual([...openvpnClients(version1)], expected);
  const rows = (separator: string) =>
    [
      ["HEADER", "ROUTING_TABLE", "Virtual Address", "Common Name", "Real Address", "Last Ref"],
      [
        "ROUTING_TABLE",
        "10.8.0.6",
        "alice",
        "198.51.100.7:1194",
        "2023-11-14 22:13:10",
        "1700000000",
      ],
      ["GLOBAL_STATS", "Max bcast/mcast queue length", "0"],
    ].map((cells) => cells.join(separator)).join("\n");
  assert.deepEqual([...openvpnClients(rows(","))], expected);
  assert.deepEqual([...openvpnClients(rows("\t"))], expected);
});

Deno.test("pppSessions() finds sessions among the bytes of pppd's table", () => {
  const record = "PPPD_PID=77;DEVICE=/dev/pts/1;IFNAME=ppp0;IPLOCAL=10.0.0.1;IPREMOTE=10.0.0.2;" +
    'PEERNAME="bob";SPEED=0';
  const bytes = new TextEncoder().encode(`TDB file\n\0\0BB\0pppd77\0${record}\0BB\0`);
  assert.deepEqual([...pppSessions(bytes)], [
    ["10.0.0.2", { source: "ppp", id: "bob", name: null }],
  ]);
});

Deno.test("socketOf() prefers the socket of the very address", () => {
  const table =
    `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1AE1 00000000:0000 0A 00000000:00000000 00:00000000 00000000   107        0 111 1 0
   1: 0100007F:1AE1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1 0
`;
  assert.equal(procAddress([0x7f000001]), "0100007F");
  assert.equal(socketOf(table, "0100007F", 6881)?.uid, 1000);
  assert.equal(socketOf(table, "0200007F", 6881)?.inode, "111");
  assert.equal(socketOf(table, "0100007F", 6882), null);
});

Deno.test("users and services are read by name", () => {
  assert.equal(
    userNames("root:x:0:0::/root:/bin/sh\nproxy:x:13:13::/bin:/bin/sh\n").get(13),
    "proxy",
  );
  assert.equal(serviceOf("0::/system.slice/xray.service\n"), "/system.slice/xray.service");
  assert.equal(serviceOf("0::/\n"), null);
});

Deno.test("names of strangers are cleaned and bounded", () => {
  assert.equal(cleanName("a\x1b[31mb\n"), "a[31mb");
  assert.equal(cleanName("*"), null);
  assert.equal(cleanName("x".repeat(1000))?.length, 128);
  assert.equal(
    describePerson({ source: "wireguard", id: "K=", name: "alice" }),
    "alice (wireguard K=)",
  );
  assert.equal(describePerson({ source: "openvpn", id: "bob", name: null }), "openvpn bob");
});
