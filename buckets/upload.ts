import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Bucket, BucketParts, PartsOfFile, Upload } from './bucket.ts';
import type { Transfers } from './transfers.ts';

/** Parts of one file at once; they are read from the disk as they are sent, so this costs sockets, not memory. */
const PARTS_AT_ONCE_MAX = 4;
const MIB = 1024 ** 2;
/** Parts of a process that died: no upload takes this long. */
const LEFT_OVER_MS = 86_400_000;

/** A local file as it is now, which costs one read of it unless its sum is known; it must not change before it is sent. */
export async function fileUpload(path: string, known?: Pick<Upload, 'bytes' | 'sha256'>): Promise<Upload> {
  const open: Upload['open'] = (range) =>
    range === undefined
      ? createReadStream(path)
      : createReadStream(path, { start: range.from, end: range.until - 1 });
  if (known !== undefined) return { bytes: known.bytes, sha256: known.sha256, open };
  return { bytes: (await stat(path)).size, sha256: await sumOf(open()), open };
}

export function textUpload(text: string): Upload {
  const bytes = Buffer.from(text);
  return {
    bytes: bytes.byteLength,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    open: (range) => Readable.from([bytes.subarray(range?.from, range?.until)]),
  };
}

/** sha256, hex. */
export async function sumOf(body: AsyncIterable<unknown>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) if (chunk instanceof Uint8Array) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Puts a file of any size under a key, create-only: 'there' when the key exists, whatever it holds. Each request is made in a turn
 * of `transfers` and repeated by itself. A file that is not finished shows nowhere; its parts are dropped here, or by
 * `dropLeftOver` when the process dies.
 */
export async function putWhole(
  { bucket, transfers }: { bucket: Bucket; transfers: Transfers },
  key: string,
  upload: Upload,
  signal?: AbortSignal,
): Promise<'created' | 'there'> {
  const { parts } = bucket;
  if (parts === null || upload.bytes <= parts.aboveBytes)
    return await transfers.run(() => bucket.put(key, upload, signal), signal);
  const id = await transfers.run(() => parts.begin(key, upload, signal), signal);
  const file = { key, id };
  let made: 'created' | 'there' | undefined;
  try {
    const tags = await sendParts({ parts, transfers }, file, upload, signal);
    made = await transfers.run(() => parts.finish(file, tags, signal), signal);
    return made;
  } finally {
    // What cannot be dropped now is dropped as left over.
    if (made !== 'created') await parts.drop(file).catch(() => undefined);
  }
}

/** The first part that fails for good stops the others; none is under way any more when this ends. */
async function sendParts(
  { parts, transfers }: { parts: BucketParts; transfers: Transfers },
  file: PartsOfFile,
  upload: Upload,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const stop = new AbortController();
  const stopped = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const partBytes = partBytesOf(upload.bytes, parts);
  const count = Math.ceil(upload.bytes / partBytes);
  const tags: string[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next; index < count; index = next) {
      next += 1;
      const from = index * partBytes;
      const part = { upload, from, until: Math.min(from + partBytes, upload.bytes) };
      tags[index] = await transfers.run(() => parts.send(file, index + 1, part, stopped), stopped);
    }
  };
  const lanes = Array.from({ length: PARTS_AT_ONCE_MAX }, () => lane().catch((error) => stop.abort(error)));
  await Promise.all(lanes);
  stopped.throwIfAborted();
  return tags;
}

function partBytesOf(bytes: number, { bytesMin, countMax }: BucketParts): number {
  return Math.max(bytesMin, Math.ceil(bytes / countMax / MIB) * MIB);
}

/** Parts that dead processes left below a prefix that is ours alone; how many files they were of. */
export async function dropLeftOver(
  { bucket, transfers }: { bucket: Bucket; transfers: Transfers },
  prefix: string,
  nowMs: number,
): Promise<number> {
  const { parts } = bucket;
  if (parts === null) return 0;
  const old = await transfers.run(async () => {
    const found: PartsOfFile[] = [];
    for await (const { key, id, at } of parts.unfinished(prefix))
      if (nowMs - Date.parse(at) > LEFT_OVER_MS) found.push({ key, id });
    return found;
  });
  await Promise.all(old.map((file) => transfers.run(() => parts.drop(file))));
  return old.length;
}
