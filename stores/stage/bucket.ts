import { createHash, randomUUID } from 'node:crypto';
import type { Bucket, BucketParts } from '../../buckets/bucket.ts';
import { Transfers } from '../../buckets/transfers.ts';
import { dropLeftOver, fileUpload, putWhole, textUpload } from '../../buckets/upload.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { latest } from '../../rules/time.ts';
import type { Instant } from '../../schemas/instant.ts';
import { openDiskStage } from './disk.ts';
import { keyParts, keyPrefix, prefixParts, windowPart } from './disk/keys.ts';
import type { Stage, StagedFile } from './stage.ts';

/** Its place below the root of any stage. */
export const STAGE_ID = 'stage-id';
const ID_BYTES_MAX = 100;
/** Objects that one sweep looks at; the rest is looked at when these are gone. */
const OBJECTS_MAX = 1_000_000;
/** Copies of a window that no step has asked for in this long leave the disk; its steps then fetch them again. */
const COPY_IDLE_MS_MAX = 2 * 3_600_000;
const COPIES_SWEPT_EVERY_MS = 5 * 60_000;
const PARTS_SWEPT_EVERY_MS = 3_600_000;

/**
 * A stage in a bucket, `<prefix>windows/<key>`, with copies of what is in use in a folder of this machine: programs read files. A
 * file counts as written once the bucket has it whole; what the folder holds may be lost at any time. Several machines may use one.
 */
export async function openBucketStage(options: {
  bucket: Bucket;
  /** Empty, or ends with a slash. */
  prefix: string;
  /** The folder for the copies. */
  path: string;
  now: () => number;
}): Promise<Stage> {
  return new BucketStage(
    options.bucket,
    options.prefix,
    await openDiskStage({ root: options.path }),
    options.now,
  );
}

class BucketStage implements Stage {
  readonly #bucket: Bucket;
  readonly #prefix: string;
  readonly #copies: Stage;
  readonly #now: () => number;
  readonly #transfers = new Transfers();
  readonly #line: { bucket: Bucket; transfers: Transfers };
  readonly #usedMs = new Map<string, number>();
  readonly #fetching = new Map<string, Promise<string>>();
  #sweptMs: number;
  #partsSweptMs = 0;

  constructor(bucket: Bucket, prefix: string, copies: Stage, now: () => number) {
    this.#bucket = bucket;
    this.#line = { bucket, transfers: this.#transfers };
    this.#prefix = prefix;
    this.#copies = copies;
    this.#now = now;
    this.#sweptMs = now();
  }

  async id(): Promise<string> {
    const key = `${this.#prefix}${STAGE_ID}`;
    const known = await this.#transfers.run(() => smallText(this.#bucket, key));
    if (known !== null) return known;
    // Of two first uses at once, one wins and both read the winner's.
    await this.#transfers.run(() => this.#bucket.put(key, textUpload(`${randomUUID()}\n`)));
    const made = await this.#transfers.run(() => smallText(this.#bucket, key));
    if (made !== null) return made;
    throw new HeadwaterError('STAGE_UNAVAILABLE', `${this.#bucket.place} has lost the id of the stage`);
  }

  async write(
    prefix: string,
    extension: string,
    body: AsyncIterable<Uint8Array>,
    options: { stripNul?: boolean; signal?: AbortSignal },
  ): Promise<StagedFile> {
    const file = await this.#copies.write(prefix, extension, body, options);
    return await this.#publish(file, options.signal);
  }

  async reserve(prefix: string, extension: string): Promise<string> {
    return await this.#copies.reserve(prefix, extension);
  }

  async adopt(path: string): Promise<StagedFile> {
    return await this.#publish(await this.#copies.adopt(path), undefined);
  }

  /** Create-only: a key that exists has the same hash in its name, so the same content, and stays as it is. */
  async #publish(file: StagedFile, signal: AbortSignal | undefined): Promise<StagedFile> {
    const { key, bytes, sha256 } = file;
    // No sweep takes a copy that is on its way.
    this.#use(key);
    const upload = await fileUpload(await this.#copies.path(key), file);
    const object = this.#object(key);
    const made = await putWhole(this.#line, object, upload, signal);
    if (made === 'there') {
      const there = await this.#transfers.run(() => this.#bucket.head(object), signal);
      const other = there !== null && (there.bytes !== bytes || (there.sha256 ?? sha256) !== sha256);
      // I2: never take somebody else's bytes for ours.
      if (other || there === null)
        throw new HeadwaterError('STAGE_REFUSED', `${this.#bucket.place} holds something else as ${key}`);
    }
    await this.#sweepCopies(COPY_IDLE_MS_MAX, COPIES_SWEPT_EVERY_MS);
    return file;
  }

  async path(key: string): Promise<string> {
    keyParts(key);
    this.#use(key);
    if (await this.#copies.exists(key)) return await this.#copies.path(key);
    const under = this.#fetching.get(key);
    if (under !== undefined) return await under;
    const fetching = this.#transfers.run(() => this.#fetch(key)).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    return await fetching;
  }

  async #fetch(key: string): Promise<string> {
    const body = await this.#bucket.get(this.#object(key));
    if (body === null) throw new HeadwaterError('STAGE_MISSING', `the staged file ${key} is gone`);
    const { prefix, hash, extension } = keyPrefix(key);
    await this.#copies.write(prefix, extension, whole(body, hash, this.#bucket.place), {});
    await this.#sweepCopies(COPY_IDLE_MS_MAX, COPIES_SWEPT_EVERY_MS);
    return await this.#copies.path(key);
  }

  async exists(key: string): Promise<boolean> {
    const object = this.#object(key);
    return (await this.#transfers.run(() => this.#bucket.head(object))) !== null;
  }

  async keepOnly(prefix: string, keys: readonly string[]): Promise<void> {
    const under = `${this.#prefix}windows/${prefixParts(prefix).join('/')}/`;
    const kept = new Set(keys.map((key) => this.#object(key)));
    await this.#removeAll(under, (key) => !kept.has(key));
    await this.#copies.keepOnly(prefix, keys);
  }

  async remove(window: string): Promise<void> {
    await this.#removeAll(`${this.#prefix}windows/${windowPart(window)}/`, () => true);
    await this.#copies.remove(window);
    this.#usedMs.delete(window);
  }

  async #removeAll(under: string, goes: (key: string) => boolean): Promise<void> {
    const keys: string[] = [];
    await this.#transfers.run(async () => {
      keys.length = 0;
      for await (const { key } of this.#bucket.list(under)) if (goes(key)) keys.push(key);
    });
    await Promise.all(keys.map((key) => this.#transfers.run(() => this.#bucket.remove(key))));
  }

  /** The bucket has no end; the disk of the copies has. */
  async assertRoom(freeBytesMin: number): Promise<void> {
    try {
      await this.#copies.assertRoom(freeBytesMin);
    } catch {
      await this.#sweepCopies(COPIES_SWEPT_EVERY_MS, 0);
      await this.#copies.assertRoom(freeBytesMin);
    }
  }

  async usage(): Promise<{ window: string; bytes: number; newest: Instant }[]> {
    const under = `${this.#prefix}windows/`;
    const used = await this.#transfers.run(async () => {
      const windows = new Map<string, { window: string; bytes: number; newest: Instant }>();
      let objects = 0;
      for await (const { key, bytes, at } of this.#bucket.list(under)) {
        const [window = ''] = key.slice(under.length).split('/', 1);
        const known = windows.get(window) ?? { window, bytes: 0, newest: at };
        windows.set(window, { window, bytes: known.bytes + bytes, newest: latest(known.newest, at) });
        objects += 1;
        if (objects >= OBJECTS_MAX) break;
      }
      return [...windows.values()];
    });
    // I5: what another machine has removed must not live on here.
    const there = new Set(used.map(({ window }) => window));
    for (const { window } of await this.#copies.usage()) {
      if (!there.has(window) && this.#idleMs(window) > COPIES_SWEPT_EVERY_MS)
        await this.#copies.remove(window);
    }
    await this.#sweepCopies(COPY_IDLE_MS_MAX, 0);
    await this.#sweepParts(under);
    return used.sort((a, b) => (a.newest < b.newest ? -1 : a.newest > b.newest ? 1 : 0));
  }

  #use(key: string): void {
    const [window = ''] = key.split('/', 1);
    this.#usedMs.set(window, this.#now());
  }

  /** A copy that an earlier process left counts as unused. */
  #idleMs(window: string): number {
    return this.#now() - (this.#usedMs.get(window) ?? 0);
  }

  async #sweepCopies(idleMs: number, everyMs: number): Promise<void> {
    if (this.#now() - this.#sweptMs < everyMs) return;
    this.#sweptMs = this.#now();
    for (const { window } of await this.#copies.usage()) {
      if (this.#idleMs(window) <= idleMs) continue;
      await this.#copies.remove(window);
      this.#usedMs.delete(window);
    }
  }

  /** What cannot be swept costs storage and holds nobody up: `check` names the missing right. */
  async #sweepParts(under: string): Promise<void> {
    if (this.#now() - this.#partsSweptMs < PARTS_SWEPT_EVERY_MS) return;
    this.#partsSweptMs = this.#now();
    await dropLeftOver(this.#line, under, this.#now()).catch(() => undefined);
  }

  #object(key: string): string {
    return `${this.#prefix}windows/${keyParts(key).join('/')}`;
  }
}

/** A body that breaks off, or comes with other bytes, ends here as an error and leaves no file. */
async function* whole(
  body: AsyncIterable<Uint8Array>,
  hash: string,
  place: string,
): AsyncIterable<Uint8Array> {
  const sum = createHash('sha256');
  for await (const chunk of body) {
    sum.update(chunk);
    yield chunk;
  }
  if (!sum.digest('hex').startsWith(hash))
    throw new HeadwaterError('STAGE_UNAVAILABLE', `reading from ${place}: the bytes do not have their sum`);
}

async function smallText(bucket: Bucket, key: string): Promise<string | null> {
  const body = await bucket.get(key);
  if (body === null) return null;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > ID_BYTES_MAX)
      throw new HeadwaterError('STAGE_REFUSED', `${bucket.place}: ${key} is no id of a stage`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8').trim();
}

/** What a stage in this bucket has as its id; null before its first use. */
export async function stageIdIn(bucket: Bucket, prefix: string): Promise<string | null> {
  return await new Transfers().run(() => smallText(bucket, `${prefix}${STAGE_ID}`));
}

/** All requests that a stage makes, on an object of its own. STAGE_REFUSED names the first that is not allowed. */
export async function probeBucket(bucket: Bucket, prefix: string): Promise<void> {
  const key = `${prefix}probe/${randomUUID()}`;
  const upload = textUpload('headwater');
  const transfers = new Transfers();
  await transfers.run(() => bucket.put(key, upload));
  // I2: a service that overwrites would let a late writer change what was read.
  const again = await transfers.run(() => bucket.put(key, upload));
  if (again !== 'there') throw overwrites(bucket);
  const seen = await transfers.run(() => bucket.head(key));
  const listed: string[] = [];
  for await (const object of bucket.list(`${prefix}probe/`)) listed.push(object.key);
  if (bucket.parts !== null) await probeParts(bucket, bucket.parts, key, transfers);
  await transfers.run(() => bucket.remove(key));
  if (seen?.bytes !== upload.bytes || !listed.includes(key))
    throw new HeadwaterError('STAGE_REFUSED', `${bucket.place} does not show what was just written`);
}

/** Larger files go in parts, which take rights of their own; under a key that is there, nothing may come of it. */
async function probeParts(
  bucket: Bucket,
  parts: BucketParts,
  key: string,
  transfers: Transfers,
): Promise<void> {
  const upload = textUpload('overwritten');
  const id = await transfers.run(() => parts.begin(key, upload));
  const file = { key, id };
  const part = { upload, from: 0, until: upload.bytes };
  const tag = await transfers.run(() => parts.send(file, 1, part));
  for await (const { id: found } of parts.unfinished(key)) if (found === id) break;
  const made = await transfers.run(() => parts.finish(file, [tag]));
  await transfers.run(() => parts.drop(file));
  if (made !== 'there') throw overwrites(bucket);
}

function overwrites({ place }: Bucket): HeadwaterError {
  return new HeadwaterError('STAGE_REFUSED', `${place} overwrites objects although told not to`);
}
