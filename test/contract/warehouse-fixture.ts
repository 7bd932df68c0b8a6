import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShapeCounts } from '../../schemas/batch.ts';
import type { Field, FieldType, ObjectSchema } from '../../schemas/object-schema.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { Window } from '../../schemas/window.ts';
import { createShaper } from '../../shaper/duckdb-shaper.ts';
import type { Shaper, ShapeRequest } from '../../shaper/shaper.ts';
import type { IntervalRow, LoadRequest } from '../../warehouses/warehouse.ts';

export const field = (name: string, type: FieldType = { kind: 'string' }): Field => ({
  ...{
    name,
    column: name.toLowerCase(),
    type,
    sourceType: type.kind,
    nullable: true,
    calculated: false,
    custom: false,
  },
});

/** Id, Stamp and Deleted, then the given fields. */
export function schemaOf(fields: Field[], overrides: Partial<ObjectSchema> = {}): ObjectSchema {
  const all = [
    field('Id'),
    field('Stamp', { kind: 'timestamp' }),
    field('Deleted', { kind: 'boolean' }),
    ...fields,
  ];
  const hash = createHash('sha256').update(JSON.stringify(all)).digest('hex');
  return {
    object: 'Contact',
    table: 'contact',
    key: 'Id',
    stamp: 'Stamp',
    deleted: 'Deleted',
    fields: all,
    hash,
    ...overrides,
  };
}

export const UNTIL = '2026-06-01T00:00:00.000Z';
export const CONFIRMED = '2026-06-01T00:01:00.000Z';

export function windowOf(id: string, overrides: Partial<Window> = {}): Window {
  return {
    ...{
      id,
      connection: 'crm',
      object: 'Contact',
      kind: 'head',
      from: ORIGIN,
      until: UNTIL,
      readFrom: ORIGIN,
      state: 'open',
    },
    ...{ owner: { workflowId: 'w', runId: 'r' }, attempt: 1, slices: [], createdAt: UNTIL },
    ...overrides,
  };
}

export const csvOf = (header: string[], rows: (string | null)[][]): string =>
  [header, ...rows]
    .map((row) => row.map((value) => (value === null ? '' : `"${value.replaceAll('"', '""')}"`)).join(','))
    .join('\n') + '\n';

export interface Rows {
  csv?: (string | null)[][];
  json?: unknown[];
  tombstones?: { id: string; deletedAt?: string | null }[];
}

/** A shaper with a folder of its own, and batches made by it from a few rows. */
export interface Bench {
  folder: string;
  shaper: Shaper;
  /** Unbounded limits for bad rows, unless the request says otherwise. */
  shape(schema: ObjectSchema, rows: Rows, overrides?: Partial<ShapeRequest>): ReturnType<Shaper['shape']>;
  batch(schema: ObjectSchema, rows: Rows, options?: BatchOptions): Promise<LoadRequest>;
  close(): Promise<void>;
}

export interface BatchOptions {
  window?: Window;
  slice?: number;
  confirmedAt?: string;
  /** Same id, same batch. */
  id?: string;
}

export async function openBench(memoryMbMax = 400): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-warehouse-'));
  const shaper = await createShaper({ tempDirectory: join(folder, 'spill'), memoryMbMax, threads: 2 });
  let made = 0;
  const shape: Bench['shape'] = async (schema, rows, overrides = {}) => {
    const at = join(folder, String(made++));
    const pages: ShapeRequest['pages'] = [];
    const add = async (
      format: 'csv' | 'json' | 'tombstones',
      text: string,
      rowsSent: number,
    ): Promise<void> => {
      const path = `${at}.${format}`;
      await writeFile(path, text);
      pages.push({ path, format, rowsSent });
    };
    const names = schema.fields.map((item) => item.name);
    if (rows.csv) await add('csv', csvOf(names, rows.csv), rows.csv.length);
    if (rows.json) await add('json', JSON.stringify({ records: rows.json }), rows.json.length);
    if (rows.tombstones) {
      await add(
        'tombstones',
        rows.tombstones.map((row) => `${JSON.stringify(row)}\n`).join(''),
        rows.tombstones.length,
      );
    }
    return shaper.shape(
      {
        ...{
          schema,
          pages,
          jsonRecords: 'records',
          window: { id: 'w1', from: ORIGIN, until: UNTIL },
          confirmedAt: CONFIRMED,
        },
        ...{
          badShareMax: 1,
          badRowsMax: 1_000,
          out: { rows: `${at}.rows`, tombstones: `${at}.gone`, quarantine: `${at}.bad` },
        },
        ...overrides,
      },
      new AbortController().signal,
    );
  };
  return {
    folder,
    shaper,
    shape,
    batch: async (schema, rows, options = {}) => {
      const window = options.window ?? windowOf('w1');
      const { id, from, until } = window;
      const confirmedAt = options.confirmedAt ?? CONFIRMED;
      const shaped = await shape(schema, rows, { window: { id, from, until }, confirmedAt });
      const batch = {
        id: options.id ?? `b_${made}`,
        window: window.id,
        slice: options.slice ?? 0,
        counts: shaped.counts,
        ...shaped.files,
      };
      return { window, schema, batch, files: shaped.files };
    },
    close: async () => {
      await shaper.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export const noCounts: ShapeCounts = {
  ...{
    sent: 0,
    received: 0,
    shaped: 0,
    quarantined: 0,
    superseded: 0,
    suppressed: 0,
    filtered: 0,
    reRead: 0,
    deleted: 0,
    tombstones: 0,
  },
};

export function intervalOf(window: string, batches: string[], attempt = 1): IntervalRow {
  const bounds = { window, connection: 'crm', object: 'Contact', from: ORIGIN, until: UNTIL };
  const receipt: IntervalRow['receipt'] = {
    ...bounds,
    transport: noCounts,
    source: { before: null, after: null, moved: 0, late: 0, unexplained: 0 },
    destination: { present: 0, missing: 0 },
    verdict: 'transport-only',
    at: UNTIL,
  };
  return { ...bounds, attempt, batches, receipt };
}
