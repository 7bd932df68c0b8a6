import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { RawPage } from '../source.ts';
import { errorCodeOf } from './api-error.ts';
import type { SalesforceClient } from './client.ts';
import { once, toInstant } from './query.ts';

const MINUTE_MS = 60_000;
/** `/updated` and `/deleted` refuse a start that lies further back. */
export const REPLICATION_MS_MAX = 30 * 86_400_000;
/** A month halved so often is less than two minutes. */
const HALVINGS_MAX = 16;

const updatedSchema = z.object({ ids: z.array(z.string()), latestDateCovered: z.string() });
const deletedSchema = z.object({
  deletedRecords: z.array(z.object({ id: z.string(), deletedDate: z.string() })),
  earliestDateAvailable: z.string(),
  latestDateCovered: z.string(),
});

export interface Deletion {
  id: string;
  deletedAt: Instant;
}

export interface UpdatedList {
  empty: boolean;
  /** Of the newest part only when there are more than one answer holds. */
  ids: string[];
  latestDateCovered: Instant;
}

export interface DeletedList {
  deletions: Deletion[];
  earliestDateAvailable: Instant;
  latestDateCovered: Instant;
}

/** Whether anything changed; both ends are widened to whole minutes because Salesforce ignores the seconds. */
export async function readUpdated(
  client: SalesforceClient,
  object: string,
  from: number,
  until: number,
  signal?: AbortSignal,
): Promise<UpdatedList> {
  let start = from;
  let full = false;
  for (let n = 0; n < HALVINGS_MAX; n++) {
    try {
      const answer = updatedSchema.parse(await read(client, object, 'updated', start, until, signal));
      return {
        empty: !full && answer.ids.length === 0,
        ids: answer.ids,
        latestDateCovered: toInstant(answer.latestDateCovered),
      };
    } catch (error) {
      if (errorCodeOf(error) !== 'EXCEEDED_ID_LIMIT') throw protocolError(error, object);
      // More ids than one answer holds: certainly not idle. What remains to be learned is latestDateCovered.
      full = true;
      start = (start + until) / 2;
    }
  }
  throw new HeadwaterError('SOURCE_PROTOCOL', `${object}: /updated has too many ids even for one minute`);
}

/** What was deleted, in the recycle bin or out of it; a full answer is halved until it fits. */
export async function readDeleted(
  client: SalesforceClient,
  object: string,
  from: number,
  until: number,
  signal?: AbortSignal,
  halvings = 0,
): Promise<DeletedList> {
  try {
    const answer = deletedSchema.parse(await read(client, object, 'deleted', from, until, signal));
    return {
      deletions: answer.deletedRecords.map((row) => ({ id: row.id, deletedAt: toInstant(row.deletedDate) })),
      earliestDateAvailable: toInstant(answer.earliestDateAvailable),
      latestDateCovered: toInstant(answer.latestDateCovered),
    };
  } catch (error) {
    if (errorCodeOf(error) !== 'EXCEEDED_ID_LIMIT' || halvings >= HALVINGS_MAX)
      throw protocolError(error, object);
  }
  const middle = Math.floor((from + until) / 2 / MINUTE_MS) * MINUTE_MS;
  const older = await readDeleted(client, object, from, middle, signal, halvings + 1);
  const newer = await readDeleted(client, object, middle, until, signal, halvings + 1);
  return {
    deletions: [...older.deletions, ...newer.deletions],
    earliestDateAvailable: older.earliestDateAvailable,
    latestDateCovered: newer.latestDateCovered,
  };
}

/**
 * One page of tombstones for `[readFrom, until)`. Records in the recycle bin are in it too: they also came as rows with
 * the deleted flag, and the same fact twice changes nothing.
 */
export async function tombstonesPage(
  client: SalesforceClient,
  object: string,
  interval: { readFrom: Instant; until: Instant },
  cursor: Record<string, unknown>,
  signal: AbortSignal,
): Promise<RawPage> {
  const oldest = client.sourceNow() - REPLICATION_MS_MAX + MINUTE_MS;
  const from = Math.max(Date.parse(interval.readFrom), oldest);
  const list = await readDeleted(client, object, from, Date.parse(interval.until), signal);
  // The lower end stays widened: seconds were cut off the source's own dates.
  const rows = list.deletions.filter((deletion) => deletion.deletedAt < interval.until);
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return {
    format: 'tombstones',
    body: once(Buffer.from(text)),
    rowsSent: () => rows.length,
    cursor: () => cursor,
  };
}

async function read(
  client: SalesforceClient,
  object: string,
  list: 'updated' | 'deleted',
  from: number,
  until: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const start = Math.floor(from / MINUTE_MS) * MINUTE_MS;
  const end = Math.max(Math.ceil(until / MINUTE_MS) * MINUTE_MS, start + MINUTE_MS);
  const query = `start=${encodeURIComponent(wire(start))}&end=${encodeURIComponent(wire(end))}`;
  return client.json({ method: 'GET', path: client.path(`sobjects/${object}/${list}?${query}`), signal });
}

function wire(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, '+00:00');
}

function protocolError(error: unknown, object: string): unknown {
  if (!(error instanceof z.ZodError)) return error;
  return new HeadwaterError(
    'SOURCE_PROTOCOL',
    `${object}: the list of changes is not in the documented form`,
    {
      cause: error,
    },
  );
}
