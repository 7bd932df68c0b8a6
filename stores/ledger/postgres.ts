import { migrate, PostgresPool, type Transaction } from '../postgres.ts';
import type { Ledger } from './ledger.ts';
import * as coverage from './postgres/coverage.ts';
import * as prune from './postgres/prune.ts';
import * as runs from './postgres/runs.ts';
import { MIGRATIONS } from './postgres/schema.ts';
import * as slices from './postgres/slices.ts';
import * as tokens from './postgres/tokens.ts';
import * as rows from './postgres/window-rows.ts';
import * as windows from './postgres/windows.ts';

const CONNECTIONS_MAX = 4;

export interface PostgresLedgerOptions {
  /** I5: a secret; see stores/postgres.ts. */
  url: string;
  /** Made when it is missing and the user may; tables are migrated when they are older. */
  schema: string;
  /** INPUT_INVALID instead of making it. */
  existing?: boolean;
}

/** How the methods come to their transactions. */
interface Database {
  /** One writer at a time, as with a file: what is decided from what was read holds until it is written. */
  transact<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** For single rows that nobody else's decision depends on; not durable over a crash of the server. */
  relaxed<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** One statement. */
  read<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Several statements that must see one state. */
  readTogether<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The ledger of several machines. CONFIG_INVALID for one of a newer version, LEDGER_UNAVAILABLE while it does not answer. */
export async function openPostgresLedger(options: PostgresLedgerOptions): Promise<Ledger> {
  const { url, schema, existing = false } = options;
  const pool = new PostgresPool({ url, schema, connectionsMax: CONNECTIONS_MAX });
  try {
    await migrate(pool, 'ledger', MIGRATIONS, existing);
  } catch (error) {
    await pool.close();
    throw error;
  }
  const begin = `BEGIN; SELECT pg_advisory_xact_lock(hashtext('headwater ledger'), hashtext('${schema}'))`;
  const db: Database = {
    transact: async (work) => await pool.transact(work, begin),
    relaxed: async (work) => await pool.transact(work, 'BEGIN; SET LOCAL synchronous_commit = off'),
    read: async (work) => await pool.connected(work),
    readTogether: async (work) => await pool.read(work),
    close: async () => await pool.close(),
  };
  return { ...windowMethods(db), ...sliceMethods(db), ...coverageMethods(db), ...factMethods(db) };
}

type Methods<Name extends keyof Ledger> = Pick<Ledger, Name>;

function windowMethods(
  db: Database,
): Methods<'planWindow' | 'planWindows' | 'abandonWindow' | 'openWindows' | 'undelivered' | 'windows'> {
  return {
    planWindow: async (request) => await db.transact((tx) => windows.planWindow(tx, request)),
    planWindows: async (requests) =>
      await db.transact(async (tx) => {
        const plans = [];
        for (const request of requests) plans.push(await windows.planWindow(tx, request));
        return plans;
      }),
    abandonWindow: async (window, reason) =>
      await db.transact((tx) => windows.abandonWindow(tx, window, reason)),
    openWindows: async (connection) => await db.readTogether((tx) => rows.openWindows(tx, connection)),
    undelivered: async (sink, connection) =>
      await db.readTogether((tx) => rows.undelivered(tx, sink, connection)),
    windows: async (filter) => await db.readTogether((tx) => rows.listWindows(tx, filter)),
  };
}

function sliceMethods(
  db: Database,
): Methods<
  | 'storePlan'
  | 'progress'
  | 'commitPage'
  | 'sliceExtracted'
  | 'restartSlice'
  | 'storeBatch'
  | 'storeLoad'
  | 'loads'
> {
  return {
    storePlan: async (window, attempt, plan) =>
      await db.transact((tx) => slices.storePlan(tx, window, attempt, plan)),
    progress: async (window) => await db.readTogether((tx) => slices.progress(tx, window)),
    commitPage: async (window, attempt, slice, page, cursor) =>
      await db.transact((tx) => slices.commitPage(tx, window, attempt, slice, page, cursor)),
    sliceExtracted: async (window, attempt, slice) =>
      await db.transact((tx) => slices.sliceExtracted(tx, window, attempt, slice)),
    restartSlice: async (window, attempt, slice) =>
      await db.transact((tx) => slices.restartSlice(tx, window, attempt, slice)),
    storeBatch: async (window, attempt, slice, batch) =>
      await db.transact((tx) => slices.storeBatch(tx, window, attempt, slice, batch)),
    storeLoad: async (sink, window, attempt, receipt) =>
      await db.transact((tx) => slices.storeLoad(tx, sink, window, attempt, receipt)),
    loads: async (sink, window) => await db.readTogether((tx) => slices.loads(tx, sink, window)),
  };
}

function coverageMethods(
  db: Database,
): Methods<
  | 'commitSource'
  | 'commitSources'
  | 'commitSink'
  | 'coverage'
  | 'sinkCoverage'
  | 'sinkState'
  | 'resetSink'
  | 'adoptIntervals'
> {
  return {
    commitSource: async (window, attempt, receipt) =>
      await db.transact((tx) => coverage.commitSource(tx, window, attempt, receipt)),
    commitSources: async (list) =>
      await db.transact(async (tx) => {
        for (const one of list) await coverage.commitSource(tx, one.window, one.attempt, one.receipt);
      }),
    commitSink: async (sink, list, state) =>
      await db.transact((tx) => coverage.commitSink(tx, sink, list, state)),
    coverage: async (connection, object) =>
      await db.read((tx) => coverage.readCoverage(tx, coverage.SOURCE, connection, object)),
    sinkCoverage: async (sink, connection, object) =>
      await db.read((tx) => coverage.readCoverage(tx, sink, connection, object)),
    sinkState: async (sink) => await db.read((tx) => coverage.readSinkState(tx, sink)),
    resetSink: async (sink, { connection, keepReceipts = false }) =>
      await db.transact((tx) => coverage.resetSink(tx, sink, connection ?? null, keepReceipts)),
    adoptIntervals: async (sink, list, state) =>
      await db.transact((tx) => coverage.adoptIntervals(tx, sink, list, state)),
  };
}

function factMethods(
  db: Database,
): Methods<
  | 'startRun'
  | 'endRun'
  | 'runs'
  | 'prune'
  | 'prunable'
  | 'forgetReads'
  | 'storeSchema'
  | 'schema'
  | 'take'
  | 'reportQuota'
  | 'quota'
  | 'meta'
  | 'setMeta'
  | 'close'
> {
  return {
    startRun: async (run) => await db.transact((tx) => runs.startRun(tx, run)),
    endRun: async (run) => await db.transact((tx) => runs.endRun(tx, run)),
    runs: async (filter) => await db.read((tx) => runs.runs(tx, filter)),
    prune: async (request) => await db.transact((tx) => prune.prune(tx, request)),
    prunable: async (request) => await db.readTogether((tx) => prune.prunable(tx, request)),
    forgetReads: async (connection, object, { dryRun }) => {
      if (dryRun) return await db.readTogether((tx) => prune.readsHeld(tx, connection, object));
      const held = await db.transact((tx) => prune.forgetReads(tx, connection, object));
      if (held > 0) await db.read((tx) => tx.several('VACUUM (INDEX_CLEANUP on, TRUNCATE off) slices'));
      return held;
    },
    storeSchema: async (connection, schema, at) =>
      await db.transact((tx) => runs.storeSchema(tx, connection, schema, at)),
    schema: async (connection, object) => await db.read((tx) => runs.readSchema(tx, connection, object)),
    take: async (connection, calls, callClass, policy, now) =>
      await db.relaxed((tx) => tokens.take(tx, connection, calls, callClass, policy, now)),
    reportQuota: async (connection, quota, now) =>
      await db.relaxed((tx) => tokens.reportQuota(tx, connection, quota, now)),
    quota: async (connection) => await db.read((tx) => tokens.readQuota(tx, connection)),
    meta: async (key) => await db.read((tx) => runs.readMeta(tx, key)),
    setMeta: async (key, value) => await db.transact((tx) => runs.writeMeta(tx, key, value)),
    close: async () => await db.close(),
  };
}
