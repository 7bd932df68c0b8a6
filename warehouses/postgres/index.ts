import { HeadwaterError } from '../../rules/errors.ts';
import { isPartial } from '../batch-rules.ts';
import { onFirstUse, risingClock } from '../fact-rows.ts';
import { codeOf } from '../pg-errors.ts';
import { prefixOf } from '../sql.ts';
import { defineWarehouse } from '../warehouse.ts';
import type { Warehouse, WarehouseContext } from '../warehouse.ts';
import { auditMethods } from './audit.ts';
import { checkServer } from './check.ts';
import { openClient } from './client.ts';
import type { Client, Session } from './client.ts';
import { postgresConfigSchema } from './config.ts';
import type { PostgresConfig } from './config.ts';
import { loadBatch, lockTable, verifyBatch } from './load.ts';
import { checkNames, targetName } from './names.ts';
import { dropOtherEpochs, mergeOwnTable } from './own-tables.ts';
import { loadPartial, verifyPartial } from './partial.ts';
import { pruneFacts } from './prune.ts';
import { keysOlderThan, purgeSubject, remaining, rewriteSql, tablesToRewrite } from './purge.ts';
import { runExport, runQuery } from './query.ts';
import { retireAbsent } from './retire.ts';
import { planChanges, tableColumns } from './schema.ts';
import {
  createSystemTables,
  readIntervals,
  readSinkState,
  recordChanges,
  setAsideRows,
  writeIntervals,
  writeRun,
} from './system-tables.ts';

/** "PostgreSQL Error Codes". */
const UNDEFINED_TABLE = '42P01';

export const postgres = defineWarehouse({
  kind: 'postgres',
  embedded: false,
  config: postgresConfigSchema,
  rawTable: (options, connection, table) => targetName(prefixOf(options), connection, table),
  connect,
});

/** Transactions in which the system tables are there: the first use makes them, since a command that only looks writes nothing. */
type Ready = Pick<Client, 'write' | 'scratch' | 'read'> & { ready(): Promise<void>; make(): Promise<void> };

function prepared(client: Client): Ready {
  const make = () => client.write('creating the system tables', createSystemTables);
  const ready = onFirstUse(make);
  return {
    ready,
    make,
    write: async (what, work, signal) => {
      signal?.throwIfAborted();
      await ready();
      return client.write(what, work, signal);
    },
    scratch: async (what, work) => {
      await ready();
      return client.scratch(what, work);
    },
    read: async (what, work) => {
      await ready();
      return client.read(what, work);
    },
  };
}

async function connect(config: PostgresConfig, context: WarehouseContext): Promise<Warehouse> {
  const client = await openClient(config, context);
  const tables = prepared(client);
  const now = risingClock(context.now);
  return {
    check: () => checkServer(client),
    migrate: (name, schema, policy) =>
      tables.write(`migrating ${name}.${schema.table}`, async (session) => {
        checkNames(schema);
        const columns = await tableColumns(session, name, schema.table);
        // Nearly every run finds nothing to change, and waits for no load then.
        if (planChanges(config, name, schema, columns, policy).length === 0) return [];
        await lockTable(session, { connection: name, table: schema.table });
        const held = await tableColumns(session, name, schema.table);
        const planned = planChanges(config, name, schema, held, policy);
        for (const { sql } of planned) for (const statement of sql) await session.run(statement);
        return recordChanges(session, name, planned, now());
      }),
    load: (request, signal) =>
      tables.write(
        `loading batch ${request.batch.id}`,
        (session) => (isPartial(request) ? loadPartial : loadBatch)(session, request, now()),
        signal,
      ),
    verify: (request) =>
      tables.scratch(`verifying batch ${request.batch.id}`, (session) =>
        (isPartial(request) ? verifyPartial : verifyBatch)(session, request),
      ),
    retire: (request) =>
      tables.write(`comparing ${request.schema.table} with the source`, (session) =>
        retireAbsent(session, request),
      ),
    ...facts(tables, now),
    mergeOwn: (files, signal) =>
      tables.write(
        'merging golden tables',
        async (session) => {
          for (const { table, file } of files) await mergeOwnTable(session, table, file);
        },
        signal,
      ),
    dropOtherEpochs: (own, epoch) =>
      tables.write('removing rows of an earlier claims store', (session) =>
        dropOtherEpochs(session, own, epoch),
      ),
    ...erasing(client, tables),
    audit: auditMethods(client, () => tables.ready()),
    count: (name, table) =>
      client.read(`counting ${name}.${table}`, (session) => countRows(session, name, table)),
    query: (sql, rowsMax) => runQuery(client, sql, rowsMax),
    export: (sql, path) => runExport(client, sql, path),
    close: () => client.close(),
  };
}

function facts(
  tables: Ready,
  now: () => string,
): Pick<Warehouse, 'closeWindows' | 'sinkState' | 'intervals' | 'recordRun' | 'setAside' | 'prune'> {
  return {
    closeWindows: (rows) =>
      tables.write('closing windows', (session) => writeIntervals(session, rows, now())),
    sinkState: () => {
      const look = () => tables.read('reading the sink state', (session) => readSinkState(session));
      return look().catch(async (error: unknown) => {
        if (!(error instanceof HeadwaterError) || codeOf(error.cause) !== UNDEFINED_TABLE) throw error;
        // A database that was made anew beside a running worker: with the tables comes another epoch, and that is noticed.
        await tables.make();
        return look();
      });
    },
    intervals: (afterSeq) => tables.read('reading intervals', (session) => readIntervals(session, afterSeq)),
    recordRun: (run) => tables.write('recording a run', (session) => writeRun(session, run)),
    setAside: (rows) =>
      tables.write('setting records aside', (session) => setAsideRows(session, rows, now())),
    prune: (before, rowsMax) =>
      tables.write('removing old facts', (session) => pruneFacts(session, before, rowsMax)),
  };
}

function erasing(client: Client, tables: Ready): Pick<Warehouse, 'purge' | 'olderThan' | 'scrub'> {
  return {
    purge: (request, { dryRun }) =>
      dryRun
        ? tables.read('counting what belongs to a subject', (session) => purgeSubject(session, request, true))
        : tables.write('removing a subject', (session) => purgeSubject(session, request, false)),
    olderThan: (table) => client.read('looking for old rows', (session) => keysOlderThan(session, table)),
    scrub: async () => {
      const rewrites = await tables.read('looking for removed rows', tablesToRewrite);
      for (const rewrite of rewrites)
        await client.alone(`writing ${rewrite.relation} anew`, [rewriteSql(rewrite)]);
      const done = [...new Set(rewrites.map(({ table }) => table))];
      if (done.length > 0)
        await tables.write('recording what was written anew', (session) =>
          session.run('DELETE FROM _headwater.to_rewrite WHERE "table" = ANY($1)', [done]),
        );
      return rewrites.length === 0 ? [] : remaining(rewrites);
    },
  };
}

async function countRows(session: Session, name: string, table: string): Promise<number> {
  if ((await tableColumns(session, name, table)).length === 0) return 0;
  const [row] = await session.rows(
    `SELECT count(*) AS rows FROM ${session.target(name, table)} WHERE NOT coalesce(_deleted, false)`,
  );
  return Number(row?.['rows'] ?? 0);
}
