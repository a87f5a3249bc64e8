/**
 * Writes nix/options.nix, the options of the NixOS module, from the option table.
 * `deno run -A scripts/nix.ts` after a change of the table; a test fails when it is stale.
 */
import {
  defaultTextOf,
  type Option,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  tomlOf,
} from "../src/config/options.ts";

/** Names that the original's module has, where ours differ. */
const ORIGINAL_NAMES: Partial<Record<OptionName, string>> = {
  interfaces: "interface",
  detectionLog: "detectionLogPath",
};

/** Lists that the original's module takes as one comma-separated text. */
const AS_TEXT: readonly OptionName[] = ["interfaces"];

/** The file's text. */
export function nixOptions(): string {
  const entries = OPTION_NAMES.map((name) => `  ${nixName(name)} = ${nixEntry(name)};`);
  return "# Written by scripts/nix.ts from the option table, src/config/options.ts.\n" +
    `lib: with lib.types; {\n${entries.join("\n")}\n}\n`;
}

/** The option's name in the NixOS module. */
export function nixName(name: OptionName): string {
  return ORIGINAL_NAMES[name] ?? name;
}

function nixEntry(name: OptionName): string {
  const { variable, kind, help, example, default: value, defaultText } = OPTIONS[name] as Option<
    unknown
  >;
  const note = kind.isSecret ? " (use file:/PATH: everybody can read the Nix store)" : "";
  const isOpen = defaultText !== undefined && (typeof value === "number" || Array.isArray(value)) &&
    value !== 0;
  const type = nixType(name);
  const lines = [
    `variable = ${quote(variable)};`,
    `type = ${isOpen ? `nullOr (${type})` : type};`,
    `default = ${isOpen ? "null" : nixValue(name, value)};`,
    ...isOpen ? [`defaultText = ${quote(defaultTextOf(name))};`] : [],
    `example = ${quote(example)};`,
    ...kind.isSecret ? ["secret = true;"] : [],
    `description = ${quote(`${help}: ${kind.expected}${note}.`)};`,
  ];
  return `{\n${lines.map((line) => `    ${line}`).join("\n")}\n  }`;
}

function nixType(name: OptionName): string {
  const { kind, default: value } = OPTIONS[name] as Option<unknown>;
  if (AS_TEXT.includes(name)) return "str";
  const words = /^<(.+\|.+)>$/.exec(kind.placeholder);
  if (words !== null) return `enum [ ${words[1].split("|").map(quote).join(" ")} ]`;
  if (name === "chains") return `nonEmptyListOf (enum [ "INPUT" "FORWARD" "OUTPUT" ])`;
  if (kind.placeholder === "<ports>") return "listOf port";
  if (kind.placeholder === "<duration>") return "either ints.positive str";
  if (kind.placeholder === "<mask>") return "str";
  if (Array.isArray(value)) return "listOf str";
  if (typeof value === "boolean") return "bool";
  const range = /from (\d+) to (\d+)$/.exec(kind.expected);
  if (typeof value === "number") return range ? `ints.between ${range[1]} ${range[2]}` : "int";
  return "str";
}

function nixValue(name: OptionName, value: unknown): string {
  if (Array.isArray(value)) {
    const items = value.map((one) => typeof one === "number" ? String(one) : quote(String(one)));
    return items.length === 0 ? "[ ]" : `[ ${items.join(" ")} ]`;
  }
  if (typeof value === "string") return quote(value);
  if (OPTIONS[name].kind.placeholder === "<mask>") return quote(tomlOf(name, value as never));
  return String(value);
}

function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("${", "\\${")}"`;
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("../nix/options.nix", import.meta.url), nixOptions());
}
