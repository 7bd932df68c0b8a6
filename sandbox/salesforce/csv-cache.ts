/** Base rows as CSV in a temporary file, made once per object and field list, so that large results leave at disk speed. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { csvRow, type CsvStyle, type RowShape } from './render.ts';
import type { Reader, Table } from './table.ts';

const ROWS_PER_STEP = 1000;
const FILES_MAX = 4;

export interface CsvShape extends RowShape {
  readonly schemaVersion: number;
}

export class BaseCsv {
  private readonly table: Table;
  private readonly write: (index: number) => string;
  private readonly file: number;
  /** Byte offset of each row; of the end, after the last one made. */
  private readonly offsets: Float64Array;
  private made = 0;
  private making: Promise<void> = Promise.resolve();
  private readers = 0;
  private retired = false;

  constructor(path: string, table: Table, readers: readonly Reader[], style: CsvStyle) {
    this.table = table;
    this.write = csvRow(readers, style);
    this.file = openSync(path, 'w+', 0o600);
    // The open descriptor keeps the bytes; without a name they go away even after a kill.
    unlinkSync(path);
    this.offsets = new Float64Array(table.baseRows + 1);
  }

  hold(): void {
    this.readers++;
  }

  release(): void {
    this.readers--;
    this.closeWhenIdle();
  }

  retire(): void {
    this.retired = true;
    this.closeWhenIdle();
  }

  private closeWhenIdle(): void {
    if (this.retired && this.readers === 0) closeSync(this.file);
  }

  /** Makes the rows below this index; concurrent callers share the work, and the event loop runs in between. */
  ensure(until: number): Promise<void> {
    const wanted = Math.min(until, this.table.baseRows);
    if (this.made >= wanted) return Promise.resolve();
    this.making = this.making.then(() => this.make(wanted));
    return this.making;
  }

  private async make(until: number): Promise<void> {
    while (this.made < until) {
      let position = this.offsets[this.made]!;
      const start = position;
      const end = Math.min(this.made + ROWS_PER_STEP, this.table.baseRows);
      const rows: string[] = [];
      for (let index = this.made; index < end; index++) {
        const row = this.write(index);
        rows.push(row);
        position += Buffer.byteLength(row);
        this.offsets[index + 1] = position;
      }
      const bytes = Buffer.from(rows.join(''));
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.file, bytes, done, bytes.length - done, start + done);
      }
      this.made = end;
      await nextTurn();
    }
  }

  bytesBetween(from: number, until: number): number {
    return this.offsets[until]! - this.offsets[from]!;
  }

  /** Copies bytes of row `from` on, starting at `skip` bytes into it; returns how many. */
  read(target: Buffer, at: number, from: number, skip: number, length: number): number {
    return readSync(this.file, target, at, length, this.offsets[from]! + skip);
  }
}

export class CsvCache {
  private folder: string | undefined;
  private readonly files = new Map<string, BaseCsv>();
  private serial = 0;

  /** The cache for this object, schema and field list, held for the caller until it is released. */
  open(shape: CsvShape, style: CsvStyle): BaseCsv {
    const { table, columns, readers, schemaVersion } = shape;
    const key = JSON.stringify([table.name, schemaVersion, columns.map((c) => c.name), style]);
    let found = this.files.get(key);
    if (found === undefined) {
      this.folder ??= mkdtempSync(join(tmpdir(), 'sandbox-csv-'));
      found = new BaseCsv(join(this.folder, `${this.serial++}.csv`), table, readers, style);
    }
    this.files.delete(key);
    this.files.set(key, found);
    found.hold();
    const oldest = this.files.keys().next().value;
    if (this.files.size > FILES_MAX && oldest !== undefined) {
      this.files.get(oldest)?.retire();
      this.files.delete(oldest);
    }
    return found;
  }

  close(): void {
    for (const file of this.files.values()) file.retire();
    this.files.clear();
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}
