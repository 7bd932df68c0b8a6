import type { Ledger } from './ledger.ts';
import * as coverage from './sqlite/coverage.ts';
import { openLedgerDatabase, type LedgerDatabase } from './sqlite/database.ts';
import * as prune from './sqlite/prune.ts';
import * as runs from './sqlite/runs.ts';
import * as slices from './sqlite/slices.ts';
import * as tokens from './sqlite/tokens.ts';
import * as rows from './sqlite/window-rows.ts';
import * as windows from './sqlite/windows.ts';

const BUSY_TIMEOUT_MS = 10_000;

/**
 * The embedded ledger: one file, created with mode 0600 and migrated when it is older. Several processes may open it;
 * `busyTimeoutMs` is how long a transaction waits for theirs (10 s). CONFIG_INVALID for a file of a newer version.
 */
export async function openSqliteLedger(options: { path: string; busyTimeoutMs?: number }): Promise<Ledger> {
  const db = await openLedgerDatabase(options.path, options.busyTimeoutMs ?? BUSY_TIMEOUT_MS);
  return { ...windowMethods(db), ...sliceMethods(db), ...coverageMethods(db), ...factMethods(db) };
}

type Methods<Name extends keyof Ledger> = Pick<Ledger, Name>;

function windowMethods(
  db: LedgerDatabase,
): Methods<'planWindow' | 'planWindows' | 'abandonWindow' | 'openWindows' | 'undelivered' | 'windows'> {
  return {
    planWindow: async (request) => await db.transact(() => windows.planWindow(db, request)),
    planWindows: async (requests) =>
      await db.transact(() => requests.map((request) => windows.planWindow(db, request))),
    abandonWindow: async (window, reason) =>
      await db.transact(() => windows.abandonWindow(db, window, reason)),
    openWindows: async (connection) => await db.readTogether(() => rows.openWindows(db, connection)),
    undelivered: async (sink, connection) =>
      await db.readTogether(() => rows.undelivered(db, sink, connection)),
    windows: async (filter) => await db.readTogether(() => rows.listWindows(db, filter)),
  };
}

function sliceMethods(
  db: LedgerDatabase,
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
      await db.transact(() => slices.storePlan(db, window, attempt, plan)),
    progress: async (window) => await db.readTogether(() => slices.progress(db, window)),
    commitPage: async (window, attempt, slice, page, cursor) =>
      await db.transact(() => slices.commitPage(db, window, attempt, slice, page, cursor)),
    sliceExtracted: async (window, attempt, slice) =>
      await db.transact(() => slices.sliceExtracted(db, window, attempt, slice)),
    restartSlice: async (window, attempt, slice) =>
      await db.transact(() => slices.restartSlice(db, window, attempt, slice)),
    storeBatch: async (window, attempt, slice, batch) =>
      await db.transact(() => slices.storeBatch(db, window, attempt, slice, batch)),
    storeLoad: async (sink, window, attempt, receipt) =>
      await db.transact(() => slices.storeLoad(db, sink, window, attempt, receipt)),
    loads: async (sink, window) => await db.readTogether(() => slices.loads(db, sink, window)),
  };
}

function coverageMethods(
  db: LedgerDatabase,
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
      await db.transact(() => coverage.commitSource(db, window, attempt, receipt)),
    commitSources: async (list) =>
      await db.transact(() => {
        for (const one of list) coverage.commitSource(db, one.window, one.attempt, one.receipt);
      }),
    commitSink: async (sink, list, state) =>
      await db.transact(() => coverage.commitSink(db, sink, list, state)),
    coverage: async (connection, object) =>
      await db.read(() => coverage.readCoverage(db, coverage.SOURCE, connection, object)),
    sinkCoverage: async (sink, connection, object) =>
      await db.read(() => coverage.readCoverage(db, sink, connection, object)),
    sinkState: async (sink) => await db.read(() => coverage.readSinkState(db, sink)),
    resetSink: async (sink, { connection, keepReceipts = false }) =>
      await db.transact(() => coverage.resetSink(db, sink, connection ?? null, keepReceipts)),
    adoptIntervals: async (sink, list, state) =>
      await db.transact(() => coverage.adoptIntervals(db, sink, list, state)),
  };
}

function factMethods(
  db: LedgerDatabase,
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
    startRun: async (run) => await db.transact(() => runs.startRun(db, run)),
    endRun: async (run) => await db.transact(() => runs.endRun(db, run)),
    runs: async (filter) => await db.read(() => runs.runs(db, filter)),
    prune: async (request) => await db.transact(() => prune.prune(db, request)),
    prunable: async (request) => await db.readTogether(() => prune.prunable(db, request)),
    forgetReads: async (connection, object, { dryRun }) => {
      if (dryRun) return await db.readTogether(() => prune.readsHeld(db, connection, object));
      const held = await db.transact(() => prune.forgetReads(db, connection, object));
      // What was overwritten may still stand in the log of writes.
      if (held > 0) await db.read(() => db.exec('PRAGMA wal_checkpoint(TRUNCATE)'));
      return held;
    },
    storeSchema: async (connection, schema, at) =>
      await db.transact(() => runs.storeSchema(db, connection, schema, at)),
    schema: async (connection, object) => await db.read(() => runs.readSchema(db, connection, object)),
    take: async (connection, calls, callClass, policy, now) =>
      await db.transact(() => tokens.take(db, connection, calls, callClass, policy, now), { relaxed: true }),
    reportQuota: async (connection, quota, now) =>
      await db.transact(() => tokens.reportQuota(db, connection, quota, now), { relaxed: true }),
    quota: async (connection) => await db.read(() => tokens.readQuota(db, connection)),
    meta: async (key) => await db.read(() => runs.readMeta(db, key)),
    setMeta: async (key, value) => await db.transact(() => runs.writeMeta(db, key, value)),
    close: async () => db.close(),
  };
}
