import type { PoolConfig } from 'pg';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import { isPartial } from '../batch-rules.ts';
import { onFirstUse, risingClock } from '../fact-rows.ts';
import { prefixOf } from '../sql.ts';
import { defineWarehouse } from '../warehouse.ts';
import type { EvolutionPolicy, SchemaChange, Warehouse, WarehouseContext } from '../warehouse.ts';
import { auditMethods } from './audit.ts';
import { checkServer } from './check.ts';
import { openClient } from './client.ts';
import type { Client, Session } from './client.ts';
import { redshiftConfigSchema } from './config.ts';
import type { RedshiftConfig } from './config.ts';
import { loadBatch, verifyBatch } from './load.ts';
import { checkNames, schemaName, targetName } from './names.ts';
import { dropOtherEpochs, mergeOwnTables } from './own-tables.ts';
import { loadPartial, verifyPartial } from './partial.ts';
import { pruneFacts } from './prune.ts';
import { keysOlderThan, purgeSubject, scrub } from './purge.ts';
import { runExport, runQuery } from './query.ts';
import { retireAbsent } from './retire.ts';
import { ensureSchema, planChanges, tableColumns } from './schema.ts';
import {
  createSystemTables,
  readIntervals,
  readSinkState,
  recordChanges,
  setAsideRows,
  writeIntervals,
  writeRun,
} from './system-tables.ts';

/** A serverless workgroup is billed while anything runs, and a cluster commits one transaction at a time. */
const LOAD_MS_MIN = 300_000;

export const redshift = defineWarehouse({
  kind: 'redshift',
  embedded: false,
  loads: { everyMsMin: LOAD_MS_MIN, because: 'its compute would never sleep' },
  config: redshiftConfigSchema,
  rawTable: (options, connection, table) => targetName(prefixOf(options), connection, table),
  connect: (config, context) => connectRedshift(config, context),
});

/** Transactions in which the system tables are there: the first use makes them, since a command that only looks writes nothing. */
function prepared(client: Client): Client {
  const ready = onFirstUse(() => createSystemTables(client));
  return {
    ...client,
    write: async (what, work, options) => {
      options?.signal?.throwIfAborted();
      await ready();
      return client.write(what, work, options);
    },
    scratch: async (what, work, options) => {
      await ready();
      return client.scratch(what, work, options);
    },
    read: async (what, work) => {
      await ready();
      return client.read(what, work);
    },
  };
}

/** `driver`: what a test puts between this and a server that is no Redshift. */
export async function connectRedshift(
  config: RedshiftConfig,
  context: WarehouseContext,
  driver?: PoolConfig['Client'],
): Promise<Warehouse> {
  const client = await openClient(config, context, driver);
  const tables = prepared(client);
  const now = risingClock(context.now);
  return {
    check: () => checkServer(client, config),
    migrate: (name, schema, policy) => migrate(tables, { name, schema, policy }, now),
    load: async (request, signal) => {
      signal.throwIfAborted();
      return (isPartial(request) ? loadPartial : loadBatch)(tables, request, now(), signal);
    },
    verify: (request) => (isPartial(request) ? verifyPartial : verifyBatch)(tables, request),
    retire: (request) =>
      tables.write(
        `comparing ${request.schema.table} with the source`,
        (session) => retireAbsent(session, request),
        { label: `headwater ${request.window.id}` },
      ),
    ...facts(tables, context.now, now),
    mergeOwn: (files, signal) => mergeOwnTables(tables, files, signal),
    dropOtherEpochs: (own, epoch) =>
      tables.write('removing rows of an earlier claims store', (session) =>
        dropOtherEpochs(session, own, epoch),
      ),
    purge: (request, { dryRun }) =>
      dryRun
        ? tables.read('counting what belongs to a subject', (session) => purgeSubject(session, request, true))
        : tables.write('removing a subject', (session) => purgeSubject(session, request, false)),
    olderThan: (table) => client.read('looking for old rows', (session) => keysOlderThan(session, table)),
    scrub: () => scrub(tables),
    audit: auditMethods(tables),
    count: (name, table) =>
      client.read(`counting ${name}.${table}`, (session) => countRows(session, name, table)),
    query: (sql, rowsMax) => runQuery(client, sql, rowsMax),
    export: (sql, path) => runExport(client, sql, path),
    close: () => client.close(),
  };
}

interface Migration {
  name: string;
  schema: ObjectSchema;
  policy: EvolutionPolicy;
}

async function migrate(
  tables: Client,
  { name, schema, policy }: Migration,
  now: () => string,
): Promise<SchemaChange[]> {
  checkNames(schema);
  const what = `migrating ${name}.${schema.table}`;
  const plan = async (session: Session) =>
    planChanges(session.prefix, name, schema, await tableColumns(session, name, schema.table), policy);
  // Nearly every run finds nothing to change, and waits for no load then.
  if ((await tables.read(what, plan)).length === 0) return [];
  return tables.write(what, async (session) => {
    const planned = await plan(session);
    if (planned.some(({ change, sql }) => change === 'create_table' && sql.length > 0))
      await ensureSchema(session, schemaName(session.prefix, name));
    for (const { sql } of planned) for (const statement of sql) await session.run(statement);
    return recordChanges(session, name, planned, now());
  });
}

function facts(
  tables: Client,
  clock: () => number,
  now: () => string,
): Pick<Warehouse, 'closeWindows' | 'sinkState' | 'intervals' | 'recordRun' | 'setAside' | 'prune'> {
  return {
    closeWindows: (rows) =>
      tables.write('closing windows', (session) => writeIntervals(session, rows, now())),
    sinkState: () => tables.read('reading the sink state', readSinkState),
    intervals: (afterSeq) => tables.read('reading intervals', (session) => readIntervals(session, afterSeq)),
    recordRun: (run) => tables.write('recording a run', (session) => writeRun(session, run)),
    setAside: (rows) =>
      tables.write('setting records aside', (session) => setAsideRows(session, rows, now())),
    prune: async (before, rowsMax) => {
      const rows = await tables.write('removing old facts', (session) =>
        pruneFacts(session, before, rowsMax),
      );
      await tables.bucket.removeLeftOver(clock());
      return rows;
    },
  };
}

async function countRows(session: Session, name: string, table: string): Promise<number> {
  if ((await tableColumns(session, name, table)).length === 0) return 0;
  const [row] = await session.rows(
    `SELECT count(*) AS rows FROM ${session.target(name, table)} WHERE NOT COALESCE(_deleted, false)`,
  );
  return Number(row?.['rows'] ?? 0);
}
