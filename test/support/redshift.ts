/** Empty warehouses for Redshift: a real Postgres behind the driver that rewrites, moto as the bucket. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connectRedshift, redshift } from '../../warehouses/redshift/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { s3Missing, startS3, type BucketServer } from './bucket-server.ts';
import { startFakeDataApi, type FakeDataApi, type FakeOptions } from './fake-redshift-data.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { administer, newDatabase } from './postgres-warehouse.ts';
import { REDSHIFT_WORDS, redshiftDriver } from './redshift-driver.ts';

export interface TestRedshift {
  readonly postgres: TestPostgres;
  readonly s3: BucketServer;
  /** The address of a database that nobody has used, with the words of Redshift in it. */
  newDatabase(): Promise<string>;
  dropDatabase(url: string): Promise<void>;
  /** Keys in the bucket. */
  objects(): Promise<string[]>;
  open(url: string, folder: string, options?: OpenOptions): Promise<Warehouse>;
  /** The Data API over the same server, whatever database is asked for; `stop` ends it. */
  dataApi(folder: string, options?: Pick<FakeOptions, 'keepAliveMsMax' | 'fault'>): Promise<FakeDataApi>;
  stop(): Promise<void>;
}

export interface OpenOptions {
  config?: object;
  onStatement?: (sql: string) => void;
  now?: () => number;
  memoryMbMax?: number;
  threads?: number;
}

export const redshiftMissing = s3Missing;

const FLAGS = ['-c', 'fsync=off', '-c', 'full_page_writes=off'];

export async function startRedshift(flags = FLAGS): Promise<TestRedshift> {
  const [postgres, s3] = await Promise.all([startPostgres(flags), startS3()]);
  return {
    postgres,
    s3,
    newDatabase: async () => {
      const url = await newDatabase(postgres);
      await administer(url, REDSHIFT_WORDS);
      return url;
    },
    dropDatabase: async (url) => {
      await administer(postgres.url, `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
    },
    objects: async () => {
      const listed = await (await fetch(`${s3.url}/${s3.bucket}?list-type=2`)).text();
      return [...listed.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key = '']) => key);
    },
    open: (url, folder, options) => openRedshift(s3, url, folder, options),
    dataApi: (folder, options) => {
      mkdirSync(folder, { recursive: true });
      const driver = redshiftDriver({ s3: s3.url, folder });
      return startFakeDataApi({ url: postgres.url, driver, ...options });
    },
    stop: async () => {
      await Promise.all([postgres.stop(), s3.stop()]);
    },
  };
}

/** `s3`: where the bucket is, of a server that is started. */
export function openRedshift(
  s3: Pick<BucketServer, 'url' | 'bucket'>,
  url: string,
  folder: string,
  { config, onStatement, now = Date.now, memoryMbMax = 400, threads = 2 }: OpenOptions = {},
): Promise<Warehouse> {
  mkdirSync(folder, { recursive: true });
  const options = redshift.config.parse({ ...configOf(url, s3), ...config });
  const context = {
    ...{ now, log: () => undefined, tempDirectory: join(folder, 'spill') },
    ...{ memoryMbMax, threads },
  };
  const driver = redshiftDriver({
    ...{ s3: s3.url, folder },
    ...(onStatement === undefined ? {} : { onStatement }),
  });
  return connectRedshift(options, context, driver);
}

/** As in a configuration file; a literal password, since it is a test's own. */
export function configOf(url: string, s3: Pick<BucketServer, 'url' | 'bucket'>): Record<string, unknown> {
  const { hostname, port, pathname, username, password } = new URL(url);
  return {
    ...{ kind: 'redshift', host: hostname, port: Number(port), database: pathname.slice(1) },
    ...{ user: username, password, ssl: false, iamRole: 'arn:aws:iam::123456789012:role/copy' },
    ...{ bucket: s3.bucket, region: 'us-east-1', endpoint: s3.url },
    ...{ accessKeyId: 'test', secretAccessKey: 'test' },
  };
}

/** What a configuration has in place of host and login. */
export const throughDataApi = ({ endpoint }: { endpoint: string }): object => ({
  ...{ host: undefined, port: undefined, user: undefined, password: undefined, ssl: undefined },
  dataApi: { workgroup: 'test', endpoint },
});

/** Empty warehouses on few databases: one that is closed is emptied and used again. */
export function emptyRedshifts(
  server: () => TestRedshift,
  config: () => object = () => ({}),
): (folder: string) => Promise<Warehouse> {
  const free: string[] = [];
  return async (folder) => {
    const used = free.pop();
    const url = used ?? (await server().newDatabase());
    if (used !== undefined)
      await administer(url, 'DROP SCHEMA IF EXISTS crm, law, golden, _headwater CASCADE');
    const warehouse = await server().open(url, folder, { config: config() });
    return {
      ...warehouse,
      close: async () => {
        await warehouse.close();
        free.push(url);
      },
    };
  };
}
