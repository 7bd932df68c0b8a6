import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { HeadwaterError } from '../../rules/errors.ts';
import { literal } from '../sql.ts';
import { PARQUET } from '../staged.ts';
import type { Client } from './client.ts';
import { isMissing, raised, refusalOf } from './errors.ts';
import { once } from './jobs.ts';
import { qualifiedName, sha } from './names.ts';
import { streamRows } from './stream-rows.ts';

/** The dataset of the tables that staged files are loaded into, beside _headwater. */
export const STAGING = '_headwater_staging';
/** A table that would be dropped sooner is not built upon. */
const LEFT_MS_MIN = 3_600_000;
const NAME_CHARS = 40;

/** A column of a staging table. */
export interface StagedColumn {
  /** Plain ASCII, as the file and the staging table have it. */
  name: string;
  /** In the staging table. */
  staged: string;
  /** Expression over a staged row, for DuckDB. */
  value: string;
  /** The table's column, plain, and its type. */
  target: string;
  type: string;
  /** Of the staging row `s`, in the table's type. */
  cast: string;
  /** The source's own name. */
  field?: string;
  /** True for a value that this column does not take, for DuckDB; NULL is staged instead. */
  misfit?: string;
}

export interface StagedTable {
  /** Plain. */
  name: string;
  /** Qualified and quoted. */
  table: string;
  rows: number;
  /** Statements that end a script with `unstaged` where not every row is in the table once (I2); a load job needs none. */
  proof: readonly string[];
}

export interface StageRequest {
  /** Whom the rows are for: two batches of one content never share a table, which the first of them would drop. */
  owner: string;
  /** What the rows come from; hashed. */
  sources: readonly string[];
  columns: readonly Pick<StagedColumn, 'name' | 'staged' | 'value'>[];
  /** `SELECT … <this>`, over the files. */
  from: string;
  labels: Record<string, string>;
  /** A pushed change waits for it. */
  pushed?: boolean;
  signal?: AbortSignal | undefined;
}

export const fromFiles = (paths: readonly string[]): string =>
  `FROM read_parquet([${paths.map(literal).join(', ')}])`;

/** Rows as a staging table: a few that somebody waits for as a stream, all others by a load job. */
export async function stage(client: Client, request: StageRequest): Promise<StagedTable> {
  const streamed =
    request.pushed === true ? await streamRows(client, client.dataset(STAGING), request) : undefined;
  return streamed ?? (await stageByJob(client, request));
}

/**
 * Rows as a staging table, by a load job: BigQuery takes a file as a whole or not at all. The table and the job are named after
 * the content, so that the same rows are loaded once, whoever asks and however often an answer was lost. A table of its own for
 * each batch also keeps clear of the limit of load jobs into one table.
 */
async function stageByJob(client: Client, request: StageRequest): Promise<StagedTable> {
  const { columns, labels, signal } = request;
  const name = `s_${await contentHash(request)}`;
  const dataset = client.dataset(STAGING);
  const found = async (): Promise<StagedTable | undefined> => {
    const held = await client.table(dataset, name);
    if (held === undefined || (held.expiresMs ?? Infinity) < Date.now() + LEFT_MS_MIN) return undefined;
    return { name, table: qualifiedName(dataset, name), rows: held.rows, proof: [] };
  };
  const before = await found();
  if (before !== undefined) return before;
  await client.createDataset(dataset, { staging: true });
  const path = client.staged.temporary('parquet');
  try {
    const select = columns.map(({ name: as, value }) => `${value} AS ${as}`).join(', ');
    const rows = await client.staged.run(
      `COPY (SELECT ${select} ${request.from}) TO ${literal(path)} (${PARQUET})`,
    );
    const load = {
      destinationTable: { projectId: client.config.project, datasetId: dataset, tableId: name },
      ...{
        sourceFormat: 'PARQUET',
        writeDisposition: 'WRITE_TRUNCATE',
        createDisposition: 'CREATE_IF_NEEDED',
      },
      schema: {
        fields: columns.map((column) => ({ name: column.name, type: column.staged, mode: 'NULLABLE' })),
      },
    };
    const send = async (id: string) => {
      const about = { id, labels, signal };
      const key = await throughBucket(client, name, path, signal);
      if (key === undefined) return client.jobs.load({ ...about, configuration: { load } }, path);
      try {
        const sourceUris = [client.bucket?.url(key)];
        return await client.jobs.load({ ...about, configuration: { load: { ...load, sourceUris } } });
      } finally {
        await client.bucket?.remove(key).catch(() => undefined);
      }
    };
    await once(
      `headwater_load_${sha(dataset, name).slice(0, NAME_CHARS)}`,
      send,
      async () => (await found())?.rows === rows,
    );
    return { name, table: qualifiedName(dataset, name), rows, proof: [] };
  } finally {
    await rm(path, { force: true });
  }
}

/** The rule of large files: the key of an object that holds it; undefined where the file is to be sent itself. */
async function throughBucket(
  { bucket, config }: Client,
  name: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (bucket === undefined || (await stat(path)).size < config.bucketBytesMin) return undefined;
  return bucket.put(`${name}-${randomUUID()}.parquet`, path, signal);
}

async function contentHash({ owner, sources, columns, from }: StageRequest): Promise<string> {
  // The files count by what they hold, not by where they lie.
  const about = sources.reduce((sql, path, at) => sql.replaceAll(literal(path), `file ${at}`), from);
  const hash = createHash('sha256').update(JSON.stringify([owner, columns, about]));
  for (const source of sources) {
    try {
      for await (const chunk of createReadStream(source)) hash.update(chunk);
    } catch {
      throw new HeadwaterError('STAGE_MISSING', 'a staged file is gone');
    }
  }
  return hash.digest('hex').slice(0, NAME_CHARS);
}

/** What is not needed any more; it would go by itself, so a failure is none. */
export async function dropStaged(
  client: Client,
  tables: readonly (StagedTable | undefined)[],
): Promise<void> {
  for (const table of tables)
    if (table !== undefined)
      await client.dropTable(client.dataset(STAGING), table.name).catch(() => undefined);
}

export const isStreamed = (table: StagedTable | undefined): boolean => (table?.proof.length ?? 0) > 0;

/** A staging table that was dropped under a load, by another one of the same batch, or lacks rows: the next try stages again. */
export const isUnstaged = (error: unknown): boolean =>
  raised(error) === 'unstaged' || (isMissing(error) && /\bs_[0-9a-f]{40}\b/.test(refusalOf(error).message));
