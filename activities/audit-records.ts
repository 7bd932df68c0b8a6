// Part of audit, replay and inbox: reads records by their ids and shapes them, as one batch of a window that covers nothing.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { Context } from '@temporalio/activity';
import { fromMs } from '../rules/time.ts';
import type { Batch } from '../schemas/batch.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { StagedPage } from '../schemas/page.ts';
import type { Window } from '../schemas/window.ts';
import type { RawPage, Source } from '../sources/source.ts';
import type { ShapeResult } from '../shaper/shaper.ts';
import { BY_ID_WINDOW, type LoadRequest } from '../warehouses/warehouse.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { batchId } from './shape.ts';
import { leaveOutErased } from './suppress.ts';

/** Ids that are read as one batch. */
export const IDS_PER_BATCH_MAX = 2_000;
/** Whatever a record's stamp is, it was asked for. */
const FAR_FUTURE: Instant = '3999-12-31T00:00:00.000Z';
/** Pages of one batch; more is a source that never ends. */
const PAGES_MAX = 10_000;

export interface RecordsRequest {
  settings: ConnectionSettings;
  source: Source;
  schema: ObjectSchema;
  ids: readonly string[];
  /** Records that are gone in the source, with the time of their deletion: tombstones of the same batch. */
  gone?: { ids: readonly string[]; at: Instant | ReadonlyMap<string, Instant> };
  /** Rows that are at hand already, as a json page of the source; true at this time. */
  given?: { rows: readonly Readonly<Record<string, unknown>>[]; at: Instant };
  /** What the batch is for, and which part of it: a retry of the same step has the same window. */
  purpose: string;
}

export interface ReadRecords {
  window: Window;
  batch: Batch;
  request: LoadRequest;
  readAt: Instant;
}

/** Hands the shaped batch to `work` and removes its files afterwards: the next try reads again. */
export async function withRecords<T>(
  dependencies: Dependencies,
  asked: RecordsRequest,
  work: (read: ReadRecords) => Promise<T>,
): Promise<T> {
  const { stage } = dependencies;
  const window = windowOf(dependencies, asked);
  try {
    return await work(await readRecords(dependencies, asked, window));
  } finally {
    await stage.remove(window.id);
  }
}

/** The window's id tells the run and the part, so that a batch of another run is never taken for this one. */
export function windowOf(dependencies: Dependencies, { settings, schema, purpose }: RecordsRequest): Window {
  const { workflowExecution } = Context.current().info;
  const owner = workflowExecution ?? { workflowId: '', runId: '' };
  const digest = createHash('sha256')
    .update([owner.workflowId, owner.runId, schema.object, purpose].join('\n'))
    .digest('hex');
  const at = fromMs(dependencies.now());
  return {
    id: `${BY_ID_WINDOW}${digest.slice(0, 24)}`,
    connection: settings.name,
    object: schema.object,
    kind: 'past',
    from: ORIGIN,
    until: FAR_FUTURE,
    readFrom: ORIGIN,
    state: 'open',
    owner,
    attempt: Context.current().info.attempt,
    slices: [],
    createdAt: at,
  };
}

export async function readRecords(
  dependencies: Dependencies,
  asked: RecordsRequest,
  window: Window,
): Promise<ReadRecords> {
  const { stage } = dependencies;
  const { schema } = asked;
  await stage.assertRoom(dependencies.freeBytesMin);
  // The source's clock may be behind ours; what it confirms now is at least as old as this.
  const readAt = asked.given?.at ?? fromMs(dependencies.now());
  const pages = await stagePages(dependencies, asked, window);
  const shaped = await shapePages(dependencies, asked, window, pages, readAt);
  const adopt = async (path: string) => (await stage.adopt(path)).key;
  const maybe = async (path: string | null) => (path === null ? null : adopt(path));
  const batch: Batch = {
    id: batchId(window.id, 0, pages),
    window: window.id,
    slice: 0,
    rows: await Promise.all(shaped.files.rows.map(adopt)),
    tombstones: await maybe(shaped.files.tombstones),
    quarantine: await maybe(shaped.files.quarantine),
    counts: shaped.counts,
  };
  const path = async (key: string | null) => (key === null ? null : await stage.path(key));
  const files = {
    rows: await Promise.all(batch.rows.map((key) => stage.path(key))),
    tombstones: await path(batch.tombstones),
    quarantine: await path(batch.quarantine),
  };
  return { window, batch, request: { window, schema, batch, files }, readAt };
}

async function stagePages(
  { stage, lanes }: Dependencies,
  { settings, schema, source, ids, gone, given }: RecordsRequest,
  window: Window,
): Promise<StagedPage[]> {
  const signal = Context.current().cancellationSignal;
  const pages: StagedPage[] = [];
  const keep = async (page: RawPage) => {
    if (page.body === undefined || pages.length >= PAGES_MAX) return;
    const extension = page.format === 'csv' ? 'csv' : page.format === 'json' ? 'json' : 'ndjson';
    const prefix = `${window.id}/0/page-${pages.length}`;
    const file = await stage.write(prefix, extension, page.body, { stripNul: true, signal });
    pages.push({ ...file, slice: 0, page: pages.length, format: page.format, rowsSent: page.rowsSent() });
    Context.current().heartbeat({ pages: pages.length });
  };
  if (ids.length > 0) {
    await lanes('api', async () => {
      for await (const page of source.fetch(schema, [...ids], signal)) await keep(page);
    });
  }
  if (gone !== undefined && gone.ids.length > 0) await keep(tombstones(gone.ids, gone.at));
  if (given !== undefined) await keep(pageOf(given.rows, settings.capabilities.jsonRecords));
  return pages;
}

async function shapePages(
  dependencies: Dependencies,
  { schema, settings, ids, given }: RecordsRequest,
  window: Window,
  staged: readonly StagedPage[],
  confirmedAt: Instant,
): Promise<ShapeResult> {
  const { stage, lanes, shaper } = dependencies;
  const out = {
    rows: await stage.reserve(`${window.id}/0/rows`, 'parquet'),
    tombstones: await stage.reserve(`${window.id}/0/tombstones`, 'parquet'),
    quarantine: await stage.reserve(`${window.id}/0/quarantine`, 'parquet'),
  };
  const pages = await Promise.all(
    staged.map(async ({ key, format, rowsSent }) => ({ path: await stage.path(key), format, rowsSent })),
  );
  const raw = await lanes('shape', () =>
    shaper.shape(
      {
        ...{ schema, pages, confirmedAt, out, jsonRecords: settings.capabilities.jsonRecords },
        window: { id: window.id, from: window.from, until: window.until },
        // Records that were asked for one by one may all be bad.
        badShareMax: 1,
        badRowsMax: ids.length + (given?.rows.length ?? 0),
      },
      Context.current().cancellationSignal,
    ),
  );
  const { shaped } = await leaveOutErased(dependencies, window, 0, schema, raw);
  return shaped;
}

/** `at`: the path to the records, names with points between them. */
function pageOf(rows: readonly Readonly<Record<string, unknown>>[], at: string): RawPage {
  const names = at === '' ? [] : at.split('.');
  const page = names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), rows);
  return {
    format: 'json',
    body: Readable.from([Buffer.from(JSON.stringify(page))]),
    rowsSent: () => rows.length,
    cursor: () => ({}),
  };
}

function tombstones(ids: readonly string[], at: Instant | ReadonlyMap<string, Instant>): RawPage {
  const deletedAt = (id: string) => (typeof at === 'string' ? at : at.get(id));
  const text = ids.map((id) => `${JSON.stringify({ id, deletedAt: deletedAt(id) })}\n`).join('');
  return {
    format: 'tombstones',
    body: Readable.from([Buffer.from(text)]),
    rowsSent: () => ids.length,
    cursor: () => ({}),
  };
}

/** Ids of records that changed at the source since a moment; null when they are more than `idsMax`. */
export async function changedIds(
  source: Source,
  schema: ObjectSchema,
  since: Instant,
  idsMax: number,
): Promise<Set<string> | null> {
  const ids = new Set<string>();
  const { cancellationSignal: signal } = Context.current();
  for await (const stamps of source.stamps(schema, { from: since, until: FAR_FUTURE }, signal)) {
    for (const { id } of stamps) ids.add(id);
    if (ids.size > idsMax) return null;
    Context.current().heartbeat({ changed: ids.size });
  }
  return ids;
}
