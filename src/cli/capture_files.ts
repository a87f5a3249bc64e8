/** The files that the arguments of `analyze` name: directories are walked. */

export interface CaptureFile {
  path: string;
  /** Found in a directory without a capture's name: passed over in silence when it is none. */
  isGuess: boolean;
}

/** Ends of the names that captures have. */
const CAPTURE_NAME = /\.(pcap|pcapng|cap|ntar|dmp)(\.?\d+)?(\.gz)?$/i;

/**
 * Yields the files of the arguments in order, those of a directory sorted by name, subdirectories
 * in their place. Links to directories are not followed (they may lead back); pipes and devices are
 * read only when named. `onError` gets what cannot be looked at, and the walk goes on.
 */
export function* captureFiles(
  paths: Iterable<string>,
  onError: (path: string, error: unknown) => void,
): Generator<CaptureFile> {
  for (const path of paths) {
    let isDirectory = false;
    if (path !== "-") {
      try {
        isDirectory = Deno.statSync(path).isDirectory;
      } catch (error) {
        onError(path, error);
        continue;
      }
    }
    if (isDirectory) yield* walk(path, onError);
    else yield { path, isGuess: false };
  }
}

function* walk(
  directory: string,
  onError: (path: string, error: unknown) => void,
): Generator<CaptureFile> {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(directory)];
  } catch (error) {
    onError(directory, error);
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = directory.endsWith("/") ? directory + entry.name : `${directory}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path, onError);
    else if (entry.isFile || isLinkToFile(path)) {
      yield { path, isGuess: !CAPTURE_NAME.test(entry.name) };
    }
  }
}

function isLinkToFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false; // a link to nothing is no capture
  }
}
