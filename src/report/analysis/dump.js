/** The bytes of a detection, with its fields marked and named. */
import { node } from "../page/dom.js";
import { counted } from "./data.js";

const FIELD_COLOURS = 6;
/** Bytes of a value that the list of fields shows; the dump has all. */
const VALUE_BYTES = 32;
/** Width of a byte in the dump: three characters in hexadecimal, one in text; and the offset's. */
const ROW = 16;
const NARROW_ROW = 8;
const ROW_WIDTH = 560;

const hex = (byte, digits = 2) => byte.toString(16).padStart(digits, "0");
const isPrintable = (byte) => byte >= 0x20 && byte < 0x7f;
const character = (byte) => isPrintable(byte) ? String.fromCharCode(byte) : "·";

function classOf(field, number) {
  return `field field-${number % FIELD_COLOURS + 1}${field.isDecisive ? " decisive" : ""}`;
}

/** What a field holds: text where all of it is, else hexadecimal. */
function valueOf({ start, end, value }, bytes) {
  if (value !== null) return value;
  const part = bytes.subarray(start, end);
  const cut = part.subarray(0, VALUE_BYTES);
  const rest = part.length > cut.length ? " …" : "";
  if (part.every(isPrintable)) return String.fromCharCode(...part);
  return Array.from(cut, (byte) => hex(byte)).join(" ") + rest;
}

/** The fields by name, place and content. */
export function fieldList({ fields, payload }) {
  return node(
    "ul",
    "fields",
    ...fields.map((field, number) =>
      node(
        "li",
        "",
        node("mark", classOf(field, number), field.name),
        node("span", "place", ` ${placeOf(field)} `),
        node("code", "", valueOf(field, payload)),
      )
    ),
  );
}

function placeOf({ start, end }) {
  return end - start === 1 ? `byte ${start}` : `bytes ${start} to ${end - 1}`;
}

/** Offset, hexadecimal and text, as wide as there is room for. */
export function hexDump({ fields, payload, payloadLength }, width) {
  const perRow = width >= ROW_WIDTH ? ROW : NARROW_ROW;
  const dump = node("pre", "dump");
  dump.tabIndex = 0;
  for (let at = 0; at < payload.length; at += perRow) {
    const end = Math.min(payload.length, at + perRow);
    dump.append(node("span", "offset", hex(at, 4)), "  ");
    const used = append(dump, fields, at, end, (i) => {
      const gap = i + 1 === end ? "" : i - at === 7 ? "  " : " ";
      return [hex(payload[i]), gap];
    });
    dump.append(" ".repeat(perRow * 3 + (perRow > 8 ? 1 : 0) + 1 - used));
    append(dump, fields, at, end, (i) => [character(payload[i]), ""]);
    dump.append("\n");
  }
  if (payload.length < payloadLength) {
    dump.append(
      node("span", "offset", `… ${counted(payloadLength - payload.length, "byte")} more`),
    );
  }
  return dump;
}

/** Runs of bytes of one field become one mark; answers how many characters were written. */
function append(dump, fields, at, end, textOf) {
  let length = 0;
  for (let i = at; i < end;) {
    const number = fields.findIndex(({ start, end }) => start <= i && i < end);
    const runEnd = number >= 0
      ? Math.min(end, fields[number].end)
      : Math.min(end, ...fields.map(({ start }) => start).filter((start) => start > i));
    let text = "";
    let gap = "";
    for (; i < runEnd; i++) {
      const [byte, after] = textOf(i);
      text += gap + byte;
      gap = after;
    }
    length += text.length + gap.length;
    if (number < 0) {
      dump.append(text + gap);
      continue;
    }
    const mark = node("mark", classOf(fields[number], number), text);
    mark.title = fields[number].name;
    dump.append(mark, gap);
  }
  return length;
}
