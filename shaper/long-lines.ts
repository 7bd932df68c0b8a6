import { createReadStream, createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

const READ_BYTES = 1024 ** 2;
const QUOTE = 0x22;
const COMMA = 0x2c;
const LF = 0x0a;
const CR = 0x0d;

/** Bytes of a file, `until` excluded. */
export interface LongLine {
  from: number;
  until: number;
}

/**
 * Lines of a CSV file above so many bytes, line breaks within quotes being part of them. The CSV reader of DuckDB loses its place behind
 * a line that is longer than its buffer and takes what stands in quotes for lines.
 */
export async function longLines(path: string, bytesMax: number): Promise<LongLine[]> {
  const found: LongLine[] = [];
  let read = 0;
  let from = 0;
  let quoted = false;
  // A quote that closed: the next one belongs to it and opens again.
  let closed = false;
  let before = LF;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    if (!Buffer.isBuffer(chunk)) continue;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte === QUOTE) {
        const opens: boolean = !quoted && (closed || before === COMMA || before === LF || before === CR);
        closed = quoted;
        quoted = opens;
      } else {
        closed = false;
        if (byte === LF && !quoted) {
          const until = read + at + 1;
          if (until - from > bytesMax) found.push({ from, until });
          from = until;
        }
      }
      before = byte;
    }
    read += chunk.length;
  }
  if (read - from > bytesMax) found.push({ from, until: read });
  return found;
}

/** Copies a file but for these lines, which are in order. */
export async function copyWithout(path: string, lines: readonly LongLine[], out: string): Promise<void> {
  let start = 0;
  await (await open(out, 'w', 0o600)).close();
  for (const { from, until } of [...lines, { from: Infinity, until: Infinity }]) {
    if (from > start) {
      const range = from === Infinity ? { start } : { start, end: from - 1 };
      await pipeline(createReadStream(path, range), createWriteStream(out, { flags: 'a' }));
    }
    start = until;
  }
}

/** The first bytes of a line, as text. */
export async function beginningOf(path: string, { from, until }: LongLine, bytes: number): Promise<string> {
  const file = await open(path);
  try {
    const length = Math.min(bytes, until - from);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, from);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } finally {
    await file.close();
  }
}
