import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { PATH_BYTES_MAX, type HubspotClient } from './client.ts';
import { mergedIds, readRecord, type HubspotRecord } from './records.ts';

const LIST_ROWS = 100;
const BATCH_IDS_MAX = 100;
const BATCHES_AT_ONCE = 4;
/** 100 rows a page: more than any account holds. */
const PAGES_MAX = 1_000_000;

const listSchema = z.object({
  results: z.array(z.unknown()),
  paging: z.object({ next: z.object({ after: z.coerce.string() }).nullish() }).nullish(),
});

export interface ListPage {
  records: HubspotRecord[];
  /** Null: that was the last page. */
  next: string | null;
}

export interface ListRequest {
  archived?: boolean;
  properties: readonly string[];
  after: string | null;
}

export function listPath(client: HubspotClient, object: string, request: ListRequest): string {
  const query = new URLSearchParams({ limit: String(LIST_ROWS) });
  if (request.properties.length > 0) query.set('properties', request.properties.join(','));
  if (request.archived === true) query.set('archived', 'true');
  if (request.after !== null) query.set('after', request.after);
  return client.objectPath(object, `?${query.toString()}`);
}

/** Whether a list can name these properties in its path. */
export function fitsInPath(client: HubspotClient, object: string, properties: readonly string[]): boolean {
  const longest = { properties, after: '9'.repeat(40), archived: true };
  return listPath(client, object, longest).length <= PATH_BYTES_MAX;
}

/**
 * All records from a cursor on, straight from HubSpot's store: no index, hence no delay and no limit on results. The next
 * page is on its way while this one is worked on.
 */
export async function* listPages(
  client: HubspotClient,
  object: string,
  request: ListRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListPage> {
  let coming = readPage(client, object, request, signal);
  for (let n = 0; n < PAGES_MAX; n++) {
    const page: ListPage = await coming;
    if (page.next !== null) {
      coming = readPage(client, object, { ...request, after: page.next }, signal);
      // Its failure is met when it is asked for; a reader who stops before does not care.
      coming.catch(() => undefined);
    }
    yield page;
    if (page.next === null) return;
  }
  throw new HeadwaterError('SOURCE_PROTOCOL', `the list of ${object} does not end`);
}

async function readPage(
  client: HubspotClient,
  object: string,
  request: ListRequest,
  signal: AbortSignal | undefined,
): Promise<ListPage> {
  const path = listPath(client, object, request);
  const answer = listSchema.safeParse(await client.json({ method: 'GET', path, signal })).data;
  if (answer === undefined) throw new HeadwaterError('SOURCE_PROTOCOL', `the list of ${object} is no list`);
  const next = answer.paging?.next?.after ?? null;
  if (next !== null && next === request.after) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `the list of ${object} repeats its cursor`);
  }
  return { records: answer.results.map((value) => readRecord(value, object)), next };
}

const batchSchema = z.object({
  status: z.string().optional(),
  results: z.array(z.unknown()),
  errors: z
    .array(
      z.object({
        category: z.string().nullish(),
        message: z.string().nullish(),
        context: z.object({ ids: z.array(z.coerce.string()).nullish() }).nullish(),
      }),
    )
    .nullish(),
});

export interface ReadOptions {
  properties: readonly string[];
  archived?: boolean;
  signal?: AbortSignal | undefined;
}

/**
 * Current versions of up to BATCH_IDS_MAX records. An id that is gone is absent; a merged one brings the record that it
 * leads to, so an answer is told by its own id and never by the asked one. Ids that the answer does not account for are
 * asked for once more; what is then still missing is for the receipt to explain.
 */
async function batchRead(
  client: HubspotClient,
  object: string,
  ids: readonly string[],
  options: ReadOptions,
): Promise<HubspotRecord[]> {
  const { records, silent } = await readOnce(client, object, ids, options);
  if (silent.length === 0) return records;
  client.context.log('a batch read left ids out without a word', { object, ids: silent.length });
  return [...records, ...(await readOnce(client, object, silent, options)).records];
}

async function readOnce(
  client: HubspotClient,
  object: string,
  ids: readonly string[],
  options: ReadOptions,
): Promise<{ records: HubspotRecord[]; silent: string[] }> {
  const answer = batchSchema.safeParse(
    await client.json({
      method: 'POST',
      path: client.objectPath(object, `/batch/read${options.archived === true ? '?archived=true' : ''}`),
      body: { properties: options.properties, inputs: ids.map((id) => ({ id })) },
      signal: options.signal,
    }),
  ).data;
  if (answer === undefined || (answer.status !== undefined && answer.status !== 'COMPLETE')) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `a batch read of ${object} is not complete`);
  }
  const accounted = new Set<string>();
  for (const { category, context } of answer.errors ?? []) {
    if (category !== 'OBJECT_NOT_FOUND') {
      throw new HeadwaterError(
        'SOURCE_UNAVAILABLE',
        `a batch read of ${object} failed in part: ${category ?? 'no reason'}`,
      );
    }
    for (const id of context?.ids ?? []) accounted.add(id);
  }
  const records = answer.results.map((value) => readRecord(value, object));
  for (const record of records) for (const id of [record.id, ...mergedIds(record)]) accounted.add(id);
  return { records, silent: ids.filter((id) => !accounted.has(id)) };
}

/** Any number of ids, in batches side by side; each record once, in the order of the ids. */
export async function readByIds(
  client: HubspotClient,
  object: string,
  ids: readonly string[],
  options: ReadOptions,
): Promise<HubspotRecord[]> {
  const unique = [...new Set(ids)];
  const chunks = Array.from({ length: Math.ceil(unique.length / BATCH_IDS_MAX) }, (_, n) =>
    unique.slice(n * BATCH_IDS_MAX, (n + 1) * BATCH_IDS_MAX),
  );
  const found = new Map<string, HubspotRecord>();
  for (let at = 0; at < chunks.length; at += BATCHES_AT_ONCE) {
    const answers = await Promise.all(
      chunks.slice(at, at + BATCHES_AT_ONCE).map((chunk) => batchRead(client, object, chunk, options)),
    );
    for (const record of answers.flat()) found.set(record.id, record);
  }
  return [...found.values()];
}
