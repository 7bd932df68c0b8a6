import type { ShapeCounts } from '../schemas/batch.ts';
import type { Misfit } from '../rules/widening.ts';
import type { Instant } from '../schemas/instant.ts';
import type { FieldType, ObjectSchema } from '../schemas/object-schema.ts';
import type { PageFormat } from '../schemas/page.ts';

export interface RawPageFile {
  path: string;
  format: PageFormat;
  rowsSent: number;
  /** What `shapePage` made of this page, under the very same schema, window and time: it is not read again. */
  part?: string;
}

/** One csv page by itself, before the slice is complete. */
export type PageRequest = Pick<ShapeRequest, 'schema' | 'window' | 'confirmedAt'> & {
  page: RawPageFile;
  /** Local path to write. */
  out: string;
};

export interface ShapeRequest {
  schema: ObjectSchema;
  /** Local paths of the raw pages, in order. */
  pages: RawPageFile[];
  /** Path to the records in a json page (SourceCapabilities.jsonRecords). */
  jsonRecords: string;
  window: { id: string; from: Instant; until: Instant };
  /** Source-clock time at which the read began: becomes `_confirmed_at`. */
  confirmedAt: Instant;
  /** Bad rows abort the window only above both of these. */
  badShareMax: number;
  badRowsMax: number;
  /** Report decimals that do not fit their described type instead of setting their rows aside. */
  findMisfits?: boolean;
  /** Local paths to write. */
  out: { rows: string; tombstones: string; quarantine: string };
}

/** No path, or null, where no file was written, because there was no such row. `rows` lists the parts that were given, too. */
export interface ShapeResult {
  counts: ShapeCounts;
  files: { rows: string[]; tombstones: string | null; quarantine: string | null };
  /** Not empty (only with `findMisfits`): nothing was written; shape again with types that hold these. */
  misfits: Misfit[];
  ms: number;
}

export interface ShapedColumn {
  column: string;
  type: FieldType;
}

export interface ShapedRowsRequest {
  files: string[];
  /** Column of the key. */
  key: string;
  columns: readonly ShapedColumn[];
  /** False for tombstones, which have no `_hash`. */
  hashed: boolean;
}

export interface ShapedRow {
  record: string;
  hash: string | null;
  version: Instant | null;
  confirmedAt: Instant;
  deleted: boolean;
  /** Values of `columns`, read when asked: decimals, dates and instants as text. Valid until the next piece is asked for. */
  values: () => (string | number | boolean | null)[];
}

export interface LeaveOutRequest {
  file: string;
  /** Rows with one of these texts in this column go. */
  column: string;
  texts: readonly string[];
  out: string;
}

/** Shaped rows, or tombstones (`hashed` false), of several batches of one schema. */
export interface NewestRequest {
  files: string[];
  /** Column of the key. */
  key: string;
  hashed: boolean;
  /** Becomes `_window` of every row. */
  window: string;
  out: string;
}

/** Rows that stay, none: no file; and rows that were left out. */
export interface LeftOut {
  stay: number;
  left: number;
}

/**
 * Casts raw pages to the described types inside an embedded DuckDB and writes Parquet; rows never become JavaScript objects.
 * Parquet `rows`: in one or several files, one column per field of the schema (named by `column`, typed), then the system columns in this order:
 * `_deleted` BOOLEAN, `_version` TIMESTAMPTZ (the stamp), `_confirmed_at` TIMESTAMPTZ, `_hash` UBIGINT (over all field values),
 * `_window` VARCHAR. Parquet `tombstones`: key column, `_deleted` true, `_version`, `_confirmed_at`, `_window`.
 * Parquet `quarantine`: record VARCHAR, field, value, reason, raw (JSON of the whole row), all VARCHAR.
 * Throws TOO_MANY_BAD_ROWS, RECEIPT_TRANSPORT (a page holds another number of rows than the source said).
 */
export interface Shaper {
  /**
   * Shapes a page while others still arrive. False, and no file, when some row of it needs a closer look, or its number of rows
   * is not what the source said: `shape` then reads the page and says what is the matter.
   */
  shapePage(request: PageRequest, signal: AbortSignal): Promise<boolean>;
  shape(request: ShapeRequest, signal: AbortSignal): Promise<ShapeResult>;
  /** Which of these ids are not in the Parquet files with a `_version` in `[from, until)`; without repetitions. */
  absentKeys(request: {
    files: string[];
    column: string;
    ids: string[];
    from: Instant;
    until: Instant;
  }): Promise<string[]>;
  /** Writes a shaped file once more, without the rows of erased subjects. */
  leaveOut(request: LeaveOutRequest): Promise<LeftOut>;
  /** Joins files of several batches into one that has each key once, in its newest version. The number of rows. */
  newest(request: NewestRequest): Promise<number>;
  /** What a quarantine file holds of each row: its key, where it is known, and the row as it came. */
  setAside(file: string): AsyncIterable<{ record: string | null; raw: string | null }[]>;
  /** The rows of shaped files (or tombstones), some thousand at a time, in the order of the files. */
  rows(request: ShapedRowsRequest): AsyncIterable<ShapedRow[]>;
  close(): Promise<void>;
}
