/** Streams a snapshot of rows as CSV: runs of untouched rows come from the cache file, changed rows are rendered. */
import { csvRow, encodeText, type CsvStyle } from './render.ts';
import type { BaseCsv, CsvCache, CsvShape } from './csv-cache.ts';
import type { Entry } from './table.ts';

const CHUNK_BYTES = 1 << 20;
/** Below so many rows the cache is not worth making. */
const CACHED_ROWS_MIN = 20_000;

export interface CsvSlice {
  readonly shape: CsvShape;
  readonly style: CsvStyle;
  readonly entries: readonly Entry[];
  readonly from: number;
  readonly until: number;
}

export async function* csvChunks(slice: CsvSlice, cache: CsvCache): AsyncGenerator<Buffer> {
  const { shape, style } = slice;
  if (slice.entries.length < CACHED_ROWS_MIN) {
    yield* renderedChunks(slice);
    return;
  }
  const base = cache.open(shape, style);
  try {
    yield* cachedChunks(slice, base);
  } finally {
    base.release();
  }
}

function* renderedChunks(slice: CsvSlice): Generator<Buffer> {
  const write = csvRow(slice.shape.readers, slice.style);
  let text = '';
  for (let at = slice.from; at < slice.until; at++) {
    text += write(slice.entries[at]!);
    if (text.length >= CHUNK_BYTES / 4) {
      yield encodeText(text);
      text = '';
    }
  }
  if (text !== '') yield encodeText(text);
}

async function* cachedChunks(slice: CsvSlice, base: BaseCsv): AsyncGenerator<Buffer> {
  const { entries, until } = slice;
  const write = csvRow(slice.shape.readers, slice.style);
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let filled = 0;
  for (let at = slice.from; at < until;) {
    const first = entries[at]!;
    if (typeof first !== 'number') {
      const row = encodeText(write(first));
      if (filled + row.length > CHUNK_BYTES) {
        if (filled > 0) yield chunk.subarray(0, filled);
        chunk = Buffer.allocUnsafe(CHUNK_BYTES);
        filled = 0;
      }
      if (row.length > CHUNK_BYTES) yield row;
      else filled += row.copy(chunk, filled);
      at++;
      continue;
    }
    const run = runLength(entries, first, at, until);
    await base.ensure(first + run);
    const bytes = base.bytesBetween(first, first + run);
    for (let done = 0; done < bytes;) {
      const read = base.read(chunk, filled, first, done, Math.min(bytes - done, CHUNK_BYTES - filled));
      done += read;
      filled += read;
      if (filled === CHUNK_BYTES) {
        yield chunk;
        chunk = Buffer.allocUnsafe(CHUNK_BYTES);
        filled = 0;
      }
    }
    at += run;
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

const RUN_ROWS_MAX = 20_000;

/** How many base rows follow each other from here. */
function runLength(entries: readonly Entry[], first: number, at: number, until: number): number {
  let length = 1;
  while (length < RUN_ROWS_MAX && at + length < until && entries[at + length] === first + length) length++;
  return length;
}
