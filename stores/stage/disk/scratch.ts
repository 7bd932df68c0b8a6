import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { HeadwaterError } from '../../../rules/errors.ts';

/** Files of a process that cannot be asked (another machine's, a reused pid) go when nothing was written for a day. */
const FOREIGN_AGE_MS_MAX = 86_400_000;

/** Scratch folders that this process has made: they are in use, however old. */
const ours = new Set<string>();

/**
 * Unfinished files of this process lie in `<root>/tmp/<host>-<pid>-<random>/`: what a killed process left is told from what a
 * living one is writing, so opening a stage never takes a file from another worker.
 */
export class Scratch {
  readonly #folder: string;
  #count = 0;

  constructor(root: string) {
    const name = `${hostTag()}-${process.pid}-${randomBytes(6).toString('hex')}`;
    ours.add(name);
    this.#folder = join(root, 'tmp', name);
  }

  /** A path that nobody else gets; its last parts are `parts`. The folder exists. */
  async reserve(parts: readonly string[]): Promise<string> {
    this.#count += 1;
    const path = join(this.#folder, String(this.#count), ...parts);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return path;
  }

  /** The parts that `reserve` was given for this path. INTERNAL for a path that is not from here. */
  partsOf(path: string): string[] {
    const [count, ...parts] = relative(this.#folder, path).split(sep);
    if (count === undefined || !/^\d+$/.test(count) || parts.length === 0) {
      throw new HeadwaterError('INTERNAL', 'only a reserved path can be adopted');
    }
    return parts;
  }

  /** Removes the file, if it is still there, and its folder. */
  async release(path: string): Promise<void> {
    const [count = ''] = relative(this.#folder, path).split(sep);
    await rm(join(this.#folder, count), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await rmdir(this.#folder).catch(() => undefined);
  }
}

/** Removes what dead processes left unfinished. */
export async function sweep(root: string, nowMs: number): Promise<void> {
  const tmp = join(root, 'tmp');
  for (const name of await readdir(tmp)) {
    if (ours.has(name) || (await inUse(join(tmp, name), name, nowMs))) continue;
    await rm(join(tmp, name), { recursive: true, force: true });
  }
}

async function inUse(path: string, name: string, nowMs: number): Promise<boolean> {
  const [, host, pid] = /^([0-9a-f]{8})-(\d+)-[0-9a-f]{12}$/.exec(name) ?? [];
  // Our own pid on a name that is not ours: a dead process had it before us (each container starts with the same pids).
  if (host === hostTag() && (Number(pid) === process.pid || !isAlive(Number(pid)))) return false;
  return nowMs - (await newestWriteMs(path)) < FOREIGN_AGE_MS_MAX;
}

async function newestWriteMs(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  const paths = [folder, ...entries.map((entry) => join(folder, entry))];
  const times = await Promise.all(
    paths.map((path) =>
      stat(path)
        .then((s) => s.mtimeMs)
        .catch(() => 0),
    ),
  );
  return times.reduce((newest, ms) => Math.max(newest, ms), 0);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return typeof error === 'object' && error !== null && 'code' in error && error.code === 'EPERM';
  }
}

/** A hash, since a machine's name may be a person's. */
function hostTag(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}
