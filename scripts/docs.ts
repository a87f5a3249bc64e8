/**
 * Writes what the documents repeat from the code: the option table of docs/SETTINGS.md, between its
 * markers. `deno run -A scripts/docs.ts` after a change of the table; a test fails when it is stale.
 */
import { fileVariableOf } from "../src/config/load.ts";
import {
  defaultTextOf,
  flagOf,
  type Option,
  OPTION_NAMES,
  OPTIONS,
  tomlKeyOf,
} from "../src/config/options.ts";

export const BEGIN = "<!-- options: written by scripts/docs.ts -->";
export const END = "<!-- end of options -->";

/** The option table in Markdown. */
export function optionTable(): string {
  const rows = OPTION_NAMES.map((name) => {
    const { variable, kind, help, example, live, oldVariables } = OPTIONS[name] as Option<unknown>;
    const old = oldVariables === undefined ? "" : ` (also ${oldVariables.join(", ")})`;
    const file = kind.isSecret ? ` (or ${code(fileVariableOf(name))}, a path)` : "";
    return [
      code(variable) + old + file,
      code(flagOf(name)),
      code(tomlKeyOf(name)),
      cell(defaultTextOf(name)),
      cell(kind.expected),
      `${cell(help)}. Example: ${code(example)}`,
      live ? "yes" : "restart",
    ];
  });
  const head = ["Variable", "Flag", "TOML key", "Default", "Allowed", "What it does", "Reload"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join(
    "\n",
  );
}

function code(text: string): string {
  return `\`${cell(text)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** The document with the table between its markers brought up to date. */
export function withOptionTable(document: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new RangeError(`Cannot find ${BEGIN} and ${END}`);
  // A table of this width is left alone by `deno fmt` only where it is told so.
  return `${document.slice(0, begin)}${BEGIN}\n<!-- deno-fmt-ignore -->\n\n${optionTable()}\n\n` +
    document.slice(end);
}

if (import.meta.main) {
  const path = new URL("../docs/SETTINGS.md", import.meta.url);
  Deno.writeTextFileSync(path, withOptionTable(Deno.readTextFileSync(path)));
}
