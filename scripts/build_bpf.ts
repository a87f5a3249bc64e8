/**
 * Compiles the programs of bpf/ to the objects that are committed beside them.
 *
 *   deno task bpf         compile
 *   deno task bpf:check   are the committed objects what the sources give?
 *
 * The same compiler gives the same bytes on every machine: no path and no debug information stay but
 * BTF. Another major version of clang gives other code, so the check insists on {@link CLANG_MAJOR}.
 */
import { fileURLToPath } from "node:url";
import { commandLine } from "./arguments.ts";
import { EnvironmentError } from "../src/errors.ts";
import { openingsHeader } from "../src/gateway/first_look/openings_header.ts";

/** Debian 12's; change it together with the objects. */
const CLANG_MAJOR = 14;

const directory = fileURLToPath(new URL("../bpf/", import.meta.url));

/** `btblocker` of `btblocker.bpf.c` and `btblocker.bpf.o`, of each program. */
const PROGRAMS = [...Deno.readDirSync(directory)].flatMap(({ name }) => {
  return name.endsWith(".bpf.c") ? [name.slice(0, -".bpf.c".length)] : [];
}).sort();

/** Written from the table of openings. */
const OPENINGS = `${directory}openings.h`;

async function build(): Promise<void> {
  await Deno.writeTextFile(OPENINGS, openingsHeader());
  for (const program of PROGRAMS) await compile(program, `${program}.bpf.o`);
}

async function output(command: string, ...args: string[]): Promise<string> {
  let result;
  try {
    result = await new Deno.Command(command, { args, cwd: directory }).output();
  } catch (error) {
    throw new EnvironmentError(
      `Cannot run ${command}: ${(error as Error).message}`,
      "Debian: apt install clang llvm libbpf-dev",
    );
  }
  const text = new TextDecoder();
  if (!result.success) {
    throw new EnvironmentError(`${command} failed:\n${text.decode(result.stderr)}`);
  }
  return text.decode(result.stdout);
}

async function clangMajor(): Promise<number> {
  return Number(/clang version (\d+)/.exec(await output("clang", "--version"))?.[1]);
}

async function compile(program: string, object: string): Promise<void> {
  const machine = `${Deno.build.arch}-linux-gnu`; // Debian keeps asm/types.h there
  await output(
    "clang",
    ...["-target", "bpf", "-mcpu=v2", "-O2", "-g", "-Wall", "-Wextra", "-Werror"],
    ...["-fdebug-compilation-dir=.", `-I/usr/include/${machine}`],
    ...["-c", `${program}.bpf.c`, "-o", object],
  );
  await output("llvm-strip", "-g", object); // DWARF goes, BTF stays
}

async function check(): Promise<void> {
  const major = await clangMajor();
  if (major !== CLANG_MAJOR) {
    throw new EnvironmentError(
      `Cannot check the BPF objects: built with clang ${CLANG_MAJOR}, here is clang ${major}`,
      `Debian: apt install clang-${CLANG_MAJOR} llvm-${CLANG_MAJOR}`,
    );
  }
  if (await Deno.readTextFile(OPENINGS) !== openingsHeader()) {
    throw new EnvironmentError("bpf/openings.h is not what the table gives", "deno task bpf");
  }
  for (const program of PROGRAMS) await checkProgram(program);
  const objects = PROGRAMS.map((program) => `bpf/${program}.bpf.o`).join(", ");
  console.log(`${objects}: what the sources give (clang ${major})`);
}

async function checkProgram(program: string): Promise<void> {
  const object = `${program}.bpf.o`;
  const fresh = await Deno.makeTempFile({ suffix: ".o" });
  try {
    await compile(program, fresh);
    const [wanted, found] = [await Deno.readFile(fresh), await Deno.readFile(directory + object)];
    const same = wanted.length === found.length && wanted.every((byte, i) => byte === found[i]);
    if (!same) {
      throw new EnvironmentError(`bpf/${object} is not what the source gives`, "deno task bpf");
    }
  } finally {
    await Deno.remove(fresh);
  }
}

if (import.meta.main) {
  try {
    const options = { check: { type: "boolean", default: false } } as const;
    const { values } = commandLine("deno task bpf [--check]", options, 0);
    if (values.check) await check();
    else await build();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
