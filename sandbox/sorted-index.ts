/** An ordered set of (time, index) pairs in chunks: O(log n) to find, at most CHUNK_MAX moves to insert or remove. */
const CHUNK_MAX = 1024;

export interface TimeKey {
  readonly time: number;
  readonly index: number;
}

function compare(a: TimeKey, b: TimeKey): number {
  return a.time - b.time || a.index - b.index;
}

export class SortedIndex<T extends TimeKey> {
  private readonly chunks: T[][] = [];

  insert(key: T): void {
    const at = this.chunkFor(key);
    const chunk = this.chunks[at];
    if (chunk === undefined) {
      this.chunks.push([key]);
      return;
    }
    chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length > CHUNK_MAX) this.chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX / 2));
  }

  remove(key: TimeKey): boolean {
    const at = this.chunkFor(key);
    const chunk = this.chunks[at];
    if (chunk === undefined) return false;
    const position = lowerBound(chunk, key);
    const found = chunk[position];
    if (found === undefined || compare(found, key) !== 0) return false;
    chunk.splice(position, 1);
    if (chunk.length === 0) this.chunks.splice(at, 1);
    return true;
  }

  /** Pairs with from <= time < until, in order of time, then index. */
  *range(from: number, until: number): Generator<T> {
    const start = { time: from, index: -1 };
    for (let at = this.chunkFor(start); at < this.chunks.length; at++) {
      const chunk = this.chunks[at]!;
      for (let n = lowerBound(chunk, start); n < chunk.length; n++) {
        const key = chunk[n]!;
        if (key.time >= until) return;
        yield key;
      }
    }
  }

  first(): T | undefined {
    return this.chunks[0]?.[0];
  }

  /** The last chunk whose first key is not above this key. */
  private chunkFor(key: TimeKey): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.chunks[middle]![0]!, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

function lowerBound(chunk: readonly TimeKey[], key: TimeKey): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(chunk[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
