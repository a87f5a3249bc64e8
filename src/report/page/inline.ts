/** How the parts of a page become one document that asks for nothing else. */
import { createHash } from "node:crypto";

/** Modules as one script, in the order in which they need each other; their names do not collide. */
export function joinModules(modules: readonly string[]): string {
  return modules.map((module) => module.replace(/^import [^;]*;\n/gm, "").replace(/^export /gm, ""))
    .join("\n");
}

/** A script's or a style's source expression in a Content-Security-Policy: this very text. */
export function hashSource(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
