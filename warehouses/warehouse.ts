import type { z } from 'zod';
import type { Batch, LoadReceipt } from '../schemas/batch.ts';
import type { Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { OwnTable } from '../schemas/own-table.ts';
import type { Receipt } from '../schemas/receipt.ts';
import type { RunSummary } from '../schemas/run.ts';
import type { SinkState } from '../schemas/sink.ts';
import type { Interval, Window } from '../schemas/window.ts';

/** What may change by itself when the source's schema moves. */
export type EvolutionMode = 'evolve' | 'freeze' | 'discard' | 'quarantine';
export interface EvolutionPolicy {
  tables: EvolutionMode;
  columns: EvolutionMode;
  types: EvolutionMode;
}

export interface SchemaChange {
  table: string;
  column: string | null;
  change: 'create_table' | 'add_column' | 'widen_type' | 'remove_column' | 'retype_column';
  before: string | null;
  after: string | null;
  /** What the policy made of it. */
  action: 'applied' | 'ignored' | 'kept';
}

/** A shaped slice with everything that a load needs; files are local paths here, references elsewhere. */
export interface LoadRequest {
  window: Window;
  schema: ObjectSchema;
  batch: Batch;
  /** Local paths of the batch's Parquet files, none or null where the batch has none. */
  files: { rows: string[]; tombstones: string | null; quarantine: string | null };
}

/** After a window from the beginning of time: rows that it did not confirm are gone in the source. */
export interface RetireRequest {
  window: Window;
  schema: ObjectSchema;
  /** When the read began: what it confirmed carries at least this `_confirmed_at`. */
  readAt: Instant;
  /** Records that left the window while it was read; they are alive. */
  exceptIds: string[];
  /** SHRINK_GUARD when more rows than this, and more than this share, would be marked deleted. */
  rowsMax: number;
  shareMax: number;
}

/** One proven window, written as a row of `_headwater.intervals`; the batches it accepted, one per slice. */
export interface IntervalRow {
  window: string;
  connection: string;
  object: string;
  from: Instant;
  until: Instant;
  attempt: number;
  batches: string[];
  receipt: Receipt;
}

/** A record that landed but fits no shared schema. `reason` carries no value. */
export interface QuarantinedRow {
  batch: string;
  window: string;
  connection: string;
  object: string;
  record: string;
  field: string;
  reason: string;
}

/** What belongs to one subject. Holds personal values: never logged. */
export interface PurgeRequest {
  /** Rows of raw tables by key, with the lines of the quarantine about them. */
  records: { connection: string; object: string; table: string; key: string; records: string[] }[];
  /** Texts that find the subject in lines of the quarantine that name no record. */
  texts: string[];
  /** Rows of Headwater's own tables in which each column has one of its values; `blank`: only these columns become null. */
  own: { table: string; where: Record<string, string[]>; blank?: string[] }[];
}

/** Rows by table, as `schema.table`; only tables that had any. */
export interface PurgedRows {
  table: string;
  rows: number;
}

/** How the id of a window begins whose records were read by id (a repair, a replay): it covers nothing and has no interval row. */
export const BY_ID_WINDOW = 'byid_';

/** Rows of a table with a version in an interval. `all`: tombstones too. */
export interface VersionCount {
  all: number;
  alive: number;
}

/** What the warehouse holds of a record. */
export interface HeldVersion {
  record: string;
  /** Null only where another program wrote the row. */
  version: Instant | null;
  deleted: boolean;
}

/**
 * How a staged row and the row of its key differ. missing: no such row. outdated: an older version. kept: deleted in the source,
 * alive here; lost: the reverse. altered: other values at one version. newer: this side has a later version. aside: the staged
 * row was set aside, so it is not in the batch.
 */
export type RowState = 'same' | 'missing' | 'outdated' | 'kept' | 'lost' | 'altered' | 'newer' | 'aside';

/** One key of a batch beside the table. `columns` names those that differ (altered), never what they hold. */
export interface ComparedRow {
  record: string;
  state: RowState;
  /** Of the staged row; null for one that was set aside. */
  version: Instant | null;
  columns: string[];
  /** Why a row was set aside; never a value. */
  reason?: string;
}

export interface OpenQuarantine {
  object: string;
  record: string;
  reasons: { field: string | null; reason: string }[];
}

/** What an audit, and the replay of records that were set aside, ask of a warehouse. */
export interface WarehouseAudit {
  /** One answer per interval, in order. A table that is not there holds nothing. */
  counts(connection: string, schema: ObjectSchema, intervals: Interval[]): Promise<VersionCount[]>;
  /**
   * Rows with a version in the interval, ascending; at most `rowsMax` and then all that share the last one's version. Null when
   * those alone are more than `rowsMax` again.
   */
  versions(
    connection: string,
    schema: ObjectSchema,
    interval: Interval,
    rowsMax: number,
  ): Promise<HeldVersion[] | null>;
  /** The same for these records; one that is not there is absent. */
  held(connection: string, schema: ObjectSchema, records: string[]): Promise<HeldVersion[]>;
  /** So many living rows with a version before `until`, the same for the same seed and rows. */
  sample(
    connection: string,
    schema: ObjectSchema,
    until: Instant,
    rows: number,
    seed: string,
  ): Promise<string[]>;
  /** Every staged row of a batch beside the table; fields named in `except` are not compared. */
  compare(request: LoadRequest, except: string[]): Promise<ComparedRow[]>;
  /** Forgets the content hash of these records, so that no load takes their rows for unchanged. Values stay. */
  doubt(connection: string, schema: ObjectSchema, records: string[]): Promise<void>;
  /** Records that were set aside and not resolved since, by record; at most `recordsMax`. */
  quarantined(connection: string, object: string | null, recordsMax: number): Promise<OpenQuarantine[]>;
  /** Sets `resolved_at` on the open entries of these records, but for entries of the window `except`; returns how many. */
  resolve(
    connection: string,
    object: string,
    records: string[],
    at: Instant,
    except: string,
  ): Promise<number>;
}

/** A bounded answer to a read-only statement. Values are JSON-safe: decimals and 64-bit integers as text. */
export interface QueryAnswer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  truncated: boolean;
}

/**
 * One connected warehouse. Every write is guarded by version and transactional with its batch row, so that it may be repeated.
 * Methods throw HeadwaterError only.
 */
export interface Warehouse {
  check(): Promise<{ check: string; ok: boolean; detail: string; remedy?: string }[]>;
  /**
   * Bytes that one load into the table of each object reads, in order; null where nothing was loaded yet. Present where
   * `loads.paidByBytes` says so; runs nothing.
   */
  bytesRead?(connection: string, objects: readonly string[]): Promise<(number | null)[]>;
  /** Creates or evolves `<connection>.<table>` by policy; SCHEMA_FROZEN when the policy forbids it. */
  migrate(connection: string, schema: ObjectSchema, policy: EvolutionPolicy): Promise<SchemaChange[]>;
  /**
   * The same batch twice => `alreadyApplied: true`. Of a partial window (`window.fields`, `schema` the whole one): only rows at the
   * same version that nothing read later change, in these columns and the deleted flag; no row is made, the rest is stale. A lower attempt of its window than one seen => ATTEMPT_OUTDATED (I3).
   */
  load(request: LoadRequest, signal: AbortSignal): Promise<LoadReceipt>;
  /**
   * Keys of the batch that are there at a version at least as new, and those that are not (receipt, destination part). Of a
   * partial window, a key that was once set aside counts as present.
   */
  verify(request: LoadRequest): Promise<{ present: number; missing: number }>;
  /** Marks as deleted what a whole read no longer found; returns how many rows. Repeating it marks nothing more. */
  retire(request: RetireRequest): Promise<number>;
  /** Writes interval rows in one transaction and raises `seq`; a window that has its row already is a no-op. */
  closeWindows(rows: IntervalRow[]): Promise<SinkState>;
  sinkState(): Promise<SinkState>;
  /** Interval rows with `seq` above the given one, ascending: lets an old ledger adopt what the warehouse holds. */
  intervals(afterSeq: number): Promise<(IntervalRow & { seq: number })[]>;
  recordRun(run: RunSummary): Promise<void>;
  /** Merges NDJSON files into tables of Headwater's own, all in one transaction; tables and views are made, columns added. */
  mergeOwn(files: { table: OwnTable; file: string }[], signal: AbortSignal): Promise<void>;
  /** Removes the rows that an earlier claims store left in these tables. */
  dropOtherEpochs(tables: OwnTable[], epoch: string): Promise<void>;
  /** Adds rows to `_headwater.quarantine`; one that is there already (batch, record, field) is a no-op. */
  setAside(rows: QuarantinedRow[]): Promise<void>;
  /**
   * Removes what is older than `before` from batches, quarantine, runs and applied schema changes; at most `rowsMax` rows of each.
   * I3: interval rows stay, and what belongs to a window that has none yet. That a record was set aside stays known, without its
   * values. Returns how many rows went.
   */
  prune(before: Instant, rowsMax: number): Promise<number>;
  /** Removes what belongs to one subject, in one transaction; `dryRun` counts it. Tables that are not there have no rows. */
  purge(request: PurgeRequest, options: { dryRun: boolean }): Promise<PurgedRows[]>;
  /** Keys of a raw table's rows whose version is older, oldest first; none where the table is not there. */
  olderThan(table: {
    connection: string;
    table: string;
    key: string;
    before: Instant;
    /** Rows of that order that are passed over. */
    offset: number;
    limit: number;
  }): Promise<string[]>;
  /** Leaves no bytes of removed rows where Headwater may overwrite them; says in whole sentences what remains, until when. */
  scrub(): Promise<string[]>;
  /** Absent where the warehouse cannot be audited; the command says so. */
  readonly audit?: WarehouseAudit;
  /** Rows in the table that are not tombstones; for the shrink guard and the demo's table. */
  count(connection: string, table: string): Promise<number>;
  /** One read-only statement; at most `rowsMax` rows. Anything else than a select is refused. */
  query(sql: string, rowsMax: number): Promise<QueryAnswer>;
  /** Writes the answer of a read-only statement to a local file by its ending: parquet, csv, json. Returns rows. */
  export(sql: string, path: string): Promise<number>;
  close(): Promise<void>;
}

export interface WarehouseContext {
  now: () => number;
  log: (message: string, fields?: Record<string, string | number | boolean>) => void;
  /** A folder for spill files. */
  tempDirectory: string;
  memoryMbMax: number;
  threads: number;
}

export interface WarehouseDefinition<Config extends z.ZodType = z.ZodType> {
  kind: string;
  /** Runs inside the worker, with its memory and cores. */
  embedded: boolean;
  /**
   * Where loads are counted or each has its price; absent: load as often as you like. Pushed changes land no more often than
   * `everyMsMin`, and `plan` tells the loads of a day and `because`. `paidByBytes`: and what they read, see `bytesRead`.
   */
  loads?: { everyMsMin: number; perObjectAndDayMax?: number; because: string; paidByBytes?: true };
  config: Config;
  /**
   * How a statement names the table of a connection, in quotes; absent: as `"connection"."table"`. `options`: the configuration's, as
   * they are written.
   */
  rawTable?(options: Readonly<Record<string, unknown>>, connection: string, table: string): string;
  connect(config: z.output<Config>, context: WarehouseContext): Promise<Warehouse>;
}

export function defineWarehouse<Config extends z.ZodType>(
  definition: WarehouseDefinition<Config>,
): WarehouseDefinition<Config> {
  return definition;
}
