import { randomUUID } from 'node:crypto';
import { isPartial } from '../batch-rules.ts';
import { risingClock } from '../fact-rows.ts';
import { checkIdentifiers, qualified } from '../sql.ts';
import { defineWarehouse } from '../warehouse.ts';
import type { Warehouse, WarehouseContext } from '../warehouse.ts';
import { auditMethods } from './audit.ts';
import { checkFile } from './check.ts';
import { openClient, rowsOf } from './client.ts';
import type { Client } from './client.ts';
import { duckdbConfigSchema } from './config.ts';
import type { DuckdbConfig } from './config.ts';
import { loadBatch, verifyBatch } from './load.ts';
import { dropOtherEpochs, mergeOwnTable, setAsideRows } from './own-tables.ts';
import { loadPartial, verifyPartial } from './partial.ts';
import { pruneFacts } from './prune.ts';
import { keysOlderThan, purgeSubject } from './purge.ts';
import { runExport, runQuery } from './query.ts';
import { retireAbsent } from './retire.ts';
import { planChanges, tableColumns } from './schema.ts';
import {
  createSystemTables,
  readIntervals,
  readSinkState,
  recordChanges,
  writeIntervals,
  writeRun,
} from './system-tables.ts';

/** From so many rows on a load fills the memory limit with blocks that nobody asks for again. */
const LARGE_BATCH_ROWS = 100_000;

export const duckdb = defineWarehouse({
  kind: 'duckdb',
  embedded: true,
  config: duckdbConfigSchema,
  connect,
});

async function connect(config: DuckdbConfig, context: WarehouseContext): Promise<Warehouse> {
  const client = await openClient(config, context);
  try {
    await client.write('creating the system tables', (connection) =>
      createSystemTables(connection, randomUUID()),
    );
  } catch (error) {
    await client.close();
    throw error;
  }
  const now = risingClock(context.now);
  return {
    check: () => checkFile(client, config.path),
    migrate: (name, schema, policy) =>
      client.write(`migrating ${name}.${schema.table}`, async (connection) => {
        checkIdentifiers(schema);
        const planned = planChanges(name, schema, await tableColumns(connection, name, schema.table), policy);
        for (const { sql } of planned) for (const statement of sql) await connection.run(statement);
        return recordChanges(connection, name, planned, now());
      }),
    load: async (request, signal) => {
      const receipt = await client.write(
        `loading batch ${request.batch.id}`,
        (connection) => (isPartial(request) ? loadPartial : loadBatch)(connection, request, now()),
        signal,
      );
      if (request.batch.counts.shaped >= LARGE_BATCH_ROWS) await client.giveBack();
      return receipt;
    },
    verify: (request) =>
      client.read(`verifying batch ${request.batch.id}`, (connection) =>
        (isPartial(request) ? verifyPartial : verifyBatch)(connection, request),
      ),
    retire: (request) =>
      client.write(`comparing ${request.schema.table} with the source`, (connection) =>
        retireAbsent(connection, request),
      ),
    closeWindows: (rows) =>
      client.write('closing windows', (connection) => writeIntervals(connection, rows, now())),
    sinkState: () => client.read('reading the sink state', readSinkState),
    intervals: (afterSeq) =>
      client.read('reading intervals', (connection) => readIntervals(connection, afterSeq)),
    recordRun: (run) => client.write('recording a run', (connection) => writeRun(connection, run)),
    prune: (before, rowsMax) =>
      client.write('removing old facts', (connection) => pruneFacts(connection, before, rowsMax)),
    mergeOwn: (files, signal) =>
      client.write(
        'merging golden tables',
        async (connection) => {
          for (const { table, file } of files) await mergeOwnTable(connection, table, file);
        },
        signal,
      ),
    dropOtherEpochs: (tables, epoch) =>
      client.write('removing rows of an earlier claims store', (connection) =>
        dropOtherEpochs(connection, tables, epoch),
      ),
    setAside: (rows) =>
      client.write('setting records aside', (connection) => setAsideRows(connection, rows, now())),
    ...erasing(client),
    audit: auditMethods(client),
    ...reading(client),
    close: () => client.close(),
  };
}

function erasing(client: Client): Pick<Warehouse, 'purge' | 'olderThan' | 'scrub'> {
  return {
    purge: (request, { dryRun }) =>
      dryRun
        ? client.read('counting what belongs to a subject', (connection) =>
            purgeSubject(connection, request, true),
          )
        : client.write('removing a subject', (connection) => purgeSubject(connection, request, false)),
    olderThan: (table) =>
      client.read('looking for old rows', (connection) => keysOlderThan(connection, table)),
    scrub: () => client.renew(),
  };
}

function reading(client: Client): Pick<Warehouse, 'count' | 'query' | 'export'> {
  return {
    count: (name, table) =>
      client.read(`counting ${name}.${table}`, async (connection) => {
        if ((await tableColumns(connection, name, table)).length === 0) return 0;
        const [row] = await rowsOf(
          connection,
          `SELECT count(*) AS rows FROM ${qualified(name, table)} WHERE NOT coalesce(_deleted, false)`,
        );
        return Number(row?.['rows'] ?? 0);
      }),
    query: (sql, rowsMax) =>
      client.read('running the query', (connection) => runQuery(connection, sql, rowsMax)),
    export: (sql, path) => client.read('exporting', (connection) => runExport(connection, sql, path)),
  };
}
