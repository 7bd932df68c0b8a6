import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { HeadwaterError } from '../../rules/errors.ts';
import { fromMs, latest, ORIGIN } from '../../rules/time.ts';
import type { Instant } from '../../schemas/instant.ts';
import { checkedExtension, finalKey, keyParts, prefixParts, windowPart } from './disk/keys.ts';
import { Scratch, sweep } from './disk/scratch.ts';
import { abortable, FileWriter } from './disk/writer.ts';
import type { Stage, StagedFile } from './stage.ts';

const READ_BYTES = 1024 ** 2;

/**
 * A stage in a folder: `<root>/windows/<key>`, unfinished files under `<root>/tmp`, the id in `<root>/stage-id`. Folders have mode
 * 0700, files 0600. Opening removes what dead processes left unfinished. Several processes may use one root.
 */
export async function openDiskStage(options: { root: string }): Promise<Stage> {
  const { root } = options;
  for (const folder of ['tmp', 'windows']) {
    await mkdir(join(root, folder), { recursive: true, mode: 0o700 });
  }
  await sweep(root, Date.now());
  return new DiskStage(root);
}

class DiskStage implements Stage {
  readonly #root: string;
  readonly #scratch: Scratch;

  constructor(root: string) {
    this.#root = root;
    this.#scratch = new Scratch(root);
  }

  async id(): Promise<string> {
    const path = join(this.#root, 'stage-id');
    const known = await readFile(path, 'utf8').catch(unlessMissing);
    if (known !== null) return known.trim();
    const scratch = await this.#scratch.reserve(['stage-id']);
    try {
      await writeFile(scratch, `${randomUUID()}\n`, { mode: 0o600, flush: true });
      // Of two first uses at once, one wins and both read the winner's.
      await link(scratch, path).catch(unlessExists);
      await syncFolder(this.#root);
    } finally {
      await this.#scratch.release(scratch);
    }
    return (await readFile(path, 'utf8')).trim();
  }

  async write(
    prefix: string,
    extension: string,
    body: AsyncIterable<Uint8Array>,
    options: { stripNul?: boolean; signal?: AbortSignal },
  ): Promise<StagedFile> {
    const parts = prefixParts(prefix);
    checkedExtension(extension);
    return await this.#withScratch(['part'], async (scratch) => {
      options.signal?.throwIfAborted();
      const writer = await FileWriter.create(scratch, options.stripNul === true);
      try {
        for await (const chunk of abortable(body, options.signal)) await writer.push(chunk);
        const sha256 = await writer.finish();
        options.signal?.throwIfAborted();
        const key = finalKey(parts, extension, sha256);
        await this.#publish(scratch, key);
        return { key, bytes: writer.bytes, sha256, nulBytes: writer.nulBytes };
      } finally {
        await writer.abandon();
      }
    });
  }

  async #withScratch<T>(parts: string[], work: (path: string) => Promise<T>): Promise<T> {
    try {
      const scratch = await this.#scratch.reserve(parts);
      try {
        return await work(scratch);
      } finally {
        await this.#scratch.release(scratch);
      }
    } catch (error) {
      throw asStageFull(error);
    }
  }

  async reserve(prefix: string, extension: string): Promise<string> {
    const parts = prefixParts(prefix);
    try {
      // A prefix without a name still needs a file name: `adopt` takes it off again.
      const named = parts.length > 2 ? parts : [...parts, UNNAMED];
      return `${await this.#scratch.reserve(named)}.${checkedExtension(extension)}`;
    } catch (error) {
      throw asStageFull(error);
    }
  }

  async adopt(path: string): Promise<StagedFile> {
    const parts = this.#scratch.partsOf(path);
    try {
      const extension = extname(path).slice(1);
      const last = (parts.pop() ?? '').slice(0, -(extension.length + 1));
      const prefix = last === UNNAMED ? parts : [...parts, last];
      const { bytes, sha256 } = await hashFile(path);
      const key = finalKey(prefixParts(prefix.join('/')), extension, sha256);
      await chmod(path, 0o600);
      await this.#publish(path, key);
      return { key, bytes, sha256, nulBytes: 0 };
    } catch (error) {
      throw asStageFull(error);
    } finally {
      await this.#scratch.release(path);
    }
  }

  /** Create-only: a key that exists has the same hash in its name, so the same content, and stays as it is. */
  async #publish(path: string, key: string): Promise<void> {
    const target = this.#local(key);
    const created = await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await linkOrRename(path, target);
    await syncFolder(dirname(target));
    if (created === undefined) return;
    // New folders are entries of their own parents, up to the first that was there before.
    for (let folder = dirname(target); folder.length >= created.length; folder = dirname(folder)) {
      await syncFolder(dirname(folder));
    }
  }

  async path(key: string): Promise<string> {
    if (!(await this.exists(key)))
      throw new HeadwaterError('STAGE_MISSING', `the staged file ${key} is gone`);
    return this.#local(key);
  }

  async exists(key: string): Promise<boolean> {
    return (await access(this.#local(key)).then(() => true, unlessMissing)) === true;
  }

  async keepOnly(prefix: string, keys: readonly string[]): Promise<void> {
    const folder = join(this.#root, 'windows', ...keyParts(prefix));
    const kept = new Set(keys.map((key) => this.#local(key)));
    for (const entry of (await readdir(folder, { recursive: true, withFileTypes: true }).catch(
      unlessMissing,
    )) ?? []) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && !kept.has(path)) await rm(path, { force: true });
    }
  }

  async remove(window: string): Promise<void> {
    await rm(join(this.#root, 'windows', windowPart(window)), { recursive: true, force: true });
  }

  async assertRoom(freeBytesMin: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#root);
    const free = bavail * bsize;
    if (free < freeBytesMin) {
      throw new HeadwaterError(
        'STAGE_FULL',
        `the stage has ${mib(free)} MiB free and needs ${mib(freeBytesMin)} MiB`,
        {
          details: { freeBytes: free, freeBytesMin },
        },
      );
    }
  }

  async usage(): Promise<{ window: string; bytes: number; newest: Instant }[]> {
    const root = join(this.#root, 'windows');
    const used: { window: string; bytes: number; newest: Instant }[] = [];
    for (const window of await readdir(root)) {
      let bytes = 0;
      let newest: Instant = ORIGIN;
      for (const entry of await readdir(join(root, window), { recursive: true }).catch(() => [])) {
        // A window may be removed by another process meanwhile.
        const found = await stat(join(root, window, entry)).catch(unlessMissing);
        if (found === null || !found.isFile()) continue;
        bytes += found.size;
        newest = latest(newest, fromMs(found.mtimeMs));
      }
      if (newest !== ORIGIN) used.push({ window, bytes, newest });
    }
    return used.sort((a, b) => (a.newest < b.newest ? -1 : a.newest > b.newest ? 1 : 0));
  }

  #local(key: string): string {
    return join(this.#root, 'windows', ...keyParts(key));
  }
}

/** Stands for the missing name of a two-part prefix in reserved paths. */
const UNNAMED = '_unnamed';

async function linkOrRename(path: string, target: string): Promise<void> {
  try {
    await link(path, target);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return;
    // Some mounts have no hard links; the name holds the content's hash, so replacing changes nothing.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
    await rename(path, target);
  }
}

async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    if (!(chunk instanceof Uint8Array)) throw new HeadwaterError('INTERNAL', 'a file is read as bytes');
    hash.update(chunk);
    bytes += chunk.byteLength;
  }
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest('hex') };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
}

function unlessMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null;
  throw error;
}

function unlessExists(error: unknown): void {
  if (codeOf(error) !== 'EEXIST') throw error;
}

function asStageFull(error: unknown): unknown {
  const code = codeOf(error);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new HeadwaterError('STAGE_FULL', 'the disk of the stage is full; the unfinished file was removed', {
    cause: error,
  });
}

function mib(bytes: number): number {
  return Math.floor(bytes / 1024 ** 2);
}
