/** How the page writes numbers, amounts and times. */

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en-US", {
  notation: "compact",
  minimumFractionDigits: 0,
  maximumFractionDigits: 1,
});

/** `0.4`, `812`, `12,340`, `1.2M`. */
export function amount(value) {
  if (value >= 1_000_000) return compact.format(value);
  if (value > 0 && value < 9.95) return String(Math.round(value * 10) / 10);
  return whole.format(value);
}

/** `812 B`, `1.5 kB`, `34 MB`. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `45s`, `1h 30m`, `2d 4h`: two units at most. */
export function duration(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, length] of [["d", 86_400], ["h", 3_600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) words.push(`${count}${unit}`);
    else if (words.length > 0) break;
    if (words.length === 2) break;
  }
  return words.join(" ") || "0s";
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const toMinute = new Intl.DateTimeFormat("en-GB", CLOCK);
const toSecond = new Intl.DateTimeFormat("en-GB", { ...CLOCK, second: "2-digit" });
const dayAndMinute = new Intl.DateTimeFormat("en-GB", { ...CLOCK, day: "numeric", month: "short" });

/** Local time: `14:05`, or `14:05:09`. */
export function clock(timeMs, withSeconds) {
  return (withSeconds ? toSecond : toMinute).format(timeMs);
}

/** `14:05:09`, or `3 Mar, 14:05` when that was another day. */
export function moment(timeMs, nowMs) {
  const isToday = new Date(timeMs).toDateString() === new Date(nowMs).toDateString();
  return (isToday ? toSecond : dayAndMinute).format(timeMs);
}

/** `250 µs`, `2.5 ms`. */
export function latency(microseconds) {
  if (microseconds < 1000) return `${microseconds} µs`;
  return `${microseconds / 1000} ms`;
}
