/** First load of Contacts into DuckDB, beside the raw download and DuckDB's own read of the same bytes. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchOptions } from './options.ts';
import {
  assertSame,
  checksumSql,
  CONTACT_FIELDS,
  FIELD_NAMES,
  OUR_COLUMNS,
  type Checksum,
} from './contact.ts';
import type { Figure } from './figures.ts';
import { storeWithDuckdb, type ColumnTypes } from './limit.ts';
import { Calm } from './machine.ts';
import { CONNECTION, withStand, type BenchWorker, type Stand } from './stand.ts';

/** At most so many times the limit. */
const TARGET_TIMES_LIMIT = 1.5;
const PEAK_MB_MAX = 700;

/** The query of the product, so that both sides read the same bytes. */
export function contactSoql(): string {
  const until = new Date().toISOString();
  return `SELECT ${FIELD_NAMES.join(',')} FROM Contact WHERE SystemModstamp < ${until}`;
}

export interface Limit extends Checksum {
  inexact: Checksum;
  downloadMs: number;
  storeMs: number;
  bytes: number;
  paths: string[];
}

/** Raw download and typed store; the pages stay in `folder` until the caller removes it. */
export async function measureLimit(
  stand: Stand,
  options: BenchOptions,
  folder: string,
  types: ColumnTypes,
): Promise<Limit> {
  mkdirSync(folder, { recursive: true });
  const raw = await stand.sandbox.download(contactSoql(), folder);
  const stored = await storeWithDuckdb(raw.paths, folder, options.resources, types);
  if (stored.rows !== raw.rows)
    throw new Error(`the server sent ${raw.rows} rows, DuckDB read ${stored.rows}`);
  return { ...stored, downloadMs: raw.ms, storeMs: stored.ms, bytes: raw.bytes, paths: raw.paths };
}

export async function contactChecksum(worker: BenchWorker, connection = CONNECTION): Promise<Checksum> {
  const [row] = await worker.sql(checksumSql(`${connection}.contact`, OUR_COLUMNS));
  return { rows: Number(row?.['rows']), checksum: String(row?.['checksum']) };
}

/** The types in which the product stores the fields: the limit must cast to the very same. */
async function storedTypes(worker: BenchWorker): Promise<ColumnTypes> {
  const found = await worker.sql(
    `SELECT column_name AS name, data_type AS type FROM duckdb_columns() WHERE schema_name='${CONNECTION}' AND table_name='contact'`,
  );
  const types = new Map(found.map((row) => [String(row['name']), String(row['type'])]));
  return new Map(
    CONTACT_FIELDS.map(([, column, kind]) => {
      const type = types.get(column) ?? 'absent';
      if (type !== kind && !type.startsWith(`${kind}(`))
        throw new Error(`the product stores ${column} as ${type}, not as ${kind}`);
      return [column, type];
    }),
  );
}

export interface Load {
  ms: number;
  peakMb: number;
  stepMs: Record<string, number>;
}

/** One first load by a fresh worker into an empty home, verified against the limit's rows. */
export async function loadOnce(stand: Stand, options: BenchOptions, wanted: Checksum): Promise<Load> {
  const worker = await stand.startWorker(undefined, options.resources);
  try {
    const { run, ms } = await worker.sync();
    const loaded = { ms, peakMb: worker.peakMb(), stepMs: run.objects[0]?.stepMs ?? {} };
    assertSame('the first load', await contactChecksum(worker), wanted);
    return loaded;
  } finally {
    await worker.stop();
  }
}

function stepsNote(loads: readonly Load[]): string {
  const last = loads.at(-1)?.stepMs ?? {};
  return Object.entries(last)
    .map(([step, ms]) => `${step} ${ms} ms`)
    .join(', ');
}

/** Outside every timing: makes the server's pages, warms the caches, and finds out the types of the product's table. */
export async function warmUp(stand: Stand, options: BenchOptions): Promise<ColumnTypes> {
  const worker = await stand.startWorker(undefined, options.resources);
  let types: ColumnTypes;
  try {
    await worker.sync();
    types = await storedTypes(worker);
  } finally {
    await worker.stop();
  }
  const folder = join(stand.root, 'warm-up');
  await measureLimit(stand, options, folder, types);
  rmSync(folder, { recursive: true, force: true });
  return types;
}

export async function firstLoad(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  return withStand({ Contact: options.rows }, async (stand) => {
    const types = await warmUp(stand, options);
    const limits: Limit[] = [];
    const loads: Load[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      const folder = join(stand.root, `raw-${run}`);
      await calm.wait();
      const limit = await measureLimit(stand, options, folder, types);
      rmSync(folder, { recursive: true, force: true });
      await calm.wait();
      loads.push(await loadOnce(stand, options, limit));
      limits.push(limit);
      options.progress(
        `first load ${run + 1} of ${options.runs}: ${Math.round(loads.at(-1)?.ms ?? 0)} ms, limit ${Math.round(limit.downloadMs + limit.storeMs)} ms`,
      );
    }
    const label = calm.label();
    const rows = options.rows.toLocaleString('en');
    const megabytes = Math.round((limits[0]?.bytes ?? 0) / 1e6);
    const limitOf = (index: number): number => {
      const limit = limits[index];
      return limit === undefined ? Number.NaN : limit.downloadMs + limit.storeMs;
    };
    return [
      {
        name: `raw download of ${rows} Contacts`,
        unit: 's',
        values: limits.map((one) => one.downloadMs / 1000),
        note: `${megabytes} MB of CSV`,
      },
      { name: 'DuckDB: read typed and store', unit: 's', values: limits.map((one) => one.storeMs / 1000) },
      {
        name: `first load of ${rows} Contacts`,
        unit: 's',
        values: loads.map((one) => one.ms / 1000),
        note: [label, stepsNote(loads)].filter(Boolean).join('; '),
      },
      {
        name: 'first load ÷ limit',
        unit: '×',
        values: loads.map((one, index) => one.ms / limitOf(index)),
        target: { max: TARGET_TIMES_LIMIT },
        note: label,
      },
      {
        name: 'peak memory of that worker',
        unit: 'MB',
        values: loads.map((one) => one.peakMb),
        target: { max: PEAK_MB_MAX },
      },
    ];
  });
}
