import { isPartial } from '../batch-rules.ts';
import { onFirstUse, risingClock } from '../fact-rows.ts';
import { defineWarehouse } from '../warehouse.ts';
import type { Warehouse, WarehouseContext } from '../warehouse.ts';
import { auditMethods } from './audit.ts';
import { checkService } from './check.ts';
import { openClient, told } from './client.ts';
import type { Client } from './client.ts';
import { bigqueryConfigSchema } from './config.ts';
import type { BigqueryConfig } from './config.ts';
import { bytesRead } from './cost.ts';
import { loadBatch, verifyBatch } from './load.ts';
import { checkNames } from './names.ts';
import { dropOtherEpochs, mergeOwnTables } from './own-tables.ts';
import { loadPartial, verifyPartial } from './partial.ts';
import { pruneFacts } from './prune.ts';
import { keysOlderThan, purgeSubject, REMAINING } from './purge.ts';
import { runExport, runQuery } from './query.ts';
import { retireAbsent } from './retire.ts';
import { planChanges } from './schema.ts';
import {
  createLockSql,
  createSystemTables,
  readIntervals,
  readSinkState,
  recordChanges,
  setAsideRows,
  writeIntervals,
  writeRun,
} from './system-tables.ts';

/** A load and a merge take seconds each, however few rows they bring, and a merge reads its table. */
const LOAD_MS_MIN = 60_000;
/** "Load jobs per table per day"; failed ones count. Ours go into tables of their own, which keeps clear of it. */
const LOADS_PER_DAY_MAX = 1_500;

export const bigquery = defineWarehouse({
  kind: 'bigquery',
  embedded: false,
  loads: {
    ...{ everyMsMin: LOAD_MS_MIN, perObjectAndDayMax: LOADS_PER_DAY_MAX },
    because: 'each merge takes seconds and reads its table',
    paidByBytes: true,
  },
  config: bigqueryConfigSchema,
  connect,
});

/** What is done once the system tables are there: a command that only looks writes nothing. */
type Ready = <T>(what: string, work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

async function connect(config: BigqueryConfig, context: WarehouseContext): Promise<Warehouse> {
  const client = await openClient(config, context);
  const ready = onFirstUse(() => told('creating the system tables', () => createSystemTables(client)));
  const prepared: Ready = async (what, work, signal) => {
    signal?.throwIfAborted();
    await ready();
    return told(what, work, signal);
  };
  const now = risingClock(context.now);
  return {
    bytesRead: (name, objects) => told('asking what loads read', () => bytesRead(client, name, objects)),
    check: () => told('checking the warehouse', () => checkService(client)),
    migrate: (name, schema, policy) =>
      prepared(`migrating ${name}.${schema.table}`, () => migrate(client, { name, schema, policy }, now())),
    load: (request, signal) =>
      prepared(
        `loading batch ${request.batch.id}`,
        () => (isPartial(request) ? loadPartial : loadBatch)(client, request, now(), signal),
        signal,
      ),
    verify: (request) =>
      prepared(`verifying batch ${request.batch.id}`, () =>
        (isPartial(request) ? verifyPartial : verifyBatch)(client, request),
      ),
    retire: (request) =>
      prepared(`comparing ${request.schema.table} with the source`, () => retireAbsent(client, request)),
    closeWindows: (rows) => prepared('closing windows', () => writeIntervals(client, rows, now())),
    sinkState: () => prepared('reading the sink state', () => readSinkState(client)),
    intervals: (afterSeq) => prepared('reading intervals', () => readIntervals(client, afterSeq)),
    recordRun: (run) => prepared('recording a run', () => writeRun(client, run)),
    setAside: (rows) => prepared('setting records aside', () => setAsideRows(client, rows, now())),
    prune: (before, rowsMax) =>
      prepared('removing old facts', async () => {
        await client.bucket?.removeLeftOver(context.now());
        return pruneFacts(client, before, rowsMax);
      }),
    mergeOwn: (files, signal) =>
      prepared('merging golden tables', () => mergeOwnTables(client, files, signal), signal),
    dropOtherEpochs: (own, epoch) =>
      prepared('removing rows of an earlier claims store', () => dropOtherEpochs(client, own, epoch)),
    purge: (request, { dryRun }) =>
      prepared(dryRun ? 'counting what belongs to a subject' : 'removing a subject', () =>
        purgeSubject(client, request, dryRun),
      ),
    olderThan: (table) => told('looking for old rows', () => keysOlderThan(client, table)),
    // Nothing of a table is ever written over: what was removed is kept and dropped by the service itself.
    scrub: () => Promise.resolve([...REMAINING]),
    audit: auditMethods(client, ready),
    count: (name, table) => told(`counting ${name}.${table}`, () => countRows(client, name, table)),
    query: (sql, rowsMax) => told('running the query', () => runQuery(client, sql, rowsMax)),
    export: (sql, path) => told('exporting', () => runExport(client, sql, path)),
    close: () => client.close(),
  };
}

type Migration = { name: string } & {
  schema: Parameters<Warehouse['migrate']>[1];
  policy: Parameters<Warehouse['migrate']>[2];
};

async function migrate(client: Client, { name, schema, policy }: Migration, now: string) {
  checkNames(schema);
  const { datasetPrefix: prefix, partitionBy } = client.config;
  const columns = await client.columns(name, schema.table);
  const planned = planChanges({ prefix, partitionBy }, name, schema, columns, policy);
  if (planned.length === 0) return [];
  const statements = merged(planned.flatMap(({ sql }) => sql));
  if (statements.length > 0) {
    if (columns.length === 0) {
      await client.createDataset(client.dataset(name));
      statements.push(createLockSql(client, name, schema.table));
    }
    await client.script(statements, { silent: true });
  }
  return recordChanges(client, name, planned, now);
}

/** "Maximum rate of table metadata update operations": 5 in 10 s per table, so all new columns are one statement. */
function merged(statements: readonly string[]): string[] {
  const adding = /^(ALTER TABLE \S+) (ADD COLUMN [\s\S]*)$/;
  const added = new Map<string, string[]>();
  const others: string[] = [];
  for (const statement of statements) {
    const [, table, action] = adding.exec(statement) ?? [];
    if (table === undefined || action === undefined) others.push(statement);
    else added.set(table, [...(added.get(table) ?? []), action]);
  }
  return [...others, ...[...added].map(([table, actions]) => `${table} ${actions.join(', ')}`)];
}

async function countRows(client: Client, name: string, table: string): Promise<number> {
  if ((await client.columns(name, table)).length === 0) return 0;
  const [row] = await client.rows(
    `SELECT COUNT(*) AS n FROM ${client.target(name, table)} WHERE NOT COALESCE(_deleted, FALSE)`,
  );
  return Number(row?.['n'] ?? 0);
}
