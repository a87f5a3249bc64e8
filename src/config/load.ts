/** Reads the settings: flag over variable over file over default; every problem at once. */
import { parse as parseToml, TomlError } from "smol-toml";
import * as v from "valibot";
import { describeReadError, UsageError } from "../errors.ts";
import { printable } from "../text.ts";
import { closest } from "./closest.ts";
import { findConflicts, QUEUE_NUMBERS } from "./conflicts.ts";
import {
  type Config,
  flagOf,
  type Option,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  tomlKeyOf,
  tomlOf,
} from "./options.ts";

/** Read when there is one and `--config` names none. */
const DEFAULT_CONFIG_PATH = "/etc/btblocker/config.toml";

export interface ConfigInput {
  /** Values of the flags that were given, as text (`true` for a flag without a value). */
  flags?: Partial<Record<OptionName, string>>;
  /** The environment; `Deno.env.toObject()` unless given. */
  variables?: Readonly<Record<string, string>>;
  /** `--config`: must exist, unlike the default one. */
  configPath?: string;
  /**
   * For a reload: the file of the last good load. It must be there still, be it the default one:
   * a file that vanished is no order to go back to the defaults.
   */
  lastFile?: string | null;
  /** For tests. */
  defaultConfigPath?: string;
}

/** Where a value came from, in words: `flag --queue-num`, `variable QUEUE_NUM`, `default`. */
export type Origins = Readonly<Record<OptionName, string>>;

export interface LoadedConfig {
  config: Config;
  origins: Origins;
  /** The file that was read, or null. */
  file: string | null;
  /** What may be a mistake and need not be. */
  warnings: readonly string[];
}

/** Throws {@link UsageError} whose message has one line a problem. */
export function loadConfig(input: ConfigInput = {}): LoadedConfig {
  const problems: string[] = [];
  const variables = input.variables ?? Deno.env.toObject();
  const { file, values } = readFile(input, problems);
  const warnings = findMisspeltVariables(variables);
  const config: Partial<Record<OptionName, unknown>> = {};
  const origins: Partial<Record<OptionName, string>> = {};
  for (const name of OPTION_NAMES) {
    // Every source is looked at, not only the winning one: a wrong value waits there for the day
    // when the other is taken away.
    const good = [
      [fromFlag(name, input.flags ?? {})],
      fromVariables(name, variables),
      fromFile(name, values, file),
    ].map((source) => readSource(name, source, problems));
    warnings.push(...good.flatMap((source) => unlike(name, source)));
    const [chosen] = good.flat();
    config[name] = chosen === undefined ? OPTIONS[name].default : chosen.value;
    origins[name] = chosen === undefined ? "default" : chosen.origin;
  }
  if (origins.queueCount === "default" && typeof config.queueNum === "number") {
    // The default gives way near the end of the numbers; a count that was asked for does not.
    config.queueCount = Math.min(OPTIONS.queueCount.default, QUEUE_NUMBERS - config.queueNum);
  }
  const loaded = config as Config;
  problems.push(...findConflicts(loaded));
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  return { config: loaded, origins: origins as Origins, file, warnings };
}

/** The values of one source that can be used, in the order in which they hold. */
function readSource(
  name: OptionName,
  source: readonly (Given | null)[],
  problems: string[],
): Read[] {
  const { schema, expected } = kindOf(name);
  return source.filter((one) => one !== null).flatMap((given) => {
    const result = v.safeParse(schema, given.raw);
    if (result.success) return [{ ...given, value: result.output as Config[OptionName] }];
    problems.push(`Cannot use ${given.shown}: expected ${expected}`);
    return [];
  });
}

/** One option twice in one source, by its present name and an older one, and not with one value. */
function unlike(name: OptionName, [first, ...others]: readonly Read[]): string[] {
  return others.filter(({ value }) => tomlOf(name, value) !== tomlOf(name, first.value))
    .map(({ shown }) => `${shown} is not used: ${first.shown} says otherwise, and holds`);
}

/** The effective settings as a TOML file, with where each came from. */
export function showConfig({ config, origins, file }: LoadedConfig): string {
  const lines = OPTION_NAMES.map((name) => [
    `${tomlKeyOf(name)} = ${
      isSecret(name, config[name]) ? '"(not shown)"' : tomlOf(name, config[name])
    }`,
    `# ${origins[name]}`,
  ]);
  const width = Math.min(40, Math.max(...lines.map(([setting]) => setting.length)));
  const head = file === null ? "# no configuration file" : `# configuration file: ${file}`;
  return [head, ...lines.map(([setting, origin]) => `${setting.padEnd(width)}  ${origin}`)].join(
    "\n",
  );
}

/** Options by the names of their variables, as messages have them: `QUEUE_COUNT, STATUS_LISTEN`. */
export function variablesOf(names: readonly OptionName[]): string {
  return names.map((name) => OPTIONS[name].variable).join(", ");
}

/** What a reload changes: names that are taken over at once, and names that need a restart. */
export function compareConfigs(
  before: Config,
  after: Config,
): { live: OptionName[]; restart: OptionName[] } {
  const changed = OPTION_NAMES.filter((name) =>
    tomlOf(name, before[name]) !== tomlOf(name, after[name])
  );
  return {
    live: changed.filter((name) => OPTIONS[name].live),
    restart: changed.filter((name) => !OPTIONS[name].live),
  };
}

interface Given {
  raw: unknown;
  origin: string;
  /** The value with its source, as it stands in messages. */
  shown: string;
}

/** One that can be used. */
interface Read extends Given {
  value: Config[OptionName];
}

function kindOf(name: OptionName): Option<unknown>["kind"] {
  return OPTIONS[name].kind as Option<unknown>["kind"];
}

function fromFlag(name: OptionName, flags: Partial<Record<OptionName, string>>): Given | null {
  const raw = flags[name];
  if (raw === undefined) return null;
  return { raw, origin: `flag ${flagOf(name)}`, shown: `${flagOf(name)} ${shownOf(name, raw)}` };
}

/** The option's variable, its older names, its file's name: the first one wins. */
function fromVariables(
  name: OptionName,
  variables: Readonly<Record<string, string>>,
): (Given | null)[] {
  const option = OPTIONS[name] as Option<unknown>;
  const given: (Given | null)[] = [];
  for (const variable of [option.variable, ...option.oldVariables ?? []]) {
    const raw = variables[variable];
    if (raw === undefined) continue;
    // Compose files and unit files pass empty variables for "not set"; where nothing is a value
    // (no ports, no file) it is taken as one.
    if (raw.trim() === "" && !v.safeParse(option.kind.schema, raw).success) continue;
    const shown = `${variable}=${shownOf(name, raw)}`;
    given.push({ raw, origin: `variable ${variable}`, shown });
  }
  return [...given, fromFileVariable(name, variables)];
}

/** A secret's file, as containers name it: `FLEET_KEY_FILE=/run/secrets/key`. */
function fromFileVariable(
  name: OptionName,
  variables: Readonly<Record<string, string>>,
): Given | null {
  if (kindOf(name).isSecret !== true) return null;
  const variable = fileVariableOf(name);
  const path = (variables[variable] ?? "").trim();
  if (path === "") return null;
  return {
    raw: `file:${path}`,
    origin: `variable ${variable}`,
    shown: `${variable}=${shown(path)}`,
  };
}

/** The variable that names a secret's file. */
export function fileVariableOf(name: OptionName): string {
  return `${OPTIONS[name].variable}_FILE`;
}

function fromFile(
  name: OptionName,
  values: Readonly<Record<string, unknown>>,
  file: string | null,
): Given[] {
  return tomlKeys(name).filter((key) => Object.hasOwn(values, key)).map((key) => ({
    raw: values[key],
    origin: `file ${file}: ${key}`,
    shown: `${key} = ${shownOf(name, JSON.stringify(values[key]))} in ${file}`,
  }));
}

function tomlKeys(name: OptionName): string[] {
  const option = OPTIONS[name] as Option<unknown>;
  return [option.variable, ...option.oldVariables ?? []].map((variable) => variable.toLowerCase());
}

function readFile(
  input: ConfigInput,
  problems: string[],
): { file: string | null; values: Readonly<Record<string, unknown>> } {
  const file = input.configPath ?? input.defaultConfigPath ?? DEFAULT_CONFIG_PATH;
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound;
    const wasThere = input.lastFile === file;
    if (isMissing && input.configPath === undefined && !wasThere) return { file: null, values: {} };
    const hint = isMissing && wasThere ? " any more (restart to go on without it)" : "";
    problems.push(`Cannot read ${file}: ${describe(error)}${hint}`);
    return { file: null, values: {} };
  }
  let values: Record<string, unknown>;
  try {
    values = parseToml(text);
  } catch (error) {
    problems.push(`Cannot read ${file}: ${describe(error)}`);
    return { file, values: {} };
  }
  const known = OPTION_NAMES.flatMap(tomlKeys);
  for (const key of Object.keys(values)) {
    if (known.includes(key)) continue;
    problems.push(`Cannot use ${shown(key)} in ${file}: no such option${meant(key, known)}`);
  }
  return { file, values };
}

/** Variables belong to everybody: those that look like ours misspelt are told, and not read. */
function findMisspeltVariables(variables: Readonly<Record<string, string>>): string[] {
  const warnings: string[] = [];
  const known = OPTION_NAMES.flatMap((name) => {
    const option = OPTIONS[name] as Option<unknown>;
    const file = option.kind.isSecret === true ? [fileVariableOf(name)] : [];
    return [option.variable, ...option.oldVariables ?? [], ...file];
  });
  for (const [variable, value] of Object.entries(variables)) {
    if (known.includes(variable)) continue;
    const suggestion = closest(variable, known);
    if (suggestion === null) continue;
    warnings.push(
      `The variable ${shown(variable)}=${
        isSecretVariable(suggestion) ? "…" : shown(withoutPassword(value))
      } is none of ours (did you mean ${suggestion}?)`,
    );
  }
  return warnings;
}

function meant(name: string, known: readonly string[]): string {
  const suggestion = closest(name, known);
  return suggestion === null ? "" : ` (did you mean ${suggestion}?)`;
}

const SHOWN_LENGTH = 80;

function shown(value: string | undefined): string {
  const text = printable(value ?? "nothing");
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH)}…` : text;
}

/** A wrong token may be a right one mistyped: it is not for the log. */
function shownOf(name: OptionName, value: string): string {
  return isSecret(name, value) ? "…" : shown(withoutPassword(value));
}

/** `https://user:password@host`, `user:password@host`: what stands before the @ is not shown. */
function withoutPassword(value: string): string {
  return value.replace(/^("?\w+:\/\/|"?(?=[^:]*:(?!\/\/))).*@/s, "$1…@");
}

function isSecret(name: OptionName, value: unknown): boolean {
  return kindOf(name).isSecret === true && value !== "" && !String(value).startsWith("file:");
}

function isSecretVariable(variable: string): boolean {
  return OPTION_NAMES.some((name) =>
    OPTIONS[name].variable === variable && kindOf(name).isSecret === true
  );
}

function describe(error: unknown): string {
  if (error instanceof TomlError) {
    return `line ${error.line}, column ${error.column}: ${firstLine(error.message)}`;
  }
  return firstLine(describeReadError(error));
}

/** smol-toml adds an excerpt of several lines to its message. */
function firstLine(text: string): string {
  return text.split("\n", 1)[0].replace(/^Invalid TOML document: /, "");
}
