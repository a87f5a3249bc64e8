import assert from "node:assert/strict";
import { EnvironmentError } from "../../../src/errors.ts";
import { PageFile } from "../../../src/report/analysis/page_file.ts";

const PAGE = "<!DOCTYPE html><title>a</title>";

function inDirectory(act: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync();
  try {
    act(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const names = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).sort();

Deno.test("PageFile writes a page for its owner only, over an earlier one too", () => {
  inDirectory((directory) => {
    const path = `${directory}/a.html`;
    for (const page of [PAGE, `${PAGE}again`]) {
      const file = new PageFile(path);
      file.write(page);
      assert.equal(Deno.readTextFileSync(path), page);
      assert.deepEqual(names(directory), ["a.html"]);
    }
    if (Deno.build.os !== "windows") assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  });
});

Deno.test("PageFile leaves no trace when nothing is written", () => {
  inDirectory((directory) => {
    new PageFile(`${directory}/a.html`);
    assert.deepEqual(names(directory), []);
  });
});

Deno.test("PageFile follows a link", () => {
  inDirectory((directory) => {
    Deno.mkdirSync(`${directory}/pages`);
    Deno.writeTextFileSync(`${directory}/pages/a.html`, PAGE);
    Deno.symlinkSync("pages/a.html", `${directory}/link.html`);
    new PageFile(`${directory}/link.html`).write(`${PAGE}new`);
    assert.ok(Deno.lstatSync(`${directory}/link.html`).isSymlink);
    assert.equal(Deno.readTextFileSync(`${directory}/pages/a.html`), `${PAGE}new`);
  });
});

Deno.test("PageFile leaves the earlier page when the new one cannot be written", () => {
  inDirectory((directory) => {
    const path = `${directory}/pages/a.html`;
    Deno.mkdirSync(`${directory}/pages`);
    const file = new PageFile(path);
    Deno.removeSync(`${directory}/pages`);
    assert.throws(() => file.write(PAGE), EnvironmentError);
    // A directory that has taken the place: the page is written beside it and cannot be moved.
    Deno.mkdirSync(`${path}/full`, { recursive: true });
    assert.throws(() => file.write(PAGE), EnvironmentError);
    assert.deepEqual(names(`${directory}/pages`), ["a.html"]);
  });
});

Deno.test("PageFile says at once why it cannot write", () => {
  inDirectory((directory) => {
    Deno.writeFileSync(`${directory}/a.pcap`, Uint8Array.fromHex("d4c3b2a102000400"));
    Deno.mkdirSync(`${directory}/pages`);
    const cases = [
      [`${directory}/none/a.html`, "no such directory"],
      [`${directory}/a.pcap/a.html`, "no such directory"],
      [`${directory}/pages`, "it is a directory"],
      [`${directory}/new/`, "this names no file"],
      ["", "this names no file"],
      ["-", "this names no file"],
      [
        `${directory}/a.pcap`,
        "something else than a page is there (name another file, or remove it)",
      ],
      ...Deno.build.os === "windows" ? [] : [["/dev/null", "it is no regular file"]],
    ];
    for (const [path, why] of cases) {
      assert.throws(() => new PageFile(path), {
        name: "EnvironmentError",
        message: `Cannot write the report ${path}: ${why}`,
      });
    }
    assert.deepEqual(names(directory), ["a.pcap", "pages"]);
    assert.equal(Deno.statSync(`${directory}/a.pcap`).size, 8);
  });
});
