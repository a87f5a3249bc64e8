/** How addresses, times and amounts are written for people and in the JSON output. */

/** Last and first millisecond that ISO 8601 writes with four digits of year. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const FIRST_MS = 0;

/** ISO 8601 in UTC with microseconds; a time that no calendar holds is moved to the nearest end. */
export function formatIsoTime(timeMs: number): string {
  const bounded = Math.min(LAST_MS, Math.max(FIRST_MS, Number.isNaN(timeMs) ? 0 : timeMs));
  const micros = Math.round(bounded * 1000);
  const ms = Math.floor(micros / 1000);
  return new Date(ms).toISOString().slice(0, -1) + `${micros - ms * 1000}`.padStart(3, "0") + "Z";
}

/** Local time as in the original's detection log: `2024-01-15 18:46:57.123`. */
export function formatLocalTime(timeMs: number): string {
  const bounded = Math.min(LAST_MS, Math.max(FIRST_MS, Number.isNaN(timeMs) ? 0 : timeMs));
  const date = new Date(bounded);
  const two = (number: number) => `${number}`.padStart(2, "0");
  return `${`${date.getFullYear()}`.padStart(4, "0")}-${two(date.getMonth() + 1)}-` +
    `${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:` +
    `${two(date.getSeconds())}.${`${date.getMilliseconds()}`.padStart(3, "0")}`;
}

const UNITS = [["d", 86_400], ["h", 3_600], ["m", 60], ["s", 1]] as const;

/** Seconds as an operator says them: `5h`, `1h30m`, `45s`, `2d`. Never more than two units. */
export function formatDuration(seconds: number): string {
  let left = Math.max(0, Math.round(seconds));
  if (left === 0) return "0s";
  let text = "";
  let units = 0;
  for (const [unit, length] of UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count === 0 && units === 0) continue;
    if (count > 0) text += `${count}${unit}`;
    if (++units === 2) break;
  }
  return text;
}

/** Bytes with a decimal unit, as network people count: `812 B`, `1.5 kB`, `34 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `1 flow`, `1,204 packets`. */
export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Text from the network (a client's name, a file name) made safe for a terminal and for a log of
 * lines: control characters, which could move the cursor or forge a line, become `\xNN`.
 */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (char) => {
    const code = char.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
