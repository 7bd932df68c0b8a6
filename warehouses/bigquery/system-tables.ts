import { setTimeout as sleep } from 'node:timers/promises';
import type { RunSummary } from '../../schemas/run.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { freshIntervals, intervalRow, recordNews, sinkStateOf } from '../fact-rows.ts';
import type { IntervalRow, QuarantinedRow, SchemaChange } from '../warehouse.ts';
import type { Client } from './client.ts';
import { isOvertaken, raised } from './errors.ts';
import { refuseSql } from './load-sql.ts';
import { moment, qualifiedName, quoted, sha, tableName, text, textOrNull, texts } from './names.ts';

export const OWN = '_headwater';
/** Two writers of one table: the second reads again. */
const TRIES_MAX = 5;
const TRY_MS = 500;
/** "Maximum unresolved query length": 1 MB of text. */
const STATEMENT_ROWS_MAX = 200;

/** A table of Headwater's own. */
export const ownTable = (client: Pick<Client, 'dataset'>, name: string): string =>
  qualifiedName(client.dataset(OWN), name);

/**
 * What Headwater itself keeps in the warehouse. Instants are texts of fixed width, as everywhere in Headwater; JSON is text, to be
 * parsed by who reads it. `sink` is made last: where it is, the others are.
 */
const TABLES: readonly [name: string, columns: string, more?: string][] = [
  [
    'intervals',
    '`seq` INT64 NOT NULL, `window` STRING NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `from` STRING NOT NULL, `until` STRING NOT NULL, `attempt` INT64 NOT NULL, `batches` ARRAY<STRING>, `receipt` STRING NOT NULL, `committed_at` TIMESTAMP NOT NULL',
    'CLUSTER BY `window`',
  ],
  [
    'batches',
    '`batch` STRING NOT NULL, `window` STRING NOT NULL, `slice` INT64 NOT NULL, `attempt` INT64 NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `table` STRING NOT NULL, `inserted` INT64 NOT NULL, `updated` INT64 NOT NULL, `unchanged` INT64 NOT NULL, `stale` INT64 NOT NULL, `counts` STRING NOT NULL, `replaced_by` STRING, `loaded_at` TIMESTAMP NOT NULL',
    'CLUSTER BY `window`',
  ],
  [
    'runs',
    '`connection` STRING NOT NULL, `workflow_id` STRING NOT NULL, `run_id` STRING NOT NULL, `trigger` STRING NOT NULL, `outcome` STRING NOT NULL, `started_at` STRING NOT NULL, `ended_at` STRING, `idle` INT64 NOT NULL, `objects` STRING NOT NULL',
  ],
  [
    'quarantine',
    '`batch` STRING NOT NULL, `window` STRING NOT NULL, `connection` STRING NOT NULL, `object` STRING NOT NULL, `record` STRING, `field` STRING, `value` STRING, `reason` STRING NOT NULL, `raw` STRING, `quarantined_at` TIMESTAMP NOT NULL, `id` STRING NOT NULL, `resolved_at` TIMESTAMP',
    'CLUSTER BY `connection`, `object`, `record`',
  ],
  [
    'schema_changes',
    '`changed_at` TIMESTAMP NOT NULL, `connection` STRING NOT NULL, `table` STRING NOT NULL, `column` STRING, `change` STRING NOT NULL, `before` STRING, `after` STRING, `action` STRING NOT NULL, `policy` STRING NOT NULL, `id` STRING NOT NULL',
  ],
  ['sink', '`epoch` STRING NOT NULL, `seq` INT64 NOT NULL'],
];

/** Columns that an insert into the quarantine gives, in this order. */
const QUARANTINE_COLUMNS =
  '(`batch`, `window`, `connection`, `object`, `record`, `field`, `value`, `reason`, `raw`, `quarantined_at`, `id`)';
export const quarantineInto = (client: Pick<Client, 'dataset'>): string =>
  `${ownTable(client, 'quarantine')} ${QUARANTINE_COLUMNS}`;

export function systemDdl(client: Pick<Client, 'dataset'>): string[] {
  const sink = ownTable(client, 'sink');
  return [
    ...TABLES.map(
      ([name, columns, more]) =>
        `CREATE TABLE IF NOT EXISTS ${ownTable(client, name)} (${columns})${more === undefined ? '' : ` ${more}`}`,
    ),
    // Two processes may start at once and leave two rows: then the first in order is the one that counts, see `readSinkState`.
    `INSERT INTO ${sink} (\`epoch\`, \`seq\`) SELECT GENERATE_UUID(), 0 FROM (SELECT 1 AS one) WHERE NOT EXISTS (SELECT 1 FROM ${sink})`,
  ];
}

/** The epoch is made with the tables: a dataset that was dropped and made anew has another. */
export async function createSystemTables(client: Client): Promise<void> {
  const dataset = client.dataset(OWN);
  if ((await client.table(dataset, 'sink')) !== undefined) {
    const [row] = await client.rows(`SELECT COUNT(*) AS n FROM ${ownTable(client, 'sink')}`);
    if (Number(row?.['n']) > 0) return;
  }
  await client.createDataset(dataset);
  await client.script(systemDdl(client), { silent: true });
}

export async function readSinkState(client: Client): Promise<SinkState> {
  const rows = await client.rows(
    `SELECT \`epoch\`, \`seq\` FROM ${ownTable(client, 'sink')} ORDER BY 1 LIMIT 1`,
  );
  return sinkStateOf(rows[0]);
}

export function insertIntervalsSql(
  client: Pick<Client, 'dataset'>,
  rows: readonly IntervalRow[],
  seq: number,
  now: string,
): string {
  const lines = rows.map((row, at) => {
    const names = [row.window, row.connection, row.object, row.from, row.until].map(text);
    return `(${[seq + at + 1, ...names, row.attempt, texts(row.batches), text(JSON.stringify(row.receipt)), moment(now)].join(', ')})`;
  });
  return `INSERT INTO ${ownTable(client, 'intervals')} (\`seq\`, \`window\`, \`connection\`, \`object\`, \`from\`, \`until\`, \`attempt\`, \`batches\`, \`receipt\`, \`committed_at\`) VALUES\n${lines.join(',\n')}`;
}

/** I3: see `freshIntervals`. What was read is checked again inside the transaction, which one writer at a time may change. */
export async function writeIntervals(client: Client, rows: IntervalRow[], now: string): Promise<SinkState> {
  for (let tries = 1; ; tries++) {
    const state = await readSinkState(client);
    if (rows.length === 0) return state;
    const windows = rows.map((row) => row.window);
    const known = await client.rows(
      `SELECT \`window\` FROM ${ownTable(client, 'intervals')} WHERE \`window\` IN UNNEST(@windows)`,
      { windows },
    );
    const seen = await client.rows(
      `SELECT \`window\`, MAX(\`attempt\`) AS attempt FROM ${ownTable(client, 'batches')} WHERE \`window\` IN UNNEST(@windows) GROUP BY 1`,
      { windows },
    );
    const fresh = freshIntervals(rows, known, seen);
    if (fresh.length === 0) return state;
    const seq = state.seq + fresh.length;
    const sink = ownTable(client, 'sink');
    const parts = Array.from({ length: Math.ceil(fresh.length / STATEMENT_ROWS_MAX) }, (_, at) =>
      insertIntervalsSql(
        client,
        fresh.slice(at * STATEMENT_ROWS_MAX, (at + 1) * STATEMENT_ROWS_MAX),
        state.seq + at * STATEMENT_ROWS_MAX,
        now,
      ),
    );
    try {
      const statements = [
        'BEGIN TRANSACTION',
        // The first statement changes the row of the sink: `seq` rises by one writer at a time.
        `UPDATE ${sink} SET \`seq\` = \`seq\` + ${fresh.length} WHERE TRUE`,
        refuseSql(`(SELECT MAX(\`seq\`) FROM ${sink}) <> ${seq}`, 'overtaken'),
        ...parts,
        'COMMIT TRANSACTION',
      ];
      await client.script(statements, { silent: true });
      return { epoch: state.epoch, seq };
    } catch (error) {
      if ((raised(error) !== 'overtaken' && !isOvertaken(error)) || tries === TRIES_MAX) throw error;
      await sleep(TRY_MS * tries);
    }
  }
}

export async function readIntervals(
  client: Client,
  afterSeq: number,
): Promise<(IntervalRow & { seq: number })[]> {
  const rows = await client.rows(
    `SELECT \`seq\`, \`window\`, \`connection\`, \`object\`, \`from\`, \`until\`, \`attempt\`, TO_JSON_STRING(\`batches\`) AS batches, \`receipt\` ` +
      `FROM ${ownTable(client, 'intervals')} WHERE \`seq\` > @after ORDER BY \`seq\``,
    { after: afterSeq },
  );
  return rows.map(intervalRow);
}

/** A run has one row: the summary at its end takes the place of the one at its beginning. */
export async function writeRun(client: Client, run: RunSummary): Promise<void> {
  const { connection, workflowId, runId, trigger, outcome, startedAt, endedAt, idle, objects } = run;
  const values: Record<string, string> = {
    connection: '@connection',
    workflow_id: '@workflow',
    run_id: '@run',
    trigger: '@trigger',
    outcome: '@outcome',
    started_at: '@started',
    ended_at: '@ended',
    idle: '@idle',
    objects: '@objects',
  };
  const names = Object.keys(values).map(quoted);
  const key = ['`workflow_id`', '`run_id`'];
  await client.run(
    [
      `MERGE INTO ${ownTable(client, 'runs')} AS t USING (SELECT ${Object.entries(values)
        .map(([name, value]) => `${value} AS ${quoted(name)}`)
        .join(', ')}) AS s`,
      `ON ${key.map((name) => `t.${name} = s.${name}`).join(' AND ')}`,
      `WHEN MATCHED THEN UPDATE SET ${names
        .filter((name) => !key.includes(name))
        .map((name) => `${name} = s.${name}`)
        .join(', ')}`,
      `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${names.map((name) => `s.${name}`).join(', ')})`,
    ].join('\n'),
    {
      ...{
        connection,
        workflow: workflowId,
        run: runId,
        trigger,
        outcome,
        started: startedAt,
        ended: endedAt,
      },
      ...{ idle, objects: JSON.stringify(objects) },
    },
  );
}

type Told = SchemaChange & { policy: string };
const sameChange = ({ column, change, after, action, policy }: Told): string =>
  JSON.stringify([column, change, after, action, policy]);

/** Returns those that are news: an ignored column is told once, not in every run. */
export async function recordChanges(
  client: Client,
  name: string,
  changes: Told[],
  now: string,
): Promise<SchemaChange[]> {
  const [first] = changes;
  if (first === undefined) return [];
  const changesTable = ownTable(client, 'schema_changes');
  const asked = changes.some(({ action }) => action !== 'applied');
  const held = asked
    ? await client.rows(
        `SELECT \`column\`, \`change\`, \`after\`, \`action\`, \`policy\` FROM ${changesTable} WHERE \`connection\` = @name AND \`table\` = @of`,
        { name, of: first.table },
      )
    : [];
  const known = new Set(
    held.map((row) =>
      JSON.stringify(['column', 'change', 'after', 'action', 'policy'].map((one) => row[one])),
    ),
  );
  const lines: string[] = [];
  const news = await recordNews(changes, {
    isKnown: (change) => Promise.resolve(known.has(sameChange(change))),
    insert: ({ table, column, change, before, after, action, policy }) => {
      const values = [name, table, column, change, before, after, action, policy].map(textOrNull);
      lines.push(`(${[moment(now), ...values, 'GENERATE_UUID()'].join(', ')})`);
      return Promise.resolve();
    },
  });
  for (let at = 0; at < lines.length; at += STATEMENT_ROWS_MAX)
    await client.run(
      `INSERT INTO ${changesTable} (\`changed_at\`, \`connection\`, \`table\`, \`column\`, \`change\`, \`before\`, \`after\`, \`action\`, \`policy\`, \`id\`) VALUES\n${lines.slice(at, at + STATEMENT_ROWS_MAX).join(',\n')}`,
    );
  return news;
}

export async function setAsideRows(
  client: Client,
  rows: readonly QuarantinedRow[],
  now: string,
): Promise<void> {
  const names = ['batch', 'window', 'connection', 'object', 'record', 'field', 'reason'] as const;
  for (let at = 0; at < rows.length; at += STATEMENT_ROWS_MAX) {
    const lines = rows
      .slice(at, at + STATEMENT_ROWS_MAX)
      .map((row) => `SELECT ${names.map((name) => `${text(row[name])} AS ${quoted(name)}`).join(', ')}`);
    await client.run(
      [
        `INSERT INTO ${quarantineInto(client)}`,
        `SELECT DISTINCT r.\`batch\`, r.\`window\`, r.\`connection\`, r.\`object\`, r.\`record\`, r.\`field\`, CAST(NULL AS STRING), r.\`reason\`, CAST(NULL AS STRING), ${moment(now)}, TO_HEX(MD5(CONCAT(r.\`batch\`, '/', r.\`record\`, '/', r.\`field\`)))`,
        `FROM (${lines.join('\nUNION ALL ')}) AS r`,
        `LEFT JOIN ${ownTable(client, 'quarantine')} AS q ON ${[
          'batch',
          'connection',
          'object',
          'record',
          'field',
        ]
          .map((name) => `q.${quoted(name)} = r.${quoted(name)}`)
          .join(' AND ')}`,
        'WHERE q.`batch` IS NULL',
      ].join('\n'),
    );
  }
}

/**
 * A table of one row per table of a connection. Every load changes it first: BigQuery stops the second of two transactions that
 * change one table, while two that only insert would not see each other.
 */
export function lockName(connection: string, table: string): string {
  return tableName(`lock_${sha(connection, table).slice(0, 20)}`);
}

export const createLockSql = (client: Pick<Client, 'dataset'>, connection: string, table: string): string =>
  `CREATE TABLE IF NOT EXISTS ${ownTable(client, lockName(connection, table))} AS SELECT ${text(`${connection}.${table}`)} AS \`name\`, 0 AS \`taken\``;

/** The first statement of a transaction. */
export const lockSql = (client: Pick<Client, 'dataset'>, connection: string, table: string): string =>
  `UPDATE ${ownTable(client, lockName(connection, table))} SET \`taken\` = \`taken\` + 1 WHERE TRUE`;

export const overtaken = (what: string): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_UNAVAILABLE', `${what}: another program was first; it is tried again`);
