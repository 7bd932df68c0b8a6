import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 500;
/** What one look reads at most; the next one goes on. A longer line is passed over. */
const POLL_BYTES_MAX = 1_000_000;

/** A place in the current file. Its inode tells when it has been moved away for a new one. */
export interface LogPlace {
  inode: number;
  offset: number;
}

/** The end of the file now; from here on it is followed. */
export function endOfLog(path: string): LogPlace {
  const found = statSync(path, { throwIfNoEntry: false });
  return { inode: found?.ino ?? 0, offset: found?.size ?? 0 };
}

/** Complete lines as they are written, until the signal. A file that was moved is read to its end first. */
export async function* followLines(
  path: string,
  start: LogPlace,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let place = start;
  while (!signal.aborted) {
    const inode = statSync(path, { throwIfNoEntry: false })?.ino ?? place.inode;
    if (inode !== place.inode) {
      yield* linesOf(`${path}.1`, place).lines;
      place = { inode, offset: 0 };
    }
    const { lines, next, more } = linesOf(path, place);
    yield* lines;
    place = next;
    if (!more) await sleep(POLL_MS, undefined, { signal }).catch(() => {});
  }
}

/** Nothing where another file is, or none. */
function linesOf(path: string, place: LogPlace): { lines: string[]; next: LogPlace; more: boolean } {
  const nothing = { lines: [], next: place, more: false };
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return nothing;
  }
  try {
    if (fstatSync(file).ino !== place.inode) return nothing;
    const buffer = Buffer.alloc(POLL_BYTES_MAX);
    const bytes = readSync(file, buffer, 0, POLL_BYTES_MAX, place.offset);
    const more = bytes === POLL_BYTES_MAX;
    const end = buffer.lastIndexOf('\n', bytes - 1) + 1;
    if (bytes === 0 || (end === 0 && !more)) return nothing;
    const lines = buffer.toString('utf8', 0, end).split('\n').slice(0, -1);
    return { lines, next: { ...place, offset: place.offset + (end === 0 ? bytes : end) }, more };
  } finally {
    closeSync(file);
  }
}
