import { isPartial } from '../batch-rules.ts';
import { onFirstUse, risingClock } from '../fact-rows.ts';
import { prefixOf } from '../sql.ts';
import { defineWarehouse } from '../warehouse.ts';
import type { LoadRequest, Warehouse, WarehouseContext } from '../warehouse.ts';
import { auditMethods } from './audit.ts';
import { checkAccount } from './check.ts';
import { openClient } from './client.ts';
import type { Client, Session, Tag } from './client.ts';
import { snowflakeConfigSchema } from './config.ts';
import type { SnowflakeConfig } from './config.ts';
import { loadBatch, verifyBatch } from './load.ts';
import { checkNames, targetName } from './names.ts';
import { dropOtherEpochs, mergeOwnTables } from './own-tables.ts';
import { loadPartial, verifyPartial } from './partial.ts';
import { pruneFacts } from './prune.ts';
import { keysOlderThan, purgeSubject, REMAINING } from './purge.ts';
import { runExport, runQuery } from './query.ts';
import { retireAbsent } from './retire.ts';
import { leftOverSql, planChanges, tableColumns } from './schema.ts';
import {
  createSystemTables,
  readIntervals,
  readSinkState,
  recordChanges,
  setAsideRows,
  writeIntervals,
  writeRun,
} from './system-tables.ts';

/** Compute is paid for a minute at least whenever it wakes, and until it is put to sleep again. */
const LOAD_MS_MIN = 5 * 60_000;

export const snowflake = defineWarehouse({
  kind: 'snowflake',
  embedded: false,
  loads: { everyMsMin: LOAD_MS_MIN, because: 'its compute would never sleep' },
  config: snowflakeConfigSchema,
  rawTable: (options, connection, table) => targetName(prefixOf(options), connection, table),
  connect,
});

const tagOf = ({ window, batch }: LoadRequest): Tag => ({
  ...{ window: window.id, batch: batch.id },
  run: `${window.owner.workflowId} ${window.owner.runId}`,
});

async function connect(config: SnowflakeConfig, context: WarehouseContext): Promise<Warehouse> {
  const client = await openClient(config, context);
  const ready = onFirstUse(() => client.use('creating the system tables', createSystemTables));
  /** With the system tables in place: the first use makes them, since a command that only looks writes nothing. */
  const use: Client['use'] = async (what, work, options = {}) => {
    options.signal?.throwIfAborted();
    await ready();
    return client.use(what, work, options);
  };
  const now = risingClock(context.now);
  return {
    check: () => checkAccount(client, config),
    migrate: (name, schema, policy) =>
      use(`migrating ${name}.${schema.table}`, async (session) => {
        checkNames(schema);
        const target = session.target(name, schema.table);
        for (const statement of leftOverSql(target, await tableColumns(session, name, schema.table)))
          await session.run(statement);
        const columns = await tableColumns(session, name, schema.table);
        const planned = planChanges(session.prefix, name, schema, columns, policy);
        for (const { sql } of planned) for (const statement of sql) await session.run(statement);
        return recordChanges(session, name, planned, now());
      }),
    load: (request, signal) =>
      use(
        `loading batch ${request.batch.id}`,
        (session) => (isPartial(request) ? loadPartial : loadBatch)(session, request, now()),
        { signal, tag: tagOf(request) },
      ),
    verify: (request) =>
      use(
        `verifying batch ${request.batch.id}`,
        (session) => (isPartial(request) ? verifyPartial : verifyBatch)(session, request),
        { tag: tagOf(request) },
      ),
    retire: (request) =>
      use(`comparing ${request.schema.table} with the source`, (session) => retireAbsent(session, request), {
        tag: { window: request.window.id },
      }),
    ...facts(use, now),
    mergeOwn: (files, signal) =>
      use('merging golden tables', (session) => mergeOwnTables(session, files), { signal }),
    dropOtherEpochs: (own, epoch) =>
      use('removing rows of an earlier claims store', (session) => dropOtherEpochs(session, own, epoch)),
    purge: (request, { dryRun }) =>
      use('removing a subject', (session) => purgeSubject(session, request, dryRun)),
    olderThan: (table) => client.use('looking for old rows', (session) => keysOlderThan(session, table)),
    // Nobody can shorten what the account keeps of removed rows.
    scrub: () => Promise.resolve([REMAINING]),
    audit: auditMethods(use),
    count: (name, table) =>
      client.use(`counting ${name}.${table}`, (session) => countRows(session, name, table)),
    query: (sql, rowsMax) => runQuery(client, sql, rowsMax),
    export: (sql, path) => runExport(client, sql, path),
    close: () => client.close(),
  };
}

function facts(
  use: Client['use'],
  now: () => string,
): Pick<Warehouse, 'closeWindows' | 'sinkState' | 'intervals' | 'recordRun' | 'setAside' | 'prune'> {
  return {
    closeWindows: (rows) => use('closing windows', (session) => writeIntervals(session, rows, now())),
    sinkState: () => use('reading the sink state', readSinkState),
    intervals: (afterSeq) => use('reading intervals', (session) => readIntervals(session, afterSeq)),
    recordRun: (run) => use('recording a run', (session) => writeRun(session, run)),
    setAside: (rows) => use('setting records aside', (session) => setAsideRows(session, rows, now())),
    prune: (before, rowsMax) => use('removing old facts', (session) => pruneFacts(session, before, rowsMax)),
  };
}

async function countRows(session: Session, name: string, table: string): Promise<number> {
  if ((await tableColumns(session, name, table)).length === 0) return 0;
  const [row] = await session.rows(
    `SELECT count(*) AS "ROWS" FROM ${session.target(name, table)} WHERE NOT COALESCE("_DELETED", FALSE)`,
  );
  return Number(row?.['rows'] ?? 0);
}
