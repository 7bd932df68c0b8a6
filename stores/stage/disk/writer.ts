import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

/** Small chunks are gathered to writes of this size. */
const WRITE_BYTES_MIN = 4 * 1024 ** 2;
/** Below the least IOV_MAX that systems promise for one gathered write. */
const WRITE_CHUNKS_MAX = 512;

/**
 * Writes chunks to a new file, hashing as they pass. One write is under way while the next is gathered, so at most two writes'
 * bytes are held and a slow disk slows the reader down. Chunks are not copied: they must not change after `push`.
 */
export class FileWriter {
  readonly #file: FileHandle;
  readonly #stripNul: boolean;
  readonly #hash: Hash = createHash('sha256');
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #underWay: Promise<void> = Promise.resolve();
  bytes = 0;
  nulBytes = 0;

  private constructor(file: FileHandle, stripNul: boolean) {
    this.#file = file;
    this.#stripNul = stripNul;
  }

  static async create(path: string, stripNul: boolean, flags = 'wx'): Promise<FileWriter> {
    return new FileWriter(await open(path, flags, 0o600), stripNul);
  }

  async push(chunk: Uint8Array): Promise<void> {
    if (this.#stripNul) {
      for (const part of this.#withoutNul(chunk)) this.#gather(part);
    } else this.#gather(chunk);
    if (this.#gatheredBytes >= WRITE_BYTES_MIN || this.#gathered.length >= WRITE_CHUNKS_MAX)
      await this.#flush();
  }

  /** The bytes are on the disk when this returns. The sha256, hex. */
  async finish(): Promise<string> {
    await this.#flush();
    await this.#underWay;
    await this.#file.sync();
    await this.#file.close();
    return this.#hash.digest('hex');
  }

  async abandon(): Promise<void> {
    await this.#underWay.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
  }

  #gather(part: Uint8Array): void {
    if (part.byteLength === 0) return;
    this.#hash.update(part);
    this.#gathered.push(part);
    this.#gatheredBytes += part.byteLength;
    this.bytes += part.byteLength;
  }

  /** The parts between the NUL bytes; the chunk itself when there is none, which costs one native search. */
  #withoutNul(chunk: Uint8Array): Uint8Array[] {
    let at = chunk.indexOf(0);
    if (at === -1) return [chunk];
    const kept: Uint8Array[] = [];
    let start = 0;
    while (at !== -1) {
      if (at > start) kept.push(chunk.subarray(start, at));
      this.nulBytes += 1;
      start = at + 1;
      at = chunk.indexOf(0, start);
    }
    if (start < chunk.byteLength) kept.push(chunk.subarray(start));
    // Many NULs would make many tiny parts: one copy keeps the gathered write short.
    return kept.length > 8 ? [Buffer.concat(kept)] : kept;
  }

  async #flush(): Promise<void> {
    await this.#underWay;
    const parts = this.#gathered;
    if (parts.length === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#underWay = this.#write(parts);
    // The next flush awaits it; until then a failure must not count as unhandled.
    this.#underWay.catch(() => undefined);
  }

  /** A gathered write may end early, at the kernel's limit or on a full disk; the rest is written or its error raised. */
  async #write(parts: Uint8Array[]): Promise<void> {
    let rest = parts;
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.writev(rest);
      rest = after(rest, bytesWritten);
    }
  }
}

function after(parts: Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  let index = 0;
  for (const part of parts) {
    if (skip < part.byteLength) break;
    skip -= part.byteLength;
    index += 1;
  }
  const rest = parts.slice(index);
  const first = rest[0];
  if (first !== undefined && skip > 0) rest[0] = first.subarray(skip);
  return rest;
}

/** Gives the chunks of `body`; rejects at once on abort, even while the body itself hangs. */
export async function* abortable(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  if (signal === undefined) {
    yield* body;
    return;
  }
  const iterator = body[Symbol.asyncIterator]();
  let onAbort: () => void = () => undefined;
  const listener = (): void => onAbort();
  signal.addEventListener('abort', listener);
  let ended = false;
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
        onAbort = () => reject(signal.reason);
        iterator.next().then(resolve, reject);
      });
      if (next.done === true) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', listener);
    // Not awaited: a hanging body would hold the abort up.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
