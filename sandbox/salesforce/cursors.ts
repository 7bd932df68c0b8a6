/** Query cursors: the rows of an answer, kept until all pages are read, the cursor expires or newer ones push it out. */
import { ApiError } from './api-error.ts';
import { idMaker } from './ids.ts';
import { jsonRow } from './render.ts';
import type { BoundQuery } from './soql-run.ts';
import type { Entry } from './table.ts';

export interface Cursor {
  readonly locator: string;
  readonly bound: BoundQuery;
  readonly entries: readonly Entry[];
  readonly pageRowsMax: number;
  readonly version: string;
}

const CURSORS_MAX = 200;
const PAGE_ROWS_DEFAULT = 2000;
const PAGE_ROWS_MIN = 200;
/** Wide rows make shorter pages: so many cells at most. */
const PAGE_CELLS_MAX = 60_000;

export class Cursors {
  private readonly open = new Map<string, Cursor>();
  private serial = 0;
  private readonly locatorOf = idMaker('01g');

  create(
    bound: BoundQuery,
    entries: readonly Entry[],
    batchSize: number | undefined,
    version: string,
  ): Cursor {
    const asked = Math.min(PAGE_ROWS_DEFAULT, Math.max(PAGE_ROWS_MIN, batchSize ?? PAGE_ROWS_DEFAULT));
    const fits = Math.max(PAGE_ROWS_MIN, Math.floor(PAGE_CELLS_MAX / Math.max(1, bound.columns.length)));
    const cursor = {
      locator: this.locatorOf(++this.serial),
      bound,
      entries,
      pageRowsMax: Math.min(asked, fits),
      version,
    };
    if (entries.length > cursor.pageRowsMax) {
      this.open.set(cursor.locator, cursor);
      const oldest = this.open.keys().next().value;
      if (this.open.size > CURSORS_MAX && oldest !== undefined) this.open.delete(oldest);
    }
    return cursor;
  }

  find(locator: string): Cursor {
    const cursor = this.open.get(locator);
    if (cursor === undefined) throw new ApiError(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator');
    return cursor;
  }

  expireAll(): void {
    this.open.clear();
  }
}

export interface PageFaults {
  readonly empty: boolean;
  readonly dropLast: boolean;
}

/** One page of an answer; the total is that of the query, whatever a fault takes away. */
export function pageJson(cursor: Cursor, from: number, faults: PageFaults): string {
  const { bound, entries, version, locator } = cursor;
  if (!Number.isSafeInteger(from) || from < 0 || from > entries.length) {
    throw new ApiError(400, 'INVALID_QUERY_LOCATOR', 'invalid query locator');
  }
  if (faults.empty) return '{"totalSize":0,"done":true,"records":[]}';
  const until = Math.min(entries.length, from + cursor.pageRowsMax);
  const write = jsonRow(bound, version);
  const rows: string[] = [];
  for (let at = from; at < until - (faults.dropLast ? 1 : 0); at++) rows.push(write(entries[at]!));
  const done = until >= entries.length;
  const next = done ? '' : `,"nextRecordsUrl":"/services/data/${version}/query/${locator}-${until}"`;
  return `{"totalSize":${entries.length},"done":${done}${next},"records":[${rows.join(',')}]}`;
}
