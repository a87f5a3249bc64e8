/** The commands as data, read from the program itself: what the manual and the completions are of. */
import type { Command } from "@commander-js/extra-typings";
import { buildProgram } from "../src/cli/program.ts";
import { HOOK_CHAINS } from "../src/gateway/rules/rule_text.ts";

/** What may stand for a value: fixed words, or something to look up; null for anything. */
export type Values = readonly string[] | "file" | "interface" | null;

export interface Flag {
  /** `--ban-duration` */
  readonly long: string;
  /** `-h`, or null. */
  readonly short: string | null;
  /** As in the help: `<duration>`, `[true|false]`, or "" for none. */
  readonly placeholder: string;
  /** `optional`: the flag alone means true. */
  readonly takes: "none" | "optional" | "required";
  readonly values: Values;
  readonly description: string;
}

export interface CommandModel {
  /** `["bans", "list"]`; empty for the program itself. */
  readonly path: readonly string[];
  readonly description: string;
  /** `<files...>`, or "". */
  readonly argument: string;
  readonly argumentValues: Values;
  readonly flags: readonly Flag[];
  readonly commands: readonly CommandModel[];
}

/** The program with all its commands, hidden ones left out. */
export function commandModel(): CommandModel {
  return modelOf(buildProgram(() => {}), []);
}

/** A command and all those below it, in the order of the help. */
export function allCommands(model: CommandModel): CommandModel[] {
  return [model, ...model.commands.flatMap(allCommands)];
}

function modelOf(command: Command, path: readonly string[]): CommandModel {
  const help = command.createHelp();
  const [argument] = command.registeredArguments;
  const name = argument === undefined ? "" : help.argumentTerm(argument);
  const commands = help.visibleCommands(command).filter((one) => one.name() !== "help");
  return {
    path,
    description: command.description(),
    argument: argument === undefined ? "" : `<${name}...>`,
    argumentValues: name === "files" ? "file" : null,
    flags: help.visibleOptions(command).map(flagModel),
    commands: commands.map((one) => modelOf(one as unknown as Command, [...path, one.name()])),
  };
}

interface CommanderOption {
  flags: string;
  long?: string | null;
  short?: string | null;
  required: boolean;
  optional: boolean;
  description: string;
}

function flagModel(option: CommanderOption): Flag {
  const placeholder = /[<[].*[\]>]$/.exec(option.flags)?.[0] ?? "";
  return {
    long: option.long ?? "",
    short: option.short ?? null,
    placeholder,
    takes: option.required ? "required" : option.optional ? "optional" : "none",
    values: valuesOf(placeholder),
    description: option.description,
  };
}

/** Placeholders say what is meant (src/config/kinds.ts). */
function valuesOf(placeholder: string): Values {
  const inner = placeholder.slice(1, -1);
  if (inner.includes("|")) return inner.split("|");
  if (inner === "path") return "file";
  if (inner === "names") return "interface";
  if (inner === "chains") return HOOK_CHAINS;
  return null;
}
