/** Empty Postgres warehouses for tests: each is a database of its own on one server. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import { postgres } from '../../warehouses/postgres/index.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import type { TestPostgres } from './postgres.ts';

/** One statement as the owner of the server, on the database of the address. */
export async function administer(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The address of a database that nobody has used. */
export async function newDatabase(server: Pick<TestPostgres, 'url'>, prefix = 'test_'): Promise<string> {
  const name = `${prefix}${randomBytes(6).toString('hex')}`;
  await administer(server.url, `CREATE DATABASE ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

/** Empty warehouses on few databases: one that is closed is emptied and used again. `prefix`: of their names. */
export function emptyWarehouses(
  server: () => Pick<TestPostgres, 'url'>,
  options: object = {},
  prefix?: string,
): (folder: string) => Promise<Warehouse> {
  const free: string[] = [];
  return async (folder) => {
    const used = free.pop();
    const url = used ?? (await newDatabase(server(), prefix));
    if (used !== undefined) await administer(url, EMPTY);
    const warehouse = await openPostgres(url, folder, options);
    return {
      ...warehouse,
      close: async () => {
        await warehouse.close();
        free.push(url);
      },
    };
  };
}

const EMPTY = 'DROP SCHEMA IF EXISTS crm, law, golden, _headwater CASCADE';

export function openPostgres(url: string, folder: string, options: object = {}): Promise<Warehouse> {
  const config = postgres.config.parse({ kind: 'postgres', url, ...options });
  return postgres.connect(config, {
    now: Date.now,
    log: () => undefined,
    tempDirectory: join(folder, 'spill'),
    memoryMbMax: 400,
    threads: 2,
  });
}
