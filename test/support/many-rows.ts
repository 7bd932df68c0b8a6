/** The oracle for tables too large for one answer: the org's rows as lines of JSON, the warehouse's as Parquet, joined by a DuckDB of its own. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { exportTo } from '../../cli/warehouse.ts';
import type { LoadedConfig } from '../../config/load-config.ts';
import type { TruthRow } from '../../sandbox/salesforce/server.ts';
import type { SandboxProcess } from './sandbox-process.ts';

export interface Compared {
  /** Rows that the org has, deleted ones too. */
  rows: number;
  /** Count and checksum, equal when the same ids have the same versions and the same deleted flags. */
  sums: { org: string; warehouse: string };
  /** `crm.contact: email differs: 2`, rows counted; empty when both are equal in every value. */
  differences: string[];
}

export async function compareMany(
  sandbox: SandboxProcess,
  object: string,
  place: LoadedConfig,
  table: string,
): Promise<Compared> {
  const truth = join(place.home, `${object}.ndjson`);
  const held = join(place.home, `${object}.parquet`);
  await sandbox.writeTruth(object, truth);
  await exportTo(place, `SELECT * FROM ${table}`, held);
  const names = await namesIn(truth);
  const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '1GB' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET TimeZone = 'UTC'; SET temp_directory = '${join(place.home, 'oracle')}'`);
    const fields = names.map((name) => `"${name}" VARCHAR`).join(', ');
    await connection.run(
      `CREATE VIEW org AS SELECT Id AS id, IsDeleted AS deleted, stampMs AS stamp, v FROM read_json('${truth}', format = 'newline_delimited', columns = {Id: 'VARCHAR', IsDeleted: 'BOOLEAN', stampMs: 'BIGINT', "values": 'STRUCT(${fields})'}) AS t(Id, IsDeleted, stampMs, v)`,
    );
    await connection.run(
      `CREATE VIEW held AS SELECT *, _deleted AS deleted, epoch_ms(_version) AS stamp FROM '${held}'`,
    );
    return await compare(connection, names, table);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The fields of the first line: every line has the same. */
async function namesIn(path: string): Promise<string[]> {
  const file = await open(path);
  try {
    for await (const line of file.readLines()) {
      const row: TruthRow = JSON.parse(line);
      return Object.keys(row.values);
    }
    throw new Error(`${path} has no line`);
  } finally {
    await file.close();
  }
}

async function compare(connection: DuckDBConnection, names: string[], table: string): Promise<Compared> {
  const rowsOf = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
  const textsOf = async (sql: string) =>
    (await rowsOf(sql)).map((row) =>
      Object.values(row).map((value) => (typeof value === 'string' ? value : '')),
    );
  const sums = async (view: string) => {
    const sql = `SELECT count(*)::VARCHAR, sum(hash(id, stamp, deleted))::VARCHAR FROM ${view}`;
    return (await textsOf(sql))[0] ?? [];
  };
  const columns = new Map(
    (await textsOf('DESCRIBE held')).map(([column = '', type = '']) => [plain(column), { column, type }]),
  );
  const told = [
    `count(*) FILTER (WHERE held.id IS NULL)::INTEGER AS "missing"`,
    `count(*) FILTER (WHERE org.id IS NULL)::INTEGER AS "too many"`,
  ];
  const differences: string[] = [];
  for (const name of names) {
    const found = columns.get(plain(name));
    // An address is a compound of fields that are all there by themselves.
    if (found === undefined && name.endsWith('Address')) continue;
    if (found === undefined) differences.push(`${table}: ${name} has no column`);
    // An empty text is null in the source's own exports.
    else
      told.push(
        `count(*) FILTER (WHERE nullif(org.v."${name}", '')::${found.type} IS DISTINCT FROM held."${found.column}")::INTEGER AS "${found.column} differs"`,
      );
  }
  const [counted = {}] = await rowsOf(`SELECT ${told.join(', ')} FROM org FULL JOIN held USING (id)`);
  for (const [what, rows] of Object.entries(counted)) {
    if (Number(rows) > 0) differences.push(`${table}: ${what}: ${Number(rows)}`);
  }
  const [org, warehouse] = [await sums('org'), await sums('held')];
  return { rows: Number(org[0]), sums: { org: org.join(' '), warehouse: warehouse.join(' ') }, differences };
}

const plain = (name: string) => name.replaceAll('_', '').toLowerCase();
