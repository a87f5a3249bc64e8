/** The command line of the project's own commands: usage on --help, a clear error for what cannot be used. */
import { parseArgs, type ParseArgsConfig } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;
type Config<T extends Options> = { options: T; allowPositionals: true };
type Parsed<T extends Options> = ReturnType<typeof parseArgs<Config<T>>>;

export interface CommandLine<T extends Options> {
  readonly values: Parsed<T>["values"];
  readonly words: readonly string[];
  /** The word at a place as a number of 0 or more, or what stands for one that is not there. */
  numberAt(place: number, name: string, otherwise: number): number;
}

/**
 * Reads the command line of `usage`, such as `deno task fuzz [MINUTES] [SEED]`. Prints it and exits with 0 on
 * --help, and with 2, saying why, on an option that is unknown, a word too many, or a number that is none.
 */
export function commandLine<const T extends Options>(
  usage: string,
  options: T,
  mostWords: number,
): CommandLine<T> {
  if (Deno.args.some((arg) => arg === "--help" || arg === "-h")) {
    console.log(`Usage: ${usage}`);
    Deno.exit(0);
  }
  const parsed = parse(usage, options);
  const words = parsed.positionals;
  if (words.length > mostWords) refuse(`Cannot use ${words[mostWords]}`, usage);
  return {
    values: parsed.values,
    words,
    numberAt(place, name, otherwise) {
      return words[place] === undefined ? otherwise : numberOf(name, words[place], usage);
    },
  };
}

function parse<T extends Options>(usage: string, options: T): Parsed<T> {
  try {
    return parseArgs<Config<T>>({ options, allowPositionals: true });
  } catch (error) {
    const said = (error as Error).message;
    const name = /Unknown option '([^']*)'/.exec(said)?.[1];
    return refuse(name === undefined ? said : `Cannot use ${name}`, usage);
  }
}

/** The value of an option or a word as a number of 0 or more; exits with 2 where it is none. */
export function numberOf(name: string, text: string, usage: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  return refuse(`Cannot use ${text} for ${name}: expected a number of 0 or more`, usage);
}

function refuse(problem: string, usage: string): never {
  console.error(`${problem}\nUsage: ${usage}`);
  Deno.exit(2);
}
