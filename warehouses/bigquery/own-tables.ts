import type { OwnTable } from '../../schemas/own-table.ts';
import { literal, quote } from '../sql.ts';
import type { Client } from './client.ts';
import { inTurn } from './jobs.ts';
import { castOf, stagedValue } from './load-sql.ts';
import { columnName, qualifiedName, quoted, tableName } from './names.ts';
import { dropStaged, stage } from './staging.ts';
import type { StagedColumn, StagedTable } from './staging.ts';
import { createLockSql, lockSql } from './system-tables.ts';
import { tableType } from './types.ts';

export const GOLDEN = 'golden';
/** "Clustered tables": at most four columns. */
const CLUSTER_MAX = 4;

const columnOf = (name: string): string => quoted(columnName(name));
const targetOf = (client: Pick<Client, 'dataset'>, table: OwnTable): string =>
  qualifiedName(client.dataset(GOLDEN), tableName(table.name));

/** NDJSON into Headwater's own tables, all in one transaction: newer versions replace older ones; the same file twice changes nothing. */
export async function mergeOwnTables(
  client: Client,
  files: readonly { table: OwnTable; file: string }[],
  signal: AbortSignal,
): Promise<void> {
  if (files.length === 0) return;
  await client.createDataset(client.dataset(GOLDEN));
  const merges: string[] = [];
  const staged: StagedTable[] = [];
  for (const { table, file } of files) {
    signal.throwIfAborted();
    await createOwnTable(client, table);
    const columns = ownColumns(table);
    const one = await stage(client, {
      owner: `golden/${table.name}`,
      sources: [file],
      columns: columns.map(({ name, staged: type, value }) => ({ name, staged: type, value })),
      ...{ from: fromNdjson(table, file), labels: { table: 'golden' }, signal },
    });
    merges.push(mergeOwnSql(targetOf(client, table), table, one.table));
    staged.push(one);
  }
  const statements = ['BEGIN TRANSACTION', lockSql(client, GOLDEN, ''), ...merges, 'COMMIT TRANSACTION'];
  await inTurn(
    () => client.script(statements, { labels: { table: 'golden' }, signal, silent: true }),
    signal,
  );
  await dropStaged(client, staged);
}

/** Types as the shaper's, of which the file was written. */
const DUCKDB_TYPES = {
  ...{ string: 'VARCHAR', json: 'JSON', boolean: 'BOOLEAN', integer: 'BIGINT', double: 'DOUBLE' },
  ...{ date: 'DATE', time: 'TIME', timestamp: 'TIMESTAMPTZ' },
};

function fromNdjson(table: OwnTable, file: string): string {
  const types = table.columns.map(({ name, type }) => {
    const read =
      type.kind === 'decimal' ? `DECIMAL(${type.precision},${type.scale})` : DUCKDB_TYPES[type.kind];
    return `${literal(name)}: ${literal(read)}`;
  });
  return `FROM read_json(${literal(file)}, format = 'newline_delimited', columns = {${types.join(', ')}})`;
}

const ownColumns = (table: OwnTable): StagedColumn[] =>
  table.columns.map(({ name, type }, at) => {
    const of = tableType(type);
    const through = stagedValue(quote(name), of);
    return { ...through, name: `c${at}`, target: columnName(name), type: of, cast: castOf(`s.c${at}`, of) };
  });

/** The newest line of each key; `_epoch` of another store always takes the place of an older one's row. */
export function mergeOwnSql(target: string, table: OwnTable, staging: string): string {
  const columns = ownColumns(table);
  const names = columns.map((column) => quoted(column.target));
  const key = table.key.map(columnOf);
  const version = table.version === null ? null : columnOf(table.version);
  const assign = names.filter((name) => !key.includes(name)).map((name) => `${name} = s.${name}`);
  const values = columns.map(({ cast, target: as }) => `${cast} AS ${quoted(as)}`);
  return [
    `MERGE INTO ${target} AS t USING (`,
    `  SELECT * FROM (SELECT ${values.join(', ')} FROM ${staging} AS s) AS r WHERE TRUE`,
    `  QUALIFY ROW_NUMBER() OVER (PARTITION BY ${key.map((name) => `r.${name}`).join(', ')} ORDER BY ${version === null ? '1' : `r.${version} DESC`}) = 1`,
    `) AS s ON ${key.map((name) => `t.${name} = s.${name}`).join(' AND ')}`,
    ...(version === null
      ? []
      : [
          `WHEN MATCHED AND (s.${version} >= t.${version} OR s.\`_epoch\` <> t.\`_epoch\`) THEN UPDATE SET ${assign.join(', ')}`,
        ]),
    `WHEN NOT MATCHED THEN INSERT (${names.join(', ')}) VALUES (${names.map((name) => `s.${name}`).join(', ')})`,
  ].join('\n');
}

export async function dropOtherEpochs(
  client: Client,
  tables: readonly OwnTable[],
  epoch: string,
): Promise<void> {
  for (const table of tables) {
    if ((await client.columns(GOLDEN, table.name)).length === 0) continue;
    await client.run(`DELETE FROM ${targetOf(client, table)} WHERE \`_epoch\` IS DISTINCT FROM @epoch`, {
      epoch,
    });
  }
}

/** Makes what is not there yet: table, columns that an entity has gained, the view with `valid_to`. */
async function createOwnTable(client: Client, table: OwnTable): Promise<void> {
  const known = new Set((await client.columns(GOLDEN, table.name)).map(({ name }) => name));
  const missing = table.columns.filter(({ name }) => !known.has(columnName(name)));
  if (missing.length === 0) return;
  const target = targetOf(client, table);
  const defined = missing.map(({ name, type }) => `${columnOf(name)} ${tableType(type)}`);
  const key = table.key.slice(0, CLUSTER_MAX).map(columnOf).join(', ');
  const make =
    known.size === 0
      ? `CREATE TABLE IF NOT EXISTS ${target} (${defined.join(', ')}) CLUSTER BY ${key}`
      : `ALTER TABLE ${target} ${defined.map((column) => `ADD COLUMN IF NOT EXISTS ${column}`).join(', ')}`;
  await client.script([make], { silent: true });
  await client.script([createLockSql(client, GOLDEN, '')], { silent: true });
  if (table.history !== undefined)
    await client.script([historySql(client, table, table.history)], { silent: true });
}

export function historySql(
  client: Pick<Client, 'dataset'>,
  table: OwnTable,
  { view, of, from, order }: NonNullable<OwnTable['history']>,
): string {
  const next = `LEAD(${columnOf(from)}) OVER (PARTITION BY ${columnOf(of)} ORDER BY ${columnOf(order)})`;
  const columns = [
    ...table.columns.map(({ name }) => columnOf(name)),
    `${columnOf(from)} AS \`valid_from\``,
    `${next} AS \`valid_to\``,
    `${next} IS NULL AS \`current\``,
  ];
  return `CREATE OR REPLACE VIEW ${qualifiedName(client.dataset(GOLDEN), tableName(view))} AS SELECT ${columns.join(', ')} FROM ${targetOf(client, table)}`;
}
