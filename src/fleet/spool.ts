/**
 * Bans that the fleet has not been told of yet, the oldest first: in memory, and in a file so that
 * they outlive this process, where one is wanted. Bounded: the oldest, which ends first, makes room.
 */
import { EnvironmentError } from "../errors.ts";
import { readSharedBan, type SharedBan } from "./alerts.ts";

/** Bans kept at most: some 4 MB. */
const SPOOL_MOST = 10_000;
/** A file beyond this is not ours. */
const LONGEST_FILE = 64 << 20;

export class Spool {
  /** Null: the bans wait in memory only. */
  readonly path: string | null;
  /** Whether an earlier run has left its file, even an empty one. */
  readonly isOld: boolean;
  /** Bans lost because too many waited. */
  lost = 0;
  readonly #most: number;
  readonly #warn: (message: string) => void;
  #bans: SharedBan[] = [];
  /** How many of them an address has. */
  readonly #addresses = new Map<string, number>();
  /** Of {@link #bans}, from the end: not in the file yet. */
  #unsaved = 0;
  /** Lines of the file that are in {@link #bans} no more. */
  #stale = 0;
  /** A lifted ban is in the file still. */
  #holdsLifted = false;
  #problem = "";

  /**
   * Reads what an earlier run has left. A file that cannot be had is told once; the bans then wait in
   * memory only, as they do where `path` is null.
   */
  constructor(path: string | null, warn: (message: string) => void, most: number = SPOOL_MOST) {
    this.path = path;
    this.#warn = warn;
    this.#most = most;
    const lines = this.#read();
    this.isOld = lines !== null;
    for (const line of lines ?? []) {
      const ban = readSharedBan(line);
      if (ban === null) this.#stale++;
      else this.#push(ban);
    }
    this.#makeRoom();
    if (lines === null || this.#stale > 0) this.#rewrite();
  }

  get length(): number {
    return this.#bans.length;
  }

  /** Whether a ban of the address waits. */
  has(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Appends, in memory; {@link save} writes it. */
  add(ban: SharedBan): void {
    this.#push(ban);
    this.#unsaved++;
    this.#makeRoom();
  }

  #push(ban: SharedBan): void {
    this.#bans.push(ban);
    this.#count(ban.address);
  }

  #count(address: string): void {
    this.#addresses.set(address, 1 + (this.#addresses.get(address) ?? 0));
  }

  #makeRoom(): void {
    const surplus = this.#bans.length - this.#most;
    if (surplus <= 0) return;
    this.lost += surplus;
    this.#remove(surplus);
  }

  /** The oldest ones. */
  first(count: number): readonly SharedBan[] {
    return this.#bans.slice(0, count);
  }

  /** Forgets all of an address, in the file too; how many there were. */
  forget(address: string): number {
    return this.has(address) ? this.#drop((ban) => ban.address === address) : 0;
  }

  /** Forgets all, in the file too; how many there were. */
  clear(): number {
    return this.#bans.length === 0 ? 0 : this.#drop(() => true);
  }

  #drop(isLifted: (ban: SharedBan) => boolean): number {
    const before = this.#bans.length;
    const saved = before - this.#unsaved;
    const savedLifted = this.#bans.slice(0, saved).filter(isLifted).length;
    this.#bans = this.#bans.filter((ban) => !isLifted(ban));
    this.#stale += savedLifted;
    this.#unsaved -= before - this.#bans.length - savedLifted;
    this.#addresses.clear();
    for (const { address } of this.#bans) this.#count(address);
    this.#holdsLifted ||= savedLifted > 0;
    this.save();
    return before - this.#bans.length;
  }

  /** Forgets these, which need not be the first any more: some may have made room meanwhile. */
  done(bans: readonly SharedBan[]): void {
    const told = new Set(bans);
    let count = 0;
    while (count < this.#bans.length && told.has(this.#bans[count])) count++;
    this.#remove(count);
    this.save();
  }

  #remove(count: number): void {
    const saved = this.#bans.length - this.#unsaved;
    this.#stale += Math.min(count, saved);
    this.#unsaved -= Math.max(0, count - saved);
    for (const { address } of this.#bans.splice(0, count)) {
      const left = this.#addresses.get(address)! - 1;
      if (left === 0) this.#addresses.delete(address);
      else this.#addresses.set(address, left);
    }
  }

  /** Brings the file up to date; nothing where it is. */
  save(): void {
    const isEmptied = this.#bans.length === 0 && this.#stale > 0;
    if (isEmptied || this.#holdsLifted || this.#stale > this.#most) return this.#rewrite();
    if (this.#unsaved === 0) return;
    const lines = this.#bans.slice(-this.#unsaved).map(toLine).join("");
    this.#attempt((path) => {
      using file = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
      writeWhole(file, lines);
      this.#unsaved = 0;
    });
  }

  /** Anew, beside it and then in its place: a crash leaves the one or the other. */
  #rewrite(): void {
    this.#attempt((path) => {
      const fresh = `${path}.new`;
      {
        using file = Deno.openSync(fresh, {
          write: true,
          create: true,
          truncate: true,
          mode: 0o600,
        });
        writeWhole(file, this.#bans.map(toLine).join(""));
        file.syncSync();
      }
      Deno.renameSync(fresh, path);
      this.#stale = 0;
      this.#holdsLifted = false;
      this.#unsaved = 0;
    });
  }

  #attempt(write: (path: string) => void): void {
    if (this.path === null) return;
    try {
      write(this.path);
      this.#problem = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem) {
        this.#warn(`Cannot write ${this.path}: ${message}; bans for the fleet wait in memory only`);
      }
      this.#problem = message;
    }
  }

  #read(): string[] | null {
    const { path } = this;
    if (path === null) return null;
    try {
      const directory = path.slice(0, path.lastIndexOf("/"));
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      const { size } = Deno.statSync(path);
      if (size > LONGEST_FILE) throw new EnvironmentError(`it has ${size} bytes`, "not ours");
      Deno.chmodSync(path, 0o600);
      return Deno.readTextFileSync(path).split("\n").filter((line) => line !== "");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        this.#warn(`Cannot read ${path}: ${(error as Error).message}`);
      }
      return null;
    }
  }
}

function toLine(ban: SharedBan): string {
  return `${JSON.stringify(ban)}\n`;
}

function writeWhole(file: Deno.FsFile, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
}
