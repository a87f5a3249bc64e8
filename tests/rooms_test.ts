/** ARCHITECTURE.md's table of rooms against the imports of all files in them. */
import assert from "node:assert/strict";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Rooms by name, with the rooms whose files theirs may import. */
function readTable(text: string): Map<string, Set<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const [, room, , imports] of text.matchAll(/^\| `([\w/]+)` +\|(.*)\|(.*)\|$/gm)) {
    rooms.set(room, new Set([...imports.matchAll(/`([\w/]+)`/g)].map(([, name]) => name)));
  }
  return rooms;
}

/** Paths from the root of what a file imports from files of ours. */
function importsOf(path: string, text: string): string[] {
  const found = text.matchAll(/(?:\bfrom|\bimport|\bURL\(|\bimport\()\s*"(\.[^"]*)"/g);
  return [...found].map(([, target]) => posix.join(posix.dirname(path), target));
}

/** The innermost room that a file is in; null for the ground floor and the root. */
function roomOf(path: string, rooms: Iterable<string>): string | null {
  const around = [...rooms].filter((room) => path.startsWith(`${room}/`));
  return around.sort((a, b) => b.length - a.length)[0] ?? null;
}

function* filesUnder(directory: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + directory)) {
    if (isDirectory) yield* filesUnder(`${directory}/${name}`);
    else if (name.endsWith(".ts")) yield `${directory}/${name}`;
  }
}

const rooms = readTable(Deno.readTextFileSync(`${ROOT}ARCHITECTURE.md`));
const files = [...filesUnder("src"), ...filesUnder("ffi")];

Deno.test("every folder of src is a room of the table, and every room is there", () => {
  assert.ok(rooms.size > 15, "the table is read");
  const folders = [...Deno.readDirSync(`${ROOT}src`)].filter(({ isDirectory }) => isDirectory);
  for (const { name } of folders) assert.ok(rooms.has(`src/${name}`), `src/${name} has no row`);
  for (const room of rooms.keys()) assert.ok(Deno.statSync(ROOT + room).isDirectory, room);
});

Deno.test("no room imports what imports it, by whatever way", () => {
  const reach = (room: string, seen = new Set<string>()): Set<string> => {
    for (const next of rooms.get(room) ?? assert.fail(`${room} has no row`)) {
      if (seen.has(next)) continue;
      seen.add(next);
      reach(next, seen);
    }
    return seen;
  };
  for (const room of rooms.keys()) assert.ok(!reach(room).has(room), `${room} imports itself`);
});

Deno.test("every import follows an arrow of the table", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const path of files) {
    const from = roomOf(path, rooms.keys());
    for (const target of importsOf(path, Deno.readTextFileSync(ROOT + path))) {
      seen++;
      const to = roomOf(target, rooms.keys());
      const isGround = to === null && /^src\/\w+\.ts$/.test(target);
      const isAllowed = from === null
        ? isGround || /^(deno|build)\.json$/.test(posix.basename(target))
        : isGround || to === from || (to !== null && rooms.get(from)!.has(to));
      if (!isAllowed) wrong.push(`${path} imports ${target}`);
    }
  }
  assert.ok(seen > 500, `${seen} imports found`);
  assert.deepEqual(wrong, []);
});

/** Names of the values (no types: they say what a signature is) that a file exports. */
function exportsOf(text: string): string[] {
  const found = text.matchAll(
    /^export (?:async )?(?:const|let|function\*?|(?:abstract )?class) (\w+)/gm,
  );
  return [...found].map(([, name]) => name);
}

Deno.test("nothing is exported that no other file mentions", () => {
  const others = ["tests", "scripts"].flatMap((room) => [...filesUnder(room)]);
  const words = new Map(
    [...files, ...others, "mod.ts", "main.ts"].map((path) => {
      const text = Deno.readTextFileSync(ROOT + path);
      return [path, { text, names: new Set(text.match(/\w+/g)) }];
    }),
  );
  let seen = 0;
  const idle = [...files, ...others].flatMap((path) =>
    exportsOf(words.get(path)!.text).filter((name) => {
      seen++;
      return ![...words].some(([other, { names }]) => other !== path && names.has(name));
    }).map((name) => `${path}: ${name}`)
  );
  assert.ok(seen > 500, `${seen} exports found`);
  assert.deepEqual(idle, []);
});

Deno.test("readTable() and importsOf() see what breaks an arrow", () => {
  const table = readTable("| `src/a` | one | `src/b` |\n| `src/b` | two | |\n");
  assert.deepEqual([...table], [["src/a", new Set(["src/b"])], ["src/b", new Set()]]);
  const text = 'import type { X } from "../a/x.ts";\nawait import("./y.ts"); new URL("../../z.o")';
  assert.deepEqual(importsOf("src/b/c.ts", text), ["src/a/x.ts", "src/b/y.ts", "z.o"]);
});
