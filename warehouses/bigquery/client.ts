import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { FactRow } from '../batch-rules.ts';
import type { TableColumn } from '../columns.ts';
import { openLoadBucket } from '../load-bucket.ts';
import type { LoadBucket } from '../load-bucket.ts';
import { openStaged } from '../staged.ts';
import type { StagedFiles } from '../staged.ts';
import type { WarehouseContext } from '../warehouse.ts';
import type { BigqueryConfig } from './config.ts';
import { isDuplicate, isMissing, wrapped } from './errors.ts';
import { openJobs } from './jobs.ts';
import type { Job, Jobs } from './jobs.ts';
import { datasetName, qualifiedName, tableName } from './names.ts';
import { openRest, parsedKey } from './rest.ts';
import type { Rest } from './rest.ts';
import { openStreams } from './stream-rows.ts';
import type { Streams } from './stream-rows.ts';
import { catalogType } from './types.ts';
import type { CatalogField } from './types.ts';
import { factRow, parameterList } from './values.ts';
import type { Parameters } from './values.ts';

/** Rows that one statement of Headwater's own may answer with. */
const ROWS_MAX = 2_000_000;
const PAGE_ROWS = 20_000;
/** What a load stages is dropped after it; what a dead process left goes by itself. */
const STAGING_MS_MAX = 86_400_000;

const tableSchema = z.looseObject({
  numRows: z.string().optional(),
  numBytes: z.string().optional(),
  expirationTime: z.string().optional(),
  schema: z
    .looseObject({
      fields: z
        .array(
          z.looseObject({
            ...{ name: z.string(), type: z.string(), mode: z.string().optional() },
            ...{ precision: z.string().optional(), scale: z.string().optional() },
          }),
        )
        .optional(),
    })
    .optional(),
});

export interface CatalogTable {
  columns: TableColumn[];
  rows: number;
  bytes: number;
  /** When the service drops it by itself, ms since 1970; null: never. */
  expiresMs: number | null;
}

export interface ScriptOptions {
  /** Makes the job one that is done once, see `once`. */
  id?: string;
  labels?: Record<string, string>;
  signal?: AbortSignal | undefined;
  parameters?: Parameters;
  /** Its rows are not asked for. */
  silent?: boolean;
}

export interface Answer {
  rows: FactRow[];
  job: Job;
  repeated: boolean;
}

/** Throws what the service says; `wrapped` at the contract's boundary makes it a HeadwaterError. */
export interface Client {
  readonly config: BigqueryConfig;
  readonly rest: Rest;
  readonly jobs: Jobs;
  readonly staged: StagedFiles;
  /** The road of large files; absent where it is not to be used. */
  readonly bucket: LoadBucket | undefined;
  /** The road of small batches; absent where it is not to be used. */
  readonly streams: Streams | undefined;
  /** The dataset of a connection, or of Headwater's own tables. */
  dataset(name: string): string;
  /** Qualified and quoted. */
  target(name: string, table: string): string;
  /** The rows of one statement. */
  rows(sql: string, parameters?: Parameters): Promise<FactRow[]>;
  /** The number of rows changed by one statement. */
  run(sql: string, parameters?: Parameters): Promise<number>;
  /** One job of several statements; the rows of its last one. It is not begun where the signal has fired, and cancelled when it does. */
  script(statements: readonly string[], options?: ScriptOptions): Promise<Answer>;
  /** Undefined where it is not there. `dataset` and `table` as the service names them. */
  table(dataset: string, table: string): Promise<CatalogTable | undefined>;
  columns(name: string, table: string): Promise<TableColumn[]>;
  /** Makes the dataset where it is not there. `staging`: its tables go by themselves. */
  createDataset(dataset: string, options?: { staging?: boolean }): Promise<void>;
  /** Makes it; an error where it is there. */
  createTable(dataset: string, table: string, fields: readonly CatalogField[]): Promise<void>;
  dropTable(dataset: string, table: string): Promise<void>;
  close(): Promise<void>;
}

/** Opened with the account that loads from it. */
async function bucketOf(config: BigqueryConfig): Promise<LoadBucket | undefined> {
  const { bucket, prefix, bucketEndpoint: endpoint, key } = config;
  if (bucket === undefined) return undefined;
  const anonymous = endpoint?.startsWith('http:') === true;
  const login = key === undefined ? undefined : parsedKey(key);
  return openLoadBucket(
    { kind: 'gcs', bucket, endpoint, anonymous, key: login },
    prefix,
    '`npx headwater check` prints the grant that is missing; see docs/warehouses/bigquery.md.',
  );
}

/** What the catalog says of a table. */
function tableReader(rest: Rest): Client['table'] {
  return async (inside, name) => {
    try {
      const found = await rest.call(tableSchema, {
        method: 'GET',
        uri: `/datasets/${inside}/tables/${name}`,
      });
      const expires = found.expirationTime;
      return {
        columns: (found.schema?.fields ?? []).map((field) => ({
          name: field.name,
          type: catalogType(field),
        })),
        rows: Number(found.numRows ?? 0),
        bytes: Number(found.numBytes ?? 0),
        expiresMs: expires === undefined ? null : Number(expires),
      };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };
}

export async function openClient(config: BigqueryConfig, context: WarehouseContext): Promise<Client> {
  const rest = await openRest(config);
  const jobs = openJobs(rest, config.location, config.jobMsMax);
  const staged = await openStaged(context, 'bigquery');
  const bucket = await bucketOf(config);
  const streams = openStreams(config, context);
  const dataset = (name: string): string => datasetName(config.datasetPrefix, name);
  const table = tableReader(rest);
  const script: Client['script'] = async (
    statements,
    { id, labels, signal, parameters, silent = false } = {},
  ) => {
    const query = {
      ...{ query: `${statements.join(';\n')};`, useLegacySql: false, useQueryCache: false },
      ...(parameters === undefined
        ? {}
        : { parameterMode: 'NAMED', queryParameters: parameterList(parameters) }),
    };
    const { job, repeated, page } = await jobs.query({
      ...{ configuration: { query }, signal, silent },
      ...(id === undefined ? {} : { id }),
      ...(labels === undefined ? {} : { labels }),
    });
    const fields = page.schema?.fields ?? [];
    const rows = (page.rows ?? []).map((row) => factRow(fields, row));
    for (let token = page.pageToken; token !== undefined && token !== '';) {
      const next = await jobs.more(job, token, PAGE_ROWS);
      rows.push(...(next.rows ?? []).map((row) => factRow(fields, row)));
      if (rows.length > ROWS_MAX)
        throw new HeadwaterError('WAREHOUSE_REJECTED', `an answer has more than ${ROWS_MAX} rows`);
      token = next.pageToken;
    }
    return { rows, job, repeated };
  };
  return {
    ...{ config, rest, jobs, staged, bucket, streams, dataset, table, script },
    target: (name, of) => qualifiedName(dataset(name), tableName(of)),
    rows: async (sql, parameters) => (await script([sql], withParameters(parameters))).rows,
    run: async (sql, parameters) => {
      const { job } = await script([sql], { ...withParameters(parameters), silent: true });
      return Number(job.statistics?.query?.numDmlAffectedRows ?? 0);
    },
    columns: async (name, of) => (await table(dataset(name), tableName(of)))?.columns ?? [],
    createDataset: (name, options = {}) => createDataset(rest, config, name, options.staging === true),
    createTable: async (inside, name, fields) => {
      const tableReference = { projectId: config.project, datasetId: inside, tableId: name };
      const body = { tableReference, schema: { fields } };
      await rest.call(z.unknown(), { method: 'POST', uri: `/datasets/${inside}/tables`, body });
    },
    dropTable: async (inside, name) => {
      try {
        await rest.call(z.unknown(), { method: 'DELETE', uri: `/datasets/${inside}/tables/${name}` });
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
    close: async () => {
      bucket?.close();
      await streams?.close();
      await staged.close();
    },
  };
}

const withParameters = (parameters: Parameters | undefined): ScriptOptions =>
  parameters === undefined ? {} : { parameters };

async function createDataset(
  rest: Rest,
  config: BigqueryConfig,
  name: string,
  staging: boolean,
): Promise<void> {
  const body = {
    datasetReference: { projectId: config.project, datasetId: name },
    location: config.location,
    labels: { app: 'headwater' },
    ...(staging ? { defaultTableExpirationMs: String(STAGING_MS_MAX) } : {}),
  };
  try {
    await rest.call(z.unknown(), { method: 'GET', uri: `/datasets/${name}` });
    return;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    await rest.call(z.unknown(), { method: 'POST', uri: '/datasets', body });
  } catch (error) {
    // Another process was first.
    if (!isDuplicate(error)) throw error;
  }
}

/** What a method of the contract does; its errors say what it was about. */
export async function told<T>(what: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw wrapped(what, error);
  }
}
