/**
 * The kinds of values that options have: how a value is read from a flag or variable (text) and
 * from the TOML file (typed), what is allowed, and how it is written.
 */
import * as v from "valibot";
import { parseAddress } from "../packet/address.ts";

export interface OptionKind<T> {
  /** Reads text, or a value of the TOML file. */
  readonly schema: v.GenericSchema<unknown, T>;
  /** Completes "expected ...". */
  readonly expected: string;
  /** Stands for the value in help texts: `<number>`. */
  readonly placeholder: string;
  /** As it would be written in the TOML file. */
  toml(value: T): string;
  /** A flag of this kind may stand without a value, for true. */
  readonly isBoolean?: true;
  /** The value must not be printed. */
  readonly isSecret?: true;
}

const trimmed = v.pipe(v.string(), v.trim());

/** Decimal digits, as a number. */
const digits = v.pipe(trimmed, v.regex(/^\d{1,15}$/), v.transform(Number));

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number, what = "a number"): OptionKind<number> {
  return {
    schema: v.pipe(
      v.union([v.number(), digits]),
      v.integer(),
      v.minValue(min),
      v.maxValue(max),
    ),
    expected: `${what} from ${min} to ${max}`,
    placeholder: "<number>",
    toml: String,
  };
}

/** true, false, 1, 0. */
export function yesNo(): OptionKind<boolean> {
  return {
    schema: v.union([
      v.boolean(),
      v.pipe(
        v.union([v.pipe(trimmed, v.toLowerCase()), v.pipe(v.number(), v.transform(String))]),
        v.picklist(["true", "1", "false", "0"]),
        v.transform((text) => text === "true" || text === "1"),
      ),
    ]),
    expected: "true, false, 1 or 0",
    placeholder: "[true|false]",
    toml: String,
    isBoolean: true,
  };
}

/** One of the words; capitals do not matter. */
export function oneOf<const W extends readonly string[]>(...words: W): OptionKind<W[number]> {
  return {
    schema: v.pipe(trimmed, v.toLowerCase(), v.picklist(words)),
    expected: `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`,
    placeholder: `<${words.join("|")}>`,
    toml: JSON.stringify,
  };
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;

/** Seconds: `18000`, `5h`, `1h30m`, `1d`. */
export function duration(min: number, max: number): OptionKind<number> {
  return {
    schema: v.pipe(
      v.union([
        v.number(),
        digits,
        v.pipe(
          trimmed,
          v.toLowerCase(),
          v.regex(/^(\d{1,12}[wdhms])+$/),
          v.transform((text) => {
            let seconds = 0;
            for (const [, count, unit] of text.matchAll(/(\d+)([wdhms])/g)) {
              seconds += Number(count) * SECONDS[unit as keyof typeof SECONDS];
            }
            return seconds;
          }),
        ),
      ]),
      v.integer(),
      v.minValue(min),
      v.maxValue(max),
    ),
    expected: `a duration from ${min} to ${max} seconds, such as 300, 5m, 5h or 1d`,
    placeholder: "<duration>",
    toml: String,
  };
}

/** `auto`, or a 32-bit mask, hexadecimal with 0x or decimal, with exactly `bits` bits set. */
export function maskOrAuto(bits: number): OptionKind<number | "auto"> {
  const mask = v.pipe(
    v.union([
      v.number(),
      v.pipe(trimmed, v.regex(/^(0[xX][\da-fA-F]{1,8}|\d{1,10})$/), v.transform(Number)),
    ]),
    v.integer(),
    v.minValue(1),
    v.maxValue(0xffff_ffff),
    v.check((value) => countBits(value) === bits),
  );
  return {
    schema: v.union([v.pipe(trimmed, v.toLowerCase(), v.literal("auto")), mask]),
    expected: `auto, or a 32-bit mask with exactly ${bits} bits, such as 0x30000000`,
    placeholder: "<mask>",
    toml: (value) =>
      value === "auto" ? JSON.stringify(value) : `0x${value.toString(16).padStart(8, "0")}`,
  };
}

function countBits(value: number): number {
  let bits = 0;
  for (let left = value >>> 0; left !== 0; left &= left - 1) bits++;
  return bits;
}

/** Any text (a path); empty turns the option off. One that begins with a minus is a flag gone astray. */
export function path(): OptionKind<string> {
  return {
    schema: v.pipe(trimmed, v.check((text) => !text.includes("\0") && !text.startsWith("-"))),
    expected: "a path (./-NAME where the name begins with -), or nothing for off",
    placeholder: "<path>",
    toml: JSON.stringify,
  };
}

/** `127.0.0.1:9090`, `[::1]:9090`, `unix:/run/btblocker/status.sock`, or nothing for off. */
export function listenAddress(): OptionKind<string> {
  return {
    schema: v.pipe(trimmed, v.check((text) => text === "" || isListenAddress(text))),
    expected: "ADDRESS:PORT, [IPV6]:PORT, unix:/PATH, or nothing for off",
    placeholder: "<address>",
    toml: JSON.stringify,
  };
}

/** `https://lapi.example:8080`, with a path where a proxy wants one; nothing for off. */
export function webAddress(): OptionKind<string> {
  return {
    schema: v.pipe(trimmed, v.check((text) => text === "" || isWebAddress(text))),
    expected: "http://HOST:PORT, https://HOST:PORT, or nothing for off",
    placeholder: "<url>",
    toml: JSON.stringify,
  };
}

function isWebAddress(text: string): boolean {
  if (!/^https?:\/\/[^\s?#@]+$/i.test(text)) return false;
  return URL.canParse(text) && new URL(text).hostname !== "";
}

/** A name without white space; nothing for none. */
export function name(): OptionKind<string> {
  return {
    schema: v.pipe(trimmed, v.regex(/^[\x21-\x7e]{0,255}$/)),
    expected: "up to 255 printable characters without spaces",
    placeholder: "<name>",
    toml: JSON.stringify,
  };
}

/** A password that others have given out: the text itself, or `file:/PATH` of a file with it. */
export function secret(): OptionKind<string> {
  return {
    schema: v.pipe(trimmed, v.check((text) => /^[\x21-\x7e]*$/.test(text))),
    expected: "printable characters without spaces, file:/PATH, or nothing for none",
    placeholder: "<secret>",
    toml: JSON.stringify,
    isSecret: true,
  };
}

/** A web address that is a password in itself, as those of webhooks are, or `file:/PATH` of a file with it. */
export function secretAddress(): OptionKind<string> {
  return {
    schema: v.pipe(
      trimmed,
      v.check((text) => text === "" || text.startsWith("file:/") || isSecretAddress(text)),
    ),
    expected: "http://…, https://…, file:/PATH, or nothing for off",
    placeholder: "<url>",
    toml: JSON.stringify,
    isSecret: true,
  };
}

/** Unlike other addresses it may carry a query. */
export function isSecretAddress(text: string): boolean {
  return /^https?:\/\/[^\s#@]+$/i.test(text) && URL.canParse(text);
}

/** Shorter ones can be guessed. */
const TOKEN_LENGTH = 16;

/** A password for programs: the text itself, or `file:/PATH` of a file that holds it. */
export function token(): OptionKind<string> {
  return {
    schema: v.pipe(
      trimmed,
      v.check((text) => text === "" || text.startsWith("file:/") || isToken(text)),
    ),
    expected: `${TOKEN_LENGTH} or more printable characters, file:/PATH, or nothing for off`,
    placeholder: "<token>",
    toml: JSON.stringify,
    isSecret: true,
  };
}

/** Whether it can stand in an Authorization header and is long enough. */
export function isToken(text: string): boolean {
  return text.length >= TOKEN_LENGTH && /^[\x21-\x7e]+$/.test(text);
}

/** Whether only this machine can reach the address of STATUS_LISTEN. */
export function isLocalListenAddress(text: string): boolean {
  return text.startsWith("unix:") || /^(localhost|127\.[\d.]+|\[::1\]):/.test(text);
}

function isListenAddress(text: string): boolean {
  if (text.startsWith("unix:")) return text.startsWith("unix:/") && !text.includes("\0");
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (parts === null || Number(parts[3]) > 65_535) return false;
  if (parts[1] !== undefined) return parts[1].includes(":") && isAddress(parts[1]);
  return isAddress(parts[2]) || parts[2] === "localhost";
}

/** How one entry of a list is read. */
interface Entry<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  readonly expected: string;
  readonly placeholder: string;
}

/**
 * A comma-separated text or a TOML array; the same entry twice counts once.
 *
 * @param atLeast entries that there must be
 * @param textAtLeast the same of a text: 1 where none means "choose", which an empty text, such as a
 *   shell's unset variable, is not asked for; an array that is empty says it
 */
export function list<T extends string | number>(
  entry: Entry<T>,
  atLeast = 0,
  textAtLeast = atLeast,
): OptionKind<readonly T[]> {
  const split = v.pipe(
    trimmed,
    v.check((text) => text !== "" || textAtLeast === 0),
    v.transform((text): unknown => text === "" ? [] : text.split(",").map((part) => part.trim())),
  );
  return {
    schema: v.pipe(
      v.union([v.pipe(split, v.array(entry.schema)), v.array(entry.schema)]),
      v.transform((entries): readonly T[] => [...new Set(entries)]),
      v.check((entries) => entries.length >= atLeast),
    ),
    expected: entry.expected,
    placeholder: entry.placeholder,
    toml: (value) => `[${value.map((one) => JSON.stringify(one)).join(", ")}]`,
  };
}

export const PORT: Entry<number> = {
  schema: wholeNumber(1, 65_535).schema,
  expected: "a comma-separated list of ports from 1 to 65535",
  placeholder: "<ports>",
};

/** IFNAMSIZ is 16 with its NUL; the kernel refuses slashes and white space. */
export const INTERFACE_NAME: Entry<string> = {
  schema: v.pipe(trimmed, v.regex(/^[^\s/:,]{1,15}$/), v.notValue("."), v.notValue("..")),
  expected: "a comma-separated list of interface names of up to 15 characters",
  placeholder: "<names>",
};

export const CHAIN: Entry<"INPUT" | "FORWARD" | "OUTPUT"> = {
  schema: v.pipe(trimmed, v.toUpperCase(), v.picklist(["INPUT", "FORWARD", "OUTPUT"])),
  expected: "a comma-separated list of INPUT, FORWARD, OUTPUT",
  placeholder: "<chains>",
};

export const NETWORK: Entry<string> = {
  schema: v.pipe(trimmed, v.check(isNetwork)),
  expected: "a comma-separated list of addresses and networks, such as 10.0.0.0/8,2001:db8::1",
  placeholder: "<networks>",
};

/** No zone: that names an interface. Not by `node:net`, which is 5 ms of every start. */
function isAddress(text: string): boolean {
  return parseAddress(text) !== null;
}

function isNetwork(text: string): boolean {
  const slash = text.indexOf("/");
  if (slash < 0) return isAddress(text);
  const bits = text.slice(slash + 1);
  const address = text.slice(0, slash);
  return isAddress(address) && /^(0|[1-9]\d{0,2})$/.test(bits) &&
    Number(bits) <= (address.includes(":") ? 128 : 32);
}
