/**
 * Compiles bpf/btblocker.bpf.c to the object that is committed beside it.
 *
 *   deno task bpf         compile
 *   deno task bpf:check   is the committed object what the source gives?
 *
 * The same compiler gives the same bytes on every machine: no path and no debug information stay but
 * BTF. Another major version of clang gives other code, so the check insists on {@link CLANG_MAJOR}.
 */
import { fileURLToPath } from "node:url";
import { EnvironmentError } from "../src/errors.ts";

/** Debian 12's; change it together with the object. */
const CLANG_MAJOR = 14;

const directory = fileURLToPath(new URL("../bpf/", import.meta.url));
const OBJECT = "btblocker.bpf.o";

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

async function compile(object: string): Promise<void> {
  const machine = `${Deno.build.arch}-linux-gnu`; // Debian keeps asm/types.h there
  await output(
    "clang",
    ...["-target", "bpf", "-mcpu=v2", "-O2", "-g", "-Wall", "-Wextra", "-Werror"],
    ...["-fdebug-compilation-dir=.", `-I/usr/include/${machine}`],
    ...["-c", "btblocker.bpf.c", "-o", object],
  );
  await output("llvm-strip", "-g", object); // DWARF goes, BTF stays
}

async function check(): Promise<void> {
  const major = await clangMajor();
  if (major !== CLANG_MAJOR) {
    throw new EnvironmentError(
      `Cannot check ${OBJECT}: built with clang ${CLANG_MAJOR}, here is clang ${major}`,
      `Debian: apt install clang-${CLANG_MAJOR} llvm-${CLANG_MAJOR}`,
    );
  }
  const fresh = await Deno.makeTempFile({ suffix: ".o" });
  try {
    await compile(fresh);
    const [wanted, found] = [await Deno.readFile(fresh), await Deno.readFile(directory + OBJECT)];
    const same = wanted.length === found.length && wanted.every((byte, i) => byte === found[i]);
    if (!same) {
      throw new EnvironmentError(`bpf/${OBJECT} is not what the source gives`, "deno task bpf");
    }
  } finally {
    await Deno.remove(fresh);
  }
  console.log(`bpf/${OBJECT} is what the source gives (clang ${major})`);
}

if (import.meta.main) {
  try {
    if (Deno.args[0] === "--check") await check();
    else await compile(OBJECT);
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
