/** The table of openings as C, for the program of the kernel's first look: bpf/openings.h. */
import { UDP_BYTES, UDP_PACKETS, UDP_PACKETS_UNANSWERED } from "../../engine/release.ts";
import { TUNNEL_PORT_NUMBERS } from "../../packet/udp_tunnels.ts";
import { type ByteTest, type Opening, OPENING_KINDS, OPENINGS } from "./openings.ts";

/** Bytes of a payload that the tests and tokens may look at; a connection id of QUIC ends at 47. */
const HEAD_LENGTH = 48;

/** The text of bpf/openings.h. */
export function openingsHeader(rows: readonly Opening[] = OPENINGS): string {
  const names = rows.map(({ name }, index) => `#define ${constant(name)} ${index + 1}`);
  const kinds = OPENING_KINDS.map((kind, index) => `#define KIND_${constant(kind)} ${index}`);
  return [
    "/* SPDX-License-Identifier: MIT */",
    "/* Written by `deno task bpf` from src/gateway/first_look/openings.ts: change that. */",
    "#ifndef BTBLOCKER_OPENINGS_H",
    "#define BTBLOCKER_OPENINGS_H",
    "",
    `#define HEAD_LENGTH ${HEAD_LENGTH}`,
    `#define OPENING_KINDS ${OPENING_KINDS.length}`,
    "/* A UDP flow is clean after so much of both sides, as src/engine/release.ts has it. */",
    `#define UDP_PACKETS ${UDP_PACKETS}`,
    `#define UDP_BYTES ${UDP_BYTES}`,
    "/* So many of one side that nobody answers are shown to user space, which lets the flow go. */",
    `#define UDP_PACKETS_UNANSWERED ${UDP_PACKETS_UNANSWERED}`,
    ...names,
    ...kinds,
    "",
    '#include "unknown.h"',
    "",
    ...tunnelPorts(),
    ...(["tcp", "udp"] as const).flatMap((transport) => recogniser(transport, rows)),
    ...lookup(
      "kind_of",
      "Index of the kind that an opening is of.",
      rows,
      ({ kind }) => `KIND_${constant(kind)}`,
    ),
    ...tokenReader(rows),
    "#endif",
    "",
  ].join("\n");
}

function tunnelPorts(): string[] {
  const tests = TUNNEL_PORT_NUMBERS.map((port) => `port == ${port}`);
  return [
    "/* Ports that src/packet/udp_tunnels.ts asks for. */",
    "static __always_inline bool is_tunnel_port(__u16 port)",
    "{",
    `\treturn ${tests.join(" ||\n\t       ")};`,
    "}",
    "",
  ];
}

function constant(name: string): string {
  return name.replaceAll("-", "_").toUpperCase();
}

/** `tcp_opening()` or `udp_opening()`: the row that the bytes are, 0 for none. */
function recogniser(transport: "tcp" | "udp", rows: readonly Opening[]): string[] {
  const conditions = rows.flatMap((row) => {
    if (row.transport !== transport) return [];
    const tests = [`length >= ${row.least}`, ...condition(row)];
    if (row.from === "initiator") tests.unshift("is_initiator");
    if (row.from === "responder") tests.unshift("!is_initiator");
    return [`\tif (${tests.join(" &&\n\t    ")})`, `\t\treturn ${constant(row.name)};`];
  });
  return [
    "/* Which opening a payload of `length` bytes begins with, 0 for none; `b` are its first bytes. */",
    `static __always_inline __u8 ${transport}_opening(const __u8 *b, __u32 length, bool is_initiator)`,
    "{",
    ...conditions,
    "\treturn 0;",
    "}",
    "",
  ];
}

function condition({ bytes, lengths, lengthField, test }: Opening): string[] {
  const tests = Object.entries(bytes).map(([at, test]) => byteTest(`b[${at}]`, test));
  if (lengths !== undefined) tests.push(anyOf(lengths.map((length) => `length == ${length}`)));
  if (lengthField !== undefined) {
    const { at, less } = lengthField;
    tests.push(`((__u32)b[${at}] << 8 | b[${at + 1}]) + ${less} == length`);
  }
  if (test !== undefined) tests.push(test);
  return tests;
}

function byteTest(byte: string, test: ByteTest): string {
  if (typeof test === "number") return `${byte} == ${test}`;
  if (!("mask" in test) && !("most" in test)) {
    return anyOf(test.map((value) => `${byte} == ${value}`));
  }
  if ("mask" in test) return `(${byte} & ${test.mask}) == ${test.is}`;
  const least = test.least === undefined ? "" : `${byte} >= ${test.least} && `;
  return `${least}${byte} <= ${test.most}`;
}

function anyOf(tests: readonly string[]): string {
  return tests.length === 1 ? tests[0] : `(${tests.join(" || ")})`;
}

function lookup(
  name: string,
  comment: string,
  rows: readonly Opening[],
  value: (row: Opening) => string,
): string[] {
  const cases = new Map<string, string[]>();
  for (const row of rows) cases.set(value(row), [...cases.get(value(row)) ?? [], row.name]);
  return [
    `/* ${comment} */`,
    `static __always_inline __u32 ${name}(__u8 opening)`,
    "{",
    "\tswitch (opening) {",
    ...[...cases].flatMap(([result, names]) => [
      ...names.map((one) => `\tcase ${constant(one)}:`),
      `\t\treturn ${result};`,
    ]),
    "\tdefault:",
    "\t\treturn OPENING_KINDS;",
    "\t}",
    "}",
    "",
  ];
}

function tokenReader(rows: readonly Opening[]): string[] {
  const places = new Map<string, string[]>();
  for (const { token, name } of rows) {
    if (token === undefined) continue;
    const place = `read_token(b + ${token.at}, ${token.length})`;
    places.set(place, [...places.get(place) ?? [], name]);
  }
  return [
    "static __always_inline __u64 read_token(const __u8 *b, __u32 length)",
    "{",
    "\t__u64 token = 0;",
    "\t__u32 i;",
    "",
    "#pragma unroll",
    "\tfor (i = 0; i < length; i++)",
    "\t\ttoken = token << 8 | b[i];",
    "\treturn token;",
    "}",
    "",
    "/* What an answer must repeat, 0 where it is nothing. */",
    "static __always_inline __u64 token_of(__u8 opening, const __u8 *b)",
    "{",
    "\tswitch (opening) {",
    ...[...places].flatMap(([place, names]) => [
      ...names.map((one) => `\tcase ${constant(one)}:`),
      `\t\treturn ${place};`,
    ]),
    "\tdefault:",
    "\t\treturn 0;",
    "\t}",
    "}",
    "",
  ];
}
