import { randomBytes } from 'node:crypto';
import type { WarehouseContext } from '../warehouse.ts';
import type { Client } from './client.ts';
import type { BigqueryConfig } from './config.ts';
import { isDuplicate, isMissing, wordsOf } from './errors.ts';
import { refuseSql } from './load-sql.ts';
import { qualifiedName } from './names.ts';
import type { StagedTable, StageRequest } from './staging.ts';
import { openStorageWrite } from './storage-write.ts';
import type { StorageWrite, WireRow } from './storage-write.ts';

/** What is more goes by a load job, which is free and reads the file itself. */
const ROWS_MAX = 10_000;
const BYTES_MAX = 9_000_000;
/** Of one append, unless one row has more; "AppendRows": a request has at most 10 MB. */
const PART_BYTES_MAX = 2_000_000;
/** Of a value that is no text, and of what stands around each. */
const VALUE_BYTES = 10;
/** After a failure load jobs take its place for so long. */
const REST_MS = 600_000;

/** The rule of the two roads. `bytes`: of the values as they travel. */
export const goesByStream = ({ rows, bytes }: { rows: number; bytes: number }): boolean =>
  rows > 0 && rows <= ROWS_MAX && bytes <= BYTES_MAX;

export interface Streams {
  readonly storage: StorageWrite;
  /** Datasets that were there when they were last looked for. */
  readonly datasets: Set<string>;
  /** False for a while after `failed`. */
  isAwake(): boolean;
  failed(why: string): void;
  close(): Promise<void>;
}

/** Undefined where the configuration does not want it, or names an address of the other API only. */
export function openStreams(config: BigqueryConfig, { now, log }: WarehouseContext): Streams | undefined {
  const isElsewhere = config.endpoint !== undefined && config.writeEndpoint === undefined;
  if (!config.storageWrite || isElsewhere) return undefined;
  const storage = openStorageWrite(config);
  let restsUntilMs = 0;
  return {
    ...{ storage, datasets: new Set() },
    isAwake: () => now() >= restsUntilMs,
    failed: (why) => {
      restsUntilMs = now() + REST_MS;
      log('BigQuery takes no stream; load jobs take its place for a while', {
        why,
        minutes: REST_MS / 60_000,
      });
    },
    close: () => storage.close(),
  };
}

type Column = StageRequest['columns'][number];

/** "Supported protocol buffer data types": how a value of a staging column travels, and what JSONWriter needs for it. */
export function wireValue({ staged, value }: Pick<Column, 'staged' | 'value'>): string {
  switch (staged) {
    case 'INT64':
    case 'NUMERIC':
    case 'TIME':
      return `CAST(${value} AS VARCHAR)`;
    case 'TIMESTAMP':
      return `CAST(epoch_us(${value}) AS VARCHAR)`;
    case 'DATE':
      return `CAST(${value} - DATE '1970-01-01' AS INTEGER)`;
    default:
      return value;
  }
}

const BYTES = 'hw_bytes';

const bytesOf = (columns: readonly Column[]): string =>
  columns
    .map(({ staged, value }) =>
      staged === 'STRING' ? `coalesce(strlen(${value}), 0) + ${VALUE_BYTES}` : String(VALUE_BYTES),
    )
    .join(' + ');

/**
 * Rows in a staging table, by a stream; undefined where a load job is to bring them. The table has a name that is drawn for this one
 * write: whoever comes later, after a crash too, fills a table of his own, so that no row can be in one twice.
 */
export async function streamRows(
  client: Client,
  dataset: string,
  request: StageRequest,
): Promise<StagedTable | undefined> {
  const { streams } = client;
  if (streams?.isAwake() !== true) return undefined;
  const { columns, from, signal } = request;
  const few = `SELECT ${bytesOf(columns)} AS ${BYTES} ${from} LIMIT ${ROWS_MAX + 1}`;
  const [counted] = await client.staged.rows(
    `SELECT count(*) AS rows, coalesce(sum(${BYTES}), 0)::BIGINT AS bytes FROM (${few})`,
  );
  const rows = Number(counted?.['rows']);
  if (!goesByStream({ rows, bytes: Number(counted?.['bytes']) })) return undefined;
  const name = `w_${randomBytes(20).toString('hex')}`;
  const fields = columns.map((column) => ({ name: column.name, type: column.staged }));
  const select = columns.map((column) => `${wireValue(column)} AS ${column.name}`).join(', ');
  const read = await client.staged.rows(`SELECT ${select}, ${bytesOf(columns)} AS ${BYTES} ${from}`);
  await makeTable(client, dataset, name, fields);
  try {
    await streams.storage.write({ dataset, table: name, fields, parts: partsOf(read), signal });
  } catch (error) {
    await client.dropTable(dataset, name).catch(() => undefined);
    signal?.throwIfAborted();
    streams.failed(wordsOf(error));
    return undefined;
  }
  const table = qualifiedName(dataset, name);
  const proof = refuseSql(`(SELECT COUNT(*) FROM ${table}) <> ${rows}`, 'unstaged');
  return { name, table, rows, proof: [proof] };
}

async function makeTable(
  client: Client,
  dataset: string,
  name: string,
  fields: { name: string; type: string }[],
): Promise<void> {
  const known = client.streams?.datasets;
  const create = (): Promise<void> =>
    client.createTable(dataset, name, fields).catch((error: unknown) => {
      // Made by our own request, the answer of which was lost: nobody else has this name.
      if (!isDuplicate(error)) throw error;
    });
  if (known?.has(dataset) === true) {
    try {
      await create();
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  await client.createDataset(dataset, { staging: true });
  await create();
  known?.add(dataset);
}

/** Rows with their size, in appends that the service takes. */
export function partsOf(rows: readonly Readonly<Record<string, unknown>>[]): WireRow[][] {
  const parts: WireRow[][] = [];
  let bytes = Infinity;
  for (const { [BYTES]: size, ...values } of rows) {
    const row: WireRow = {};
    for (const [name, value] of Object.entries(values)) if (isWire(value)) row[name] = value;
    bytes += Number(size);
    if (bytes > PART_BYTES_MAX) {
      parts.push([]);
      bytes = Number(size);
    }
    parts.at(-1)?.push(row);
  }
  return parts;
}

/** What is absent becomes NULL, as null does. */
const isWire = (value: unknown): value is WireRow[string] =>
  ['string', 'number', 'boolean'].includes(typeof value);
